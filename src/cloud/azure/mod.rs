//! Azure: who we are there, what its refusals mean, and the credentials of its registries.
//!
//! - `authorizer.rs`: asks the sources of credentials in the vendor's order
//! - `refusal.rs`: what the Resource Manager's errors mean, and what to do
//! - `keychain.rs`: credentials for `*.azurecr.io` out of the same sources

mod refusal;
mod registry_host;

pub(super) use refusal::classify;
pub use registry_host::is_azure_registry;
