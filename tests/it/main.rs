//! Stories: what users see, proved with real files and independent tools.

mod config;
mod files;
mod vcs;
