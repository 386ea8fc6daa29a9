//! A small HTTP server inside the test, which remembers what it was asked.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A body of an answer; an error in it cuts the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer, or `Err` to hang up without one.
pub(crate) type Reply = Result<Response<Body>, Cut>;

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
pub(crate) struct Cut;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// One request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// All headers, one `name: value` per line.
    pub(crate) headers: String,
}

impl Server {
    /// Answers on a free port of this loopback address.
    pub(crate) async fn start<H>(ip: &str, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::new(handler), Arc::clone(&seen)));
        Self { address, seen, task }
    }

    /// `ip:port`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD path` of every request so far, digests shortened.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn of(request: &Request<Incoming>) -> Self {
        let line = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
        };
        Self {
            method: request.method().to_string(),
            path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
            headers: request.headers().iter().map(line).collect(),
        }
    }

    /// `METHOD path`, without query.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap())
    }

    /// Whether this text stands anywhere in the request's line or headers.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.path.contains(text) || self.headers.contains(text)
    }
}

/// A whole answer.
pub(crate) fn reply(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|error: Infallible| match error {}).boxed_unsync();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body).unwrap()
}

async fn serve<H>(listener: TcpListener, handler: Arc<H>, seen: Arc<Mutex<Vec<Seen>>>)
where
    H: Fn(Request<Incoming>) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
{
    // Connections end with the server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
        let service = service_fn(move |request| {
            seen.lock().unwrap().push(Seen::of(&request));
            handler(request)
        });
        connections.spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            // Cut connections are the point of some servers.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
