//! One request on the wire until its answer begins: watched for stalls, every failure put into its class.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, Request, Url};

use super::answer::Answer;
use super::connection_problem::{ProxyProblem, RootCause};
use super::error::Error;
use super::http::{HttpClient, ProxyName};
use super::mask::Mask;
use super::origin::place;
use super::retry::{Fault, Retry};
use super::settings::StallLimits;
use super::stall::StallTimer;
use super::tls_problem::TlsProblem;
use crate::event::{Event, Events};

/// How often a transfer in flight is looked at.
const LONGEST_TICK: Duration = Duration::from_millis(250);

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
        Ok(Answer::new(response, self.clone(), timer))
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

/// How long a body is that headers declare, if there is any.
fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (length > 0).then_some(length)
}

/// Often enough that no limit is overshot by much.
pub(super) fn tick(limits: &StallLimits) -> Duration {
    let shortest = limits.silence.min(limits.answer).min(limits.window);
    (shortest / 4).clamp(Duration::from_millis(1), LONGEST_TICK)
}

/// Whether the connection to the proxy itself failed, not one through it. The type of this error is
/// private to `hyper-util`; only its text tells.
fn is_before_tunnel(error: &(dyn StdError + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| error.to_string() == "tunnel error: failed to create underlying connection")
}
