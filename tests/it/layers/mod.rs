//! Layers and the store, as readers that nobody here wrote see them, and on a bad day.

mod packing;
mod readers;
mod seen;
mod store;

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use dockless::error::Result;
use dockless::event::{Action, Events};
use dockless::layer::{Compressors, FileDigests, Layer, Packing, pack};
use dockless::plan::{Entry, EntryKind, FileSource, LayerCompression, LayerContent, LayerPlan};
use dockless::store::Store;
use dockless::sys::SystemClock;
use tokio_util::sync::CancellationToken;

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0 }
}

fn file(path: &str, content: impl Into<Bytes>) -> Entry {
    let kind = EntryKind::File(FileSource::Bytes(content.into()));
    Entry { mode: 0o644, ..entry(path, kind) }
}

/// Packs entries from this folder into the store.
fn pack_from(project: &Path, entries: Vec<Entry>, store: &Store, threads: usize) -> Result<Layer> {
    let plan = LayerPlan {
        name: "story".into(),
        created_by: "story".into(),
        content: LayerContent::Pack(entries),
    };
    let events = Events::none();
    let task = events.task(Action::Pack, "story", None);
    let cancel = CancellationToken::new();
    let digests = &FileDigests::none(project);
    let (clock, events, task, cancel) = (&SystemClock, &events, &task, &cancel);
    let (compression, compressors) = (LayerCompression::Gzip, &Compressors::new(threads));
    let packing =
        Packing { project, store, digests, clock, compression, compressors, events, task, cancel };
    pack(&plan, &packing)
}

/// Packs entries that need no files, and gives the path of the blob.
fn pack_bytes(entries: &[Entry], store: &Store) -> (Layer, PathBuf) {
    let layer = pack_from(Path::new("/"), entries.to_vec(), store, 2).unwrap();
    let path = store.blob_path(&layer.descriptor.digest);
    (layer, path)
}

/// Runs a program to its end and gives what it printed.
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    output.stdout
}

fn numbered(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1000)
}
