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
        vec![match self {
            Self::Newer { .. } => {
                "use the dockless that wrote it, or remove the file and run `dockless lock`".into()
            }
            Self::TooLarge { .. } => "remove it and run `dockless lock`".into(),
            Self::Conflict { .. } => {
                "`dockless lock` resolves the conflict: it writes the file anew".into()
            }
            _ => "`dockless lock` writes it anew; or take the version that was committed".into(),
        }]
    }
}
