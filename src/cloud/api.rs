//! Whoever sends requests to clouds: the contract.

use std::fmt;

use async_trait::async_trait;

use super::{Answer, CallError, Cloud, Request};

/// Sends requests to clouds.
#[async_trait]
pub trait Api: fmt::Debug + Send + Sync {
    /// Sends a request and gives the answer of an operation that succeeded.
    ///
    /// What only reads is tried again until patience runs out. What writes is tried again only where the
    /// service said that it did nothing (it is throttled), or where it was never reached.
    ///
    /// # Errors
    /// A [`CallError`]; of the class [`Lost`](super::ErrorClass::Lost) when nobody knows whether a write
    /// took place.
    async fn call(&self, request: &Request) -> Result<Answer, CallError>;

    /// Who we are there: an ARN, an e-mail address, an object id.
    ///
    /// # Errors
    /// There are no credentials, or they are refused.
    async fn identity(&self, cloud: Cloud) -> Result<String, CallError>;

    /// The AWS account of the caller.
    ///
    /// # Errors
    /// As [`Api::identity`].
    async fn account(&self) -> Result<String, CallError>;
}
