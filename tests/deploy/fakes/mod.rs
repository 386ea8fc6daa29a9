//! The fakes, one per service of a cloud.

pub(crate) mod app_runner;
pub(crate) mod aws;
pub(crate) mod cloud_run;
pub(crate) mod container_apps;
pub(crate) mod ecs_express;
pub(crate) mod lambda;
