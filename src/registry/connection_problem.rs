//! What is wrong with the way to a registry, told apart as far as the cures differ.

use super::tls_problem::TlsProblem;

/// Why a proxy does not bring us to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyProblem {
    /// Nothing listens there, or its name does not resolve.
    Unreachable,
    /// Nothing comes in time, from it or from whoever is behind it.
    Silent,
    /// There is no trusted encrypted connection to the proxy itself.
    Tls(Box<TlsProblem>),
    /// It wants to know who we are, or does not believe it.
    Login,
    /// It refuses, or fails, to connect us.
    Refused {
        /// The HTTP status that it answers, where it answers.
        status: Option<u16>,
    },
}

impl ProxyProblem {
    /// Whether it may be over a moment later.
    pub(super) fn may_heal(&self) -> bool {
        match self {
            Self::Unreachable | Self::Silent => true,
            Self::Tls(_) | Self::Login => false,
            Self::Refused { status } => {
                status.is_none_or(|status| matches!(status, 408 | 425 | 429 | 500 | 502..=504))
            }
        }
    }

    /// What is wrong with `proxy` on the way to `host`.
    pub(super) fn text(&self, proxy: &str, host: &str) -> String {
        let proxy = format!("the proxy `{proxy}`");
        match self {
            Self::Unreachable => format!("{proxy} cannot be reached"),
            Self::Silent => format!("{proxy} does not connect us to `{host}` in time"),
            Self::Tls(problem) => problem.text(&proxy),
            Self::Login => format!("{proxy} wants a user name and a password that it knows"),
            Self::Refused { status: None } => format!("{proxy} does not connect us to `{host}`"),
            Self::Refused { status: Some(status) } => {
                format!("{proxy} does not connect us to `{host}`: it answers {status}")
            }
        }
    }

    pub(super) fn hint(&self, proxy: &str, variable: &str, host: &str) -> String {
        let around = format!("or go around it: add `{host}` to `NO_PROXY`");
        match self {
            Self::Unreachable => format!("check `{variable}`, {around}"),
            Self::Silent => format!(
                "check `{variable}`: whether the proxy is meant by `http://` or `https://`, and its port; {around}"
            ),
            Self::Tls(problem) => {
                let cure = match **problem {
                    TlsProblem::NotTls | TlsProblem::Handshake => format!(
                        "check `{variable}`: `http://` is how most proxies are spoken to, also on the way to registries with TLS"
                    ),
                    TlsProblem::Identity { .. } => {
                        "a proxy cannot be given a client certificate".to_owned()
                    }
                    _ => problem.hint(proxy),
                };
                format!("{cure}; {around}")
            }
            Self::Login => format!(
                "write them into `{variable}`: `http://NAME:PASSWORD@HOST:PORT`, special characters as `%XX`; {around}"
            ),
            Self::Refused { .. } => format!("ask whoever runs the proxy to allow it, {around}"),
        }
    }
}

/// The innermost cause of a network failure, without URLs and the layers around it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RootCause(Box<str>);

impl RootCause {
    /// What is known without an error.
    pub(super) fn new(text: &str) -> Self {
        Self(super::error_body::clean(text).into())
    }

    /// The last link of the chain.
    pub(super) fn of(mut error: &(dyn std::error::Error + 'static)) -> Self {
        while let Some(source) = error.source() {
            error = source;
        }
        Self::new(&error.to_string())
    }
}
