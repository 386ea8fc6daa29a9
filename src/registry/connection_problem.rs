//! What is wrong with a connection, told apart as far as the cures differ: proxy, TLS, network.

/// Why a proxy does not bring us to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProblem {
    /// Nothing listens there, or its name does not resolve.
    Unreachable,
    /// It wants to know who we are, or does not believe it.
    Login,
    /// It refuses, or fails, to connect us.
    Refused,
}

impl ProxyProblem {
    pub(super) fn text(self, host: &str) -> String {
        match self {
            Self::Unreachable => "cannot be reached".into(),
            Self::Login => "wants a user name and a password that it knows".into(),
            Self::Refused => format!("does not connect us to `{host}`"),
        }
    }

    pub(super) fn hint(self, variable: &str, host: &str) -> String {
        let around = format!("or go around it: add `{host}` to `NO_PROXY`");
        match self {
            Self::Unreachable => format!("check `{variable}`, {around}"),
            Self::Login => format!(
                "write them into `{variable}`: `http://NAME:PASSWORD@HOST:PORT`, special characters as `%XX`; {around}"
            ),
            Self::Refused => format!("ask whoever runs the proxy to allow it, {around}"),
        }
    }
}

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
    pub(super) fn text(&self, host: &str) -> String {
        match self {
            Self::UnknownAuthority { issuer: None } => {
                format!("the certificate of `{host}` is from an unknown authority")
            }
            Self::UnknownAuthority { issuer: Some(issuer) } => {
                format!("the certificate of `{host}` is from an unknown authority, `{issuer}`")
            }
            Self::SelfSigned => format!("the certificate of `{host}` is signed by itself alone"),
            Self::Expired => format!("the certificate of `{host}` has expired"),
            Self::NotYetValid => {
                format!("the certificate of `{host}` is not valid yet by this machine's clock")
            }
            Self::OtherName => format!("the certificate of `{host}` is for another name"),
            Self::Certificate => format!("the certificate of `{host}` is not valid"),
            Self::Identity { was_given: false } => format!("`{host}` wants a client certificate"),
            Self::Identity { was_given: true } => {
                format!("`{host}` does not accept our client certificate")
            }
            Self::NotTls => format!("`{host}` does not speak TLS on this port"),
            Self::OldVersion => format!("`{host}` speaks neither TLS 1.2 nor 1.3"),
            Self::Handshake => format!("`{host}` does not agree to TLS with us"),
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

/// The innermost cause of a network failure, without URLs and the layers around it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RootCause(String);

impl RootCause {
    /// What is known without an error.
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The last link of the chain.
    pub(super) fn of(mut error: &(dyn std::error::Error + 'static)) -> Self {
        while let Some(source) = error.source() {
            error = source;
        }
        Self(super::error_body::clean(&error.to_string()))
    }
}
