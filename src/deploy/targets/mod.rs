//! The targets, and their table.

mod app_runner;
mod lambda;

use super::TargetKind;

/// Every kind of target, in the order of the docs.
pub static TARGETS: &[&TargetKind] = &[&app_runner::APP_RUNNER, &lambda::LAMBDA];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static TargetKind> {
    TARGETS.iter().copied().find(|kind| kind.name == name)
}
