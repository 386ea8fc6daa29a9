//! AWS: whose credentials there are, signatures, and what its refusals mean.
//!
//! - `refusal.rs`, `policy.rs`: what a refusal means, and what would allow what is denied
//! - `profile.rs`: the little that we read of its config files ourselves
//! - `sources.rs`: where credentials come from, one source after the other, and why each has none
//! - `signer.rs`: keeps credentials and signs with them (SigV4)

mod policy;
mod profile;
mod refusal;
#[cfg(feature = "aws")]
mod signer;
#[cfg(feature = "aws")]
mod sources;

pub use profile::aws_region;
pub(super) use refusal::classify;
#[cfg(feature = "aws")]
pub(super) use signer::authorizer;
