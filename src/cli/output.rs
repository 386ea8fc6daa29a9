//! stdout: the result alone, or one JSON document.

use std::cell::Cell;
use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::render::message_and_hints;
use crate::error::{Classified, Error, ErrorKind, Result};
use crate::pipeline::{Incomplete, published_document};

/// Standard output does not take the result: a full disk, a closed descriptor.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct Unwritable {
    source: io::Error,
}

impl Classified for Unwritable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}

/// Writes results. A reader that has gone away (`| head -1`) is no failure of the work (L9).
#[derive(Debug)]
pub(super) struct Output {
    is_json: bool,
    /// Whether the one document of `--json` was written.
    has_document: Cell<bool>,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, has_document: Cell::new(false) }
    }

    /// Writes the result: the document with `--json`, else the lines.
    ///
    /// # Errors
    /// Standard output cannot be written, though there is a reader.
    pub(super) fn result<'a>(
        &self,
        document: &Value,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        if self.is_json {
            self.has_document.set(true);
            return self::document(document);
        }
        lines.into_iter().try_for_each(write)
    }

    /// Whether results are JSON documents.
    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    /// With `--json`, writes what went wrong, so that a program need not read stderr; not
    /// after a result, since the output is one document.
    pub(super) fn error(&self, error: &Error) {
        if self.is_json && !self.has_document.get() {
            // What cannot be written here stands on stderr.
            let (message, hints) = message_and_hints(error);
            let mut document = json!({
                "kind": error.kind().name(),
                "exit_code": error.kind().exit_code(),
                "message": message,
                "hints": hints,
                "is_retryable": error.is_retryable(),
            });
            if let Some(incomplete) = error.downcast_ref::<Incomplete>() {
                document["published"] = published_document(&incomplete.published);
                document["failed"] = incomplete.failed_document();
            }
            let _ = self::document(&json!({ "error": document }));
        }
    }
}

/// Writes a JSON document, readable for people too.
///
/// # Errors
/// Standard output cannot be written, though there is a reader.
pub(super) fn document(document: &Value) -> Result<()> {
    write(&serde_json::to_string_pretty(document).expect("a JSON value can be written"))
}

/// Writes one line of something that goes on.
///
/// # Errors
/// Standard output cannot be written, though there is a reader.
pub(super) fn line(text: &str) -> Result<()> {
    write(text)
}

fn write(line: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Unwritable { source }.into())
        }
        _ => Ok(()),
    }
}
