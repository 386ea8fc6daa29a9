//! Google Cloud: who we are there, and what its errors mean.

mod refusal;

pub use refusal::operation_failure;
