//! What planning needs to know of the world, and the form in which it gets it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use super::{DiskFile, ImageNeed, ImageTree, RootTree};
use crate::config::Position;
use crate::oci::{
    Descriptor, Digest, Document, ImageConfig, Manifest, MediaType, Platform, Repository,
};

/// Something a layer source wants gathered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A file or folder of the project, listed.
    Tree(TreeNeed),
    /// A small file of the project (at most 1 MiB), read.
    File {
        /// Below the project's folder.
        path: String,
        /// Where the config asks for it.
        position: Position,
    },
    /// A file, folder or link of another image, with its content.
    Image(ImageNeed),
}

/// A file or folder of the project to list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeNeed {
    /// Below the project's folder; `.` is the folder itself.
    pub source: String,
    /// Patterns in `.dockerignore` syntax, rooted at the source; empty takes everything.
    pub include: Vec<String>,
    /// Patterns in `.dockerignore` syntax, rooted at the source.
    pub exclude: Vec<String>,
    /// What becomes of symbolic links.
    pub links: Links,
    /// Whether the project's `.dockerignore` applies.
    pub has_dockerignore: bool,
    /// Where the config asks for it.
    pub position: Position,
}

/// What becomes of symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Links {
    /// They are kept as they are and never followed.
    Keep,
    /// Links inside the project become what they point at; links that leave it are refused.
    Follow,
}

/// Everything that was gathered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// The listed trees.
    pub trees: BTreeMap<TreeNeed, Tree>,
    /// The files read.
    pub files: BTreeMap<String, Bytes>,
    /// What was taken from other images, per platform.
    pub images: BTreeMap<Platform, BTreeMap<ImageNeed, ImageTree>>,
    /// The base per platform.
    pub bases: BTreeMap<Platform, BaseImage>,
    /// What version control says, where there is any.
    pub vcs: Option<VcsFacts>,
    /// Seconds since 1970 from `SOURCE_DATE_EPOCH`, for `created` and history.
    pub source_date_epoch: Option<i64>,
}

/// A listed file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Sorted by path. The source itself is the entry with the empty path; when that is a file or a
    /// link, it is the only one.
    pub entries: Vec<TreeEntry>,
}

/// One file, folder or link of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path below the source, parts joined by `/`.
    pub path: String,
    /// What it is.
    pub kind: TreeEntryKind,
    /// The permission bits on disk (`0o7777`).
    pub mode: u32,
}

/// What a tree entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File(DiskFile),
    /// A symbolic link with its literal target.
    Symlink(String),
}

/// The base of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseImage {
    /// What the user wrote, for messages.
    pub name: String,
    /// The canonical name for `base.name`: absent for layouts, scratch and builtin bases.
    pub canonical_name: Option<String>,
    /// The platform's manifest; absent for scratch and builtin bases.
    pub manifest: Option<Document<Manifest>>,
    /// The image config.
    pub config: Document<ImageConfig>,
    /// The layers, lowest first.
    pub layers: Vec<BaseLayer>,
    /// What our layers must respect of its file system.
    pub root: RootTree,
}

impl BaseImage {
    /// A base that has neither layers nor files, nor a place that it came from.
    pub fn empty(name: &str, config: ImageConfig) -> Self {
        Self {
            name: name.to_owned(),
            canonical_name: None,
            manifest: None,
            config: Document::write(config, MediaType::OciConfig),
            layers: Vec::new(),
            root: RootTree::default(),
        }
    }
}

/// One layer of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseLayer {
    /// The blob, with the media type it has in the base's manifest.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// Where it can be fetched.
    pub origin: Origin,
}

/// Where a blob can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The local store.
    Store,
    /// An OCI layout on disk.
    Layout(PathBuf),
    /// A repository of a registry.
    Registry(Repository),
}

/// What version control, or the CI's variables, say about the project's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VcsFacts {
    /// The full commit id of HEAD.
    pub sha: Option<String>,
    /// The full commit ids of HEAD's parents, known in a shallow clone too.
    pub parents: Vec<String>,
    /// The tag that points at HEAD; the highest version when there are several.
    pub tag: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// Whether that is the default branch; unknown when nothing says so.
    pub is_default_branch: Option<bool>,
    /// Whether tracked files were changed.
    pub is_dirty: bool,
    /// The address of the origin: https, without userinfo and `.git`.
    pub source_url: Option<String>,
    /// Where the facts come from, for messages: `git`, `GitHub Actions`, `GitLab CI`.
    pub origin: String,
    /// Why nothing is known, when there are no facts.
    pub unknown: Option<VcsUnknown>,
}

/// Why version control says nothing; for messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VcsUnknown {
    /// What git said, or why it could not be asked.
    pub reason: String,
    /// The command that git itself proposes.
    pub cure: Option<String>,
}

impl fmt::Display for VcsUnknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "git knows nothing of this folder ({}), and no CI variable names a commit",
            self.reason
        )
    }
}
