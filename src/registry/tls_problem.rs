//! Why there is no trusted encrypted connection, told apart as far as the cures differ.

use std::error::Error as StdError;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription as Alert, CertificateError as Certificate, Error as Tls, OtherError,
    PeerIncompatible,
};

use super::connection_problem::RootCause;
use super::tls::UnknownAuthority;

/// Why there is no trusted encrypted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsProblem {
    /// Nobody we trust signed the certificate.
    UnknownAuthority {
        /// Who says to have signed it.
        issuer: Option<String>,
    },
    /// Nobody signed the certificate but itself.
    SelfSigned,
    /// The certificate is too old.
    Expired,
    /// The certificate is too new, or the clock is wrong.
    NotYetValid,
    /// The certificate is for other names.
    OtherName,
    /// The certificate is wrong in another way.
    Certificate,
    /// The other side wants to know who we are, or does not believe it.
    Identity {
        /// Whether we said who we are.
        was_given: bool,
    },
    /// The other side speaks something else, most likely plain http.
    NotTls,
    /// The other side speaks no version of TLS that is still safe.
    OldVersion,
    /// The two sides find nothing in common.
    Handshake,
}

impl TlsProblem {
    /// What is wrong; `name` is how the other side is shown: "`r.io`", "the proxy `p:3129`".
    pub(super) fn text(&self, name: &str) -> String {
        match self {
            Self::UnknownAuthority { issuer: None } => {
                format!("the certificate of {name} is from an unknown authority")
            }
            Self::UnknownAuthority { issuer: Some(issuer) } => {
                format!("the certificate of {name} is from an unknown authority, `{issuer}`")
            }
            Self::SelfSigned => format!("the certificate of {name} is signed by itself alone"),
            Self::Expired => format!("the certificate of {name} has expired"),
            Self::NotYetValid => {
                format!("the certificate of {name} is not valid yet by this machine's clock")
            }
            Self::OtherName => format!("the certificate of {name} is for another name"),
            Self::Certificate => format!("the certificate of {name} is not valid"),
            Self::Identity { was_given: false } => format!("{name} wants a client certificate"),
            Self::Identity { was_given: true } => {
                format!("{name} does not accept our client certificate")
            }
            Self::NotTls => format!("{name} does not speak TLS on this port"),
            Self::OldVersion => format!("{name} speaks neither TLS 1.2 nor 1.3"),
            Self::Handshake => format!("{name} does not agree to TLS with us"),
        }
    }

    pub(super) fn hint(&self, host: &str) -> String {
        match self {
            Self::UnknownAuthority { .. } => format!(
                "trust its authority with `--registry-certificate {host}=FILE`, or on the whole machine (`SSL_CERT_FILE` names another list)"
            ),
            Self::SelfSigned => {
                format!("trust this one certificate with `--registry-certificate {host}=FILE`")
            }
            Self::Expired => "renew the certificate, or set this machine's clock".into(),
            Self::NotYetValid => "set this machine's clock".into(),
            Self::OtherName => "call the registry by a name that its certificate is for".into(),
            Self::Certificate => {
                "ask whoever runs the registry for a certificate that clients accept".into()
            }
            Self::Identity { was_given: false } => {
                format!("give one with `--registry-client-cert {host}=CERT,KEY`")
            }
            Self::Identity { was_given: true } => {
                "check whether its authority is the registry's, and whether it has expired".into()
            }
            Self::NotTls => format!(
                "check the port; if it is meant to speak plain http, allow that with `--insecure-registry {host}`"
            ),
            Self::OldVersion => "ask whoever runs the registry to switch on TLS 1.2 or 1.3".into(),
            Self::Handshake => format!(
                "check the port; if the registry wants a client certificate, give one with `--registry-client-cert {host}=CERT,KEY`"
            ),
        }
    }
}

impl TlsProblem {
    /// What TLS found wrong and how it says that, when it was TLS that failed. `has_identity` is
    /// whether we could say who we are.
    pub(super) fn find(
        error: &(dyn StdError + 'static),
        has_identity: bool,
    ) -> Option<(Self, RootCause)> {
        let error = tls_error(error)?;
        Some((Self::of(error, has_identity), RootCause::new(&words(error))))
    }

    fn of(error: &Tls, has_identity: bool) -> Self {
        match error {
            Tls::InvalidCertificate(Certificate::Other(OtherError(unknown))) => {
                match unknown.downcast_ref::<UnknownAuthority>() {
                    Some(UnknownAuthority { is_self_signed: true, .. }) => Self::SelfSigned,
                    Some(UnknownAuthority { issuer, .. }) => {
                        Self::UnknownAuthority { issuer: issuer.clone() }
                    }
                    None => Self::Certificate,
                }
            }
            Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
                Self::Expired
            }
            Tls::InvalidCertificate(
                Certificate::NotValidYet | Certificate::NotValidYetContext { .. },
            ) => Self::NotYetValid,
            Tls::InvalidCertificate(
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
            ) => Self::OtherName,
            Tls::InvalidCertificate(_) => Self::Certificate,
            Tls::InvalidMessage(_) => Self::NotTls,
            Tls::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
            | Tls::AlertReceived(Alert::ProtocolVersion) => Self::OldVersion,
            // Before TLS 1.3 there was no alert of its own for a certificate that is missing.
            Tls::AlertReceived(
                Alert::CertificateRequired
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied,
            ) => Self::Identity { was_given: has_identity },
            _ => Self::Handshake,
        }
    }
}

/// The error of TLS in a chain. It hides inside of `io::Error`s, whose `source` skips what they hold.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Tls> {
    let mut next = Some(error);
    while let Some(error) = next {
        let mut inner = Some(error);
        while let Some(error) = inner {
            if let Some(error) = error.downcast_ref::<Tls>() {
                return Some(error);
            }
            let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            inner = io.map(|error| error as &(dyn StdError + 'static));
        }
        next = error.source();
    }
    None
}

/// What TLS says, in words for people where its own are for programs.
fn words(error: &Tls) -> String {
    match error {
        Tls::InvalidCertificate(Certificate::Other(OtherError(other))) => other.to_string(),
        Tls::InvalidCertificate(Certificate::ExpiredContext { not_after, .. }) => {
            format!("it was valid until {}", date(*not_after))
        }
        Tls::InvalidCertificate(Certificate::NotValidYetContext { time, not_before }) => {
            format!("it is valid from {} on, and this is {}", date(*not_before), date(*time))
        }
        Tls::InvalidCertificate(Certificate::NotValidForNameContext { presented, .. }) => {
            let names: Vec<_> = presented.iter().map(|name| name_in(name)).collect();
            match &names[..] {
                [] => "it names nobody".into(),
                names => format!("it is for `{}`", names.join("`, `")),
            }
        }
        Tls::InvalidMessage(_) => "what came back is something else".into(),
        error => error.to_string(),
    }
}

/// A day and a time of it, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let timestamp = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| "a year far off".into(), |timestamp| timestamp.to_string())
}

/// The name in `DnsName("r.io")` or `IpAddress(10.0.0.1)`, as which TLS shows it.
fn name_in(shown: &str) -> &str {
    let inner = shown.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(shown, |name| name.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;
    use rustls::pki_types::ServerName;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_tls_says_is_for_people() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (time, noon) = (at(1_795_247_808), at(1_735_689_600));
        let for_names = |names: &[&str]| Certificate::NotValidForNameContext {
            expected: ServerName::try_from("r.io").unwrap(),
            presented: names.iter().map(|&name| name.to_owned()).collect(),
        };
        for (certificate, expected) in [
            (
                Certificate::ExpiredContext { time, not_after: noon },
                "it was valid until 2025-01-01T00:00:00Z",
            ),
            (
                Certificate::NotValidYetContext { time: noon, not_before: time },
                "it is valid from 2026-11-21T07:56:48Z on, and this is 2025-01-01T00:00:00Z",
            ),
            (
                for_names(&["DnsName(\"*.corp\")", "IpAddress(10.0.0.1)", "DirectoryName"]),
                "it is for `*.corp`, `10.0.0.1`, `DirectoryName`",
            ),
            (for_names(&[]), "it names nobody"),
            (Certificate::Revoked, "invalid peer certificate: Revoked"),
        ] {
            assert_eq!(words(&Tls::InvalidCertificate(certificate)), expected);
        }
        let message = Tls::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(words(&message), "what came back is something else");
    }
}
