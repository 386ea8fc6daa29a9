//! The targets, and their table.

mod lambda;

use super::TargetKind;

/// Every kind of target, in the order of the docs.
pub static TARGETS: &[&TargetKind] = &[&lambda::KIND];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static TargetKind> {
    TARGETS.iter().copied().find(|kind| kind.name == name)
}
