//! Bars with bytes and rates, for a person at a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::plain::Plain;
use super::wording::{clean, running};
use super::{Renderer, write_line};
use crate::event::Event;

/// Bars for the running tasks below the lines of the finished ones.
#[derive(Debug)]
pub(super) struct Terminal {
    bars: MultiProgress,
    tasks: BTreeMap<u64, ProgressBar>,
    lines: Plain,
}

impl Terminal {
    pub(super) fn new(is_verbose: bool) -> Self {
        Self { bars: MultiProgress::new(), tasks: BTreeMap::new(), lines: Plain::new(is_verbose) }
    }

    fn start(&mut self, id: u64, subject: &str, action: &str, total_bytes: Option<u64>) {
        let bar = match total_bytes {
            Some(total) => ProgressBar::new(total).with_style(style(
                "{prefix:>11} {msg:40!} {bar:20} {bytes:>10}/{total_bytes} {bytes_per_sec}",
            )),
            None => ProgressBar::new_spinner()
                .with_style(style("{prefix:>11} {msg:40!} {spinner} {bytes} {elapsed}")),
        };
        let bar = self.bars.add(bar);
        bar.set_prefix(action.to_owned());
        bar.set_message(clean(subject));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.tasks.insert(id, bar);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant that a test renders")
}

impl Renderer for Terminal {
    fn show(&mut self, event: Event) {
        match &event {
            Event::TaskStarted { id, action, subject, total_bytes } => {
                self.start(*id, subject, running(*action), *total_bytes);
            }
            Event::TaskProgress { id, bytes } => {
                if let Some(bar) = self.tasks.get(id) {
                    bar.set_position(*bytes);
                }
            }
            Event::TaskFinished { id, .. } => {
                if let Some(bar) = self.tasks.remove(id) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
            }
            _ => {}
        }
        if let Some(line) = self.lines.line(event) {
            self.bars.suspend(|| write_line(&line));
        }
    }

    fn finish(&mut self) {
        // Whatever is still running when the command ends leaves no bar behind.
        for bar in self.tasks.values() {
            bar.finish_and_clear();
        }
        let _ = self.bars.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Action;

    #[test]
    fn both_styles_are_valid() {
        let mut terminal = Terminal::new(true);
        terminal.start(0, "a", running(Action::Pack), Some(3));
        terminal.start(1, "b", running(Action::Pack), None);
        terminal.finish();
        assert_eq!(terminal.tasks.len(), 2);
    }
}
