//! What the rest of the program asks of registries: the questions and their answers, in its words.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio_util::task::TaskTracker;

use super::auth::Authenticator;
use super::blob_lookup::{self, BlobLookup};
use super::download::Download;
use super::endpoint::Right;
use super::http::HttpClients;
use super::keychain::{Keychain, Sources};
use super::limit::Limits;
use super::manifests::{self, TagLookup};
use super::map::Mapping;
use super::mask::Mask;
use super::retry::Patience;
use super::session::SpareUpload;
use super::settings::Settings;
use super::transport::Transport;
use super::upload::{self, Upload};

use super::{login, referrers, rights};
use crate::error::Result;
use crate::event::{Events, Task};
use crate::oci::{Descriptor, Digest, Document, Manifest, MediaType, Reference, Repository};
use crate::sys::Clock;

/// A client for all registries of one run; cheap to clone, one token cache and one pool.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
    mapping: Arc<Mapping>,
}

/// What a client is made of.
#[derive(Debug)]
pub struct ClientOptions {
    /// How to reach registries.
    pub settings: Settings,
    /// Where credentials come from, in the order in which they are asked.
    pub keychains: Vec<Arc<dyn Keychain>>,
    /// Where waits and warnings are told.
    pub events: Events,
    /// Time, and waiting between tries.
    pub clock: Arc<dyn Clock>,
    /// Runs what is left to do at registries when a run has ended early.
    pub cleanup: TaskTracker,
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
    /// A file that is known to be what the descriptor says.
    File(PathBuf),
    /// A file that was hashed some time ago: it is hashed again before it is sent.
    Unverified(PathBuf),
    /// Bytes.
    Bytes(Bytes),
    /// Another repository: streamed from registry to registry, never to disk.
    Registry(Repository),
}

/// A blob that a repository is to have.
#[derive(Debug, Clone, Copy)]
pub struct BlobPush<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The blob.
    pub descriptor: &'a Descriptor,
    /// Where its bytes are.
    pub source: &'a BlobSource,
    /// Another repository of the same registry that may have it.
    pub mount_from: Option<&'a Repository>,
    /// An upload to the repository that was begun already.
    pub spare: Option<&'a SpareUpload>,
    /// Whether the repository is so new that it will hardly have it: then it is not asked where that
    /// saves nothing.
    pub is_hardly_there: bool,
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

/// A verified stream of a blob's bytes: it fails before the last of them when digest or size are wrong.
///
/// The [`std::io::Error`] of a failure carries an [`Error`](enum@super::Error).
pub type BlobReader = Box<dyn AsyncRead + Send + Unpin>;

impl Client {
    /// A client that has not spoken to anybody yet.
    pub fn new(options: ClientOptions) -> Self {
        let ClientOptions { mut settings, keychains, events, clock, cleanup } = options;
        let mapping = Mapping::new(std::mem::take(&mut settings.map));
        let patience =
            Patience::new(clock.clone(), events.clone(), settings.patience, settings.total);
        let mask = Arc::new(Mask::default());
        settings.proxies.teach(&mask);
        let transport = Transport {
            limits: Arc::new(Limits::new(settings.concurrency)),
            http: Arc::new(HttpClients::new(settings, events.clone())),
            auth: Arc::new(Authenticator::new(
                keychains,
                events.clone(),
                clock.clone(),
                Arc::clone(&mask),
            )),
            mask,
            patience: Arc::new(patience),
            memory: Arc::default(),
            cleanup,
            events,
            clock,
        };
        Self { transport: Arc::new(transport), mapping: Arc::new(mapping) }
    }

    /// The same client with less patience: it gives up on what fails for so long. What the command as a
    /// whole was granted ends it all the same.
    #[must_use]
    pub fn with_patience(&self, limit: Duration) -> Self {
        let patience = Arc::new(self.transport.patience.of_at_most(limit));
        let transport = Transport { patience, ..Transport::clone(&self.transport) };
        Self { transport: Arc::new(transport), mapping: Arc::clone(&self.mapping) }
    }

    /// The repository that is pulled from when this one is meant: itself, unless it is mapped.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`](super::Error::Settings) when the map makes no repository of it.
    pub fn source_of(&self, repository: &Repository) -> Result<Repository> {
        Ok(self.mapping.source_of(repository, &self.transport.events)?)
    }

    /// Asks what a tag or digest is (`HEAD`); `None` when there is no such manifest.
    ///
    /// # Errors
    ///
    /// An [`Error`](enum@super::Error), as from every method here.
    pub async fn resolve(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        Ok(manifests::resolve(&self.transport, reference).await?)
    }

    /// Fetches a manifest or index, at most 4 MiB; a digest in the reference is checked.
    pub async fn fetch_manifest(&self, reference: &Reference) -> Result<FetchedManifest> {
        Ok(manifests::fetch(&self.transport, reference, Right::Pull).await?)
    }

    /// Fetches a small blob (an image config) whole, at most 4 MiB, verified.
    pub async fn fetch_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Bytes> {
        Ok(Download::whole(&self.transport, repository, descriptor).await?)
    }

    /// Asks whether a repository has a blob, of the size in its descriptor (`HEAD`).
    pub async fn look_for_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobLookup> {
        Ok(blob_lookup::look_for_blob(&self.transport, repository, descriptor).await?)
    }

    /// Asks how large a blob is (`HEAD`); `None` where the registry does not say.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](super::Error::NotFound) when there is no such blob.
    pub async fn blob_size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>> {
        Ok(upload::blob_size(&self.transport, repository, digest).await?)
    }

    /// Opens a blob as a stream that resumes after faults and verifies digest and size.
    pub async fn open_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<BlobReader> {
        let mut download = Download::new(&self.transport, repository, descriptor);
        download.open().await?;
        Ok(download.into_reader())
    }

    /// Whose credentials are sent to a repository, and where they were looked for.
    pub async fn sources(&self, repository: &Repository) -> Sources {
        self.transport.auth.search(repository).await.sources()
    }

    /// As [`Client::sources`], as far as they were looked for by now.
    pub fn known_sources(&self, repository: &Repository) -> Sources {
        self.transport.auth.known(repository).sources()
    }

    /// The clock by which waits are measured.
    pub fn clock(&self) -> &dyn Clock {
        &*self.transport.clock
    }

    /// `https` or `http`: how a registry is spoken to; `None` before it has answered.
    pub fn scheme(&self, registry: &str) -> Option<&'static str> {
        self.transport.scheme(registry)
    }

    /// The proxy through which a registry is reached, as `host:port`; `None` when there is none.
    pub fn proxy(&self, registry: &str) -> Option<String> {
        self.transport.proxy(registry)
    }

    /// Makes sure that a registry accepts our credentials. `false` when it does not want any: then
    /// nothing is known of them.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`](super::Error::Unauthorized) when they are wrong; those of the network.
    pub async fn log_in(&self, registry: &str) -> Result<bool> {
        Ok(login::log_in(&self.transport, registry).await?)
    }

    /// Asks what a tag is that is going to be put.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`](super::Error::Unauthorized): the rights to push are asked for. Those of the network.
    pub async fn look_before_push(&self, reference: &Reference) -> Result<TagLookup> {
        Ok(manifests::look_before_push(&self.transport, reference).await?)
    }

    /// Begins an upload before there is anything to send, which proves that one may push, and which
    /// the first blob takes that is sent ([`BlobPush::spare`]).
    ///
    /// # Errors
    ///
    /// What the registry has against it: [`Error::Unauthorized`](super::Error::Unauthorized), [`Error::Denied`](super::Error::Denied),
    /// [`Error::NotFound`](super::Error::NotFound) and [`Error::Refused`](super::Error::Refused).
    pub async fn begin_upload(&self, repository: &Repository) -> Result<SpareUpload> {
        Ok(rights::begin_upload(&self.transport, repository).await?)
    }

    /// Asks the registry to forget an upload that no blob took; best effort, at most two seconds.
    pub async fn cancel_upload(&self, spare: &SpareUpload) {
        spare.cancel().await;
    }

    /// Makes sure that we are known and may push, when nothing is going to be pushed; it leaves
    /// nothing. `tag` is any that might be put.
    ///
    /// # Errors
    ///
    /// Those of [`Client::begin_upload`].
    pub async fn prove_push(&self, repository: &Repository, tag: &str) -> Result<()> {
        Ok(rights::prove_push(&self.transport, repository, tag).await?)
    }

    /// Makes sure that the repository has the blob: `HEAD` unless it is hardly there, then a mount from another repository of
    /// the same registry, then one streamed `PUT`. `task` is told of every byte sent.
    pub async fn push_blob(&self, push: BlobPush<'_>, task: &Task) -> Result<BlobOutcome> {
        let BlobPush { repository, descriptor, source, mount_from, spare, is_hardly_there } = push;
        let transport = &self.transport;
        let upload = Upload {
            transport,
            repository,
            descriptor,
            source,
            mount_from,
            spare,
            is_hardly_there,
            task,
        };
        Ok(upload.run().await?)
    }

    /// Puts a manifest or index at the reference's tag, or at its digest when it has no tag.
    ///
    /// # Errors
    ///
    /// [`Error::ContentMissing`](super::Error::ContentMissing) when the registry lacks something the manifest names: push every
    /// blob again (they are looked for first), then put again.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<ManifestOutcome> {
        let document = manifests::Sent { descriptor, bytes, may_move: true };
        Ok(manifests::put(&self.transport, reference, document).await?)
    }

    /// As [`Client::put_manifest`], but a tag that points at another image stays there.
    ///
    /// # Errors
    ///
    /// [`Error::TagIsImmutable`](super::Error::TagIsImmutable) for such a tag, [`Error::TagUnknown`](super::Error::TagUnknown) where that cannot be looked
    /// up; both before anything is sent.
    pub async fn create_tag(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<ManifestOutcome> {
        let document = manifests::Sent { descriptor, bytes, may_move: false };
        Ok(manifests::put(&self.transport, reference, document).await?)
    }

    /// Lists what refers to a manifest or index (signatures, attestations), of one type where one is
    /// given; nothing when nothing does. A registry without the API for it is asked for the tag that
    /// stands for it.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        Ok(referrers::list(&self.transport, repository, subject, artifact_type).await?)
    }

    /// Puts a manifest by its digest, and lists it as a referrer of its subject where it has one. The
    /// blobs that it names must be there; its subject need not.
    pub async fn attach(
        &self,
        repository: &Repository,
        manifest: &Document<Manifest>,
    ) -> Result<()> {
        Ok(referrers::attach(&self.transport, repository, manifest).await?)
    }
}
