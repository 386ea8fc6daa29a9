//! Why a layer of the base cannot be read.

use std::io;

use crate::error::{Classified, ErrorKind};
use crate::oci::Digest;

/// Why facts about the base cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The bytes stopped coming, or the blob is not where it should be.
    #[error("cannot read layer `{layer}` of the base")]
    Read {
        /// The layer's digest.
        layer: Digest,
        /// Why.
        source: io::Error,
    },
    /// The bytes are not those of the descriptor.
    #[error(
        "layer `{expected}` of the base has {actual_bytes} bytes with digest `{actual}`, expected {expected_bytes} bytes"
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
    /// The bytes are the right ones, and no layer that a runtime unpacks.
    #[error("layer `{layer}` of the base cannot be used: {reason}")]
    Unusable {
        /// The layer's digest.
        layer: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

impl Classified for FactsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. } | Self::Damaged { .. } => ErrorKind::Failed,
            Self::Unusable { .. } => ErrorKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Read { .. } => Vec::new(),
            Self::Damaged { .. } => {
                vec!["try again; if it stays, the base itself is damaged".into()]
            }
            Self::Unusable { .. } => vec!["choose another base".into()],
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Damaged { .. })
    }
}
