//! `dockless init`: a first `dockless.yaml` for a folder, with what can be told from its files.
//!
//! `folder.rs` looks at the folder, `python.rs` and `node.rs` say what starts a project, `starter.rs` writes the text
//! from `templates/init`. Nothing is run, and nothing is written over.

mod folder;
mod node;
mod python;
mod starter;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Context;
use crate::error::{Classified, ErrorKind, Result};
use crate::sys::atomic_file;
use folder::Folder;
use starter::Starter;

/// The names under which a config of ours is found.
const CONFIG_NAMES: [&str; 2] = ["dockless.yaml", "dockless.yml"];

/// `dockless init`.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// The project's folder.
    pub path: PathBuf,
    /// Whether the config is given back and not written.
    pub is_dry_run: bool,
}

/// The config that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitReport {
    /// Where it is, or would be.
    pub file: PathBuf,
    /// What the folder was taken for: `holodeck`, `python`, `node`, `plain`.
    pub kind: &'static str,
    /// The config.
    pub text: String,
}

impl InitReport {
    /// As one JSON document.
    pub fn document(&self) -> Value {
        json!({"file": self.file.display().to_string(), "kind": self.kind, "text": self.text})
    }
}

/// Why there is no new config.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("`{}` is there already, and is left as it is", file.display())]
    Exists { file: PathBuf },
    #[error("`{}` is no folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Classified for InitError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Exists { .. } => {
                vec!["`dockless init --stdout` prints what would be written".into()]
            }
            Self::NotAFolder { .. } => vec!["name the folder of the project".into()],
            _ => Vec::new(),
        }
    }
}

/// Writes a config for a folder that has none.
///
/// # Errors
/// There is one already, or the folder cannot be read or written.
pub fn init(request: &InitRequest, context: &Context) -> Result<InitReport> {
    let InitRequest { path, is_dry_run } = request;
    if !path.is_dir() {
        return Err(InitError::NotAFolder { path: path.clone() }.into());
    }
    let existing = CONFIG_NAMES.map(|name| joined(path, name)).into_iter();
    if let Some(file) = existing.clone().find(|file| file.symlink_metadata().is_ok())
        && !is_dry_run
    {
        return Err(InitError::Exists { file }.into());
    }
    let folder = Folder::read(path)
        .map_err(|source| InitError::Unreadable { path: path.clone(), source })?;
    let Starter { kind, text } = Starter::of(&folder);
    let file = joined(path, CONFIG_NAMES[0]);
    if kind == "holodeck" {
        context
            .events
            .note("a HoloDeck agent needs no config: this file is for what it cannot say");
    }
    if !is_dry_run {
        write(&file, &text)?;
    }
    Ok(InitReport { file, kind, text })
}

fn write(file: &Path, text: &str) -> Result<(), InitError> {
    atomic_file::write_new(file, text.as_bytes()).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { file: file.to_owned() },
        _ => InitError::Unwritable { path: file.to_owned(), source },
    })
}

/// The file in the folder, as a user would write it.
fn joined(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { name.into() } else { folder.join(name) }
}
