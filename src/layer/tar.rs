//! A tar stream, written so that the same entries give the same bytes everywhere.
//!
//! Knows entries and [`Write`], no files. What the stream must not say is an error before anything
//! of the entry is written (image-spec, layer.md).

use std::collections::BTreeSet;
use std::io::{Read, Write};

use super::error::{LayerError, PathProblem};
use super::header::{BLOCK_BYTES, header, padding};
use crate::plan::{Entry, EntryKind};

const MAX_PATH_BYTES: usize = 4096;
const MAX_NAME_BYTES: usize = 255;
const COPY_BYTES: usize = 128 * 1024;

/// Writes entries as a tar stream.
#[derive(Debug)]
pub struct TarWriter<W> {
    inner: W,
    last_path: Option<String>,
    buffer: Vec<u8>,
}

impl<W: Write> TarWriter<W> {
    /// Begins a stream.
    pub fn new(inner: W) -> Self {
        Self { inner, last_path: None, buffer: vec![0; COPY_BYTES] }
    }

    /// Adds an entry; `content` is read only for files, and must have exactly the entry's size.
    ///
    /// # Errors
    ///
    /// [`LayerError::Path`] and [`LayerError::LinkTarget`] for what must not be in a layer,
    /// [`LayerError::Order`] for an entry that does not come after the last one,
    /// [`LayerError::Changed`] for content of another size, and those of reading and writing. The
    /// stream is of no use after any of them.
    pub fn append(&mut self, entry: &Entry, content: impl Read) -> Result<(), LayerError> {
        check_entry(entry)?;
        if self.last_path.as_ref().is_some_and(|last| *last >= entry.path) {
            return Err(LayerError::Order { path: entry.path.clone() });
        }
        self.last_path = Some(entry.path.clone());
        self.write(&header(entry))?;
        match &entry.kind {
            EntryKind::File(source) => self.copy(&entry.path, source.size_bytes(), content),
            EntryKind::Directory | EntryKind::Symlink(_) => Ok(()),
        }
    }

    /// Ends the stream with two blocks of zeros and gives back the writer.
    ///
    /// # Errors
    ///
    /// [`LayerError::Write`].
    pub fn finish(mut self) -> Result<W, LayerError> {
        self.write(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.inner)
    }

    /// Copies exactly `size_bytes`, and makes sure that there is nothing more.
    fn copy(
        &mut self,
        path: &str,
        size_bytes: u64,
        mut content: impl Read,
    ) -> Result<(), LayerError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut missing_bytes = size_bytes;
        loop {
            // One byte more than is wanted shows that a file has grown.
            let wanted = missing_bytes.saturating_add(1).min(buffer.len() as u64);
            let wanted = usize::try_from(wanted).expect("it is at most the buffer's length");
            let count = match content.read(&mut buffer[..wanted]) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(LayerError::Read { path: path.to_owned(), source }),
            };
            if (count == 0) != (missing_bytes == 0) || count as u64 > missing_bytes {
                return Err(LayerError::Changed { path: path.to_owned() });
            }
            if count == 0 {
                break;
            }
            self.write(&buffer[..count])?;
            missing_bytes -= count as u64;
        }
        self.buffer = buffer;
        self.write(&[0; BLOCK_BYTES][..padding(size_bytes)])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.inner.write_all(bytes).map_err(|source| LayerError::Write { source })
    }
}

/// Checks the entries of a whole layer: each for itself, their order, and that every parent is
/// there.
///
/// # Errors
///
/// The first of [`LayerError::Path`], [`LayerError::LinkTarget`], [`LayerError::Order`] and
/// [`LayerError::NoParent`].
pub fn check_entries(entries: &[Entry]) -> Result<(), LayerError> {
    let mut folders = BTreeSet::from([""]);
    let mut last: Option<&str> = None;
    for entry in entries {
        check_entry(entry)?;
        let path = entry.path.as_str();
        if last.is_some_and(|last| last >= path) {
            return Err(LayerError::Order { path: path.to_owned() });
        }
        last = Some(path);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !folders.contains(parent) {
            return Err(LayerError::NoParent { path: path.to_owned() });
        }
        if entry.kind == EntryKind::Directory {
            folders.insert(path);
        }
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), LayerError> {
    let path = || entry.path.clone();
    if let Some(problem) = path_problem(&entry.path) {
        return Err(LayerError::Path { path: path(), problem });
    }
    if let EntryKind::Symlink(target) = &entry.kind {
        let problem = match target.as_str() {
            "" => "is empty",
            target if target.contains('\0') => "has a NUL byte",
            target if target.len() > MAX_PATH_BYTES => "has more than 4096 bytes",
            _ => return Ok(()),
        };
        return Err(LayerError::LinkTarget { path: path(), problem });
    }
    Ok(())
}

fn path_problem(path: &str) -> Option<PathProblem> {
    let any = |is_bad: fn(&str) -> bool| path.split('/').any(is_bad);
    let rules = [
        (path.is_empty(), PathProblem::Empty),
        (path.starts_with('/'), PathProblem::Absolute),
        (path.contains('\0'), PathProblem::Nul),
        (any(|part| matches!(part, "" | "." | "..")), PathProblem::Parts),
        (any(|part| part.starts_with(".wh.")), PathProblem::Whiteout),
        (any(|part| part.len() > MAX_NAME_BYTES), PathProblem::LongName),
        (path.len() > MAX_PATH_BYTES, PathProblem::LongPath),
    ];
    rules.into_iter().find_map(|(is_broken, problem)| is_broken.then_some(problem))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::plan::{DiskFile, FileSource, FileStamp};

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0 }
    }

    fn folder(path: &str) -> Entry {
        entry(path, EntryKind::Directory)
    }

    fn file(path: &str) -> Entry {
        entry(path, EntryKind::File(FileSource::Bytes(Bytes::new())))
    }

    fn sized(size_bytes: u64) -> Entry {
        let stamp = FileStamp { size_bytes, ..FileStamp::default() };
        entry("a", EntryKind::File(FileSource::Disk(DiskFile { path: "a".into(), stamp })))
    }

    #[test]
    fn a_stream_is_headers_content_padding_and_two_blocks_of_zeros() {
        let mut writer = TarWriter::new(Vec::new());
        writer.append(&folder("d"), std::io::empty()).unwrap();
        let content = [b'x'; 600];
        let entry =
            entry("d/f", EntryKind::File(FileSource::Bytes(Bytes::copy_from_slice(&content))));
        writer.append(&entry, content.as_slice()).unwrap();
        let expected =
            [header(&folder("d")), header(&entry), content.to_vec(), vec![0; 424], vec![0; 1024]];
        assert_eq!(writer.finish().unwrap(), expected.concat());
        assert_eq!(TarWriter::new(Vec::new()).finish().unwrap(), [0; 1024]);
    }

    /// L14: the size was promised by the header, so another one is never glossed over.
    #[test]
    fn content_of_another_size_is_an_error() {
        let copy = COPY_BYTES as u64;
        for (size, actual, is_right) in [
            (0, 0, true),
            (0, 1, false),
            (1, 0, false),
            (512, 511, false),
            (512, 513, false),
            (copy, copy, true),
            (copy, copy - 1, false),
            (copy, copy + 1, false),
            (copy + 1, copy, false),
            (copy - 1, copy, false),
        ] {
            let result =
                TarWriter::new(Vec::new()).append(&sized(size), std::io::repeat(1).take(actual));
            match result {
                Ok(()) => assert!(is_right, "{size} {actual}"),
                Err(LayerError::Changed { path }) => {
                    assert!(!is_right, "{size} {actual}");
                    assert_eq!(path, "a");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn paths_that_no_layer_may_have() {
        let long_name = "n".repeat(256);
        let long_path = format!("{}n", "n/".repeat(2048));
        for (path, expected) in [
            ("", PathProblem::Empty),
            ("/etc", PathProblem::Absolute),
            ("a\0b", PathProblem::Nul),
            ("..", PathProblem::Parts),
            ("a/../b", PathProblem::Parts),
            ("./a", PathProblem::Parts),
            ("a//b", PathProblem::Parts),
            ("a/", PathProblem::Parts),
            (".wh.a", PathProblem::Whiteout),
            ("a/.wh..wh..opq", PathProblem::Whiteout),
            (".wh.d/a", PathProblem::Whiteout),
            (&long_name, PathProblem::LongName),
            (&long_path, PathProblem::LongPath),
        ] {
            assert_eq!(path_problem(path), Some(expected), "{path:?}");
        }
        for path in ["...", "a.wh.", ".whx", "-rf", "a\nb", "c:\\d", &long_name[1..]] {
            assert_eq!(path_problem(path), None, "{path:?}");
        }
    }

    #[test]
    fn links_need_a_target() {
        let long = "t".repeat(4097);
        for (target, is_right) in
            [("", false), ("a\0", false), (long.as_str(), false), (&long[1..], true), ("..", true)]
        {
            let entry = entry("a", EntryKind::Symlink(target.into()));
            assert_eq!(check_entry(&entry).is_ok(), is_right, "{target:?}");
        }
    }

    /// L32, and what the order promises to whoever relies on it.
    #[test]
    fn entries_come_once_in_order_and_below_their_folder() {
        let problem = |entries: &[Entry]| match check_entries(entries) {
            Ok(()) => "none".to_owned(),
            Err(error) => error.to_string(),
        };
        for (entries, expected) in [
            (vec![], "none"),
            (vec![folder("a"), file("a-b"), file("a/b"), file("b")], "none"),
            (vec![file("a"), file("a")], "`a` comes twice in its layer, or out of order"),
            (vec![file("b"), file("a")], "`a` comes twice in its layer, or out of order"),
            (vec![file("a/b")], "`a/b` is in a layer without its folder"),
            (vec![file("a"), file("a/b")], "`a/b` is in a layer without its folder"),
            (vec![folder("a"), file("a/b/c")], "`a/b/c` is in a layer without its folder"),
            (vec![file("a\n/..")], "`a\\n/..` cannot be in a layer: its parts must be names"),
        ] {
            assert_eq!(problem(&entries), expected, "{entries:?}");
        }

        let mut writer = TarWriter::new(Vec::new());
        writer.append(&file("b"), std::io::empty()).unwrap();
        for path in ["b", "a"] {
            let error = writer.append(&file(path), std::io::empty()).unwrap_err();
            assert!(matches!(error, LayerError::Order { .. }), "{error}");
        }
    }
}
