//! Files of another image: what is asked for, and what was found.

use super::EntryKind;
use super::root::FinalLink;
use crate::config::{Base, Position};
use crate::oci::Digest;

/// A file, folder or link of another image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageNeed {
    /// The image: one in a registry, or in a layout.
    pub image: Base,
    /// As the user calls it, for messages.
    pub name: String,
    /// The path from the root, parts joined by `/`; all of it is the empty path.
    pub source: String,
    /// Whether a link at its end is followed; those on the way always are.
    pub last: FinalLink,
    /// Patterns in `.dockerignore` syntax, rooted at the source.
    pub exclude: Vec<String>,
    /// Where the config asks for it.
    pub position: Position,
}

/// What an image has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTree {
    /// The digest of the image's manifest.
    pub image: Digest,
    /// Sorted by path. The source itself is the entry with the empty path; when that is a file or a
    /// link, it is the only one.
    pub entries: Vec<ImageEntry>,
    /// Devices, FIFOs and sockets, by the same paths: they are not among the entries.
    pub special: Vec<String>,
}

/// One file, folder or link of another image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEntry {
    /// The path below the source, parts joined by `/`.
    pub path: String,
    /// What it is; the content of files lies in the local store.
    pub kind: EntryKind,
    /// The permission bits (`0o7777`).
    pub mode: u32,
    /// The owner.
    pub uid: u64,
    /// The group.
    pub gid: u64,
    /// Whether it has extended attributes, such as capabilities.
    pub has_attributes: bool,
}
