//! HTTP/2 as registries speak it over TLS: one connection for everything, which may be taken away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dockless::registry::{ManifestOutcome, Settings};
use h2::Reason;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::super::support::authority::{Authority, Pair, Time};
use super::super::support::fault_proxy::forward;
use super::super::support::registry::Registry;
use super::{Story, repository};

/// How often the server does the wrong thing, to one request after the other.
const TIMES: usize = 3;

/// What goes wrong with HTTP/2 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// The server did nothing with the request and says so (RFC 9113, 8.7).
    RefusedStream,
    /// The server asks for less.
    EnhanceYourCalm,
    /// The server stops in the middle of a request.
    InternalError,
    /// The server closes the connection after each request, in order (GOAWAY).
    GoesAway,
}

/// A server that speaks HTTP/2 over TLS, before a registry that does not.
struct Front {
    address: SocketAddr,
    wronged: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tls(pair: &Pair) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&pair.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

impl Front {
    async fn start(pair: &Pair, upstream: String, wrong: Wrong) -> Self {
        let (acceptor, wronged) = (tls(pair), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&wronged);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection =
                    serve(acceptor.clone(), stream, upstream.clone(), wrong, Arc::clone(&count));
                tokio::spawn(connection);
            }
        });
        Self { address, wronged, task }
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    upstream: String,
    wrong: Wrong,
    wronged: Arc<AtomicUsize>,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_first = Arc::new(tokio::sync::Notify::new());
    let (seen, count) = (Arc::clone(&is_first), Arc::clone(&wronged));
    let service = service_fn(move |request| {
        seen.notify_one();
        answer(request, upstream.clone(), wrong, Arc::clone(&count))
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    if wrong == Wrong::GoesAway {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = is_first.notified() => {
                wronged.fetch_add(1, Ordering::Relaxed);
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    upstream: String,
    wrong: Wrong,
    wronged: Arc<AtomicUsize>,
) -> Result<hyper::Response<super::super::support::server::Body>, h2::Error> {
    let reason = match wrong {
        Wrong::RefusedStream => Some(Reason::REFUSED_STREAM),
        Wrong::EnhanceYourCalm => Some(Reason::ENHANCE_YOUR_CALM),
        Wrong::InternalError => Some(Reason::INTERNAL_ERROR),
        Wrong::GoesAway => None,
    };
    if let Some(reason) = reason
        && wronged.fetch_add(1, Ordering::Relaxed) < TIMES
    {
        return Err(reason.into());
    }
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().unwrap().as_str().parse().unwrap();
    parts.headers.insert("host", host);
    parts.headers.insert("x-forwarded-proto", "https".parse().unwrap());
    parts.uri = parts.uri.path_and_query().unwrap().as_str().parse().unwrap();
    parts.version = hyper::Version::HTTP_11;
    let answered = forward(Request::from_parts(parts, body), &upstream).await;
    let mut answered = answered.map_err(|_| h2::Error::from(Reason::INTERNAL_ERROR))?;
    for header in ["connection", "keep-alive", "transfer-encoding"] {
        answered.headers_mut().remove(header);
    }
    Ok(answered)
}

/// N53.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_refused_and_connections_that_go_away_are_outlasted() {
    let registry = Registry::start();
    let authority = Authority::new("Acme Root");
    let pair = authority.issue("server", "IP:127.0.0.1", Time::Now);
    let wrongs =
        [Wrong::RefusedStream, Wrong::EnhanceYourCalm, Wrong::InternalError, Wrong::GoesAway];
    for (place, wrong) in wrongs.into_iter().enumerate() {
        let front = Front::start(&pair, registry.host(), wrong).await;
        let host = front.address.to_string();
        let authorities = BTreeMap::from([(host.clone(), vec![authority.certificate()])]);
        let story = Story::with(Settings { authorities, ..Settings::default() }, Vec::new());
        let reference = repository(&host, &format!("wrong{place}")).at_tag("v1");
        let outcome = story.push(&reference).await;
        assert_eq!(
            outcome.unwrap_or_else(|error| panic!("{wrong:?}: {:#?}", error.lines())),
            ManifestOutcome::Put
        );
        let wronged = front.wronged.load(Ordering::Relaxed);
        assert!(wronged >= TIMES, "{wrong:?}: {wronged}");
        story.assert_pushed(&registry, &reference).await;
    }
}
