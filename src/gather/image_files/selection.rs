//! What is selected of an image, once it is known what is in it.

use crate::config::Problem;
use crate::config::near_names::nearest;
use crate::oci::Platform;
use crate::plan::pattern::PatternSet;
use crate::plan::{FinalLink, ImageNeed, RootNode, RootTree};

/// How many names a hint lists.
const SHOWN_NAMES: usize = 8;

/// What an image has at a path and below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// The path, led through the links on its way.
    pub(super) root: String,
    /// By paths from the root, sorted; that of the selection is the first.
    pub(super) nodes: Vec<(String, RootNode)>,
}

impl Selection {
    /// Selects what is needed, less what is excluded.
    ///
    /// # Errors
    /// The path is not there; says what is.
    pub(super) fn of(
        need: &ImageNeed,
        tree: &RootTree,
        platform: &Platform,
    ) -> Result<Self, Problem> {
        let found = find(&need.source, need.last, tree);
        let (root, node) = found.ok_or_else(|| missing(need, tree, platform))?;
        let exclude = PatternSet::parse(&need.exclude, "exclude");
        let exclude = exclude.expect("the config refuses what is no pattern");
        let mut nodes = vec![(root.clone(), node)];
        if matches!(nodes[0].1, RootNode::Directory { .. }) {
            let skipped = if root.is_empty() { 0 } else { root.len() + 1 };
            let is_wanted = |path: &str| {
                exclude.is_empty() || !exclude.matches_from_root(&path[skipped..]).is_match
            };
            let below = tree.below(&root).filter(|(path, _)| is_wanted(path));
            nodes.extend(below.map(|(path, node)| (path.to_owned(), node.clone())));
        }
        Ok(Self { root, nodes })
    }
}

/// What stands at a path, and where that leads.
fn find(path: &str, last: FinalLink, tree: &RootTree) -> Option<(String, RootNode)> {
    let path = tree.resolve(path, last).ok()?;
    let root = RootNode::Directory { mode: 0o755, uid: 0, gid: 0 };
    let node = tree.get(&path).cloned().or_else(|| path.is_empty().then_some(root))?;
    Some((path, node))
}

fn missing(need: &ImageNeed, tree: &RootTree, platform: &Platform) -> Problem {
    let parents = need.source.rmatch_indices('/').map(|(end, _)| &need.source[..end]).chain([""]);
    let is_folder = |node: &RootNode| matches!(node, RootNode::Directory { .. });
    let nearest_folder = parents.filter_map(|parent| {
        let (folder, node) = find(parent, FinalLink::Followed, tree)?;
        is_folder(&node).then_some((parent, folder))
    });
    let (parent, folder) = nearest_folder.take(1).next().unwrap_or_default();
    let skipped = if folder.is_empty() { 0 } else { folder.len() + 1 };
    let names: Vec<_> = tree.below(&folder).map(|(path, _)| &path[skipped..]).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.contains('/')).collect();
    let wanted = need.source[parent.len()..].trim_start_matches('/').split('/').next();
    let hint = match nearest(wanted.unwrap_or_default(), &names) {
        Some(name) => {
            let path = [parent, name].join("/");
            format!("did you mean `/{}`?", path.trim_start_matches('/').escape_debug())
        }
        None => format!("`/{}` {}", parent.escape_debug(), holds(&names)),
    };
    let (source, name) = (need.source.escape_debug(), need.name.escape_debug());
    Problem {
        position: need.position.clone(),
        message: format!("image `{name}` has no `/{source}` for {platform}"),
        hint: Some(hint),
    }
}

fn holds(names: &[&str]) -> String {
    let shown = names.iter().take(SHOWN_NAMES).map(|name| format!("`{}`", name.escape_debug()));
    let mut shown: Vec<_> = shown.collect();
    match names.len().saturating_sub(SHOWN_NAMES) {
        0 if names.is_empty() => return "is empty there".into(),
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    format!("holds {} there", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Base, Position};

    fn tree() -> RootTree {
        let mut tree = RootTree::default();
        for path in ["opt", "usr", "usr/bin", "usr/lib", "usr/lib/npm", "usr/lib/npm/docs"] {
            tree.insert(path, RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
        }
        tree.insert("bin", RootNode::Symlink("usr/bin".into()));
        tree.insert("usr/bin/npm", RootNode::Symlink("../lib/npm/cli.js".into()));
        for path in ["usr/bin/node", "usr/lib/npm/cli.js", "usr/lib/npm/docs/a.md"] {
            tree.insert(path, RootNode::File);
        }
        tree
    }

    fn select(source: &str, last: FinalLink, exclude: &[&str]) -> Result<String, String> {
        let need = ImageNeed {
            image: Base::Scratch,
            name: "node:22".into(),
            source: source.into(),
            last,
            exclude: exclude.iter().map(|pattern| (*pattern).into()).collect(),
            position: Position::default(),
        };
        let selected = Selection::of(&need, &tree(), &Platform::linux_amd64());
        let selected = selected.map(|Selection { root, nodes }| {
            let paths: Vec<_> = nodes.into_iter().map(|(path, _)| path).collect();
            format!("{root}: {}", paths.join(" "))
        });
        selected.map_err(|problem| format!("{}; {}", problem.message, problem.hint.unwrap()))
    }

    #[test]
    fn a_path_selects_what_is_there_and_below() {
        let npm = "usr/lib/npm: usr/lib/npm usr/lib/npm/cli.js";
        for (source, last, exclude, expected) in [
            ("usr/bin/node", FinalLink::Kept, &[][..], "usr/bin/node: usr/bin/node"),
            ("bin/npm", FinalLink::Kept, &[], "usr/bin/npm: usr/bin/npm"),
            ("bin", FinalLink::Kept, &[], "bin: bin"),
            ("bin", FinalLink::Followed, &[], "usr/bin: usr/bin usr/bin/node usr/bin/npm"),
            ("usr/lib/npm", FinalLink::Kept, &["docs"], npm),
            ("usr/lib/npm", FinalLink::Kept, &["**/*.md"], &format!("{npm} usr/lib/npm/docs")),
            ("opt", FinalLink::Kept, &[], "opt: opt"),
            ("", FinalLink::Kept, &["usr"], ":  bin opt"),
        ] {
            assert_eq!(select(source, last, exclude).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        for (source, expected) in [
            ("bin/nod", "did you mean `/bin/node`?"),
            ("ussr/bin", "did you mean `/usr`?"),
            ("usr/local/lib", "`/usr` holds `bin`, `lib` there"),
            ("opt/node", "`/opt` is empty there"),
            ("usr/bin/node/x", "did you mean `/usr/bin/node`?"),
        ] {
            let message = format!("image `node:22` has no `/{source}` for linux/amd64; {expected}");
            assert_eq!(select(source, FinalLink::Kept, &[]), Err(message));
        }
    }
}
