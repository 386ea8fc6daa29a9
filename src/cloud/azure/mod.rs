//! Azure: who we are there, what its refusals mean, and the credentials of its registries.
//!
//! - `sources.rs`: where tokens come from, one source after the other, and why each has none; `source.rs`:
//!   what they are called; `reason.rs`: what they say; `github.rs`: the one of a job there; `cure.rs`: what to do when none has a token
//! - `http.rs`: the way to them
//! - `authorizer.rs`: keeps a token and proves with it who we are; `claims.rs`: who that is
//! - `refusal.rs`: what the Resource Manager's errors mean, and what to do; `fields.rs`: which setting of a
//!   target they are about
//! - `subscription.rs`: the one that is meant where nobody names one
//! - `national.rs`: which of Azure's clouds is meant
//! - `keychain.rs`: credentials for `*.azurecr.io` out of the same sources

#[cfg(feature = "azure")]
mod authorizer;
#[cfg(feature = "azure")]
mod claims;
#[cfg(feature = "azure")]
mod cure;
mod fields;
#[cfg(feature = "azure")]
mod github;
#[cfg(feature = "azure")]
mod http;
#[cfg(feature = "azure")]
mod keychain;
mod national;
#[cfg(feature = "azure")]
mod reason;
mod refusal;
mod registry_host;
#[cfg(feature = "azure")]
mod source;
#[cfg(feature = "azure")]
mod sources;
mod subscription;

#[cfg(feature = "azure")]
pub(super) use authorizer::authorizer;
#[cfg(feature = "azure")]
pub(super) use keychain::AzureRegistries;
pub(super) use national::AzureCloud;
pub(super) use refusal::classify;
pub use registry_host::is_azure_registry;
pub use subscription::{assumed_azure_subscription, azure_subscription};
