//! A Python project: what starts it, on which Python.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::folder::Folder;

/// The Python of a project that names none.
const DEFAULT_MINOR: u32 = 12;
/// What a file that starts a project is usually called.
const STARTS: [&str; 6] = ["main.py", "app.py", "agent.py", "server.py", "bot.py", "__main__.py"];

/// `requires-python = ">=3.11"`, and what `.python-version` says.
static REQUIRED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)^\s*requires-python\s*=\s*["'][^"']*?(>=|==|~=)\s*3\.(\d{1,2})"#)
        .expect("it is a valid expression")
});

/// What is known of a Python project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python {
    /// Why it is taken for one.
    pub(super) because: String,
    pub(super) base: String,
    /// The folder that is copied to `/app`.
    pub(super) src: &'static str,
    pub(super) entrypoint: Option<Vec<String>>,
    /// The file that names what has to be installed, and what `pip install` is given for it.
    pub(super) requirements: Option<(&'static str, &'static str)>,
}

impl Python {
    pub(super) fn find(folder: &Folder) -> Option<Self> {
        let told =
            folder.first_file(&["pyproject.toml", "requirements.txt", "setup.py", "main.py"]);
        let scripts = scripts(folder);
        let because = match (told, &scripts[..]) {
            (Some(name), _) => name,
            (None, [first, ..]) => first,
            (None, []) => return None,
        };
        let requirements = [("requirements.txt", "-r requirements.txt"), ("pyproject.toml", ".")];
        let (src, entrypoint) = start(folder);
        Some(Self {
            because: format!("it has {because}"),
            base: format!("python:3.{}-slim", minor(folder)),
            src,
            entrypoint,
            requirements: requirements.into_iter().find(|(name, _)| folder.files.contains(*name)),
        })
    }
}

fn minor(folder: &Folder) -> u32 {
    let pinned = folder.text(".python-version").and_then(|text| {
        let rest = text.trim().strip_prefix("3.")?.to_owned();
        rest.split('.').next()?.parse().ok()
    });
    if let Some(minor) = pinned {
        return minor;
    }
    let text = folder.text("pyproject.toml").unwrap_or_default();
    let Some(found) = REQUIRED.captures(&text) else { return DEFAULT_MINOR };
    let required = found[2].parse().unwrap_or(DEFAULT_MINOR);
    if &found[1] == "==" { required } else { required.max(DEFAULT_MINOR) }
}

/// The folder that is copied, and the command, where one is clear.
fn start(folder: &Folder) -> (&'static str, Option<Vec<String>>) {
    let command = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    if let Some(file) = folder.first_file(&STARTS) {
        return (".", command(&["python", file]));
    }
    if let Some(src) = folder.below("src") {
        if let Some(file) = src.first_file(&STARTS) {
            return ("src", command(&["python", file]));
        }
        let package = package(&src);
        if package.is_some() || src.folders.iter().any(|name| is_package(&src, name)) {
            return ("src", package.and_then(|name| command(&["python", "-m", &name])));
        }
    }
    let command = match (package(folder), &scripts(folder)[..]) {
        (Some(package), _) => command(&["python", "-m", &package]),
        (None, [script]) if *script != "setup.py" => command(&["python", script]),
        _ => None,
    };
    (".", command)
}

/// The files of Python at the top.
fn scripts(folder: &Folder) -> Vec<&String> {
    let is_script = |name: &&String| Path::new(name).extension() == Some("py".as_ref());
    folder.files.iter().filter(is_script).collect()
}

/// The only package that can be started.
fn package(folder: &Folder) -> Option<String> {
    let has_main =
        |name: &&String| is_identifier(name) && folder.has_file(&format!("{name}/__main__.py"));
    let packages: Vec<_> = folder.folders.iter().filter(has_main).collect();
    match packages[..] {
        [package] => Some(package.clone()),
        _ => None,
    }
}

fn is_package(folder: &Folder, name: &str) -> bool {
    folder.has_file(&format!("{name}/__init__.py"))
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|character| character.is_alphanumeric() || character == '_')
}
