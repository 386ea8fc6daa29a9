//! The token that GitHub gives a job, for Entra to exchange.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::http::MAX_RETRIES;
use crate::registry::{Https, Retry, Secret};

/// For whom the token is.
const AUDIENCE: &str = "api://AzureADTokenExchange";
/// No wait that GitHub asks for is longer: a source has a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Asks GitHub for it.
#[derive(Debug)]
pub(super) struct GithubToken {
    pub(super) https: Arc<Https>,
    pub(super) url: String,
    pub(super) token: Secret,
}

/// Why there is no token.
struct Untold {
    error: Error,
    /// What it says about asking again.
    retry: Retry,
}

impl GithubToken {
    /// One try.
    async fn ask(&self) -> Result<String, Untold> {
        let last = |error: Error| Untold { error, retry: Retry::Never };
        let request = self.request().map_err(last)?;
        let reply = self.https.send(request, "ask GitHub for the token of the job").await;
        let reply = reply.map_err(|fault| Untold {
            retry: fault.retry,
            error: Error::new(ErrorKind::Credential, *fault.error),
        })?;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let token = answer["value"].as_str().filter(|_| reply.status == 200);
        token.map(str::to_owned).ok_or_else(|| {
            let status = reply.status;
            let text = format!("GitHub gives no token for the job: it answered {status}");
            let retry = match reply.retry {
                _ if !matches!(status, 408 | 429 | 500..=599) => Retry::Never,
                Some(Retry::After(wait)) => Retry::After(wait.min(LONGEST_WAIT)),
                _ => Retry::BackOff,
            };
            Untold { error: Error::with_message(ErrorKind::Credential, text), retry }
        })
    }

    fn request(&self) -> azure_core::Result<Request> {
        let mut url: Url = self.url.parse()?;
        url.query_pairs_mut().append_pair("audience", AUDIENCE);
        let mut request = Request::new(Method::GET, url);
        let value = HeaderValue::try_from(format!("Bearer {}", self.token.expose()));
        let mut value = value.map_err(|error| Error::new(ErrorKind::Credential, error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(request)
    }
}

#[async_trait]
impl ClientAssertion for GithubToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let mut tries = self.https.begin();
        let mut retries = 0;
        loop {
            let Untold { error, retry } = match self.ask().await {
                Ok(token) => return Ok(token),
                Err(untold) => untold,
            };
            retries += 1;
            if retries > MAX_RETRIES || !tries.wait(retry, &error).await {
                return Err(error);
            }
        }
    }
}
