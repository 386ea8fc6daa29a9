//! A proxy as companies have them: it stands between the command and the world, and here leads every
//! host to the same place.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::Pair;

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// What a proxy is like.
#[derive(Default)]
struct Ways {
    upstream: String,
    /// A line that the head of a request must have.
    authorization: Option<String>,
    tls: Option<TlsAcceptor>,
    /// The status of every answer.
    refusal: Option<String>,
}

impl Proxy {
    /// A proxy that lets everybody through.
    pub(crate) async fn start(upstream: &str) -> Self {
        Self::start_as(Ways { upstream: upstream.into(), ..Ways::default() }).await
    }

    /// A proxy that wants this `Proxy-Authorization`.
    pub(crate) async fn start_with(upstream: &str, authorization: Option<&str>) -> Self {
        let authorization = authorization.map(|value| format!("proxy-authorization: {value}\r\n"));
        Self::start_as(Ways { upstream: upstream.into(), authorization, ..Ways::default() }).await
    }

    /// A proxy that is spoken to by TLS itself.
    pub(crate) async fn start_with_tls(upstream: &str, pair: &Pair) -> Self {
        let chain = CertificateDer::pem_file_iter(&pair.certificate).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(chain, key).unwrap());
        let tls = Some(TlsAcceptor::from(config));
        Self::start_as(Ways { upstream: upstream.into(), tls, ..Ways::default() }).await
    }

    /// A proxy that answers with this status (`403 Forbidden`).
    pub(crate) async fn start_refusing(status: &str) -> Self {
        Self::start_as(Ways { refusal: Some(status.into()), ..Ways::default() }).await
    }

    async fn start_as(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (ways, lines) = (Arc::new(ways), seen.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (ways, lines) = (Arc::clone(&ways), lines.clone());
                connections.spawn(async move {
                    match &ways.tls {
                        Some(tls) => serve(tls.accept(stream).await?, &ways, lines).await,
                        None => serve(stream, &ways, lines).await,
                    }
                });
            }
        });
        Self { port, seen, task }
    }

    /// `localhost:port`: a name, which has to be resolved.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The first line of every connection so far, without the version.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the first request of a connection, then joins the two ends. A request that is not
/// `CONNECT` goes on as it is: servers take a whole URL in the first line (RFC 9112, 3.2.2).
async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    ways: &Ways,
    seen: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let line = text.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let is_tunnel = line.starts_with("CONNECT ");
    seen.lock().unwrap().push(line);
    let is_known = |wanted: &String| text.to_lowercase().contains(&wanted.to_lowercase());
    let refusal = match &ways.authorization {
        Some(wanted) if !is_known(wanted) => {
            Some("407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"proxy\"")
        }
        _ => ways.refusal.as_deref(),
    };
    if let Some(refusal) = refusal {
        let answer = format!("HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let mut server = TcpStream::connect(&ways.upstream).await?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server.write_all(&head).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
