//! What an agent needs of its image beyond the files that are copied, as far as its config tells.

use super::Position;

/// Something that an image should have, for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What.
    pub needed: Needed,
    /// Why, for people: "the MCP tool `search` runs `npx`".
    pub reason: String,
    /// What in the file causes it.
    pub position: Position,
}

/// What is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// A program.
    Program {
        /// A name that is looked for in `PATH`, or a path.
        name: String,
        /// The recipe of a `from-image` layer that brings it.
        recipe: Option<&'static str>,
        /// Whether an image without it is not the one that is asked for.
        is_vital: bool,
    },
    /// A Python distribution.
    Distribution {
        /// The normalised name.
        name: &'static str,
        /// The extra of `holodeck-ai` that installs it.
        extra: &'static str,
    },
}
