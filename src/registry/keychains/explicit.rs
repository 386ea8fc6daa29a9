//! Credentials that a person named for one registry: flags and variables.

use async_trait::async_trait;

use super::super::keychain::{Credential, Keychain, Lookup};
use super::super::secret::Secret;
use super::pair::Pair;
use super::same_host;
use crate::oci::Repository;
use crate::sys::Environment;

/// A user name and password for exactly one registry host. They are the push destination's: the
/// base image's registry never sees them, unless it is the same host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explicit {
    host: String,
    source: String,
    lookup: Lookup,
}

impl Explicit {
    /// Credentials from flags, for this host.
    pub fn new(host: &str, username: impl Into<String>, password: Secret) -> Self {
        let credential = Credential::Password { username: username.into(), password };
        let source = "the flags".into();
        Self { host: same_host(host), source, lookup: Lookup::Found(credential) }
    }

    /// Credentials from the environment, for this host: `DOCKLESS_REGISTRY_USERNAME` and
    /// `…_PASSWORD`, then HoloDeck's `HOLODECK_REGISTRY_…`. Pairs of which nothing is set are left out.
    pub fn from_environment(environment: &Environment, host: &str) -> Vec<Self> {
        ["DOCKLESS_REGISTRY", "HOLODECK_REGISTRY"]
            .into_iter()
            .filter_map(|prefix| Pair::of_prefix(environment, prefix))
            .map(|Pair { name, lookup }| Self { host: same_host(host), source: name, lookup })
            .collect()
    }

    /// Whether a person meant something by it; what is empty means nothing.
    pub fn is_meant(&self) -> bool {
        !matches!(self.lookup, Lookup::Nothing(_))
    }
}

#[async_trait]
impl Keychain for Explicit {
    fn name(&self, _: &Repository) -> String {
        self.source.clone()
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        if same_host(repository.registry()) == self.host {
            return self.lookup.clone();
        }
        Lookup::Nothing(format!("it is for `{}` only", self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(username: &str, password: &str) -> Lookup {
        let (username, password) = (username.into(), Secret::new(password));
        Lookup::Found(Credential::Password { username, password })
    }

    #[tokio::test]
    async fn only_the_one_host_gets_them() {
        let explicit = Explicit::new("push.io", "bob", Secret::new("canary"));
        for (repository, is_for_it) in [
            ("push.io/a", true),
            ("push.io:443/a", true),
            ("push.io:5000/a", false),
            ("sub.push.io/a", false),
            ("push.io.evil.com/a", false),
            ("python", false),
        ] {
            let lookup = explicit.find(&repository.parse().unwrap()).await;
            let nothing = Lookup::Nothing("it is for `push.io` only".into());
            let expected = if is_for_it { password("bob", "canary") } else { nothing };
            assert_eq!(lookup, expected, "{repository}");
        }
    }

    #[tokio::test]
    async fn the_environment_is_read_in_order() {
        let environment = Environment::of([
            ("DOCKLESS_REGISTRY_PASSWORD", "alone"),
            ("HOLODECK_REGISTRY_USERNAME", "h"),
            ("HOLODECK_REGISTRY_PASSWORD", "2"),
        ]);
        let repository: Repository = "r.io/a".parse().unwrap();
        let mut found = Vec::new();
        for keychain in Explicit::from_environment(&environment, "r.io") {
            found.push((keychain.name(&repository), keychain.find(&repository).await));
        }
        let missing =
            Lookup::Broken("its other half `DOCKLESS_REGISTRY_USERNAME` is not set".into());
        assert_eq!(
            found,
            [
                ("`DOCKLESS_REGISTRY_PASSWORD`".into(), missing),
                ("`HOLODECK_REGISTRY_USERNAME`".into(), password("h", "2")),
            ]
        );
        assert_eq!(Explicit::from_environment(&Environment::default(), "r.io"), []);
    }
}
