//! The client of the OCI distribution API: what survives a registry's bad day.
//!
//! Endpoints are values; one transport owns retry, deadline, stall timer, redirects and the scope
//! of credentials. Start reading at [`Client`], then `transport.rs`. One rule, one file:
//!
//! - `retry.rs`, `retry_after.rs`: which failures are tried again, and after how long
//! - `stall.rs`: when a connection that still stands is dead
//! - `redirect.rs`, `origin.rs`, `address.rs`: where a registry may send us, and with what
//! - `http.rs`, `proxy.rs`, `scheme.rs`: the way to a host
//! - `certificates.rs`, `tls.rs`, `issuer.rs`: whom we trust, and who we are to them
//! - `connection_problem.rs`, `tls_problem.rs`: why there is no connection, and what helps
//! - `map.rs`: what is pulled from elsewhere
//! - `unused.rs`: settings that nobody needed
//! - `challenge.rs`, `token.rs`, `auth.rs`: how we say who we are
//! - `keychain.rs`, `keychains/`: where credentials come from
//! - `hints.rs`, `cures.rs`, `service.rs`, `host_pattern.rs`, `create_repository.rs`: what helps, and at which registry
//! - `secret.rs`, `mask.rs`: what is never shown, also when others repeat it
//! - `immutable_tag.rs`: when a refusal means that the tag may not move
//! - `login.rs`: whether credentials are right, asked without a repository
//! - `rights.rs`: whether we may push, asked before anything is made
//! - `referrers.rs`: what refers to an image, with and without the API for it
//! - `session.rs`: that an upload which was begun ends
//! - `upload.rs`, `download.rs`, `manifests.rs`: what is done when the outcome is unknown
//!
//! Waits between tries go through the injected clock, so tests with faults take milliseconds;
//! stall timers watch real transfers and run on real time, with limits from the [`Settings`].

mod address;
mod auth;
mod certificates;
mod challenge;
mod connection_problem;
mod create_repository;
mod cures;
mod download;
mod endpoint;
mod error;
mod error_body;
mod exchange;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hints;
mod host_pattern;
mod http;
mod immutable_tag;
mod issuer;
mod keychain;
pub mod keychains;
mod limit;
mod lock;
mod login;
mod manifests;
mod map;
mod mask;
mod origin;
mod proxy;
mod redirect;
mod referrers;
mod retry;
mod retry_after;
mod rights;
mod scheme;
mod secret;
mod service;
mod session;
mod settings;
mod stall;
mod tls;
mod tls_problem;
mod token;
mod transport;
mod unused;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio_util::task::TaskTracker;

pub use self::connection_problem::{ProxyProblem, RootCause};
pub use self::error::Error;
pub use self::hints::Login;
pub use self::keychain::{Credential, Found, Keychain, Lookup, Sources};
pub use self::manifests::TagLookup;
pub use self::map::RegistryMap;
pub use self::proxy::Proxies;
pub use self::secret::Secret;
pub use self::session::SpareUpload;
pub use self::settings::{ClientCertificate, Settings, StallLimits};
pub use self::tls_problem::TlsProblem;

use self::auth::Authenticator;
use self::download::Download;
use self::endpoint::Right;
use self::http::HttpClients;
use self::limit::Limits;
use self::map::Mapping;
use self::mask::Mask;
use self::retry::Patience;
use self::transport::{Memory, Transport};
use self::upload::Upload;
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
    /// A file.
    File(PathBuf),
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
/// The [`std::io::Error`] of a failure carries an [`enum@Error`].
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
            limits: Limits::new(settings.concurrency),
            http: HttpClients::new(settings, events.clone()),
            auth: Authenticator::new(keychains, events.clone(), clock.clone(), Arc::clone(&mask)),
            mask,
            patience: Arc::new(patience),
            memory: Memory::default(),
            cleanup,
            events,
            clock,
        };
        Self { transport: Arc::new(transport), mapping: Arc::new(mapping) }
    }

    /// The repository that is pulled from when this one is meant: itself, unless it is mapped.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when the map makes no repository of it.
    pub fn source_of(&self, repository: &Repository) -> Result<Repository> {
        Ok(self.mapping.source_of(repository, &self.transport.events)?)
    }

    /// Asks what a tag or digest is (`HEAD`); `None` when there is no such manifest.
    ///
    /// # Errors
    ///
    /// An [`enum@Error`], as from every method here.
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
    /// [`Error::Unauthorized`] when they are wrong; those of the network.
    pub async fn log_in(&self, registry: &str) -> Result<bool> {
        Ok(login::log_in(&self.transport, registry).await?)
    }

    /// Asks what a tag is that is going to be put.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`]: the rights to push are asked for. Those of the network.
    pub async fn look_before_push(&self, reference: &Reference) -> Result<TagLookup> {
        Ok(manifests::look_before_push(&self.transport, reference).await?)
    }

    /// Begins an upload before there is anything to send, which proves that one may push, and which
    /// the first blob takes that is sent ([`BlobPush::spare`]).
    ///
    /// # Errors
    ///
    /// What the registry has against it: [`Error::Unauthorized`], [`Error::Denied`],
    /// [`Error::NotFound`] and [`Error::Refused`].
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

    /// Makes sure that the repository has the blob: `HEAD`, then a mount from another repository of
    /// the same registry, then one streamed `PUT`. `task` is told of every byte sent.
    pub async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
        mount_from: Option<&Repository>,
        task: &Task,
    ) -> Result<BlobOutcome> {
        let push = BlobPush { repository, descriptor, source, mount_from, spare: None };
        self.push_blob_with(push, task).await
    }

    /// As [`Client::push_blob`], in an upload that was begun already where there is one.
    pub async fn push_blob_with(&self, push: BlobPush<'_>, task: &Task) -> Result<BlobOutcome> {
        let BlobPush { repository, descriptor, source, mount_from, spare } = push;
        let transport = &self.transport;
        let upload = Upload { transport, repository, descriptor, source, mount_from, spare, task };
        Ok(upload.run().await?)
    }

    /// Puts a manifest or index at the reference's tag, or at its digest when it has no tag.
    ///
    /// # Errors
    ///
    /// [`Error::ContentMissing`] when the registry lacks something the manifest names: push every
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
    /// [`Error::TagIsImmutable`] for such a tag, [`Error::TagUnknown`] where that cannot be looked
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
