//! Asks whether a repository has a blob, without fetching it.

use std::sync::Arc;

use super::download::Download;
use super::error::Error;
use super::transport::Transport;
use super::upload;
use crate::oci::{Descriptor, Repository};

/// What a registry says of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobLookup {
    /// It has it, as far as it says.
    Present,
    /// It has something of so many bytes in its place.
    OtherSize(u64),
    /// It does not have it.
    Absent,
}

/// Asks as often as it takes.
pub(super) async fn look_for_blob(
    transport: &Arc<Transport>,
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<BlobLookup, Error> {
    match upload::blob_size(transport, repository, &descriptor.digest).await {
        Ok(Some(size)) if size != descriptor.size => Ok(BlobLookup::OtherSize(size)),
        Ok(Some(_)) => Ok(BlobLookup::Present),
        // Some know no `HEAD`, some refuse it to whom they let pull, and some say nothing of the size.
        Ok(None) => open(transport, repository, descriptor).await,
        Err(Error::NotFound { .. }) => Ok(BlobLookup::Absent),
        Err(error) => Err(error),
    }
}

/// Begins to fetch it.
async fn open(
    transport: &Arc<Transport>,
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<BlobLookup, Error> {
    match Download::new(transport, repository, descriptor).open().await {
        Ok(()) => Ok(BlobLookup::Present),
        Err(Error::NotFound { .. }) => Ok(BlobLookup::Absent),
        Err(Error::WrongSize { actual, .. }) => Ok(BlobLookup::OtherSize(actual)),
        Err(error) => Err(error),
    }
}
