//! Packing: entries and the project's files become a compressed tar in the store.
//!
//! One file is open at a time, and memory does not grow with the data. A file must be what it was
//! when it was listed, when it is opened and when it has been read: the plan's sizes are in headers
//! already, and a layer that mixes two states of a file would be worse than none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::Layer;
use super::compress::GzipWriter;
use super::error::LayerError;
use super::tar::{TarWriter, check_entries};
use crate::error::{Error, Result};
use crate::event::Task;
use crate::oci::{Descriptor, Digest, Digester, MediaType};
use crate::plan::{
    DiskFile, Entry, EntryKind, FileSource, FileStamp, LayerContent, LayerPlan, Origin,
};
use crate::store::{Store, StoreError};
use crate::sys::beneath;

/// What packing needs beside the plan.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// The project's folder, which the plan's files lie below.
    pub project: &'a Path,
    /// Where layers go.
    pub store: &'a Store,
    /// How many threads deflate; the bytes do not depend on it.
    pub threads: usize,
    /// Is told of every byte of files' content.
    pub task: &'a Task,
    /// Ends the work early.
    pub cancel: &'a CancellationToken,
}

/// Makes a layer: one pass over the files gives tar, diff_id, gzip and digest.
///
/// A layer that exists already passes through. Blocking: run it on a thread of its own.
///
/// # Errors
///
/// Those of [`check`], then [`LayerError`] for a file that changed, vanished or cannot be read,
/// [`StoreError`] when the store cannot be written. Nothing is left in the store.
pub fn pack(plan: &LayerPlan, packing: &Packing) -> Result<Layer> {
    check(plan)?;
    let (descriptor, diff_id, origin) = match &plan.content {
        LayerContent::Existing { descriptor, diff_id, origin } => {
            (descriptor.clone(), *diff_id, origin.clone())
        }
        LayerContent::Pack(entries) => {
            let (descriptor, diff_id) = pack_entries(entries, packing)?;
            (descriptor, diff_id, Origin::Store)
        }
    };
    Ok(Layer {
        name: plan.name.clone(),
        created_by: plan.created_by.clone(),
        descriptor,
        diff_id,
        origin,
    })
}

/// Computes the diff_id that [`pack`] would give: reads the files, compresses and writes nothing.
///
/// # Errors
///
/// As for [`pack`], less those of the store.
pub fn diff_id(plan: &LayerPlan, packing: &Packing) -> Result<Digest> {
    check(plan)?;
    match &plan.content {
        LayerContent::Existing { diff_id, .. } => Ok(*diff_id),
        LayerContent::Pack(entries) => {
            let tap = write_tar(entries, packing, io::sink())
                .map_err(|error| classify(error, packing))?;
            Ok(tap.digester.finish())
        }
    }
}

/// Checks that the plan's entries can be in a layer; touches nothing, so it can be asked before
/// the first side effect.
///
/// # Errors
///
/// See [`check_entries`].
pub fn check(plan: &LayerPlan) -> Result<()> {
    match &plan.content {
        LayerContent::Existing { .. } => Ok(()),
        LayerContent::Pack(entries) => Ok(check_entries(entries)?),
    }
}

/// How many bytes [`pack`] and [`diff_id`] report to their task.
pub fn content_bytes(plan: &LayerPlan) -> u64 {
    let LayerContent::Pack(entries) = &plan.content else { return 0 };
    let size_bytes = |entry: &Entry| match &entry.kind {
        EntryKind::File(source) => source.size_bytes(),
        EntryKind::Directory | EntryKind::Symlink(_) => 0,
    };
    entries.iter().map(size_bytes).sum()
}

fn pack_entries(entries: &[Entry], packing: &Packing) -> Result<(Descriptor, Digest)> {
    let gzip = GzipWriter::new(packing.store.writer()?, packing.threads);
    let (blob, diff_id) = write_tar(entries, packing, gzip)
        .and_then(|tap| {
            let blob = tap.inner.finish().map_err(|source| LayerError::Write { source })?;
            Ok((blob, tap.digester.finish()))
        })
        .map_err(|error| classify(error, packing))?;
    let (digest, size_bytes) = blob.finish()?;
    Ok((Descriptor::new(MediaType::OciLayerGzip, digest, size_bytes), diff_id))
}

fn write_tar<W: Write>(
    entries: &[Entry],
    packing: &Packing,
    inner: W,
) -> Result<Tap<W>, LayerError> {
    let mut writer = TarWriter::new(Tap { inner, digester: Digester::default() });
    for entry in entries {
        match &entry.kind {
            EntryKind::Directory | EntryKind::Symlink(_) => writer.append(entry, io::empty())?,
            EntryKind::File(FileSource::Bytes(bytes)) => {
                writer.append(entry, Source { inner: bytes.as_ref(), packing })?;
            }
            EntryKind::File(FileSource::Disk(file)) => {
                append_file(&mut writer, entry, file, packing)?;
            }
        }
    }
    writer.finish()
}

/// Adds a file of the project, if it is what it was when it was listed.
fn append_file<W: Write>(
    writer: &mut TarWriter<W>,
    entry: &Entry,
    file: &DiskFile,
    packing: &Packing,
) -> Result<(), LayerError> {
    let path = || file.path.clone();
    let mut content =
        beneath::open(packing.project, &file.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => LayerError::Vanished { path: path() },
            _ => LayerError::Read { path: path(), source },
        })?;
    check_stamp(&content, file)?;
    writer.append(entry, Source { inner: &mut content, packing }).map_err(|error| match error {
        // The writer knows the path in the layer; the user knows the one in the project.
        LayerError::Changed { .. } => LayerError::Changed { path: path() },
        LayerError::Read { source, .. } => LayerError::Read { path: path(), source },
        error => error,
    })?;
    check_stamp(&content, file)
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

/// Says what is behind an error: that the work was cancelled, or what the store knows about it.
fn classify(error: LayerError, packing: &Packing) -> Error {
    if packing.cancel.is_cancelled() {
        return LayerError::Cancelled.into();
    }
    match error {
        LayerError::Write { source } => match StoreError::from_io(source) {
            Ok(error) => error.into(),
            Err(source) => LayerError::Write { source }.into(),
        },
        error => error.into(),
    }
}

/// Reads content, reports it to the task, and stops when the work is cancelled.
struct Source<'a, R> {
    inner: R,
    packing: &'a Packing<'a>,
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.packing.cancel.is_cancelled() {
            return Err(io::Error::other("the work was cancelled"));
        }
        let count = self.inner.read(buffer)?;
        self.packing.task.advance(count as u64);
        Ok(count)
    }
}

/// Hashes what passes.
struct Tap<W> {
    inner: W,
    digester: Digester,
}

impl<W: Write> Write for Tap<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.digester.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
