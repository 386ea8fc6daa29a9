//! A token server inside the test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;

use super::fault_proxy::Gate;
use super::server::{Server, reply};

/// A token server and the gate of a registry that takes its tokens.
pub(crate) struct TokenServer {
    pub(crate) server: Server,
    pub(crate) tokens: Arc<Mutex<Tokens>>,
}

#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) issued: u32,
    /// Valid tokens, how often each may be used, and for what it is good.
    pub(crate) valid: BTreeMap<String, (u32, BTreeSet<String>)>,
}

impl TokenServer {
    /// Tokens that may be used so often; `authorization` is what the server wants to see.
    pub(crate) async fn start(uses: u32, authorization: Option<String>) -> Self {
        let series = fastrand::u32(..);
        let tokens: Arc<Mutex<Tokens>> = Arc::default();
        let issued = Arc::clone(&tokens);
        let server = Server::start("127.0.0.1", move |request| {
            let header = request
                .headers()
                .get("authorization")
                .map(|value| value.to_str().unwrap().to_owned());
            if authorization.is_some() && header != authorization {
                let body = r#"{"details":"incorrect username or password"}"#;
                return Box::pin(async move { Ok(reply(401, &[], body)) });
            }
            let url = reqwest::Url::parse(&format!("http://t{}", request.uri())).unwrap();
            let scopes = url.query_pairs().filter(|(name, _)| name == "scope");
            let scopes = scopes.map(|(_, scope)| scope.into_owned()).collect();
            let mut tokens = issued.lock().unwrap();
            tokens.issued += 1;
            let token = format!("canary-token-{series:08x}-{}", tokens.issued);
            tokens.valid.insert(token.clone(), (uses, scopes));
            let body = format!(r#"{{"token":"{token}","expires_in":300}}"#);
            Box::pin(async move { Ok(reply(200, &[], body)) })
        })
        .await;
        Self { server, tokens }
    }

    /// Lets requests with a valid token pass.
    pub(crate) fn gate(&self) -> Gate {
        let tokens = Arc::clone(&self.tokens);
        let realm = format!("http://{}/token", self.server.host());
        Arc::new(move |request| {
            let header = request.headers().get("authorization");
            let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            let mut tokens = tokens.lock().unwrap();
            let uses = token.and_then(|token| tokens.valid.get_mut(token)).map(|(uses, _)| uses);
            if let Some(uses @ 1..) = uses {
                *uses -= 1;
                return None;
            }
            let challenge = format!(r#"Bearer realm="{realm}",service="test""#);
            Some(reply(401, &[("WWW-Authenticate", &challenge)], ""))
        })
    }

    /// Every token that was ever given away.
    pub(crate) fn given_away(&self) -> Vec<String> {
        self.tokens.lock().unwrap().valid.keys().cloned().collect()
    }

    pub(crate) fn issued(&self) -> u32 {
        self.tokens.lock().unwrap().issued
    }
}

pub(crate) fn basic(username: &str, password: &str) -> String {
    let pair = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}")
}

/// A gate whose token server lies behind another address.
pub(crate) fn moved(gate: Gate, from: String, to: String) -> Gate {
    Arc::new(move |request| {
        let mut answer = gate(request)?;
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        let challenge = challenge.replace(&from, &to).parse().unwrap();
        answer.headers_mut().insert("www-authenticate", challenge);
        Some(answer)
    })
}
