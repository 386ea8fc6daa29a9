//! What a walk finds, as it grows. Paths that are told to it are below the source.

use std::collections::BTreeMap;

use super::error::FaultCause;
use super::filter::Filter;
use super::folder::FileLook;
use super::project::{join, parts};
use super::remarks::Remarks;
use crate::plan::pattern::PatternUse;
use crate::plan::{DiskFile, TreeEntry, TreeEntryKind};

/// What a walk found.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    /// The source's real path below the project's folder.
    pub(super) source: String,
    /// Sorted by path; the first is the source itself.
    pub(super) entries: Vec<TreeEntry>,
    /// Folders that are in the tree only if something below them is.
    tentative: BTreeMap<String, TreeEntry>,
    /// What cannot be had, by path below the project's folder.
    pub(super) faults: Vec<(String, FaultCause)>,
    /// What should be known of it.
    pub(super) remarks: Remarks,
    /// What was passed over without being asked to.
    pub(super) left_out: Vec<String>,
    /// Which exclude patterns matched.
    pub(super) exclude_use: PatternUse<'a>,
    /// Which include patterns matched.
    pub(super) include_use: Vec<PatternUse<'a>>,
}

impl<'a> Listing<'a> {
    /// Nothing yet, of a source that is not known yet.
    pub(super) fn new(filter: &'a Filter) -> Self {
        Self {
            source: String::new(),
            entries: Vec::new(),
            tentative: BTreeMap::new(),
            faults: Vec::new(),
            remarks: Remarks::default(),
            left_out: Vec::new(),
            exclude_use: PatternUse::new(&filter.exclude),
            include_use: filter.include.iter().map(PatternUse::new).collect(),
        }
    }

    /// Adds a folder, at once or when something below it is added.
    pub(super) fn add_folder(&mut self, path: &str, mode: u32, is_wanted: bool) {
        let entry = TreeEntry { path: path.to_owned(), kind: TreeEntryKind::Directory, mode };
        if is_wanted {
            self.entries.push(entry);
        } else {
            self.tentative.insert(path.to_owned(), entry);
        }
    }

    /// Adds a file; `real` is its path below the project's folder.
    pub(super) fn add_file(
        &mut self,
        path: String,
        real: String,
        look: &FileLook,
        has_capability: bool,
    ) {
        self.remarks.file(&join(&self.source, &path), look, has_capability);
        let kind = TreeEntryKind::File(DiskFile { path: real, stamp: look.stamp });
        self.entries.push(TreeEntry { path, kind, mode: look.mode });
    }

    /// Adds a link as it is; `real` is its path below the project's folder.
    pub(super) fn add_link(&mut self, path: String, real: &str, mode: u32, target: String) {
        // A link that is itself the source has nothing but the project around it.
        if leaves(if path.is_empty() { real } else { &path }, &target) {
            self.remarks.link_leaves(&join(&self.source, &path), &target);
        }
        let kind = TreeEntryKind::Symlink(target);
        self.entries.push(TreeEntry { path, kind, mode });
    }

    /// Tells the patterns of a path that exists.
    pub(super) fn see(&mut self, path: &str) {
        self.exclude_use.see(path);
        self.include_use.iter_mut().for_each(|include| include.see(path));
    }

    /// Tells the patterns of a folder that nobody looks into.
    pub(super) fn skip(&mut self, folder: &str) {
        self.exclude_use.skip(folder);
        self.include_use.iter_mut().for_each(|include| include.skip(folder));
    }

    /// Takes note of what is passed over without being asked to.
    pub(super) fn leave_out(&mut self, path: &str) {
        self.skip(path);
        self.left_out.push(join(&self.source, path));
    }

    /// Takes note of what cannot be had.
    pub(super) fn fault(&mut self, path: &str, cause: FaultCause) {
        let path = join(&self.source, path);
        let path = if path.is_empty() { ".".to_owned() } else { path };
        self.faults.push((path, cause));
    }

    /// Adds the folders above what was found, and sorts.
    pub(super) fn finish(&mut self) {
        let mut parents = Vec::new();
        for entry in &self.entries {
            let mut path = entry.path.as_str();
            while let Some((parent, _)) = path.rsplit_once('/') {
                match self.tentative.remove(parent) {
                    Some(entry) => parents.push(entry),
                    None => break,
                }
                path = parent;
            }
        }
        self.entries.extend(parents);
        // Folders are sorted already: a stable sort only merges them.
        self.entries.sort_by(|left, right| left.path.cmp(&right.path));
    }
}

/// Whether a link at a path, followed by its text alone, leaves the folder that the path is below.
fn leaves(path: &str, target: &str) -> bool {
    let mut depth = path.matches('/').count();
    target.starts_with('/')
        || parts(target).any(|part| match (part, depth.checked_sub(1)) {
            ("..", None) => true,
            ("..", Some(less)) => {
                depth = less;
                false
            }
            _ => {
                depth += 1;
                false
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leaves_by_its_text() {
        let table = [
            ("a", "b", false),
            ("a", "/b", true),
            ("a", "../b", true),
            ("a/b", "../c", false),
            ("a/b", "../../c", true),
            ("a/b", "x/../../c", false),
            ("a/b", "x/../../../c", true),
            ("a/b", "./.././c", false),
        ];
        for (path, target, expected) in table {
            assert_eq!(leaves(path, target), expected, "{path} → {target}");
        }
    }
}
