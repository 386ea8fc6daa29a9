//! Content-addressed blobs on disk: the cache, and what an OCI layout holds.
//!
//! Safe for several processes at once: a blob is written beside its place, synced and renamed. A
//! blob's size is checked when it is opened, its digest when it is used; a damaged one is removed.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::oci::{Descriptor, Digest};

/// A folder of blobs, `blobs/sha256/<hex>`, and of small records beside them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Takes the bytes of one blob, hashes them, and puts them into the store when it is finished.
#[derive(Debug)]
pub struct BlobWriter {
    _private: (),
}

impl Store {
    /// Opens the store in this folder, making it where it is missing, and sweeps old leftovers.
    pub fn open(_root: &Path) -> Result<Self> {
        unimplemented!()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob lies or would lie.
    pub fn blob_path(&self, _digest: &Digest) -> PathBuf {
        unimplemented!()
    }

    /// Whether the blob is there with the right size.
    pub fn has(&self, _descriptor: &Descriptor) -> bool {
        unimplemented!()
    }

    /// Opens a blob whose size is right; `None` when it is not there.
    pub fn open_blob(&self, _descriptor: &Descriptor) -> Result<Option<File>> {
        unimplemented!()
    }

    /// Reads a small blob whole and checks its digest; a damaged one is removed and `None`.
    pub fn read(&self, _descriptor: &Descriptor) -> Result<Option<Bytes>> {
        unimplemented!()
    }

    /// Hashes a stored blob; a damaged one is removed and the answer is `false`.
    pub fn verify(&self, _descriptor: &Descriptor) -> Result<bool> {
        unimplemented!()
    }

    /// Begins a blob.
    pub fn writer(&self) -> Result<BlobWriter> {
        unimplemented!()
    }

    /// Puts bytes.
    pub fn put(&self, _bytes: &[u8]) -> Result<Digest> {
        unimplemented!()
    }

    /// Reads the record `key` of a kind (`facts`, `layers`); anything unreadable is `None`.
    pub fn record<T: DeserializeOwned>(&self, _kind: &str, _key: &Digest) -> Option<T> {
        unimplemented!()
    }

    /// Writes a record; best effort, since a record can be made again.
    pub fn put_record<T: Serialize>(&self, _kind: &str, _key: &Digest, _record: &T) {
        unimplemented!()
    }
}

impl BlobWriter {
    /// Ends the blob, syncs and renames it; gives its digest and size in bytes.
    pub fn finish(self) -> Result<(Digest, u64)> {
        unimplemented!()
    }

    /// As [`BlobWriter::finish`], but keeps the blob only when it is what the descriptor says.
    pub fn finish_as(self, _descriptor: &Descriptor) -> Result<()> {
        unimplemented!()
    }
}

impl std::io::Write for BlobWriter {
    fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
        unimplemented!()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        unimplemented!()
    }
}
