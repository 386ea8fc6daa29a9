//! Stage 6: an image that is published becomes a deployment, by its digest.
//!
//! - `target.rs` is the contract, `targets/` holds the places and their table
//! - `workload.rs`: what runs, whatever the target: name, port, health, variables, secrets
//! - `image.rs`: what is handed over, and what targets want to know of it
//! - `observed.rs`: what is there; `plan.rs`: what would have to change, as data
//! - `steps.rs`: carries a plan out; `deployer.rs`: from what is there to what should be, and whether it is
//! - `probe.rs`: asks the service itself; `outcome.rs`: how it ended
//! - `state.rs`: what was deployed from here before; a cache and a history, never the truth; `history.rs`:
//!   what of it there is to go back to
//! - `aws/`: what the targets of AWS share: roles, secrets, logs, ARNs
//!
//! A target is nearly pure: it says what to ask, reads the answers, and says what to send. Everything that
//! can go wrong on the way (lost answers, operations in progress, roles that are not known yet) is met in one
//! place: look again, plan again. Nothing is created twice, because what was created is found by its name.

mod aws;
mod deployer;
mod error;
mod history;
mod image;
mod observed;
mod outcome;
mod plan;
mod probe;
mod session;
mod state;
mod steps;
mod target;
pub mod targets;
mod workload;

pub use deployer::{NotDeployed, carry_out, deploy, drift};
pub use error::DeployError;
pub use history::{Entry, image_before, is_taken_back};
pub use image::{Image, Manifest};
pub use observed::{Observed, Ownership, Previous, Service, State, config_hash};
pub use outcome::{Deployment, Outcome, Probe};
pub use plan::{Change, DeployPlan, Given, GivenForm, Step};
pub use probe::{NoAnswer, Prober};
pub use session::{Journal, Session};
pub use state::{ServiceState, StateError, StateFile};
pub use target::{Assumption, LogLine, LogQuery, Subject, Target, TargetInput, TargetKind};
pub use workload::{DEFAULT_ENVIRONMENT, Places, Pull, SecretValue, Variable, Workload};
