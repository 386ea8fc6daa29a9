//! Which proxy a request goes through, as the variables that all tools read say it.

use std::net::IpAddr;

use reqwest::Url;

use super::error::Error;
use super::mask::Mask;
use super::origin::{Origin, is_loopback, literal_address};
use super::secret::Secret;
use crate::sys::Environment;

/// The proxies that the environment names, and what goes around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// A proxy as it was written; it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub(super) variable: &'static str,
    text: Secret,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// An address and how many of its bits count.
    Network(IpAddr, u32),
    /// A domain and everything below it.
    Domain(String),
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; each may be in small letters.
    pub fn from_environment(environment: &Environment) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|&variable| {
                let text = environment.get(variable)?.trim();
                Some(Proxy { variable, text: Secret::new(text) })
            })
        };
        let exceptions = environment.get("NO_PROXY").or_else(|| environment.get("no_proxy"));
        Self {
            http: first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            https: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            exceptions: exceptions
                .unwrap_or_default()
                .split([',', ' '])
                .filter(|entry| !entry.is_empty())
                .map(Exception::parse)
                .collect(),
        }
    }

    /// Hides the passwords of the proxies from now on.
    pub(super) fn teach(&self, mask: &Mask) {
        for proxy in [&self.http, &self.https].into_iter().flatten() {
            let Ok(url) = proxy.url() else { continue };
            let password = url.password().unwrap_or_default();
            // As it is written in the variable, and as it is sent.
            mask.learn(&Secret::new(password));
            mask.learn_pair(&decoded(url.username()), &Secret::new(decoded(password)));
        }
    }

    /// The proxy for requests to an origin; never one for this machine itself.
    pub(super) fn of(&self, origin: &Origin) -> Option<&Proxy> {
        let is_exempt = is_loopback(origin.host())
            || self.exceptions.iter().any(|exception| exception.covers(origin));
        let proxy = if origin.is_plain() { &self.http } else { &self.https };
        proxy.as_ref().filter(|_| !is_exempt)
    }
}

impl Proxy {
    /// Where it is: its URL, with name and password.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidProxy`] for what is no `http` or `https` URL.
    pub(super) fn url(&self) -> Result<Url, Error> {
        let text = self.text.expose();
        let url = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("http://{text}"))
        };
        let is_socks = url.as_ref().is_ok_and(|url| url.scheme().starts_with("socks"));
        url.ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or(Error::InvalidProxy { variable: self.variable, is_socks })
    }
}

/// The text with the characters that `%XX` stands for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Exception {
    fn parse(entry: &str) -> Self {
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, port.parse().ok())
            }
            _ => (entry, None),
        };
        let hosts = if name == "*" { Some(Hosts::All) } else { Hosts::network(name) };
        let domain = || name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        Self { hosts: hosts.unwrap_or_else(|| Hosts::Domain(domain())), port }
    }

    fn covers(&self, origin: &Origin) -> bool {
        self.port.is_none_or(|port| port == origin.port()) && self.hosts.hold(origin.host())
    }
}

impl Hosts {
    /// `10.0.0.0/8`, `10.1.2.3`, `fd00::/8`, `[fd00::1]`.
    fn network(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
        Some(Self::Network(literal_address(address)?, bits.parse().ok()?))
    }

    fn hold(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Network(network, bits) => {
                literal_address(host).is_some_and(|address| has_prefix(address, *network, *bits))
            }
            Self::Domain(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }
}

/// Whether the first bits of two addresses of one kind are the same.
fn has_prefix(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (difference, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits() ^ other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits(), 128),
        _ => return false,
    };
    difference.checked_shr(width - bits.min(width)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    fn variable<const N: usize>(variables: [(&str, &str); N], url: &str) -> Option<&'static str> {
        let proxies = Proxies::from_environment(&Environment::of(variables));
        proxies.of(&origin(url)).map(|proxy| proxy.variable)
    }

    #[test]
    fn each_scheme_has_its_variables_and_this_machine_none() {
        let (http, https, all) = (("HTTP_PROXY", "p"), ("https_proxy", "p"), ("ALL_PROXY", "p"));
        let none = ("HTTPS_PROXY", "");
        for (variables, url, expected) in [
            ([http, https, all], "http://r.io/", Some("HTTP_PROXY")),
            ([http, https, all], "https://r.io/", Some("https_proxy")),
            ([none, https, all], "https://r.io/", Some("https_proxy")),
            ([none, none, all], "https://r.io/", Some("ALL_PROXY")),
            ([none, none, all], "http://r.io/", Some("ALL_PROXY")),
            ([http, none, none], "https://r.io/", None),
            ([http, https, all], "http://localhost:5000/", None),
            ([http, https, all], "http://127.0.0.1:5000/", None),
            ([http, https, all], "https://[::1]/", None),
        ] {
            assert_eq!(variable(variables, url), expected, "{variables:?} {url}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        for (entries, url, is_exempt) in [
            ("*", "https://r.io/", true),
            ("r.io", "https://r.io/", true),
            ("r.io", "https://sub.r.io/", true),
            (".r.io", "https://sub.r.io/", true),
            ("*.r.io", "https://sub.r.io/", true),
            ("R.IO", "https://r.io/", true),
            ("r.io", "https://our.io/", false),
            ("x.io, r.io", "https://r.io/", true),
            ("x.io r.io", "https://r.io/", true),
            ("r.io:443", "https://r.io/", true),
            ("r.io:8443", "https://r.io/", false),
            ("10.0.0.0/8", "https://10.200.3.4/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", false),
            ("10.1.2.3", "https://10.1.2.3/", true),
            ("10.1.2.3", "https://10.1.2.4/", false),
            ("0.0.0.0/0", "https://10.1.2.4/", true),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("fd00::1", "https://[fd00::1]/", true),
            ("[fd00::1]:443", "https://[fd00::1]/", true),
            ("fd00::/8", "https://10.0.0.1/", false),
            ("10.0.0.0/99", "https://10.0.0.1/", false),
            ("", "https://r.io/", false),
        ] {
            let variables = [("HTTPS_PROXY", "p"), ("NO_PROXY", entries)];
            assert_eq!(variable(variables, url).is_none(), is_exempt, "{entries} {url}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_hidden_as_written_and_as_sent() {
        let environment = Environment::of([("HTTPS_PROXY", "http://bob:can%61ry%25@proxy:3128")]);
        let mask = Mask::default();
        Proxies::from_environment(&environment).teach(&mask);
        // The base64 is of `bob:canary%`.
        let said = "can%61ry%25 or canary%, sent as Ym9iOmNhbmFyeSU=";
        assert_eq!(mask.hide(said), "… or …, sent as …=");
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_password() {
        for (text, expected) in [
            ("http://proxy:3128", Some("http://proxy:3128/")),
            ("proxy:3128", Some("http://proxy:3128/")),
            ("user:canary@proxy:3128", Some("http://user:canary@proxy:3128/")),
            ("https://proxy", Some("https://proxy/")),
            ("socks5://user:canary@proxy", None),
            ("http://user:canary@", None),
        ] {
            let environment = Environment::of([("HTTPS_PROXY", text)]);
            let proxies = Proxies::from_environment(&environment);
            assert!(!format!("{proxies:?}").contains("canary"));
            let url = proxies.https.unwrap().url();
            assert_eq!(url.as_ref().ok().map(Url::as_str), expected, "{text}");
            assert!(!format!("{:?}", url.err()).contains("canary"));
        }
    }
}
