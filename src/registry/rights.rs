//! Finds out before any work is done whether a repository may be pushed to.
//!
//! A token server may grant less than was asked for without a word, so what `HEAD` is answered says
//! little: only an upload that was begun shows that one may be.

use std::sync::Arc;

use reqwest::header::HeaderMap;

use super::endpoint::Endpoint;
use super::error::Error;
use super::session::{self, Begun, SpareUpload};
use super::transport::{Call, Transport};
use crate::oci::Repository;

/// Begins an upload that the first blob may take.
///
/// # Errors
///
/// What a registry answers that does not want us: [`Error::Unauthorized`], [`Error::Denied`],
/// [`Error::NotFound`], [`Error::Refused`]; those of the network.
pub(super) async fn begin_upload(
    transport: &Arc<Transport>,
    repository: &Repository,
) -> Result<SpareUpload, Error> {
    let mut tries = transport.patience.begin();
    loop {
        match session::begin(transport, Endpoint::begin_before_push(repository)).await {
            Ok(Begun::Session(session)) => return Ok(SpareUpload::new(Some(session))),
            // Either proves as much, and is of no further use.
            Ok(Begun::Mounted | Begun::Nowhere(_)) => return Ok(SpareUpload::default()),
            Err(fault) => tries.outlast(fault).await?,
        }
    }
}

/// Logs in with the right to push and begins an upload, which is dropped again: it leaves nothing.
///
/// # Errors
///
/// Those of [`begin_upload`].
pub(super) async fn prove_push(
    transport: &Arc<Transport>,
    repository: &Repository,
    tag: &str,
) -> Result<(), Error> {
    // Who is not known learns it from a request that changes nothing.
    let look = Endpoint::look_before_push(repository, tag);
    transport.send(Call::plain(&look, &HeaderMap::new())).await?;
    begin_upload(transport, repository).await?.cancel().await;
    Ok(())
}
