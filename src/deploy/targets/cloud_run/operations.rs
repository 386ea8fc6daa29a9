//! Operations that end badly although the request was answered well.

use std::sync::Arc;

use async_trait::async_trait;

use crate::cloud::{Answer, Api, CallError, Cloud, Request, operation_failure};
use crate::deploy::Session;

/// Writes of Cloud Run are answered with an operation. One that is over already, and failed, is a failure.
#[derive(Debug)]
struct Watched(Arc<dyn Api>);

/// A session in which failed operations are errors.
pub(super) fn watched(session: &Session) -> Session {
    let mut watched = session.clone();
    watched.api = Arc::new(Watched(Arc::clone(&session.api)));
    watched
}

#[async_trait]
impl Api for Watched {
    async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let answer = self.0.call(request).await?;
        match answer.body.get("error") {
            Some(error) if answer.body["done"] == serde_json::Value::Bool(true) => {
                Err(operation_failure(request, error))
            }
            _ => Ok(answer),
        }
    }

    async fn identity(&self, cloud: Cloud) -> Result<String, CallError> {
        self.0.identity(cloud).await
    }

    async fn account(&self) -> Result<String, CallError> {
        self.0.account().await
    }
}
