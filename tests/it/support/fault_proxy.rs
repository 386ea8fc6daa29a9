//! A reverse proxy in front of a real registry that does one scripted wrong thing per request.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::point::Point;
use super::server::{Body, Cut, Reply, Server, reply};

/// The pause before each byte of [`Fault::Drip`].
const DRIP: Duration = Duration::from_millis(50);

/// How long the begin of an answer gets to leave before the connection breaks.
const FLUSH: Duration = Duration::from_millis(10);

/// One thing that goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing goes wrong: this request passes.
    Pass,
    /// The proxy answers itself, after it took the request's body.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// The proxy answers itself without taking the request's body.
    EarlyAnswer { status: u16, headers: Vec<(String, String)>, body: String },
    /// The proxy hangs up after this many bytes of the request's body; nothing is passed on.
    CutRequest(u64),
    /// The registry does its work, and its answer gets lost.
    LoseAnswer,
    /// A request without its length is refused with 411; others pass.
    WantLength,
    /// The registry's answer waits a while.
    LateAnswer(Duration),
    /// The answer's body ends after this many bytes with a broken connection.
    CutAnswer(u64),
    /// The answer's body stops after this many bytes, and the connection stays open.
    StallAnswer(u64),
    /// The request is taken, and nothing ever comes back.
    Hang,
    /// The request's body is not read.
    StallRequest,
    /// The first byte of the answer's body is another one.
    Corrupt,
    /// The registry does not see the `Range` header.
    HideRange,
    /// The answer gets this header, or loses it when the value is empty.
    Header(&'static str, String),
    /// The registry gets this many bytes of the request's body, then both connections end.
    CutForwarded(u64),
    /// The request's body is not read any further after this many bytes.
    StallRequestAfter(u64),
    /// The answer's body comes one byte at a time, for ever.
    Drip,
    /// The answer's body is followed by zeros without end.
    Endless,
    /// The answer's body is this one.
    Body(Bytes),
    /// The client is sent to the same path of this host (`http://host:port`), with this status.
    Redirect(u16, String),
    /// The `Location` of the answer names this host (`http://host:port`).
    MoveLocation(String),
}

/// A proxy with its script.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    server: Server,
    script: Arc<Mutex<Vec<Rule>>>,
}

/// Which requests the faults are for, in order; when they are used up, requests pass.
#[derive(Debug)]
struct Rule {
    wanted: Wanted,
    faults: VecDeque<Fault>,
    /// How many faults happened.
    hits: usize,
}

/// Which requests a rule is for.
#[derive(Debug)]
enum Wanted {
    /// This method, and a path that contains this.
    Path(&'static str, &'static str),
    Point(Point),
}

/// Looks at each request first, and may answer it itself.
pub(crate) type Gate = Arc<dyn Fn(&Request<Incoming>) -> Option<Response<Body>> + Send + Sync>;

impl FaultProxy {
    /// A proxy in front of the registry at `upstream`.
    pub(crate) async fn start(upstream: &str) -> Self {
        Self::start_gated(upstream, Arc::new(|_| None)).await
    }

    /// A proxy whose gate sees each request before the script does.
    pub(crate) async fn start_gated(upstream: &str, gate: Gate) -> Self {
        let script: Arc<Mutex<Vec<Rule>>> = Arc::default();
        let (rules, upstream) = (Arc::clone(&script), upstream.to_owned());
        let server = Server::start("127.0.0.1", move |request| {
            let fault = match gate(&request) {
                Some(answer) => return Box::pin(async { Ok(answer) }),
                None => next_fault(&rules, &request),
            };
            misbehave(fault, request, upstream.clone())
        })
        .await;
        Self { server, script }
    }

    /// Adds faults for requests with this method whose path contains this text.
    pub(crate) fn on(
        &self,
        method: &'static str,
        path: &'static str,
        faults: impl IntoIterator<Item = Fault>,
    ) {
        self.add(Wanted::Path(method, path), faults);
    }

    /// Adds faults for requests of this kind.
    pub(crate) fn at(&self, point: Point, faults: impl IntoIterator<Item = Fault>) {
        self.add(Wanted::Point(point), faults);
    }

    fn add(&self, wanted: Wanted, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.script.lock().unwrap().push(Rule { wanted, faults, hits: 0 });
    }

    /// How many faults happened.
    pub(crate) fn hits(&self) -> usize {
        self.script.lock().unwrap().iter().map(|rule| rule.hits).sum()
    }

    /// Whether every fault happened.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.script.lock().unwrap().iter().all(|rule| rule.faults.is_empty())
    }

    /// The server, for its address and for what it saw.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }
}

/// An answer with a registry's JSON for this code.
pub(crate) fn refusal(status: u16, code: &str) -> Fault {
    saying(status, code, "on purpose")
}

/// An answer with a registry's JSON for this code, and this message.
pub(crate) fn saying(status: u16, code: &str, message: &str) -> Fault {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    Fault::Answer { status, headers: Vec::new(), body }
}

/// An answer with this status, an optional header, and no body.
pub(crate) fn status(status: u16, header: Option<(&str, &str)>) -> Fault {
    let headers = header.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Fault::Answer { status, headers, body: String::new() }
}

fn next_fault(rules: &Mutex<Vec<Rule>>, request: &Request<Incoming>) -> Fault {
    let mut rules = rules.lock().unwrap();
    let mut fitting = rules.iter_mut().filter(|rule| rule.wanted.is(request));
    let Some(rule) = fitting.find(|rule| !rule.faults.is_empty()) else { return Fault::Pass };
    let fault = rule.faults.pop_front().expect("it has one");
    rule.hits += usize::from(!matches!(fault, Fault::Pass));
    fault
}

impl Wanted {
    fn is(&self, request: &Request<Incoming>) -> bool {
        match self {
            Self::Path(method, part) => {
                let path = request.uri().path_and_query().map_or("", |path| path.as_str());
                request.method() == method && path.contains(part)
            }
            Self::Point(point) => point.is(request),
        }
    }
}

fn misbehave(
    fault: Fault,
    mut request: Request<Incoming>,
    upstream: String,
) -> BoxFuture<'static, Reply> {
    Box::pin(async move {
        match fault {
            Fault::Pass => forward(request, &upstream).await,
            Fault::Answer { status, headers, body } => {
                let _ = request.into_body().collect().await;
                Ok(own_answer(status, &headers, body))
            }
            Fault::EarlyAnswer { status, headers, body } => Ok(own_answer(status, &headers, body)),
            Fault::CutRequest(bytes) => {
                read(&mut request, bytes).await;
                Err(Cut)
            }
            Fault::CutForwarded(bytes) => {
                let request = request.map(|body| cut_after(bytes, body));
                let _ = send(request, &upstream).await;
                Err(Cut)
            }
            Fault::StallRequestAfter(bytes) => {
                read(&mut request, bytes).await;
                std::future::pending().await
            }
            Fault::Drip => Ok(forward(request, &upstream).await?.map(drip)),
            Fault::Endless => {
                let mut answer = forward(request, &upstream).await?.map(|body| {
                    let zeros =
                        stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[0; 4096]))));
                    let begin = body.into_data_stream().map(|piece| piece.map(Frame::data));
                    StreamBody::new(begin.chain(zeros)).boxed_unsync()
                });
                answer.headers_mut().remove("content-length");
                Ok(answer)
            }
            Fault::Body(bytes) => {
                let mut answer = forward(request, &upstream).await?;
                answer.headers_mut().insert("content-length", bytes.len().into());
                Ok(answer.map(|_| {
                    http_body_util::Full::new(bytes).map_err(|error| match error {}).boxed_unsync()
                }))
            }
            Fault::Redirect(status, host) => {
                let _ = request.body_mut().collect().await;
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                Ok(reply(status, &[("Location", &format!("{host}{path}"))], ""))
            }
            Fault::MoveLocation(host) => {
                let mut answer = forward(request, &upstream).await?;
                let location = answer.headers()["location"].to_str().unwrap();
                let path = location.splitn(4, '/').nth(3).unwrap();
                let moved = format!("{host}/{path}").parse().unwrap();
                answer.headers_mut().insert("location", moved);
                Ok(answer)
            }
            Fault::LoseAnswer => {
                let answer = forward(request, &upstream).await?;
                let _ = answer.into_body().collect().await;
                Err(Cut)
            }
            Fault::WantLength if request.headers().contains_key("content-length") => {
                forward(request, &upstream).await
            }
            Fault::WantLength => Ok(own_answer(411, &[], String::new())),
            Fault::LateAnswer(wait) => {
                let answer = forward(request, &upstream).await;
                tokio::time::sleep(wait).await;
                answer
            }
            Fault::CutAnswer(bytes) => {
                Ok(forward(request, &upstream).await?.map(|body| first(bytes, body, true)))
            }
            Fault::StallAnswer(bytes) => {
                Ok(forward(request, &upstream).await?.map(|body| first(bytes, body, false)))
            }
            Fault::Hang => {
                let _ = request.into_body().collect().await;
                std::future::pending().await
            }
            Fault::StallRequest => std::future::pending().await,
            Fault::Corrupt => Ok(forward(request, &upstream).await?.map(corrupt)),
            Fault::HideRange => {
                request.headers_mut().remove("range");
                forward(request, &upstream).await
            }
            Fault::Header(name, value) => {
                let mut answer = forward(request, &upstream).await?;
                answer.headers_mut().remove(name);
                if !value.is_empty() {
                    answer.headers_mut().insert(name, value.parse().unwrap());
                }
                Ok(answer)
            }
        }
    })
}

fn own_answer(status: u16, headers: &[(String, String)], body: String) -> Response<Body> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    reply(status, &headers, body)
}

/// Takes this many bytes of a request's body.
async fn read(request: &mut Request<Incoming>, bytes: u64) {
    let mut taken = 0;
    while taken < bytes {
        let Some(Ok(frame)) = request.body_mut().frame().await else { break };
        taken += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}

/// Passes a request on as it is, the `Host` header included: the registry makes URLs of it.
pub(crate) async fn forward(request: Request<Incoming>, upstream: &str) -> Reply {
    send(request.map(|body| body.map_err(io::Error::other).boxed_unsync()), upstream).await
}

async fn send(request: Request<Body>, upstream: &str) -> Reply {
    let stream = TcpStream::connect(upstream).await.map_err(|_| Cut)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Cut)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|_| Cut)?;
    Ok(answer.map(|body| body.map_err(io::Error::other).boxed_unsync()))
}

/// The first bytes of a body, then a broken connection or silence.
fn first(bytes: u64, body: Body, is_cut: bool) -> Body {
    let begin = stream::once(async move {
        let whole = body.collect().await.unwrap().to_bytes();
        let end = usize::try_from(bytes).unwrap().min(whole.len());
        Ok(Frame::data(whole.slice(..end)))
    });
    let end = if is_cut {
        // What comes before the end is on its way by then.
        let cut = async {
            tokio::time::sleep(FLUSH).await;
            Err(io::Error::other(Cut))
        };
        stream::once(cut).left_stream()
    } else {
        stream::pending().right_stream()
    };
    StreamBody::new(begin.chain(end)).boxed_unsync()
}

/// A request's body that breaks off once this many bytes are passed.
fn cut_after(bytes: u64, body: Incoming) -> Body {
    let frames = body.into_data_stream().scan(0, move |passed, piece| {
        let is_over = *passed >= bytes;
        *passed += piece.as_ref().map_or(0, |data| data.len() as u64);
        std::future::ready((!is_over).then_some(piece))
    });
    let frames = frames.map(|piece| piece.map(Frame::data).map_err(io::Error::other));
    let end = stream::once(async { Err(io::Error::other(Cut)) });
    StreamBody::new(frames.chain(end)).boxed_unsync()
}

/// Single bytes with a pause before each.
fn drip(body: Body) -> Body {
    let bytes = stream::once(async move { body.collect().await.unwrap().to_bytes() })
        .flat_map(stream::iter)
        .then(|byte| async move {
            tokio::time::sleep(DRIP).await;
            Ok(Frame::data(Bytes::copy_from_slice(&[byte])))
        });
    StreamBody::new(bytes).boxed_unsync()
}

fn corrupt(body: Body) -> Body {
    let changed = stream::once(async move {
        let mut bytes = body.collect().await.unwrap().to_bytes().to_vec();
        if let Some(first) = bytes.first_mut() {
            *first ^= 1;
        }
        Ok(Frame::data(Bytes::from(bytes)))
    });
    StreamBody::new(changed).boxed_unsync()
}
