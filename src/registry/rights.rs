//! Finds out before any work is done whether a repository may be pushed to.
//!
//! A token server may grant less than was asked for without a word, so what `HEAD` is answered says
//! little: only an upload that was begun shows that one may be.

use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::endpoint::Endpoint;
use super::error::Error;
use super::redirect;
use super::session::{OpenUpload, SpareUpload};
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
    let endpoint = Endpoint::begin_before_push(repository);
    let headers = HeaderMap::new();
    let answer = transport.send(Call::plain(&endpoint, &headers)).await?;
    if answer.status() != StatusCode::ACCEPTED {
        return Err(*transport.refusal(&endpoint, answer).await.error);
    }
    // One that does not say where it is proves as much, and is of no further use.
    let location = answer.header("location").unwrap_or_default();
    let url = redirect::resolve(answer.url(), location).ok();
    Ok(SpareUpload::new(url.map(|url| OpenUpload::new(transport, repository, url))))
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
