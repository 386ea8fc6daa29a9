//! Finds out before any work is done whether a repository may be pushed to.

use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::endpoint::Endpoint;
use super::error::Error;
use super::redirect;
use super::transport::{Call, Transport};
use super::upload::cancel;
use crate::oci::Repository;

/// Logs in with the right to push, by asking for a tag: whether it is there does not matter.
///
/// A robot that may only push is not allowed to look. Then an upload is begun and dropped again: it
/// leaves nothing, and what it is answered counts.
///
/// # Errors
///
/// [`Error::Unauthorized`] and [`Error::Denied`]; those of the network. Whatever else a registry
/// answers says nothing about rights.
pub(super) async fn prove_push(
    transport: &Arc<Transport>,
    repository: &Repository,
    tag: &str,
) -> Result<(), Error> {
    let headers = HeaderMap::new();
    let look = Endpoint::look_before_push(repository, tag);
    if transport.send(Call::plain(&look, &headers)).await?.status() != StatusCode::FORBIDDEN {
        return Ok(());
    }
    let begin = Endpoint::begin_before_push(repository);
    let answer = transport.send(Call::plain(&begin, &headers)).await?;
    match answer.status() {
        StatusCode::ACCEPTED => {
            let location = answer.header("location").unwrap_or_default();
            if let Ok(url) = redirect::resolve(answer.url(), location) {
                cancel(transport, repository, url).await;
            }
            Ok(())
        }
        StatusCode::FORBIDDEN => Err(*transport.refusal(&begin, answer).await.error),
        _ => Ok(()),
    }
}
