//! Sends endpoints: the one place for retries, redirects, credentials' scope and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue,
};
use reqwest::{Method, Request, Url};
use tokio_util::task::TaskTracker;

use super::address::Reach;
use super::answer::Answer;
use super::auth::{Authenticator, Grant, Wanted};
use super::endpoint::{Endpoint, Place};
use super::error::Error;
use super::exchange::Exchange;
use super::hints::Login;
use super::http::{HttpClient, HttpClients, is_allowed};
use super::limit::{Direction, Limits};
use super::lock::lock;
use super::mask::Mask;
use super::origin::{Origin, api_root, place};
use super::redirect::{self, MAX_REDIRECTS};
use super::retry::{Fault, Patience, Retry};
use crate::event::Events;
use crate::sys::Clock;

/// Tries with other credentials within one try: anonymous, a kept token, a fresh one, and one more
/// with the scopes that the challenge asked for.
const MAX_LOGINS: usize = 5;

/// Everything a request passes through; copies share all that was learned.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    pub(super) http: Arc<HttpClients>,
    pub(super) auth: Arc<Authenticator>,
    pub(super) limits: Arc<Limits>,
    pub(super) patience: Arc<Patience>,
    pub(super) mask: Arc<Mask>,
    pub(super) events: Events,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) memory: Arc<Memory>,
    pub(super) cleanup: TaskTracker,
}

/// What was learned about registries on the way.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Registries that may speak plain http, and what they turned out to speak.
    pub(super) schemes: Mutex<BTreeMap<String, &'static str>>,
    /// Origins that answered once: when one of them cannot be reached, that is an accident.
    pub(super) answered: Mutex<BTreeSet<Origin>>,
    /// Warnings of registries that were shown.
    warned: Mutex<BTreeSet<String>>,
}

/// One request with its body and the headers that are not the endpoint's own.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Body<'a>,
}

/// What a request carries; it can be made again for every try and every redirect.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    Empty,
    Bytes(&'a Bytes),
    Content(&'a dyn Content),
}

/// A body that is streamed.
#[async_trait]
pub(super) trait Content: Send + Sync {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Opens it at its beginning.
    async fn open(&self) -> Result<ContentStream, Fault>;

    /// So many bytes of this try are gone.
    fn sent(&self, bytes: u64);
}

/// The bytes of a body.
pub(super) type ContentStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

impl<'a> Call<'a> {
    /// A request without body and headers of its own.
    pub(super) fn plain(endpoint: &'a Endpoint, headers: &'a HeaderMap) -> Self {
        Self { endpoint, headers, body: Body::Empty }
    }
}

impl Transport {
    /// The proxy through which a registry is reached, as `host:port`; `None` when there is none.
    pub(super) fn proxy(&self, registry: &str) -> Option<String> {
        let default = if self.may_be_plain(registry) { "http" } else { "https" };
        let root = api_root(registry, self.scheme(registry).unwrap_or(default))?;
        Some(self.http.client(&root, Reach::Forbidden).ok()?.proxy?.host)
    }

    /// Sends until there is an answer that is not "later", or patience runs out.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Answer, Error> {
        let mut tries = self.patience.begin();
        loop {
            match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => tries.outlast(fault).await?,
            }
        }
    }

    /// One try: log in where asked, follow redirects, give the answer unless it says "later".
    pub(super) async fn once(&self, call: Call<'_>) -> Result<Answer, Fault> {
        let registry = call.endpoint.repository.registry();
        match self.required_scheme(registry) {
            Some(scheme) => self.with_login(call, scheme).await,
            None => self.once_in_either_scheme(call).await,
        }
    }

    /// The error for an answer that the caller has no use for, with what the endpoint knows of it.
    pub(super) async fn refusal(&self, endpoint: &Endpoint, answer: Answer) -> Fault {
        let fault = answer.refusal().await;
        self.with_identity(endpoint, fault)
    }

    /// Adds to a 403 whom it does not allow, and to a 404 what it was for.
    pub(super) fn with_identity(&self, endpoint: &Endpoint, mut fault: Fault) -> Fault {
        match fault.error.as_mut() {
            Error::Denied { identity, login, .. } => {
                let search = self.auth.known(&endpoint.repository);
                *identity = search.identity();
                let known = Login::of(&endpoint.repository, &search, &endpoint.scopes);
                *login = Some(Box::new(known));
            }
            Error::NotFound { push_to, .. } if endpoint.direction() == Direction::Write => {
                *push_to = Some(endpoint.repository.clone());
            }
            _ => {}
        }
        fault
    }

    /// One try in this scheme.
    pub(super) async fn with_login(&self, call: Call<'_>, scheme: &str) -> Result<Answer, Fault> {
        let endpoint = call.endpoint;
        let registry = endpoint.repository.registry();
        let (root, home) = api_root(registry, scheme)
            .and_then(|root| Some((root.clone(), Origin::of(&root)?)))
            .ok_or_else(|| {
                let reason = "it is not a host name".to_owned();
                Fault::permanent(Error::Settings { host: registry.to_owned(), reason })
            })?;
        let start = match &endpoint.place {
            Place::Path(path) => root.join(path).expect("paths of endpoints are relative URLs"),
            Place::Url(url) => url.clone(),
        };
        let direction = endpoint.direction();
        // Who cleans up while the run ends waits for nobody.
        let permit = match endpoint.method {
            Method::DELETE => None,
            _ => Some(self.limits.take(&home, direction, self.clock.as_ref()).await),
        };
        let proxy = self.http.client(&root, Reach::Forbidden).ok().and_then(|client| client.proxy);
        let way = proxy.map(|proxy| format!(" through the proxy `{}`", proxy.host));
        let awaited = format!("{}{}", endpoint.action, way.unwrap_or_default());
        let _awaited = self.events.await_answer(awaited);
        let mut scopes = endpoint.scopes.clone();
        let mut was_fresh = false;
        for _ in 0..MAX_LOGINS {
            let action = &endpoint.action;
            let repository = &endpoint.repository;
            let wanted = Wanted { home: &home, repository, scopes: &scopes, action };
            let (answer, grant) = self.follow(call, wanted, start.clone()).await?;
            self.show_warning(registry, &answer);
            if answer.status() == 401 && Origin::of(answer.url()).as_ref() == Some(&home) {
                was_fresh |= grant.as_ref().is_some_and(|grant| grant.is_fresh);
                scopes.extend(self.auth.refused(wanted, grant.as_ref(), answer).await?);
                continue;
            }
            let is_too_much = answer.status() == 429;
            let mut result = answer.unless_later(self.clock.unix_seconds()).await;
            match &mut result {
                Err(fault) if is_too_much => {
                    // Who would not wait so long must not make others wait.
                    if let Retry::After(wait) = fault.retry
                        && self.patience.is_worth(wait)
                    {
                        self.limits.pause(&home, self.clock.now() + wait);
                    }
                    if let Some(permit) = permit {
                        self.limits.narrow(&home, direction, permit);
                    }
                }
                // Nothing follows the head of an answer to `HEAD`, and its reader may ask again.
                Ok(answer) if endpoint.method != Method::HEAD => answer.hold(permit),
                _ => {}
            }
            return result;
        }
        let (action, host) = (endpoint.action.clone(), registry.to_owned());
        let detail = "it refuses one token after the other".into();
        // Tokens that other workers had used up say nothing about a fresh one.
        let retry = if was_fresh { Retry::Never } else { Retry::BackOff };
        Err(Fault::new(Error::Refused { action, host, status: 401, detail }, retry))
    }

    /// Follows redirects; `Authorization` goes to the registry's own origin and nowhere else.
    async fn follow(
        &self,
        call: Call<'_>,
        wanted: Wanted<'_>,
        start: Url,
    ) -> Result<(Answer, Option<Grant>), Fault> {
        let mut url = start;
        for _ in 0..=MAX_REDIRECTS {
            let is_home = Origin::of(&url).as_ref() == Some(wanted.home);
            let grant = if is_home { self.auth.grant(wanted, &self.http).await? } else { None };
            let answer = self.exchange(call, wanted, &url, grant.as_ref()).await?;
            if !redirect::is_redirect(answer.status()) || self.is_sent_to_tls(wanted, &answer) {
                return Ok((answer, grant));
            }
            let location = answer.header("location");
            url = redirect::follow(&call.endpoint.method, answer.status(), &url, location)
                .map_err(|reason| self.unsafe_place(call, &reason))?;
        }
        Err(self.unsafe_place(call, &format!("it redirects more than {MAX_REDIRECTS} times")))
    }

    async fn exchange(
        &self,
        call: Call<'_>,
        wanted: Wanted<'_>,
        url: &Url,
        grant: Option<&Grant>,
    ) -> Result<Answer, Fault> {
        let farthest = self.http.farthest(wanted.home, url).await;
        if !is_allowed(url, farthest) {
            return Err(self.unsafe_place(call, "its address is private or reserved"));
        }
        let client = self.http.client(url, farthest).map_err(Fault::permanent)?;
        let exchange = Exchange {
            action: call.endpoint.action.clone(),
            host: self.host_for_messages(url, wanted),
            limits: self.http.settings().stall,
            mask: Arc::clone(&self.mask),
            events: self.events.clone(),
        };
        let mut request = Request::new(call.endpoint.method.clone(), url.clone());
        *request.headers_mut() = Self::headers(call, grant);
        let origin = Origin::of(url);
        let result = match call.body {
            Body::Empty => exchange.send(&client, request, 0, &|| 0).await,
            Body::Bytes(bytes) => {
                *request.body_mut() = Some(bytes.clone().into());
                exchange.send(&client, request, 0, &|| 0).await
            }
            Body::Content(content) => send_content(&exchange, &client, request, content).await,
        };
        match result {
            Ok(answer) => {
                lock(&self.memory.answered).extend(origin);
                Ok(answer)
            }
            Err(fault) => Err(self.if_it_answered_before(origin.as_ref(), fault)),
        }
    }

    fn headers(call: Call<'_>, grant: Option<&Grant>) -> HeaderMap {
        let mut headers = call.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(accept) = &call.endpoint.accept {
            let accept = HeaderValue::from_str(accept).expect("media types are fit for a header");
            headers.insert(ACCEPT, accept);
        }
        let length = match call.body {
            Body::Empty if call.endpoint.method == Method::POST => Some(0),
            Body::Empty => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Content(content) => Some(content.size()),
        };
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(grant) = grant {
            headers.insert(AUTHORIZATION, grant.header.clone());
        }
        headers
    }

    /// A registry that answered a moment ago and is gone now will probably be back.
    fn if_it_answered_before(&self, origin: Option<&Origin>, fault: Fault) -> Fault {
        let answered = self.has_answered(origin);
        let is_gone = match &*fault.error {
            Error::Proxy { problem, .. } => problem.may_heal(),
            error => matches!(error, Error::Unreachable { .. }),
        };
        if answered && is_gone {
            return Fault { retry: Retry::BackOff, ..fault };
        }
        fault
    }

    /// `Warning: 299` is meant for people (distribution-spec, "Warnings").
    fn show_warning(&self, registry: &str, answer: &Answer) {
        for warning in answer.headers().get_all("warning") {
            let text = String::from_utf8_lossy(warning.as_bytes());
            let Some(text) = text.strip_prefix("299 - ") else { continue };
            let text = format!("`{registry}` says: {}", self.mask.clean(text.trim_matches('"')));
            if lock(&self.memory.warned).insert(text.clone()) {
                self.events.warn("registry-warning", text, None);
            }
        }
    }

    /// The registry by the name people know; another host by its own.
    fn host_for_messages(&self, url: &Url, wanted: Wanted<'_>) -> String {
        if Origin::of(url).as_ref() == Some(wanted.home) {
            return wanted.repository.registry().to_owned();
        }
        self.mask.hide(&place(url))
    }

    fn unsafe_place(&self, call: Call<'_>, reason: &str) -> Fault {
        let reason = self.mask.hide(reason);
        let host = call.endpoint.repository.registry().to_owned();
        Fault::permanent(Error::Unsafe { action: call.endpoint.action.clone(), host, reason })
    }
}

/// Streams a body with its known length, counts what leaves, and keeps apart whether reading it or
/// sending it failed.
async fn send_content(
    exchange: &Exchange,
    client: &HttpClient,
    mut request: Request,
    content: &dyn Content,
) -> Result<Answer, Fault> {
    let gone = Arc::new(AtomicU64::new(0));
    let unreadable: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
    let (counter, slot) = (Arc::clone(&gone), Arc::clone(&unreadable));
    let stream = content.open().await?.map(move |bytes| match bytes {
        Ok(bytes) => {
            counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Ok(bytes)
        }
        Err(error) => {
            let kind = error.kind();
            *lock(&slot) = Some(error);
            Err(std::io::Error::from(kind))
        }
    });
    *request.body_mut() = Some(reqwest::Body::wrap_stream(stream));
    let sent = || {
        let sent = gone.load(Ordering::Relaxed);
        content.sent(sent);
        sent
    };
    let result = exchange.send(client, request, content.size(), &sent).await;
    sent();
    // Some servers thank for a body that they did not get whole.
    let is_done = |answer: &Answer| answer.status().is_success();
    match lock(&unreadable).take() {
        Some(source) if result.as_ref().ok().is_none_or(is_done) => {
            let action = exchange.action.clone();
            let retry = if is_damaged(&source) { Retry::Once } else { Retry::Never };
            Err(Fault::new(Error::Source { action, source }, retry))
        }
        _ => result,
    }
}

/// Whether another registry sent wrong bytes, which may have been a bad cache on the way.
fn is_damaged(source: &std::io::Error) -> bool {
    let error = source.get_ref().and_then(|error| error.downcast_ref::<Error>());
    matches!(error, Some(Error::WrongDigest { .. } | Error::WrongSize { .. }))
}
