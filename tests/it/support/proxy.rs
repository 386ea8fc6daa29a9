//! A proxy as companies have them: it stands between the command and the world, and here leads every
//! host to the same place.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that lets everybody through.
    pub(crate) async fn start(upstream: &str) -> Self {
        Self::start_with(upstream, None).await
    }

    /// A proxy that wants this `Proxy-Authorization`.
    pub(crate) async fn start_with(upstream: &str, authorization: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let wanted = authorization.map(|value| format!("proxy-authorization: {value}\r\n"));
        let (upstream, lines) = (upstream.to_owned(), seen.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, wanted) = (upstream.clone(), wanted.clone());
                connections.spawn(serve(stream, upstream, wanted, lines.clone()));
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
    mut client: TcpStream,
    upstream: String,
    wanted: Option<String>,
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
    if wanted.is_some_and(|wanted| !text.to_lowercase().contains(&wanted.to_lowercase())) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\
            proxy-authenticate: Basic realm=\"proxy\"\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server.write_all(&head).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
