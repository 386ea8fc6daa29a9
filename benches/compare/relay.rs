//! Stands before a registry and counts bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Passes on what clients and a registry say to each other. Its threads end with the bench.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) port: u16,
    traffic: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
}

/// Bytes on the wire, headers and all, as the client sees them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Relay {
    /// Starts one before the registry on this port.
    pub(crate) fn start(registry: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let traffic = Arc::new(Counters::default());
        let counters = traffic.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A registry that has ended ends its connections.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", registry)) {
                    join(&client, &server, &counters);
                }
            }
        });
        Self { port, traffic }
    }

    /// What was passed on so far.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.traffic.sent.load(Ordering::Relaxed),
            received: self.traffic.received.load(Ordering::Relaxed),
        }
    }
}

/// Copies in both directions, each in a thread of its own.
fn join(client: &TcpStream, server: &TcpStream, counters: &Arc<Counters>) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
    let (from, to, count) = (clone(client), clone(server), counters.clone());
    thread::spawn(move || copy(from, to, &count.sent));
    let (from, to, count) = (clone(server), clone(client), counters.clone());
    thread::spawn(move || copy(from, to, &count.received));
}

fn copy(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
