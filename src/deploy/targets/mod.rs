//! The targets, and their table.

mod container_apps;

use super::TargetKind;

/// Every kind of target, in the order of the docs.
pub static TARGETS: &[&TargetKind] = &[&container_apps::KIND];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static TargetKind> {
    TARGETS.iter().copied().find(|kind| kind.name == name)
}
