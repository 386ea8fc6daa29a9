//! A name for a layer that can be found without packing it.

use super::file_digests::FileDigests;
use crate::oci::{Digest, Digester};
use crate::plan::{Entry, EntryKind, FileSource};

/// The digest of all that decides a layer's bytes: the writer's version, and of every entry what its
/// header says and what it holds. `None` when the content of some file is not known.
pub(super) fn key(
    entries: &[Entry],
    digests: &FileDigests,
    writer_version: &str,
) -> Option<Digest> {
    let mut key = Key(Digester::default());
    key.text(writer_version);
    for Entry { path, kind, mode, uid, gid, mtime } in entries {
        key.text(path);
        key.0.update(&mode.to_le_bytes());
        key.0.update(&uid.to_le_bytes());
        key.0.update(&gid.to_le_bytes());
        key.0.update(&mtime.to_le_bytes());
        match kind {
            EntryKind::Directory => key.text("directory"),
            EntryKind::Symlink(target) => {
                key.text("symlink");
                key.text(target);
            }
            EntryKind::File(source) => {
                let digest = match source {
                    FileSource::Disk(file) => digests.get(file)?,
                    FileSource::Stored(file) => file.digest,
                    FileSource::Bytes(bytes) => Digest::of(bytes),
                };
                key.text("file");
                key.0.update(digest.bytes());
            }
        }
    }
    Some(key.0.finish())
}

struct Key(Digester);

impl Key {
    /// Adds a text with its length, so that no two lists of texts look the same.
    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::plan::{DiskFile, FileStamp, StoredFile};

    #[test]
    fn everything_that_decides_a_layer_decides_its_key() {
        let digests = FileDigests::none(Path::new("/p"));
        let bytes =
            |bytes: &'static [u8]| EntryKind::File(FileSource::Bytes(Bytes::from_static(bytes)));
        let entry = |path: &str, kind: EntryKind| Entry {
            path: path.into(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
        };
        let file = || entry("a", bytes(b"x"));
        let lists = [
            vec![],
            vec![file()],
            vec![file(), file()],
            vec![entry("b", bytes(b"x"))],
            vec![entry("a", bytes(b"y"))],
            vec![entry("a", EntryKind::Directory)],
            vec![entry("a", EntryKind::Symlink("x".into()))],
            vec![entry("a", EntryKind::Symlink("y".into()))],
            vec![Entry { mode: 0o755, ..file() }],
            vec![Entry { uid: 1, ..file() }],
            vec![Entry { gid: 1, ..file() }],
            vec![Entry { mtime: 1, ..file() }],
        ];
        let mut keys: Vec<_> =
            lists.iter().map(|entries| key(entries, &digests, "1").unwrap()).collect();
        keys.push(key(&lists[1], &digests, "2").unwrap());
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn a_file_counts_by_its_content() {
        let digests = FileDigests::none(Path::new("/p"));
        let disk = DiskFile { path: "src/a".into(), stamp: FileStamp::default() };
        let entry = |source: FileSource| Entry {
            path: "a".into(),
            kind: EntryKind::File(source),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
        };
        let on_disk = [entry(FileSource::Disk(disk.clone()))];
        assert_eq!(key(&on_disk, &digests, "1"), None, "nobody has read it yet");
        digests.learn(&disk, Digest::of(b"x"), 0);
        let made = [entry(FileSource::Bytes(Bytes::from_static(b"x")))];
        assert_eq!(key(&on_disk, &digests, "1"), key(&made, &digests, "1"));
        let (digest, blob) = (Digest::of(b"x"), Digest::of(b"wxyz"));
        let stored = StoredFile { digest, size_bytes: 1, blob, blob_bytes: 4, offset_bytes: 1 };
        let stored = [entry(FileSource::Stored(stored))];
        assert_eq!(key(&stored, &digests, "1"), key(&made, &digests, "1"));
    }
}
