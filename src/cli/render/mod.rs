//! The only code that writes to the terminal: one thread reads events and shows them on stderr.

mod json_lines;
mod plain;
mod quiet;
mod terminal;
mod wording;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::ValueEnum;

use crate::config::Problems;
use crate::error::Error;
use crate::event::{Event, Events};

use wording::clean;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Progress {
    /// Bars on a terminal, plain lines elsewhere.
    Auto,
    /// One line per finished step.
    Plain,
    /// One JSON object per event and line.
    Json,
    /// Nothing but errors.
    None,
}

/// Shows events in one way.
trait Renderer: Send {
    /// Shows one event.
    fn show(&mut self, event: Event);

    /// Leaves the terminal as it was found.
    fn finish(&mut self) {}
}

/// The running renderer.
#[derive(Debug)]
pub(super) struct Rendering {
    events: Events,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Rendering {
    /// Starts the renderer's thread. `verbosity` is how often `-v` was given.
    pub(super) fn start(progress: Progress, verbosity: u8, is_terminal: bool) -> Self {
        let renderer: Box<dyn Renderer> = match progress {
            Progress::None => Box::new(quiet::Quiet),
            Progress::Json => Box::new(json_lines::JsonLines),
            Progress::Auto if is_terminal => Box::new(terminal::Terminal::new(verbosity)),
            Progress::Auto | Progress::Plain => Box::new(plain::Plain::new(verbosity)),
        };
        let (events, receiver) = Events::channel();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let flag = is_stopping.clone();
        let thread = std::thread::spawn(move || render(renderer, &receiver, &flag));
        Self { events, is_stopping, thread }
    }

    /// Where events go.
    pub(super) fn events(&self) -> Events {
        self.events.clone()
    }

    /// Shows what is left and ends the thread.
    pub(super) fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        drop(self.events);
        // A renderer that panicked has said so already; the result of the work stands.
        let _ = self.thread.join();
    }
}

/// Shows events until every sender is gone; once stopping, senders that went silent (the threads of
/// an interrupted command) are not waited for.
fn render(mut renderer: Box<dyn Renderer>, receiver: &Receiver<Event>, is_stopping: &AtomicBool) {
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(event) => renderer.show(event),
            Err(RecvTimeoutError::Timeout) if !is_stopping.load(Ordering::Acquire) => {}
            Err(_) => break,
        }
    }
    renderer.finish();
}

/// Writes one line to stderr. A closed stderr loses the line, never the work.
fn write_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Shows an error: what was attempted, the causes line by line, then the hints; as one more event
/// where events are JSON.
pub(super) fn show_error(error: &Error, progress: Progress) {
    if progress == Progress::Json {
        let (message, hints) = message_and_hints(error);
        return json_lines::JsonLines.show(Event::Error {
            kind: error.kind().name(),
            message,
            hints,
            is_retryable: error.is_retryable(),
        });
    }
    let mut lines = error.lines().into_iter();
    if let Some(first) = lines.next() {
        write_line(&format!("error: {}", indented(&first)));
    }
    for line in lines {
        write_line(&format!("  {}", indented(&line)));
    }
    for hint in error.hints() {
        write_line(&format!("hint: {}", indented(&hint)));
    }
}

/// What programs are told of an error: the lines, and what to do, which people read beside each problem.
pub(super) fn message_and_hints(error: &Error) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut hints) = (error.lines(), error.hints());
    if let Some(problems) = error.downcast_ref::<Problems>() {
        let text = problems.to_string();
        for line in lines.iter_mut().filter(|line| **line == text) {
            *line = problems.text_without_hints();
        }
        hints.extend(problems.hints());
    }
    (lines, hints)
}

/// The text with every further line indented, so that no line of somebody else's text stands at the
/// start of a line, where a CI system may take it for a command.
fn indented(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n  ")
}
