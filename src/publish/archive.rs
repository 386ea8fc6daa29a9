//! An OCI layout in a tar: what `oci-archive:` and `docker-archive:` have in common.
//!
//! The same image gives the same bytes. Layers go from where they are straight into the tar, and
//! are hashed on the way; the file takes its place when all of it is right.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::contents::{self, Contents, Counted};
use super::folder::LAYOUT_CONTENT;
use super::{PublishContext, PublishError};
use crate::error::{Attempting as _, Error, Result};
use crate::event::{Action, Task, readable_size};
use crate::layer::{Layer, TarWriter};
use crate::oci::{Descriptor, Digester, Document, Index, MediaType};
use crate::plan::{DiskFile, Entry, EntryKind, FileSource, FileStamp};
use crate::store::layout::{INDEX_FILE, LAYOUT_FILE};
use crate::sys::atomic_file::AtomicFile;
use crate::sys::{blocking, wait_for};

/// Where an archive goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// To standard output, written as `-`.
    Stdout,
    /// Into a file.
    File(PathBuf),
}

/// What is in an archive beside the blobs.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) contents: Contents,
    pub(super) index: Document<Index>,
    /// For readers that know no layouts: file names and contents.
    pub(super) extra: BTreeMap<String, Bytes>,
}

impl Place {
    /// Reads what stands behind `oci-archive:`.
    pub(super) fn parse(text: &str, path: &str) -> Result<Self, PublishError> {
        match path {
            "" => Err(PublishError::InvalidDestination {
                text: text.to_owned(),
                reason: "it names no file".into(),
            }),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::File(path.into())),
        }
    }

    /// Makes sure that a file can be written there, without touching anything.
    pub(super) fn check(&self) -> Result<(), PublishError> {
        let Self::File(path) = self else { return Ok(()) };
        let bad = |reason| Err(PublishError::BadFile { path: path.clone(), reason });
        if path.is_dir() {
            return bad("it is a folder");
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if !parent.is_none_or(Path::is_dir) {
            return bad("its folder does not exist");
        }
        Ok(())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("-"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Writes an archive to its place.
///
/// # Errors
///
/// [`PublishError::Write`] and [`PublishError::MissingBlob`]; those of whoever has the layers.
pub(super) async fn write(archive: Archive, place: &Place, context: &PublishContext) -> Result<()> {
    let total_bytes = archive.contents.size_bytes();
    let task = context.events.task(Action::Write, place.to_string(), Some(total_bytes));
    let (place, context, handle) = (place.clone(), context.clone(), Handle::current());
    let attempt = place.clone();
    let written = blocking(move || {
        let sources = Sources { context: &context, handle, task: &task };
        match &place {
            Place::Stdout => archive.write_to(context.stdout.clone(), &sources).map(drop),
            Place::File(path) => archive.write_file(path, &sources),
        }?;
        task.finish(readable_size(total_bytes));
        Ok::<_, Error>(())
    });
    written.await.attempting(|| format!("write an archive to `{attempt}`"))
}

/// Where the layers of an archive come from.
struct Sources<'a> {
    context: &'a PublishContext,
    handle: Handle,
    task: &'a Task,
}

impl Archive {
    fn write_file(&self, path: &Path, sources: &Sources<'_>) -> Result<()> {
        let failed = |source| PublishError::Write { place: path.display().to_string(), source };
        // The file behind a link is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // A pipe or a device is written to, never replaced.
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            let file: File = OpenOptions::new().write(true).open(&path).map_err(failed)?;
            return self.write_to(file, sources).map(drop);
        }
        let file = AtomicFile::create(&path).map_err(failed)?;
        self.write_to(file, sources)?.finish().map_err(failed).map_err(Error::from)
    }

    /// Writes the entries in the order of their names.
    fn write_to<W: Write>(&self, writer: W, sources: &Sources<'_>) -> Result<W> {
        let mut tar = TarWriter::new(BufWriter::with_capacity(128 * 1024, writer));
        for (path, member) in self.members() {
            match member {
                Member::Folder => tar.append(&entry(path, EntryKind::Directory), io::empty())?,
                Member::Bytes(bytes) => {
                    let kind = EntryKind::File(FileSource::Bytes(bytes.clone()));
                    tar.append(&entry(path, kind), &bytes[..])?;
                }
                Member::Layer(layer) => append_layer(&mut tar, path, layer, sources)?,
            }
        }
        let failed = |source| PublishError::Write { place: "the archive".into(), source };
        let buffer = tar.finish()?;
        let mut writer = buffer.into_inner().map_err(|error| failed(error.into_error()))?;
        writer.flush().map_err(failed)?;
        Ok(writer)
    }

    fn members(&self) -> BTreeMap<String, Member<'_>> {
        let Contents { layers, documents } = &self.contents;
        let layers = layers.iter().map(|(digest, layer)| (digest, Member::Layer(layer)));
        let documents =
            documents.iter().map(|(digest, bytes)| (digest, Member::Bytes(bytes.clone())));
        let blobs = layers.chain(documents);
        let mut members: BTreeMap<_, _> =
            blobs.map(|(digest, member)| (blob_path(digest), member)).collect();
        for (path, bytes) in &self.extra {
            members.insert(path.clone(), Member::Bytes(bytes.clone()));
        }
        members.insert("blobs".into(), Member::Folder);
        members.insert("blobs/sha256".into(), Member::Folder);
        members.insert(INDEX_FILE.into(), Member::Bytes(self.index.bytes.clone()));
        members.insert(LAYOUT_FILE.into(), Member::Bytes(Bytes::from_static(LAYOUT_CONTENT)));
        members
    }
}

enum Member<'a> {
    Folder,
    Bytes(Bytes),
    Layer(&'a Layer),
}

/// Where a blob lies in a layout.
pub(super) fn blob_path(digest: &crate::oci::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The index of an archive: the image under each of these annotations.
pub(super) fn index_of(image: &Descriptor, names: &[BTreeMap<String, String>]) -> Document<Index> {
    let mut entries: Vec<Descriptor> = names
        .iter()
        .map(|annotations| {
            let mut named = image.clone();
            named.annotations.extend(annotations.clone());
            named
        })
        .collect();
    if entries.is_empty() {
        entries.push(image.clone());
    }
    Document::write(Index::new(entries), MediaType::OciIndex)
}

fn entry(path: String, kind: EntryKind) -> Entry {
    let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
    Entry { path, kind, mode, uid: 0, gid: 0, mtime: 0 }
}

fn append_layer<W: Write>(
    tar: &mut TarWriter<W>,
    path: String,
    layer: &Layer,
    sources: &Sources<'_>,
) -> Result<()> {
    let descriptor = &layer.descriptor;
    let stamp = FileStamp { size_bytes: descriptor.size, ..FileStamp::default() };
    let kind = EntryKind::File(FileSource::Disk(DiskFile { path: path.clone(), stamp }));
    let (opened, context) = (layer.clone(), sources.context.clone());
    let blob = wait_for(&sources.handle, async move { contents::open(&opened, &context).await });
    let blob = blob.map_err(|source| PublishError::Write { place: path.clone(), source })??;
    let mut blob = Hashed {
        inner: Counted { inner: blob, task: sources.task },
        digester: Digester::default(),
    };
    tar.append(&entry(path, kind), &mut blob)?;
    if blob.digester.finish() == descriptor.digest {
        return Ok(());
    }
    let place = "where it was".to_owned();
    Err(PublishError::MissingBlob { digest: descriptor.digest, place }.into())
}

struct Hashed<R> {
    inner: R,
    digester: Digester,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digester.update(&buffer[..count]);
        Ok(count)
    }
}
