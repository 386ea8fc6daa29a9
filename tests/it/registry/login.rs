//! Who we are: passwords, tokens, rights.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use dockless::error::ErrorKind;
use dockless::event::{Event, Events};
use dockless::registry::keychains::AuthFile;
use dockless::registry::{
    BlobOutcome, BlobSource, Client, ClientOptions, Error as RegistryError, Keychain, Settings,
};
use dockless::sys::command::{Commands, FakeCommands};
use dockless::sys::{Clock as _, ManualClock};

use super::super::support::fault_proxy::{Fault, FaultProxy, refusal, status};
use super::super::support::registry::{PASSWORD, Registry, USERNAME};
use super::super::support::server::{Server, reply};
use super::super::support::tokens::{TokenServer, basic, moved};
use super::{Story, cause, explicit, repository};

/// What docker's configuration holds for a host: an identity token.
fn identity(host: &str, token: &str) -> Arc<dyn Keychain> {
    let config = format!(r#"{{"auths":{{"{host}":{{"identitytoken":"{token}"}}}}}}"#);
    let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
    Arc::new(AuthFile::variable("DOCKER_AUTH_CONFIG", &config, &commands))
}

#[tokio::test]
async fn logs_in_with_a_password() {
    let registry = Registry::start_with_password();
    let reference = repository(&registry.host(), "a").at_tag("v1");
    let story = Story::logged_in(&registry.host(), USERNAME, PASSWORD);
    story.push(&reference).await.unwrap();
    assert_eq!(story.client.fetch_manifest(&reference).await.unwrap().bytes, story.manifest());

    let host = registry.host();
    let wrong = Story::logged_in(&host, USERNAME, "canary");
    let error = wrong.push(&reference).await.unwrap_err();
    let layer = wrong.layer_descriptor().digest.short();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot look for blob `{layer}` in `{host}/a`: `{host}` does not accept user `bob` from the flags"
        )
    );
    assert_eq!((error.kind(), wrong.clock.waits().len()), (ErrorKind::Usage, 0));

    let other = Story::logged_in("other.io", USERNAME, PASSWORD);
    let error = other.push(&reference).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let prefix = format!("DOCKLESS_REGISTRY_{}", host.replace(['.', ':'], "_"));
    assert_eq!(
        error.hints(),
        [
            format!(
                "log in to `{host}`: `dockless login {host} --username NAME --password-stdin`; or set `{prefix}_USERNAME` and `{prefix}_PASSWORD`"
            ),
            "tried: the flags: it is for `other.io` only".into(),
        ]
    );
}

#[tokio::test]
async fn a_refusal_names_whom_it_refuses() {
    let registry = Registry::start_with_password();
    let proxy = FaultProxy::start(&registry.host()).await;
    let host = proxy.server().host();
    proxy.on("POST", "/blobs/uploads/", [Fault::Pass, refusal(403, "DENIED")]);
    let story = Story::logged_in(&host, USERNAME, PASSWORD);
    story.push_layer(&repository(&host, "a")).await.unwrap();
    let error = story.push_layer(&repository(&host, "b")).await.unwrap_err();
    let layer = story.layer_descriptor().digest.short();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot start the upload of blob `{layer}` to `{host}/b`: `{host}` denies it to user `bob` from the flags: DENIED: on purpose"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn fetches_a_token_once_for_all_workers() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, Some(basic("bob", "pw"))).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, "bob", "pw");
    let target = repository(&host, "a");
    let pushes = (0..8).map(|_| story.push_layer(&target));
    for outcome in futures_util::future::join_all(pushes).await {
        outcome.unwrap();
    }
    story.push(&target.at_tag("v1")).await.unwrap();
    assert_eq!(tokens.issued(), 1);
    assert_eq!(
        tokens.server.seen()[0].path,
        "/token?service=test&scope=repository%3Aa%3Apull%2Cpush"
    );
    // Reading asks for the right to read, not for more.
    story.client.fetch_manifest(&target.at_tag("v1")).await.unwrap();
    assert_eq!(tokens.server.seen()[1].path, "/token?service=test&scope=repository%3Aa%3Apull");
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let story = Story::new();
    let tag = repository(&proxy.server().host(), "a").at_tag("v1");
    // It lives for 300 s, of which a tenth is kept in reserve.
    for (seconds, issued) in [(0, 1), (269, 1), (2, 2), (269, 2), (2, 3)] {
        story.clock.sleep(Duration::from_secs(seconds)).await;
        story.client.resolve(&tag).await.unwrap();
        assert_eq!(tokens.issued(), issued);
    }
    // One refusal taught us how to log in; no request was sent in vain after it.
    assert_eq!(proxy.server().requests().len(), 6);
}

#[tokio::test]
async fn a_mount_asks_for_the_rights_of_both_repositories() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::new();
    let (base, target) = (repository(&host, "base"), repository(&host, "target"));
    story.push_layer(&base).await.unwrap();
    let (layer, source) = (story.layer_descriptor(), BlobSource::Bytes(story.layer.clone()));
    let outcome = story.push_blob(&target, &layer, &source, Some(&base)).await.unwrap();
    assert_eq!(outcome, BlobOutcome::Mounted);
    let scopes = "scope=repository%3Abase%3Apull&scope=repository%3Atarget%3Apull%2Cpush";
    assert_eq!(tokens.server.seen().last().unwrap().path, format!("/token?service=test&{scopes}"));
}

#[tokio::test]
async fn survives_tokens_that_die_in_the_middle() {
    let registry = Registry::start();
    for uses in [1, 2, 3] {
        let tokens = TokenServer::start(uses, None).await;
        let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
        let story = Story::new();
        let reference = repository(&proxy.server().host(), &format!("uses{uses}")).at_tag("v1");
        story.push(&reference).await.unwrap();
        story.assert_pushed(&registry, &reference).await;
        assert!(story.clock.waits().is_empty());
    }
}

#[tokio::test]
async fn a_wrong_password_at_the_token_server_is_the_users_turn() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, Some(basic("bob", "right"))).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, "bob", "canary");
    let error = story.push(&repository(&host, "a").at_tag("v1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot get a token for `{host}`: `{}` does not accept user `bob` from the flags: incorrect username or password",
            tokens.server.host()
        )
    );
    assert_eq!((error.kind(), story.clock.waits().len()), (ErrorKind::Usage, 0));
    assert_eq!(tokens.server.seen().len(), 1);
}

#[tokio::test]
async fn an_identity_token_is_no_password() {
    let registry = Registry::start_with_password();
    let host = registry.host();
    let story = Story::with(Settings::default(), vec![identity(&host, "canary")]);
    let error = story.client.resolve(&repository(&host, "a").at_tag("v1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot look up `v1` in `{host}/a`: `{host}` wants credentials and there are none: it takes a user name and a password, not an identity token from `DOCKER_AUTH_CONFIG`"
        )
    );
    assert_eq!((error.kind(), story.clock.waits().len()), (ErrorKind::Usage, 0));
}

#[tokio::test]
async fn a_good_login_without_the_right_is_told_from_a_wrong_one() {
    let registry = Registry::start();
    for (error, kind, told) in [
        (
            "insufficient_scope",
            ErrorKind::Usage,
            "denies it to user `bob` from the flags: the login is good, the right is missing",
        ),
        ("invalid_token", ErrorKind::Failed, "answered 401: it does not trust the tokens of"),
    ] {
        let tokens = TokenServer::start(u32::MAX, None).await;
        let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
        let host = proxy.server().host();
        let realm = format!("http://{}/token", tokens.server.host());
        let challenge = format!(r#"Bearer realm="{realm}",error="{error}""#);
        let refusal = status(401, Some(("WWW-Authenticate", &challenge)));
        proxy.on("POST", "/blobs/uploads/", vec![refusal; 2]);
        let story = Story::logged_in(&host, "bob", "pw");
        let error = story.push_layer(&repository(&host, "a")).await.unwrap_err();
        assert!(error.to_string().contains(&format!("`{host}` {told}")), "{error}");
        assert_eq!((error.kind(), story.clock.waits().len()), (kind, 0));
        // The token that was there, and one fresh one.
        assert_eq!((tokens.issued(), proxy.is_exhausted()), (2, true));
    }
}

#[tokio::test]
async fn a_registry_that_always_wants_another_token_is_refused_at_once() {
    let tokens = TokenServer::start(u32::MAX, None).await;
    let realm = format!("http://{}/token", tokens.server.host());
    let asked = AtomicU32::new(0);
    let registry = Server::start("127.0.0.1", move |_| {
        let scope = asked.fetch_add(1, Ordering::Relaxed);
        let challenge = format!(r#"Bearer realm="{realm}",scope="repository:a:{scope}""#);
        Box::pin(async move { Ok(reply(401, &[("WWW-Authenticate", &challenge)], "")) })
    })
    .await;
    let story = Story::new();
    let tag = repository(&registry.host(), "a").at_tag("v1");
    let error = story.client.resolve(&tag).await.unwrap_err().to_string();
    assert!(error.ends_with("answered 401: it refuses one token after the other"), "{error}");
    assert_eq!((registry.requests().len(), story.clock.waits().len()), (5, 0));
}

#[tokio::test]
async fn workers_without_credentials_all_get_the_token_for_everybody() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let story = Story::new();
    let tag = repository(&proxy.server().host(), "a").at_tag("v1");
    let looks = (0..8).map(|_| story.client.resolve(&tag));
    for outcome in futures_util::future::join_all(looks).await {
        assert_eq!(outcome.unwrap(), None);
    }
    assert_eq!(tokens.issued(), 1);
}

#[tokio::test]
async fn identity_tokens_are_exchanged_or_used_as_a_password() {
    let registry = Registry::start();
    for knows_oauth in [true, false] {
        let tokens = TokenServer::start(u32::MAX, None).await;
        let oauth = FaultProxy::start(&tokens.server.host()).await;
        if !knows_oauth {
            oauth.on("POST", "/token", [status(404, None)]);
        }
        let proxy = FaultProxy::start_gated(
            &registry.host(),
            moved(tokens.gate(), tokens.server.host(), oauth.server().host()),
        )
        .await;
        let host = proxy.server().host();
        let story = Story::with(Settings::default(), vec![identity(&host, "refresh/me")]);
        story.push_layer(&repository(&host, "a")).await.unwrap();
        let requests = oauth.server().requests();
        if knows_oauth {
            assert_eq!(requests, ["POST /token"]);
        } else {
            assert_eq!(requests, ["POST /token", "GET /token"]);
            assert!(oauth.server().seen()[1].holds(&basic("<token>", "refresh/me")));
        }
    }
}

#[tokio::test]
async fn survives_a_token_server_with_a_bad_day() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let troubled = FaultProxy::start(&tokens.server.host()).await;
    let html = Fault::Answer { status: 200, headers: Vec::new(), body: "<html>".into() };
    let empty = Fault::Answer { status: 200, headers: Vec::new(), body: r#"{"token":""}"#.into() };
    troubled.on("GET", "/token", [status(503, None), status(429, None), Fault::LoseAnswer]);
    troubled.on("GET", "/token", [html, empty]);
    let gate = moved(tokens.gate(), tokens.server.host(), troubled.server().host());
    let proxy = FaultProxy::start_gated(&registry.host(), gate).await;
    let story = Story::new();
    story.client.resolve(&repository(&proxy.server().host(), "a").at_tag("v1")).await.unwrap();
    assert_eq!(story.clock.waits().len(), 5);
    assert!(troubled.is_exhausted());
}

#[tokio::test]
async fn a_token_server_that_never_stops_talking_is_cut_off() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let endless = FaultProxy::start(&tokens.server.host()).await;
    let body = format!(r#"{{"token":"{}"}}"#, "x".repeat(64 * 1024));
    let endless_answer = Fault::Answer { status: 200, headers: Vec::new(), body };
    endless.on("GET", "/token", vec![endless_answer; 9]);
    let gate = moved(tokens.gate(), tokens.server.host(), endless.server().host());
    let proxy = FaultProxy::start_gated(&registry.host(), gate).await;
    let story = Story::new();
    let tag = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.client.resolve(&tag).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::TooLarge { limit: 65_536, .. }), "{error}");
    // The page of a proxy on the way is gone soon; this one stays.
    assert_eq!(story.clock.waits().len(), 3);
}

#[tokio::test]
async fn a_refusal_without_a_challenge_is_understood_once_one_was_given() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    // The first token dies after one use, and the registry only says 401.
    proxy.on("HEAD", "/manifests/", [Fault::Pass, status(401, None)]);
    let story = Story::new();
    let tag = repository(&proxy.server().host(), "a").at_tag("v1");
    for _ in 0..2 {
        assert_eq!(story.client.resolve(&tag).await.unwrap(), None);
    }
    assert_eq!((tokens.issued(), proxy.is_exhausted()), (2, true));

    let closed = Registry::start_with_password();
    let proxy = FaultProxy::start(&closed.host()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, USERNAME, PASSWORD);
    proxy.on("HEAD", "/manifests/", [Fault::Pass, status(401, None)]);
    let tag = repository(&host, "a").at_tag("v1");
    let error = story.client.resolve(&tag).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Unauthorized { .. }), "{error}");

    let silent = FaultProxy::start(&closed.host()).await;
    let host = silent.server().host();
    silent.on("GET", "/manifests/", [refusal(401, "UNAUTHORIZED")]);
    let tag = repository(&host, "a").at_tag("v1");
    let error = Story::new().client.fetch_manifest(&tag).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot fetch the manifest `v1` from `{host}/a`: `{host}` gave an answer that makes no sense: it does not say how to log in: UNAUTHORIZED: on purpose"
        )
    );
}

#[tokio::test]
async fn the_right_to_push_is_proved_without_pushing() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let repository = repository(&proxy.server().host(), "a");
    let story = Story::new();
    // The tag is not there: that is no matter.
    story.client.prove_push(&repository, "v1").await.unwrap();
    // A robot that may only push is not allowed to look.
    proxy.on("HEAD", "/manifests/v1", [refusal(403, "DENIED"), refusal(403, "DENIED")]);
    proxy.on("POST", "/blobs/uploads/", [Fault::Pass, refusal(403, "DENIED")]);
    story.client.prove_push(&repository, "v1").await.unwrap();
    let error = story.client.prove_push(&repository, "v1").await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Denied { .. }), "{error}");
    let seen = proxy.server().requests();
    let methods: Vec<_> = seen.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["HEAD", "POST", "DELETE", "HEAD", "POST", "DELETE", "HEAD", "POST"]);

    let closed = Registry::start_with_password();
    let host = closed.host();
    let repository = self::repository(&host, "a");
    let wrong = Story::logged_in(&host, USERNAME, "canary");
    let error = wrong.client.prove_push(&repository, "v1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot push to `{host}/a`: `{host}` does not accept user `bob` from the flags")
    );
    assert_eq!(error.kind(), ErrorKind::Usage);
}

/// Answers a request for a manifest or a token with what came: header and body, decoded and not.
async fn parrot(challenge: &'static str) -> Server {
    Server::start("127.0.0.1", move |request| {
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let authorization = request.headers().get("authorization").cloned();
            let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap();
            let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
            let Some(authorization) =
                authorization.map(|header| header.to_str().unwrap().to_owned())
            else {
                let refusal = format!(r#"{{"details":"bad form: {body}"}}"#);
                return Ok(reply(401, &[("WWW-Authenticate", challenge)], refusal));
            };
            if path == "/token" {
                return Ok(reply(200, &[], r#"{"token":"canary-token"}"#));
            }
            let pair = authorization.strip_prefix("Basic ").map(|pair| {
                let pair = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, pair);
                String::from_utf8(pair.unwrap()).unwrap()
            });
            let said = pair.unwrap_or_default();
            let warning = format!(r#"299 - "hello {said}""#);
            let refusal = format!("pre>{{\"authorization\":\"{authorization}\"}} {said}");
            Ok(reply(400, &[("Warning", &warning), ("Retry-After", "1")], refusal))
        })
    })
    .await
}

/// A client with one credential, and what it tells.
fn overheard(secret: Arc<dyn Keychain>) -> (Client, Receiver<Event>) {
    let (events, receiver) = Events::channel();
    let client = Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: vec![secret],
        events,
        clock: Arc::new(ManualClock::at(0)),
        cleanup: tokio_util::task::TaskTracker::new(),
    });
    (client, receiver)
}

#[tokio::test]
async fn every_request_is_told_without_its_query() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let elsewhere = format!("http://{}/x?signature=canary#canary", registry.host());
    proxy.on(
        "HEAD",
        "/manifests/",
        [Fault::CutRequest(0), status(307, Some(("Location", &elsewhere)))],
    );
    let (client, receiver) = overheard(explicit(&host, "bob", "canary"));
    let found = client.resolve(&repository(&host, "a").at_tag("v1")).await.unwrap();
    assert_eq!(found, None);
    drop(client);
    let requests: Vec<_> = receiver
        .iter()
        .filter_map(|event| match event {
            Event::Request { method, url, status, .. } => Some((method, url, status)),
            _ => None,
        })
        .collect();
    let manifest = format!("http://{host}/v2/a/manifests/v1");
    let token = format!("http://{}/token", tokens.server.host());
    let request = |method: &str, url: String, status| (method.to_owned(), url, status);
    assert_eq!(
        requests,
        [
            request("HEAD", manifest.clone(), Some(401)),
            request("GET", token, Some(200)),
            request("HEAD", manifest.clone(), None),
            request("HEAD", manifest, Some(307)),
            request("HEAD", format!("http://{}/x", registry.host()), Some(404)),
        ]
    );
}

#[tokio::test]
async fn secrets_that_come_back_are_not_shown() {
    let basic = parrot(r#"Basic realm="x""#).await;
    let tokens = parrot("").await;
    let challenge = format!(r#"Bearer realm="http://{}/token""#, tokens.host());
    let bearer = parrot(challenge.leak()).await;
    for (registry, secret, said) in [
        (
            &basic,
            explicit(&basic.host(), "bob", "canary/hunter 2"),
            r#"answered 400: pre>{"authorization":"Basic …=="} …"#,
        ),
        (
            &bearer,
            explicit(&bearer.host(), "bob", "canary/hunter 2"),
            r#"answered 400: pre>{"authorization":"Bearer …"}"#,
        ),
        (
            &bearer,
            identity(&bearer.host(), "canary/token"),
            "bad form: grant_type=refresh_token&service=&client_id=dockless&scope=repository%3Aa%3Apull&refresh_token=…",
        ),
    ] {
        let (client, receiver) = overheard(secret);
        let tag = repository(&registry.host(), "a").at_tag("v1");
        let error = client.fetch_manifest(&tag).await.unwrap_err();
        assert!(error.to_string().ends_with(said), "{error}");
        drop(client);
        let events: Vec<Event> = receiver.iter().collect();
        let shown = format!("{error} {error:?} {events:?}");
        assert!(!shown.contains("canary") && !shown.contains("hunter"), "{shown}");
    }
}
