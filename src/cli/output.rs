//! stdout: the result alone, or one JSON document.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use crate::error::Error;

/// Writes results. A reader that has gone away (`| head -1`) is no failure of the work (L9).
#[derive(Debug, Clone)]
pub(super) struct Output {
    is_json: bool,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Writes the result: the document with `--json`, else the lines.
    pub(super) fn result<'a>(&self, document: &Value, lines: impl IntoIterator<Item = &'a str>) {
        if self.is_json {
            self::document(document);
        } else {
            for line in lines {
                write(line);
            }
        }
    }

    /// With `--json`, writes what went wrong, so that a program need not read stderr.
    pub(super) fn error(&self, error: &Error) {
        if self.is_json {
            self::document(&json!({
                "error": {
                    "kind": error.kind().name(),
                    "exit_code": error.kind().exit_code(),
                    "message": error.lines(),
                    "hints": error.hints(),
                    "is_retryable": error.is_retryable(),
                }
            }));
        }
    }
}

/// Writes a JSON document, readable for people too.
pub(super) fn document(document: &Value) {
    write(&serde_json::to_string_pretty(document).expect("a JSON value can be written"));
}

fn write(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
