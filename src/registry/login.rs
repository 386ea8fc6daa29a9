//! Finds out whether a registry accepts our credentials, without asking for any repository.

use reqwest::header::HeaderMap;

use super::endpoint::Endpoint;
use super::error::Error;
use super::transport::{Call, Transport};
use crate::oci::Repository;

/// Asks for the root of the API, as every client does at its login (distribution-spec, "API").
/// Gives whether credentials were wanted.
///
/// # Errors
///
/// [`Error::Unauthorized`] when they are wrong or missing; those of the network.
pub(super) async fn log_in(transport: &Transport, registry: &str) -> Result<bool, Error> {
    let repository: Repository = format!("{registry}/any/repository").parse().map_err(|_| {
        Error::Settings { host: registry.to_owned(), reason: "it is not a host name".into() }
    })?;
    let (endpoint, headers) = (Endpoint::log_in(&repository), HeaderMap::new());
    let answer = transport.send(Call::plain(&endpoint, &headers)).await?;
    if !answer.status().is_success() {
        return Err(*transport.refusal(&endpoint, answer).await.error);
    }
    // They are looked for only once they are wanted.
    Ok(transport.auth.known(&repository).identity().is_some())
}
