//! Why there is no config to read.

use std::io;
use std::path::{Path, PathBuf};

use super::formats::FORMATS;
use crate::error::{Classified, ErrorKind};

/// The largest config that is read.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The largest file that is read because a config refers to it.
pub(super) const MAX_BESIDE_BYTES: u64 = 64 << 20;

/// Why there is no config to read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing is there.
    #[error("there is no file or folder `{}`", shown(path))]
    Missing {
        /// What was asked for.
        path: PathBuf,
        /// What the user may have meant.
        nearest: Option<PathBuf>,
    },
    /// The folder has no file with a name that is looked for.
    #[error("there is no config in `{}`", shown(directory))]
    NoConfig {
        /// The folder.
        directory: PathBuf,
        /// A file in it whose name is almost one of those, and that one.
        nearest: Option<(String, &'static str)>,
    },
    /// The folder has several files of the same rank.
    #[error("`{}` has several configs: `{}`", shown(directory), names.join("`, `"))]
    Ambiguous {
        /// The folder.
        directory: PathBuf,
        /// The files.
        names: Vec<&'static str>,
    },
    /// A config was named twice: as the project and with `-f`.
    #[error(
        "`{}` is a file, and so is `{}`: one of them must be the project's folder",
        shown(path),
        shown(file)
    )]
    TwoFiles {
        /// The project.
        path: PathBuf,
        /// The config.
        file: PathBuf,
    },
    /// It is a folder, a FIFO, a device.
    #[error("`{}` is not a regular file", shown(path))]
    NotAFile {
        /// The config.
        path: PathBuf,
    },
    /// It is larger than anything of its sort.
    #[error("`{}` has {size_bytes} bytes: at most {max_bytes} are read", shown(path))]
    TooBig {
        /// The config.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// What it may have.
        max_bytes: u64,
    },
    /// It is not text.
    #[error("`{}` is not UTF-8 text: see line {line}", shown(path))]
    NotText {
        /// The config.
        path: PathBuf,
        /// The first line with other bytes.
        line: usize,
    },
    /// A file that a config builds on lies elsewhere.
    #[error("`{}` leaves the project's folder", shown(path))]
    OutsideProject {
        /// As written.
        path: PathBuf,
    },
    /// A config builds on another of its own format.
    #[error("`{}` is of the format `{format}` too", shown(path))]
    SameFormat {
        /// As written.
        path: PathBuf,
        /// The format of both.
        format: &'static str,
    },
    /// The system refuses.
    #[error("cannot read `{}`", shown(path))]
    Unreadable {
        /// The config, or a folder on the way.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Classified for LoadError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Missing { nearest: Some(nearest), .. } => {
                format!("did you mean `{}`?", shown(nearest))
            }
            Self::Missing { .. } => "name a project's folder, or its config".into(),
            Self::OutsideProject { .. } => {
                "name a file below the project's folder, relative to it; no link may lead out"
                    .into()
            }
            Self::SameFormat { .. } => "name a HoloDeck `agent.yaml`".into(),
            Self::NoConfig { nearest: Some((found, known)), .. } => {
                format!("rename `{}` to `{known}`, or name it with `-f`", shown(found.as_ref()))
            }
            Self::NoConfig { nearest: None, .. } => looked_for(),
            Self::Ambiguous { .. } => "keep one of them, or name one with `-f`".into(),
            Self::TwoFiles { .. } => "leave one of them out".into(),
            Self::NotAFile { .. } => "name a YAML file".into(),
            Self::TooBig { .. } => "move data out of it".into(),
            Self::NotText { .. } => "save it as UTF-8".into(),
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "check who may read it".into()
            }
            Self::Unreadable { .. } => return Vec::new(),
        };
        vec![hint]
    }
}

fn looked_for() -> String {
    let names: Vec<_> = FORMATS.iter().flat_map(|format| format.file_names()).copied().collect();
    format!("looked for `{}`; name another file with `-f`", names.join("`, `"))
}

/// A path for messages: what cannot be printed is replaced.
pub(super) fn shown(path: &Path) -> String {
    let replace = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    path.to_string_lossy().chars().map(replace).collect()
}
