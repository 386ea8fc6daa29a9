//! One request on the wire and its answer: watched for stalls, every failure put into its class.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Request, Response, StatusCode, Url};
use rustls::PeerIncompatible;

use super::connection_problem::{ProxyProblem, RootCause, TlsProblem};
use super::error::Error;
use super::error_body::{ErrorBody, MAX_ERROR_BYTES, PAGE};
use super::http::{HttpClient, ProxyName};
use super::retry::{Fault, Retry};
use super::retry_after;
use super::settings::StallLimits;
use super::stall::StallTimer;
use super::tls::UnknownAuthority;

/// How often a transfer in flight is looked at.
const LONGEST_TICK: Duration = Duration::from_millis(250);

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    action: String,
    host: String,
    limits: StallLimits,
    timer: StallTimer,
}

/// What a request is for and whom it goes to, for messages; and when it counts as dead.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) action: String,
    pub(super) host: String,
    pub(super) limits: StallLimits,
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
        let mut timer = StallTimer::upload(self.limits, total);
        let (mut seen, mut at) = (0, Instant::now());
        let mut ticks = tokio::time::interval(tick(&self.limits));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let answer = client.requests.execute(request);
        tokio::pin!(answer);
        let response = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer.map_err(|error| self.classify(client, error))?,
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
        Ok(Answer {
            response,
            action: self.action.clone(),
            host: self.host.clone(),
            limits: self.limits,
            timer: StallTimer::download(self.limits),
        })
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
        if let Some(error) = tls_error(&error) {
            let (problem, source) = tls_problem(error, client.has_identity());
            return Fault::permanent(Error::Tls { action, host, problem, source });
        }
        let Some(proxy) = &client.proxy else {
            return Fault::new(Error::Unreachable { action, host, source }, Retry::Few);
        };
        // The type of this error is private to `hyper-util`; only its text tells.
        let problem = if source.to_string().contains("proxy authorization required") {
            ProxyProblem::Login
        } else if source.to_string().starts_with("tunnel error") {
            ProxyProblem::Refused
        } else {
            ProxyProblem::Unreachable
        };
        self.proxy_fault(proxy, problem, source)
    }

    fn proxy_fault(&self, proxy: &ProxyName, problem: ProxyProblem, source: RootCause) -> Fault {
        let error = Error::Proxy {
            action: self.action.clone(),
            host: self.host.clone(),
            proxy: proxy.host.clone(),
            variable: proxy.variable,
            problem,
            source,
        };
        let retry = if problem == ProxyProblem::Login { Retry::Never } else { Retry::Few };
        Fault::new(error, retry)
    }
}

impl Answer {
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
        let tick = tick(&self.limits);
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
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(self.lost(error)),
                // Bytes that drip are a stall too, although there is always a next one.
                Ok(Ok(Some(_))) | Err(_) => watched.map_err(|stall| {
                    let (action, host) = (self.action.clone(), self.host.clone());
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
                let action = self.action.clone();
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
        ErrorBody::parse(&body)
    }

    /// Passes an answer on unless its status says "later": then a fault with the wait asked for.
    pub(super) async fn unless_later(mut self, our_unix_seconds: i64) -> Result<Self, Fault> {
        let status = self.status().as_u16();
        if !matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) {
            return Ok(self);
        }
        let asked = self.header("retry-after").map(super::error_body::clean);
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
        let (action, host) = (self.action.clone(), self.host.clone());
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
        let (action, host) = (self.action.clone(), self.host.clone());
        let media_type = self.header("content-type").unwrap_or_default();
        if media_type.trim_start().to_ascii_lowercase().starts_with("text/html") {
            return Error::Page { action, host, status: self.status().as_u16(), page: PAGE.into() };
        }
        Error::Protocol { action, host, reason: reason.into() }
    }

    /// What was attempted.
    pub(super) fn action(&self) -> &str {
        &self.action
    }

    fn refused(&self, status: u16, detail: String) -> Error {
        Error::Refused { action: self.action.clone(), host: self.host.clone(), status, detail }
    }

    fn lost(&self, error: reqwest::Error) -> Fault {
        let source = RootCause::of(&error.without_url());
        let (action, host) = (self.action.clone(), self.host.clone());
        Fault::transient(Error::ConnectionLost { action, host, source })
    }
}

/// Often enough that no limit is overshot by much.
fn tick(limits: &StallLimits) -> Duration {
    let shortest = limits.silence.min(limits.answer).min(limits.window);
    (shortest / 4).clamp(Duration::from_millis(1), LONGEST_TICK)
}

/// What TLS found wrong, when it was TLS that failed. Its errors hide inside of `io::Error`s, whose
/// `source` skips what they hold.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let mut inner = Some(error);
        while let Some(error) = inner {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(error);
            }
            let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            inner = io.map(|error| error as &(dyn StdError + 'static));
        }
        next = error.source();
    }
    None
}

/// What people call it, and what TLS says.
fn tls_problem(error: &rustls::Error, has_identity: bool) -> (TlsProblem, RootCause) {
    use rustls::CertificateError as Certificate;
    use rustls::{AlertDescription as Alert, Error as Tls, OtherError};

    let problem = match error {
        Tls::InvalidCertificate(Certificate::Other(OtherError(unknown))) => {
            let Some(unknown) = unknown.downcast_ref::<UnknownAuthority>() else {
                return (TlsProblem::Certificate, RootCause::of(unknown.as_ref()));
            };
            let problem = if unknown.is_self_signed {
                TlsProblem::SelfSigned
            } else {
                TlsProblem::UnknownAuthority { issuer: unknown.issuer.clone() }
            };
            return (problem, RootCause::of(unknown));
        }
        Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            TlsProblem::Expired
        }
        Tls::InvalidCertificate(
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. },
        ) => TlsProblem::NotYetValid,
        Tls::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => TlsProblem::OtherName,
        Tls::InvalidCertificate(_) => TlsProblem::Certificate,
        Tls::InvalidMessage(_) => TlsProblem::NotTls,
        Tls::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        | Tls::AlertReceived(Alert::ProtocolVersion) => TlsProblem::OldVersion,
        // Before TLS 1.3 there was no alert of its own for a certificate that is missing.
        Tls::AlertReceived(
            Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => TlsProblem::Identity { was_given: has_identity },
        _ => TlsProblem::Handshake,
    };
    (problem, RootCause::of(error))
}
