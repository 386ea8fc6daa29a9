//! What this run has begun: the platform tells of it in answers that are seen only once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::names::is_taken;
use crate::cloud::{Answer, Api, CallError, Cloud, ErrorClass, Method, Request};
use crate::deploy::Session;
use crate::error::Result;

/// What is known of the last `PUT`, and of all before.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun {
    /// Where its operation can be asked for: only there stands why a revision was refused.
    pub(super) operation: Option<String>,
    /// What its revision is called, behind the app's name.
    pub(super) suffix: Option<String>,
    /// Names that revisions of long ago have: the platform refuses them, and does not list who has them.
    pub(super) taken: BTreeSet<String>,
}

/// The same for all who look.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Begun>>);

impl Memory {
    /// As it is now.
    pub(super) fn get(&self) -> Begun {
        self.lock().clone()
    }

    /// A session whose answers are kept in mind.
    pub(super) fn listen(&self, session: &Session) -> Session {
        let mut listening = session.clone();
        listening.api = Arc::new(Listening { api: session.api.clone(), memory: self.clone() });
        listening
    }

    /// Another plan begins.
    pub(super) fn begin(&self) {
        self.lock().operation = None;
    }

    /// The name of the last `PUT` is taken.
    pub(super) fn note_taken(&self) {
        let mut begun = self.lock();
        let suffix = begun.suffix.clone();
        begun.taken.extend(suffix);
    }

    fn lock(&self) -> MutexGuard<'_, Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on what is asked, and keeps what is answered to a `PUT`.
#[derive(Debug)]
struct Listening {
    api: Arc<dyn Api>,
    memory: Memory,
}

#[async_trait]
impl Api for Listening {
    async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let answer = self.api.call(request).await;
        if request.method != Method::Put {
            return answer;
        }
        let suffix = request.body.as_ref();
        let suffix = suffix.and_then(|body| body.pointer("/properties/template/revisionSuffix"));
        let suffix = suffix.and_then(Value::as_str).map(str::to_owned);
        let mut begun = self.memory.lock();
        match &answer {
            Ok(answer) => {
                begun.operation = answer.headers.get("azure-asyncoperation").cloned();
                begun.suffix = suffix;
            }
            Err(error) if is_taken(&error.message) => begun.taken.extend(suffix),
            Err(_) => {}
        }
        drop(begun);
        answer.map_err(|error| {
            let class = if is_taken(&error.message) { ErrorClass::Exists } else { error.class };
            CallError { class, ..error }
        })
    }

    async fn identity(&self, cloud: Cloud) -> Result<String, CallError> {
        self.api.identity(cloud).await
    }

    async fn account(&self) -> Result<String, CallError> {
        self.api.account().await
    }
}
