//! One binary for all stories: what users see, proved with real files and independent tools.

#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test, or in a helper of one, fails the test"
)]
#![expect(clippy::disallowed_methods, reason = "stories drive the real machine")]

mod architecture;
mod bad_input;
mod base;
mod base_facts;
mod base_shapes;
mod build;
mod build_record;
mod cache;
mod check;
mod compression;
mod config;
mod diff;
mod docs;
mod endings;
mod engines;
mod existing_tags;
mod faults;
mod files;
mod from_image;
mod golden;
mod holodeck;
mod init;
mod inspect;
mod layers;
mod lock;
mod login_command;
mod overlap;
mod plan;
mod publish;
mod push;
mod push_requests;
mod real_run;
mod registry;
mod report;
mod reproducibility;
mod requirements;
mod reuse;
mod secret_guard;
mod secrets;
mod split;
mod support;
mod vcs;
mod verify;
