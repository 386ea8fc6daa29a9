//! Why a lock is not believed.

use crate::error::{Classified, ErrorKind};

/// Why `dockless.lock` cannot be read. Nothing goes on without it in silence.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Git asks which of two versions it shall be.
    #[error("`dockless.lock` has conflict markers of git, the first in line {line}")]
    Conflict {
        /// Counted from 1.
        line: usize,
    },
    /// A later dockless wrote it.
    #[error("`dockless.lock` is of version {version}; this dockless reads up to version {known}")]
    Newer {
        /// Its version.
        version: u64,
        /// Ours.
        known: u64,
    },
    /// It is no JSON, or JSON of another shape.
    #[error("`dockless.lock` was changed by hand or badly merged: it does not have its form")]
    Shape(#[source] serde_json::Error),
    /// It contradicts itself.
    #[error("`dockless.lock` was changed by hand or badly merged: {what}")]
    Changed {
        /// What is not as it was written.
        what: String,
    },
    /// It is too large.
    #[error("`dockless.lock` has more than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is read.
        limit_bytes: u64,
    },
}

/// What always helps, and moves what is pinned.
const ANEW: &str = "or `dockless lock --upgrade` writes it anew, with what the tags point at now";

impl LockError {
    pub(super) fn changed(what: String) -> Self {
        Self::Changed { what }
    }
}

impl Classified for LockError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hints: &[&str] = match self {
            Self::Newer { .. } => {
                &["use the dockless that wrote it, or remove the file and run `dockless lock`"]
            }
            Self::TooLarge { .. } => &["remove it and run `dockless lock`"],
            Self::Conflict { .. } => &["take one side of the conflict, then `dockless lock`", ANEW],
            Self::Shape(_) | Self::Changed { .. } => &["take the version that was committed", ANEW],
        };
        hints.iter().map(ToString::to_string).collect()
    }
}
