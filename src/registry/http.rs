//! Builds the HTTP clients: TLS, proxies, and which addresses they may call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Proxy, Url};
use rustls::pki_types::ServerName;

use super::address::{Reach, reach};
use super::certificates::Certificates;
use super::connection_problem::RootCause;
use super::error::Error;
use super::lock::lock;
use super::origin::{Origin, literal_address};
use super::settings::Settings;
use super::tls::{self, Introduction, ProxyTrust};
use crate::event::Events;

/// Why there cannot be both: one configuration of TLS serves the proxy and the registry behind it, and
/// both may ask it who we are.
const SHARED_IDENTITY: &str = "its client certificate would be shown to the proxy, too, which is reached by `https://`; write `http://` before the proxy, or add the registry to `NO_PROXY`";

/// The HTTP clients of a run: one for each origin, and for how far its addresses may reach.
#[derive(Debug)]
pub(super) struct HttpClients {
    settings: Settings,
    events: Events,
    built: Mutex<BTreeMap<(Origin, Reach), HttpClient>>,
    /// How far the addresses of registries reach, seen from here.
    reaches: Mutex<BTreeMap<Origin, Reach>>,
    /// Whose TLS was told of.
    told: Mutex<BTreeSet<Origin>>,
}

/// A client for one origin, and what has to be known when it fails.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    pub(super) requests: reqwest::Client,
    /// The proxy that it goes through.
    pub(super) proxy: Option<ProxyName>,
    /// Whom TLS says we are; none where there is no TLS.
    pub(super) introduction: Option<Arc<Introduction>>,
    /// Whether the origin ever answered.
    has_answered: Arc<AtomicBool>,
    /// Whether it hung up on us once, as somebody who does not know us.
    has_hung_up: Arc<AtomicBool>,
}

impl HttpClient {
    /// Whether we have a certificate that says who we are.
    pub(super) fn has_identity(&self) -> bool {
        self.introduction.as_ref().is_some_and(|introduction| introduction.has_identity())
    }

    /// Whether the origin wanted to know who we are, and has not answered since.
    pub(super) fn is_refused(&self) -> bool {
        let was_asked = self.introduction.as_ref().is_some_and(|ours| ours.was_asked());
        was_asked && !self.has_answered.load(Ordering::Relaxed)
    }

    /// The origin hung up; says whether it did so before.
    pub(super) fn note_hang_up(&self) -> bool {
        self.has_hung_up.swap(true, Ordering::Relaxed)
    }

    /// The origin answered.
    pub(super) fn note_answer(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }
}

/// A proxy as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProxyName {
    /// `host:port`.
    pub(super) host: String,
    /// The variable that names it.
    pub(super) variable: &'static str,
    /// Whether it joins us to the origin; else it asks the origin for us.
    pub(super) is_tunnel: bool,
}

impl HttpClients {
    /// Clients with these settings.
    pub(super) fn new(settings: Settings, events: Events) -> Self {
        let (built, reaches, told) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { settings, events, built, reaches, told }
    }

    /// The settings.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The client for a URL that may call addresses up to `farthest` from the public internet:
    /// `Public` for those only, `Private` for private ones too, `Forbidden` for all.
    pub(super) fn client(&self, url: &Url, farthest: Reach) -> Result<HttpClient, Error> {
        let origin = Origin::of(url).ok_or_else(|| Error::Settings {
            host: url.host_str().unwrap_or_default().to_owned(),
            reason: format!("`{}` is no scheme of registries", url.scheme()),
        })?;
        let mut built = lock(&self.built);
        if let Some(client) = built.get(&(origin.clone(), farthest)) {
            return Ok(client.clone());
        }
        let client = self.build(&origin, farthest)?;
        built.insert((origin, farthest), client.clone());
        Ok(client)
    }

    /// The farthest kind of address that a registry may send us to with this URL: its own host
    /// anywhere, another host in the private network only when the registry is in one itself.
    pub(super) async fn farthest(&self, home: &Origin, url: &Url) -> Reach {
        if Origin::of(url).is_some_and(|origin| origin.host() == home.host()) {
            return Reach::Forbidden;
        }
        // A proxy resolves names for us: what they are here says nothing.
        let is_proxied = |origin| self.settings.proxies.of(&origin).is_some();
        if is_name(url) && Origin::of(url).is_some_and(is_proxied) {
            return Reach::Forbidden;
        }
        let known = lock(&self.reaches).get(home).copied();
        let reach = match known {
            Some(reach) => reach,
            None => reach_of(home).await.min(Reach::Private),
        };
        lock(&self.reaches).insert(home.clone(), reach);
        reach
    }

    fn build(&self, origin: &Origin, farthest: Reach) -> Result<HttpClient, Error> {
        let settings = &self.settings;
        let names = origin.names();
        let unusable = |error: &(dyn std::error::Error + 'static)| Error::Settings {
            host: names.first().cloned().unwrap_or_default(),
            reason: RootCause::of(error).to_string(),
        };
        let proxy = settings.proxies.of(origin);
        let proxy_url = proxy.map(super::proxy::Proxy::url).transpose()?;
        let encrypted_proxy = proxy_url.as_ref().filter(|url| url.scheme() == "https");
        let mut builder = self.builder();
        let mut introduction = None;
        if origin.is_plain() && encrypted_proxy.is_none() {
            builder = builder.tls_certs_only([]);
        } else {
            let certificates = Certificates::load(settings, &names)?;
            if encrypted_proxy.is_some() && certificates.identity.is_some() {
                return Err(Error::Settings {
                    host: names.first().cloned().unwrap_or_default(),
                    reason: SHARED_IDENTITY.into(),
                });
            }
            let is_checked = !names.iter().any(|name| settings.skip_tls_verify.contains(name));
            self.tell(origin, &certificates, is_checked);
            let proxy = encrypted_proxy.map(|url| self.trust_in_proxy(url)).transpose()?;
            let (config, ours) =
                tls::config(certificates, is_checked, proxy).map_err(|error| unusable(&error))?;
            builder = builder.tls_backend_preconfigured(config);
            introduction = Some(ours);
        }
        // A proxy resolves names for us, and is itself wherever the user says.
        let farthest = if proxy.is_some() { Reach::Forbidden } else { farthest };
        builder = builder.no_proxy().dns_resolver(Guarded { farthest });
        if let Some(url) = &proxy_url {
            builder = builder.proxy(Proxy::all(url.clone()).map_err(|error| unusable(&error))?);
        }
        let proxy = proxy.zip(proxy_url).map(|(proxy, url)| ProxyName {
            host: host_and_port(&url),
            variable: proxy.variable,
            is_tunnel: !origin.is_plain(),
        });
        let requests = builder.build().map_err(|error| unusable(&error))?;
        let (has_answered, has_hung_up) = (Arc::default(), Arc::default());
        Ok(HttpClient { requests, proxy, introduction, has_answered, has_hung_up })
    }

    /// Tells once per host that TLS with it goes by the user's own rules.
    fn tell(&self, origin: &Origin, certificates: &Certificates, is_checked: bool) {
        if origin.is_plain() || !lock(&self.told).insert(origin.clone()) {
            return;
        }
        let host = origin.names().swap_remove(0);
        if !is_checked {
            let text = format!(
                "the certificate of `{host}` is not checked (`--skip-tls-verify-registry`): anybody on the way can read and change what is sent"
            );
            self.events.warn("certificate-not-checked", text, None);
        }
        if let Some(text) = certificates.describe(&host) {
            self.events.detail(text);
        }
    }

    /// Whom a proxy with TLS may be: what is said of the registry behind it says nothing of it.
    fn trust_in_proxy(&self, url: &Url) -> Result<ProxyTrust, Error> {
        let unusable = || Error::Settings {
            host: host_and_port(url),
            reason: "it is no name for TLS".to_owned(),
        };
        let origin = Origin::of(url).ok_or_else(unusable)?;
        let name = origin.host().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|_| unusable())?;
        let authorities = Certificates::load(&self.settings, &origin.names())?.authorities;
        Ok(ProxyTrust { name, authorities })
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        // Decompression is off whatever features other crates switch on: digests are of the bytes
        // as stored. Redirects, retries and time limits are ours.
        reqwest::Client::builder()
            .user_agent(&self.settings.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(self.settings.connect_timeout)
    }
}

impl Drop for HttpClients {
    /// The run is over: now it is known whom it called.
    fn drop(&mut self) {
        let built = lock(&self.built);
        let proxies =
            built.values().filter_map(|client| Some(vec![client.proxy.as_ref()?.host.clone()]));
        let called: Vec<_> =
            built.keys().map(|(origin, _)| origin.names()).chain(proxies).collect();
        for given in self.settings.given() {
            given.tell_unused(&called, &self.events);
        }
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_name(url: &Url) -> bool {
    url.host_str().and_then(literal_address).is_none()
}

/// Whether a host may be called; names are decided when they are resolved.
pub(super) fn is_allowed(url: &Url, farthest: Reach) -> bool {
    url.host_str().and_then(literal_address).is_none_or(|address| reach(address) <= farthest)
}

/// Where a registry is, as seen from here; `Public` when it does not resolve (behind a proxy that
/// resolves for us).
async fn reach_of(home: &Origin) -> Reach {
    if let Some(address) = literal_address(home.host()) {
        return reach(address);
    }
    let Ok(addresses) = tokio::net::lookup_host((home.host(), home.port())).await else {
        return Reach::Public;
    };
    nearest(addresses.map(|address| address.ip()))
}

/// The reach of a host with these addresses: the nearest to the public internet. A private one among
/// public ones makes no registry a private one: anybody can give his name an address of ours.
fn nearest(addresses: impl Iterator<Item = IpAddr>) -> Reach {
    addresses.map(reach).min().unwrap_or(Reach::Public)
}

/// Resolves names as the system does and drops the addresses that may not be called. The check
/// sits here because a name that is checked earlier may resolve otherwise a moment later.
#[derive(Debug)]
struct Guarded {
    farthest: Reach,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let farthest = self.farthest;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| reach(address.ip()) <= farthest).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err("its address is private or reserved, the registry's is not".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_are_checked_in_every_spelling() {
        for (url, reach) in [
            ("https://8.8.8.8/", Reach::Public),
            ("https://auth.docker.io/", Reach::Public),
            ("http://10.0.0.1/", Reach::Private),
            ("http://0x7f000001/", Reach::Private),
            ("http://2130706433/", Reach::Private),
            ("http://127.1/", Reach::Private),
            ("http://[::ffff:10.0.0.1]/", Reach::Private),
            ("http://169.254.169.254/", Reach::Forbidden),
        ] {
            let url = Url::parse(url).unwrap();
            for farthest in [Reach::Public, Reach::Private, Reach::Forbidden] {
                assert_eq!(is_allowed(&url, farthest), reach <= farthest, "{url} {farthest:?}");
            }
        }
    }

    #[test]
    fn a_registry_is_private_when_all_its_addresses_are() {
        for (addresses, expected) in [
            (&[][..], Reach::Public),
            (&["8.8.8.8"], Reach::Public),
            (&["8.8.8.8", "10.0.0.1"], Reach::Public),
            (&["169.254.169.254", "2001:4860:4860::8888"], Reach::Public),
            (&["10.0.0.1", "fd00::1"], Reach::Private),
            (&["169.254.1.1", "10.0.0.1"], Reach::Private),
        ] {
            let parsed = addresses.iter().map(|address| address.parse().unwrap());
            assert_eq!(nearest(parsed), expected, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn names_are_checked_after_they_are_resolved() {
        for (farthest, is_allowed) in [(Reach::Public, false), (Reach::Private, true)] {
            let resolved = Guarded { farthest }.resolve("localhost".parse().unwrap()).await;
            assert_eq!(resolved.is_ok(), is_allowed);
        }
    }
}
