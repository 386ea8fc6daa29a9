//! An image that was pushed before: its documents, each fetched once and then kept in the store.

use bytes::Bytes;
use futures_util::future;

use crate::error::Result;
use crate::oci::{
    Descriptor, Document, ImageConfig, Index, Manifest, MediaType, Reference, Repository,
};
use crate::registry::Client;
use crate::store::Store;
use crate::sys::blocking;

/// More images than this in an index are none of ours.
const MAX_IMAGES: usize = 16;

/// An image in a registry, or the images in an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Under what it was found.
    pub reference: Reference,
    /// Manifest and config of each platform.
    pub images: Vec<(Manifest, ImageConfig)>,
}

impl Earlier {
    /// Reads what a reference is known to be.
    ///
    /// # Errors
    ///
    /// The registry's, the store's, and [`InvalidDocument`](crate::oci::InvalidDocument).
    pub(super) async fn read(
        client: &Client,
        store: &Store,
        reference: &Reference,
        top: &Descriptor,
    ) -> Result<Self> {
        let source = Source { client, store, repository: &reference.repository };
        let manifests = if top.media_type.is_index() {
            let index: Document<Index> =
                Document::parse_index(source.manifest(top).await?, top.media_type.clone())?;
            index.value.images().take(MAX_IMAGES).cloned().collect()
        } else {
            vec![top.clone()]
        };
        let images = manifests.iter().map(|manifest| source.image(manifest));
        let images = future::try_join_all(images).await?;
        Ok(Self { reference: reference.clone(), images })
    }
}

/// Where documents come from: the store, else the registry.
struct Source<'a> {
    client: &'a Client,
    store: &'a Store,
    repository: &'a Repository,
}

impl Source<'_> {
    async fn image(&self, descriptor: &Descriptor) -> Result<(Manifest, ImageConfig)> {
        let media_type = descriptor.media_type.clone();
        let manifest: Document<Manifest> =
            Document::parse_manifest(self.manifest(descriptor).await?, media_type)?;
        let config = &manifest.value.config;
        let bytes = match self.known(config).await? {
            Some(bytes) => bytes,
            None => self.keep(self.client.fetch_blob(self.repository, config).await?).await?,
        };
        let config: Document<ImageConfig> = Document::parse(bytes, MediaType::OciConfig)?;
        Ok((manifest.value, config.value))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Bytes> {
        if let Some(bytes) = self.known(descriptor).await? {
            return Ok(bytes);
        }
        let reference = self.repository.at_digest(descriptor.digest);
        self.keep(self.client.fetch_manifest(&reference).await?.bytes).await
    }

    async fn known(&self, descriptor: &Descriptor) -> Result<Option<Bytes>> {
        let (store, descriptor) = (self.store.clone(), descriptor.clone());
        // A size that a registry got wrong must not cost a good blob its place.
        blocking(move || if store.has(&descriptor) { store.read(&descriptor) } else { Ok(None) })
            .await
    }

    async fn keep(&self, bytes: Bytes) -> Result<Bytes> {
        let store = self.store.clone();
        blocking(move || store.put(&bytes).map(|_| bytes)).await
    }
}
