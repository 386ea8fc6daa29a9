//! Asks whether a repository has a blob, without fetching it.

use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::download::Download;
use super::endpoint::{Endpoint, Right};
use super::error::Error;
use super::retry::Fault;
use super::transport::{Call, Transport};
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
    let endpoint = Endpoint::head_blob(repository, &descriptor.digest, Right::Pull);
    let mut tries = transport.patience.begin();
    loop {
        match ask(transport, &endpoint, descriptor).await {
            Ok(Some(found)) => {
                transport.patience.confirm_progress();
                return Ok(found);
            }
            // Some know no `HEAD`, and some refuse it to whom they let pull.
            Ok(None) => return open(transport, repository, descriptor).await,
            Err(fault) => tries.outlast(fault).await?,
        }
    }
}

async fn ask(
    transport: &Arc<Transport>,
    endpoint: &Endpoint,
    descriptor: &Descriptor,
) -> Result<Option<BlobLookup>, Fault> {
    let headers = HeaderMap::new();
    let answer = transport.once(Call::plain(endpoint, &headers)).await?;
    match answer.status() {
        StatusCode::OK => {
            let size = answer.header("content-length").and_then(|size| size.parse().ok());
            // Some say nothing of the size, and some that it is 0.
            let other = size.filter(|size: &u64| *size != 0 && *size != descriptor.size);
            Ok(Some(other.map_or(BlobLookup::Present, BlobLookup::OtherSize)))
        }
        StatusCode::NOT_FOUND => Ok(Some(BlobLookup::Absent)),
        StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
        _ => Err(transport.refusal(endpoint, answer).await),
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
