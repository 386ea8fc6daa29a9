//! A real registry that is reached under the name of any cloud's: through a proxy, with TLS.

use std::process::Command;

use crate::support::authority::{Authority, Time};
use crate::support::proxy::Proxy;
use crate::support::registry::Registry;

/// A registry behind a proxy that leads every host to it.
#[derive(Debug)]
pub(crate) struct Anywhere {
    authority: Authority,
    _registry: Registry,
    proxy: Proxy,
}

impl Anywhere {
    /// A registry that shows a certificate for these hosts.
    pub(crate) async fn start(hosts: &[&str]) -> Self {
        let authority = Authority::new("clouds");
        let names: Vec<_> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let pair = authority.issue("registry", &names.join(","), Time::Now);
        let registry = Registry::start_with_tls(&pair, None);
        let proxy = Proxy::start(&registry.host()).await;
        Self { authority, _registry: registry, proxy }
    }

    /// The hosts that were called so far, each once per connection.
    pub(crate) fn called(&self) -> Vec<String> {
        self.proxy.seen()
    }

    /// Has a command reach it. What is plain http, such as a fake on this machine, goes its own way.
    pub(crate) fn lead<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("HTTPS_PROXY", format!("http://{}", self.proxy.host()))
            .env("SSL_CERT_FILE", self.authority.certificate())
    }
}
