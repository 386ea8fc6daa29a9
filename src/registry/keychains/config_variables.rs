//! Credentials in the variables that a project's config names, for that config's own registries.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::super::keychain::{Keychain, Lookup};
use super::pair::Pair;
use super::same_host;
use crate::oci::Repository;
use crate::sys::Environment;

/// `<PREFIX>_USERNAME` and `<PREFIX>_PASSWORD`.
///
/// The prefix stands beside the repositories of the config and is about them: another registry that
/// the command line names gets nothing. Where `<PREFIX>_HOST` says whose the pair is, as `HARBOR_HOST`
/// does, the config cannot say otherwise.
#[derive(Debug, Clone)]
pub struct ConfigVariables {
    environment: Environment,
    prefix: String,
    hosts: BTreeSet<String>,
}

impl ConfigVariables {
    /// The pair with this prefix, for these hosts.
    pub fn new(
        environment: &Environment,
        prefix: &str,
        hosts: impl IntoIterator<Item = String>,
    ) -> Self {
        let hosts = hosts.into_iter().map(|host| same_host(&host)).collect();
        Self { environment: environment.clone(), prefix: prefix.to_owned(), hosts }
    }
}

#[async_trait]
impl Keychain for ConfigVariables {
    fn name(&self, _: &Repository) -> String {
        let pair = Pair::of_prefix(&self.environment, &self.prefix);
        pair.map_or_else(|| format!("`{}_PASSWORD`", self.prefix), |pair| pair.name)
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        let host = same_host(repository.registry());
        if !self.hosts.contains(&host) {
            return Lookup::Nothing("it is for the repositories of the config only".into());
        }
        let owner_name = format!("{}_HOST", self.prefix);
        if let Some(owner) = self.environment.get(&owner_name)
            && same_host(owner.strip_prefix("https://").unwrap_or(owner)) != host
        {
            return Lookup::Nothing(format!("`{owner_name}` says that it is for another registry"));
        }
        let pair = Pair::of_prefix(&self.environment, &self.prefix);
        pair.map_or_else(|| Lookup::Nothing("it is not set".into()), |pair| pair.lookup)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::keychain::Credential;
    use super::super::super::secret::Secret;
    use super::*;

    #[tokio::test]
    async fn only_the_registries_of_the_config_get_them() {
        let environment = Environment::of([
            ("GHCR_USERNAME", "u"),
            ("GHCR_PASSWORD", "canary"),
            ("HARBOR_HOST", "https://harbor.corp"),
            ("HARBOR_USERNAME", "u"),
            ("HARBOR_PASSWORD", "canary"),
        ]);
        let hosts = || ["ghcr.io".to_owned(), "harbor.corp:443".to_owned()];
        let found = Lookup::Found(Credential::Password {
            username: "u".into(),
            password: Secret::new("canary"),
        });
        let nothing = |text: &str| Lookup::Nothing(text.into());
        let foreign = nothing("it is for the repositories of the config only");
        for (prefix, repository, expected) in [
            ("GHCR", "ghcr.io/a", found.clone()),
            ("GHCR", "ghcr.io:443/a", found.clone()),
            ("GHCR", "ghcr.io:5000/a", foreign.clone()),
            ("GHCR", "evil.io/a", foreign.clone()),
            ("GHCR", "ghcr.io.evil.io/a", foreign),
            ("HARBOR", "harbor.corp/a", found),
            ("HARBOR", "ghcr.io/a", nothing("`HARBOR_HOST` says that it is for another registry")),
            ("ACME", "ghcr.io/a", nothing("it is not set")),
        ] {
            let keychain = ConfigVariables::new(&environment, prefix, hosts());
            let lookup = keychain.find(&repository.parse().unwrap()).await;
            assert_eq!(lookup, expected, "{prefix} {repository}");
        }
    }
}
