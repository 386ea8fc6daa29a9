//! Reads a file of the project, which must be what it was when it was listed, when it is opened and
//! when it has been read: the plan's sizes are in headers already, and a layer that mixes two states of a
//! file would be worse than none.

use std::fs::File;
use std::io::{self, Read};

use super::error::LayerError;
use super::pack::Packing;
use crate::event::Events;
use crate::oci::Digester;
use crate::plan::{DiskFile, FileStamp};
use crate::sys::beneath;

/// Hands the content of a file to `take`, which reads all of it, and takes note of its digest where
/// that is not known yet.
pub(super) fn read(
    file: &DiskFile,
    packing: &Packing,
    take: impl FnOnce(&mut Content<'_, File>) -> Result<(), LayerError>,
) -> Result<(), LayerError> {
    let path = || file.path.clone();
    let began = packing.clock.unix_seconds();
    let opened = beneath::open(packing.project, &file.path);
    let inner = opened.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LayerError::Vanished { path: path() },
        _ => LayerError::Read { path: path(), source },
    })?;
    check_stamp(&inner, file)?;
    warn_about_holes(&inner, file, packing.events);
    let digester = packing.digests.get(file).is_none().then(Digester::default);
    let mut content = Content { inner, digester, packing };
    take(&mut content).map_err(|error| match error {
        // Who reads may know the path in the layer; the user knows the one in the project.
        LayerError::Changed { .. } => LayerError::Changed { path: path() },
        LayerError::Read { source, .. } => LayerError::Read { path: path(), source },
        error => error,
    })?;
    check_stamp(&content.inner, file)?;
    if let Some(digester) = content.digester {
        packing.digests.learn(file, digester.finish(), began);
    }
    Ok(())
}

fn check_stamp(content: &File, file: &DiskFile) -> Result<(), LayerError> {
    let metadata = content
        .metadata()
        .map_err(|source| LayerError::Read { path: file.path.clone(), source })?;
    if metadata.is_file() && FileStamp::from(&metadata) == file.stamp {
        Ok(())
    } else {
        Err(LayerError::Changed { path: file.path.clone() })
    }
}

/// Content on its way: reported to the task, hashed where that is wanted, and cut off when the work is
/// cancelled.
pub(super) struct Content<'a, R> {
    inner: R,
    digester: Option<Digester>,
    packing: &'a Packing<'a>,
}

impl<'a, R> Content<'a, R> {
    /// Content that is no file's.
    pub(super) fn of(inner: R, packing: &'a Packing<'a>) -> Self {
        Self { inner, digester: None, packing }
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.packing.cancel.is_cancelled() {
            return Err(io::Error::other("the work was cancelled"));
        }
        let count = self.inner.read(buffer)?;
        self.packing.task.advance(count as u64);
        if let Some(digester) = &mut self.digester {
            digester.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Warns of a file that is mostly holes: a layer has no holes, and neither has what is unpacked.
#[cfg(unix)]
fn warn_about_holes(content: &File, file: &DiskFile, events: &Events) {
    use std::os::unix::fs::MetadataExt as _;

    const MIN_BYTES: u64 = 1024 * 1024;
    let Ok(metadata) = content.metadata() else { return };
    let (size, on_disk) = (metadata.len(), metadata.blocks() * 512);
    // A file system that compresses saves space as well, but hardly seven parts in eight.
    if size >= MIN_BYTES && on_disk < size / 8 {
        let path = file.path.escape_debug();
        let text = format!(
            "`{path}` is sparse: {on_disk} bytes on this disk, {size} bytes wherever the image is unpacked"
        );
        let hint = "exclude the file if the image does not need it".to_owned();
        events.warn("sparse-file", text, Some(hint));
    }
}

/// Elsewhere nothing says how much space a file takes.
#[cfg(not(unix))]
fn warn_about_holes(_content: &File, _file: &DiskFile, _events: &Events) {}
