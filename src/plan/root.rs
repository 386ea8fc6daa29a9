//! What our layers must respect of the file system they are put on.
//!
//! A runtime unpacks a layer entry by entry: a folder entry replaces mode and owner of the folder
//! that is there, and under overlay drivers a missing one makes it 0:0 0755; an entry below a path
//! that is a symbolic link in the base replaces the link. So every parent is written out as the
//! base has it, and no path leads through a link. `ground.rs` does both for a whole layer.

use std::collections::{BTreeMap, BTreeSet};

use super::GroundError;
use super::root_excerpt::{Answers, Lookups};

/// How many links a path may lead through: the number at which Linux gives up.
const MAX_LINKS: usize = 40;

/// How long a path may become on the way: two of the longest that Linux takes.
const MAX_RESOLVED_BYTES: usize = 8192;

/// The folders, links and files of a root file system, as far as they matter to us.
///
/// It may be known in part: what is asked of it beyond that is taken for absent, and noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootTree {
    pub(super) nodes: BTreeMap<String, RootNode>,
    /// What stands in the few files whose content is kept.
    pub(super) texts: BTreeMap<String, String>,
    /// What is told of it where it is known in part.
    pub(super) answers: Answers,
    /// The folders whose content is known; `None` when all of them are.
    pub(super) known: Option<BTreeSet<String>>,
    /// What was asked of this tree and of its copies.
    pub(super) lookups: Lookups,
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

/// Whether a link at the very end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FinalLink {
    /// A folder is meant: the one that the link points at.
    Followed,
    /// The link itself is meant.
    Kept,
}

impl RootTree {
    /// Puts a node at a path (parts joined by `/`, no `/` at either end).
    pub fn insert(&mut self, path: impl Into<String>, node: RootNode) {
        let path = path.into();
        let is_new = !self.nodes.contains_key(&path) && self.covers(&path);
        if let Some(known) = self.known.as_mut().filter(|_| is_new) {
            // Nothing but ours will be in it.
            known.insert(path.clone());
        }
        self.texts.remove(&path);
        self.nodes.insert(path, node);
    }

    /// Keeps what stands in a file.
    pub fn keep_text(&mut self, path: String, text: String) {
        self.texts.insert(path, text);
    }

    /// What stands at a path.
    pub fn get(&self, path: &str) -> Option<&RootNode> {
        let node = self.nodes.get(path);
        self.lookups.note(path, node.is_some() || self.covers(path));
        node
    }

    /// Everything below a folder, by paths from the root, in their order.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &RootNode)> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let nodes = self.nodes.range(start.clone()..);
        let below = nodes.take_while(move |(path, _)| path.starts_with(&start));
        below.map(|(path, node)| (path.as_str(), node)).filter(|(path, _)| !path.is_empty())
    }

    /// Where a path really leads: links in it are followed inside the root, as a container would.
    ///
    /// Parts that do not exist are taken as they are; so is the target of a link into nothing.
    ///
    /// # Errors
    /// When the path leads through a file, or through more than 40 links.
    pub fn resolve(&self, path: &str, last: FinalLink) -> Result<String, GroundError> {
        resolve(path, last, |path| self.get(path))
    }

    /// As [`resolve`](Self::resolve) with its last part followed, without a note; `None` for nowhere.
    pub(super) fn resolve_quietly(&self, path: &str) -> Option<String> {
        resolve(path, FinalLink::Followed, |path| self.nodes.get(path)).ok()
    }
}

/// Leads a path through the links that `look` sees.
fn resolve<'a>(
    path: &str,
    last: FinalLink,
    look: impl Fn(&str) -> Option<&'a RootNode>,
) -> Result<String, GroundError> {
    let mut resolved = String::with_capacity(path.len());
    // The next part is the last.
    let mut rest: Vec<&str> = parts(path).rev().collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        // Links that grow on the way lead nowhere; every system gives up sooner.
        if resolved.len() > MAX_RESOLVED_BYTES {
            return Err(GroundError::LinkLoop { path: path.to_owned() });
        }
        let folder_bytes = resolved.len();
        if part == ".." {
            // The root is its own parent.
            resolved.truncate(resolved.rfind('/').unwrap_or(0));
            continue;
        }
        if folder_bytes > 0 {
            resolved.push('/');
        }
        resolved.push_str(part);
        let is_last = rest.is_empty();
        if is_last && last == FinalLink::Kept {
            break;
        }
        match look(&resolved) {
            Some(RootNode::Symlink(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(GroundError::LinkLoop { path: path.to_owned() });
                }
                resolved.truncate(if target.starts_with('/') { 0 } else { folder_bytes });
                rest.extend(parts(target).rev());
            }
            Some(RootNode::File) if !is_last => {
                return Err(GroundError::BelowFile { path: path.to_owned(), file: resolved });
            }
            _ => {}
        }
    }
    Ok(resolved)
}

/// The parts of a path that mean something; `..` stays.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> RootTree {
        let mut tree = RootTree::default();
        for path in ["usr", "usr/bin", "opt", "run"] {
            tree.insert(path, RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
        }
        for (path, target) in [
            ("bin", "usr/bin"),
            ("usr/sbin", "bin"),
            ("usr/up", "../../../opt"),
            ("var/run", "/run"),
            ("var/lock", "/run/lock"),
            ("a", "b"),
            ("b", "/a"),
            ("chain", "bin"),
            ("dot", "./usr//bin/"),
            ("usr/bin/sh", "dash"),
        ] {
            tree.insert(path, RootNode::Symlink(target.into()));
        }
        tree.insert("etc/passwd", RootNode::File);
        tree
    }

    #[test]
    fn follows_links_inside_the_root() {
        for (path, last, expected) in [
            ("", FinalLink::Followed, ""),
            ("srv/data", FinalLink::Followed, "srv/data"),
            ("bin/x", FinalLink::Kept, "usr/bin/x"),
            ("bin", FinalLink::Kept, "bin"),
            ("bin", FinalLink::Followed, "usr/bin"),
            ("usr/sbin/x", FinalLink::Kept, "usr/bin/x"),
            ("usr/up/x", FinalLink::Kept, "opt/x"),
            ("var/run/x", FinalLink::Kept, "run/x"),
            ("var/lock/x", FinalLink::Kept, "run/lock/x"),
            ("var/lock", FinalLink::Followed, "run/lock"),
            ("chain/x", FinalLink::Kept, "usr/bin/x"),
            ("dot/x", FinalLink::Kept, "usr/bin/x"),
            ("bin/sh", FinalLink::Kept, "usr/bin/sh"),
            ("etc/passwd", FinalLink::Kept, "etc/passwd"),
            ("etc/passwd", FinalLink::Followed, "etc/passwd"),
        ] {
            assert_eq!(tree().resolve(path, last).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn refuses_loops_and_paths_through_files() {
        assert_eq!(
            tree().resolve("a/x", FinalLink::Kept),
            Err(GroundError::LinkLoop { path: "a/x".into() })
        );
        assert_eq!(
            tree().resolve("etc/passwd/x", FinalLink::Kept),
            Err(GroundError::BelowFile { path: "etc/passwd/x".into(), file: "etc/passwd".into() })
        );
    }

    #[test]
    fn forty_links_are_followed_and_one_more_is_not() {
        let mut tree = RootTree::default();
        for number in 0..41 {
            tree.insert(format!("l{number}"), RootNode::Symlink(format!("l{}", number + 1)));
        }
        assert_eq!(tree.resolve("l1/x", FinalLink::Kept).as_deref(), Ok("l41/x"));
        assert!(tree.resolve("l0/x", FinalLink::Kept).is_err());
    }
}
