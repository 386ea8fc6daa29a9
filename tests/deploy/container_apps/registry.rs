//! Pushing to a registry of Azure with nothing but a login at Azure.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::world::{HOST, World};
use crate::support::authority::{Authority, Time};
use crate::support::fault_proxy::{Fault, FaultProxy, Gate};
use crate::support::proxy::Proxy;
use crate::support::registry::Registry;
use crate::support::server::reply;

/// Lets nobody pass but who has exchanged a token.
fn gate() -> Gate {
    let password = STANDARD.encode("00000000-0000-0000-0000-000000000000:canary-refresh-token");
    let basic = format!("Basic {password}");
    Arc::new(move |request| {
        let json = ("content-type", "application/json");
        if request.uri().path() == "/oauth2/exchange" {
            let body = json!({"refresh_token": "canary-refresh-token"}).to_string();
            return Some(reply(200, &[json], body));
        }
        let header = request.headers().get("authorization");
        let is_known = header.is_some_and(|value| value.as_bytes() == basic.as_bytes());
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        let challenge = ("www-authenticate", "Basic realm=\"acme\"");
        (!is_known).then(|| reply(401, &[json, challenge], body))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_azure_is_one_at_its_registries() {
    let world = World::new("").await;
    let registry = Registry::start();
    let gated = FaultProxy::start_gated(&registry.host(), gate()).await;
    // It does not know that TLS is spoken before it.
    for method in ["POST", "PATCH", "PUT"] {
        let moved = Fault::MoveLocation(format!("https://{HOST}"));
        gated.on(method, "/blobs/uploads/", std::iter::repeat_n(moved, 20));
    }
    let authority = Authority::new("azure");
    let pair = authority.issue("acme", &format!("DNS:{HOST}"), Time::Now);
    let front = Proxy::start_with_tls(&gated.server().host(), &pair).await;
    let proxy = Proxy::start(&front.host()).await;
    let mut command = world.command(&["deploy", "-v"]);
    command
        .env("HTTPS_PROXY", format!("http://{}", proxy.host()))
        .env("SSL_CERT_FILE", authority.certificate());
    let outcome = world.checked(&mut command);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let using = "using user `00000000-0000-0000-0000-000000000000` from Azure";
    assert!(outcome.stderr.contains(using), "{outcome:#?}");
    let exchanges = gated.server().requests().into_iter();
    assert_eq!(exchanges.filter(|line| line == "POST /oauth2/exchange").count(), 1);
}
