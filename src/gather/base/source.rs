//! Where a base's documents come from: a registry or a layout on disk.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::oci::{Descriptor, InvalidDocument, MediaType, Repository};
use crate::plan::Origin;
use crate::registry::Client;
use crate::store::layout::Layout;
use crate::sys::blocking;

/// A place that has the documents and blobs of an image.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Registry { client: &'a Client, repository: Repository },
    Layout(Layout),
}

impl Source<'_> {
    /// Fetches a manifest or index that an index names.
    pub(super) async fn manifest(&self, descriptor: &Descriptor) -> Result<(Bytes, MediaType)> {
        match self {
            Self::Registry { client, repository } => {
                let reference = repository.at_digest(descriptor.digest);
                let fetched = client.fetch_manifest(&reference).await?;
                Ok((fetched.bytes, fetched.media_type))
            }
            Self::Layout(layout) => {
                Ok((document(layout, descriptor).await?, descriptor.media_type.clone()))
            }
        }
    }

    /// Fetches an image config.
    pub(super) async fn config(&self, descriptor: &Descriptor) -> Result<Bytes> {
        match self {
            Self::Registry { client, repository } => {
                client.fetch_blob(repository, descriptor).await
            }
            Self::Layout(layout) => document(layout, descriptor).await,
        }
    }

    /// Makes sure, where that costs nothing, that a layer can be had.
    pub(super) fn check_layer(&self, descriptor: &Descriptor) -> Result<()> {
        match self {
            Self::Registry { .. } => Ok(()),
            Self::Layout(layout) => layout.check(descriptor).map_err(Error::from),
        }
    }

    /// What is wrong when a document is not valid: a layout is the user's to make again.
    pub(super) fn invalid(&self, error: InvalidDocument) -> Error {
        match self {
            Self::Registry { .. } => error.into(),
            Self::Layout(layout) => layout.invalid(error).into(),
        }
    }

    /// What is noted about its layers.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Registry { repository, .. } => Origin::Registry(repository.clone()),
            Self::Layout(layout) => Origin::Layout(layout.path().to_owned()),
        }
    }
}

async fn document(layout: &Layout, descriptor: &Descriptor) -> Result<Bytes> {
    let (layout, descriptor) = (layout.clone(), descriptor.clone());
    blocking(move || layout.document(&descriptor)).await
}
