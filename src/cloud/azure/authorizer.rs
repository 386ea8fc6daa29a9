//! Proves to Azure who we are, with a token of the first source that has one.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::sync::Mutex;

use super::claims;
use super::sources::{Nowhere, Sources, Token};
use crate::cloud::authorizer::{Authorizer, Outgoing};
use crate::cloud::{CallError, ErrorClass, RESOURCE_MANAGER};
use crate::event::Events;
use crate::registry::{Https, Settings};
use crate::sys::{Clock, Environment};

/// A token that ends sooner than this, in seconds, is not used any more.
const SPARE_SECONDS: i64 = 300;

/// Azure's part of the client.
pub(in crate::cloud) fn authorizer(
    settings: &Settings,
    environment: &Environment,
    events: &Events,
    clock: &Arc<dyn Clock>,
) -> Box<dyn Authorizer> {
    let https = Https::new(settings.clone(), events.clone(), Arc::clone(clock));
    Box::new(Bearer {
        sources: Sources::new(https, environment),
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
        let token = told.map_err(|nowhere| no_credentials(title, nowhere))?;
        let who = claims::identity(token.secret.expose());
        let who = who.map(|who| format!(", for `{who}`")).unwrap_or_default();
        self.events.detail(format!("Azure: a token from {}{who}", token.source));
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
            let tried = vec![format!("{}: what it gives is no token", token.source)];
            no_credentials(&title, Nowhere { tried, hints: Vec::new() })
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

/// That no source has a token, and why each has none: a line for each.
fn no_credentials(title: &str, nowhere: Nowhere) -> CallError {
    CallError {
        message: format!("no source has credentials for Azure:\n  {}", nowhere.tried.join("\n  ")),
        hints: nowhere.hints,
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
                "give the job `permissions: {contents: read, id-token: write}`, and add the step `azure/login` before \
                 this one, or set `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` of an identity with a \
                 federated credential for this repository",
            ),
        ] {
            let settings = Settings::default();
            let authorizer = authorizer(&settings, &environment, &Events::none(), &clock);
            let error = authorizer.identity().await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "identity: no source has credentials for Azure:\n  environment: `AZURE_TENANT_ID` and \
                 `AZURE_CLIENT_ID` are not set"
            );
            assert_eq!(
                (error.class, error.hints()),
                (ErrorClass::NoCredentials, vec![hint.into()])
            );
        }
    }
}
