//! Configs as users write them: what is understood, and what is said about what is not.

use std::fs;
use std::path::{Path, PathBuf};

use dockless::config::{self, Loaded};

#[test]
fn every_invalid_project_gets_exactly_its_message() {
    let mut folders: Vec<_> = fs::read_dir(fixtures("invalid"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    for folder in folders {
        let expected = fs::read_to_string(folder.join("message.txt")).unwrap();
        let expected = expected.replace("{version}", env!("CARGO_PKG_VERSION"));
        let message = load(&folder).expect_err("an invalid project was accepted");
        let message = message.replace(&format!("{}/", folder.display()), "");
        assert_eq!(message + "\n", expected, "{}", folder.display());
    }
}

#[test]
fn every_project_of_the_docs_is_understood() {
    for (name, format) in
        [("hello", "dockless"), ("holodeck", "holodeck"), ("research", "dockless")]
    {
        let loaded = load(&fixtures("projects").join(name)).unwrap();
        assert_eq!(loaded.config.source.format, format, "{name}");
    }
}

/// Loads a project and gives everything that would be printed when that fails.
fn load(path: &Path) -> Result<Loaded, String> {
    load_with(path, None)
}

fn load_with(path: &Path, file: Option<&Path>) -> Result<Loaded, String> {
    let loaded = config::load(path, file).map_err(|error| {
        assert_eq!(error.kind().exit_code(), 2);
        let hints = error.hints().into_iter().map(|hint| format!("hint: {hint}"));
        error.lines().into_iter().chain(hints).collect::<Vec<_>>().join("\n")
    })?;
    match loaded.problems.clone().into_result() {
        Ok(()) => Ok(loaded),
        Err(problems) => Err(problems.to_string()),
    }
}

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}
