//! The text of a first config.

use std::collections::BTreeMap;

use minijinja::Value;

use super::folder::Folder;
use super::node::Node;
use super::python::Python;
use crate::plan::render_template;

const HOLODECK: &str = include_str!("../../../templates/init/holodeck.yaml");
const PYTHON: &str = include_str!("../../../templates/init/python.yaml");
const NODE: &str = include_str!("../../../templates/init/node.yaml");
const PLAIN: &str = include_str!("../../../templates/init/plain.yaml");
/// What is copied.
const COPY: &str = include_str!("../../../templates/init/copy.yaml");
/// What stands at the end of every one.
const FURTHER: &str = include_str!("../../../templates/init/further.yaml");

/// What lies in many projects and is not for an image; left out where it is there.
const LEFT_OUT: [&str; 24] = [
    ".venv",
    "venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".coverage",
    ".env",
    ".env.local",
    ".npmrc",
    ".github",
    ".gitlab-ci.yml",
    ".vscode",
    ".idea",
    ".dockerignore",
    "Dockerfile",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yaml",
    "compose.yml",
    ".DS_Store",
    ".cache",
    "coverage",
];

/// A first config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Starter {
    /// What the folder was taken for.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

type Variables = BTreeMap<String, Value>;

impl Starter {
    /// The config for a folder, by the first of these that it is: an agent, Python, Node, or just files.
    pub(super) fn of(folder: &Folder) -> Self {
        let mut variables = Variables::new();
        let mut set = |name: &str, value: Value| drop(variables.insert(name.to_owned(), value));
        set("name", folder.name.clone().into());
        let mut src = ".";
        let (kind, template) = if let Some(agent) = folder.first_file(&["agent.yaml", "agent.yml"])
        {
            set("agent", agent.into());
            ("holodeck", HOLODECK)
        } else if let Some(python) = Python::find(folder) {
            src = python.src;
            set("because", python.because.into());
            set("base", python.base.into());
            set("src", src.into());
            set("entrypoint", Value::from(python.entrypoint.unwrap_or_default()));
            let (file, install) = python.requirements.unwrap_or_default();
            set("requirements", file.into());
            set("install", install.into());
            ("python", PYTHON)
        } else if let Some(node) = Node::find(folder) {
            set("because", "it has package.json".into());
            set("base", node.base.into());
            set("entrypoint", Value::from(node.entrypoint.unwrap_or_default()));
            set("has_build", node.has_build.into());
            set("has_modules", node.has_modules.into());
            ("node", NODE)
        } else {
            set("is_empty", (folder.files.is_empty() && folder.folders.is_empty()).into());
            ("plain", PLAIN)
        };
        set("copy", copy(folder, src).into());
        let text = render(template, &variables) + &render(FURTHER, &Variables::new());
        Self { kind, text }
    }
}

/// What is copied of the folder, and what of it is not.
fn copy(folder: &Folder, src: &str) -> String {
    let copied = if src == "." { Some(folder.clone()) } else { folder.below(src) };
    let is_there = |name: &&str| {
        copied.as_ref().is_some_and(|own| own.files.contains(*name) || own.folders.contains(*name))
    };
    let mut exclude: Vec<_> =
        LEFT_OUT.iter().filter(|name| is_there(name)).map(|name| format!("/{name}")).collect();
    if src == "." {
        exclude.push("/dockless.yaml".to_owned());
    }
    let variables = [("src".to_owned(), src.into()), ("exclude".to_owned(), Value::from(exclude))];
    render(COPY, &variables.into())
}

fn render(template: &str, variables: &Variables) -> String {
    render_template("init", template, variables, &[])
        .expect("our own templates use what is defined here")
}
