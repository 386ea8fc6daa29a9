//! One binary for all stories: what users see, proved with real files and independent tools.

mod config;
mod files;
mod layers;
mod registry;
mod support;
mod vcs;
