//! Everything that can go wrong between us and a registry.

use std::time::Duration;

use super::connection_problem::{ProxyProblem, RootCause};
use super::hints::{Login, hints};
use super::retry::is_later;
use super::tls_problem::TlsProblem;
use crate::error::{Classified, ErrorKind};
use crate::oci::{Digest, Repository};

/// Why a request to a registry did not do what it was for.
///
/// `action` says what was attempted, on which repository: "upload blob `ab…` to `ghcr.io/acme/x`".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there, the name does not resolve, or the way is blocked.
    #[error("cannot {action}: cannot reach `{host}`")]
    Unreachable {
        /// What was attempted.
        action: String,
        /// Whom we called.
        host: String,
        /// What the network says.
        source: RootCause,
    },
    /// There is no trusted encrypted connection.
    #[error("cannot {action}: {}", problem.text(&format!("`{host}`")))]
    Tls {
        /// What was attempted.
        action: String,
        /// Whom we called.
        host: String,
        /// What is wrong, as far as it is known.
        problem: TlsProblem,
        /// What TLS says.
        source: RootCause,
    },
    /// The proxy on the way does not help.
    #[error("cannot {action}: {}", problem.text(proxy, host))]
    Proxy {
        /// What was attempted.
        action: String,
        /// Whom we wanted to call.
        host: String,
        /// The proxy, without name and password.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// What is wrong with it.
        problem: ProxyProblem,
        /// What the network says.
        source: RootCause,
    },
    /// What a variable names is no proxy; it may hold a password, so that it is not shown.
    #[error("`{variable}` names {}", if *is_socks { "a SOCKS proxy: only HTTP proxies can be used" } else { "no proxy that can be used" })]
    InvalidProxy {
        /// The variable.
        variable: &'static str,
        /// Whether it is one that speaks SOCKS.
        is_socks: bool,
    },
    /// The connection broke in the middle.
    #[error("cannot {action}: the connection to `{host}` broke")]
    ConnectionLost {
        /// What was attempted.
        action: String,
        /// Whom we called.
        host: String,
        /// What the network says.
        source: RootCause,
    },
    /// The connection stands and nothing, or too little, comes through.
    #[error("cannot {action}: the connection to `{host}` stalled: {reason}")]
    Stalled {
        /// What was attempted.
        action: String,
        /// Whom we called.
        host: String,
        /// What was seen.
        reason: String,
    },
    /// The registry does not accept our credentials, or wants some and we have none.
    #[error("cannot {action}: `{host}` {}", unauthorized(identity.as_deref(), detail))]
    Unauthorized {
        /// What was attempted.
        action: String,
        /// Who refused: the registry or its token server.
        host: String,
        /// Whose credentials were sent and where they came from; none if there were none.
        identity: Option<String>,
        /// What was said, cleaned.
        detail: String,
        /// Where to log in, and where credentials were looked for.
        login: Box<Login>,
    },
    /// We are known and not allowed.
    #[error("cannot {action}: `{host}` denies it{}{}", as_identity(identity.as_deref()), after_colon(detail))]
    Denied {
        /// What was attempted.
        action: String,
        /// Who refused.
        host: String,
        /// Whose credentials were sent and where they came from.
        identity: Option<String>,
        /// What was said, cleaned.
        detail: String,
        /// What is known of the login, for the cure.
        login: Option<Box<Login>>,
    },
    /// There is no such repository, manifest or blob.
    #[error("cannot {action}: `{host}` does not have it{}", after_colon(detail))]
    NotFound {
        /// What was attempted.
        action: String,
        /// Who was asked.
        host: String,
        /// What was said, cleaned.
        detail: String,
        /// Where something was to be sent, if that was it.
        push_to: Option<Repository>,
    },
    /// What was to be pulled does not exist.
    #[error("there is no {target} in `{repository}`{}", after_colon(detail))]
    NoImage {
        /// "tag `v1`" or "image `sha256:…`".
        target: String,
        /// Where it was looked for.
        repository: String,
        /// Whether that registry is reached without TLS.
        is_plain: bool,
        /// What was said, cleaned.
        detail: String,
    },
    /// The registry answers with a status that means no.
    #[error("cannot {action}: `{host}` answered {status}{}", after_colon(detail))]
    Refused {
        /// What was attempted.
        action: String,
        /// Who refused.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What was said, cleaned.
        detail: String,
    },
    /// The manifest names blobs or manifests that the repository does not have (any more): make
    /// sure of each of them again, then put the manifest again.
    #[error("cannot {action}: `{host}` misses content it refers to{}", after_colon(detail))]
    ContentMissing {
        /// What was attempted.
        action: String,
        /// Who refused.
        host: String,
        /// What was said, cleaned.
        detail: String,
    },
    /// The tag exists with another digest and may not be moved: the registry says so, or the caller.
    #[error("cannot {action}: the tag is immutable{}{}", and_stays(existing.as_ref()), after_colon(detail))]
    TagIsImmutable {
        /// What was attempted.
        action: String,
        /// The digest it has, where that is known.
        existing: Option<Digest>,
        /// The digest it was to get.
        wanted: Digest,
        /// What was said, cleaned.
        detail: String,
    },
    /// The tag must not be moved, and what it is cannot be looked up.
    #[error("cannot tell whether `{tag}` exists")]
    TagUnknown {
        /// The reference with the tag.
        tag: String,
        /// What the registry answered.
        source: Box<Error>,
    },
    /// The bytes are not those that were asked for.
    #[error("cannot {action}: expected {expected}, got {actual}")]
    WrongDigest {
        /// What was attempted.
        action: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// There are more or fewer bytes than the descriptor says.
    #[error("cannot {action}: expected {expected} bytes, got {actual}")]
    WrongSize {
        /// What was attempted.
        action: String,
        /// The size in the descriptor.
        expected: u64,
        /// How many came; one more than expected when reading stopped there.
        actual: u64,
    },
    /// The document is larger than any sane one.
    #[error("cannot {action}: it has more than {limit} bytes")]
    TooLarge {
        /// What was attempted.
        action: String,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// The answer breaks the protocol.
    #[error("cannot {action}: `{host}` gave an answer that makes no sense: {reason}")]
    Protocol {
        /// What was attempted.
        action: String,
        /// Who answered.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is no registry that answers, but a web server or a proxy on the way, with a page for people.
    #[error("cannot {action}: `{host}` answered {status} with {page}, no registry's answer")]
    Page {
        /// What was attempted.
        action: String,
        /// Who answered; after a redirect, the place that it led to.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The page, by its title where that is known.
        page: String,
    },
    /// The registry sends us where we do not go.
    #[error("cannot {action}: `{host}` sends us to an unsafe place: {reason}")]
    Unsafe {
        /// What was attempted.
        action: String,
        /// Who sent us.
        host: String,
        /// Why it is not followed.
        reason: String,
    },
    /// What is to be sent cannot be read.
    #[error("cannot {action}: cannot read what is to be sent")]
    Source {
        /// What was attempted.
        action: String,
        /// What the file system or the other registry says.
        source: std::io::Error,
    },
    /// A tag that was put together is none; nothing was sent.
    #[error("`{}` is not a tag", tag.escape_debug())]
    InvalidTag {
        /// The text.
        tag: String,
    },
    /// The network settings cannot be used.
    #[error("the network settings for `{host}` cannot be used: {reason}")]
    Settings {
        /// Which registry they are for.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// It was tried again until patience ran out.
    #[error("gave up after {tries} tries in {}s: {last}", during.as_secs())]
    GaveUp {
        /// How many tries there were.
        tries: u32,
        /// Time between the first failure and the last.
        during: Duration,
        /// The last failure.
        #[source]
        last: Box<Error>,
    },
}

impl Error {
    /// The failure itself, below the account of how often it was tried.
    pub fn root(&self) -> &Self {
        match self {
            Self::GaveUp { last, .. } => last.root(),
            other => other,
        }
    }
}

impl Classified for Error {
    /// Whether credentials, rights, names, certificates or settings have to change before the same
    /// request can succeed; what may be an accident is nobody's turn.
    fn kind(&self) -> ErrorKind {
        match self.root() {
            Self::Tls { .. }
            | Self::Unauthorized { .. }
            | Self::Denied { .. }
            | Self::NotFound { push_to: Some(_), .. }
            | Self::NoImage { .. }
            | Self::Page { status: ..500, .. }
            | Self::TagUnknown { .. }
            | Self::InvalidTag { .. }
            | Self::Settings { .. }
            | Self::InvalidProxy { .. }
            | Self::Proxy { problem: ProxyProblem::Login | ProxyProblem::Tls(_), .. } => {
                ErrorKind::Usage
            }
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        hints(self.root())
    }

    fn is_retryable(&self) -> bool {
        match self.root() {
            Self::Proxy { problem, .. } => problem.may_heal(),
            Self::Unreachable { .. }
            | Self::ConnectionLost { .. }
            | Self::Stalled { .. }
            | Self::ContentMissing { .. } => true,
            Self::Refused { status, .. } => is_later(*status),
            _ => false,
        }
    }
}

fn unauthorized(identity: Option<&str>, detail: &str) -> String {
    match identity {
        Some(identity) => format!("does not accept {identity}{}", after_colon(detail)),
        None => format!("wants credentials and there are none{}", after_colon(detail)),
    }
}

fn and_stays(existing: Option<&Digest>) -> String {
    existing.map(|existing| format!(" and stays at {existing}")).unwrap_or_default()
}

fn as_identity(identity: Option<&str>) -> String {
    identity.map(|identity| format!(" to {identity}")).unwrap_or_default()
}

/// What was said, behind what we say.
pub(super) fn after_colon(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unauthorized_error(identity: Option<&str>) -> Error {
        Error::Unauthorized {
            action: "push `r.io/a`".into(),
            host: "auth.r.io".into(),
            identity: identity.map(Into::into),
            detail: "UNAUTHORIZED: go away".into(),
            login: Box::new(Login {
                registry: "r.io".into(),
                path: "a".into(),
                username: None,
                is_push: true,
                tried: vec!["docker config: no entry for `r.io`".into()],
            }),
        }
    }

    #[test]
    fn a_message_names_who_refused_what_to_whom_and_the_cure() {
        let known = unauthorized_error(Some("user `bob` (flags)"));
        assert_eq!(
            known.to_string(),
            "cannot push `r.io/a`: `auth.r.io` does not accept user `bob` (flags): UNAUTHORIZED: go away"
        );
        let unknown = unauthorized_error(None);
        assert_eq!(
            unknown.to_string(),
            "cannot push `r.io/a`: `auth.r.io` wants credentials and there are none: UNAUTHORIZED: go away"
        );
        assert_eq!(
            unknown.hints(),
            [
                "log in to `r.io`: `dockless login r.io --username NAME --password-stdin`; or set `DOCKLESS_REGISTRY_R_IO_USERNAME` and `DOCKLESS_REGISTRY_R_IO_PASSWORD`",
                "tried: docker config: no entry for `r.io`"
            ]
        );
        assert_eq!((known.kind(), known.is_retryable()), (ErrorKind::Usage, false));
    }

    #[test]
    fn giving_up_keeps_what_the_failure_was() {
        let (action, host) = ("ask".to_owned(), "r.io".to_owned());
        let source = RootCause::new("it is down");
        let last = Box::new(Error::Unreachable { action, host, source });
        let gave_up = Error::GaveUp { tries: 9, during: Duration::from_secs(299), last };
        assert_eq!((gave_up.kind(), gave_up.is_retryable()), (ErrorKind::Failed, true));
        assert_eq!(
            crate::error::Error::new(gave_up).lines(),
            ["gave up after 9 tries in 299s: cannot ask: cannot reach `r.io`", "it is down"]
        );
    }

    #[test]
    fn a_page_is_the_users_turn_unless_a_server_failed() {
        for (status, kind) in
            [(200, ErrorKind::Usage), (404, ErrorKind::Usage), (521, ErrorKind::Failed)]
        {
            let error = Error::Page {
                action: "push".into(),
                host: "r.io".into(),
                status,
                page: "an HTML page".into(),
            };
            assert_eq!((error.kind(), error.hints().len()), (kind, 1), "{status}");
        }
    }

    #[test]
    fn a_status_that_is_tried_again_is_worth_another_run_and_no_other() {
        for status in 400..600 {
            let (action, host, detail) = Default::default();
            let refused = Error::Refused { action, host, status, detail };
            assert_eq!(refused.is_retryable(), is_later(status), "{status}");
        }
        assert!(is_later(425) && !is_later(501));
    }
}
