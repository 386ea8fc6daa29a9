//! An OCI layout in a tar file.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::error::Result;
use crate::image::Assembly;
use crate::layer::Layer;
use crate::oci::Platform;
use crate::plan::LayerCompression;
use crate::publish::archive::{self, Archive, Place};
use crate::publish::contents::{self, Contents};
use crate::publish::{
    Destination, DestinationKind, ParsedDestination, PublishContext, PublishError, Published,
    Session,
};
use crate::store::layout::REF_NAME;

/// See the module.
pub(super) static KIND: DestinationKind = DestinationKind {
    name: "oci-archive",
    syntax: "oci-archive:FILE",
    summary: "an OCI image layout in a tar file; `-` is standard output",
    is_remote: false,
    parse,
};

#[derive(Debug)]
struct OciArchive {
    place: Place,
}

#[derive(Debug)]
struct Write {
    place: Place,
    tags: Vec<String>,
    context: PublishContext,
}

fn parse(text: &str) -> Option<ParsedDestination> {
    let path = text.strip_prefix("oci-archive:")?;
    Some(Place::parse(text, path).map(|place| Box::new(OciArchive { place }) as _))
}

#[async_trait]
impl Destination for OciArchive {
    fn kind(&self) -> &'static DestinationKind {
        &KIND
    }

    fn describe(&self) -> String {
        format!("oci-archive:{}", self.place)
    }

    fn check(&self, _: &[Platform], _: LayerCompression) -> Result<(), PublishError> {
        self.place.check()
    }

    async fn open(&self, context: &PublishContext, tags: &[String]) -> Result<Box<dyn Session>> {
        self.place.check()?;
        let (place, tags) = (self.place.clone(), tags.to_vec());
        Ok(Box::new(Write { place, tags, context: context.clone() }))
    }
}

#[async_trait]
impl Session for Write {
    /// A tar is written in order, so every layer waits for the end.
    async fn add_layer(&self, _layer: &Layer) -> Result<()> {
        Ok(())
    }

    async fn finish(&self, assembly: &Assembly) -> Result<Published> {
        let named = |tag: &String| BTreeMap::from([(REF_NAME.to_owned(), tag.clone())]);
        let names: Vec<_> = self.tags.iter().map(named).collect();
        let archive = Archive {
            contents: Contents::of(assembly),
            index: archive::index_of(&contents::listed(assembly), &names),
            extra: BTreeMap::new(),
        };
        archive::write(archive, &self.place, &self.context).await?;
        let descriptor = assembly.descriptor().clone();
        Ok(Published {
            reference: format!("oci-archive:{}@{}", self.place, descriptor.digest),
            descriptor,
            tags: self.tags.clone(),
            kept: BTreeMap::new(),
            platforms: contents::platforms(assembly),
        })
    }
}
