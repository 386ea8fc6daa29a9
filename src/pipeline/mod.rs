//! The composer: each use case is a short function that reads as the flow.
//!
//! `config` → `gather` → `plan` → `layer` → `image` → `publish`. This is the only place where
//! blocking meets async (`runtime.rs`), and the only one that knows every stage.

mod build;
mod client;
mod context;
mod destinations;
mod gathering;
mod load;
mod produce;
mod project;
mod push;
mod records;
mod request;
mod runtime;
mod schema;
mod summary;
mod tags;

pub use build::build;
pub use context::Context;
pub use push::push;
pub use request::{
    BuildRequest, Credentials, NetworkRequest, Produced, ProducedImage, ProjectRequest,
    PushRequest, RecordFiles,
};
pub use schema::{config_reference, schema};
pub use summary::PlanSummary;

pub use crate::registry::{ClientCertificate, Secret};
