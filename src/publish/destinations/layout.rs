//! An OCI layout in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::event::{Action, readable_size};
use crate::image::Assembly;
use crate::layer::Layer;
use crate::oci::Platform;
use crate::plan::LayerCompression;
use crate::publish::contents::{self, Contents, Counted};
use crate::publish::folder::LayoutFolder;
use crate::publish::once::Once;
use crate::publish::{
    Destination, DestinationKind, ParsedDestination, PublishContext, PublishError, Published,
    Session,
};
use crate::sys::blocking;

/// See the module.
pub(super) static KIND: DestinationKind = DestinationKind {
    name: "oci",
    syntax: "oci:DIR[:NAME]",
    summary: "a folder in OCI image layout; the image is added, or replaced by its name",
    is_remote: false,
    parse,
};

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The name in the layout, instead of the tags.
    name: Option<String>,
}

#[derive(Debug)]
struct Write {
    folder: Arc<LayoutFolder>,
    path: PathBuf,
    /// What the image is called in the layout.
    names: Vec<String>,
    context: PublishContext,
    added: Once,
}

fn parse(text: &str) -> Option<ParsedDestination> {
    let rest = text.strip_prefix("oci:")?;
    let (path, name) = split(rest);
    let problem = match name {
        _ if path.is_empty() => "it names no folder",
        Some("") => "the name after the folder is empty",
        Some(name) if !is_ref_name(name) => "a name in a layout has letters, digits and `-._:@+/`",
        _ => {
            let (path, name) = (PathBuf::from(path), name.map(str::to_owned));
            return Some(Ok(Box::new(Folder { path, name })));
        }
    };
    let (text, reason) = (text.to_owned(), problem.to_owned());
    Some(Err(PublishError::InvalidDestination { text, reason }))
}

/// Splits at the first `:`, as skopeo does; the one of a Windows drive is none.
fn split(text: &str) -> (&str, Option<&str>) {
    let is_drive = cfg!(windows)
        && matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let from = if is_drive { 2 } else { 0 };
    match text[from..].find(':') {
        Some(position) => (&text[..from + position], Some(&text[from + position + 1..])),
        None => (text, None),
    }
}

/// The characters of image-spec, annotations.md, `org.opencontainers.image.ref.name`.
fn is_ref_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:@+/".contains(&byte))
}

#[async_trait]
impl Destination for Folder {
    fn kind(&self) -> &'static DestinationKind {
        &KIND
    }

    fn describe(&self) -> String {
        match &self.name {
            Some(name) => format!("oci:{}:{name}", self.path.display()),
            None => format!("oci:{}", self.path.display()),
        }
    }

    fn check(&self, _: &[Platform], _: LayerCompression) -> Result<(), PublishError> {
        LayoutFolder::check(&self.path)
    }

    async fn open(&self, context: &PublishContext, tags: &[String]) -> Result<Box<dyn Session>> {
        let path = self.path.clone();
        let folder = blocking(move || LayoutFolder::open(&path)).await?;
        Ok(Box::new(Write {
            folder: Arc::new(folder),
            path: self.path.clone(),
            names: self.name.clone().map_or_else(|| tags.to_vec(), |own| vec![own]),
            context: context.clone(),
            added: Once::default(),
        }))
    }
}

#[async_trait]
impl Session for Write {
    async fn add_layer(&self, layer: &Layer) -> Result<()> {
        let add = async {
            let (folder, descriptor) = (Arc::clone(&self.folder), layer.descriptor.clone());
            if blocking(move || folder.has(&descriptor)).await? {
                return Ok(());
            }
            let descriptor = layer.descriptor.clone();
            let subject = format!("{} {}", descriptor.digest.short(), layer.name);
            let task = self.context.events.task(Action::Write, subject, Some(descriptor.size));
            let blob = contents::open(layer, &self.context).await?;
            let folder = Arc::clone(&self.folder);
            blocking(move || {
                folder.add_blob(&descriptor, Counted { inner: blob, task: &task })?;
                task.finish(readable_size(descriptor.size));
                Ok(())
            })
            .await
        };
        self.added.run(layer.descriptor.digest, add).await
    }

    async fn finish(&self, assembly: &Assembly) -> Result<Published> {
        let contents = Contents::of(assembly);
        for layer in contents.layers.values() {
            self.add_layer(layer).await?;
        }
        let image = contents::listed(assembly);
        let (folder, names) = (Arc::clone(&self.folder), self.names.clone());
        blocking(move || {
            for (digest, bytes) in &contents.documents {
                folder.add_document(digest, bytes)?;
            }
            folder.list(&image, &names).map_err(crate::error::Error::from)
        })
        .await?;
        Ok(Published {
            reference: reference(&self.path, assembly),
            descriptor: assembly.descriptor().clone(),
            tags: self.names.clone(),
            kept: BTreeMap::new(),
            platforms: contents::platforms(assembly),
        })
    }
}

fn reference(path: &Path, assembly: &Assembly) -> String {
    format!("oci:{}@{}", path.display(), assembly.descriptor().digest)
}
