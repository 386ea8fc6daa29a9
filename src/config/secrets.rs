//! What a config says of secrets: what is left out, what is allowed, and where its own values stand.

use std::collections::{BTreeMap, BTreeSet};

use super::validate::check_env_name;
use super::{Node, Position, Problems};

/// Patterns in `.dockerignore` syntax, with their places.
pub type Patterns = Vec<(String, Position)>;

/// What is left out, and what may be in the image though it looks like a secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SecretSettings {
    /// Patterns, rooted at the project: what no layer of files takes.
    pub ignore: Patterns,
    /// Patterns, rooted at the project: files that are allowed.
    pub allow_secrets: Patterns,
    /// Names of variables that are allowed.
    pub allow_env: BTreeSet<String>,
    /// Where the values of settings stand.
    pub places: BTreeMap<(Setting, String), Position>,
    /// The words of `entrypoint`, `cmd` and `health.test`, each with its place.
    pub commands: BTreeMap<&'static str, Vec<(String, Position)>>,
    /// What an agent's own file sets, which is in the image as it is: names, values and their places.
    pub agent: Vec<(String, String, Position)>,
}

/// What a text in the image can be that the config writes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// A variable of the image.
    Variable,
    /// A label of the image config.
    Label,
    /// An annotation of the manifest.
    Annotation,
}

impl Setting {
    /// The word for it, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Variable => "variable",
            Self::Label => "label",
            Self::Annotation => "annotation",
        }
    }
}

impl SecretSettings {
    /// Reads `ignore`, `allow_secrets` and `allow_env`; they add to what is known already.
    pub(super) fn read(&mut self, root: &Node, problems: &mut Problems) {
        let items = |name| root.get(name).into_iter().flat_map(Node::one_or_many);
        let pattern = |node: &Node| Some((node.as_text()?.to_owned(), node.position.clone()));
        self.ignore.extend(items("ignore").filter_map(pattern));
        self.allow_secrets.extend(items("allow_secrets").filter_map(pattern));
        for node in items("allow_env") {
            let Some(name) = node.as_text() else { continue };
            check_env_name(name, &node.position, problems);
            self.allow_env.insert(name.to_owned());
        }
    }

    /// Notes the words of a command, which take the place of those that it had.
    pub(super) fn note_command(&mut self, name: &'static str, node: &Node) {
        let word = |node: &&Node| Some((node.as_text()?.to_owned(), node.position.clone()));
        self.commands.insert(name, node.one_or_many().iter().filter_map(word).collect());
    }

    /// Notes every text that an agent's file gives a name, however deep, but below the member `except`.
    pub(super) fn note_agent(&mut self, node: &Node, except: &str) {
        for (key, value) in node.members().iter().filter(|(key, _)| key.text != except) {
            if let Some(text) = value.as_text() {
                self.agent.push((key.text.clone(), text.to_owned(), value.position.clone()));
            }
            self.note_agent(value, "");
        }
        for item in node.items() {
            self.note_agent(item, "");
        }
    }

    /// Notes where the values of a mapping stand.
    pub(super) fn note(&mut self, setting: Setting, node: &Node) {
        for (key, value) in node.members() {
            self.places.insert((setting, key.text.clone()), value.position.clone());
        }
    }
}
