//! The sources of credentials, in the order in which they are asked.
//!
//! 1. [`Explicit`]: flags and variables for the one registry that is pushed to
//! 2. [`HostVariables`]: variables that name their registry
//! 3. [`ConfigVariables`]: variables that the config names for its own registries
//! 4. [`docker_config`]: `DOCKER_AUTH_CONFIG`, then docker's `config.json`
//! 5. [`podman`]: `REGISTRY_AUTH_FILE`, then podman's `auth.json`
//! 6. those of clouds, for their own registries
//! 7. [`Ci`]: what GitHub Actions, GitLab CI and Harbor give to a job
//!
//! What a person chose stands before what the machine offers. [`AuthStore`] writes what a login gives.

mod auth_file;
mod auth_store;
mod auth_text;
mod ci;
mod config_variables;
mod explicit;
mod helper;
mod host_variables;
mod last_words;
mod pair;

pub mod docker_config;
pub mod podman;

use std::sync::Arc;

pub use auth_file::AuthFile;
pub use auth_store::{AuthStore, Kept, StoreError};
pub use ci::Ci;
pub use config_variables::ConfigVariables;
pub use explicit::Explicit;
pub use helper::HelperError;
pub use host_variables::HostVariables;
pub(super) use host_variables::variable_prefix;

use super::Keychain;
use crate::sys::Environment;
use crate::sys::command::Commands;

/// All sources: those that a person named for one registry first, then those of the project's config,
/// then those of the machine, and of the clouds that it has a login at.
pub fn standard(
    explicit: impl IntoIterator<Item = Explicit>,
    of_config: Option<ConfigVariables>,
    of_clouds: Vec<Arc<dyn Keychain>>,
    environment: &Environment,
    commands: &Arc<dyn Commands>,
) -> Vec<Arc<dyn Keychain>> {
    let mut keychains: Vec<Arc<dyn Keychain>> = Vec::new();
    for keychain in explicit {
        keychains.push(Arc::new(keychain));
    }
    keychains.push(Arc::new(HostVariables::new(environment)));
    if let Some(keychain) = of_config {
        keychains.push(Arc::new(keychain));
    }
    let docker = docker_config::auth_files(environment, commands);
    for file in docker.into_iter().chain(podman::auth_files(environment, commands)) {
        keychains.push(Arc::new(file));
    }
    keychains.extend(of_clouds);
    keychains.push(Arc::new(Ci::new(environment)));
    keychains
}

/// A host as written, in the form in which two spellings of it are equal.
fn same_host(host: &str) -> String {
    let host = host.trim().trim_end_matches('/').to_ascii_lowercase();
    host.strip_suffix(":443").map_or_else(|| host.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::command::FakeCommands;

    #[test]
    fn what_a_person_chose_comes_first() {
        let environment = Environment::of([
            ("HOME", "/home/bob"),
            ("DOCKER_AUTH_CONFIG", "{}"),
            ("REGISTRY_AUTH_FILE", "/auth.json"),
            ("DOCKLESS_REGISTRY_USERNAME", "u"),
        ]);
        let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
        let repository = "r.io/a".parse().unwrap();
        let explicit = Explicit::from_environment(&environment, "r.io");
        let of_config = ConfigVariables::new(&environment, "ACME", []);
        let of_cloud: Vec<Arc<dyn Keychain>> = vec![Arc::new(HostVariables::new(&environment))];
        let names: Vec<_> = standard(explicit, Some(of_config), of_cloud, &environment, &commands)
            .iter()
            .map(|keychain| keychain.name(&repository))
            .collect();
        assert_eq!(
            names,
            [
                "`DOCKLESS_REGISTRY_USERNAME`",
                "`DOCKLESS_REGISTRY_R_IO_PASSWORD`",
                "`ACME_PASSWORD`",
                "`DOCKER_AUTH_CONFIG`",
                "`/home/bob/.docker/config.json`",
                "`/auth.json`",
                "`DOCKLESS_REGISTRY_R_IO_PASSWORD`",
                "CI variables",
            ]
        );
    }
}
