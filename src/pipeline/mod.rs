//! The composer: each use case is a short function that reads as the flow.
//!
//! `config` → `gather` → `plan` → `layer` → `image` → `publish` → `deploy`. This is the only place where
//! blocking meets async (`runtime.rs`), and the only one that knows every stage.

mod ahead;
mod base_files;
mod build;
mod build_record;
mod cache;
mod check;
mod check_base;
mod client;
mod clouds;
mod context;
mod deploy;
mod destinations;
mod diff;
mod earlier;
mod environment;
mod failures;
mod gathering;
mod guard;
mod image_name;
mod incomplete;
mod init;
mod inspect;
mod layers;
mod load;
mod lock;
mod login;
mod logs;
mod made_layers;
mod option_names;
mod planning;
mod precious;
mod produce;
mod project;
mod push;
mod records;
mod repositories;
mod request;
mod rollback;
mod run;
mod runtime;
mod schema;
mod status;
mod subject;
mod summary;
mod tags;
mod verify;

pub use build::build;
pub use build_record::BuildRecord;
pub use cache::{CacheReport, PruneReport, PruneRequest, cache_info, cache_prune};
pub use check::{CheckReport, CheckRequest, check};
pub use check_base::{CheckBaseReport, check_base};
pub use context::Context;
pub use deploy::{DeployReport, DeployRequest, ImageChoice, PlannedDeployment, deploy};
pub use diff::{DiffReport, DiffRequest, diff};
pub use incomplete::Incomplete;
pub use init::{InitReport, InitRequest, init};
pub use inspect::{InspectReport, InspectRequest, inspect};
pub use lock::{LockReport, LockRequest, lock};
pub use login::{LoginChange, LoginRequest, login, logout};
pub use logs::{LogRequest, logs};
pub use made_layers::{LayerOrigin, MadeLayer};
pub use option_names::OptionNames;
pub use push::push;
pub use request::{
    BuildRequest, Credentials, NetworkRequest, Produced, ProducedImage, ProjectRequest,
    PushRequest, RecordFiles, published_document,
};
pub use rollback::{ChangeReport, destroy, rollback};
pub use schema::{config_reference, schema};
pub use status::{EnvironmentRequest, StatusReport, status};
pub use summary::PlanSummary;
pub use verify::{VerifyReport, VerifyRequest, verify};

pub use crate::registry::{ClientCertificate, Secret};
