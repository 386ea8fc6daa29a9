//! The composer: each use case is a short function that reads as the flow.
//!
//! `config` → `gather` → `plan` → `layer` → `image` → `publish`. This is the only place where
//! blocking meets async (`runtime.rs`), and the only one that knows every stage.

mod ahead;
mod base_files;
mod build;
mod build_record;
mod cache;
mod check;
mod client;
mod context;
mod destinations;
mod earlier;
mod gathering;
mod guard;
mod image_name;
mod incomplete;
mod layers;
mod load;
mod login;
mod made_layers;
mod option_names;
mod planning;
mod produce;
mod project;
mod push;
mod records;
mod request;
mod run;
mod runtime;
mod schema;
mod summary;
mod tags;
mod verify;

pub use build::build;
pub use build_record::BuildRecord;
pub use cache::{CacheReport, PruneReport, PruneRequest, cache_info, cache_prune};
pub use check::{CheckReport, CheckRequest, check};
pub use context::Context;
pub use incomplete::Incomplete;
pub use login::{LoginChange, LoginRequest, login, logout};
pub use made_layers::{LayerOrigin, MadeLayer};
pub use option_names::OptionNames;
pub use push::push;
pub use request::{
    BuildRequest, Credentials, NetworkRequest, Produced, ProducedImage, ProjectRequest,
    PushRequest, RecordFiles, published_document,
};
pub use schema::{config_reference, schema};
pub use summary::PlanSummary;
pub use verify::{VerifyReport, VerifyRequest, verify};

pub use crate::registry::{ClientCertificate, Secret};
