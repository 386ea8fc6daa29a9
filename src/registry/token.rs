//! Fetches bearer tokens (distribution, "Token Authentication Specification" and its OAuth2 form).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::auth::basic;
use super::error::Error;
use super::exchange::Exchange;
use super::hints::Login;
use super::http::{HttpClients, is_allowed};
use super::keychain::{Credential, Search};
use super::mask::Mask;
use super::origin::{Origin, place};
use super::retry::{Fault, Retry};
use super::secret::Secret;
use crate::event::Events;
use crate::oci::Repository;
use crate::sys::Clock;

/// The most that is read of a token server's answer.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;
/// How long a token lives when the server does not say.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// What we call ourselves to OAuth2 servers.
const CLIENT_ID: &str = "dockless";

/// A token and when to stop using it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: Secret,
    pub(super) use_until: Instant,
}

/// One request for a token.
#[derive(Debug)]
pub(super) struct TokenRequest<'a> {
    /// What the token is for.
    pub(super) repository: &'a Repository,
    pub(super) home: &'a Origin,
    pub(super) realm: &'a Url,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a BTreeSet<String>,
    /// The credentials, and where they were looked for.
    pub(super) search: &'a Search,
    pub(super) mask: &'a Arc<Mask>,
    pub(super) events: &'a Events,
}

impl TokenRequest<'_> {
    /// Fetches a token: one try, and no redirects, since this request carries the password.
    pub(super) async fn fetch(
        &self,
        http: &HttpClients,
        clock: &dyn Clock,
    ) -> Result<Token, Fault> {
        // Counted from before the request, on the monotonic clock: `issued_at` may be skewed.
        let asked_at = clock.now();
        let mut answer = match self.search.credential() {
            Some(Credential::Identity { token }) => {
                let answer = self.send(http, self.refresh(token), clock).await?;
                // Servers without the OAuth2 form take the token as a password.
                if matches!(answer.status().as_u16(), 404 | 405) {
                    self.send(http, self.get(Some(basic("<token>", token))), clock).await?
                } else {
                    answer
                }
            }
            Some(Credential::Password { username, password }) => {
                self.send(http, self.get(Some(basic(username, password))), clock).await?
            }
            Some(Credential::Bearer { .. }) | None => {
                self.send(http, self.get(None), clock).await?
            }
        };
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        let body = answer.body(MAX_TOKEN_BYTES).await.map_err(perhaps_a_page)?;
        parse(&body, asked_at).map_err(|reason| Fault::new(answer.nonsense(reason), Retry::Few))
    }

    async fn send(
        &self,
        http: &HttpClients,
        request: Request,
        clock: &dyn Clock,
    ) -> Result<Answer, Fault> {
        let exchange = Exchange {
            action: self.action(),
            host: self.server(),
            limits: http.settings().stall,
            mask: Arc::clone(self.mask),
            events: self.events.clone(),
        };
        let farthest = http.farthest(self.home, self.realm).await;
        if !is_allowed(self.realm, farthest) {
            return Err(Fault::permanent(Error::Unsafe {
                action: exchange.action,
                host: self.repository.registry().to_owned(),
                reason: format!("its token server has the private address `{}`", exchange.host),
            }));
        }
        let client = http.client(self.realm, farthest).map_err(Fault::permanent)?;
        let answer = exchange.send(&client, request, 0, &|| 0).await?;
        answer.unless_later(clock.unix_seconds()).await
    }

    fn get(&self, authorization: Option<HeaderValue>) -> Request {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
            for scope in self.scopes {
                query.append_pair("scope", scope);
            }
        }
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        request
    }

    fn refresh(&self, token: &Secret) -> Request {
        let scopes: Vec<_> = self.scopes.iter().map(String::as_str).collect();
        // The query writer of a URL is also the writer of forms.
        let mut form = Url::parse("form:").expect("a scheme alone is a URL");
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", self.service.unwrap_or_default())
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", token.expose());
        let mut request = Request::new(Method::POST, self.realm.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let media_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, media_type);
        *request.body_mut() = Some(form.query().unwrap_or_default().to_owned().into());
        request
    }

    async fn refusal(&self, mut answer: Answer) -> Fault {
        let body = answer.error_body().await;
        let status = answer.status().as_u16();
        // OAuth2 servers say "invalid grant" with 400 (RFC 6749, 5.2).
        let is_refused_credential =
            status == 401 || (status == 400 && self.search.credential().is_some());
        let (action, detail) = (self.action(), body.text().to_owned());
        let host = self.server();
        let identity = self.search.identity();
        let login = Box::new(Login::of(self.repository, self.search, self.scopes));
        if is_refused_credential {
            return Fault::permanent(Error::Unauthorized { action, host, identity, detail, login });
        }
        if status == 403 && !body.is_page {
            let login = Some(login);
            return Fault::permanent(Error::Denied { action, host, identity, detail, login });
        }
        answer.refusal_with(&body)
    }

    /// The token server for messages.
    fn server(&self) -> String {
        self.mask.hide(&place(self.realm))
    }

    fn action(&self) -> String {
        format!("get a token for `{}`", self.repository.registry())
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

/// What is too large for a token is the error page of some proxy on the way: it may be gone soon.
fn perhaps_a_page(fault: Fault) -> Fault {
    match *fault.error {
        Error::TooLarge { .. } => Fault { retry: Retry::Few, ..fault },
        _ => fault,
    }
}

/// Reads a token server's answer; a tenth of the token's life, at most 30 s, is kept in reserve.
fn parse(body: &[u8], asked_at: Instant) -> Result<Token, String> {
    let answer: TokenAnswer =
        serde_json::from_slice(body).map_err(|_| "it is not the JSON of a token".to_owned())?;
    let text = [answer.token, answer.access_token]
        .into_iter()
        .flatten()
        .find(|token| !token.is_empty())
        .ok_or("it holds no token")?;
    // A number by the specification; some servers quote it.
    let seconds = answer
        .expires_in
        .as_u64()
        .or_else(|| answer.expires_in.as_str()?.parse().ok())
        .filter(|&seconds| seconds > 0);
    let life = seconds.map_or(DEFAULT_LIFE, Duration::from_secs).min(Duration::from_hours(24));
    let usable = (life * 9 / 10).max(life.saturating_sub(Duration::from_secs(30)));
    Ok(Token { text: Secret::new(text), use_until: asked_at + usable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_live_as_long_as_the_server_says() {
        let now = Instant::now();
        for (body, text, seconds) in [
            (r#"{"token":"a","expires_in":300}"#, "a", 270),
            (r#"{"token":"a","expires_in":3600}"#, "a", 3570),
            (r#"{"access_token":"b","expires_in":"100"}"#, "b", 90),
            (r#"{"token":"","access_token":"b"}"#, "b", 54),
            (r#"{"token":null,"access_token":"b","expires_in":null}"#, "b", 54),
            (r#"{"token":"a","access_token":"b","expires_in":"soon"}"#, "a", 54),
            (r#"{"token":"a","expires_in":0}"#, "a", 54),
            (r#"{"token":"a","expires_in":-5,"issued_at":"2099-01-01T00:00:00Z"}"#, "a", 54),
            (r#"{"token":"a","expires_in":1e30}"#, "a", 54),
            (r#"{"token":"a","expires_in":99999999999}"#, "a", 86_370),
        ] {
            let token =
                Token { text: Secret::new(text), use_until: now + Duration::from_secs(seconds) };
            assert_eq!(parse(body.as_bytes(), now), Ok(token), "{body}");
        }
    }

    #[test]
    fn answers_without_a_token_are_refused() {
        for (body, reason) in [
            ("<html>", "it is not the JSON of a token"),
            ("{}", "it holds no token"),
            (r#"{"token":""}"#, "it holds no token"),
            (r#"{"token":5}"#, "it is not the JSON of a token"),
        ] {
            assert_eq!(parse(body.as_bytes(), Instant::now()), Err(reason.into()), "{body}");
        }
    }
}
