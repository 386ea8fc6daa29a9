//! Signs requests to AWS (SigV4), with credentials that are kept while they are good.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;

use super::super::authorizer::{Authorizer, Outgoing};
use super::super::endpoint::signing_region;
use super::super::{CallError, ErrorClass};
use super::sources::Sources;
use crate::event::Events;
use crate::registry::Settings;
use crate::sys::{Clock, Environment};

/// Credentials that end sooner than this are asked for again.
const MARGIN: Duration = Duration::from_mins(5);

/// Signs with the credentials of the first source that has some.
#[derive(Debug)]
struct Signer {
    sources: Sources,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Credentials>>,
}

/// Who proves to AWS who we are.
pub(in super::super) fn authorizer(
    settings: &Settings,
    environment: &Environment,
    events: &Events,
    clock: &Arc<dyn Clock>,
) -> Box<dyn Authorizer> {
    let sources = Sources::new(settings, environment, events, clock);
    Box::new(Signer { sources, clock: Arc::clone(clock), kept: Mutex::default() })
}

impl Signer {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.clock.unix_seconds()).unwrap_or(0))
    }

    async fn credentials(&self, outgoing: &Outgoing<'_>) -> Result<Credentials, CallError> {
        let mut kept = self.kept.lock().await;
        let is_good = |credentials: &&Credentials| {
            credentials.expiry().is_none_or(|end| end > self.now() + MARGIN)
        };
        if let Some(credentials) = kept.as_ref().filter(is_good) {
            return Ok(credentials.clone());
        }
        let request = outgoing.request;
        let found =
            self.sources.find(signing_region(request)).await.map_err(|nowhere| CallError {
                message: nowhere.message,
                hints: nowhere.hints,
                ..CallError::new(request.service, request.title(), ErrorClass::NoCredentials)
            })?;
        Ok(kept.insert(found).clone())
    }
}

#[async_trait]
impl Authorizer for Signer {
    async fn authorize(&self, outgoing: &Outgoing<'_>) -> Result<HeaderMap, CallError> {
        let Outgoing { request, url, headers, body } = *outgoing;
        let identity = self.credentials(outgoing).await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(signing_region(request))
            .name(request.service.name)
            .time(self.now())
            .settings(SigningSettings::default())
            .build()
            .expect("every parameter is given")
            .into();
        let unsignable = |reason: String| CallError {
            message: format!("cannot sign the request: {reason}"),
            ..CallError::new(request.service, request.title(), ErrorClass::Other)
        };
        let signed =
            headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(
            request.method.name(),
            url.as_str(),
            signed,
            SignableBody::Bytes(body),
        );
        let output = signable.and_then(|signable| sign(signable, &parameters));
        let (instructions, _) = output.map_err(|error| unsignable(error.to_string()))?.into_parts();
        let mut proof = HeaderMap::new();
        for header in instructions.into_parts().0 {
            let value = HeaderValue::try_from(header.value());
            let mut value = value.map_err(|error| unsignable(error.to_string()))?;
            value.set_sensitive(header.sensitive());
            proof.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(proof)
    }

    async fn identity(&self) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    async fn forget(&self) -> bool {
        // Keys without end were typed in by somebody: asking again gives the same.
        self.kept.lock().await.take().is_some_and(|credentials| credentials.expiry().is_some())
    }
}
