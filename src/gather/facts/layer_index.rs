//! What one layer says about the file system, apart from the layers below it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::archive::{Member, MemberKind, Role};
use crate::plan::{MAX_TEXT_BYTES, RootNode, TEXTS};

/// As many as Linux follows in one path.
const MAX_LINKS: usize = 40;
/// So many parts of a path are walked, those of links included: a layer has a million members.
const MAX_PARTS: usize = 512;

/// The folders, links and files of a layer, and what it removes from the layers below it.
///
/// Paths have their parts joined by `/`; the root is the empty path. Names that are not UTF-8 are
/// left out: no path of ours can lead to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub(in crate::gather) struct LayerIndex {
    pub(in crate::gather) nodes: BTreeMap<String, RootNode>,
    /// Removed with everything below.
    pub(super) whiteouts: BTreeSet<String>,
    /// Folders of which only this layer's content stays.
    pub(super) opaque: BTreeSet<String>,
    /// What stands in those of [`TEXTS`] that it has.
    pub(super) texts: BTreeMap<String, String>,
}

impl LayerIndex {
    /// Adds a member as a runtime would unpack it: what comes later wins. Returns its path when its content
    /// is to be [kept](Self::keep).
    pub(in crate::gather) fn add(&mut self, member: Member) -> Option<String> {
        let path = self.locate(&member.path)?;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match Role::of(folder.as_bytes(), name.as_bytes()) {
            Role::Entry => {}
            Role::Nothing => return None,
            Role::Opaque => {
                self.opaque.insert(folder.to_owned());
                return None;
            }
            Role::Removes(hidden) => {
                let hidden = std::str::from_utf8(hidden).expect("the end of a text is one");
                self.whiteouts.insert(join(folder, hidden));
                return None;
            }
        }
        let text_path = TEXTS.contains(&path.as_str()).then(|| path.clone());
        let is_wanted = member.kind == MemberKind::File && member.size_bytes <= MAX_TEXT_BYTES;
        let mut linked_text = None;
        let node = match member.kind {
            MemberKind::Directory => {
                let Member { mode, uid, gid, .. } = member;
                RootNode::Directory { mode, uid, gid }
            }
            MemberKind::Symlink(target) => {
                RootNode::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            MemberKind::HardLink(target) => {
                let target = self.locate(&target).unwrap_or_default();
                linked_text = self.texts.get(&target).cloned();
                match self.nodes.get(&target) {
                    Some(RootNode::Symlink(target)) => RootNode::Symlink(target.clone()),
                    _ => RootNode::File,
                }
            }
            MemberKind::File | MemberKind::Other(_) => RootNode::File,
        };
        self.insert(path, node);
        let text_path = text_path?;
        if let Some(text) = linked_text {
            self.keep(text_path, text);
            return None;
        }
        is_wanted.then_some(text_path)
    }

    /// Keeps the content of a file.
    pub(super) fn keep(&mut self, path: String, text: String) {
        self.texts.insert(path, text);
    }

    fn insert(&mut self, path: String, node: RootNode) {
        let is_directory = matches!(node, RootNode::Directory { .. });
        if path.is_empty() && !is_directory {
            return;
        }
        if is_directory {
            let was_other = self
                .nodes
                .get(&path)
                .is_some_and(|node| !matches!(node, RootNode::Directory { .. }));
            if was_other {
                // It had replaced the folder of a lower layer, before it was replaced itself.
                self.opaque.insert(path.clone());
            }
        } else {
            let below = format!("{path}/");
            remove_below(&mut self.nodes, &below);
            remove_below(&mut self.texts, &below);
            self.whiteouts.retain_outside(&below);
            self.opaque.retain_outside(&below);
            self.opaque.remove(&path);
        }
        self.texts.remove(&path);
        self.nodes.insert(path, node);
    }

    /// The path in its only spelling, led through the links that this layer made before.
    ///
    /// `None` for a path that is not UTF-8, that leads below a file, far, or around in circles.
    pub(in crate::gather) fn locate(&self, path: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(path).ok()?;
        let mut rest: VecDeque<String> = parts(path).map(str::to_owned).collect();
        let mut located = String::new();
        let (mut links, mut walked) = (0, 0);
        while let Some(part) = rest.pop_front() {
            walked += 1;
            if walked > MAX_PARTS {
                return None;
            }
            if part == ".." {
                located.truncate(located.rfind('/').unwrap_or(0));
                continue;
            }
            let next = join(&located, &part);
            if rest.is_empty() {
                return Some(next);
            }
            match self.nodes.get(&next) {
                Some(RootNode::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        located.clear();
                    }
                    for part in parts(target).rev() {
                        rest.push_front(part.to_owned());
                    }
                }
                Some(RootNode::File) => return None,
                Some(RootNode::Directory { .. }) | None => located = next,
            }
        }
        Some(located)
    }
}

/// The parts that mean something: `./a//b/` has two.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Removes every path that begins with `below`, which ends in `/`.
pub(super) fn remove_below<T>(map: &mut BTreeMap<String, T>, below: &str) {
    let doomed: Vec<String> = map
        .range(below.to_owned()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(below))
        .cloned()
        .collect();
    for path in doomed {
        map.remove(&path);
    }
}

/// As [`remove_below`], for sets.
trait RetainOutside {
    fn retain_outside(&mut self, below: &str);
}

impl RetainOutside for BTreeSet<String> {
    fn retain_outside(&mut self, below: &str) {
        let is_doomed = |path: &&String| path.starts_with(below);
        let doomed: Vec<_> =
            self.range(below.to_owned()..).take_while(is_doomed).cloned().collect();
        for path in doomed {
            self.remove(&path);
        }
    }
}

/// The form on disk: sorted lists, no repeated member names.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Path, mode, uid, gid.
    directories: Vec<(String, u32, u64, u64)>,
    /// Path, target.
    links: Vec<(String, String)>,
    files: Vec<String>,
    whiteouts: BTreeSet<String>,
    opaque: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl From<LayerIndex> for Record {
    fn from(index: LayerIndex) -> Self {
        let mut record = Self {
            directories: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
            whiteouts: index.whiteouts,
            opaque: index.opaque,
            texts: index.texts,
        };
        for (path, node) in index.nodes {
            match node {
                RootNode::Directory { mode, uid, gid } => {
                    record.directories.push((path, mode, uid, gid));
                }
                RootNode::Symlink(target) => record.links.push((path, target)),
                RootNode::File => record.files.push(path),
            }
        }
        record
    }
}

impl From<Record> for LayerIndex {
    fn from(record: Record) -> Self {
        let directory = |(path, mode, uid, gid)| (path, RootNode::Directory { mode, uid, gid });
        let directories = record.directories.into_iter().map(directory);
        let links = record.links.into_iter().map(|(path, to)| (path, RootNode::Symlink(to)));
        let files = record.files.into_iter().map(|path| (path, RootNode::File));
        Self {
            nodes: directories.chain(links).chain(files).collect(),
            whiteouts: record.whiteouts,
            opaque: record.opaque,
            texts: record.texts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    const FOLDER: MemberKind = MemberKind::Directory;
    const FILE: MemberKind = MemberKind::File;

    fn link(target: &str) -> MemberKind {
        MemberKind::Symlink(target.into())
    }

    fn member(path: Vec<u8>, kind: MemberKind) -> Member {
        Member {
            path,
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: "0".into(),
            size_bytes: 0,
            attributes: BTreeMap::new(),
            headers: Digest::of(b""),
        }
    }

    fn index<'a>(members: impl IntoIterator<Item = (&'a str, MemberKind)>) -> LayerIndex {
        let mut index = LayerIndex::default();
        for (path, kind) in members {
            if let Some(kept) = index.add(member(path.into(), kind)) {
                index.keep(kept, format!("text of {path}"));
            }
        }
        index
    }

    /// Paths with a mark: `/` folder, `@target` link, none file, `-` whiteout, `*` opaque.
    fn show(index: &LayerIndex) -> String {
        let node = |(path, node): (&String, &RootNode)| match node {
            RootNode::Directory { .. } => format!("{path}/"),
            RootNode::Symlink(target) => format!("{path}@{target}"),
            RootNode::File => path.clone(),
        };
        let nodes = index.nodes.iter().map(node);
        let whiteouts = index.whiteouts.iter().map(|path| format!("-{path}"));
        let opaque = index.opaque.iter().map(|path| format!("*{path}"));
        nodes.chain(whiteouts).chain(opaque).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_spelling_of_a_path_is_one() {
        let odd = index([
            ("./", FOLDER),
            ("./a/", FOLDER),
            ("/a//b", FILE),
            ("a/./c/../d", FILE),
            ("../e", FILE),
        ]);
        assert_eq!(show(&odd), "/ a/ a/b a/d e");
    }

    #[test]
    fn whiteouts_are_no_files() {
        let index = index([
            ("a/.wh.b", FILE),
            ("./.wh.c", FILE),
            ("d/.wh..wh..opq", FILE),
            (".wh..wh..opq", FILE),
            (".wh..wh.plnk", FILE),
            (".wh.", FILE),
            (".wh..", FILE),
            (".wh...", FILE),
            (".wh.x/y", FILE),
        ]);
        assert_eq!(show(&index), "-a/b -c * *d");
    }

    #[test]
    fn what_comes_later_wins() {
        for (members, expected) in [
            (vec![("a", FOLDER), ("a/b", FILE), ("a/.wh.c", FILE), ("a", FILE)], "a"),
            (vec![("a", FILE), ("a", FOLDER)], "a/ *a"),
            (vec![("a", FILE), ("a/b", FILE)], "a"),
            (vec![("a", FOLDER), ("a", link("b"))], "a@b"),
        ] {
            assert_eq!(show(&index(members)), expected);
        }
    }

    #[test]
    fn a_path_is_led_through_links_of_the_same_layer() {
        let index = index([
            ("bin", link("usr/bin")),
            ("bin/x", FILE),
            ("var/run", link("/run")),
            ("var/run/lock/", FOLDER),
            ("a/up", link("../bin")),
            ("a/up/y", FILE),
            ("loop", link("loop")),
            ("loop/z", FILE),
        ]);
        assert_eq!(
            show(&index),
            "a/up@../bin bin@usr/bin loop@loop run/lock/ usr/bin/x usr/bin/y var/run@/run"
        );
    }

    #[test]
    fn a_hard_link_is_what_it_is_a_name_of() {
        let index = index([
            ("a", FILE),
            ("b", link("a")),
            ("c", MemberKind::HardLink(b"./b".to_vec())),
            ("d", MemberKind::HardLink(b"a".to_vec())),
            ("e", MemberKind::HardLink(b"elsewhere".to_vec())),
        ]);
        assert_eq!(show(&index), "a b@a c@a d e");
    }

    #[test]
    fn a_text_goes_where_its_file_goes() {
        let (passwd, group) = ("etc/passwd", "etc/group");
        for (members, expected) in [
            (vec![("./etc/passwd", FILE)], vec![(passwd, "text of ./etc/passwd")]),
            (vec![("other/passwd", FILE)], vec![]),
            (vec![(passwd, FILE), (passwd, link("../run/passwd"))], vec![]),
            (vec![(passwd, FILE), (passwd, FOLDER)], vec![]),
            (vec![(passwd, FILE), ("etc", FILE)], vec![]),
            (vec![(passwd, link("elsewhere"))], vec![]),
            (
                vec![(group, FILE), (passwd, MemberKind::HardLink(group.into()))],
                vec![(group, "text of etc/group"), (passwd, "text of etc/group")],
            ),
            (vec![("a", FILE), (passwd, MemberKind::HardLink(b"a".into()))], vec![]),
            (
                vec![(passwd, FILE), ("a", MemberKind::HardLink(passwd.into()))],
                vec![(passwd, "text of etc/passwd")],
            ),
            (
                vec![("lib", FOLDER), ("etc", link("lib")), ("lib/passwd", FILE), (passwd, FILE)],
                vec![],
            ),
        ] {
            let expected = expected.iter().map(|(path, text)| (path.to_string(), text.to_string()));
            assert_eq!(index(members.clone()).texts, expected.collect(), "{members:?}");
        }
        let mut index = LayerIndex::default();
        let large = Member { size_bytes: MAX_TEXT_BYTES + 1, ..member(passwd.into(), FILE) };
        assert_eq!(index.add(large), None);
    }

    #[test]
    fn names_that_are_not_utf_8_are_left_out() {
        let mut index = LayerIndex::default();
        let path = b"caf\xe9".to_vec();
        index.add(member(path, FILE));
        assert_eq!(index, LayerIndex::default());
    }

    #[test]
    fn the_record_holds_all_of_it() {
        let index = index([
            ("a", FOLDER),
            ("a/b", FILE),
            ("c", link("a")),
            (".wh.d", FILE),
            ("a/.wh..wh..opq", FILE),
            ("etc/group", FILE),
        ]);
        let text = serde_json::to_string(&index).unwrap();
        assert_eq!(
            text,
            r#"{"directories":[["a",493,0,0]],"links":[["c","a"]],"files":["a/b","etc/group"],"whiteouts":["d"],"opaque":["a"],"texts":{"etc/group":"text of etc/group"}}"#
        );
        assert_eq!(serde_json::from_str::<LayerIndex>(&text).unwrap(), index);
    }
}
