//! An upload that was begun, and the promise that it ends (distribution-spec, "Pushing a blob
//! monolithically").

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::endpoint::Endpoint;
use super::lock::lock;
use super::redirect;
use super::retry::{Fault, Retry};
use super::transport::{Call, Transport};
use crate::oci::Repository;

/// How long the registry may take to forget an upload; nothing depends on it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// An upload session. When it is dropped before it ended, whether a fault or a signal was the reason,
/// the registry is asked to forget it: best effort, for registries sweep such uploads in time.
#[derive(Debug)]
pub(super) struct OpenUpload {
    transport: Arc<Transport>,
    repository: Repository,
    url: Option<Url>,
    /// Whoever ends the run waits until it is gone.
    _pending: TaskTrackerToken,
}

/// An upload that was begun before there was anything to send. The first blob that is sent takes it,
/// which saves it a request; one that the registry has forgotten by then is begun anew.
#[derive(Debug, Default)]
pub struct SpareUpload {
    session: Mutex<Option<OpenUpload>>,
}

/// What a registry answered that was asked for an upload.
#[derive(Debug)]
pub(super) enum Begun {
    /// The blob is there: a mount worked.
    Mounted,
    Session(OpenUpload),
    /// An upload that nobody can find again.
    Nowhere(Fault),
}

/// Asks for an upload, once: 201 says that a mount worked, and nothing where none was asked for; 202
/// where to send the bytes, also when a mount did not work.
///
/// The question is a task of its own: where nobody waits for the answer any more, the upload that it
/// names is forgotten like any other.
pub(super) async fn begin(transport: &Arc<Transport>, endpoint: Endpoint) -> Result<Begun, Fault> {
    let owned = Arc::clone(transport);
    let asked = transport.cleanup.spawn(async move {
        let answer = owned.once(Call::plain(&endpoint, &HeaderMap::new())).await?;
        match answer.status() {
            StatusCode::CREATED if endpoint.is_mount() => return Ok(Begun::Mounted),
            StatusCode::CREATED => {
                return Err(Fault::permanent(
                    answer.nonsense("it says that a blob is there which it has not been sent"),
                ));
            }
            StatusCode::ACCEPTED => {}
            _ => return Err(owned.refusal(&endpoint, answer).await),
        }
        // Read against the URL that answered.
        let location = answer.header("location").unwrap_or_default();
        Ok(match redirect::resolve(answer.url(), location) {
            Ok(url) => Begun::Session(OpenUpload::new(&owned, &endpoint.repository, url)),
            Err(reason) => Begun::Nowhere(Fault::new(answer.nonsense(reason), Retry::Few)),
        })
    });
    match asked.await {
        Ok(begun) => begun,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime goes down, and whoever waits here with it.
            Err(_) => std::future::pending().await,
        },
    }
}

impl OpenUpload {
    /// An upload that the registry has begun at this place.
    fn new(transport: &Arc<Transport>, repository: &Repository, url: Url) -> Self {
        Self {
            transport: Arc::clone(transport),
            repository: repository.clone(),
            url: Some(url),
            _pending: transport.cleanup.token(),
        }
    }

    /// Where its bytes go.
    pub(super) fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// The blob is there: nothing is left to forget.
    pub(super) fn end(mut self) {
        self.url = None;
    }

    /// Asks the registry to forget it, and waits for that.
    pub(super) async fn cancel(mut self) {
        if let Some(url) = self.url.take() {
            cancel(&self.transport, &self.repository, url).await;
        }
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        // Outside of a runtime there is nobody who could ask.
        let (Some(url), Ok(runtime)) = (self.url.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let (transport, repository) = (Arc::clone(&self.transport), self.repository.clone());
        let forget = async move { cancel(&transport, &repository, url).await };
        self.transport.cleanup.spawn_on(forget, &runtime);
    }
}

impl SpareUpload {
    pub(super) fn new(session: Option<OpenUpload>) -> Self {
        Self { session: Mutex::new(session) }
    }

    /// Asks the registry to forget it, unless a blob took it; best effort.
    pub(super) async fn cancel(&self) {
        if let Some(session) = self.take() {
            session.cancel().await;
        }
    }

    pub(super) fn take(&self) -> Option<OpenUpload> {
        lock(&self.session).take()
    }
}

async fn cancel(transport: &Transport, repository: &Repository, url: Url) {
    let endpoint = Endpoint::cancel_upload(repository, url);
    let headers = HeaderMap::new();
    let cancel = transport.once(Call::plain(&endpoint, &headers));
    let _ = tokio::time::timeout(CANCEL_TIMEOUT, cancel).await;
}
