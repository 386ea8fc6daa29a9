//! What a layer holds: files, folders and links, with everything that their tar headers say.

use bytes::Bytes;

use crate::oci::Digest;

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path from the root, parts joined by `/`, without `/` at either end; UTF-8 by rule.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    /// The owner.
    pub uid: u64,
    /// The group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File(FileSource),
    /// A symbolic link with its literal target.
    Symlink(String),
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// A file of the project.
    Disk(DiskFile),
    /// A file of another image, whose content lies in the local store.
    Stored(StoredFile),
    /// Bytes made here: a rendered template, a certificate bundle.
    Bytes(Bytes),
}

impl FileSource {
    /// How many bytes the file has.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Disk(file) => file.stamp.size_bytes,
            Self::Stored(file) => file.size_bytes,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// A file of the project as it was when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// The path below the project's folder, no part of which is a link.
    pub path: String,
    /// What identifies its content.
    pub stamp: FileStamp,
}

/// A file whose content is part of a blob in the local store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFile {
    /// The digest of the content.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// The blob.
    pub blob: Digest,
    /// The size of the blob.
    pub blob_bytes: u64,
    /// Where in the blob the content begins.
    pub offset_bytes: u64,
}

/// What changes when a file changes. Fields that a system does not have are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileStamp {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
    /// Its size.
    pub size_bytes: u64,
    /// When its content was last changed, in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// When its content or its metadata was last changed, in nanoseconds since 1970.
    pub ctime_ns: i128,
}

#[cfg(unix)]
impl From<&std::fs::Metadata> for FileStamp {
    fn from(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(not(unix))]
impl From<&std::fs::Metadata> for FileStamp {
    fn from(metadata: &std::fs::Metadata) -> Self {
        use std::time::UNIX_EPOCH;

        let nanoseconds = |duration: std::time::Duration| {
            i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
        };
        let mtime_ns =
            metadata.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
                Ok(since) => nanoseconds(since),
                Err(before) => -nanoseconds(before.duration()),
            });
        Self { size_bytes: metadata.len(), mtime_ns, ..Self::default() }
    }
}

/// An entry as a layer kind asks for it, before the base has been considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The entry; its path may lead through links of the base.
    pub entry: Entry,
    /// What to do when a folder stands there already.
    pub existing: Existing,
}

/// What happens to a folder that exists in the base or in a lower layer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It keeps its mode and owner.
    Keep,
    /// It gets those of the entry.
    Replace,
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_stamp_changes_with_everything_that_changes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stamp = || FileStamp::from(&fs::metadata(&path).unwrap());
        let touch = |seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(7);
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        fs::write(&path, "abc").unwrap();
        touch(3);
        let first = stamp();
        assert_eq!((first.size_bytes, first.mtime_ns), (3, 3_000_000_007));
        assert_eq!(stamp(), first);

        fs::write(&path, "abcd").unwrap();
        touch(3);
        assert_eq!(stamp(), FileStamp { size_bytes: 4, ctime_ns: stamp().ctime_ns, ..first });
        touch(4);
        assert_eq!(stamp().mtime_ns, 4_000_000_007);
        fs::write(folder.path().join("b"), "abc").unwrap();
        fs::set_permissions(folder.path().join("b"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(folder.path().join("b"), &path).unwrap();
        assert_ne!(stamp().inode, first.inode);
    }
}
