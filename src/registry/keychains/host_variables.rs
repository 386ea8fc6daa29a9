//! Credentials in variables whose name says for which registry they are.

use async_trait::async_trait;

use super::super::keychain::{Credential, Keychain, Lookup};
use super::super::secret::Secret;
use super::pair::pair;
use super::same_host;
use crate::oci::Repository;
use crate::sys::Environment;

/// `DOCKLESS_REGISTRY_GHCR_IO_USERNAME` and `…_PASSWORD`, or `…_TOKEN` for a token that the registry
/// itself takes.
///
/// The host is in upper case, and everything that is neither a letter nor a digit is `_`. Hosts that
/// differ in nothing else have the same variables and cannot be told apart.
#[derive(Debug, Clone)]
pub struct HostVariables {
    environment: Environment,
}

impl HostVariables {
    /// Reads the variables of this environment.
    pub fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone() }
    }
}

#[async_trait]
impl Keychain for HostVariables {
    fn name(&self) -> String {
        "`DOCKLESS_REGISTRY_<HOST>_…`".into()
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        let prefix = variable_prefix(repository.registry());
        if let Some((_, lookup)) = pair(&self.environment, &prefix) {
            return lookup;
        }
        match self.environment.get(&format!("{prefix}_TOKEN")) {
            Some(token) => Lookup::Found(Credential::Bearer { token: Secret::new(token) }),
            None => Lookup::Nothing(format!("`{prefix}_PASSWORD` is not set")),
        }
    }
}

/// How the names of a registry's variables begin: `DOCKLESS_REGISTRY_GHCR_IO`.
pub(in crate::registry) fn variable_prefix(registry: &str) -> String {
    let character = |character: char| {
        if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }
    };
    let host: String = same_host(registry).chars().map(character).collect();
    format!("DOCKLESS_REGISTRY_{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_host_has_its_own_variables() {
        let environment = Environment::of([
            ("DOCKLESS_REGISTRY_USERNAME", "canary"),
            ("DOCKLESS_REGISTRY_PASSWORD", "canary"),
            ("DOCKLESS_REGISTRY_GHCR_IO_USERNAME", "octocat"),
            ("DOCKLESS_REGISTRY_GHCR_IO_PASSWORD", "gh"),
            ("DOCKLESS_REGISTRY_MY_HOST_5000_USERNAME", "port"),
            ("DOCKLESS_REGISTRY_MY_HOST_5000_PASSWORD", "5"),
            ("DOCKLESS_REGISTRY_DOCKER_IO_TOKEN", "bearer"),
            ("DOCKLESS_REGISTRY_HALF_IO_USERNAME", "half"),
            ("DOCKLESS_REGISTRY_HALF_IO_PASSWORD", ""),
        ]);
        let found = |username: &str, password: &str| {
            let (username, password) = (username.into(), Secret::new(password));
            Lookup::Found(Credential::Password { username, password })
        };
        let nothing = |name: &str| Lookup::Nothing(format!("`{name}` is not set"));
        for (repository, expected) in [
            ("ghcr.io/a", found("octocat", "gh")),
            ("ghcr.io:443/a", found("octocat", "gh")),
            ("my-host:5000/a", found("port", "5")),
            // Known and documented: these two have one name.
            ("my.host:5000/a", found("port", "5")),
            ("python", Lookup::Found(Credential::Bearer { token: Secret::new("bearer") })),
            ("r.io/a", nothing("DOCKLESS_REGISTRY_R_IO_PASSWORD")),
            ("ghcr.io.evil.com/a", nothing("DOCKLESS_REGISTRY_GHCR_IO_EVIL_COM_PASSWORD")),
            (
                "half.io/a",
                Lookup::Broken(
                    "`DOCKLESS_REGISTRY_HALF_IO_USERNAME` is set, `DOCKLESS_REGISTRY_HALF_IO_PASSWORD` is not"
                        .into(),
                ),
            ),
        ] {
            let lookup = HostVariables::new(&environment).find(&repository.parse().unwrap()).await;
            assert_eq!(lookup, expected, "{repository}");
        }
    }
}
