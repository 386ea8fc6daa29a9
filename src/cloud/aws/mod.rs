//! AWS: whose credentials there are, signatures, and what its refusals mean.
//!
//! - `refusal.rs`, `class.rs`: what a refusal says, and what it means
//! - `advice.rs`, `policy.rs`: what helps against it, and what would allow what is denied
//! - `keychain.rs`, `repository.rs`: credentials for its registries, and repositories that are missing
//! - `profile.rs`: the little that we read of its config files ourselves
//! - `sources.rs`: where credentials come from, one source after the other, and why each has none
//! - `http.rs`: the way of those sources to whoever gives credentials
//! - `signer.rs`: keeps credentials and signs with them (SigV4)

mod advice;
mod class;
#[cfg(feature = "aws")]
mod http;
mod keychain;
mod policy;
mod profile;
mod refusal;
mod repository;
#[cfg(feature = "aws")]
mod signer;
#[cfg(feature = "aws")]
mod sources;

pub(super) use keychain::AmazonRegistries;
pub use profile::{assumed_aws_region, aws_region};
pub(super) use refusal::classify;
pub use repository::NewRepository;
pub(super) use repository::create_missing_repository;
#[cfg(feature = "aws")]
pub(super) use signer::authorizer;
