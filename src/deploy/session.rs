//! What targets ask and act through.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Prober;
use crate::cloud::{Answer, Api, CallError, Request};
use crate::event::Events;
use crate::sys::Clock;

/// The surroundings of a deployment; cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    /// Sends requests to clouds.
    pub api: Arc<dyn Api>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Is told of everything.
    pub events: Events,
    /// How long a target may take until it is well.
    pub wait_limit: Duration,
    /// Is told of what is about to be created.
    pub journal: Arc<dyn Journal>,
    /// Asks services whether they are well; nobody does where that is not wanted.
    pub prober: Option<Arc<dyn Prober>>,
    /// Whether it is looked only at what will be removed: then what is in it does not matter.
    pub is_removal: bool,
    /// What was created in this run: only what is new may be "not ready yet".
    created: Arc<Mutex<BTreeSet<String>>>,
}

/// Keeps in mind what is about to be created, in case nobody hears the answer.
pub trait Journal: std::fmt::Debug + Send + Sync {
    /// Records that a resource is about to be created.
    ///
    /// # Errors
    /// It cannot be recorded: then it is not created.
    fn intend(&self, resource: &str) -> crate::error::Result<()>;
}

impl Session {
    /// Surroundings in which nothing was created yet.
    pub fn new(
        api: Arc<dyn Api>,
        clock: Arc<dyn Clock>,
        events: Events,
        journal: Arc<dyn Journal>,
        prober: Option<Arc<dyn Prober>>,
        wait_limit: Duration,
    ) -> Self {
        let (is_removal, created) = (false, Arc::default());
        Self { api, clock, events, wait_limit, journal, prober, is_removal, created }
    }

    /// The same, for removing what is there, or not.
    pub fn removing(self, is_removal: bool) -> Self {
        Self { is_removal, ..self }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As [`Api::call`].
    pub async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        self.api.call(request).await
    }

    /// Sends a request whose subject may not be there: nothing when it is not.
    ///
    /// # Errors
    /// Anything but that.
    pub async fn find(&self, request: &Request) -> Result<Option<Answer>, CallError> {
        match self.call(request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.class == crate::cloud::ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes that something was created in this run.
    pub(super) fn note_created(&self, resource: &str) {
        self.created.lock().unwrap_or_else(PoisonError::into_inner).insert(resource.to_owned());
    }

    /// Whether anything of this kind was created in this run: `role`.
    pub(super) fn has_created(&self, kind: &str) -> bool {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.iter().any(|resource| resource.starts_with(kind))
    }
}
