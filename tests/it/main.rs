//! One test binary, one module per user story.

#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test, or in a helper of one, fails the test"
)]

mod plan;
