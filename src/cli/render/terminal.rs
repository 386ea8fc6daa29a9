//! Bars with bytes and rates, for a person at a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::plain::Plain;
use super::wording::{clean, cut};
use super::{Renderer, write_line};
use crate::event::Event;
use crate::sys::terminal;

/// A bar with its end in sight. The subject gets what is left of the line.
const WITH_TOTAL: &str =
    "{prefix:>11} {wide_msg} {bar:6} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12}";
/// The columns of everything else in it.
const WITH_TOTAL_COLUMNS: usize = 11 + 1 + 1 + 6 + 1 + 10 + 1 + 10 + 1 + 12;

/// A task without a known end.
const WITHOUT_TOTAL: &str = "{prefix:>11} {wide_msg} {spinner} {bytes:>10} {elapsed:>4}";
const WITHOUT_TOTAL_COLUMNS: usize = 11 + 1 + 1 + 1 + 1 + 10 + 1 + 4;

/// The columns of a terminal that does not say how many it has.
const USUAL_COLUMNS: u16 = 80;

/// Bars for the running tasks below the lines of the finished ones.
#[derive(Debug)]
pub(super) struct Terminal {
    bars: MultiProgress,
    tasks: BTreeMap<u64, ProgressBar>,
    lines: Plain,
}

impl Terminal {
    pub(super) fn new(verbosity: u8) -> Self {
        Self { bars: MultiProgress::new(), tasks: BTreeMap::new(), lines: Plain::new(verbosity) }
    }

    fn start(&mut self, id: u64, subject: &str, action: &str, total_bytes: Option<u64>) {
        let bar = match total_bytes {
            Some(total) => ProgressBar::new(total).with_style(style(WITH_TOTAL)),
            None => ProgressBar::new_spinner().with_style(style(WITHOUT_TOTAL)),
        };
        let bar = self.bars.add(bar);
        bar.set_prefix(action.to_owned());
        let columns = terminal::columns().unwrap_or(USUAL_COLUMNS);
        bar.set_message(message(subject, total_bytes.is_some(), columns));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.tasks.insert(id, bar);
    }
}

/// What the task is about, as far as there is room for it.
fn message(subject: &str, has_total: bool, columns: u16) -> String {
    let taken = if has_total { WITH_TOTAL_COLUMNS } else { WITHOUT_TOTAL_COLUMNS };
    cut(&clean(subject), usize::from(columns).saturating_sub(taken))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant that a test renders")
}

impl Renderer for Terminal {
    fn show(&mut self, event: Event) {
        match &event {
            Event::TaskStarted { id, action, subject, total_bytes } => {
                self.start(*id, subject, action.running(), *total_bytes);
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;
    use crate::event::Action;

    /// A terminal of eighty columns that remembers what was written.
    #[derive(Debug, Clone, Default)]
    struct Eighty(Arc<Mutex<String>>);

    impl TermLike for Eighty {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_fits_eighty_columns_with_the_end_of_its_subject() {
        for (template, has_total) in [(WITH_TOTAL, true), (WITHOUT_TOTAL, false)] {
            let terminal = Eighty::default();
            let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
            let bar = ProgressBar::with_draw_target(Some(123_456_789_012), target);
            bar.set_style(style(template));
            bar.set_prefix("downloading");
            let subject = "a subject that is far longer than a line of a terminal ".repeat(3);
            let subject = format!("0123456789ab {subject}/app/* 3/8");
            bar.set_message(message(&subject, has_total, 80));
            bar.set_position(123_456_789_000);
            bar.force_draw();
            bar.abandon();
            let text = terminal.0.lock().unwrap().clone();
            let longest = text.lines().map(|line| line.trim_end().chars().count()).max();
            assert!(text.contains("01234567"), "{text:?}");
            assert!(text.contains("/app/* 3/8 "), "{text:?}");
            assert!(longest.is_some_and(|longest| longest <= 80), "{longest:?} {text:?}");
        }
    }

    #[test]
    fn both_styles_are_valid() {
        let mut terminal = Terminal::new(1);
        terminal.start(0, "a", Action::Pack.running(), Some(3));
        terminal.start(1, "b", Action::Pack.running(), None);
        terminal.finish();
        assert_eq!(terminal.tasks.len(), 2);
    }
}
