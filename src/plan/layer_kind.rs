//! What can stand in `layers:`: the contract.

use std::fmt;

use super::{Draft, Inputs, Need};
use crate::config::schema::Shape;
use crate::config::{Config, Node, Position, Problems};
use crate::error::{Classified, ErrorKind};
use crate::oci::Platform;

/// A kind of layer: an entry of [`LAYER_KINDS`](super::layer_kinds::LAYER_KINDS).
#[derive(Debug)]
pub struct LayerKind {
    /// The word in `kind:`.
    pub name: &'static str,
    /// One sentence for the docs.
    pub summary: &'static str,
    /// A whole layer as a user would write it, in YAML: the docs show it, a test parses it.
    pub example: &'static str,
    /// The members it knows, `kind` included.
    pub shape: &'static Shape,
    /// Reads the settings, and reports what is wrong with them beyond their shape.
    pub parse: fn(&Node, &Config, &mut Problems) -> Option<Box<dyn LayerSource>>,
}

/// A layer that is wanted: says what it needs to know, then what is in it.
pub trait LayerSource: fmt::Debug + Send + Sync {
    /// For people and for `created_by`: "files src → /app".
    fn describe(&self) -> String;

    /// What must be gathered first.
    fn needs(&self) -> Vec<Need>;

    /// The entries, in any order. Parents need not be among them.
    fn content(&self, inputs: &Inputs, platform: &Platform) -> Result<Vec<Draft>, PlanError>;

    /// Where the content comes from, when that is no part of the project: for `created_by`.
    fn provenance(&self, _inputs: &Inputs, _platform: &Platform) -> Option<String> {
        None
    }

    /// Whether it becomes several layers where it is large.
    fn is_split(&self) -> bool {
        false
    }

    /// What a person should know, for instance a pattern that matches nothing: code, text, hint.
    fn warnings(&self, _inputs: &Inputs) -> Vec<(&'static str, String, Option<String>)> {
        Vec::new()
    }
}

/// Why something cannot be planned, with the place in the config that asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct PlanError {
    /// Where the config asks for it.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Classified for PlanError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        self.hint.iter().cloned().collect()
    }
}
