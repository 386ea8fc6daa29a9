//! What can go wrong while a layer is made.

use std::io;

use crate::error::{Classified, ErrorKind};

/// Why a layer cannot be made. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// No runtime could unpack an entry with this path, or it would do something else.
    #[error("`{}` cannot be in a layer: {problem}", path.escape_debug())]
    Path {
        /// The path in the layer.
        path: String,
        /// What is wrong with it.
        problem: PathProblem,
    },
    /// A link without a target, or with one that cannot be written.
    #[error("the link `{}` cannot be in a layer: its target {problem}", path.escape_debug())]
    LinkTarget {
        /// The link's path in the layer.
        path: String,
        /// What is wrong with its target.
        problem: &'static str,
    },
    /// The entries are out of order, or there are two with this path.
    #[error("`{}` comes twice in its layer, or out of order", path.escape_debug())]
    Order {
        /// The path in the layer.
        path: String,
    },
    /// The folder of an entry is missing, or it is no folder.
    #[error("`{}` is in a layer without its folder", path.escape_debug())]
    NoParent {
        /// The path in the layer.
        path: String,
    },
    /// A file is not what it was when the project was listed.
    #[error("`{}` changed while the layer was made", path.escape_debug())]
    Changed {
        /// The file, below the project's folder.
        path: String,
    },
    /// A file was there when the project was listed.
    #[error("`{}` vanished while the layer was made", path.escape_debug())]
    Vanished {
        /// The file, below the project's folder.
        path: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.escape_debug())]
    Read {
        /// The file, below the project's folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The content of a file is not in the local store any more, or it is damaged.
    #[error("the content of `/{}` is no longer in the cache", path.escape_debug())]
    Lost {
        /// The path in the layer.
        path: String,
    },
    /// The layer cannot be written.
    #[error("cannot write the layer")]
    Write {
        /// Why.
        source: io::Error,
    },
    /// The command was interrupted.
    #[error("interrupted while making the layer")]
    Cancelled,
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It names the root.
    #[error("it is empty")]
    Empty,
    /// It begins with `/`.
    #[error("it is absolute")]
    Absolute,
    /// It has a part `.` or `..`, or an empty one.
    #[error("its parts must be names")]
    Parts,
    /// It has a NUL byte.
    #[error("it has a NUL byte")]
    Nul,
    /// A part begins with `.wh.`.
    #[error("a name that begins with `.wh.` deletes a file of the base image")]
    Whiteout,
    /// A part is longer than any file system takes.
    #[error("it has a name of more than 255 bytes")]
    LongName,
    /// It is longer than any runtime takes.
    #[error("it has more than 4096 bytes")]
    LongPath,
}

impl Classified for LayerError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path { .. } | Self::LinkTarget { .. } => ErrorKind::Usage,
            Self::Cancelled => ErrorKind::Interrupted,
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Path { .. } => vec!["rename the file or exclude it".into()],
            Self::Changed { .. } | Self::Vanished { .. } => vec![
                "build again when nothing writes to the project, or exclude the file if the image \
                 does not need it"
                    .into(),
            ],
            Self::Lost { .. } => {
                vec!["run the command again: the file is read from its image once more".into()]
            }
            Self::Order { .. } | Self::NoParent { .. } => {
                vec!["this is a defect of dockless: please report it".into()]
            }
            _ => Vec::new(),
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::Vanished { .. } | Self::Lost { .. })
    }
}
