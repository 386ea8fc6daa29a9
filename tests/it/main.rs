//! One binary for all stories: what users see, proved with real files and independent tools.

mod architecture;
mod bad_input;
mod base;
mod build;
mod config;
mod engines;
mod files;
mod layers;
mod publish;
mod registry;
mod reproducibility;
mod support;
mod vcs;
