//! The tools that are compared.

mod buildah;
mod crane;
mod docker;
mod dockless;

use std::path::Path;
use std::process::Command;

use super::tool::Tool;

/// The binary that was built for the bench.
pub(crate) const DOCKLESS: &str = env!("CARGO_BIN_EXE_dockless");

/// A tool, the programs it takes, and how it is set up in a folder of its own.
type Entry = (&'static str, &'static [&'static str], fn(&Path) -> Box<dyn Tool>);

const ALL: [Entry; 4] = [
    ("dockless", &["git"], |folder| Box::new(dockless::Dockless::new(folder))),
    ("crane", &["crane", "tar"], |_| Box::new(crane::Crane)),
    ("buildah", &["buildah"], |folder| Box::new(buildah::Buildah::new(folder))),
    ("docker", &["docker", "dockerd"], |folder| Box::new(docker::Docker::start(folder))),
];

/// Sets up those that are asked for, or all, and names those that are not installed.
pub(crate) fn find(folder: &Path, asked: &[String]) -> (Vec<Box<dyn Tool>>, Vec<&'static str>) {
    for name in asked {
        assert!(ALL.iter().any(|(known, ..)| known == name), "no tool is called `{name}`");
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|one| one == name);
    let (found, missing): (Vec<_>, Vec<_>) = ALL
        .into_iter()
        .filter(|(name, ..)| is_asked(name))
        .partition(|(_, programs, _)| programs.iter().all(|program| is_installed(program)));
    let tools = found.into_iter().map(|(name, _, set_up)| set_up(&folder.join(name))).collect();
    (tools, missing.into_iter().map(|(name, ..)| name).collect())
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The first line that a program prints.
pub(crate) fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
