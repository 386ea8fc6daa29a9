//! The client of all clouds: proves who we are, sends, tries again where that is safe, and says why
//! something failed.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use serde_json::json;
use tokio::sync::OnceCell;

use super::authorizer::{Authorizer, Outgoing, Refusal};
use super::request::{Authority, Method, Request};
use super::service::{Cloud, STS};
use super::{Answer, Api, CallError, ErrorClass, endpoint, vendors, wire};
use crate::event::Events;
use crate::registry::{Https, NoReply, Reply, Retry, Secret, Settings};
use crate::sys::{Clock, Environment};

/// Sends requests to clouds.
#[derive(Debug)]
pub struct Client {
    https: Https,
    environment: Environment,
    events: Events,
    aws: Vendor,
    google: Vendor,
    azure: Vendor,
    /// Who calls AWS.
    caller: OnceCell<Caller>,
    /// The first region of AWS that was called: it tells the partition.
    region: OnceLock<String>,
}

/// What a client is made of.
#[derive(Debug)]
pub struct ClientOptions {
    /// How to reach hosts.
    pub settings: Settings,
    /// What names endpoints and credentials.
    pub environment: Environment,
    /// Where requests and waits are told.
    pub events: Events,
    /// Time, and waiting between tries.
    pub clock: Arc<dyn Clock>,
}

/// A cloud: who proves there who we are, and who that is.
#[derive(Debug)]
struct Vendor {
    /// None where this binary was built without it.
    authorizer: Option<Box<dyn Authorizer>>,
    identity: OnceCell<String>,
}

/// Whom AWS says we are.
#[derive(Debug, Clone)]
struct Caller {
    arn: String,
    account: String,
}

/// A try that failed, and whether another one is safe and makes sense.
struct Failure {
    error: CallError,
    retry: Retry,
}

impl Client {
    /// A client that has not spoken to anybody yet.
    pub fn new(options: ClientOptions) -> Self {
        let ClientOptions { settings, environment, events, clock } = options;
        let vendor = |cloud| Vendor {
            authorizer: vendors::authorizer(cloud, &settings, &environment, &events, &clock),
            identity: OnceCell::new(),
        };
        Self {
            aws: vendor(Cloud::Aws),
            google: vendor(Cloud::Google),
            azure: vendor(Cloud::Azure),
            https: Https::new(settings, events.clone(), Arc::clone(&clock)),
            environment,
            events,
            caller: OnceCell::new(),
            region: OnceLock::new(),
        }
    }

    /// One try.
    async fn once(&self, request: &Request) -> Result<Answer, Failure> {
        let outgoing = self.outgoing(request).await.map_err(Failure::last)?;
        let reply = self.https.send(outgoing, &request.title()).await;
        let reply = reply.map_err(|fault| Failure::of_connection(request, fault))?;
        if (200..300).contains(&reply.status) {
            let answer = wire::read(request, &reply);
            let answer = answer.ok_or_else(|| Failure::of_another(request, reply.status))?;
            self.https.confirm_progress();
            return Ok(answer);
        }
        Err(self.refused(request, &reply))
    }

    /// The request as it is sent, with what proves who we are.
    async fn outgoing(&self, request: &Request) -> Result<reqwest::Request, CallError> {
        request.secrets().for_each(|secret| self.https.learn(secret));
        let url = endpoint::url(request, &self.environment).map_err(|nowhere| CallError {
            message: nowhere.message,
            hints: nowhere.hint.into_iter().collect(),
            ..CallError::new(request.service, request.title(), ErrorClass::Invalid)
        })?;
        let (mut headers, body) = wire::write(request);
        if !body.is_empty() || !matches!(request.method, Method::Get | Method::Delete) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let proof = self.proof(request, &url, &headers, &body).await?;
        // What AWS says of a wrong clock names the time of the request, which is no secret.
        let secret = proof.iter().filter(|(name, _)| *name != "x-amz-date");
        for value in secret.filter_map(|(_, value)| value.to_str().ok()) {
            let token = value.strip_prefix("Bearer ").unwrap_or(value);
            self.https.learn(&Secret::new(token));
        }
        headers.extend(proof);
        let method = request.method.name().parse().expect("every method is one of HTTP");
        let mut outgoing = reqwest::Request::new(method, url);
        *outgoing.headers_mut() = headers;
        *outgoing.body_mut() = Some(body.into()).filter(|_| request.method != Method::Get);
        Ok(outgoing)
    }

    async fn proof(
        &self,
        request: &Request,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<HeaderMap, CallError> {
        match &request.authority {
            Authority::Caller => {
                let authorizer = self.vendor(request.service.cloud).authorizer.as_deref();
                let missing = || vendors::not_built_in(request.service, request.title());
                authorizer
                    .ok_or_else(missing)?
                    .authorize(&Outgoing { request, url, headers, body })
                    .await
            }
            Authority::Bearer(token) => {
                let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
                let mut value = value.map_err(|_| CallError {
                    message: "it gave a token that is none".into(),
                    ..CallError::new(request.service, request.title(), ErrorClass::Other)
                })?;
                value.set_sensitive(true);
                Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
            }
        }
    }

    /// What an answer says that is no success.
    fn refused(&self, request: &Request, reply: &Reply) -> Failure {
        let Reply { status, headers, body, retry } = reply;
        let refusal = Refusal { request, status: *status, headers, body };
        let mut error = vendors::classify(&refusal);
        error.status = Some(*status);
        error.code = self.https.clean(&error.code);
        error.message = self.https.clean(&error.message);
        if let Some(Retry::After(wait)) = *retry {
            error.retry_after.get_or_insert(wait);
        }
        let is_later = match error.class {
            ErrorClass::Throttled => true,
            ErrorClass::Unavailable => request.is_read,
            _ => false,
        };
        if error.class == ErrorClass::Unavailable && !request.is_read {
            error.class = ErrorClass::Lost;
        }
        let wait = error.retry_after.map_or(Retry::BackOff, Retry::After);
        Failure { error, retry: if is_later { wait } else { Retry::Never } }
    }

    /// Adds who we are to what we may not.
    async fn with_identity(&self, mut error: CallError) -> CallError {
        let matters = matches!(error.class, ErrorClass::Denied | ErrorClass::WrongIdentity);
        if error.identity.is_some() || !matters {
            return error;
        }
        // Who is not believed cannot ask who he is; tokens of Azure tell it themselves.
        let is_believed = error.class == ErrorClass::Denied && error.service != &STS;
        let may_ask = is_believed || error.cloud() == Cloud::Azure;
        error.identity = if may_ask {
            self.identity(error.cloud()).await.ok()
        } else {
            self.vendor(error.cloud()).identity.get().cloned()
        };
        error
    }

    async fn caller(&self) -> Result<&Caller, CallError> {
        let asked = self.caller.get_or_try_init(async || {
            let region = self.region.get().cloned();
            let region = region.or_else(|| super::aws_region(&self.environment));
            let region = region.unwrap_or_default();
            let question = Request::call(&STS, &region, "GetCallerIdentity", json!({}));
            let answer = self.call(&question.that_reads()).await?;
            let text = |pointer| answer.text(pointer).unwrap_or_default().to_owned();
            Ok(Caller { arn: text("/Arn"), account: text("/Account") })
        });
        asked.await
    }

    fn vendor(&self, cloud: Cloud) -> &Vendor {
        match cloud {
            Cloud::Aws => &self.aws,
            Cloud::Google => &self.google,
            Cloud::Azure => &self.azure,
        }
    }
}

#[async_trait]
impl Api for Client {
    async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        if request.service.cloud == Cloud::Aws && !request.region.is_empty() {
            self.region.get_or_init(|| request.region.clone());
        }
        let mut tries = self.https.begin();
        let mut is_renewed = false;
        loop {
            let Failure { error, retry } = match self.once(request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let authorizer = &self.vendor(error.cloud()).authorizer;
            if let (ErrorClass::WrongIdentity, false, Authority::Caller, Some(authorizer)) =
                (error.class, is_renewed, &request.authority, authorizer)
                && authorizer.forget().await
            {
                is_renewed = true;
                self.events.detail(format!("new credentials, since these are refused: {error}"));
                continue;
            }
            if !tries.wait(retry, &error).await {
                return Err(self.with_identity(error).await);
            }
        }
    }

    async fn identity(&self, cloud: Cloud) -> Result<String, CallError> {
        let vendor = self.vendor(cloud);
        let asked = vendor.identity.get_or_try_init(async || {
            let identity = if cloud == Cloud::Aws {
                self.caller().await?.arn.clone()
            } else {
                let service = vendors::first_service(cloud);
                let missing = || vendors::not_built_in(service, service.title.to_owned());
                let told = vendor.authorizer.as_deref().ok_or_else(missing)?.identity().await?;
                told.unwrap_or_else(|| "somebody whose credentials do not tell who".to_owned())
            };
            self.events.detail(format!("{cloud}: we are `{identity}`"));
            Ok(identity)
        });
        asked.await.cloned()
    }

    async fn account(&self) -> Result<String, CallError> {
        Ok(self.caller().await?.account.clone())
    }
}

impl Failure {
    /// One that another try would not change.
    fn last(error: CallError) -> Self {
        Self { error, retry: Retry::Never }
    }

    /// Somebody else has answered.
    fn of_another(request: &Request, status: u16) -> Self {
        let title = request.service.title;
        Self::last(CallError {
            message: format!(
                "this is no answer of {title}: a proxy or a login page stands before it"
            ),
            status: Some(status),
            hints: vec![
                "look at what `HTTPS_PROXY` names, or log in to the network with a browser".into(),
            ],
            ..CallError::new(request.service, request.title(), ErrorClass::Other)
        })
    }

    /// There is no answer: what only reads may be sent again, what writes only where it never arrived.
    fn of_connection(request: &Request, fault: NoReply) -> Self {
        let NoReply { error, retry, was_sent } = fault;
        let is_lost = was_sent && !request.is_read;
        let class = if is_lost { ErrorClass::Lost } else { ErrorClass::Unreachable };
        let title = request.title();
        let error = crate::error::Error::from(*error);
        let lines = error.lines().join(": ");
        let begun = format!("cannot {title}: ");
        let mut message = lines.strip_prefix(&begun).unwrap_or(&lines).to_owned();
        if is_lost {
            message.push_str("; nobody knows whether it was done");
        }
        let error = CallError {
            message,
            hints: error.hints(),
            ..CallError::new(request.service, title, class)
        };
        Self { error, retry: if is_lost { Retry::Never } else { retry } }
    }
}
