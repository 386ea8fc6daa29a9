//! What happens while a command runs, as data: code emits events, only `cli::render` writes.
//!
//! One tagged enum, versioned by [`VERSION`], so that `--progress json` is a stable stream. Sending
//! never blocks and never fails: without a listener, events are dropped.

mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

pub use watched::Watched;

use crate::oci::{Descriptor, Digest};

/// The version written into every JSON line; raised when a member changes its meaning.
pub const VERSION: u32 = 1;

/// A progress report is sent at most once per this many bytes of a task.
const REPORT_EVERY_BYTES: u64 = 256 * 1024;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A task began.
    TaskStarted {
        /// Identifies the task in later events of this run.
        id: u64,
        /// What is being done.
        action: Action,
        /// To what: a layer's name, a reference, a file.
        subject: String,
        /// How many bytes it will move, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
    },
    /// A task moved bytes; the number is the sum so far.
    TaskProgress {
        /// The task.
        id: u64,
        /// Bytes moved since it began.
        bytes: u64,
    },
    /// A task ended.
    TaskFinished {
        /// The task.
        id: u64,
        /// How it ended.
        outcome: Outcome,
        /// What came of it, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// The blob that it is about, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// The size of that blob.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// Something a person wants to know in every run.
    Note {
        /// One line.
        text: String,
    },
    /// Something a person wants to know with `-v`.
    Detail {
        /// One line.
        text: String,
    },
    /// A request went out, and was answered or not; a person wants to know it with `-vv`.
    Request {
        /// The HTTP method.
        method: String,
        /// Where to, without user name, query and fragment.
        url: String,
        /// The HTTP status; none when no answer came.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// From the request to the head of its answer.
        milliseconds: u64,
        /// The size of the request's body, where it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_bytes: Option<u64>,
        /// The size of the answer's body, as the answer declares it.
        #[serde(skip_serializing_if = "Option::is_none")]
        answer_bytes: Option<u64>,
    },
    /// Something that may be wrong, though the command goes on.
    Warning {
        /// A stable kebab-case name, for filters.
        code: &'static str,
        /// One line.
        text: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The command waits before it tries again.
    Waiting {
        /// For how long.
        milliseconds: u64,
        /// Why.
        reason: String,
    },
    /// The command failed: the last line. Sent where events are for programs; people read it as
    /// text.
    Error {
        /// The name of the kind that is the exit code: `usage`, `failed`.
        kind: &'static str,
        /// What was attempted, the error, then its causes.
        message: Vec<String>,
        /// What to do.
        hints: Vec<String>,
        /// Whether the same may succeed when tried again later.
        is_retryable: bool,
    },
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Asks a registry what a reference is.
    Resolve,
    /// Reads a base image's layers for facts.
    Inspect,
    /// Lists the project's files.
    List,
    /// Writes a layer.
    Pack,
    /// Fetches a blob.
    Download,
    /// Sends a blob.
    Upload,
    /// Writes a layout or an archive.
    Write,
    /// Puts a manifest or a tag.
    Publish,
    /// Hands an image to a local engine.
    Load,
    /// Changes what runs somewhere.
    Deploy,
    /// Brings back what ran there before.
    RollBack,
    /// Removes what runs there.
    Remove,
}

impl Action {
    /// What is being done, for people: `packing`.
    pub fn running(self) -> &'static str {
        match self {
            Self::Resolve => "resolving",
            Self::Inspect => "inspecting",
            Self::List => "listing",
            Self::Pack => "packing",
            Self::Download => "downloading",
            Self::Upload => "uploading",
            Self::Write => "writing",
            Self::Publish => "publishing",
            Self::Load => "loading",
            Self::Deploy => "deploying",
            Self::RollBack => "rolling back",
            Self::Remove => "removing",
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it set out to do.
    Done,
    /// Nothing had to be done.
    Skipped,
    /// It did not come to its end.
    Failed,
}

/// Where events go; cheap to clone, safe to share.
#[derive(Debug, Clone, Default)]
pub struct Events {
    sender: Option<mpsc::Sender<Event>>,
    next_id: Arc<AtomicU64>,
    running: Arc<Mutex<Running>>,
    awaited: Arc<Mutex<BTreeMap<u64, String>>>,
    noted: Arc<Mutex<BTreeSet<String>>>,
}

/// What the tasks that have not ended do, and to what.
type Running = BTreeMap<u64, (Action, String)>;

impl Events {
    /// A stream and the end to read it from.
    pub fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender: Some(sender), ..Self::default() }, receiver)
    }

    /// Drops every event.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sends one event.
    pub fn send(&self, event: Event) {
        if let Some(sender) = &self.sender {
            // The listener may be gone already while the process ends: that loses output, not data.
            let _ = sender.send(event);
        }
    }

    /// Tells something that everybody wants to know.
    pub fn note(&self, text: impl Into<String>) {
        self.send(Event::Note { text: text.into() });
    }

    /// The same, unless it was told in this run already.
    pub fn note_once(&self, text: impl Into<String>) {
        let text = text.into();
        if lock(&self.noted).insert(text.clone()) {
            self.note(text);
        }
    }

    /// Tells something for `-v`.
    pub fn detail(&self, text: impl Into<String>) {
        self.send(Event::Detail { text: text.into() });
    }

    /// Warns; `code` is stable and kebab-case.
    pub fn warn(&self, code: &'static str, text: impl Into<String>, hint: Option<String>) {
        self.send(Event::Warning { code, text: text.into(), hint });
    }

    /// Begins a task, which reports `failed` unless it is finished.
    pub fn task(
        &self,
        action: Action,
        subject: impl Into<String>,
        total_bytes: Option<u64>,
    ) -> Task {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let subject = subject.into();
        self.lock_running().insert(id, (action, subject.clone()));
        self.send(Event::TaskStarted { id, action, subject, total_bytes });
        Task { events: self.clone(), id, moved: AtomicU64::new(0), blob: None, is_finished: false }
    }

    /// What the tasks that have not ended do, and to what, the oldest first.
    pub fn running(&self) -> Vec<(Action, String)> {
        self.lock_running().values().cloned().collect()
    }

    /// Keeps in mind what a peer is asked to do, until the guard is dropped. Nobody is told, unless the
    /// run ends before that.
    pub fn await_answer(&self, what: impl Into<String>) -> Awaited {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.awaited).insert(id, what.into());
        Awaited { awaited: Arc::clone(&self.awaited), id }
    }

    /// What peers are asked to do at the moment, the oldest first.
    pub fn awaited(&self) -> Vec<String> {
        lock(&self.awaited).values().cloned().collect()
    }

    fn lock_running(&self) -> MutexGuard<'_, Running> {
        lock(&self.running)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole entries come and go: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that a peer is asked to do; it ends when this is dropped.
#[derive(Debug)]
pub struct Awaited {
    awaited: Arc<Mutex<BTreeMap<u64, String>>>,
    id: u64,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        lock(&self.awaited).remove(&self.id);
    }
}

/// A running task; dropping it without [`Task::finish`] reports that it failed.
#[derive(Debug)]
pub struct Task {
    events: Events,
    id: u64,
    moved: AtomicU64,
    /// Digest and size of the blob that the task is about.
    blob: Option<(Digest, u64)>,
    is_finished: bool,
}

impl Task {
    /// Adds bytes moved.
    pub fn advance(&self, bytes: u64) {
        let before = self.moved.fetch_add(bytes, Ordering::Relaxed);
        if before / REPORT_EVERY_BYTES != (before + bytes) / REPORT_EVERY_BYTES {
            self.events.send(Event::TaskProgress { id: self.id, bytes: before + bytes });
        }
    }

    /// Sets the bytes moved: an upload that starts again goes back to zero.
    pub fn restart_at(&self, bytes: u64) {
        self.moved.store(bytes, Ordering::Relaxed);
        self.events.send(Event::TaskProgress { id: self.id, bytes });
    }

    /// Says which blob the task is about: it stands in the event that ends the task.
    #[must_use]
    pub fn about(mut self, blob: &Descriptor) -> Self {
        self.blob = Some((blob.digest, blob.size));
        self
    }

    /// Ends the task well.
    pub fn finish(mut self, detail: impl Into<String>) {
        self.end(Outcome::Done, Some(detail.into()));
    }

    /// Ends the task: there was nothing to do.
    pub fn skip(mut self, detail: impl Into<String>) {
        self.end(Outcome::Skipped, Some(detail.into()));
    }

    fn end(&mut self, outcome: Outcome, detail: Option<String>) {
        self.is_finished = true;
        self.events.lock_running().remove(&self.id);
        let (digest, bytes) = self.blob.unzip();
        self.events.send(Event::TaskFinished { id: self.id, outcome, detail, digest, bytes });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.is_finished {
            self.end(Outcome::Failed, None);
        }
    }
}

/// A size for people, in texts of events: `3 B`, `1.5 MiB`.
pub fn readable_size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(4);
    if unit == 0 {
        return format!("{bytes} B");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(readable_size(bytes), text);
        }
    }

    #[test]
    fn a_dropped_task_reports_that_it_failed() {
        let (events, receiver) = Events::channel();
        drop(events.task(Action::Pack, "layer", None));
        events.task(Action::Upload, "blob", Some(3)).finish("3 B");
        drop(events);
        let outcomes: Vec<_> = receiver
            .iter()
            .filter_map(|event| match event {
                Event::TaskFinished { id, outcome, .. } => Some((id, outcome)),
                _ => None,
            })
            .collect();
        assert_eq!(outcomes, [(0, Outcome::Failed), (1, Outcome::Done)]);
    }

    #[test]
    fn what_runs_is_known_until_it_ends() {
        let events = Events::none();
        let pack = events.task(Action::Pack, "layer", None);
        let upload = events.task(Action::Upload, "blob", None);
        let running = |action, subject: &str| (action, subject.to_owned());
        let both = [running(Action::Pack, "layer"), running(Action::Upload, "blob")];
        assert_eq!(events.running(), both);
        pack.finish("done");
        assert_eq!(events.running(), both[1..]);
        drop(upload);
        assert_eq!(events.running(), []);
        let (first, second) = (events.await_answer("look"), events.await_answer("send"));
        assert_eq!(events.awaited(), ["look", "send"]);
        drop(first);
        assert_eq!(events.awaited(), ["send"]);
        drop(second);
        assert_eq!(events.awaited(), [""; 0]);
    }

    #[test]
    fn progress_is_reported_once_per_quarter_mebibyte() {
        let (events, receiver) = Events::channel();
        let task = events.task(Action::Upload, "blob", None);
        for _ in 0..1024 {
            task.advance(1024);
        }
        task.finish("done");
        drop(events);
        let sums: Vec<_> = receiver
            .iter()
            .filter_map(|event| match event {
                Event::TaskProgress { bytes, .. } => Some(bytes),
                _ => None,
            })
            .collect();
        assert_eq!(sums, [256 * 1024, 512 * 1024, 768 * 1024, 1024 * 1024]);
    }
}
