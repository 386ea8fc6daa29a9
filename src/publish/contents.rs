//! Everything that an image consists of, blob by blob.

use std::collections::BTreeMap;
use std::io::{self, Read};

use bytes::Bytes;

use super::{PublishContext, PublishError};
use crate::error::Result;
use crate::image::Assembly;
use crate::layer::Layer;
use crate::oci::{Descriptor, Digest, Platform};
use crate::plan::Origin;
use crate::store::Store;
use crate::sys::BlockingReader;

/// The blobs of an image, each once.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// Layers.
    pub(super) layers: BTreeMap<Digest, Layer>,
    /// Configs, manifests and the index.
    pub(super) documents: BTreeMap<Digest, Bytes>,
}

impl Contents {
    pub(super) fn of(assembly: &Assembly) -> Self {
        let layers = assembly.images.iter().flat_map(|image| &image.layers);
        let documents = assembly.images.iter().flat_map(|image| {
            let config = (image.config.descriptor.digest, image.config.bytes.clone());
            let manifest = (image.manifest.descriptor.digest, image.manifest.bytes.clone());
            [config, manifest]
        });
        let index =
            assembly.index.iter().map(|index| (index.descriptor.digest, index.bytes.clone()));
        Self {
            layers: layers.map(|layer| (layer.descriptor.digest, layer.clone())).collect(),
            documents: documents.chain(index).collect(),
        }
    }

    /// The size of everything.
    pub(super) fn size_bytes(&self) -> u64 {
        let layers: u64 = self.layers.values().map(|layer| layer.descriptor.size).sum();
        let documents: u64 = self.documents.values().map(|bytes| bytes.len() as u64).sum();
        layers + documents
    }
}

/// What an index lists for an image: one without an index of its own says its platform.
pub(super) fn listed(assembly: &Assembly) -> Descriptor {
    let mut descriptor = assembly.descriptor().clone();
    if assembly.index.is_none() {
        descriptor.platform = platforms(assembly).pop();
    }
    descriptor
}

/// The platforms that a user knows of: attestations are on none.
pub(super) fn platforms(assembly: &Assembly) -> Vec<Platform> {
    let platforms = assembly.images.iter().map(|image| &image.platform);
    platforms.filter(|platform| !platform.is_unknown()).cloned().collect()
}

/// Opens the bytes of a layer for a thread that may block. They are not verified yet.
///
/// # Errors
///
/// [`PublishError::MissingBlob`], and the errors of the store and of the client.
pub(super) async fn open(layer: &Layer, context: &PublishContext) -> Result<Box<dyn Read + Send>> {
    let descriptor = &layer.descriptor;
    let (store, place) = match &layer.origin {
        Origin::Registry(repository) => {
            let blob = Box::pin(context.client.open_blob(repository, descriptor)).await?;
            return Ok(Box::new(BlockingReader::spawn(blob)));
        }
        Origin::Store => (context.store.clone(), "the cache".to_owned()),
        Origin::Layout(path) => (Store::read_only(path), format!("`{}`", path.display())),
    };
    match store.open_blob(descriptor)? {
        Some(file) => Ok(Box::new(file)),
        None => Err(PublishError::MissingBlob { digest: descriptor.digest, place }.into()),
    }
}

/// Tells a task of every byte that is read.
pub(super) struct Counted<'a, R> {
    pub(super) inner: R,
    pub(super) task: &'a crate::event::Task,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.task.advance(count as u64);
        Ok(count)
    }
}
