//! Proves to Azure who we are, with a token of the first source that has one.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::sync::Mutex;

use super::claims;
use super::sources::{Sources, Token};
use crate::cloud::authorizer::{Authorizer, Outgoing};
use crate::cloud::{CallError, ErrorClass, RESOURCE_MANAGER};
use crate::event::Events;
use crate::sys::{Clock, Environment};

/// A token that ends sooner than this, in seconds, is not used any more.
const SPARE_SECONDS: i64 = 300;

/// Azure's part of the client.
pub(in crate::cloud) fn authorizer(
    environment: &Environment,
    events: &Events,
    clock: &Arc<dyn Clock>,
) -> Box<dyn Authorizer> {
    Box::new(Bearer {
        sources: Sources::new(environment),
        events: events.clone(),
        clock: clock.clone(),
        kept: Mutex::default(),
    })
}

#[derive(Debug)]
struct Bearer {
    sources: Sources,
    events: Events,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Token>>,
}

impl Bearer {
    async fn token(&self, title: &str) -> Result<Token, CallError> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.unix_seconds();
        if let Some(token) = kept.as_ref().filter(|token| token.expires_at - SPARE_SECONDS > now) {
            return Ok(token.clone());
        }
        let told = self.sources.token(self.sources.management_scope()).await;
        let token = told.map_err(|tried| no_credentials(title, &tried, self.sources.cure()))?;
        self.events.detail(format!("Azure: a token from {}", token.source));
        *kept = Some(token.clone());
        Ok(token)
    }
}

#[async_trait]
impl Authorizer for Bearer {
    async fn authorize(&self, outgoing: &Outgoing<'_>) -> Result<HeaderMap, CallError> {
        let title = outgoing.request.title();
        let token = self.token(&title).await?;
        let value = HeaderValue::try_from(format!("Bearer {}", token.secret.expose()));
        let mut value = value.map_err(|_| {
            let reason = format!("{}: what it gives is no token", token.source);
            no_credentials(&title, &[reason], self.sources.cure())
        })?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }

    async fn identity(&self) -> Result<Option<String>, CallError> {
        let token = self.token("identity").await?;
        Ok(claims::identity(token.secret.expose()))
    }

    async fn forget(&self) -> bool {
        self.kept.lock().await.take().is_some()
    }
}

/// That no source has a token, and why each has none.
fn no_credentials(title: &str, tried: &[String], cure: String) -> CallError {
    CallError {
        message: format!("there are no credentials for Azure ({})", tried.join("; ")),
        hints: vec![cure],
        ..CallError::new(&RESOURCE_MANAGER, title, ErrorClass::NoCredentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Classified as _;
    use crate::sys::ManualClock;

    #[tokio::test]
    async fn without_credentials_every_source_that_was_asked_says_why() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
        let named = ("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential");
        for (environment, hint) in [
            (Environment::of([named]), "log in: `az login`"),
            (
                Environment::of([named, ("GITHUB_ACTIONS", "true")]),
                "give the job `permissions: {id-token: write}`, and add the step `azure/login` before \
                 this one, or set `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` of an identity with a \
                 federated credential for this repository",
            ),
        ] {
            let error =
                authorizer(&environment, &Events::none(), &clock).identity().await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "identity: there are no credentials for Azure (environment: `AZURE_TENANT_ID` and \
                 `AZURE_CLIENT_ID` are not set)"
            );
            assert_eq!(
                (error.class, error.hints()),
                (ErrorClass::NoCredentials, vec![hint.into()])
            );
        }
    }
}
