//! Why a layer of somebody else's image cannot be read.

use std::io;

use crate::archive::ArchiveError;
use crate::error::{Classified, ErrorKind};
use crate::oci::Digest;
use crate::store::StoreError;

/// Why facts about the base cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The bytes stopped coming, or the blob is not where it should be.
    #[error("cannot read layer `{layer}`")]
    Read {
        /// The layer's digest.
        layer: Digest,
        /// Why.
        source: io::Error,
    },
    /// The bytes are not those of the descriptor.
    #[error(
        "layer `{expected}` has {actual_bytes} bytes with digest `{actual}`, expected {expected_bytes} bytes"
    )]
    Damaged {
        /// The promised digest.
        expected: Digest,
        /// The promised size.
        expected_bytes: u64,
        /// The digest of what came.
        actual: Digest,
        /// The size of what came, at most one byte more than was promised.
        actual_bytes: u64,
    },
    /// What is in it cannot be kept.
    #[error("cannot keep files of layer `{layer}`")]
    Keep {
        /// The layer's digest.
        layer: Digest,
        /// Why.
        source: StoreError,
    },
    /// The bytes are the right ones, and no layer that a runtime unpacks.
    #[error("layer `{layer}` cannot be used: {reason}")]
    Unusable {
        /// The layer's digest.
        layer: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

impl FactsError {
    /// What it means that the members of a layer cannot be read on.
    pub(super) fn of(layer: Digest, error: ArchiveError) -> Self {
        let reason = error.to_string();
        match error {
            ArchiveError::Io(error) => match StoreError::from_io(error) {
                Ok(source) => Self::Keep { layer, source },
                Err(_) => Self::Unusable { layer, reason },
            },
            _ => Self::Unusable { layer, reason },
        }
    }
}

impl Classified for FactsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. } | Self::Damaged { .. } | Self::Keep { .. } => ErrorKind::Failed,
            Self::Unusable { .. } => ErrorKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Read { .. } => Vec::new(),
            Self::Keep { source, .. } => source.hints(),
            Self::Damaged { .. } => {
                vec!["try again; if it stays, the image itself is damaged".into()]
            }
            Self::Unusable { .. } => vec!["choose another image".into()],
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Damaged { .. })
    }
}
