//! What keeps a file from being read, in words of ours.

use granit_parser::{ErrorKind, ScanError};

use super::MAX_DEPTH;
use crate::config::Position;

/// Why reading cannot go on.
pub(super) struct Fault {
    pub(super) position: Position,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What a step of reading gives.
pub(super) type Step<T> = Result<T, Fault>;

impl Fault {
    /// Adds what the user should do.
    pub(super) fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

pub(super) fn fault(position: Position, message: impl Into<String>) -> Fault {
    Fault { position, message: message.into(), hint: None }
}

pub(super) fn too_deep(position: Position) -> Fault {
    fault(position, format!("the nesting is deeper than {MAX_DEPTH} levels"))
}

/// Says what the parser stumbled over at a place of the text.
pub(super) fn explain(error: &ScanError, position: Position, text: &str) -> Fault {
    // What the parser stumbles over beside a line with a tab is the tab; it may name the value
    // before it.
    if let Some(position) = indenting_tab(text, &position) {
        return fault(position, "a tab cannot indent YAML").hint("replace the tab by spaces");
    }
    match error.kind() {
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart => {
            fault(position, "a tab cannot stand here").hint("replace the tab by spaces")
        }
        ErrorKind::UnknownAnchor => fault(position, "the alias refers to no anchor above it"),
        ErrorKind::RecursionLimitExceeded => too_deep(position),
        kind => {
            let clean = |char: &char| !char.is_control();
            let text: String = kind.to_string().chars().filter(clean).take(200).collect();
            fault(position, format!("this is not valid YAML: {text}"))
                .hint("look at the brackets, quotes and indentation at and before this place")
        }
    }
}

/// The first tab that indents the line of a position, the one before or the one after.
fn indenting_tab(text: &str, position: &Position) -> Option<Position> {
    let first = position.line.saturating_sub(1).max(1);
    let lines = text.lines().zip(1..).skip(usize::try_from(first - 1).ok()?);
    lines.take_while(|(_, line)| *line <= position.line + 1).find_map(|(text, line)| {
        let indentation = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
        let column = u32::try_from(indentation.find('\t')?).ok()?.checked_add(1)?;
        Some(Position { file: position.file.clone(), line, column })
    })
}
