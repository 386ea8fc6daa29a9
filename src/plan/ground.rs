//! Puts the drafts of one layer on the ground they will stand on: the base and our lower layers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::root::FinalLink;
use super::{Draft, Entry, EntryKind, Existing, FileSource, RootNode, RootTree, TEXTS};

/// Mode of a folder that nobody said anything about; it belongs to 0:0.
const DIRECTORY_MODE: u32 = 0o755;

/// Why drafts cannot become a layer. Paths are shown as in the container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroundError {
    /// A path leads in circles.
    #[error("`/{}` leads through more than 40 symbolic links of the base", path.escape_debug())]
    LinkLoop {
        /// The path.
        path: String,
    },
    /// A path leads through something that is no folder.
    #[error(
        "`/{}` cannot be written: `/{}` is a file, not a folder",
        path.escape_debug(),
        file.escape_debug()
    )]
    BelowFile {
        /// The path.
        path: String,
        /// The file in its way.
        file: String,
    },
    /// A file or link would take the place of a folder.
    #[error("`/{}` would be {by}, but it is a folder already", path.escape_debug())]
    OverDirectory {
        /// The path.
        path: String,
        /// What would replace it.
        by: String,
    },
    /// A folder would take the place of something else.
    #[error("`/{}` would be a folder, but it is a file already", path.escape_debug())]
    OverFile {
        /// The path.
        path: String,
    },
    /// One layer says two different things of one path.
    #[error("`/{}` is written twice in one layer: as {first}, and as {second}", path.escape_debug())]
    Twice {
        /// The path.
        path: String,
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
}

impl GroundError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::LinkLoop { .. } => return None,
            Self::BelowFile { .. } | Self::OverFile { .. } => "choose another `dest`",
            Self::OverDirectory { .. } => "end `dest` with `/` to put a file into the folder",
            Self::Twice { .. } => {
                "write each path once, exclude one of the two, or use two layers: the upper one wins; \
                 mode and owner of a folder are said by `directories:`"
            }
        };
        Some(hint.into())
    }
}

impl RootTree {
    /// Turns the drafts of a layer into its entries: sorted by path, every parent present, no path
    /// twice, no path through a link of the base. Later layers see it once it is [laid](Self::lay).
    ///
    /// A folder that exists keeps its mode and owner unless the draft replaces it; a parent that
    /// nobody described is 0755 and belongs to 0:0. The root folder is the base's and never written.
    /// `mtime` is for the parents.
    ///
    /// # Errors
    /// When a file or link would replace a folder or the other way round, when the drafts say
    /// different things of one path, or when a path leads nowhere.
    pub fn ground(&self, drafts: Vec<Draft>, mtime: i64) -> Result<Vec<Entry>, GroundError> {
        let mut layer: BTreeMap<String, Draft> = BTreeMap::new();
        let mut way = Way::default();
        for draft in drafts {
            let draft = self.place(draft, &mut way)?;
            match layer.entry(draft.entry.path.clone()) {
                Slot::Vacant(slot) => drop(slot.insert(draft)),
                Slot::Occupied(mut slot) => {
                    let other = slot.get().clone();
                    slot.insert(merge(other, draft)?);
                }
            }
        }
        add_parents(&mut layer, mtime)?;
        layer.remove("");
        Ok(layer.into_values().map(|draft| self.settle(draft)).collect())
    }

    /// Puts the entries of a layer there.
    pub fn lay(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.insert(entry.path.clone(), node_of(entry));
            if let EntryKind::File(FileSource::Bytes(bytes)) = &entry.kind
                && TEXTS.contains(&entry.path.as_str())
            {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.keep_text(entry.path.clone(), text);
            }
        }
    }

    /// Gives a draft the path that its own leads to, and checks it against what stands there.
    fn place(&self, mut draft: Draft, way: &mut Way) -> Result<Draft, GroundError> {
        let is_directory = draft.entry.kind == EntryKind::Directory;
        let path = if is_directory {
            self.resolve(&draft.entry.path, FinalLink::Followed)?
        } else {
            way.lead(self, &draft.entry.path)?
        };
        let over_directory =
            |path: String| GroundError::OverDirectory { by: what(&draft.entry), path };
        match self.get(&path) {
            Some(RootNode::File) if is_directory => return Err(GroundError::OverFile { path }),
            Some(RootNode::Directory { .. }) if !is_directory => return Err(over_directory(path)),
            // A file in the place of a link to a folder (`/bin`) would take the folder away.
            Some(RootNode::Symlink(_)) if matches!(draft.entry.kind, EntryKind::File(_)) => {
                let target = self.resolve(&path, FinalLink::Followed)?;
                if matches!(self.get(&target), Some(RootNode::Directory { .. })) {
                    return Err(over_directory(path));
                }
            }
            _ if path.is_empty() && !is_directory => return Err(over_directory(path)),
            _ => {}
        }
        draft.entry.path = path;
        Ok(draft)
    }

    /// The entry that is written for a draft: a folder that is kept is as it stands there.
    fn settle(&self, draft: Draft) -> Entry {
        let mut entry = draft.entry;
        if draft.existing == Existing::Keep
            && entry.kind == EntryKind::Directory
            && let Some(RootNode::Directory { mode, uid, gid }) = self.get(&entry.path)
        {
            (entry.mode, entry.uid, entry.gid) = (*mode, *uid, *gid);
        }
        entry
    }
}

/// The folder that was resolved last: most drafts come one folder after the other.
#[derive(Default)]
struct Way {
    /// As drafts spell it, with a `/` behind it; empty before the first.
    written: String,
    /// Where it leads, with a `/` behind it.
    resolved: String,
}

impl Way {
    /// As [`RootTree::resolve`] without following a link at the end.
    fn lead(&mut self, root: &RootTree, path: &str) -> Result<String, GroundError> {
        let (folder, name) = path.split_at(path.rfind('/').map_or(0, |end| end + 1));
        if folder.is_empty() || matches!(name, "" | "." | "..") {
            return root.resolve(path, FinalLink::Kept);
        }
        if folder == self.written {
            return Ok([self.resolved.as_str(), name].concat());
        }
        let resolved = root.resolve(path, FinalLink::Kept)?;
        folder.clone_into(&mut self.written);
        resolved[..resolved.len() - name.len()].clone_into(&mut self.resolved);
        Ok(resolved)
    }
}

/// Adds every parent that the layer does not have itself.
fn add_parents(layer: &mut BTreeMap<String, Draft>, mtime: i64) -> Result<(), GroundError> {
    let mut missing: BTreeMap<String, Draft> = BTreeMap::new();
    let mut before = "";
    for path in layer.keys() {
        // Those of the path before are there.
        let is_new = |parent: &&str| {
            let rest = before.strip_prefix(parent);
            !rest.is_some_and(|rest| rest.starts_with('/'))
        };
        for parent in ancestors(path).filter(is_new) {
            match layer.get(parent) {
                Some(draft) if draft.entry.kind == EntryKind::Directory => {}
                Some(draft) => {
                    return Err(GroundError::Twice {
                        path: parent.to_owned(),
                        first: what(&draft.entry),
                        second: format!("the folder of `{}`", path.escape_debug()),
                    });
                }
                None => {
                    missing.insert(parent.to_owned(), parent_draft(parent, mtime));
                }
            }
        }
        before = path;
    }
    layer.append(&mut missing);
    Ok(())
}

/// One draft for a path of which a layer speaks twice: equal ones are one, and a folder that is
/// described with [`Existing::Replace`] rules over one that is only passed through.
fn merge(first: Draft, second: Draft) -> Result<Draft, GroundError> {
    if first == second {
        return Ok(first);
    }
    let is_directory = |draft: &Draft| draft.entry.kind == EntryKind::Directory;
    if is_directory(&first) && is_directory(&second) {
        match (first.existing, second.existing) {
            (Existing::Replace, Existing::Keep) => return Ok(first),
            (Existing::Keep, Existing::Replace) => return Ok(second),
            _ => {}
        }
    }
    Err(GroundError::Twice {
        path: first.entry.path.clone(),
        first: what(&first.entry),
        second: what(&second.entry),
    })
}

/// An entry in words: what it is, where it comes from, mode and owner.
fn what(entry: &Entry) -> String {
    let kind = match &entry.kind {
        EntryKind::Directory => "a folder".to_owned(),
        EntryKind::File(FileSource::Disk(file)) => {
            format!("the file `{}`", file.path.escape_debug())
        }
        EntryKind::File(FileSource::Stored(file)) => {
            format!("a file of {} bytes from another image", file.size_bytes)
        }
        EntryKind::File(FileSource::Bytes(bytes)) => {
            format!("a generated file of {} bytes", bytes.len())
        }
        EntryKind::Symlink(target) => return format!("a link to `{}`", target.escape_debug()),
    };
    format!("{kind} ({:04o}, {}:{})", entry.mode, entry.uid, entry.gid)
}

fn parent_draft(path: &str, mtime: i64) -> Draft {
    Draft {
        entry: Entry {
            path: path.to_owned(),
            kind: EntryKind::Directory,
            mode: DIRECTORY_MODE,
            uid: 0,
            gid: 0,
            mtime,
        },
        existing: Existing::Keep,
    }
}

fn node_of(entry: &Entry) -> RootNode {
    match &entry.kind {
        EntryKind::Directory => {
            RootNode::Directory { mode: entry.mode, uid: entry.uid, gid: entry.gid }
        }
        EntryKind::File(_) => RootNode::File,
        EntryKind::Symlink(target) => RootNode::Symlink(target.clone()),
    }
}

/// The folders above a path, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn directory(path: &str, mode: u32, uid: u64) -> Entry {
        let kind = EntryKind::Directory;
        Entry { path: path.into(), kind, mode, uid, gid: uid, mtime: 0 }
    }

    fn file(path: &str, content: &'static str) -> Entry {
        let kind = EntryKind::File(FileSource::Bytes(Bytes::from_static(content.as_bytes())));
        Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0 }
    }

    fn link(path: &str, target: &str) -> Entry {
        let kind = EntryKind::Symlink(target.into());
        Entry { path: path.into(), kind, mode: 0o777, uid: 0, gid: 0, mtime: 0 }
    }

    fn keep(entry: Entry) -> Draft {
        Draft { entry, existing: Existing::Keep }
    }

    fn replace(entry: Entry) -> Draft {
        Draft { entry, existing: Existing::Replace }
    }

    /// A merged-usr base whose `/app` belongs to 1000 and whose `/tmp` is open to all.
    fn base() -> RootTree {
        let mut tree = RootTree::default();
        for (path, mode, uid) in
            [("app", 0o755, 1000), ("tmp", 0o1777, 0), ("usr", 0o755, 0), ("usr/bin", 0o755, 0)]
        {
            tree.insert(path, RootNode::Directory { mode, uid, gid: uid });
        }
        tree.insert("bin", RootNode::Symlink("usr/bin".into()));
        tree.insert("etc/passwd", RootNode::File);
        tree.insert("etc/alternatives", RootNode::Symlink("gone".into()));
        tree
    }

    #[test]
    fn parents_are_written_as_the_base_has_them() {
        for (drafts, entries) in [
            (
                vec![keep(file("app/x", "x"))],
                vec![directory("app", 0o755, 1000), file("app/x", "x")],
            ),
            (vec![keep(file("tmp/x", "x"))], vec![directory("tmp", 0o1777, 0), file("tmp/x", "x")]),
            (
                vec![keep(file("bin/x", "x"))],
                vec![
                    directory("usr", 0o755, 0),
                    directory("usr/bin", 0o755, 0),
                    file("usr/bin/x", "x"),
                ],
            ),
            (
                vec![keep(file("srv/a/x", "x"))],
                vec![
                    directory("srv", 0o755, 0),
                    directory("srv/a", 0o755, 0),
                    file("srv/a/x", "x"),
                ],
            ),
            // A folder that exists keeps what it has, unless it is replaced on purpose.
            (vec![keep(directory("app", 0o700, 5))], vec![directory("app", 0o755, 1000)]),
            (vec![replace(directory("app", 0o700, 5))], vec![directory("app", 0o700, 5)]),
            (vec![keep(directory("new", 0o700, 5))], vec![directory("new", 0o700, 5)]),
            // A folder at a link to a folder is that folder.
            (
                vec![keep(directory("bin", 0o700, 5))],
                vec![directory("usr", 0o755, 0), directory("usr/bin", 0o755, 0)],
            ),
            // The root is the base's.
            (vec![keep(directory("", 0o700, 5)), keep(file("x", "x"))], vec![file("x", "x")]),
            (vec![replace(directory("", 0o700, 5))], vec![]),
            // Files and links may replace files and links.
            (
                vec![keep(file("etc/passwd", "x")), keep(link("etc/alternatives", "b"))],
                vec![
                    directory("etc", 0o755, 0),
                    link("etc/alternatives", "b"),
                    file("etc/passwd", "x"),
                ],
            ),
            (vec![keep(link("bin", "usr/bin"))], vec![link("bin", "usr/bin")]),
            (vec![], vec![]),
        ] {
            assert_eq!(base().ground(drafts.clone(), 0), Ok(entries), "{drafts:?}");
        }
    }

    #[test]
    fn equal_drafts_are_one_and_a_described_folder_rules() {
        assert_eq!(
            base().ground(vec![keep(file("x", "x")), keep(file("x", "x"))], 0),
            Ok(vec![file("x", "x")])
        );
        let (passed, described) =
            (keep(directory("d", 0o755, 0)), replace(directory("d", 0o700, 7)));
        for drafts in [vec![passed.clone(), described.clone()], vec![described, passed]] {
            assert_eq!(base().ground(drafts, 0), Ok(vec![directory("d", 0o700, 7)]));
        }
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        for (drafts, message) in [
            (
                vec![keep(file("app/x", "a")), keep(file("app/x", "bc"))],
                "`/app/x` is written twice in one layer: as a generated file of 1 bytes (0644, 0:0), \
                 and as a generated file of 2 bytes (0644, 0:0)",
            ),
            (
                vec![keep(directory("d", 0o755, 0)), keep(directory("d", 0o700, 1))],
                "`/d` is written twice in one layer: as a folder (0755, 0:0), and as a folder \
                 (0700, 1:1)",
            ),
            (
                vec![keep(file("bin/x", "a")), keep(link("usr/bin/x", "y"))],
                "`/usr/bin/x` is written twice in one layer: as a generated file of 1 bytes \
                 (0644, 0:0), and as a link to `y`",
            ),
            (
                vec![keep(link("l", "d")), keep(file("l/x", "a"))],
                "`/l` is written twice in one layer: as a link to `d`, and as the folder of `l/x`",
            ),
            (
                vec![keep(file("app", "a"))],
                "`/app` would be a generated file of 1 bytes (0644, 0:0), but it is a folder already",
            ),
            (
                vec![keep(link("app", "b"))],
                "`/app` would be a link to `b`, but it is a folder already",
            ),
            (
                vec![keep(file("bin", "a"))],
                "`/bin` would be a generated file of 1 bytes (0644, 0:0), but it is a folder already",
            ),
            (
                vec![keep(file("", "a"))],
                "`/` would be a generated file of 1 bytes (0644, 0:0), but it is a folder already",
            ),
            (
                vec![keep(directory("etc/passwd", 0o755, 0))],
                "`/etc/passwd` would be a folder, but it is a file already",
            ),
            (
                vec![keep(file("etc/passwd/x", "a"))],
                "`/etc/passwd/x` cannot be written: `/etc/passwd` is a file, not a folder",
            ),
        ] {
            let error = base().ground(drafts, 0).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn later_layers_see_earlier_ones() {
        let mut tree = base();
        let drafts = vec![replace(directory("app", 0o750, 7)), keep(link("cur", "app"))];
        tree.lay(&tree.ground(drafts, 0).unwrap());
        assert_eq!(
            tree.ground(vec![keep(file("cur/x", "x"))], 5),
            Ok(vec![Entry { mtime: 5, ..directory("app", 0o750, 7) }, file("app/x", "x")])
        );
    }

    fn any_draft() -> impl Strategy<Value = Draft> {
        let path = "([ab.-]/){0,3}[ab.-]".prop_map(|path| {
            path.split('/').filter(|part| *part != ".").collect::<Vec<_>>().join("/")
        });
        let entry = (path, 0..3_u8, any::<bool>()).prop_map(|(path, kind, is_replaced)| {
            let entry = match kind {
                0 => file(&path, "x"),
                1 => link(&path, "a/b"),
                _ => directory(&path, 0o750, 3),
            };
            if is_replaced { replace(entry) } else { keep(entry) }
        });
        entry.prop_filter("files have a name", |draft| {
            draft.entry.kind == EntryKind::Directory || !draft.entry.path.is_empty()
        })
    }

    proptest! {
        #[test]
        fn layers_are_sorted_unique_and_closed(
            lower in proptest::collection::vec(any_draft(), 0..4),
            drafts in proptest::collection::vec(any_draft(), 0..8),
        ) {
            let mut tree = base();
            tree.lay(&tree.ground(lower, 0).unwrap_or_default());
            let before = tree.clone();
            let Ok(entries) = tree.ground(drafts, 0) else { return Ok(()) };
            tree.lay(&entries);
            prop_assert!(entries.is_sorted_by(|left, right| left.path < right.path));
            for entry in &entries {
                for parent in ancestors(&entry.path) {
                    let position = entries.binary_search_by(|other| other.path.as_str().cmp(parent));
                    let is_folder = position.is_ok_and(|at| entries[at].kind == EntryKind::Directory);
                    prop_assert!(is_folder, "{} without {parent}", entry.path);
                    let is_link = matches!(before.get(parent), Some(RootNode::Symlink(_)));
                    prop_assert!(!is_link, "{} leads through a link", entry.path);
                }
            }
            // Grounding what is grounded changes nothing, on the old ground and on the new.
            let again: Vec<_> = entries.iter().cloned().map(replace).collect();
            prop_assert_eq!(before.ground(again.clone(), 0), Ok(entries.clone()));
            prop_assert_eq!(tree.ground(again, 0), Ok(entries));
        }
    }
}
