//! One request on the wire and its answer: watched for stalls, every failure put into its class.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, Request, Response, StatusCode, Url};
use tokio::sync::OwnedSemaphorePermit;

use super::connection_problem::{ProxyProblem, RootCause};
use super::error::Error;
use super::error_body::{ErrorBody, MAX_ERROR_BYTES, PAGE};
use super::http::{HttpClient, ProxyName};
use super::mask::Mask;
use super::origin::place;
use super::retry::{Fault, Retry, is_later};
use super::retry_after;
use super::settings::StallLimits;
use super::stall::StallTimer;
use super::tls_problem::TlsProblem;
use crate::event::{Event, Events};

/// How often a transfer in flight is looked at.
const LONGEST_TICK: Duration = Duration::from_millis(250);

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    exchange: Exchange,
    timer: StallTimer,
    /// The place at the registry that is taken until the body has come.
    permit: Option<OwnedSemaphorePermit>,
}

/// What a request is for and whom it goes to, for messages; when it counts as dead; and what must
/// not be shown of the answer.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) action: String,
    pub(super) host: String,
    pub(super) limits: StallLimits,
    pub(super) mask: Arc<Mask>,
    pub(super) events: Events,
}

impl Exchange {
    /// Sends a request with a body of `total` bytes; `sent` tells how many are gone so far.
    pub(super) async fn send(
        &self,
        client: &HttpClient,
        request: Request,
        total: u64,
        sent: &(dyn Fn() -> u64 + Send + Sync),
    ) -> Result<Answer, Fault> {
        let (method, url) = (request.method().clone(), self.shown(request.url()));
        let request_bytes = length(request.headers());
        let began = Instant::now();
        let result = self.watch(client, request, total, sent).await;
        let answer = result.as_ref().ok();
        self.events.send(Event::Request {
            status: answer.map(|answer| answer.status().as_u16()),
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_bytes,
            // What is declared in answer to `HEAD` does not come.
            answer_bytes: answer
                .filter(|_| method != Method::HEAD)
                .and_then(|answer| length(answer.headers())),
            method: method.to_string(),
            url,
        });
        result
    }

    async fn watch(
        &self,
        client: &HttpClient,
        request: Request,
        total: u64,
        sent: &(dyn Fn() -> u64 + Send + Sync),
    ) -> Result<Answer, Fault> {
        let mut timer = StallTimer::upload(self.limits, total);
        let (mut seen, mut at) = (0, Instant::now());
        let mut ticks = tokio::time::interval(tick(&self.limits));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let url = request.url().clone();
        let answer = client.requests.execute(request);
        tokio::pin!(answer);
        let response = loop {
            tokio::select! {
                biased;
                answer = &mut answer => match answer {
                    Ok(response) => break response,
                    Err(error) => {
                        let fault = self.classify(client, error);
                        return Err(self.with_proxy_status(client, &url, fault).await);
                    }
                },
                _ = ticks.tick() => {
                    let (now_sent, now) = (sent(), Instant::now());
                    timer.observe(now - at, now_sent - seen).map_err(|stall| {
                        Fault::transient(Error::Stalled {
                            action: self.action.clone(),
                            host: self.host.clone(),
                            reason: stall.to_string(),
                        })
                    })?;
                    (seen, at) = (now_sent, now);
                }
            }
        };
        if let Some(proxy) = client.proxy.as_ref().filter(|_| response.status() == 407) {
            let source = RootCause::new("407 Proxy Authentication Required");
            return Err(self.proxy_fault(proxy, ProxyProblem::Login, source));
        }
        client.note_answer();
        let timer = StallTimer::download(self.limits);
        Ok(Answer { response, exchange: self.clone(), timer, permit: None })
    }

    /// A URL without what may be secret in it.
    fn shown(&self, url: &Url) -> String {
        let path = self.mask.hide(url.path());
        format!("{}://{}{path}", url.scheme(), self.mask.hide(&place(url)))
    }

    /// Says what kind of failure the network had.
    fn classify(&self, client: &HttpClient, error: reqwest::Error) -> Fault {
        let (action, host) = (self.action.clone(), self.host.clone());
        let error = error.without_url();
        let source = RootCause::of(&error);
        if error.is_builder() {
            return Fault::permanent(Error::Protocol { action, host, reason: source.to_string() });
        }
        if !error.is_connect() {
            if client.is_refused() {
                // With TLS 1.3 a server refuses us after the handshake, and by then nobody tells
                // why the connection ended: a second try tells it from an accident.
                let problem = TlsProblem::Identity { was_given: client.has_identity() };
                let retry = if client.note_hang_up() { Retry::Never } else { Retry::Once };
                return Fault::new(Error::Tls { action, host, problem, source }, retry);
            }
            return Fault::transient(Error::ConnectionLost { action, host, source });
        }
        let tls = TlsProblem::find(&error, client.has_identity());
        let Some(proxy) = &client.proxy else {
            return match tls {
                Some((problem, source)) => {
                    Fault::permanent(Error::Tls { action, host, problem, source })
                }
                None => Fault::new(Error::Unreachable { action, host, source }, Retry::Few),
            };
        };
        match tls {
            Some((problem, source)) if proxy.is_tunnel && !is_before_tunnel(&error) => {
                return Fault::permanent(Error::Tls { action, host, problem, source });
            }
            Some((problem, source)) => {
                return self.proxy_fault(proxy, ProxyProblem::Tls(Box::new(problem)), source);
            }
            None => {}
        }
        let text = source.to_string();
        let problem = if text.contains("proxy authorization required") {
            ProxyProblem::Login
        } else if text.starts_with("tunnel error") {
            ProxyProblem::Refused { status: None }
        } else if error.is_timeout() {
            ProxyProblem::Silent
        } else {
            ProxyProblem::Unreachable
        };
        self.proxy_fault(proxy, problem, source)
    }

    /// Adds what a proxy answers that does not connect us: the tunnel keeps it to itself, so that it is
    /// asked again, by a request that is no more than that.
    async fn with_proxy_status(&self, client: &HttpClient, url: &Url, fault: Fault) -> Fault {
        let Error::Proxy { problem: ProxyProblem::Refused { .. }, source, .. } = &*fault.error
        else {
            return fault;
        };
        // Where it hung up there is no answer.
        if source.to_string() != "tunnel error: unsuccessful" {
            return fault;
        }
        let target = url.host_str().zip(url.port_or_known_default());
        let target = target.and_then(|(host, port)| format!("http://{host}:{port}").parse().ok());
        let Some((proxy, target)) = client.proxy.as_ref().zip(target) else { return fault };
        let question = client.requests.execute(Request::new(Method::CONNECT, target));
        match tokio::time::timeout(self.limits.silence, question).await {
            Ok(Ok(answer)) if !answer.status().is_success() => {
                let status = Some(answer.status().as_u16());
                self.proxy_fault(proxy, ProxyProblem::Refused { status }, source.clone())
            }
            _ => fault,
        }
    }

    fn proxy_fault(&self, proxy: &ProxyName, problem: ProxyProblem, source: RootCause) -> Fault {
        let retry = if problem.may_heal() { Retry::Few } else { Retry::Never };
        let error = Error::Proxy {
            action: self.action.clone(),
            host: self.host.clone(),
            proxy: proxy.host.clone(),
            variable: proxy.variable,
            problem,
            source,
        };
        Fault::new(error, retry)
    }
}

impl Answer {
    /// Keeps a place at the registry until the body has come, or nobody wants it any more.
    pub(super) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The URL that answered.
    pub(super) fn url(&self) -> &Url {
        self.response.url()
    }

    /// All headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header that is there once and is ASCII.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut at = Instant::now();
        let tick = tick(&self.exchange.limits);
        loop {
            let next = tokio::time::timeout(tick, self.response.chunk()).await;
            let bytes = match &next {
                Ok(Ok(Some(bytes))) => bytes.len() as u64,
                _ => 0,
            };
            let now = Instant::now();
            let watched = self.timer.observe(now - at, bytes);
            at = now;
            match next {
                Ok(Ok(None)) => {
                    self.permit = None;
                    return Ok(None);
                }
                Ok(Err(error)) => return Err(self.lost(error)),
                // Bytes that drip are a stall too, although there is always a next one.
                Ok(Ok(Some(_))) | Err(_) => watched.map_err(|stall| {
                    let (action, host) = self.names();
                    Fault::transient(Error::Stalled { action, host, reason: stall.to_string() })
                })?,
            }
            if let Ok(Ok(Some(bytes))) = next {
                return Ok(Some(bytes));
            }
        }
    }

    /// The whole body, which may have at most `limit` bytes.
    pub(super) async fn body(&mut self, limit: u64) -> Result<Bytes, Fault> {
        let mut body = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            body.extend_from_slice(&bytes);
            if body.len() as u64 > limit {
                let action = self.exchange.action.clone();
                return Err(Fault::permanent(Error::TooLarge { action, limit }));
            }
        }
        Ok(body.freeze())
    }

    /// What the answer says about a refusal; a body that does not come is an empty one.
    pub(super) async fn error_body(&mut self) -> ErrorBody {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BYTES {
            match self.chunk().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(MAX_ERROR_BYTES);
        ErrorBody::parse(&body, &self.exchange.mask)
    }

    /// Passes an answer on unless its status says "later": then a fault with the wait asked for.
    pub(super) async fn unless_later(mut self, our_unix_seconds: i64) -> Result<Self, Fault> {
        let status = self.status().as_u16();
        if !is_later(status) {
            return Ok(self);
        }
        let asked = self.header("retry-after").map(|header| self.exchange.mask.clean(header));
        let wait = asked
            .as_deref()
            .and_then(|header| retry_after::parse(header, self.header("date"), our_unix_seconds));
        let body = self.error_body().await;
        let mut detail = body.text().to_owned();
        if let Some(asked) = asked {
            let separator = if detail.is_empty() { "" } else { "; " };
            detail = format!("{detail}{separator}it says `Retry-After: {asked}`");
        }
        let error = self.refused(status, detail);
        Err(Fault::new(error, wait.map_or(Retry::BackOff, Retry::After)))
    }

    /// The error for a status that the caller has no use for.
    pub(super) async fn refusal(mut self) -> Fault {
        let body = self.error_body().await;
        self.refusal_with(&body)
    }

    /// As [`Answer::refusal`], when the body was read already.
    pub(super) fn refusal_with(&self, body: &ErrorBody) -> Fault {
        let (action, host) = self.names();
        let detail = body.text().to_owned();
        Fault::permanent(match self.status().as_u16() {
            // This one says enough: the request is too large for a proxy on the way (N38).
            status if body.is_page && status != 413 => {
                Error::Page { action, host, status, page: detail }
            }
            403 => Error::Denied { action, host, identity: None, detail, login: None },
            404 => Error::NotFound { action, host, detail, push_to: None },
            status => self.refused(status, detail),
        })
    }

    /// The error for an answer that breaks the protocol.
    pub(super) fn nonsense(&self, reason: impl Into<String>) -> Error {
        let (action, host) = self.names();
        let media_type = self.header("content-type").unwrap_or_default();
        if media_type.trim_start().to_ascii_lowercase().starts_with("text/html") {
            return Error::Page { action, host, status: self.status().as_u16(), page: PAGE.into() };
        }
        Error::Protocol { action, host, reason: self.exchange.mask.hide(&reason.into()) }
    }

    /// What was attempted.
    pub(super) fn action(&self) -> &str {
        &self.exchange.action
    }

    /// What was attempted, and whom we called.
    fn names(&self) -> (String, String) {
        (self.exchange.action.clone(), self.exchange.host.clone())
    }

    fn refused(&self, status: u16, detail: String) -> Error {
        let (action, host) = self.names();
        Error::Refused { action, host, status, detail }
    }

    fn lost(&self, error: reqwest::Error) -> Fault {
        let source = RootCause::of(&error.without_url());
        let (action, host) = self.names();
        Fault::transient(Error::ConnectionLost { action, host, source })
    }
}

/// How long a body is that headers declare, if there is any.
fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (length > 0).then_some(length)
}

/// Often enough that no limit is overshot by much.
fn tick(limits: &StallLimits) -> Duration {
    let shortest = limits.silence.min(limits.answer).min(limits.window);
    (shortest / 4).clamp(Duration::from_millis(1), LONGEST_TICK)
}

/// Whether the connection to the proxy itself failed, not one through it. The type of this error is
/// private to `hyper-util`; only its text tells.
fn is_before_tunnel(error: &(dyn StdError + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| error.to_string() == "tunnel error: failed to create underlying connection")
}
