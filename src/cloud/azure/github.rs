//! The token that GitHub gives a job, for Entra to exchange.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use crate::registry::{Https, Secret};

/// For whom the token is.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// Asks GitHub for it.
#[derive(Debug)]
pub(super) struct GithubToken {
    pub(super) https: Arc<Https>,
    pub(super) url: String,
    pub(super) token: Secret,
}

#[async_trait]
impl ClientAssertion for GithubToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let mut url: Url = self.url.parse()?;
        url.query_pairs_mut().append_pair("audience", AUDIENCE);
        let mut request = Request::new(Method::GET, url);
        let value = HeaderValue::try_from(format!("Bearer {}", self.token.expose()));
        let mut value = value.map_err(|error| Error::new(ErrorKind::Credential, error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        let reply = self.https.send(request, "ask GitHub for the token of the job").await;
        let reply = reply.map_err(|fault| Error::new(ErrorKind::Credential, *fault.error))?;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let token = answer["value"].as_str().filter(|_| reply.status == 200);
        token.map(str::to_owned).ok_or_else(|| {
            let status = reply.status;
            let text = format!("GitHub gives no token for the job: it answered {status}");
            Error::with_message(ErrorKind::Credential, text)
        })
    }
}
