//! Proves to Google Cloud who we are.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use tokio::sync::Mutex;

use super::super::authorizer::{Authorizer, Outgoing};
use super::super::service::{CLOUD_RUN, Service};
use super::super::{CallError, ErrorClass};
use super::sources::{Nowhere, Source, Sources};
use crate::event::Events;
use crate::sys::command::SystemCommands;
use crate::sys::{Clock, Environment};

/// Takes the first source that has credentials, and keeps to it.
#[derive(Debug)]
struct Bearer {
    sources: Sources,
    events: Events,
    kept: Mutex<Option<Arc<Source>>>,
}

/// Who proves to Google Cloud who we are. Tokens are kept as long as they are good by whoever gives them, so
/// that no clock is needed.
pub(in super::super) fn authorizer(
    environment: &Environment,
    events: &Events,
    _: &Arc<dyn Clock>,
) -> Box<dyn Authorizer> {
    let sources = Sources::new(environment, Arc::new(SystemCommands));
    Box::new(Bearer { sources, events: events.clone(), kept: Mutex::default() })
}

impl Bearer {
    async fn source(&self) -> Result<Arc<Source>, Nowhere> {
        let mut kept = self.kept.lock().await;
        if let Some(source) = kept.as_ref() {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(self.sources.find().await?);
        let who = source.identity.as_deref().unwrap_or("nobody who tells");
        self.events
            .detail(format!("Google Cloud: we are {who}, with credentials from {}", source.name));
        Ok(Arc::clone(kept.insert(source)))
    }
}

#[async_trait]
impl Authorizer for Bearer {
    async fn authorize(&self, outgoing: &Outgoing<'_>) -> Result<HeaderMap, CallError> {
        let (service, title) = (outgoing.request.service, outgoing.request.title());
        let failure = |nowhere| none(service, title.clone(), nowhere);
        let source = self.source().await.map_err(failure)?;
        let headers = source.headers().await.map_err(|reason| {
            failure(self.sources.nowhere(vec![format!("{}: {reason}", source.name)]))
        })?;
        Ok(headers)
    }

    async fn identity(&self) -> Result<Option<String>, CallError> {
        let source = self.source().await;
        let source = source.map_err(|nowhere| none(&CLOUD_RUN, "identity".to_owned(), nowhere))?;
        Ok(source.identity.clone())
    }

    async fn forget(&self) -> bool {
        self.kept.lock().await.take().is_some_and(|source| source.can_renew())
    }
}

fn none(service: &'static Service, title: String, nowhere: Nowhere) -> CallError {
    CallError {
        message: format!("no credentials for Google Cloud:\n{}", nowhere.tried.join("\n")),
        hints: vec![nowhere.hint.to_owned()],
        ..CallError::new(service, title, ErrorClass::NoCredentials)
    }
}
