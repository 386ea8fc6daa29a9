//! What can be asked of a base beyond what stands at a path, and the answers.
//!
//! An answer says little where the folders behind it hold a lot: so the two are kept and told
//! ([`RootExcerpt`](super::RootExcerpt)), not the folders. `answering.rs` finds answers in a whole tree.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::BaseImage;

/// The files whose content is kept when a base is read.
pub const TEXTS: [&str; 2] = [PASSWD, GROUP];

/// Larger ones are as if they could not be read.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The users, one per line (`passwd(5)`).
pub(super) const PASSWD: &str = "etc/passwd";

/// The groups, one per line (`group(5)`).
pub(super) const GROUP: &str = "etc/group";

/// Where programs are looked for when an image does not say: what Docker and containerd take.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Something to ask of a base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Question {
    /// The user of this name.
    User(String),
    /// The group of this name.
    Group(String),
    /// Where the program of this name is, in these folders.
    Program { name: String, search: Vec<String> },
    /// The Python that is found first in these folders, and which of these distributions it has.
    Python { search: Vec<String>, distributions: Vec<String> },
}

/// What a base answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// The user.
    Account(Account),
    /// The group's number.
    Group(u64),
    /// There is no such name: the first of those that there are.
    Names(Vec<String>),
    /// There is no file of names.
    NoFile,
    /// The file of names is a link to nothing that was kept, or too large.
    Unreadable,
    /// The absolute path of the program.
    Path(String),
    /// The Python.
    Python(Python),
    /// There is nothing of the kind.
    Nothing,
}

/// A user of a base, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user.
    pub uid: u64,
    /// The user's primary group.
    pub gid: u64,
}

/// The Python of a base.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// `3.12`.
    pub version: String,
    /// The absolute path of the folder that packages are installed into.
    pub site_packages: String,
    /// Which of the wanted are installed, in all folders that it imports from: the normalised name and the
    /// version.
    pub distributions: BTreeMap<String, String>,
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(formatter, "user `{}`", name.escape_debug()),
            Self::Group(name) => write!(formatter, "group `{}`", name.escape_debug()),
            Self::Program { name, .. } => write!(formatter, "program `{}`", name.escape_debug()),
            Self::Python { .. } => formatter.write_str("Python"),
        }
    }
}

impl Answer {
    /// Whether an answer is one to this question, as an honest base could give it.
    pub(super) fn is_plausible(&self, question: &Question) -> bool {
        let is_id = |id: u64| u32::try_from(id).is_ok();
        let is_path = |path: &str| path.starts_with('/') && !path.contains('\0');
        match (question, self) {
            (Question::User(_), Self::Account(account)) => is_id(account.uid.max(account.gid)),
            (Question::Group(_), Self::Group(gid)) => is_id(*gid),
            (
                Question::User(_) | Question::Group(_),
                Self::Names(_) | Self::NoFile | Self::Unreadable,
            )
            | (Question::Program { .. } | Question::Python { .. }, Self::Nothing) => true,
            (Question::Program { name, search }, Self::Path(path)) => {
                search.iter().any(|folder| *path == in_folder(folder, name))
            }
            (Question::Python { distributions, .. }, Self::Python(python)) => {
                is_path(&python.site_packages)
                    && python.distributions.keys().all(|name| distributions.contains(name))
            }
            _ => false,
        }
    }
}

impl BaseImage {
    /// The user of this name; a number is its own answer, with the group of the same number. `None` as well
    /// where the base was not read.
    pub fn account(&self, user: &str) -> Option<Account> {
        if let Ok(id) = user.parse::<u32>() {
            return Some(Account { uid: id.into(), gid: id.into() });
        }
        match self.ask(&Question::User(user.to_owned()))? {
            Answer::Account(account) => Some(account),
            _ => None,
        }
    }

    /// The number of the group of this name; a number is its own answer.
    pub fn group(&self, name: &str) -> Option<u64> {
        if let Ok(id) = name.parse::<u32>() {
            return Some(id.into());
        }
        match self.ask(&Question::Group(name.to_owned()))? {
            Answer::Group(gid) => Some(gid),
            _ => None,
        }
    }

    /// Why a user or group has no number, for people; `None` where it has one, and where nobody can tell.
    pub(super) fn why_unknown(&self, question: &Question) -> Option<String> {
        let file = if matches!(question, Question::User(_)) { PASSWD } else { GROUP };
        match self.ask(question)? {
            Answer::Names(names) => {
                let names: Vec<_> =
                    names.iter().map(|name| name.escape_debug().to_string()).collect();
                Some(format!("`/{file}` has {}", names.join(", ")))
            }
            Answer::NoFile => Some(format!("it has no `/{file}`")),
            _ => None,
        }
    }

    /// The absolute path of a program: in the first of these folders that has a file of this name, or a link
    /// to one. Whether it may be executed is not known.
    pub fn program(&self, name: &str, search: &[String]) -> Option<String> {
        match self.ask(&Question::Program { name: name.to_owned(), search: search.to_vec() })? {
            Answer::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The Python that these folders lead to, a virtual environment's or the system's, and which of these
    /// distributions (normalised names) it has.
    pub fn python(&self, search: &[String], distributions: &[&str]) -> Option<Python> {
        let distributions = distributions.iter().map(|&name| name.to_owned()).collect();
        match self.ask(&Question::Python { search: search.to_vec(), distributions })? {
            Answer::Python(python) => Some(python),
            _ => None,
        }
    }

    /// The folders in which a container of the base looks for programs.
    pub(super) fn search_path(&self) -> Vec<String> {
        let env = &self.config.value.config.env;
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH="));
        path.unwrap_or(DEFAULT_PATH).split(':').map(str::to_owned).collect()
    }

    /// Whether anything is known of its files. Nothing is where nobody had a reason to read its layers.
    pub(super) fn is_read(&self) -> bool {
        self.layers.is_empty() || !self.root.is_blank()
    }

    /// `None` where the answer is not known.
    pub(super) fn ask(&self, question: &Question) -> Option<Answer> {
        if self.is_read() { self.root.ask(question) } else { None }
    }
}

/// A name in a folder of the search path.
pub(super) fn in_folder(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}
