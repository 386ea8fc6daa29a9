//! Who we are at Azure, by tokens that are asked for on the way that all requests of ours go.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::json;

use super::world::World;
use crate::fake::Response;
use crate::support::authority::{Authority, Time};
use crate::support::cli::Outcome;
use crate::support::proxy::Proxy;
use crate::support::server::{Reply, Server};

/// Where tokens are given; no name server knows it.
const LOGINS: &str = "login.acme.test";

/// A server that gives tokens, with a certificate of a company's own authority, behind a proxy.
struct Logins {
    authority: Authority,
    server: Server,
    _front: Proxy,
    proxy: Proxy,
}

impl Logins {
    /// One that answers every request with this.
    async fn start(response: Response) -> Self {
        Self::start_with(move |_| response.clone()).await
    }

    /// One that answers by the path of a request.
    async fn start_with(answer: impl Fn(&str) -> Response + Send + Sync + 'static) -> Self {
        let answer = move |request: Request<Incoming>| -> BoxFuture<'static, Reply> {
            let response = answer(request.uri().path());
            Box::pin(async move { Ok(response.reply()) })
        };
        let server = Server::start("127.0.0.1", answer).await;
        let authority = Authority::new("company");
        let pair = authority.issue("logins", &format!("DNS:{LOGINS}"), Time::Now);
        let front = Proxy::start_with_tls(&server.host(), &pair).await;
        let proxy = Proxy::start(&front.host()).await;
        Self { authority, server, _front: front, proxy }
    }

    /// `check` with the secret of a client.
    fn check(&self, world: &World, has_authority: bool) -> Outcome {
        world.checked(&mut self.command(world, has_authority))
    }

    fn command(&self, world: &World, has_authority: bool) -> Command {
        let mut command = world.command(&["check", "-e", "staging", "-v"]);
        command
            .env("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
            .env("AZURE_AUTHORITY_HOST", format!("https://{LOGINS}"))
            .env("AZURE_TENANT_ID", "acme")
            .env("AZURE_CLIENT_ID", "builder")
            .env("AZURE_CLIENT_SECRET", "canary-client-secret")
            .env("HTTPS_PROXY", format!("http://{}", self.proxy.host()))
            .env_remove("SSL_CERT_FILE");
        if has_authority {
            // As the hint of who does not trust it says.
            let authority = format!("{LOGINS}={}", self.authority.certificate().display());
            command.env("DOCKLESS_REGISTRY_CERTIFICATE", authority);
        }
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_through_the_proxy_of_a_company_with_its_own_authority() {
    let claims = json!({"appid": "builder", "oid": "o-1", "tid": "t-1"}).to_string();
    let token = format!("canary.{}.s", URL_SAFE_NO_PAD.encode(claims));
    let answer = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token});
    let logins = Logins::start(Response::json(200, &answer)).await;
    let world = World::new("").await;
    let outcome = logins.check(&world, true);
    let told = "Azure: a token from environment, for `client builder (object o-1, tenant t-1)`";
    assert!(outcome.stderr.contains(told), "{outcome:#?}");
    let token_requests = logins.server.requests();
    assert!(token_requests.iter().all(|line| line == "POST /acme/oauth2/v2.0/token"));
    let bearer = format!("Bearer {token}");
    let calls = world.fake.calls();
    assert!(!calls.is_empty(), "{outcome:#?}");
    assert!(calls.iter().all(|call| call.header("authorization") == Some(bearer.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_trust_the_authority_is_told_so() {
    let logins = Logins::start(Response::json(200, &json!({}))).await;
    let world = World::new("").await;
    let outcome = logins.check(&world, false);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(shown.contains("no source has credentials for Azure"), "{outcome:#?}");
    let hint = format!("--registry-certificate {LOGINS}=FILE");
    assert!(shown.contains(&hint), "{outcome:#?}");
    assert_eq!(logins.server.requests(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_entra_refuses_is_told_with_what_helps() {
    let description = "AADSTS7000222: The provided client secret keys for app 'builder' are expired. Visit \
                       the Azure portal to create new keys for your app. Trace ID: 1 Correlation ID: 2 \
                       Timestamp: 2026-11-21 10:00:00Z";
    let answer = json!({"error": "invalid_client", "error_description": description, "error_codes": [7_000_222]});
    let logins = Logins::start(Response::json(401, &answer)).await;
    let world = World::new("").await;
    let outcome = logins.check(&world, true);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(shown.contains("are expired. Visit"), "{outcome:#?}");
    assert!(!shown.contains("Trace ID"), "{outcome:#?}");
    assert!(shown.contains("`az ad app credential reset --id CLIENT`"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_give_the_token_of_the_job_just_then_is_asked_again() {
    let claims = json!({"appid": "builder", "oid": "o-1", "tid": "t-1"}).to_string();
    let token = format!("canary.{}.s", URL_SAFE_NO_PAD.encode(claims));
    for (status, is_given_later) in [(503, true), (429, true), (403, false)] {
        let answer =
            json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token.clone()});
        let asked = AtomicUsize::new(0);
        let logins = Logins::start_with(move |path| match path {
            "/job" if asked.fetch_add(1, Ordering::SeqCst) == 0 || !is_given_later => {
                Response::json(status, &json!({"message": "not now"}))
            }
            "/job" => Response::json(200, &json!({"value": "canary-job-token"})),
            _ => Response::json(200, &answer),
        })
        .await;
        let world = World::new("").await;
        let mut command = logins.command(&world, true);
        command
            .env("AZURE_TOKEN_CREDENTIALS", "ClientAssertionCredential")
            .env_remove("AZURE_CLIENT_SECRET")
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("https://{LOGINS}/job?api=2"))
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-request-token");
        let outcome = world.checked(&mut command);
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        let told = format!("GitHub gives no token for the job: it answered {status}");
        assert!(shown.contains(&told), "{outcome:#?}");
        assert_eq!(
            shown.contains(&format!("trying again: {told}")),
            is_given_later,
            "{outcome:#?}"
        );
        let is_known = outcome.stdout.contains("as client builder (object o-1, tenant t-1)");
        assert_eq!(is_known, is_given_later, "{outcome:#?}");
    }
}
