//! The client of the OCI distribution API: what survives a registry's bad day.
//!
//! Endpoints are values; one transport owns retry, deadline, stall timer, redirects and the scope
//! of credentials. Start reading at [`Client`].

use std::path::PathBuf;

use bytes::Bytes;
use tokio::io::AsyncRead;

use crate::error::Result;
use crate::event::Task;
use crate::oci::{Descriptor, Digest, MediaType, Reference, Repository};

/// A client for all registries of one run; cheap to clone, one token cache and one pool.
#[derive(Debug, Clone)]
pub struct Client {
    _private: (),
}

/// A manifest or index as the registry sent it, its digest computed from the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The exact bytes.
    pub bytes: Bytes,
    /// The type from `Content-Type`, or from the document where that header says nothing.
    pub media_type: MediaType,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// Where the bytes of an upload come from; it is opened again for every try.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// A file.
    File(PathBuf),
    /// Bytes.
    Bytes(Bytes),
    /// Another repository: streamed from registry to registry, never to disk.
    Registry(Repository),
}

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobOutcome {
    /// It was there.
    Present,
    /// The registry took it over from another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// What came of putting a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestOutcome {
    /// The tag pointed at this digest already: nothing was sent.
    Unchanged,
    /// It was put.
    Put,
}

/// A verified stream of a blob's bytes: it fails at the end when digest or size are wrong.
pub type BlobReader = Box<dyn AsyncRead + Send + Unpin>;

impl Client {
    /// Asks what a tag or digest is (`HEAD`); `None` when there is no such manifest.
    pub async fn resolve(&self, _reference: &Reference) -> Result<Option<Descriptor>> {
        unimplemented!()
    }

    /// Fetches a manifest or index, at most 4 MiB; a digest in the reference is checked.
    pub async fn fetch_manifest(&self, _reference: &Reference) -> Result<FetchedManifest> {
        unimplemented!()
    }

    /// Fetches a small blob (an image config) whole, at most 4 MiB, verified.
    pub async fn fetch_blob(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
    ) -> Result<Bytes> {
        unimplemented!()
    }

    /// Opens a blob as a stream that resumes after faults and verifies digest and size.
    pub async fn open_blob(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
    ) -> Result<BlobReader> {
        unimplemented!()
    }

    /// Makes sure that the repository has the blob: `HEAD`, then a mount from another repository of
    /// the same registry, then one streamed `PUT`. `task` is told of every byte sent.
    pub async fn push_blob(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
        _source: &BlobSource,
        _mount_from: Option<&Repository>,
        _task: &Task,
    ) -> Result<BlobOutcome> {
        unimplemented!()
    }

    /// Puts a manifest or index at the reference's tag, or at its digest when it has no tag.
    pub async fn put_manifest(
        &self,
        _reference: &Reference,
        _descriptor: &Descriptor,
        _bytes: &Bytes,
    ) -> Result<ManifestOutcome> {
        unimplemented!()
    }
}
