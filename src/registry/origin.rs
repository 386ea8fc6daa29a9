//! Scheme, host and port: the unit that credentials belong to.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// Docker Hub as images name it, and the host that serves its API.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// Where a request goes. Two origins are equal only in all three parts (default ports filled in).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a URL; `None` for schemes other than `http` and `https`.
    pub(super) fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.trim_end_matches('.').to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Whether the connection is not encrypted.
    pub(super) fn is_plain(&self) -> bool {
        self.scheme == "http"
    }

    /// The port, also when it is the default one.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The names by which settings may call the host: with a default port as without it.
    pub(super) fn names(&self) -> Vec<String> {
        let host = if self.host == DOCKER_HUB_API { DOCKER_HUB } else { &self.host };
        let with_port = format!("{host}:{}", self.port);
        let is_default = self.port == if self.is_plain() { 80 } else { 443 };
        if is_default { vec![host.to_owned(), with_port] } else { vec![with_port] }
    }

    /// The host without port; IPv6 addresses stand in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Where a URL leads as messages and settings call it: the host, with the port unless it is the default.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The host that serves a registry: Docker Hub's API has another name than its images.
pub(super) fn api_host(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_API } else { registry }
}

/// The root of a registry's API; `None` when the name is no host.
pub(super) fn api_root(registry: &str, scheme: &str) -> Option<Url> {
    Url::parse(&format!("{scheme}://{}/", api_host(registry))).ok()
}

/// Whether a host (with or without port) is this machine: `localhost`, `127.0.0.0/8`, `[::1]`.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let Some(url) = api_root(registry, "http") else { return false };
    let Some(host) = url.host_str() else { return false };
    host == "localhost" || literal_address(host).is_some_and(|address| address.is_loopback())
}

/// The address a host name is written as, if it is one (brackets of IPv6 are taken off).
pub(super) fn literal_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Option<String> {
        Origin::of(&Url::parse(url).unwrap()).map(|origin| origin.to_string())
    }

    #[test]
    fn default_ports_and_a_final_dot_make_no_difference() {
        for (url, expected) in [
            ("https://ghcr.io/v2/", Some("https://ghcr.io:443")),
            ("https://GHCR.io.:443/x?y", Some("https://ghcr.io:443")),
            ("http://ghcr.io/", Some("http://ghcr.io:80")),
            ("https://user@ghcr.io:8443/", Some("https://ghcr.io:8443")),
            ("http://[::1]:5000/", Some("http://[::1]:5000")),
            ("http://0x7f.1/", Some("http://127.0.0.1:80")),
            ("ftp://ghcr.io/", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn settings_call_a_host_by_the_names_that_references_use() {
        for (url, names) in [
            ("https://r.io/v2/", vec!["r.io", "r.io:443"]),
            ("https://r.io:5000/", vec!["r.io:5000"]),
            ("http://r.io/", vec!["r.io", "r.io:80"]),
            ("http://r.io:443/", vec!["r.io:443"]),
            ("https://[fd00::1]:5000/", vec!["[fd00::1]:5000"]),
            ("https://registry-1.docker.io/", vec!["docker.io", "docker.io:443"]),
        ] {
            let origin = Origin::of(&Url::parse(url).unwrap()).unwrap();
            assert_eq!(origin.names(), names, "{url}");
        }
    }

    #[test]
    fn a_place_has_the_port_that_settings_need() {
        for (url, expected) in [
            ("https://r.io:443/token", "r.io"),
            ("https://r.io:8443/token?x=y", "r.io:8443"),
            ("http://[::1]:5000/", "[::1]:5000"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(place(&url), expected);
            assert!(Origin::of(&url).unwrap().names().contains(&place(&url)));
        }
    }

    #[test]
    fn loopback_is_exactly_this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.evil.com", "10.0.0.1", "127.0.0.1.nip.io", "ghcr.io", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn docker_hub_is_asked_under_its_api_name() {
        assert_eq!(
            api_root("docker.io", "https").unwrap().as_str(),
            "https://registry-1.docker.io/"
        );
        assert_eq!(api_root("a.b:5000", "http").unwrap().as_str(), "http://a.b:5000/");
    }
}
