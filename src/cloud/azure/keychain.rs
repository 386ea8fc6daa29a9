//! Credentials for Azure's registries: a token of Entra for one of the registry.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::claims;
use super::registry_host::is_azure_registry;
use super::sources::Sources;
use crate::oci::Repository;
use crate::registry::{Credential, Https, Keychain, Lookup, Secret};
use crate::sys::{Clock, Environment};

/// What registries take tokens for, in every cloud, also where they take none for the Resource Manager.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// Who logs in with a token.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// How long a registry's token is good for where it does not say.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// The registries of Azure.
#[derive(Debug)]
pub(in crate::cloud) struct AzureRegistries {
    sources: Sources,
    clock: Arc<dyn Clock>,
}

impl AzureRegistries {
    /// Asks nobody before a host of Azure's needs it.
    pub(in crate::cloud) fn new(
        https: Https,
        environment: &Environment,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sources: Sources::new(https, environment), clock }
    }

    /// Has a registry give its own token for one of Entra.
    async fn exchange(&self, host: &str, token: &Secret) -> Result<Secret, String> {
        let https = self.sources.https();
        https.learn(token);
        let url: Url = format!("https://{host}/oauth2/exchange")
            .parse()
            .map_err(|_| format!("`{host}` is no host"))?;
        let mut request = Request::new(Method::POST, url);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(form(host, token).into());
        let action = format!("get a token from `{host}`");
        let reply = https.send(request, &action).await;
        let reply =
            reply.map_err(|fault| crate::error::Error::from(*fault.error).lines().join(": "))?;
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if let Some(token) = body["refresh_token"].as_str().filter(|_| reply.status == 200) {
            let token = Secret::new(token);
            https.learn(&token);
            return Ok(token);
        }
        let said = body.pointer("/errors/0/message").and_then(Value::as_str);
        let said = said.map(|said| format!(": {}", https.clean(said)));
        let (status, said) = (reply.status, said.unwrap_or_default());
        Err(format!("`{host}` gives no token for ours, it answers {status}{said}"))
    }
}

#[async_trait]
impl Keychain for AzureRegistries {
    fn name(&self, _: &Repository) -> String {
        "Azure".to_owned()
    }

    fn serves(&self, repository: &Repository) -> bool {
        is_azure_registry(repository.registry())
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        let host = repository.registry();
        if !is_azure_registry(host) {
            return Lookup::Nothing("it is no registry of Azure's".to_owned());
        }
        let token = match self.sources.token(SCOPE).await {
            Ok(token) => token,
            Err(nowhere) => return Lookup::Nothing(nowhere.tried.join("; ")),
        };
        match self.exchange(host, &token.secret).await {
            Ok(password) => {
                let life = life(password.expose(), self.clock.unix_seconds());
                let credential = Credential::Password { username: NOBODY.to_owned(), password };
                Lookup::Lent(credential, life)
            }
            Err(reason) => Lookup::Nothing(reason),
        }
    }
}

/// What a registry is asked with: a token, of which tenant, for whom.
fn form(host: &str, token: &Secret) -> String {
    let tenant = claims::claims(token.expose());
    let tenant = tenant.as_ref().and_then(|claims| claims["tid"].as_str());
    let mut form = Url::parse("form:").expect("it is a URL");
    form.query_pairs_mut()
        .append_pair("grant_type", "access_token")
        .append_pair("service", host)
        .extend_pairs(tenant.map(|tenant| ("tenant", tenant)))
        .append_pair("access_token", token.expose());
    form.query().unwrap_or_default().to_owned()
}

/// How long a token is good for.
fn life(token: &str, now: i64) -> Duration {
    let end = claims::claims(token).and_then(|claims| claims["exp"].as_i64());
    let rest = end.map(|end| u64::try_from(end - now).unwrap_or_default());
    rest.map_or(USUAL_LIFE, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_registry_of_any_cloud_is_asked_with_the_token_and_its_tenant() {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"tid":"t-1"}"#);
        assert_eq!(
            form("acme.azurecr.cn", &Secret::new(format!("h.{claims}.s"))),
            format!(
                "grant_type=access_token&service=acme.azurecr.cn&tenant=t-1&access_token=h.{claims}.s"
            )
        );
        assert_eq!(
            form("acme.azurecr.io", &Secret::new("a+b")),
            "grant_type=access_token&service=acme.azurecr.io&access_token=a%2Bb"
        );
    }

    #[test]
    fn a_token_is_lent_until_it_ends() {
        let token = |claims: &str| format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(life(&token(r#"{"exp":1600}"#), 1000), Duration::from_mins(10));
        assert_eq!(life(&token(r#"{"exp":600}"#), 1000), Duration::ZERO);
        assert_eq!(life("opaque", 1000), USUAL_LIFE);
    }
}
