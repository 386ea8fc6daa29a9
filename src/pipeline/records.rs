//! Files for later steps: digest, image id, metadata, the build record. Written last, once the
//! result was told, each in whole or not at all; what cannot be written is refused at the start.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ProducedImage, RecordFiles};
use crate::error::{Classified, ErrorKind, Result};
use crate::sys::atomic_file;

/// A record cannot be written.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("cannot write `{}`", path.display())]
    Unwritable { path: PathBuf, source: std::io::Error },
    #[error("cannot write `{}`: it is a folder", path.display())]
    Folder { path: PathBuf },
    #[error("cannot write `{}`: there is no folder `{}`", path.display(), parent.display())]
    NoParent { path: PathBuf, parent: PathBuf },
}

impl Classified for RecordError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unwritable { .. } => ErrorKind::Failed,
            Self::Folder { .. } | Self::NoParent { .. } => ErrorKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unwritable { .. } => Vec::new(),
            Self::Folder { .. } => vec!["name a file".into()],
            Self::NoParent { .. } => vec!["make the folder first, or name another one".into()],
        }
    }
}

impl RecordFiles {
    /// Every file that will be written.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.digest, &self.image_id, &self.metadata, &self.build].into_iter().flatten()
    }

    /// Refuses what cannot be written, before anything is published.
    pub(super) fn check(&self) -> Result<()> {
        for path in self.paths() {
            if path.is_dir() {
                return Err(RecordError::Folder { path: path.clone() }.into());
            }
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            if !parent.is_dir() {
                let (path, parent) = (path.clone(), parent.to_owned());
                return Err(RecordError::NoParent { path, parent }.into());
            }
        }
        Ok(())
    }

    /// Writes what was asked for; called once the result was told, which it must not cost.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, image: &ProducedImage) -> Result<()> {
        if let Some(path) = &self.digest {
            write(path, image.descriptor.digest.to_string().as_bytes())?;
        }
        if let Some(path) = &self.image_id {
            write(path, image.image_id().to_string().as_bytes())?;
        }
        if let Some(path) = &self.metadata {
            write_document(path, &image.metadata())?;
        }
        if let (Some(path), Some(record)) = (&self.build, &image.record) {
            write_document(path, &record.document(image))?;
        }
        Ok(())
    }
}

fn write_document(path: &Path, document: &Value) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(document).expect("a JSON value can be written");
    text.push(b'\n');
    write(path, &text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_file::write_in_place_of(path, bytes)
        .map_err(|source| RecordError::Unwritable { path: path.to_owned(), source }.into())
}
