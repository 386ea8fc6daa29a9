//! Writing one blob.

use std::io::{self, Write};
use std::sync::PoisonError;

use tempfile::NamedTempFile;

use super::{Access, Store, StoreError, temporary_file};
use crate::error::Result;
use crate::oci::{Descriptor, Digest, Digester, MediaType};
use crate::sys::atomic_file::sync_directory;

/// Takes the bytes of one blob, hashes them, and puts them into the store when it is finished.
///
/// Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    file: NamedTempFile,
    digester: Digester,
    size_bytes: u64,
}

impl BlobWriter {
    pub(super) fn new(store: Store) -> Result<Self> {
        let folder = store.blob_folder();
        let file = match store.access {
            Access::ReadOnly => Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)),
            Access::Full | Access::Temporary(_) => temporary_file(&folder),
        };
        let file = file.map_err(|source| cannot_write(&store, 0, source))?;
        Ok(Self { store, file, digester: Digester::default(), size_bytes: 0 })
    }

    /// Adds bytes. [`Write`] does the same with the error wrapped in an [`io::Error`], from which
    /// [`StoreError::from_io`] takes it out again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Write`], for instance when the disk is full.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.append_all(bytes)?)
    }

    /// Ends the blob, syncs and renames it; gives its digest and size in bytes.
    ///
    /// A blob that is there already stays, unless its bytes turn out to be damaged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Write`], for instance when the disk is full.
    pub fn finish(self) -> Result<(Digest, u64)> {
        let Self { store, file, digester, size_bytes } = self;
        let digest = digester.finish();
        // Hashing a blob is faster than syncing one, and it heals what a bad disk did.
        let descriptor = Descriptor::new(MediaType::parse(""), digest, size_bytes);
        if matches!(store.verify(&descriptor), Ok(true)) {
            note(&store, digest);
            return Ok((digest, size_bytes));
        }
        let folder = store.blob_folder();
        let placed = file.as_file().sync_all().and_then(|()| {
            file.persist(store.blob_path(&digest)).map_err(|error| error.error)?;
            sync_directory(&folder)
        });
        match placed {
            Ok(()) => {
                note(&store, digest);
                Ok((digest, size_bytes))
            }
            Err(source) => Err(cannot_write(&store, size_bytes, source).into()),
        }
    }

    /// As [`BlobWriter::finish`], but keeps the blob only when it is what the descriptor says.
    ///
    /// # Errors
    ///
    /// [`StoreError::Mismatch`] when it is not, and those of [`BlobWriter::finish`].
    pub fn finish_as(self, descriptor: &Descriptor) -> Result<()> {
        let actual = self.digester.clone().finish();
        if (actual, self.size_bytes) != (descriptor.digest, descriptor.size) {
            return Err(StoreError::Mismatch {
                expected: descriptor.digest,
                expected_bytes: descriptor.size,
                actual,
                actual_bytes: self.size_bytes,
            }
            .into());
        }
        self.finish().map(|_| ())
    }

    fn append_all(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.size_bytes += bytes.len() as u64;
        let written = self.file.as_file_mut().write_all(bytes);
        written.map_err(|source| cannot_write(&self.store, self.size_bytes, source))?;
        self.digester.update(bytes);
        Ok(())
    }
}

fn note(store: &Store, digest: Digest) {
    store.written.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
}

fn cannot_write(store: &Store, needed_bytes: u64, source: io::Error) -> StoreError {
    let (path, is_output) = (store.blob_folder(), store.is_output);
    StoreError::Write { path, needed_bytes, is_output, source }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
