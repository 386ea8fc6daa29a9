//! Google Cloud: who we are there, and what its errors mean.
//!
//! - `sources.rs`: where credentials come from, one source after the other, and why each has none
//! - `credentials.rs`: a file of credentials, read for what it says of itself
//! - `authorizer.rs`: keeps what was found, and proves with it who we are
//! - `keychain.rs`: the same for its registries, Artifact Registry and `gcr.io`
//! - `project.rs`: the project and the region that its own tools would take
//! - `repository.rs`: creates a repository that is missing
//! - `refusal.rs`: what its errors mean; `cures.rs`: what helps, and what would allow what is denied

#[cfg(feature = "gcp")]
mod authorizer;
#[cfg(feature = "gcp")]
mod credentials;
mod cures;
#[cfg(feature = "gcp")]
mod keychain;
mod project;
mod refusal;
mod repository;
#[cfg(feature = "gcp")]
mod sources;

#[cfg(feature = "gcp")]
pub(super) use authorizer::authorizer;
pub use cures::image_cure;
#[cfg(feature = "gcp")]
pub(super) use keychain::GoogleRegistries;
pub use project::{assumed_google_project, assumed_google_region, google_project, google_region};
pub(super) use refusal::classify;
pub use refusal::operation_failure;
pub(super) use repository::ArtifactRepository;
