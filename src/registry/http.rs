//! Builds the HTTP clients: TLS, proxies, and which addresses they may call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Url};

use super::address::{Reach, reach};
use super::error::{Error, RootCause};
use super::lock::lock;
use super::origin::{Origin, is_loopback, literal_address};
use super::settings::Settings;

/// The HTTP clients of a run: one for ordinary hosts, one for each host with settings of its own.
#[derive(Debug)]
pub(super) struct HttpClients {
    settings: Settings,
    built: Mutex<BTreeMap<Profile, reqwest::Client>>,
    /// How far the addresses of registries reach, seen from here.
    reaches: Mutex<BTreeMap<Origin, Reach>>,
}

/// What sets one client apart from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Profile {
    /// The host, when the settings say something about it.
    special: Option<String>,
    /// Requests to this machine never go through a proxy.
    is_loopback: bool,
    farthest: Reach,
}

impl HttpClients {
    /// Clients with these settings.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, built: Mutex::default(), reaches: Mutex::default() }
    }

    /// The settings.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The client for a URL that may call addresses up to `farthest` from the public internet:
    /// `Public` for those only, `Private` for private ones too, `Forbidden` for all.
    pub(super) fn client(&self, url: &Url, farthest: Reach) -> Result<reqwest::Client, Error> {
        let host = url.host_str().unwrap_or_default();
        let with_port = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let is_special = |name: &str| {
            self.settings.certificates.contains_key(name)
                || self.settings.skip_tls_verify.contains(name)
        };
        let special = is_special(&with_port).then(|| with_port.clone());
        let profile = Profile { special, is_loopback: is_loopback(&with_port), farthest };
        let mut built = lock(&self.built);
        if let Some(client) = built.get(&profile) {
            return Ok(client.clone());
        }
        let client = self.build(&profile).map_err(|error| Error::Settings {
            host: with_port,
            reason: RootCause::of(&error).to_string(),
        })?;
        built.insert(profile, client.clone());
        Ok(client)
    }

    /// The farthest kind of address that a registry may send us to with this URL: its own host
    /// anywhere, another host in the private network only when the registry is in one itself.
    pub(super) async fn farthest(&self, home: &Origin, url: &Url) -> Reach {
        if Origin::of(url).is_some_and(|origin| origin.host() == home.host()) {
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

    fn build(&self, profile: &Profile) -> reqwest::Result<reqwest::Client> {
        let mut certificates = Vec::new();
        for name in [Some(""), profile.special.as_deref()].into_iter().flatten() {
            if let Some(pem) = self.settings.certificates.get(name) {
                certificates.extend(Certificate::from_pem_bundle(pem)?);
            }
        }
        let attempt = self.builder(profile).tls_certs_merge(certificates.clone()).build();
        if attempt.is_ok() {
            return attempt;
        }
        // A machine without a CA bundle (a slim container): trust Mozilla's roots.
        for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            certificates.push(Certificate::from_der(root)?);
        }
        self.builder(profile).tls_certs_only(certificates).build()
    }

    fn builder(&self, profile: &Profile) -> reqwest::ClientBuilder {
        let settings = &self.settings;
        // Decompression is off whatever features other crates switch on: digests are of the bytes
        // as stored. Redirects, retries and time limits are ours.
        let mut builder = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(settings.connect_timeout)
            .dns_resolver(Guarded { farthest: profile.farthest });
        if profile.is_loopback {
            builder = builder.no_proxy();
        }
        if profile.special.as_ref().is_some_and(|host| settings.skip_tls_verify.contains(host)) {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder
    }
}

/// Whether a host may be called; names are decided when they are resolved.
pub(super) fn is_allowed(url: &Url, farthest: Reach) -> bool {
    url.host_str().and_then(literal_address).is_none_or(|address| reach(address) <= farthest)
}

/// The farthest address of a registry, as seen from here; `Public` when it does not resolve (behind
/// a proxy that resolves for us).
async fn reach_of(home: &Origin) -> Reach {
    if let Some(address) = literal_address(home.host()) {
        return reach(address);
    }
    let Ok(addresses) = tokio::net::lookup_host((home.host(), home.port())).await else {
        return Reach::Public;
    };
    addresses.map(|address| reach(address.ip())).max().unwrap_or(Reach::Public)
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

    #[tokio::test]
    async fn names_are_checked_after_they_are_resolved() {
        for (farthest, is_allowed) in [(Reach::Public, false), (Reach::Private, true)] {
            let resolved = Guarded { farthest }.resolve("localhost".parse().unwrap()).await;
            assert_eq!(resolved.is_ok(), is_allowed);
        }
    }

    #[test]
    fn certificates_that_are_none_are_reported() {
        let certificates = BTreeMap::from([(
            "r.io".into(),
            b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n".to_vec(),
        )]);
        let clients = HttpClients::new(Settings { certificates, ..Settings::default() });
        let url = |text| Url::parse(text).unwrap();
        assert!(matches!(
            clients.client(&url("https://r.io/"), Reach::Forbidden),
            Err(Error::Settings { host, .. }) if host == "r.io"
        ));
        assert!(clients.client(&url("https://other.io/"), Reach::Forbidden).is_ok());
    }
}
