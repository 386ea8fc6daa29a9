//! Builds the container image of an AI agent without a Docker daemon and pushes it by digest.
//!
//! The modules in the order in which data flows through them: `config` → `plan` (fed by `gather`) →
//! `layer` → `image` → `publish`, composed by `pipeline`, with `cli` as the one edge; `oci`, `sys`,
//! `store`, `archive` and `registry` are the foundations. The library is internal: it makes no promise of
//! compatibility between versions.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests prepare the real machine"))]

pub mod cli;

pub mod pipeline;

pub mod config;

pub mod plan;

pub mod gather;

pub mod layer;

pub mod image;

pub mod publish;

pub mod deploy;

pub mod archive;
pub mod cloud;
pub mod oci;
pub mod registry;
pub mod store;
pub mod sys;

pub mod error;
pub mod event;
