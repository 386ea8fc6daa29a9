//! One line per finished step: what a CI log shows.

use std::collections::BTreeMap;

use super::wording::{clean, ended, shortened};
use super::{Renderer, write_line};
use crate::event::{Action, Event, Outcome, readable_size};

/// Remembers what the running tasks are called.
#[derive(Debug)]
pub(super) struct Plain {
    /// How often `-v` was given: once for details, twice for requests.
    verbosity: u8,
    tasks: BTreeMap<u64, (Action, String)>,
}

impl Plain {
    pub(super) fn new(verbosity: u8) -> Self {
        Self { verbosity, tasks: BTreeMap::new() }
    }

    /// The line for an event, if it has one.
    pub(super) fn line(&mut self, event: Event) -> Option<String> {
        match event {
            Event::TaskStarted { id, action, subject, .. } => {
                self.tasks.insert(id, (action, subject));
                None
            }
            Event::TaskProgress { .. } | Event::Error { .. } => None,
            Event::TaskFinished { id, outcome, detail, .. } => {
                let (action, subject) = self.tasks.remove(&id)?;
                // Forty layers that were there already are no news.
                if (action, outcome) == (Action::Upload, Outcome::Skipped) && self.verbosity == 0 {
                    return None;
                }
                // The error that ends the command says it, with the reason.
                let is_change =
                    matches!(action, Action::Deploy | Action::RollBack | Action::Remove);
                if is_change && outcome == Outcome::Failed {
                    return None;
                }
                let ended = ended(action, outcome);
                let mut line = format!("{ended} {}", clean(&subject));
                let says_more = |detail: &String| !detail.is_empty() && detail != ended;
                if let Some(detail) = detail.filter(says_more) {
                    line.push_str(": ");
                    line.push_str(&clean(&detail));
                }
                Some(shortened(&line))
            }
            Event::Note { text } => Some(clean(&text)),
            Event::Detail { text } => (self.verbosity > 0).then(|| format!("  {}", clean(&text))),
            Event::Request { method, url, status, milliseconds, request_bytes, answer_bytes } => {
                let status = status.map_or("no answer".to_owned(), |status| status.to_string());
                let sent = request_bytes.map(|size| format!(", sent {}", readable_size(size)));
                let got = answer_bytes.map(|size| format!(", got {}", readable_size(size)));
                let (sent, got) = (sent.unwrap_or_default(), got.unwrap_or_default());
                let url = clean(&url);
                (self.verbosity > 1).then(|| {
                    format!("  {method} {url}: {status} after {milliseconds} ms{sent}{got}")
                })
            }
            Event::Warning { text, hint, .. } => {
                let mut line = format!("warning: {}", clean(&text));
                if let Some(hint) = hint {
                    line.push_str("\n  hint: ");
                    line.push_str(&clean(&hint));
                }
                Some(line)
            }
            Event::Waiting { milliseconds, reason } => (milliseconds >= 2000 || self.verbosity > 0)
                .then(|| {
                    format!(
                        "waiting {}.{} s: {}",
                        milliseconds / 1000,
                        milliseconds % 1000 / 100,
                        clean(&reason)
                    )
                }),
        }
    }
}

impl Renderer for Plain {
    fn show(&mut self, event: Event) {
        if let Some(line) = self.line(event) {
            write_line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;

    #[test]
    fn a_run_reads_as_a_list_of_what_was_done() {
        let (events, receiver) = Events::channel();
        events.note("using dockless.yaml");
        events.task(Action::Pack, "files src", Some(10)).finish("10 B");
        events.task(Action::Upload, "layer\nx", None).skip("it was there");
        events.task(Action::Publish, "r:v2", None).skip("unchanged");
        events.task(Action::Publish, "r:v3", None).finish(crate::oci::Digest::of(b"").to_string());
        drop(events.task(Action::Publish, "v1", None));
        drop(events.task(Action::Deploy, "function `a`", None));
        events.warn("dirty", "tracked files were changed", Some("commit them".into()));
        events.detail("hidden");
        drop(events);
        let mut plain = Plain::new(0);
        let lines: Vec<_> = receiver.iter().filter_map(|event| plain.line(event)).collect();
        assert_eq!(
            lines,
            [
                "using dockless.yaml",
                "packed files src: 10 B",
                "unchanged r:v2",
                "published r:v3: sha256:e3b0c44298fc",
                "failed v1",
                "warning: tracked files were changed\n  hint: commit them",
            ]
        );
    }

    #[test]
    fn what_was_there_already_is_a_detail() {
        let (events, receiver) = Events::channel();
        events.task(Action::Upload, "layer\nx", None).skip("it was there");
        drop(events);
        let events: Vec<_> = receiver.iter().collect();
        let lines = |verbosity| {
            let mut plain = Plain::new(verbosity);
            events.iter().filter_map(|event| plain.line(event.clone())).collect::<Vec<_>>()
        };
        assert_eq!(lines(0), [""; 0]);
        assert_eq!(lines(1), ["unchanged layer\u{fffd}x: it was there"]);
    }

    #[test]
    fn who_asks_twice_sees_every_request() {
        let request = |status, request_bytes, answer_bytes| Event::Request {
            method: "PUT".into(),
            url: "https://r.io/v2/a".into(),
            status,
            milliseconds: 12,
            request_bytes,
            answer_bytes,
        };
        let line = |verbosity, event| Plain::new(verbosity).line(event);
        for (event, expected) in [
            (request(Some(201), Some(3), None), "201 after 12 ms, sent 3 B"),
            (request(Some(400), Some(2048), Some(5)), "400 after 12 ms, sent 2.0 KiB, got 5 B"),
            (request(None, None, None), "no answer after 12 ms"),
        ] {
            assert_eq!(line(1, event.clone()), None);
            assert_eq!(line(2, event), Some(format!("  PUT https://r.io/v2/a: {expected}")));
        }
    }
}
