//! Why a layer's blob cannot be read on.

use std::io;

/// What stops the reading of a layer.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The reader or the decompressor failed.
    #[error("it cannot be unpacked: {0}")]
    Io(io::Error),
    /// This is no tar archive.
    #[error("{0}")]
    Malformed(&'static str),
    /// It is larger than any honest layer.
    #[error("it has more than {0}")]
    TooLarge(String),
}

impl From<io::Error> for ArchiveError {
    /// Takes out what `ArchiveError::into_io` put in.
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}

impl ArchiveError {
    /// Carries the error through a [`Read`](io::Read).
    pub(super) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }
}
