//! Stories about deploying: the binary against fakes of clouds that nobody can run, and against `moto`.
//!
//! A binary of its own, because it needs the features of the clouds.

#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test, or in a helper of one, fails the test"
)]
#![expect(clippy::disallowed_methods, reason = "stories drive the real machine")]

mod anywhere;
mod app_runner;
mod aws_client;
mod aws_refusals;
mod aws_runs;
mod aws_target;
mod cloud_run;
mod container_apps;
mod ecr;
mod ecs_express;
mod ecs_express_lag;
mod ecs_express_left;
mod fake;
mod fakes;
mod flow;
mod google_registry;
mod json;
mod lambda;
mod model;
mod outcomes;
mod peers;
mod places;
mod returns;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "these stories need a part of what all stories share")]
mod support;
mod world;
