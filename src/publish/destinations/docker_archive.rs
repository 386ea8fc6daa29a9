//! What `docker load` reads.
//!
//! The archive is an OCI layout that also has a `manifest.json`, as `docker save` has written it
//! since Docker 25: older engines and podman read `manifest.json`, engines with the containerd
//! image store read the layout and keep the image's digest. Layers stay as they are packed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;

use crate::error::Result;
use crate::image::{Assembly, Image};
use crate::layer::Layer;
use crate::oci::{Platform, Reference, canonical_json};
use crate::plan::LayerCompression;
use crate::publish::archive::{self, Archive, Place, blob_path};
use crate::publish::contents::{self, Contents};
use crate::publish::{
    Destination, DestinationKind, ParsedDestination, PublishContext, PublishError, Published,
    Session,
};
use crate::store::layout::REF_NAME;

/// See the module.
pub(super) static KIND: DestinationKind = DestinationKind {
    name: "docker-archive",
    syntax: "docker-archive:FILE",
    summary: "a tar file for `docker load`, of one platform; `-` alone writes it to standard output",
    is_remote: false,
    parse,
};

/// The annotation by which containerd names an image that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

#[derive(Debug)]
struct DockerArchive {
    place: Place,
}

#[derive(Debug)]
struct Write {
    place: Place,
    tags: Vec<String>,
    context: PublishContext,
}

/// An entry of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

fn parse(text: &str) -> Option<ParsedDestination> {
    let path = if text == "-" { text } else { text.strip_prefix("docker-archive:")? };
    Some(Place::parse(text, path).map(|place| Box::new(DockerArchive { place }) as _))
}

#[async_trait]
impl Destination for DockerArchive {
    fn kind(&self) -> &'static DestinationKind {
        &KIND
    }

    fn describe(&self) -> String {
        format!("docker-archive:{}", self.place)
    }

    fn check(
        &self,
        platforms: &[Platform],
        compression: LayerCompression,
    ) -> Result<(), PublishError> {
        if compression == LayerCompression::Zstd {
            return Err(PublishError::ZstdInDockerArchive);
        }
        if platforms.len() > 1 {
            return Err(PublishError::SeveralPlatforms { platforms: platforms.to_vec() });
        }
        self.place.check()
    }

    async fn open(&self, context: &PublishContext, tags: &[String]) -> Result<Box<dyn Session>> {
        self.place.check()?;
        names(&context.name, &[])?;
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
        let platforms = contents::platforms(assembly);
        let [image] = &assembly.images[..] else {
            return Err(PublishError::SeveralPlatforms { platforms }.into());
        };
        let names = names(&self.context.name, &self.tags)?;
        let annotations: Vec<_> = names.iter().map(annotations).collect();
        let archive = Archive {
            contents: Contents::of(assembly),
            index: archive::index_of(&contents::listed(assembly), &annotations),
            extra: [("manifest.json".to_owned(), manifest_json(image, &names))].into(),
        };
        archive::write(archive, &self.place, &self.context).await?;
        let descriptor = assembly.descriptor().clone();
        Ok(Published {
            reference: format!("docker-archive:{}@{}", self.place, descriptor.digest),
            descriptor,
            tags: names.into_iter().filter_map(|name| name.tag).collect(),
            kept: BTreeMap::new(),
            platforms,
        })
    }
}

/// The names that the engine gives the image; without a tag, `latest`, or the image would be
/// loaded without any name.
fn names(name: &str, tags: &[String]) -> Result<Vec<Reference>, PublishError> {
    let latest = ["latest".to_owned()];
    let tags = if tags.is_empty() { &latest } else { tags };
    let named = |tag| {
        let name = format!("{name}:{tag}");
        name.parse::<Reference>().map_err(|source| PublishError::InvalidName { name, source })
    };
    tags.iter().map(named).collect()
}

fn annotations(name: &Reference) -> BTreeMap<String, String> {
    let tag = name.tag.clone().unwrap_or_default();
    [(CONTAINERD_NAME.to_owned(), name.to_string()), (REF_NAME.to_owned(), tag)].into()
}

fn manifest_json(image: &Image, names: &[Reference]) -> Bytes {
    let saved = Saved {
        config: blob_path(&image.config.descriptor.digest),
        repo_tags: names.iter().map(familiar).collect(),
        layers: image.layers.iter().map(|layer| blob_path(&layer.descriptor.digest)).collect(),
    };
    canonical_json(&[saved]).into()
}

/// The name as Docker shows it: without what it adds to short names.
fn familiar(name: &Reference) -> String {
    let name = name.to_string();
    let name = name.strip_prefix("docker.io/").unwrap_or(&name);
    name.strip_prefix("library/").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_as_docker_names_it() {
        for (name, tags, expected) in [
            ("hello", &[][..], &["hello:latest"][..]),
            ("hello", &["v1", "v2"], &["hello:v1", "hello:v2"]),
            ("docker.io/acme/hello", &["v1"], &["acme/hello:v1"]),
            ("localhost:5000/acme/hello", &["v1"], &["localhost:5000/acme/hello:v1"]),
        ] {
            let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let names: Vec<_> = names(name, &tags).unwrap().iter().map(familiar).collect();
            assert_eq!(names, expected);
        }
        assert_eq!(
            names("Hello World", &[]).unwrap_err().to_string(),
            "an image cannot be called `Hello World:latest`"
        );
    }

    #[test]
    fn several_platforms_are_refused_with_a_way_out() {
        use crate::error::Classified as _;
        let archive = DockerArchive { place: Place::Stdout };
        let platforms = [Platform::linux_amd64(), Platform::new("linux", "arm64", None)];
        let error = archive.check(&platforms, LayerCompression::Gzip).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a docker-archive holds an image of one platform, not of linux/amd64, linux/arm64"
        );
        assert_eq!(
            error.hints(),
            ["choose one, for instance with `--platform linux/amd64`, or write an `oci-archive:`"]
        );
        archive.check(&platforms[..1], LayerCompression::Gzip).unwrap();
    }
}
