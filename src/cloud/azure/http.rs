//! The way to whoever gives tokens: ours, with its TLS and proxies, for Azure's credentials.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body, ExponentialRetryOptions, HttpClient, Request, RetryOptions, Transport,
};
use reqwest::header::{HeaderName, HeaderValue};

use crate::registry::{Https, Retry};

/// What a request is for, in messages.
const ACTION: &str = "ask for a token";
/// How often a request that never arrived, or that nobody could answer then, is sent again.
pub(super) const MAX_RETRIES: u32 = 3;

/// Sends the requests of Azure's credentials.
#[derive(Debug)]
struct Client(Arc<Https>);

/// What Azure's credentials send through.
pub(super) fn transport(https: &Arc<Https>) -> Transport {
    Transport::new(Arc::new(Client(Arc::clone(https))))
}

/// How patient they are.
pub(super) fn patience() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions {
        max_retries: MAX_RETRIES,
        ..ExponentialRetryOptions::default()
    })
}

#[async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Self(https) = self;
        let reply = https.send(outgoing(request)?, ACTION).await.map_err(|fault| {
            // Only what is of the latter kind is sent again.
            let is_last = matches!(fault.retry, Retry::Never);
            let kind = if is_last { ErrorKind::Other } else { ErrorKind::Connection };
            Error::new(kind, *fault.error)
        })?;
        let mut headers = Headers::new();
        for (name, value) in &reply.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(reply.status.into(), headers, reply.body))
    }
}

fn outgoing(request: &Request) -> azure_core::Result<reqwest::Request> {
    let wrong = |error: reqwest::header::InvalidHeaderValue| Error::new(ErrorKind::Other, error);
    let method = request.method().as_str().parse().expect("every method is one of HTTP");
    let mut outgoing = reqwest::Request::new(method, request.url().clone());
    for (name, value) in request.headers().iter() {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|error| Error::new(ErrorKind::Other, error))?;
        outgoing.headers_mut().append(name, HeaderValue::try_from(value.as_str()).map_err(wrong)?);
    }
    let Body::Bytes(body) = request.body() else {
        return Err(Error::with_message(ErrorKind::Other, "no credential sends streams"));
    };
    *outgoing.body_mut() = Some(body.clone().into()).filter(|_| !body.is_empty());
    Ok(outgoing)
}
