//! The I/O half of planning: [`Need`](crate::plan::Need)s become [`Inputs`](crate::plan::Inputs).
//!
//! It looks and never writes. Whatever is wrong with the user's files is found here, all of it at
//! once and before the first side effect. Start reading at [`gather_files`] (the project's files),
//! [`vcs_facts`] (what version control says of them), [`base::resolve`] (what the image stands on)
//! and [`facts::root_tree`] (what our layers must respect of it).

pub mod base;
mod error;
pub mod facts;
mod files;
mod folder;
mod project;
mod remarks;
mod vcs;
mod walk;

pub use error::{Fault, FaultCause, FilesError};
pub use files::{gather_files, list_tree, read_file};
pub use project::Project;
pub use vcs::{VcsUnknown, vcs_facts};

/// Runs something that keeps a thread busy or waits for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let result = tokio::task::spawn_blocking(work).await;
    match result.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Only a runtime that is being shut down cancels such work: nobody will ask again.
        Err(Err(_)) => std::future::pending().await,
    }
}
