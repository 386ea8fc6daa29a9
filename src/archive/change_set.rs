//! What layers do to a file system, apart from the layers below them (image-spec, layer.md, "Applying
//! Changesets").

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::error::ArchiveError;
#[cfg(test)]
use super::limits::Limits;
use super::members::{Member, MemberKind, Members};
use crate::oci::{Digest, Digester};

/// Marks a path of a lower layer as removed.
const WHITEOUT: &[u8] = b".wh.";
/// In a folder: everything that lower layers have in it is removed.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// How extended attributes of files are called in a tar; other such members say nothing of the files.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// The files of one layer, or of several on each other, and what they take away from what is below.
///
/// Paths have their parts joined by `/`; the root is the empty path. They are taken as written: no link is
/// followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet {
    nodes: BTreeMap<Vec<u8>, Node>,
    /// Taken away with all that is below.
    gone: BTreeSet<Vec<u8>>,
    /// Folders of whose content nothing comes from below.
    opaque: BTreeSet<Vec<u8>>,
}

/// A file, folder or link; equal when a container sees no difference but times.
#[derive(Debug, Clone)]
pub struct Node {
    /// As its headers describe it.
    pub member: Member,
    /// The digest of a file's content.
    pub content: Option<Digest>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// This.
    Node(&'a Node),
    /// Nothing.
    Absent,
    /// Whatever the layers below have there.
    Below,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let said = |node: &Self| {
            let Member { kind, uid, gid, attributes, .. } = &node.member;
            // Nobody heeds the permissions of a symbolic link.
            let mode = (!matches!(kind, MemberKind::Symlink(_))).then_some(node.member.mode);
            (kind.clone(), mode, *uid, *gid, attributes.clone(), node.content)
        };
        said(self) == said(other)
    }
}

impl Eq for Node {}

impl Node {
    fn is_directory(&self) -> bool {
        self.member.kind == MemberKind::Directory
    }

    /// What runtimes make where a layer has a path and not its folder.
    fn implied(path: &[u8]) -> Self {
        let member = Member {
            path: path.to_owned(),
            kind: MemberKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: "0".into(),
            size_bytes: 0,
            attributes: BTreeMap::new(),
            headers: Digest::of(b""),
        };
        Self { member, content: None }
    }
}

impl ChangeSet {
    /// Reads one layer, unpacked, and all contents in it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when it cannot be read, is no tar archive, or passes a limit.
    pub fn read<R: Read>(members: &mut Members<R>) -> Result<Self, ArchiveError> {
        let mut set = Self::default();
        let mut buffer = vec![0; 128 * 1024];
        while let Some(member) = members.next()? {
            let content = match member.kind {
                MemberKind::File => Some(digest_content(members, &mut buffer)?),
                _ => None,
            };
            set.add(member, content);
        }
        Ok(set)
    }

    /// As [`ChangeSet::read`], for a tar in memory.
    #[cfg(test)]
    pub(super) fn of(tar: &[u8]) -> Self {
        Self::read(&mut Members::new(tar, Limits::GENEROUS)).expect("it is a tar")
    }

    /// Adds a member as a runtime would unpack it: what comes later wins.
    fn add(&mut self, mut member: Member, content: Option<Digest>) {
        let path = normal(&member.path);
        let (folder, name) = split(&path);
        if folder.split(|byte| *byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            return;
        }
        if name == OPAQUE {
            self.opaque.insert(folder.to_owned());
            return;
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if !hidden.is_empty() && !hidden.starts_with(WHITEOUT) {
                let path = [folder, hidden].join(&b'/');
                self.gone.insert(normal(&path));
            }
            return;
        }
        member.attributes.retain(|name, _| name.starts_with(ATTRIBUTE));
        let linked = match &member.kind {
            MemberKind::HardLink(target) => self.nodes.get(&normal(target)).cloned(),
            _ => None,
        };
        let node = linked.unwrap_or(Node { member, content });
        if path.is_empty() && !node.is_directory() {
            return;
        }
        self.put(path, node);
    }

    fn put(&mut self, path: Vec<u8>, node: Node) {
        if !node.is_directory() {
            self.remove_below(&path);
        } else if self.nodes.get(&path).is_some_and(|node| !node.is_directory()) {
            // It had replaced the folder below, before it was replaced itself.
            self.opaque.insert(path.clone());
        }
        self.nodes.insert(path, node);
    }

    /// Puts a layer on top.
    pub fn apply(&mut self, upper: &Self) {
        // What a layer takes away is below it: its own entries stay.
        for folder in &upper.opaque {
            self.remove_below(folder);
            self.opaque.insert(folder.clone());
        }
        for path in &upper.gone {
            self.remove_below(path);
            self.nodes.remove(path);
            self.gone.insert(path.clone());
        }
        for (path, node) in &upper.nodes {
            for parent in ancestors(path) {
                if self.nodes.get(parent).is_some_and(|node| !node.is_directory()) {
                    self.put(parent.to_owned(), Node::implied(parent));
                }
            }
            self.put(path.clone(), node.clone());
        }
    }

    /// Makes every folder that is only implied: there is nothing below.
    pub fn complete(&mut self) {
        let parents: BTreeSet<Vec<u8>> =
            self.nodes.keys().flat_map(|path| ancestors(path)).map(<[u8]>::to_owned).collect();
        for parent in parents {
            self.nodes.entry(parent).or_insert_with_key(|path| Node::implied(path));
        }
        // Whatever is not here is nowhere.
        self.opaque.insert(Vec::new());
    }

    /// Every path that is here or taken away.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.nodes.keys().chain(&self.gone)
    }

    /// The folders that are emptied of what is below.
    pub(super) fn emptied(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.gone.iter().chain(&self.opaque)
    }

    /// What is at a path.
    pub fn state(&self, path: &[u8]) -> State<'_> {
        if let Some(node) = self.nodes.get(path) {
            return State::Node(node);
        }
        let is_hidden = self.gone.contains(path)
            || ancestors(path).any(|folder| {
                self.gone.contains(folder)
                    || self.opaque.contains(folder)
                    || self.nodes.get(folder).is_some_and(|node| !node.is_directory())
            });
        if is_hidden { State::Absent } else { State::Below }
    }

    fn remove_below(&mut self, folder: &[u8]) {
        let is_below = |path: &[u8]| is_below(path, folder);
        self.nodes.retain_outside(folder, is_below);
        for set in [&mut self.gone, &mut self.opaque] {
            set.retain_outside(folder, is_below);
        }
    }
}

/// Reads the content of the member that came last.
fn digest_content<R: Read>(
    members: &mut Members<R>,
    buffer: &mut [u8],
) -> Result<Digest, ArchiveError> {
    let mut digester = Digester::default();
    loop {
        match members.read_content(buffer)? {
            0 => return Ok(digester.finish()),
            count => digester.update(&buffer[..count]),
        }
    }
}

/// Removes what is below a folder without looking at everything.
trait RetainOutside {
    fn retain_outside(&mut self, folder: &[u8], is_below: impl Fn(&[u8]) -> bool);
}

/// Where the paths below a folder begin.
fn first_below(folder: &[u8]) -> Vec<u8> {
    if folder.is_empty() { vec![0] } else { [folder, b"/"].concat() }
}

impl RetainOutside for BTreeMap<Vec<u8>, Node> {
    fn retain_outside(&mut self, folder: &[u8], is_below: impl Fn(&[u8]) -> bool) {
        let doomed = self.range(first_below(folder)..).map(|(path, _)| path);
        let doomed: Vec<_> = doomed.take_while(|path| is_below(path)).cloned().collect();
        for path in doomed {
            self.remove(&path);
        }
    }
}

impl RetainOutside for BTreeSet<Vec<u8>> {
    fn retain_outside(&mut self, folder: &[u8], is_below: impl Fn(&[u8]) -> bool) {
        let doomed = self.range(first_below(folder)..);
        let doomed: Vec<_> = doomed.take_while(|path| is_below(path)).cloned().collect();
        for path in doomed {
            self.remove(&path);
        }
    }
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| !rest.is_empty() && (folder.is_empty() || rest.starts_with(b"/")))
}

/// The path in its only spelling: `./a//b/` is `a/b`, and nothing leads out of the root.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The folders that a path is in, the root first; the root is in none.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let root = (!path.is_empty()).then_some(0);
    root.into_iter().chain(slashes).map(|end| &path[..end])
}
