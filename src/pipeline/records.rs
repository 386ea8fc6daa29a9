//! Files for later steps: digest, image id, metadata. Written last, each in whole or not at all.

use std::path::{Path, PathBuf};

use super::{ProducedImage, RecordFiles};
use crate::error::{Classified, ErrorKind, Result};
use crate::sys::atomic_file;

/// A record cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
struct Unwritable {
    path: PathBuf,
    source: std::io::Error,
}

impl Classified for Unwritable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}

impl RecordFiles {
    /// Every file that will be written.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.digest, &self.image_id, &self.metadata].into_iter().flatten()
    }

    /// Writes what was asked for.
    pub(super) fn write(&self, image: &ProducedImage) -> Result<()> {
        if let Some(path) = &self.digest {
            write(path, image.descriptor.digest.to_string().as_bytes())?;
        }
        if let Some(path) = &self.image_id {
            write(path, image.image_id().to_string().as_bytes())?;
        }
        if let Some(path) = &self.metadata {
            let mut text =
                serde_json::to_vec_pretty(&image.metadata()).expect("a JSON value can be written");
            text.push(b'\n');
            write(path, &text)?;
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_file::write(path, bytes)
        .map_err(|source| Unwritable { path: path.to_owned(), source }.into())
}
