//! Where blocking meets async: runs one use case to its end, or to the first signal.

use std::fmt;
use std::time::Duration;

use super::Context;
use crate::error::{Classified, ErrorKind, Result};
use crate::event::Action;

/// How long threads get to clean up after an interrupt.
const GRACE: Duration = Duration::from_secs(1);
/// So many things that were going on are named.
const MOST_SHOWN: usize = 4;

/// The run was ended from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by {}{unfinished}", signal.name)]
struct Interrupted {
    signal: Signal,
    unfinished: Unfinished,
}

/// A signal that ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signal {
    name: &'static str,
    kind: ErrorKind,
}

impl Classified for Interrupted {
    fn kind(&self) -> ErrorKind {
        self.signal.kind
    }

    fn hints(&self) -> Vec<String> {
        self.unfinished.hint().into_iter().collect()
    }
}

/// The time that `--timeout` grants is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not done after {}{unfinished}", readable(*limit))]
pub(super) struct TimedOut {
    limit: Duration,
    unfinished: Unfinished,
}

impl Classified for TimedOut {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        let more = "grant more time with `--timeout`".to_owned();
        self.unfinished.hint().into_iter().chain([more]).collect()
    }

    fn is_retryable(&self) -> bool {
        true
    }
}

/// What was going on when the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unfinished {
    running: Vec<(Action, String)>,
    /// What peers had been asked to do.
    awaited: Vec<String>,
}

impl Unfinished {
    fn of(context: &Context) -> Self {
        let mut awaited = context.events.awaited();
        awaited.dedup();
        Self { running: context.events.running(), awaited }
    }

    /// What becomes of what a platform has begun.
    fn hint(&self) -> Option<String> {
        let is_change = |(action, _): &(Action, String)| {
            matches!(action, Action::Deploy | Action::RollBack | Action::Remove)
        };
        self.running.iter().any(is_change).then(|| {
            "the platform goes on with what was begun: `dockless status`, with the same `-e`, shows the outcome, \
             and the next run goes on from there"
                .to_owned()
        })
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running.iter().map(|(action, subject)| {
            let quote = if subject.contains('`') { "" } else { "`" };
            format!("{} {quote}{subject}{quote}", action.running())
        });
        for (begin, list) in
            [(", while ", running.collect()), ("; not answered yet: ", self.awaited.clone())]
        {
            if list.is_empty() {
                continue;
            }
            let (shown, more) = list.split_at(list.len().min(MOST_SHOWN));
            write!(formatter, "{begin}{}", shown.join(", "))?;
            if !more.is_empty() {
                write!(formatter, " and {} more", more.len())?;
            }
        }
        Ok(())
    }
}

/// A time as it is written on the command line: `1h30m`, `90s`.
fn readable(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().concat()
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

/// Runs the work; SIGINT, SIGTERM and SIGHUP end it early, and so does the end of `limit`.
pub(super) fn run<T>(
    context: &Context,
    limit: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(Context::threads().clamp(1, 4))
        .enable_all()
        .build()
        .map_err(|source| NoRuntime { source })?;
    let result = runtime.block_on(async {
        let result = {
            // What goes on is asked before the work is dropped.
            let mut work = std::pin::pin!(work);
            tokio::select! {
                biased;
                signal = signal() => {
                    Err(Interrupted { signal, unfinished: Unfinished::of(context) }.into())
                }
                late = out_of_time(context, limit) => Err(late.into()),
                result = &mut work => result,
            }
        };
        // What the work left at registries is cleaned up by tasks of their own.
        context.cleanup.close();
        let _ = tokio::time::timeout(GRACE, context.cleanup.wait()).await;
        result
    });
    context.cancel.cancel();
    runtime.shutdown_timeout(GRACE);
    result
}

/// Waits until the time that `--timeout` grants is over: for ever where it grants none.
pub(super) async fn out_of_time(context: &Context, limit: Option<Duration>) -> TimedOut {
    let Some(limit) = limit else { return std::future::pending().await };
    context.clock.sleep(limit).await;
    TimedOut { limit, unfinished: Unfinished::of(context) }
}

#[cfg(unix)]
async fn signal() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};

    let terminated = |name| Signal { name, kind: ErrorKind::Terminated };
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        // Without a handler the system's default stays in force: it ends the process.
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => Signal { name: "SIGINT", kind: ErrorKind::Interrupted },
        () = wait(SignalKind::terminate()) => terminated("SIGTERM"),
        () = wait(SignalKind::hangup()) => terminated("SIGHUP"),
    }
}

#[cfg(not(unix))]
async fn signal() -> Signal {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Signal { name: "Ctrl-C", kind: ErrorKind::Interrupted },
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Events;
    use crate::sys::{Environment, ManualClock};

    #[test]
    fn the_time_granted_ends_what_goes_on_for_ever() {
        let clock = Arc::new(ManualClock::at(0));
        let context = Context { clock, ..Context::new(Environment::of([]), Events::none()) };
        let task = context.events.task(Action::Upload, "blob", None);
        let _awaited = context.events.await_answer("look up `v1` in `r.io/a`");
        let limit = Some(Duration::from_secs(5430));
        let error = run::<()>(&context, limit, std::future::pending()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not done after 1h30m30s, while uploading `blob`; not answered yet: look up `v1` in `r.io/a`"
        );
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Failed, true));
        assert!(context.cancel.is_cancelled());
        task.finish("");
    }
}
