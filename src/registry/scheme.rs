//! Finds out how a registry is spoken to that may be reached without TLS: loopback, and those that
//! the user names. All others are spoken to with TLS, always.

use super::answer::Answer;
use super::auth::Wanted;
use super::error::Error;
use super::lock::lock;
use super::origin::{Origin, api_root, is_loopback};
use super::redirect;
use super::retry::Fault;
use super::tls_problem::TlsProblem;
use super::transport::{Call, Transport};

impl Transport {
    /// How a registry is spoken to; `None` before it has answered.
    pub(super) fn scheme(&self, registry: &str) -> Option<&'static str> {
        let settled = lock(&self.memory.schemes).get(registry).copied();
        let has_answered = |scheme: &&str| self.has_answered(home(registry, scheme).as_ref());
        settled.or_else(|| ["https", "http"].into_iter().find(has_answered))
    }

    /// How a registry must be spoken to; `None` while it may be plain and has not shown what it is.
    pub(super) fn required_scheme(&self, registry: &str) -> Option<&'static str> {
        let settled = lock(&self.memory.schemes).get(registry).copied();
        settled.or((!self.may_be_plain(registry)).then_some("https"))
    }

    /// The first try at a registry that may be plain, which shows what it speaks: a TLS server answers
    /// plain http with 400, hangs up, or sends us to https.
    pub(super) async fn once_in_either_scheme(&self, call: Call<'_>) -> Result<Answer, Fault> {
        let registry = call.endpoint.repository.registry();
        let plain = self.with_login(call, "http").await;
        let is_sent_away =
            plain.as_ref().is_ok_and(|answer| redirect::is_redirect(answer.status()));
        let is_suspicious = match &plain {
            Ok(answer) => is_sent_away || answer.status() == 400,
            Err(_) if self.has_answered(home(registry, "http").as_ref()) => false,
            Err(fault) => match &*fault.error {
                Error::ConnectionLost { .. } => true,
                // Without a port in its name, it is another port for TLS.
                Error::Unreachable { .. } => has_default_ports(registry),
                _ => false,
            },
        };
        if is_suspicious {
            let encrypted = self.with_login(call, "https").await;
            let has_answered = self.has_answered(home(registry, "https").as_ref());
            if has_answered || encrypted.as_ref().err().is_none_or(is_beyond_handshake) {
                self.settle(registry, "https");
                return encrypted;
            }
            if is_sent_away {
                return encrypted;
            }
        }
        if plain.is_ok() {
            self.settle(registry, "http");
        }
        plain
    }

    /// Whether the answer sends us to where the registry would be with TLS, before it is settled that
    /// it is plain.
    pub(super) fn is_sent_to_tls(&self, wanted: Wanted<'_>, answer: &Answer) -> bool {
        let registry = wanted.repository.registry();
        let is_open = wanted.home.is_plain() && self.required_scheme(registry) != Some("http");
        let location = answer.header("location").filter(|_| is_open);
        let target = location.and_then(|location| redirect::resolve(answer.url(), location).ok());
        target.is_some_and(|url| Origin::of(&url) == home(registry, "https"))
    }

    /// Whether this origin answered before.
    pub(super) fn has_answered(&self, origin: Option<&Origin>) -> bool {
        origin.is_some_and(|origin| lock(&self.memory.answered).contains(origin))
    }

    fn settle(&self, registry: &str, scheme: &'static str) {
        lock(&self.memory.schemes).insert(registry.to_owned(), scheme);
    }

    pub(super) fn may_be_plain(&self, registry: &str) -> bool {
        is_loopback(registry) || self.http.settings().insecure.contains(registry)
    }
}

/// Whether it was TLS that answered, though nothing came of it, or we did not get that far by a
/// mistake in the settings.
fn is_beyond_handshake(fault: &Fault) -> bool {
    match &*fault.error {
        Error::Tls { problem, .. } => *problem != TlsProblem::NotTls,
        error => matches!(
            error,
            Error::ConnectionLost { .. } | Error::Stalled { .. } | Error::Settings { .. }
        ),
    }
}

/// The origin of a registry that is spoken to in this scheme.
fn home(registry: &str, scheme: &str) -> Option<Origin> {
    Origin::of(&api_root(registry, scheme)?)
}

/// Whether a registry is called without a port, which is another one for each scheme then.
fn has_default_ports(registry: &str) -> bool {
    let port = |scheme| home(registry, scheme).map(|home| home.port());
    port("http") != port("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_the_name_is_the_same_for_both_schemes() {
        for (registry, expected) in
            [("localhost", true), ("r.io", true), ("r.io:80", false), ("r.io:5000", false)]
        {
            assert_eq!(has_default_ports(registry), expected, "{registry}");
        }
    }
}
