//! What is wrong with a file, where, and what to do: all of it, not the first.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::discretion::{discreet, tells_secret};
use crate::error::{Classified, ErrorKind};

/// A place in a file; lines and columns count from 1, and 0 means the whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file as the user knows it.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub position: Position,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Nobody reads more, and a hostile file must not cost more.
const MAX_KEPT: usize = 100;

/// Everything that is wrong, in the order of the file, with the text for showing the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    found: Vec<Problem>,
    /// How many more there are than are kept.
    omitted: usize,
    /// Files with their text.
    texts: Vec<(Arc<str>, Arc<str>)>,
    /// Lines that are not shown: file and number.
    secret_lines: BTreeSet<(Arc<str>, u32)>,
}

impl Problems {
    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers the text of a file, so that its lines can be shown.
    pub fn add_text(&mut self, file: &Arc<str>, text: &str) {
        self.texts.push((file.clone(), text.into()));
    }

    /// The files that were read, by the name that the user knows, with their texts.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(file, text)| (file.as_ref(), text.as_ref()))
    }

    /// No problems, and the texts of these: for what is found out later about the same files.
    pub fn texts(&self) -> Self {
        Self { texts: self.texts.clone(), ..Self::default() }
    }

    /// Adds a problem.
    pub fn report(&mut self, position: &Position, message: impl Into<String>) {
        self.push(position, &message.into(), None);
    }

    /// Adds a problem with its cure.
    pub fn report_with_hint(
        &mut self,
        position: &Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(position, &message.into(), Some(&hint.into()));
    }

    /// Adds a problem with its cure, of a place where a secret stands: no problem shows that line.
    pub fn report_secret(
        &mut self,
        position: &Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.secret_lines.insert((position.file.clone(), position.line));
        self.push(position, &message.into(), Some(&hint.into()));
    }

    /// Adds problems that were found apart.
    pub fn extend(&mut self, problems: Vec<Problem>) {
        for Problem { position, message, hint } in problems {
            self.push(&position, &message, hint.as_deref());
        }
    }

    fn push(&mut self, position: &Position, message: &str, hint: Option<&str>) {
        let (message, hint) = (discreet(message), hint.map(discreet));
        let problem = Problem { position: position.clone(), message, hint };
        if self.found.contains(&problem) {
            return;
        }
        if self.found.len() < MAX_KEPT {
            self.found.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the file.
    pub fn list(&self) -> Vec<Problem> {
        let mut sorted = self.found.clone();
        sorted.sort_by(|left, right| left.position.cmp(&right.position));
        sorted
    }

    /// Ends the reading: the problems become the error, or there are none.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// What to do, in the order of the file; the text says it, too.
    pub fn hints(&self) -> Vec<String> {
        self.list().into_iter().filter_map(|problem| problem.hint).collect()
    }

    /// The text for programs, which get the hints apart.
    pub fn text_without_hints(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, false).expect("a string takes any text");
        text
    }

    fn line(&self, position: &Position) -> Option<&str> {
        if self.secret_lines.contains(&(position.file.clone(), position.line)) {
            return None;
        }
        let (_, text) = self.texts.iter().find(|(file, _)| *file == position.file)?;
        let line = text.lines().nth(usize::try_from(position.line).ok()?.checked_sub(1)?)?;
        (!tells_secret(line)).then_some(line)
    }

    /// One paragraph per problem: place and message, the offending line with a caret, the hint.
    fn write(&self, formatter: &mut impl fmt::Write, has_hints: bool) -> fmt::Result {
        for (number, problem) in self.list().iter().enumerate() {
            if number > 0 {
                writeln!(formatter)?;
            }
            // What no file asks for has no place.
            if !problem.position.file.is_empty() {
                write!(formatter, "{}: ", problem.position)?;
            }
            formatter.write_str(&problem.message)?;
            if let Some(line) = self.line(&problem.position) {
                let number = problem.position.line.to_string();
                let margin = " ".repeat(number.len());
                let shown: String = line.chars().take(160).map(printable).collect();
                let caret = usize::try_from(problem.position.column.saturating_sub(1)).unwrap_or(0);
                write!(formatter, "\n  {number} | {shown}")?;
                if caret < 160 {
                    write!(formatter, "\n  {margin} | {}^", " ".repeat(caret))?;
                }
            }
            if let Some(hint) = problem.hint.as_ref().filter(|_| has_hints) {
                write!(formatter, "\n  hint: {hint}")?;
            }
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(formatter, "\nand {omitted} more problems"),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, true)
    }
}

/// Keeps a line in its place: tabs and control characters take one column.
fn printable(character: char) -> char {
    if character == '\t' {
        ' '
    } else if character.is_control() {
        '\u{fffd}'
    } else {
        character
    }
}

impl std::error::Error for Problems {}

impl Classified for Problems {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_problem_with_its_line() {
        let file: Arc<str> = "dockless.yaml".into();
        let mut problems = Problems::new();
        problems.add_text(&file, "name: x\nbse: y\n");
        let at = |line, column| Position { file: file.clone(), line, column };
        problems.report_with_hint(&at(2, 1), "unknown key `bse`", "did you mean `base`?");
        problems.report(&at(1, 7), "`x` is too short");
        assert_eq!(problems.hints(), ["did you mean `base`?"]);
        let text = problems.to_string();
        let hint = "\n  hint: did you mean `base`?";
        assert!(text.contains(hint));
        assert_eq!(problems.text_without_hints(), text.replace(hint, ""));
        assert_eq!(
            problems.to_string(),
            "dockless.yaml:1:7: `x` is too short\n  \
               1 | name: x\n    \
                 |       ^\n\
             dockless.yaml:2:1: unknown key `bse`\n  \
               2 | bse: y\n    \
                 | ^\n  \
               hint: did you mean `base`?"
        );
    }

    #[test]
    fn what_is_found_later_is_shown_in_the_same_texts() {
        let file: Arc<str> = "f".into();
        let mut problems = Problems::new();
        problems.add_text(&file, "a");
        problems.report(&Position::default(), "early");
        let mut later = problems.texts();
        later.report(&Position::default(), "nowhere");
        later.report(&Position { file, line: 1, column: 1 }, "late");
        assert_eq!(later.to_string(), "nowhere\nf:1:1: late\n  1 | a\n    | ^");
    }

    #[test]
    fn keeps_a_hundred_and_counts_the_rest() {
        let mut problems = Problems::new();
        for line in 1..=103 {
            problems.report(&Position { file: "f".into(), line, column: 1 }, "wrong");
        }
        assert_eq!(problems.list().len(), 100);
        assert_eq!(problems.to_string().lines().last(), Some("and 3 more problems"));
    }
}
