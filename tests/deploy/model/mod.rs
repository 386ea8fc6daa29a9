//! The vendors' own models of their APIs, and what requests and answers must be by them.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod google;
