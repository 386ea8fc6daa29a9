//! Where blocking meets async: runs one use case to its end, or to the first signal.

use std::time::Duration;

use super::Context;
use crate::error::{Classified, ErrorKind, Result};

/// How long threads get to clean up after an interrupt.
const GRACE: Duration = Duration::from_secs(1);

/// The run was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by {name}")]
struct Interrupted {
    name: &'static str,
    kind: ErrorKind,
}

impl Classified for Interrupted {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// The runtime could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the threads for network access")]
struct NoRuntime {
    source: std::io::Error,
}

impl Classified for NoRuntime {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}

/// Runs the work; SIGINT, SIGTERM and SIGHUP end it early.
pub(super) fn run<T>(context: &Context, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(Context::threads().clamp(1, 4))
        .enable_all()
        .build()
        .map_err(|source| NoRuntime { source })?;
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            interrupted = signal() => Err(interrupted.into()),
            result = work => result,
        }
    });
    context.cancel.cancel();
    runtime.shutdown_timeout(GRACE);
    result
}

#[cfg(unix)]
async fn signal() -> Interrupted {
    use tokio::signal::unix::{SignalKind, signal};

    let terminated = |name| Interrupted { name, kind: ErrorKind::Terminated };
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        // Without a handler the system's default stays in force: it ends the process.
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => Interrupted { name: "SIGINT", kind: ErrorKind::Interrupted },
        () = wait(SignalKind::terminate()) => terminated("SIGTERM"),
        () = wait(SignalKind::hangup()) => terminated("SIGHUP"),
    }
}

#[cfg(not(unix))]
async fn signal() -> Interrupted {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Interrupted { name: "Ctrl-C", kind: ErrorKind::Interrupted },
        Err(_) => std::future::pending().await,
    }
}
