//! Options about the network: settings of the machine, never of a project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

use crate::oci::Repository;
use crate::pipeline::{ClientCertificate, NetworkRequest};

/// How to reach registries.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkOptions {
    /// A registry that may be reached without TLS, for the base as for pushing: `HOST` or
    /// `HOST:PORT`; repeat it or separate by commas. This machine's own always may
    #[arg(
        long,
        value_name = "HOST",
        value_delimiter = ',',
        value_parser = parse_registry,
        env = "DOCKLESS_INSECURE_REGISTRY"
    )]
    insecure_registry: Vec<String>,
    /// A registry whose certificate is not checked: anybody on the way can read and change what is
    /// sent, passwords too; repeat it or separate by commas
    #[arg(
        long,
        value_name = "HOST",
        value_delimiter = ',',
        value_parser = parse_registry,
        env = "DOCKLESS_SKIP_TLS_VERIFY_REGISTRY"
    )]
    skip_tls_verify_registry: Vec<String>,
    /// A PEM file with the authorities to trust for a registry, or, without `HOST=`, for all;
    /// repeat it or separate by commas. Takes the place of the registry's folder in `certs.d`
    #[arg(
        long,
        value_name = "[HOST=]FILE",
        value_delimiter = ',',
        value_parser = parse_authority,
        env = "DOCKLESS_REGISTRY_CERTIFICATE"
    )]
    registry_certificate: Vec<(String, PathBuf)>,
    /// The certificate, and its key, that say who we are to a registry that asks for one: PEM files;
    /// repeat it for several, or write one per line
    #[arg(
        long,
        value_name = "HOST=CERT,KEY",
        value_delimiter = '\n',
        value_parser = parse_client_certificate,
        env = "DOCKLESS_REGISTRY_CLIENT_CERT"
    )]
    registry_client_cert: Vec<(String, ClientCertificate)>,
    /// Pull base images whose name begins with FROM (`docker.io`, `docker.io/library`) from TO
    /// (`harbor.corp/hub`) and from nowhere else; repeat it or separate by commas. Where to push to
    /// is not changed, nor what the image says of its base
    #[arg(
        long,
        value_name = "FROM=TO",
        value_delimiter = ',',
        value_parser = parse_map,
        env = "DOCKLESS_REGISTRY_MAP"
    )]
    registry_map: Vec<(String, String)>,
    /// How long the whole command may take: `90s`, `5m`, `1h30m`, or seconds
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, env = "DOCKLESS_TIMEOUT")]
    timeout: Option<Duration>,
}

impl NetworkOptions {
    /// What the command line and the environment say.
    pub(super) fn request(self) -> NetworkRequest {
        let mut authorities: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for (registry, file) in self.registry_certificate {
            authorities.entry(registry).or_default().push(file);
        }
        NetworkRequest {
            insecure: self.insecure_registry.into_iter().collect(),
            skip_tls_verify: self.skip_tls_verify_registry.into_iter().collect(),
            authorities,
            client_certificates: self.registry_client_cert.into_iter().collect(),
            map: self.registry_map.into_iter().collect(),
            timeout: self.timeout,
        }
    }
}

/// Reads the host of a registry as references name it: `HOST` or `HOST:PORT`.
fn parse_registry(text: &str) -> Result<String, String> {
    let repository: Option<Repository> = format!("{text}/a/b").parse().ok();
    repository
        .map(|repository| repository.registry().to_owned())
        .filter(|registry| registry.eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            "expected HOST or HOST:PORT as in references, without `http://` or a path".into()
        })
}

/// Reads `HOST=FILE`, or `FILE` for every registry, whose name is empty then.
fn parse_authority(text: &str) -> Result<(String, PathBuf), String> {
    let (registry, file) = match text.split_once('=') {
        // The sign is part of a path.
        Some((before, _)) if before.contains(['/', '\\']) => (String::new(), text),
        Some((registry, file)) => (parse_registry(registry)?, file),
        None => (String::new(), text),
    };
    if file.is_empty() {
        return Err("expected HOST=FILE or FILE".into());
    }
    Ok((registry, file.into()))
}

/// Reads `HOST=CERT,KEY`.
fn parse_client_certificate(text: &str) -> Result<(String, ClientCertificate), String> {
    let expected = || "expected HOST=CERT,KEY: two PEM files".to_owned();
    let (registry, files) = text.split_once('=').ok_or_else(expected)?;
    match files.split_once(',') {
        Some((certificate, key))
            if !certificate.is_empty() && !key.is_empty() && !key.contains(',') =>
        {
            let files = ClientCertificate { certificate: certificate.into(), key: key.into() };
            Ok((parse_registry(registry)?, files))
        }
        _ => Err(expected()),
    }
}

/// Reads `FROM=TO`, each a host or the beginning of a repository's name.
fn parse_map(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').and_then(|(from, to)| Some((prefix(from)?, prefix(to)?)));
    pair.ok_or_else(|| {
        "expected FROM=TO, each HOST or HOST/PATH, such as `docker.io=harbor.corp/hub`".into()
    })
}

/// The beginning of a name in the form that names have.
fn prefix(text: &str) -> Option<String> {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let registry = parse_registry(host).ok()?;
    if path.is_empty() {
        return (!text.ends_with('/')).then_some(registry);
    }
    let repository: Repository = format!("{registry}/{path}/x").parse().ok()?;
    repository.to_string().strip_suffix("/x").map(str::to_owned)
}

/// Reads a time with units, or whole seconds.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| text.parse::<SignedDuration>().ok()?.try_into().ok())
}

/// More is a mistake, and more than clocks count.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Reads `90s`, `5m`, `1h30m`, or whole seconds; nothing is no time, and a week is enough.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match read_duration(text) {
        Some(duration) if duration > LONGEST => Err("a command gets 168h at most".into()),
        Some(duration) if duration.as_secs() > 0 => Ok(duration),
        _ => Err("expected a time such as `90s`, `5m` or `1h30m`, or whole seconds".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_as_references_write_it() {
        for (text, expected) in [
            ("r.io", Some("r.io")),
            ("Registry:5000", Some("registry:5000")),
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("[fd00::1]:5000", Some("[fd00::1]:5000")),
            ("http://r.io", None),
            ("r.io/a", None),
            ("registry", None),
            ("r.io:", None),
            ("", None),
        ] {
            assert_eq!(parse_registry(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_authority_is_for_one_registry_or_for_all() {
        for (text, expected) in [
            ("r.io:5000=ca.pem", Some(("r.io:5000", "ca.pem"))),
            ("ca.pem", Some(("", "ca.pem"))),
            ("/etc/a=b/ca.pem", Some(("", "/etc/a=b/ca.pem"))),
            ("r.io=/a=b.pem", Some(("r.io", "/a=b.pem"))),
            ("r.io=", None),
            ("registry=ca.pem", None),
            ("", None),
        ] {
            let parsed = parse_authority(text).ok();
            let expected = expected.map(|(host, file)| (host.to_owned(), PathBuf::from(file)));
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn a_client_certificate_has_a_key() {
        let files = ClientCertificate { certificate: "a.pem".into(), key: "/k/b.pem".into() };
        let parsed = parse_client_certificate("r.io=a.pem,/k/b.pem");
        assert_eq!(parsed, Ok(("r.io".into(), files)));
        for text in
            ["r.io=a.pem", "r.io=a.pem,", "r.io=,b.pem", "r.io=a,b,c", "a.pem,b.pem", "x=a,b"]
        {
            assert!(parse_client_certificate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_map_leads_from_one_beginning_to_another() {
        for (text, expected) in [
            ("docker.io=harbor.corp/hub", Some(("docker.io", "harbor.corp/hub"))),
            ("Docker.io/library=Mirror:5000", Some(("docker.io/library", "mirror:5000"))),
            ("index.docker.io/a=localhost:5000/b/c", None),
            ("docker.io=", None),
            ("=harbor.corp", None),
            ("docker.io", None),
            ("docker.io/=harbor.corp", None),
            ("docker.io=http://harbor.corp", None),
            ("docker.io=harbor.corp/Hub", None),
            ("python=harbor.corp/python", None),
        ] {
            let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
            assert_eq!(parse_map(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_duration_has_units_or_is_in_seconds() {
        for (text, seconds) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("5m", Some(300)),
            ("1h30m", Some(5400)),
            ("1h 30m", Some(5400)),
            ("168h", Some(604_800)),
            ("604801", None),
            ("18446744073709551615", None),
            ("18446744073709551616", None),
            ("0", None),
            ("0s", None),
            ("-5m", None),
            ("5x", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
