//! Operations: a write of Cloud Run is answered before it is done, and may come to nothing afterwards.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::cloud::{
    Answer, Api, CLOUD_RUN, CallError, Cloud, ErrorClass, Method, Request, operation_failure,
};
use crate::deploy::{Observed, Session, State};

/// The operation that was begun last: the request, and the operation's name.
type Begun = Arc<Mutex<Option<(Request, String)>>>;

/// Keeps the operations in mind that are begun through it. One that failed at once is a failed call.
#[derive(Debug)]
struct Watched {
    api: Arc<dyn Api>,
    begun: Begun,
}

/// What was begun in one session.
#[derive(Debug, Default)]
pub(super) struct Operations {
    begun: Begun,
}

/// How far an operation is.
#[derive(Debug)]
pub(super) enum Progress {
    /// It is done, or nobody may know how far it is: what is there tells.
    Done,
    /// It is going on.
    Running(String),
    /// It came to nothing.
    Failed(CallError),
}

impl Operations {
    /// A session whose operations are kept in mind here.
    pub(super) fn watch(&self, session: &Session) -> Session {
        let mut watched = session.clone();
        let begun = Arc::clone(&self.begun);
        watched.api = Arc::new(Watched { api: Arc::clone(&session.api), begun });
        watched
    }

    /// Asks how far the operation is that was begun last.
    pub(super) async fn progress(&self, session: &Session) -> Result<Progress, CallError> {
        let Some((request, name)) = kept(&self.begun).clone() else { return Ok(Progress::Done) };
        let path = format!("/v2/{name}");
        let question =
            Request::rest(&CLOUD_RUN, &request.region, "GetOperation", Method::Get, path);
        let progress = match session.call(&question).await {
            Ok(answer) if answer.body["done"] != Value::Bool(true) => {
                return Ok(Progress::Running(name));
            }
            Ok(answer) => match answer.body.get("error") {
                Some(error) => Progress::Failed(operation_failure(&request, error)),
                None => Progress::Done,
            },
            Err(error) if matches!(error.class, ErrorClass::Denied | ErrorClass::NotFound) => {
                Progress::Done
            }
            Err(error) => return Err(error),
        };
        *kept(&self.begun) = None;
        Ok(progress)
    }
}

/// Whether what is there tells by itself why an operation failed: it is the newest revision that did.
pub(super) fn is_told(failure: &CallError, observed: &Observed) -> bool {
    observed.service.as_ref().is_some_and(|service| {
        let newest = super::observe::last_part(&service.raw["latestCreatedRevision"]);
        matches!(&service.state, State::Failed(reason) if
            reason.contains(&failure.message) || failure.message.contains(&format!("'{newest}'")))
    })
}

fn kept(begun: &Begun) -> std::sync::MutexGuard<'_, Option<(Request, String)>> {
    begun.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Api for Watched {
    async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let answer = self.api.call(request).await?;
        let is_done_at_once = request.operation == super::access::CLOSING;
        if request.is_read || is_done_at_once || *request.service != CLOUD_RUN {
            return Ok(answer);
        }
        let is_done = answer.body["done"] == Value::Bool(true);
        match (answer.body.get("error"), answer.body["name"].as_str()) {
            (Some(error), _) if is_done => return Err(operation_failure(request, error)),
            (_, Some(name)) if is_operation(name) => {
                *kept(&self.begun) = (!is_done).then(|| (request.clone(), name.to_owned()));
            }
            // Whether it was begun, only what is there can tell.
            _ => {
                return Err(CallError {
                    message: "the answer names no operation".to_owned(),
                    ..CallError::new(request.service, request.title(), ErrorClass::Lost)
                });
            }
        }
        Ok(answer)
    }

    async fn identity(&self, cloud: Cloud) -> Result<String, CallError> {
        self.api.identity(cloud).await
    }

    async fn account(&self) -> Result<String, CallError> {
        self.api.account().await
    }
}

/// `projects/P/locations/R/operations/O`.
fn is_operation(name: &str) -> bool {
    let is_part = |part: &&str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.:".contains(&it))
    };
    match name.split('/').collect::<Vec<_>>()[..] {
        ["projects", project, "locations", location, "operations", operation] => {
            [project, location, operation].iter().all(is_part)
        }
        _ => false,
    }
}
