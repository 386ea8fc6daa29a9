//! What the docs say is what the code does: generated pages are the code's own, examples are read,
//! flags exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dockless::plan::layer_kinds::LAYER_KINDS;
use dockless::publish::destinations::DESTINATIONS;
use dockless::{cli, config, pipeline, plan};

use crate::support::cli::Sandbox;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a generated page with the one in `docs/`, or writes it when `tests/run docs` asks.
#[track_caller]
fn page(name: &str, title: &str, body: &str) {
    let text = format!(
        "# {title}\n\nGenerated from the code by `tests/run docs`; a test compares them.\n\n{}\n",
        body.trim()
    );
    let path = root().join("docs").join(name);
    if std::env::var_os("DOCKLESS_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, text, "{name} is not what the code says: run `tests/run docs`");
}

#[test]
fn docs_config_is_generated() {
    page("config.md", "The config", &pipeline::config_reference());
}

#[test]
fn docs_command_line_is_generated() {
    page("cli.md", "The command line", &cli::reference());
}

#[test]
fn docs_destinations_and_layer_kinds_are_named_in_the_reference() {
    let (config, cli) = (pipeline::config_reference(), cli::reference());
    for kind in LAYER_KINDS {
        assert!(config.contains(&format!("`{}`", kind.name)), "{}", kind.name);
    }
    for kind in DESTINATIONS.iter().filter(|kind| !kind.is_remote) {
        assert!(cli.contains(&format!("`{}:", kind.name)), "{}", kind.name);
    }
}

#[test]
fn docs_examples_of_layer_kinds_are_read_by_them() {
    let sandbox = Sandbox::new();
    for kind in LAYER_KINDS {
        let layer = kind.example.replace('\n', "\n    ");
        let text = format!(
            "name: example\nbase: scratch\nlayers:\n  - {}\n",
            layer.trim().trim_start_matches("- ")
        );
        let file = sandbox.write(&format!("{}.yaml", kind.name), &text);
        let loaded = config::load(&file, None, None).unwrap();
        let mut problems = loaded.problems;
        let sources = plan::sources(&loaded.config, &mut problems);
        assert!(problems.is_empty(), "{}: {problems}\n{text}", kind.name);
        assert_eq!(sources.len(), 1, "{}", kind.name);
    }
}

#[test]
fn docs_configs_of_the_readme_are_valid() {
    let sandbox = Sandbox::new();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let configs: Vec<_> = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.starts_with("name:"))
        .collect();
    assert!(!configs.is_empty());
    for (number, text) in configs.iter().enumerate() {
        let file = sandbox.write(&format!("{number}.yaml"), text);
        let loaded = config::load(&file, None, None).unwrap();
        let mut problems = loaded.problems;
        plan::sources(&loaded.config, &mut problems);
        assert!(problems.is_empty(), "{problems}");
    }
}

#[test]
fn docs_flags_exist() {
    let reference = cli::reference();
    let known: BTreeSet<_> = flags(&reference).collect();
    for name in ["README.md", "CHANGELOG.md", "docs/config.md", "docs/deploying.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let lines = text.lines().filter(|line| line.contains("dockless ") || line.contains("`--"));
        for line in lines.filter(|line| !line.contains("cargo ")) {
            for flag in flags(line) {
                assert!(known.contains(&flag), "{name} names `{flag}`: {line}");
            }
        }
    }
}

#[test]
fn docs_links_lead_somewhere() {
    for name in
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/deploying.md", "docs/registries.md"]
    {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_local = !target.contains("://") && !target.starts_with('#');
            let place = root().join(name).with_file_name(target.split('#').next().unwrap());
            assert!(!is_local || place.exists(), "{name} links to `{target}`");
        }
    }
}

#[test]
fn docs_every_fixture_says_where_it_comes_from() {
    for folder in ["projects", "invalid"] {
        for entry in std::fs::read_dir(root().join("fixtures").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let readme = |folder: &Path| folder.join("README.md").exists();
            let parent = path.parent().unwrap().to_owned();
            assert!(!path.is_dir() || readme(&path) || readme(&parent), "{}", path.display());
        }
    }
}

/// Every `--flag` in a text.
fn flags(text: &str) -> impl Iterator<Item = String> + '_ {
    text.match_indices("--").filter_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        let name: String = text[at + 2..]
            .chars()
            .take_while(|character| character.is_ascii_alphanumeric() || *character == '-')
            .collect();
        let starts =
            before.is_none_or(|character| !character.is_alphanumeric() && character != '-');
        (starts && name.len() > 1).then(|| format!("--{name}"))
    })
}
