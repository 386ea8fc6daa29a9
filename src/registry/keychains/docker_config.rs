//! Docker's credentials: `DOCKER_AUTH_CONFIG`, then `config.json`.

use std::path::PathBuf;
use std::sync::Arc;

use super::AuthFile;
use crate::sys::Environment;
use crate::sys::command::Commands;

/// Docker's sources, in docker's order; `DOCKER_CONFIG` names the folder of `config.json`.
pub fn auth_files(environment: &Environment, commands: &Arc<dyn Commands>) -> Vec<AuthFile> {
    let name = "DOCKER_AUTH_CONFIG";
    let variable = environment.get(name).map(|text| AuthFile::variable(name, text, commands));
    let file = config_path(environment).map(|path| AuthFile::file(path, commands));
    variable.into_iter().chain(file).collect()
}

/// The file that docker reads, and that a login is written to.
pub(super) fn config_path(environment: &Environment) -> Option<PathBuf> {
    let folder = environment
        .get("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| environment.home().map(|home| home.join(".docker")))?;
    Some(folder.join("config.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_can_be_chosen() {
        for (environment, expected) in [
            (Environment::of([("HOME", "/h")]), Some("/h/.docker/config.json")),
            (Environment::of([("HOME", "/h"), ("DOCKER_CONFIG", "/d")]), Some("/d/config.json")),
            (Environment::default(), None),
        ] {
            assert_eq!(config_path(&environment), expected.map(PathBuf::from));
        }
    }
}
