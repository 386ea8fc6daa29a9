//! Brings a blob into a repository: look, mount, else one streamed `PUT`.
//!
//! Where hardly anything can be there yet, the look is left out when it would cost more than it saves:
//! before a mount, and for a small blob that need not be fetched from elsewhere.
//!
//! The unit of recovery is the whole blob: after any fault the registry is asked again whether the
//! blob is there. An answer that was lost, a session that vanished, a commit that was cut off:
//! all end there.
//!
//! A blob is never sent in chunks, which registries get wrong in more ways than they get it right: what
//! they say of chunks (`Range`, `OCI-Chunk-Min-Length`, `Docker-Upload-UUID`) is not for us. Only
//! `Location` counts, the newest one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::answer::Answer;
use super::download::Download;
use super::endpoint::{Endpoint, Right};
use super::error::Error;
use super::redirect;
use super::retry::{Fault, Retry};
use super::session::{self, Begun, OpenUpload, SpareUpload};
use super::transport::{Body, Call, Content, ContentStream, Transport};
use super::{BlobOutcome, BlobSource};
use crate::event::Task;
use crate::oci::{Descriptor, Digest, Digester, Repository};

/// How much is read from a file at once.
const READ_BYTES: usize = 256 * 1024;

/// Sending so little takes hardly longer than asking whether it is there.
const SMALL_BYTES: u64 = 128 * 1024;

/// How often a mount is asked for while the registry says "later".
const MOUNT_TRIES: u32 = 4;

/// One blob on its way.
pub(super) struct Upload<'a> {
    pub(super) transport: &'a Arc<Transport>,
    pub(super) repository: &'a Repository,
    pub(super) descriptor: &'a Descriptor,
    pub(super) source: &'a BlobSource,
    pub(super) mount_from: Option<&'a Repository>,
    pub(super) spare: Option<&'a SpareUpload>,
    pub(super) is_hardly_there: bool,
    pub(super) task: &'a Task,
}

/// What earlier tries of one upload left.
#[derive(Default)]
struct State {
    /// There was a try before.
    has_tried: bool,
    /// How often asking for a mount came to nothing.
    failed_mounts: u32,
    /// The blob, or a part of it, was sent.
    was_sent: bool,
    /// A session that was begun and not ended.
    abandoned: Option<OpenUpload>,
}

/// What came of asking for an upload.
enum Start {
    Mounted,
    Session(OpenUpload),
    /// Begun so long ago that it may have expired.
    Spare(OpenUpload),
}

impl Upload<'_> {
    /// Does it, as often as it takes.
    pub(super) async fn run(&self) -> Result<BlobOutcome, Error> {
        let mut tries = self.transport.patience.begin();
        let mut state = State::default();
        loop {
            match self.attempt(&mut state).await {
                Ok(outcome) => {
                    self.transport.patience.confirm_progress();
                    return Ok(outcome);
                }
                Err(fault) => tries.outlast(fault).await?,
            }
        }
    }

    async fn attempt(&self, state: &mut State) -> Result<BlobOutcome, Fault> {
        let is_first = !std::mem::replace(&mut state.has_tried, true);
        let is_at_hand = !matches!(self.source, BlobSource::Registry(_));
        let is_cheap = is_at_hand && self.descriptor.size <= SMALL_BYTES;
        let is_unasked = is_first && self.is_hardly_there && (is_cheap || self.origin().is_some());
        if !is_unasked && self.is_present().await? {
            if let Some(session) = state.abandoned.take() {
                session.end();
            }
            let outcome = if state.was_sent { BlobOutcome::Uploaded } else { BlobOutcome::Present };
            return Ok(outcome);
        }
        if let Some(session) = state.abandoned.take() {
            session.cancel().await;
        }
        let (session, may_have_expired) = match self.start(state).await? {
            Start::Mounted => return Ok(BlobOutcome::Mounted),
            Start::Session(session) => (session, false),
            Start::Spare(session) => (session, true),
        };
        // A mount that came to nothing does not say that a blob has to be fetched, or a large one sent again.
        if is_unasked && !is_cheap && self.is_present().await? {
            session.cancel().await;
            return Ok(BlobOutcome::Present);
        }
        if std::mem::replace(&mut state.was_sent, true) {
            self.task.restart_at(0);
        }
        let finished = self.finish(&session, may_have_expired).await;
        match finished {
            Ok(()) => session.end(),
            Err(fault) => {
                state.abandoned = Some(session);
                return Err(fault);
            }
        }
        Ok(BlobOutcome::Uploaded)
    }

    /// Whether the repository has the blob. Robots that may only push get 403, some registries
    /// know no `HEAD`: then nobody knows, and the upload decides. What is there with another size is
    /// something else.
    async fn is_present(&self) -> Result<bool, Fault> {
        let endpoint = Endpoint::head_blob(self.repository, &self.descriptor.digest, Right::Push);
        let headers = HeaderMap::new();
        let answer = self.transport.once(Call::plain(&endpoint, &headers)).await?;
        match answer.status().as_u16() {
            200 => Ok(stated_size(&answer).is_none_or(|size| size == self.descriptor.size)),
            403..=405 => Ok(false),
            _ => Err(self.transport.refusal(&endpoint, answer).await),
        }
    }

    async fn start(&self, state: &mut State) -> Result<Start, Fault> {
        let digest = &self.descriptor.digest;
        if let Some(from) = self.origin()
            && state.failed_mounts < MOUNT_TRIES
        {
            let endpoint = Endpoint::mount(self.repository, digest, from);
            match self.begin(endpoint).await {
                Ok(start) => return Ok(start),
                // What is put off is asked for again: it saves sending the blob.
                Err(fault) if fault.retry != Retry::Never => {
                    state.failed_mounts += 1;
                    if state.failed_mounts < MOUNT_TRIES {
                        return Err(fault);
                    }
                }
                // Without the other repository's rights, or where mounting is switched off, any
                // status may come; it says nothing about an ordinary upload.
                Err(_) => state.failed_mounts = MOUNT_TRIES,
            }
        }
        if let Some(session) = self.spare.and_then(SpareUpload::take) {
            return Ok(Start::Spare(session));
        }
        self.begin(Endpoint::start_upload(self.repository, digest)).await
    }

    async fn begin(&self, endpoint: Endpoint) -> Result<Start, Fault> {
        match session::begin(self.transport, endpoint).await? {
            Begun::Mounted => Ok(Start::Mounted),
            Begun::Session(session) => Ok(Start::Session(session)),
            Begun::Nowhere(fault) => Err(fault),
        }
    }

    /// What the blob may be mounted from.
    fn origin(&self) -> Option<&Repository> {
        let is_near = |from: &&Repository| {
            from.registry() == self.repository.registry() && *from != self.repository
        };
        self.mount_from.filter(is_near)
    }

    async fn finish(&self, session: &OpenUpload, may_have_expired: bool) -> Result<(), Fault> {
        let digest = &self.descriptor.digest;
        let url = session.url().expect("it has not ended");
        let url = redirect::with_digest(url, digest);
        let endpoint = Endpoint::finish_upload(self.repository, digest, url);
        let octets = HeaderValue::from_static("application/octet-stream");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, octets)]);
        let content =
            BlobContent { upload: self, action: &endpoint.action, told: AtomicU64::new(0) };
        let call = Call { endpoint: &endpoint, headers: &headers, body: Body::Content(&content) };
        let mut answer = self.transport.once(call).await?;
        let status = answer.status().as_u16();
        if matches!(status, 200 | 201 | 204) {
            return Ok(());
        }
        let body = answer.error_body().await;
        let fault = self.transport.with_identity(&endpoint, answer.refusal_with(&body));
        let is_session_gone = status == 404 && !body.has("NAME_UNKNOWN");
        let retry = match status {
            416 => Retry::BackOff,
            _ if is_session_gone => Retry::BackOff,
            // The bytes may have been damaged on the way; if not, ours are wrong.
            400 if ["DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID"]
                .iter()
                .any(|code| body.has(code)) =>
            {
                Retry::Once
            }
            // An expired upload is refused in many words, though never with a code of the
            // specification: a new one shows whether that was the reason.
            400 | 403 | 404 | 410 if may_have_expired && !body.has_code() => Retry::Once,
            _ => Retry::Never,
        };
        Err(Fault { retry, ..fault })
    }
}

/// Asks how large a blob is; `None` where the registry does not say, or knows no `HEAD`.
///
/// # Errors
///
/// [`Error::NotFound`], and those of the network.
pub(super) async fn blob_size(
    transport: &Arc<Transport>,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<u64>, Error> {
    let endpoint = Endpoint::head_blob(repository, digest, Right::Pull);
    let answer = transport.send(Call::plain(&endpoint, &HeaderMap::new())).await?;
    match answer.status().as_u16() {
        200 => Ok(stated_size(&answer)),
        403 | 405 => Ok(None),
        _ => Err(*transport.refusal(&endpoint, answer).await.error),
    }
}

/// The size of a blob that was found: some say nothing of it, and some that it is 0.
fn stated_size(answer: &Answer) -> Option<u64> {
    answer.header("content-length")?.parse().ok().filter(|size| *size > 0)
}

/// The bytes of a blob, opened again for every try.
struct BlobContent<'a> {
    upload: &'a Upload<'a>,
    action: &'a str,
    /// Bytes of this try that the task was told of.
    told: AtomicU64,
}

#[async_trait]
impl Content for BlobContent<'_> {
    fn size(&self) -> u64 {
        self.upload.descriptor.size
    }

    async fn open(&self) -> Result<ContentStream, Fault> {
        if self.told.swap(0, Ordering::Relaxed) > 0 {
            self.upload.task.restart_at(0);
        }
        let unreadable = |source: io::Error| {
            Fault::permanent(Error::Source { action: self.action.to_owned(), source })
        };
        let size = self.size();
        match self.upload.source {
            BlobSource::Bytes(bytes) => {
                check_size(bytes.len() as u64, size).map_err(unreadable)?;
                let chunks: Vec<_> = chunks(bytes).map(Ok).collect();
                Ok(futures_util::stream::iter(chunks).boxed())
            }
            BlobSource::File(path) | BlobSource::Unverified(path) => {
                let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
                let length = file.metadata().await.map_err(unreadable)?.len();
                check_size(length, size).map_err(unreadable)?;
                if matches!(self.upload.source, BlobSource::Unverified(_)) {
                    let expected = &self.upload.descriptor.digest;
                    check_digest(&mut file, expected).await.map_err(unreadable)?;
                }
                Ok(ReaderStream::with_capacity(file.take(size), READ_BYTES).boxed())
            }
            BlobSource::Registry(from) => {
                let descriptor = self.upload.descriptor;
                let mut download = Download::new(self.upload.transport, from, descriptor);
                download.open().await.map_err(Fault::permanent)?;
                Ok(ReaderStream::with_capacity(download.into_reader(), READ_BYTES).boxed())
            }
        }
    }

    fn sent(&self, bytes: u64) {
        let told = self.told.swap(bytes, Ordering::Relaxed);
        if bytes > told {
            self.upload.task.advance(bytes - told);
        }
    }
}

/// A file that changed since it was hashed is noticed before its bytes go out.
fn check_size(actual: u64, expected: u64) -> io::Result<()> {
    if actual == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("it has {actual} bytes and had {expected} when it was hashed")))
}

/// A file that has rotted since it was hashed is noticed likewise; the file stands at its beginning again.
async fn check_digest(file: &mut tokio::fs::File, expected: &Digest) -> io::Result<()> {
    let mut digester = Digester::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer).await? {
            0 => break,
            count => digester.update(&buffer[..count]),
        }
    }
    if digester.finish() != *expected {
        return Err(io::Error::other("it is not what it was when it was hashed"));
    }
    file.rewind().await.map(drop)
}

/// Cuts bytes into pieces, so that progress can be seen.
fn chunks(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    let bytes = bytes.clone();
    (0..bytes.len())
        .step_by(READ_BYTES)
        .map(move |start| bytes.slice(start..bytes.len().min(start + READ_BYTES)))
}
