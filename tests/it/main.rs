//! One test binary, one module per user story.

mod base;
mod publish;
mod registry;
mod support;
