//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

use crate::error::{Classified, ErrorKind};
use crate::oci::Digest;

/// Why the store cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or written.
    #[error("cannot keep blobs in `{}`", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Whether it is where the user wants an image, and not a cache.
        is_output: bool,
        /// Why.
        source: io::Error,
    },
    /// A blob cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The blob.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A blob cannot be written. Nothing of it is left.
    #[error("cannot write a blob of at least {needed_bytes} bytes to `{}`", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// How many bytes of the blob are known so far; it may be larger.
        needed_bytes: u64,
        /// Whether it is where the user wants an image, and not a cache.
        is_output: bool,
        /// Why.
        source: io::Error,
    },
    /// The bytes are not those that were promised. Nothing of them is left.
    #[error(
        "expected {expected_bytes} bytes with digest {expected}, got {actual_bytes} bytes with digest {actual}"
    )]
    Mismatch {
        /// The promised digest.
        expected: Digest,
        /// The promised size.
        expected_bytes: u64,
        /// The digest of what came.
        actual: Digest,
        /// The size of what came.
        actual_bytes: u64,
    },
}

impl StoreError {
    /// Takes the store's own error out of what [`std::io::Write`] for
    /// [`BlobWriter`](super::BlobWriter) returned.
    ///
    /// # Errors
    ///
    /// Gives the error back when it is not the store's.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Unusable { source, .. }
            | StoreError::Read { source, .. }
            | StoreError::Write { source, .. } => source.kind(),
            StoreError::Mismatch { .. } => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl Classified for StoreError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        let (source, is_output) = match self {
            Self::Unusable { source, is_output, .. } | Self::Write { source, is_output, .. } => {
                (source.kind(), *is_output)
            }
            Self::Read { .. } | Self::Mismatch { .. } => return Vec::new(),
        };
        match source {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if is_output => {
                vec!["free some space, or write the image to another disk".into()]
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if is_output => {
                vec!["write the image to a folder that you may write".into()]
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => vec![
                "free some space, or name a folder on another disk in `DOCKLESS_CACHE_DIR`".into(),
            ],
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                vec!["name a folder that you may write in `DOCKLESS_CACHE_DIR`".into()]
            }
            _ => Vec::new(),
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Mismatch { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_cache_only_where_the_cache_is_meant() {
        let full = "free some space, or name a folder on another disk in `DOCKLESS_CACHE_DIR`";
        let denied = "name a folder that you may write in `DOCKLESS_CACHE_DIR`";
        for (is_output, kind, hint) in [
            (false, io::ErrorKind::StorageFull, full),
            (false, io::ErrorKind::PermissionDenied, denied),
            (
                true,
                io::ErrorKind::StorageFull,
                "free some space, or write the image to another disk",
            ),
            (
                true,
                io::ErrorKind::PermissionDenied,
                "write the image to a folder that you may write",
            ),
        ] {
            let path = PathBuf::from("out");
            let unusable =
                StoreError::Unusable { path: path.clone(), is_output, source: kind.into() };
            let write = StoreError::Write { path, needed_bytes: 1, is_output, source: kind.into() };
            assert_eq!((unusable.hints(), write.hints()), (vec![hint.into()], vec![hint.into()]));
        }
    }
}
