//! One JSON object per event and line, for programs: `--progress json`.

use serde::Serialize;

use super::{Renderer, write_line};
use crate::event::{Event, VERSION};

/// Writes each event with the version of the format.
#[derive(Debug)]
pub(super) struct JsonLines;

#[derive(Serialize)]
struct Line {
    version: u32,
    #[serde(flatten)]
    event: Event,
}

impl Renderer for JsonLines {
    fn show(&mut self, event: Event) {
        let line = Line { version: VERSION, event };
        write_line(&serde_json::to_string(&line).expect("events have string keys only"));
    }
}
