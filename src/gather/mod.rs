//! The I/O half of planning: [`Need`](crate::plan::Need)s become [`Inputs`](crate::plan::Inputs).
//!
//! It looks and never writes. Whatever is wrong with the user's files is found here, all of it at
//! once and before the first side effect. Start reading at [`gather_files`] (the project's files),
//! [`vcs_facts`] (what version control says of them), [`take_files`] (files of other images),
//! [`base::resolve`] (what the image stands on)
//! and [`facts::root_tree`] (what our layers must respect of it).

pub mod base;
mod error;
pub mod facts;
mod files;
mod filter;
mod folder;
mod image_files;
mod listing;
mod pins;
mod project;
mod remarks;
mod vcs;
mod walk;

pub use error::{Fault, FaultCause, FilesError};
pub use files::{gather_files, list_tree, read_file};
pub use image_files::take_files;
pub use pins::{LockUse, Missing, Pins, read_lock};
pub use project::{Project, ReadFiles};
pub use vcs::vcs_facts;
