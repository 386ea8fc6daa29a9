//! Credentials in variables whose name says for which registry they are.

use async_trait::async_trait;

use super::super::keychain::{Credential, Keychain, Lookup};
use super::pair::Pair;
use super::same_host;
use crate::oci::Repository;
use crate::sys::Environment;

/// `DOCKLESS_REGISTRY_GHCR_IO_USERNAME` and `…_PASSWORD`, or `…_TOKEN` for a token that the registry
/// itself takes.
///
/// The host is in upper case, a `-` is `__`, and a `.` or `:` is `_`, as in Terraform's `TF_TOKEN_…`:
/// no two hosts share their variables.
#[derive(Debug, Clone)]
pub struct HostVariables {
    environment: Environment,
}

impl HostVariables {
    /// Reads the variables of this environment.
    pub fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone() }
    }

    fn read(&self, registry: &str) -> Pair {
        let prefix = variable_prefix(registry);
        let token = || {
            let name = format!("{prefix}_TOKEN");
            Pair::of_token(&self.environment, &name, |token| Credential::Bearer { token })
        };
        Pair::of_prefix(&self.environment, &prefix).or_else(token).unwrap_or_else(|| Pair {
            name: format!("`{prefix}_PASSWORD`"),
            lookup: self.misspelt(registry).unwrap_or(Lookup::Nothing("it is not set".into())),
        })
    }

    /// What is said when a person wrote the `-` of a host as `_`.
    fn misspelt(&self, registry: &str) -> Option<Lookup> {
        let prefix = variable_prefix(&registry.replace('-', "."));
        let mut names =
            ["USERNAME", "PASSWORD", "TOKEN"].into_iter().map(|end| format!("{prefix}_{end}"));
        let name =
            names.find(|name| registry.contains('-') && self.environment.get(name).is_some())?;
        let host = registry.replace('-', ".");
        Some(Lookup::Broken(format!(
            "it is not set; `{name}` is, which belongs to `{host}`: a `-` is written `__`"
        )))
    }
}

#[async_trait]
impl Keychain for HostVariables {
    fn name(&self, repository: &Repository) -> String {
        self.read(repository.registry()).name
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        self.read(repository.registry()).lookup
    }
}

/// How the names of a registry's variables begin: `DOCKLESS_REGISTRY_GHCR_IO`.
pub(in crate::registry) fn variable_prefix(registry: &str) -> String {
    let host = same_host(registry).replace('-', "__").replace(['.', ':', '[', ']'], "_");
    format!("DOCKLESS_REGISTRY_{}", host.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::super::super::secret::Secret;
    use super::*;

    #[tokio::test]
    async fn each_host_has_its_own_variables() {
        let environment = Environment::of([
            ("DOCKLESS_REGISTRY_USERNAME", "canary"),
            ("DOCKLESS_REGISTRY_PASSWORD", "canary"),
            ("DOCKLESS_REGISTRY_GHCR_IO_USERNAME", "octocat"),
            ("DOCKLESS_REGISTRY_GHCR_IO_PASSWORD", "gh"),
            ("DOCKLESS_REGISTRY_MY__HOST_5000_USERNAME", "port"),
            ("DOCKLESS_REGISTRY_MY__HOST_5000_PASSWORD", "5"),
            ("DOCKLESS_REGISTRY_REGISTRY_ACME_IO_USERNAME", "dot"),
            ("DOCKLESS_REGISTRY_REGISTRY_ACME_IO_PASSWORD", "d"),
            ("DOCKLESS_REGISTRY_DOCKER_IO_TOKEN", "bearer"),
            ("DOCKLESS_REGISTRY_HALF_IO_USERNAME", "half"),
        ]);
        let found = |username: &str, password: &str| {
            let (username, password) = (username.into(), Secret::new(password));
            Lookup::Found(Credential::Password { username, password })
        };
        let bearer = Lookup::Found(Credential::Bearer { token: Secret::new("bearer") });
        let nothing = Lookup::Nothing("it is not set".into());
        for (repository, name, expected) in [
            ("ghcr.io/a", "GHCR_IO_USERNAME", found("octocat", "gh")),
            ("ghcr.io:443/a", "GHCR_IO_USERNAME", found("octocat", "gh")),
            ("my-host:5000/a", "MY__HOST_5000_USERNAME", found("port", "5")),
            ("my.host:5000/a", "MY_HOST_5000_PASSWORD", nothing.clone()),
            ("registry.acme.io/a", "REGISTRY_ACME_IO_USERNAME", found("dot", "d")),
            (
                "registry-acme.io/a",
                "REGISTRY__ACME_IO_PASSWORD",
                Lookup::Broken(
                    "it is not set; `DOCKLESS_REGISTRY_REGISTRY_ACME_IO_USERNAME` is, which belongs to `registry.acme.io`: a `-` is written `__`"
                        .into(),
                ),
            ),
            ("python", "DOCKER_IO_TOKEN", bearer),
            ("r.io/a", "R_IO_PASSWORD", nothing.clone()),
            ("ghcr.io.evil.com/a", "GHCR_IO_EVIL_COM_PASSWORD", nothing),
            (
                "half.io/a",
                "HALF_IO_USERNAME",
                Lookup::Broken(
                    "its other half `DOCKLESS_REGISTRY_HALF_IO_PASSWORD` is not set".into(),
                ),
            ),
        ] {
            let (keychain, repository) =
                (HostVariables::new(&environment), repository.parse().unwrap());
            assert_eq!(keychain.name(&repository), format!("`DOCKLESS_REGISTRY_{name}`"));
            assert_eq!(keychain.find(&repository).await, expected, "{repository}");
        }
    }
}
