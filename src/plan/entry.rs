//! What a layer holds: files, folders and links, with everything that their tar headers say.

use bytes::Bytes;

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
    /// Bytes made here: a rendered template, a certificate bundle.
    Bytes(Bytes),
}

impl FileSource {
    /// How many bytes the file has.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Disk(file) => file.stamp.size_bytes,
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
