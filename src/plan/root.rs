//! What our layers must respect of the file system they are put on.
//!
//! A runtime unpacks a layer entry by entry: a folder entry replaces mode and owner of the folder
//! that is there, and under overlay drivers a missing one makes it 0:0 0755; an entry below a path
//! that is a symbolic link in the base replaces the link. So every parent is written out as the
//! base has it, and no path leads through a link.

use std::collections::BTreeMap;

/// The folders, links and files of a root file system, as far as they matter to us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootTree {
    nodes: BTreeMap<String, RootNode>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootNode {
    /// A folder.
    Directory {
        /// Permission bits.
        mode: u32,
        /// The owner.
        uid: u64,
        /// The group.
        gid: u64,
    },
    /// A symbolic link with its target.
    Symlink(String),
    /// Anything else.
    File,
}

impl RootTree {
    /// Puts a node at a path (parts joined by `/`, no `/` at either end).
    pub fn insert(&mut self, path: impl Into<String>, node: RootNode) {
        self.nodes.insert(path.into(), node);
    }

    /// What stands at a path.
    pub fn get(&self, path: &str) -> Option<&RootNode> {
        self.nodes.get(path)
    }
}
