//! Podman's credentials (containers-auth.json(5)).

use std::path::PathBuf;
use std::sync::Arc;

use super::AuthFile;
use crate::sys::Environment;
use crate::sys::command::Commands;

/// Podman's files: `REGISTRY_AUTH_FILE` alone when it is set, else the runtime folder's, then the
/// configuration folder's.
pub fn auth_files(environment: &Environment, commands: &Arc<dyn Commands>) -> Vec<AuthFile> {
    paths(environment).into_iter().map(|path| AuthFile::file(path, commands)).collect()
}

fn paths(environment: &Environment) -> Vec<PathBuf> {
    if let Some(file) = environment.get("REGISTRY_AUTH_FILE") {
        return vec![file.into()];
    }
    let runtime = environment.get("XDG_RUNTIME_DIR").map(PathBuf::from);
    let configuration = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| environment.home().map(|home| home.join(".config")));
    let folders = [runtime, configuration].into_iter().flatten();
    folders.map(|folder| folder.join("containers/auth.json")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_where_podman_writes_them() {
        let file = ("REGISTRY_AUTH_FILE", "/f");
        let runtime = ("XDG_RUNTIME_DIR", "/run/user/1");
        let configuration = ("XDG_CONFIG_HOME", "/c");
        let home = ("HOME", "/h");
        for (environment, expected) in [
            (Environment::of([file, runtime, home]), &["/f"][..]),
            (
                Environment::of([runtime, home]),
                &["/run/user/1/containers/auth.json", "/h/.config/containers/auth.json"],
            ),
            (Environment::of([configuration, home]), &["/c/containers/auth.json"]),
            (Environment::default(), &[]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(Into::into).collect();
            assert_eq!(paths(&environment), expected);
        }
    }
}
