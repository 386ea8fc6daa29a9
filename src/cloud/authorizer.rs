//! Who we are at one cloud: the contract between the client, which sends, and each cloud's credentials.

use std::fmt;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::{CallError, Request};

/// A request that is about to be sent, as it will be sent.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only AWS signs all of it"))]
pub(super) struct Outgoing<'a> {
    /// The request.
    pub(super) request: &'a Request,
    /// Where it goes, with its query.
    pub(super) url: &'a Url,
    /// Its headers so far.
    pub(super) headers: &'a HeaderMap,
    /// Its body.
    pub(super) body: &'a [u8],
}

/// An answer that is no success.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'a> {
    /// What was asked.
    pub(super) request: &'a Request,
    /// The HTTP status.
    pub(super) status: u16,
    /// The headers of the answer.
    pub(super) headers: &'a HeaderMap,
    /// Its body.
    pub(super) body: &'a [u8],
}

/// Proves to one cloud who we are, by the cloud's own chain of credentials.
#[async_trait]
pub(super) trait Authorizer: fmt::Debug + Send + Sync {
    /// The headers that prove it for this request.
    ///
    /// # Errors
    /// No source has credentials: each is listed with its reason.
    async fn authorize(&self, outgoing: &Outgoing<'_>) -> Result<HeaderMap, CallError>;

    /// Who we are, as far as the credentials themselves tell; nothing when only the cloud knows.
    async fn identity(&self) -> Result<Option<String>, CallError>;

    /// Forgets credentials that the cloud refused; says whether others may be had now.
    async fn forget(&self) -> bool {
        false
    }
}
