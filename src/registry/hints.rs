//! What a person can do about an error of the client, and what has to be known for that.

use std::collections::BTreeSet;

use super::create_repository;
use super::cures::{Trouble, cures};
use super::error::Error;
use super::keychain::{Credential, Search};
use crate::oci::Repository;

/// The cures of a failure, the most likely first; those of its root, see [`Error::root`].
pub(super) fn hints(error: &Error) -> Vec<String> {
    match error {
        Error::Unauthorized { identity: None, login, .. } => login.hints(),
        Error::Unauthorized { login, .. } => cures(Trouble::Refused, login),
        Error::Denied { login: Some(login), detail, .. } => {
            cures(Trouble::of_denial(detail), login)
        }
        Error::Refused { status: 413, .. } => {
            vec![
                "a proxy before the registry limits the size of a request: raise its limit"
                    .into(),
            ]
        }
        Error::Refused { status: 405 | 507, .. } => {
            vec!["the registry may be read-only or full: ask whoever runs it".into()]
        }
        Error::NotFound { push_to: Some(repository), detail, .. } => {
            vec![create_repository::hint(repository, detail)]
        }
        Error::NoImage { repository, is_plain, .. } => {
            let option = if *is_plain { "--tls-verify=false " } else { "" };
            vec![format!(
                "check the name and the tag; `skopeo list-tags {option}docker://{repository}` shows those that exist"
            )]
        }
        Error::TagIsImmutable { .. } => {
            vec![
                "push under another tag, or allow this one to move in the registry's settings"
                    .into(),
                "`--existing-tag keep` leaves a tag that exists where it is".into(),
            ]
        }
        Error::TagUnknown { .. } => {
            vec!["`--existing-tag` needs the right to look at tags: give this identity the right to pull, or leave the option out".into()]
        }
        Error::Page { status: 500.., .. } => vec![
            "a server before the registry has a problem of its own: try again later, or ask whoever runs it"
                .into(),
        ],
        Error::Page { .. } | Error::Unsafe { .. } => {
            vec!["check the host, the port and the path; a web server, a firewall, or the login page of a proxy may stand there".into()]
        }
        Error::Tls { problem, host, .. } => vec![problem.hint(host)],
        Error::Proxy { problem, proxy, variable, host, .. } => {
            vec![problem.hint(proxy, variable, host)]
        }
        Error::InvalidProxy { .. } => {
            vec!["write it as `http://HOST:PORT`, with `NAME:PASSWORD@` before the host where it wants them".into()]
        }
        Error::InvalidTag { .. } => vec![
            "a tag has 1 to 128 letters, digits, `_`, `.` or `-`, and starts with none of the last two"
                .into(),
        ],
        Error::Unreachable { .. } => {
            vec!["check the name and the port, the network, and the proxy variables".into()]
        }
        _ => Vec::new(),
    }
}

/// What somebody has to know who is asked to log in, or to log in otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The registry, by the name that people know.
    pub registry: String,
    /// The repository below it.
    pub path: String,
    /// The user name that was sent, if there was one.
    pub username: Option<String>,
    /// Whether the right to push was asked for.
    pub is_push: bool,
    /// Why no source, or none before the one that won, had credentials; one entry each.
    pub tried: Vec<String>,
}

impl Login {
    /// What came of looking for credentials for a repository, for a request of these scopes.
    pub(super) fn of(repository: &Repository, search: &Search, scopes: &BTreeSet<String>) -> Self {
        let username = match &search.found {
            Some((Credential::Password { username, .. }, _)) => Some(username.clone()),
            _ => None,
        };
        Self {
            registry: repository.registry().to_owned(),
            path: repository.path().to_owned(),
            username,
            is_push: scopes.iter().any(|scope| scope.ends_with(",push")),
            tried: search.tried.clone(),
        }
    }

    /// The cure first, then where credentials were looked for.
    fn hints(&self) -> Vec<String> {
        let mut hints = cures(Trouble::NoCredentials, self);
        if !self.tried.is_empty() {
            hints.push(format!("tried: {}", self.tried.join("; ")));
        }
        hints
    }
}
