//! Reads a file of the project, which must be what it was when it was listed, when it is opened and
//! when it has been read: the plan's sizes are in headers already, and a layer that mixes two states of a
//! file would be worse than none.

use std::fs::File;
use std::io::{self, Read};

use super::error::LayerError;
use super::pack::Packing;
use crate::event::Events;
use crate::oci::{Digest, Digester};
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

    /// As [`Content::of`], with its digest taken.
    pub(super) fn hashed(inner: R, packing: &'a Packing<'a>) -> Self {
        Self { digester: Some(Digester::default()), ..Self::of(inner, packing) }
    }

    /// The digest of what was read, where it was taken.
    pub(super) fn digest(self) -> Option<Digest> {
        self.digester.map(Digester::finish)
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

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::error::ErrorKind;
    use crate::event::Event;
    use crate::layer::testing::Workshop;
    use crate::layer::{TarWriter, diff_id, pack};
    use crate::plan::LayerContent;

    /// L13.
    #[test]
    fn a_sparse_file_is_written_out_with_one_warning() {
        const SIZE: u64 = 2 << 20;
        let (events, receiver) = Events::channel();
        let workshop = Workshop::with_file(b"");
        let packing = Packing { events: &events, ..workshop.packing() };
        File::options().write(true).open(workshop.path()).unwrap().set_len(SIZE).unwrap();
        let plan = workshop.plan();
        diff_id(&plan, &packing).unwrap();
        let layer = pack(&plan, &packing).unwrap();

        let LayerContent::Pack(entries) = &plan.content else { unreachable!() };
        let mut tar = TarWriter::new(Vec::new());
        tar.append(&entries[0], io::empty()).unwrap();
        tar.append(&entries[1], io::repeat(0).take(SIZE)).unwrap();
        assert_eq!(layer.diff_id, Digest::of(&tar.finish().unwrap()));
        let text =
            "`src/a` is sparse: 0 bytes on this disk, 2097152 bytes wherever the image is unpacked";
        let hint = "exclude the file if the image does not need it";
        let warning =
            Event::Warning { code: "sparse-file", text: text.into(), hint: Some(hint.into()) };
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [warning]);
    }

    /// L14, L15, L17, L21: whatever happened between the listing and the opening.
    #[test]
    fn a_file_that_is_not_what_was_listed_is_an_error() {
        type Change = fn(&Path);
        let changed = "`src/a` changed while the layer was made";
        let vanished = "`src/a` vanished while the layer was made";
        let unreadable = "cannot read `src/a`";
        let cases: [(&str, Change, &str); 9] = [
            ("grown", |path| fs::write(path, "content and more").unwrap(), changed),
            ("shrunk", |path| fs::write(path, "con").unwrap(), changed),
            ("rewritten", |path| fs::write(path, "CONTENT").unwrap(), changed),
            (
                "touched",
                |path| {
                    let file = File::options().write(true).open(path).unwrap();
                    file.set_modified(UNIX_EPOCH + Duration::from_nanos(1)).unwrap();
                },
                changed,
            ),
            (
                "replaced by its equal",
                |path| {
                    let copy = path.with_extension("copy");
                    fs::write(&copy, "content").unwrap();
                    File::options()
                        .write(true)
                        .open(&copy)
                        .unwrap()
                        .set_modified(UNIX_EPOCH)
                        .unwrap();
                    fs::rename(copy, path).unwrap();
                },
                changed,
            ),
            ("gone", |path| fs::remove_file(path).unwrap(), vanished),
            (
                "a link",
                |path| replace(path, |path| std::os::unix::fs::symlink("/etc/passwd", path)),
                unreadable,
            ),
            ("a folder", |path| replace(path, |path| fs::create_dir(path)), changed),
            (
                "a FIFO",
                |path| {
                    replace(path, |path| {
                        let mode = rustix::fs::Mode::from_raw_mode(0o600);
                        Ok(rustix::fs::mknodat(
                            rustix::fs::CWD,
                            path,
                            rustix::fs::FileType::Fifo,
                            mode,
                            0,
                        )?)
                    });
                },
                changed,
            ),
        ];
        for (name, change, expected) in cases {
            let workshop = Workshop::with_file(b"content");
            let plan = workshop.plan();
            change(&workshop.path());
            let error = pack(&plan, &workshop.packing()).unwrap_err();
            assert_eq!(
                (error.kind(), error.lines()[0].as_str()),
                (ErrorKind::Failed, expected),
                "{name}"
            );
            assert_eq!(workshop.leftovers(), 0, "{name}");
            assert!(diff_id(&plan, &workshop.packing()).is_err(), "{name}");
        }
    }

    fn replace(path: &Path, make: fn(&Path) -> io::Result<()>) {
        fs::remove_file(path).unwrap();
        make(path).unwrap();
    }
}
