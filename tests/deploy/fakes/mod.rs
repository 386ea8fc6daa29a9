//! The fakes, one per service of a cloud.

pub(crate) mod cloud_run;
pub(crate) mod lambda;
