//! The targets, and their table.

mod app_runner;
mod cloud_run;
mod container_apps;
mod ecs_express;
mod lambda;

use super::TargetKind;

/// Every kind of target, in the order of the docs.
pub static TARGETS: &[&TargetKind] = &[
    &app_runner::APP_RUNNER,
    &ecs_express::ECS_EXPRESS,
    &lambda::LAMBDA,
    &cloud_run::CLOUD_RUN,
    &container_apps::KIND,
];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static TargetKind> {
    TARGETS.iter().copied().find(|kind| kind.name == name)
}
