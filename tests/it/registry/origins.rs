//! Where a registry may send us, and with what.

use std::collections::BTreeSet;

use dockless::registry::{Error as RegistryError, Proxies, Settings};
use dockless::sys::Environment;

use super::super::support::fault_proxy::{Fault, FaultProxy, status};
use super::super::support::registry::Registry;
use super::super::support::server::{Seen, Server, reply};

use super::super::support::tokens::{TokenServer, basic};
use super::{Story, cause, read, repository};

#[tokio::test]
async fn credentials_go_to_their_own_origin_only() {
    const CANARY: &str = "canary-5e1f";
    let secrets = [CANARY.to_owned(), basic("bob", CANARY), "canary-token".to_owned()];
    let registry = Registry::start();
    let story = Story::new();
    story.push(&repository(&registry.host(), "a").at_tag("v1")).await.unwrap();
    // Another address and another port are other origins, with everything a thief could want.
    let layer = story.layer.clone();
    let thief = Server::start("127.0.0.2", move |request| {
        let layer = layer.clone();
        Box::pin(async move {
            if request.method() == "GET" {
                return Ok(reply(200, &[], layer));
            }
            let challenge = [("WWW-Authenticate", r#"Basic realm="give me""#)];
            Ok(reply(401, &challenge, ""))
        })
    })
    .await;
    let elsewhere = format!("http://{}/x", thief.host());
    let tokens = TokenServer::start(u32::MAX, Some(basic("bob", CANARY))).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, "bob", CANARY);
    let target = repository(&host, "a");

    // A download that is redirected to a storage host works without credentials.
    let redirect = || status(307, Some(("Location", &elsewhere)));
    proxy.on("GET", "/blobs/", [redirect()]);
    let bytes = read(&story.client, &target, &story.layer_descriptor()).await.unwrap();
    assert!(bytes == story.layer);
    // Uploads sent elsewhere, by redirect or by Location, are refused by the thief and fail.
    let target = repository(&host, "b");
    proxy.on("POST", "/blobs/uploads/", [redirect()]);
    assert!(story.push_layer(&target).await.is_err());
    proxy.on("POST", "/blobs/uploads/", [Fault::Header("location", elsewhere.clone())]);
    assert!(story.push_layer(&target).await.is_err());
    proxy.on("PUT", "/blobs/uploads/", [redirect()]);
    assert!(story.push_layer(&target).await.is_err());
    // An honest push still works.
    story.push(&target.at_tag("v1")).await.unwrap();

    // It may be asked to forget an upload, too, and gets no credentials with that either.
    let asked = thief.seen().into_iter().filter(|seen| seen.method != "DELETE").count();
    assert_eq!(asked, 4);
    for seen in thief.seen() {
        assert!(!secrets.iter().any(|secret| seen.holds(secret)), "{seen:?}");
        assert!(!seen.headers.contains("authorization:"), "{seen:?}");
    }
    // The password goes to the token server, the registry sees tokens only.
    let saw_password = |seen: &Seen| seen.holds(&basic("bob", CANARY));
    assert!(tokens.server.seen().iter().all(saw_password));
    assert!(!proxy.server().seen().iter().any(saw_password));
}

#[tokio::test]
async fn no_registry_sends_us_to_the_metadata_service() {
    // The registry is on this machine, so private addresses are fine, the metadata service is not.
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let repository = repository(&proxy.server().host(), "a");
    for location in ["http://169.254.169.254/latest", "http://0.0.0.0:1/", "http://[fe80::1]/"] {
        proxy.on("GET", "/manifests/", [status(307, Some(("Location", location)))]);
        let error = story.client.fetch_manifest(&repository.at_tag("v1")).await.unwrap_err();
        assert!(matches!(cause(&error), RegistryError::Unsafe { .. }), "{error}");
    }
    let realm = r#"Bearer realm="http://169.254.169.254/token""#;
    proxy.on("GET", "/manifests/", [status(401, Some(("WWW-Authenticate", realm)))]);
    let error = story.client.fetch_manifest(&repository.at_tag("v1")).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Unsafe { .. }), "{error}");
}

#[tokio::test]
async fn a_public_registry_may_not_send_us_into_the_private_network() {
    // The proxy stands in for the registry, which we know by its public address.
    for (status, name, value) in [
        (307, "Location", "http://10.0.0.1/internal"),
        (401, "WWW-Authenticate", r#"Bearer realm="http://10.0.0.1/token""#),
    ] {
        let server = Server::start("127.0.0.1", move |_| {
            Box::pin(async move { Ok(reply(status, &[(name, value)], "")) })
        })
        .await;
        let proxy = format!("http://{}", server.host());
        let environment = Environment::of([("HTTP_PROXY", proxy.as_str())]);
        let settings = Settings {
            proxies: Proxies::from_environment(&environment),
            insecure: BTreeSet::from(["8.8.8.8".into()]),
            ..Settings::default()
        };
        let story = Story::with(settings, Vec::new());
        let tag = repository("8.8.8.8", "a").at_tag("v1");
        let error = story.client.fetch_manifest(&tag).await.unwrap_err();
        assert!(matches!(cause(&error), RegistryError::Unsafe { .. }), "{error}");
        assert_eq!(server.requests(), ["GET /v2/a/manifests/v1"]);
    }
}

#[tokio::test]
async fn redirects_end() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let loops = || status(307, Some(("Location", "?again")));
    proxy.on("GET", "/manifests/", vec![loops(); 100]);
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.client.fetch_manifest(&reference).await.unwrap_err();
    assert!(error.to_string().ends_with("it redirects more than 10 times"), "{error}");
    assert_eq!(proxy.server().requests().len(), 11);
}

#[tokio::test]
async fn an_upload_follows_a_redirect_with_its_body() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let same = format!("http://{}/v2/a/manifests/v1", proxy.server().host());
    proxy.on("PUT", "/manifests/", [status(307, Some(("Location", &same)))]);
    story.push(&reference).await.unwrap();
    assert!(proxy.is_exhausted());
    story.assert_pushed(&registry, &reference).await;
}
