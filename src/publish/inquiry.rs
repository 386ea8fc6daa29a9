//! Questions about images that were pushed before: the answers save work, so they are worth a short wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Earlier;
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::event::Events;
use crate::oci::{Descriptor, Digest, Reference, Repository};
use crate::registry::{Client, TagLookup};
use crate::store::Store;

/// How long an answer is waited for, however it is put off. Packing is hardly slower.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks registries about earlier images, as long as they answer: one that fails for too long is asked
/// nothing more. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inquiry {
    client: Client,
    store: Store,
    events: Events,
    /// The registries that are asked nothing more.
    given_up: Arc<Mutex<BTreeSet<String>>>,
}

impl Inquiry {
    /// No question yet. Documents are kept in the store.
    pub fn new(client: &Client, store: &Store, events: &Events) -> Self {
        let client = client.with_patience(PATIENCE);
        let (store, events) = (store.clone(), events.clone());
        Self { client, store, events, given_up: Arc::default() }
    }

    /// Reads what a reference is; `None` when it does not exist.
    ///
    /// # Errors
    ///
    /// The registry's, the store's, [`InvalidDocument`](crate::oci::InvalidDocument), and
    /// [`NoAnswer`].
    pub async fn find(&self, reference: &Reference) -> Result<Option<Earlier>> {
        let find = async {
            match self.client.resolve(reference).await? {
                Some(top) => {
                    Earlier::read(&self.client, &self.store, reference, &top).await.map(Some)
                }
                None => Ok(None),
            }
        };
        self.ask(&reference.repository, Box::pin(find)).await
    }

    /// Reads what a reference is known to be.
    ///
    /// # Errors
    ///
    /// As for [`Inquiry::find`].
    pub(super) async fn read(&self, reference: &Reference, top: &Descriptor) -> Result<Earlier> {
        let read = Box::pin(Earlier::read(&self.client, &self.store, reference, top));
        self.ask(&reference.repository, read).await
    }

    /// Asks what a tag is that will not be put.
    ///
    /// # Errors
    ///
    /// The registry's, and [`NoAnswer`].
    pub(super) async fn look(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let look = Box::pin(self.client.look_before_push(reference));
        Ok(match self.ask(&reference.repository, look).await? {
            TagLookup::Found(found) => Some(found),
            TagLookup::Absent | TagLookup::Unknown(_) => None,
        })
    }

    /// Asks how large a blob of an image is; `None` where the registry does not say.
    ///
    /// # Errors
    ///
    /// The registry's, [`NotFound`](crate::registry::Error::NotFound) among them, and [`NoAnswer`].
    pub async fn blob_size(&self, image: &Reference, digest: &Digest) -> Result<Option<u64>> {
        let Reference { repository, .. } = image;
        self.ask(repository, Box::pin(self.client.blob_size(repository, digest))).await
    }

    /// Says that an image is of no use: worth a note where the registry may be well again another time.
    pub fn tell(&self, image: &Reference, error: &Error) {
        let text = format!("nothing is taken over from `{image}`: {error}");
        if error.is_retryable() { self.events.note(text) } else { self.events.detail(text) }
    }

    /// Waits for an answer. The first failure that patience ends at is told as it is; whatever else the
    /// registry is asked, at the same time or later, comes to nothing.
    async fn ask<T>(
        &self,
        repository: &Repository,
        question: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let host = repository.registry();
        let given_up = || Err(NoAnswer::GivenUp { host: host.to_owned() }.into());
        if self.given_up().contains(host) {
            return given_up();
        }
        // Its own patience does not count while a registry is silent, or wants to be left alone.
        let error = match tokio::time::timeout(PATIENCE, question).await {
            Ok(Err(error)) if error.is_retryable() => error,
            Ok(answer) => return answer,
            Err(_) => NoAnswer::Late { host: host.to_owned() }.into(),
        };
        let is_first = self.given_up().insert(host.to_owned());
        if is_first { Err(error) } else { given_up() }
    }

    fn given_up(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a registry said nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It was waited for in vain.
    #[error("`{host}` did not answer within {} s", PATIENCE.as_secs())]
    Late {
        /// The registry.
        host: String,
    },
    /// It was not asked any more.
    #[error("`{host}` has not answered before")]
    GivenUp {
        /// The registry.
        host: String,
    },
}

impl Classified for NoAnswer {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Late { .. })
    }
}
