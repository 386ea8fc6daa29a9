//! Layers on top of each other become one file system (image-spec, layer.md, "Applying Changesets").

use std::collections::BTreeMap;

use super::layer_index::{LayerIndex, remove_below};
use crate::plan::{RootNode, RootTree};

type Nodes<'a> = BTreeMap<String, Placed<'a>>;

/// What stands at a path, with its text where that is kept.
struct Placed<'a> {
    node: RootNode,
    text: Option<&'a str>,
}

/// What runtimes make where a layer has a path and not its folder.
const IMPLIED: RootNode = RootNode::Directory { mode: 0o755, uid: 0, gid: 0 };

/// Puts layers on each other, lowest first.
///
/// A layer that names a path without naming its folder leaves a folder that is there as it is (so
/// does containerd; under Docker's overlay driver it becomes 0:0 0755, which no honest base relies
/// on), and replaces a file or link by a folder.
pub(in crate::gather) fn merge<'a>(layers: impl IntoIterator<Item = &'a LayerIndex>) -> RootTree {
    let mut nodes = Nodes::new();
    for layer in layers {
        apply(&mut nodes, layer);
    }
    let mut tree = RootTree::default();
    for (path, Placed { node, text }) in nodes {
        tree.insert(path.clone(), node);
        if let Some(text) = text {
            tree.keep_text(path, text.to_owned());
        }
    }
    tree
}

fn apply<'a>(nodes: &mut Nodes<'a>, layer: &'a LayerIndex) {
    // What a layer removes is below it: its own entries stay, wherever they stand in the tar.
    for folder in &layer.opaque {
        if folder.is_empty() {
            nodes.retain(|path, _| path.is_empty());
        } else {
            remove_below(nodes, &format!("{folder}/"));
        }
    }
    for path in &layer.whiteouts {
        nodes.remove(path);
        remove_below(nodes, &format!("{path}/"));
    }
    // Sorted, so that a folder comes before what is in it.
    for (path, node) in &layer.nodes {
        make_parents(nodes, path);
        if !matches!(node, RootNode::Directory { .. }) {
            remove_below(nodes, &format!("{path}/"));
        }
        let text = layer.texts.get(path).map(String::as_str);
        nodes.insert(path.clone(), Placed { node: node.clone(), text });
    }
}

fn make_parents(nodes: &mut Nodes<'_>, path: &str) {
    for (end, _) in path.match_indices('/') {
        let parent = &path[..end];
        let is_folder = |placed: &Placed<'_>| matches!(placed.node, RootNode::Directory { .. });
        if !nodes.get(parent).is_some_and(is_folder) {
            nodes.insert(parent.to_owned(), Placed { node: IMPLIED, text: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer from words: `a/` folder, `a/=1000` folder of uid 1000, `a@b` link, `-a` whiteout,
    /// `*a` opaque folder, `a=x` file with a text that is kept, `a` file.
    fn layer(text: &str) -> LayerIndex {
        let mut layer = LayerIndex::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if let Some(path) = word.strip_prefix('-') {
                layer.whiteouts.insert(path.into());
            } else if let Some(path) = word.strip_prefix('*') {
                layer.opaque.insert(path.into());
            } else if let Some((path, target)) = word.split_once('@') {
                layer.nodes.insert(path.into(), RootNode::Symlink(target.into()));
            } else if let Some((path, uid)) = word.split_once("/=") {
                let uid = uid.parse().unwrap();
                let node = RootNode::Directory { mode: 0o700, uid, gid: uid };
                layer.nodes.insert(path.into(), node);
            } else if let Some((path, text)) = word.split_once('=') {
                layer.nodes.insert(path.into(), RootNode::File);
                layer.texts.insert(path.into(), text.into());
            } else if let Some(path) = word.strip_suffix('/') {
                layer.nodes.insert(path.into(), IMPLIED);
            } else {
                layer.nodes.insert(word.into(), RootNode::File);
            }
        }
        layer
    }

    #[test]
    fn layers_are_applied_from_below() {
        for (layers, expected) in [
            (vec!["a/ a/b", "a/c"], "a/ a/b a/c"),
            // Mode and owner of a folder.
            (vec!["a/=1000 a/b", "a/c"], "a/=1000 a/b a/c"),
            (vec!["a/=1000 a/b", "a/ a/c"], "a/ a/b a/c"),
            (vec!["a/ a/b", "a/=1000"], "a/=1000 a/b"),
            (vec!["x/y/z"], "x/ x/y/ x/y/z"),
            // Whiteouts.
            (vec!["a/ a/b a/c ab", "-a"], "ab"),
            (vec!["a/ a/b a/c", "-a/b"], "a/ a/c"),
            (vec!["a/ a/b", "-a/b a/b"], "a/ a/b"),
            (vec!["a/=1000 a/b", "-a a/ a/c"], "a/ a/c"),
            (vec!["a", "-missing"], "a"),
            // Opaque folders.
            (vec!["a/ a/b a/c/ a/c/d", "a/ a/e *a"], "a/ a/e"),
            (vec!["a/=1000 a/b", "*a"], "a/=1000"),
            (vec!["a/ a/b c", "* d"], "d"),
            // One kind over another.
            (vec!["a/ a/b", "a"], "a"),
            (vec!["a/ a/b a-c", "a@x"], "a@x a-c"),
            (vec!["a@x", "a/=7 a/b"], "a/=7 a/b"),
            (vec!["bin@usr/bin", "bin/x"], "bin/ bin/x"),
            (vec!["a", "a/b"], "a/ a/b"),
            // Texts.
            (vec!["a/b=1", "a/c"], "a/ a/b=1 a/c"),
            (vec!["a/b=1", "a/b=2"], "a/ a/b=2"),
            (vec!["a/b=1", "a/b"], "a/ a/b"),
            (vec!["a/b=1", "a/b@c"], "a/ a/b@c"),
            (vec!["a/b=1", "-a/b"], "a/"),
            (vec!["a/b=1", "-a a/b"], "a/ a/b"),
            (vec!["a/b=1", "*a"], "a/"),
            (vec!["a/b=1", "a/b/"], "a/ a/b/"),
            (vec!["a/b=1", "a/b/c"], "a/ a/b/ a/b/c"),
            (vec![], ""),
        ] {
            let indexes: Vec<_> = layers.iter().map(|text| layer(text)).collect();
            let mut tree = RootTree::default();
            let LayerIndex { nodes, texts, .. } = layer(expected);
            for (path, node) in nodes {
                tree.insert(path, node);
            }
            for (path, text) in texts {
                tree.keep_text(path, text);
            }
            assert_eq!(merge(&indexes), tree, "{layers:?}");
        }
    }
}
