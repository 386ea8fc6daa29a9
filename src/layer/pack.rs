//! Packing: entries and the project's files become a compressed tar in the store.
//!
//! One file is open at a time, and memory does not grow with the data. What a layer was made of is
//! written down by its key, so that the next build of the same finds it.

use std::io::{self, Write};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::Layer;
use super::compress::{CompressingWriter, media_type};
use super::compressors::Compressors;
use super::error::LayerError;
use super::file_digests::FileDigests;
use super::project_file::{self, Content};
use super::recall;
use super::stored_file;
use super::tar::{TarWriter, check_entries};
use crate::error::{Error, Result};
use crate::event::{Events, Task};
use crate::oci::{Descriptor, Digest, Digester};
use crate::plan::{
    Entry, EntryKind, FileSource, LayerCompression, LayerContent, LayerPlan, Origin,
};
use crate::store::{Store, StoreError};
use crate::sys::Clock;

/// What packing needs beside the plan.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// The project's folder, which the plan's files lie below.
    pub project: &'a Path,
    /// Where layers go, and what is remembered of them.
    pub store: &'a Store,
    /// What is known of the files' content; grows with every file that is read.
    pub digests: &'a FileDigests,
    /// Says when a file was read.
    pub clock: &'a dyn Clock,
    /// How layers are compressed.
    pub compression: LayerCompression,
    /// Who does it, for all layers of a run; the bytes do not depend on how many they are.
    pub compressors: &'a Compressors,
    /// Where warnings go: `sparse-file`.
    pub events: &'a Events,
    /// Is told of every byte of files' content.
    pub task: &'a Task,
    /// Ends the work early.
    pub cancel: &'a CancellationToken,
}

/// Makes a layer: one pass over the files gives tar, diff_id, blob and digest.
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
            recall::remember(entries, packing, diff_id, Some(&descriptor));
            (descriptor, diff_id, Origin::Store)
        }
    };
    Ok(Layer::of(plan, descriptor, diff_id, origin))
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
            // Who only wants to know the digest has nothing to be warned about.
            let packing = &Packing { events: &Events::none(), ..*packing };
            let tap = write_tar(entries, packing, io::sink())
                .map_err(|error| classify(error, packing))?;
            let diff_id = tap.digester.finish();
            recall::remember(entries, packing, diff_id, None);
            Ok(diff_id)
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
    let blob = packing.store.writer()?;
    let (blob, diff_id) = CompressingWriter::new(blob, packing.compression, packing.compressors)
        .map_err(|source| LayerError::Write { source })
        .and_then(|writer| write_tar(entries, packing, writer))
        .and_then(|tap| {
            let blob = tap.inner.finish().map_err(|source| LayerError::Write { source })?;
            Ok((blob, tap.digester.finish()))
        })
        .map_err(|error| classify(error, packing))?;
    let (digest, size_bytes) = blob.finish()?;
    Ok((Descriptor::new(media_type(packing.compression), digest, size_bytes), diff_id))
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
                writer.append(entry, Content::of(bytes.as_ref(), packing))?;
            }
            EntryKind::File(FileSource::Disk(file)) => {
                project_file::read(file, packing, |content| writer.append(entry, content))?;
            }
            EntryKind::File(FileSource::Stored(file)) => {
                let append = |content: &mut Content<'_, _>| writer.append(entry, content);
                stored_file::read(file, &entry.path, packing, append)?;
            }
        }
    }
    writer.finish()
}

/// Says what is behind an error: that the work was cancelled, or what the store knows about it.
pub(super) fn classify(error: LayerError, packing: &Packing) -> Error {
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use bytes::Bytes;

    use super::*;
    use crate::error::ErrorKind;
    use crate::event::{Action, Event};
    use crate::layer::testing::{Workshop, entry, plan};
    use crate::oci::MediaType;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut output).unwrap();
        output
    }

    #[test]
    fn a_layer_names_the_blob_in_the_store_and_the_tar_in_the_blob() {
        let workshop = Workshop::with_file(b"content");
        let plan = workshop.plan();
        let layer = pack(&plan, &workshop.packing()).unwrap();

        let blob = workshop.store.read(&layer.descriptor).unwrap().unwrap();
        let LayerContent::Pack(entries) = &plan.content else { unreachable!() };
        let mut tar = TarWriter::new(Vec::new());
        tar.append(&entries[0], io::empty()).unwrap();
        tar.append(&entries[1], b"content".as_slice()).unwrap();
        let tar = tar.finish().unwrap();
        assert_eq!(gunzip(&blob), tar);
        assert_eq!(
            layer,
            Layer {
                name: "files".into(),
                created_by: "dockless files".into(),
                descriptor: Descriptor::of(MediaType::OciLayerGzip, &blob),
                diff_id: Digest::of(&tar),
                origin: Origin::Store,
            }
        );
        assert_eq!(diff_id(&plan, &workshop.packing()).unwrap(), layer.diff_id);
        assert_eq!(workshop.leftovers(), 1);
    }

    #[test]
    fn the_compression_shows_in_the_blob_alone() {
        let workshop = Workshop::with_file(&b"content\n".repeat(500_000));
        let plan = workshop.plan();
        let gzip = pack(&plan, &workshop.packing()).unwrap();
        let compression = LayerCompression::Zstd;
        let packing = Packing { compression, ..workshop.packing() };
        let zstd = pack(&plan, &packing).unwrap();

        let blob = workshop.store.read(&zstd.descriptor).unwrap().unwrap();
        assert_eq!(zstd.descriptor, Descriptor::of(MediaType::OciLayerZstd, &blob));
        let tar = ::zstd::decode_all(&blob[..]).unwrap();
        assert_eq!(Digest::of(&tar), gzip.diff_id);
        assert_eq!(Layer { descriptor: gzip.descriptor.clone(), ..zstd }, gzip);
    }

    /// Several layers are packed at once: what one waits for never depends on another.
    #[test]
    fn layers_that_share_their_threads_are_what_they_are_alone() {
        let workshop = Workshop::with_file(&b"some text\n".repeat(1_000_000));
        let alone = pack(&workshop.plan(), &workshop.packing()).unwrap();
        let together = std::thread::scope(|scope| {
            let packing = || {
                let task = Events::none().task(Action::Pack, "test", None);
                pack(&workshop.plan(), &Packing { task: &task, ..workshop.packing() }).unwrap()
            };
            let running: Vec<_> = (0..8).map(|_| scope.spawn(packing)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(together, vec![alone; 8]);
        assert_eq!(workshop.leftovers(), 1);
    }

    #[test]
    fn the_task_hears_of_every_byte_of_content() {
        let workshop = Workshop::with_file(&vec![0; 300_000]);
        let mut plan = workshop.plan();
        let LayerContent::Pack(entries) = &mut plan.content else { unreachable!() };
        let bytes = Bytes::from(vec![0; 224_288]);
        entries.push(entry("b", EntryKind::File(FileSource::Bytes(bytes))));
        assert_eq!(content_bytes(&plan), 512 * 1024);

        let (events, receiver) = Events::channel();
        let task = events.task(Action::Pack, "test", None);
        pack(&plan, &Packing { task: &task, ..workshop.packing() }).unwrap();
        drop((task, events));
        let moved = receiver.iter().filter_map(|event| match event {
            Event::TaskProgress { bytes, .. } => Some(bytes),
            _ => None,
        });
        assert_eq!(moved.last(), Some(512 * 1024));
    }

    #[test]
    fn an_existing_layer_passes_through() {
        let workshop = Workshop::with_file(b"");
        let descriptor = Descriptor::of(MediaType::DockerLayerGzip, b"blob");
        let origin = Origin::Layout("elsewhere".into());
        let content = LayerContent::Existing {
            descriptor: descriptor.clone(),
            diff_id: Digest::of(b"tar"),
            origin: origin.clone(),
        };
        let plan = LayerPlan { content, ..plan(Vec::new()) };
        assert_eq!(
            pack(&plan, &workshop.packing()).unwrap(),
            Layer {
                name: plan.name.clone(),
                created_by: plan.created_by.clone(),
                descriptor,
                diff_id: Digest::of(b"tar"),
                origin,
            }
        );
        assert_eq!(diff_id(&plan, &workshop.packing()).unwrap(), Digest::of(b"tar"));
        assert_eq!((content_bytes(&plan), workshop.leftovers()), (0, 0));
    }

    /// Does something once, when the first content has been written.
    struct Meddler<F>(Option<F>);

    impl<F: FnOnce()> Write for Meddler<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.first() == Some(&b'#')
                && let Some(meddle) = self.0.take()
            {
                meddle();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// L14: whatever happens while the file is being read.
    #[test]
    fn a_file_that_changes_under_our_hands_is_an_error() {
        type Change = fn(&Path, &CancellationToken);
        let cases: [(&str, Change, &str); 4] = [
            (
                "grows",
                |path, _| File::options().append(true).open(path).unwrap().write_all(b"x").unwrap(),
                "`src/a` changed while the layer was made",
            ),
            (
                "shrinks",
                |path, _| File::options().write(true).open(path).unwrap().set_len(200_000).unwrap(),
                "`src/a` changed while the layer was made",
            ),
            (
                "is written in its middle",
                |path, _| File::options().write(true).open(path).unwrap().write_all(b"x").unwrap(),
                "`src/a` changed while the layer was made",
            ),
            (
                "we are told to stop",
                |_, cancel| cancel.cancel(),
                "interrupted while making the layer",
            ),
        ];
        for (name, change, expected) in cases {
            let workshop = Workshop::with_file(&vec![b'#'; 300_000]);
            let LayerContent::Pack(entries) = workshop.plan().content else { unreachable!() };
            let meddler = Meddler(Some(|| change(&workshop.path(), &workshop.cancel)));
            let result = write_tar(&entries, &workshop.packing(), meddler);
            let error = classify(result.err().expect(name), &workshop.packing());
            assert_eq!(error.lines(), [expected], "{name}");
        }
    }

    #[test]
    fn a_cancelled_layer_leaves_nothing() {
        let workshop = Workshop::with_file(b"content");
        let plan = workshop.plan();
        workshop.cancel.cancel();
        let error = pack(&plan, &workshop.packing()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(workshop.leftovers(), 0);
    }

    #[test]
    fn what_no_layer_may_have_is_the_users_turn_and_found_before_any_work() {
        let workshop = Workshop::with_file(b"content");
        let kind = EntryKind::File(FileSource::Bytes(Bytes::new()));
        let plan = plan(vec![entry(".wh.a", kind)]);
        for error in [
            check(&plan).unwrap_err(),
            pack(&plan, &workshop.packing()).unwrap_err(),
            diff_id(&plan, &workshop.packing()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert_eq!(error.hints(), ["rename the file or exclude it"]);
        }
    }
}
