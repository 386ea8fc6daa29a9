//! An answer: its head, its body as long as it moves, and the error that it is for who has no use for it.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};
use tokio::sync::OwnedSemaphorePermit;

use super::connection_problem::RootCause;
use super::error::Error;
use super::error_body::{ErrorBody, MAX_ERROR_BYTES, PAGE};
use super::exchange::{Exchange, tick};
use super::retry::{Fault, Retry, is_later};
use super::retry_after;
use super::stall::StallTimer;

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    exchange: Exchange,
    timer: StallTimer,
    /// The place at the registry that is taken until the body has come.
    permit: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn new(response: Response, exchange: Exchange, timer: StallTimer) -> Self {
        Self { response, exchange, timer, permit: None }
    }

    /// Keeps a place at the registry until the body has come, or nobody wants it any more.
    pub(super) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The URL that answered.
    pub(super) fn url(&self) -> &Url {
        self.response.url()
    }

    /// All headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header that is there once and is ASCII.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut at = Instant::now();
        let tick = tick(&self.exchange.limits);
        loop {
            let next = tokio::time::timeout(tick, self.response.chunk()).await;
            let bytes = match &next {
                Ok(Ok(Some(bytes))) => bytes.len() as u64,
                _ => 0,
            };
            let now = Instant::now();
            let watched = self.timer.observe(now - at, bytes);
            at = now;
            match next {
                Ok(Ok(None)) => {
                    self.permit = None;
                    return Ok(None);
                }
                Ok(Err(error)) => return Err(self.lost(error)),
                // Bytes that drip are a stall too, although there is always a next one.
                Ok(Ok(Some(_))) | Err(_) => watched.map_err(|stall| {
                    let (action, host) = self.names();
                    Fault::transient(Error::Stalled { action, host, reason: stall.to_string() })
                })?,
            }
            if let Ok(Ok(Some(bytes))) = next {
                return Ok(Some(bytes));
            }
        }
    }

    /// The whole body, which may have at most `limit` bytes.
    pub(super) async fn body(&mut self, limit: u64) -> Result<Bytes, Fault> {
        let mut body = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            body.extend_from_slice(&bytes);
            if body.len() as u64 > limit {
                let action = self.exchange.action.clone();
                return Err(Fault::permanent(Error::TooLarge { action, limit }));
            }
        }
        Ok(body.freeze())
    }

    /// What the answer says about a refusal; a body that does not come is an empty one.
    pub(super) async fn error_body(&mut self) -> ErrorBody {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BYTES {
            match self.chunk().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(MAX_ERROR_BYTES);
        ErrorBody::parse(&body, &self.exchange.mask)
    }

    /// Passes an answer on unless its status says "later": then a fault with the wait asked for.
    pub(super) async fn unless_later(mut self, our_unix_seconds: i64) -> Result<Self, Fault> {
        let status = self.status().as_u16();
        if !is_later(status) {
            return Ok(self);
        }
        let asked = self.header("retry-after").map(|header| self.exchange.mask.clean(header));
        let wait = asked
            .as_deref()
            .and_then(|header| retry_after::parse(header, self.header("date"), our_unix_seconds));
        let body = self.error_body().await;
        let mut detail = body.text().to_owned();
        if let Some(asked) = asked {
            let separator = if detail.is_empty() { "" } else { "; " };
            detail = format!("{detail}{separator}it says `Retry-After: {asked}`");
        }
        let error = self.refused(status, detail);
        Err(Fault::new(error, wait.map_or(Retry::BackOff, Retry::After)))
    }

    /// The error for a status that the caller has no use for.
    pub(super) async fn refusal(mut self) -> Fault {
        let body = self.error_body().await;
        self.refusal_with(&body)
    }

    /// As [`Answer::refusal`], when the body was read already.
    pub(super) fn refusal_with(&self, body: &ErrorBody) -> Fault {
        let (action, host) = self.names();
        let detail = body.text().to_owned();
        Fault::permanent(match self.status().as_u16() {
            // This one says enough: the request is too large for a proxy on the way (N38).
            status if body.is_page && status != 413 => {
                Error::Page { action, host, status, page: detail }
            }
            403 => Error::Denied { action, host, identity: None, detail, login: None },
            404 => Error::NotFound { action, host, detail, push_to: None },
            status => self.refused(status, detail),
        })
    }

    /// The error for an answer that breaks the protocol.
    pub(super) fn nonsense(&self, reason: impl Into<String>) -> Error {
        let (action, host) = self.names();
        let media_type = self.header("content-type").unwrap_or_default();
        if media_type.trim_start().to_ascii_lowercase().starts_with("text/html") {
            return Error::Page { action, host, status: self.status().as_u16(), page: PAGE.into() };
        }
        Error::Protocol { action, host, reason: self.exchange.mask.hide(&reason.into()) }
    }

    /// What was attempted.
    pub(super) fn action(&self) -> &str {
        &self.exchange.action
    }

    /// What was attempted, and whom we called.
    fn names(&self) -> (String, String) {
        (self.exchange.action.clone(), self.exchange.host.clone())
    }

    fn refused(&self, status: u16, detail: String) -> Error {
        let (action, host) = self.names();
        Error::Refused { action, host, status, detail }
    }

    fn lost(&self, error: reqwest::Error) -> Fault {
        let source = RootCause::of(&error.without_url());
        let (action, host) = self.names();
        Fault::transient(Error::ConnectionLost { action, host, source })
    }
}
