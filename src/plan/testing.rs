//! What the tests of this stage share: settings from YAML, a config around layers, listed trees.

use std::collections::BTreeMap;

use super::{
    BaseImage, DiskFile, Draft, Entry, EntryKind, FileSource, FileStamp, LayerSource, RootNode,
    RootTree, TreeEntry, TreeEntryKind, sources,
};
use crate::config::{
    Base, Config, ConfigSource, Key, LayerCompression, LayerSpec, Node, Position, Problems,
    PublishSettings, RunSettings, SecretSettings, Value,
};
use crate::oci::{ImageConfig, Platform};

/// A node from YAML. It has no places, so that messages are compared without them.
pub(super) fn node(yaml: &str) -> Node {
    let mut problems = Problems::new();
    let node = Node::parse_yaml(yaml, "test.yaml", &mut problems);
    assert!(problems.is_empty(), "{problems}");
    without_places(node.expect("YAML without problems is a node"))
}

fn without_places(node: Node) -> Node {
    let position = Position::default();
    let value = match node.value {
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(without_places).collect()),
        Value::Mapping(members) => Value::Mapping(
            members
                .into_iter()
                .map(|(key, value)| {
                    (Key { position: position.clone(), ..key }, without_places(value))
                })
                .collect(),
        ),
        scalar => scalar,
    };
    Node { value, position }
}

/// A config of these layers, each in YAML, whose entries have the mtime 7.
pub(super) fn config(layers: &[&str]) -> Config {
    let layer = |yaml: &&str| {
        let settings = node(yaml);
        LayerSpec {
            kind: settings.get_text("kind").unwrap_or_default().to_owned(),
            kind_position: Position::default(),
            settings,
        }
    };
    Config {
        name: "agent".into(),
        base: Base::Scratch,
        platforms: vec![Platform::linux_amd64()],
        layers: layers.iter().map(layer).collect(),
        compression: LayerCompression::default(),
        run: RunSettings::default(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        has_vcs_labels: true,
        mtime: 7,
        publish: PublishSettings::default(),
        required_at_run_time: Vec::new(),
        requirements: Vec::new(),
        source: ConfigSource {
            file: "dockless.yaml".into(),
            format: "dockless",
            directory: "/project".into(),
        },
        version: None,
        files: std::collections::BTreeSet::new(),
        left_out: Vec::new(),
        unknown_keys: Vec::new(),
        secrets: SecretSettings::default(),
        environments: Vec::new(),
    }
}

/// The only source of a config, or every problem as "message; hint".
pub(super) fn source(config: &Config) -> Result<Box<dyn LayerSource>, Vec<String>> {
    let mut problems = Problems::new();
    let mut sources = sources(config, &mut problems);
    if problems.is_empty() {
        return Ok(sources.pop().expect("a layer without problems has a source"));
    }
    let text = |problem: crate::config::Problem| match problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message,
    };
    Err(problems.list().into_iter().map(text).collect())
}

/// An entry of a listed tree: a folder when the path ends in `/`, a link for `path -> target`.
pub(super) fn found(path: &str, mode: u32) -> TreeEntry {
    let (path, kind) = if let Some((path, target)) = path.split_once(" -> ") {
        (path, TreeEntryKind::Symlink(target.into()))
    } else if path.is_empty() || path.ends_with('/') {
        (path.trim_end_matches('/'), TreeEntryKind::Directory)
    } else {
        (path, TreeEntryKind::File(disk_file(path)))
    };
    TreeEntry { path: path.into(), kind, mode }
}

/// A file of three bytes.
pub(super) fn disk_file(path: &str) -> DiskFile {
    DiskFile { path: path.into(), stamp: FileStamp { size_bytes: 3, ..FileStamp::default() } }
}

/// Drafts in the form "mode uid:gid path", with `/` behind folders and the target behind links.
pub(super) fn listing(drafts: &[Draft]) -> Vec<String> {
    drafts.iter().map(|draft| line(&draft.entry)).collect()
}

/// An entry in the form of [`listing`].
pub(super) fn line(entry: &Entry) -> String {
    let Entry { path, kind, mode, uid, gid, .. } = entry;
    let tail = match kind {
        EntryKind::Directory => "/".to_owned(),
        EntryKind::File(_) => String::new(),
        EntryKind::Symlink(target) => format!(" -> {target}"),
    };
    format!("{mode:04o} {uid}:{gid} {path}{tail}")
}

/// The text of a made file.
pub(super) fn text(draft: &Draft) -> &str {
    match &draft.entry.kind {
        EntryKind::File(FileSource::Bytes(bytes)) => {
            std::str::from_utf8(bytes).expect("made files of tests are text")
        }
        other => panic!("{other:?} is no made file"),
    }
}

/// A file system of files (and the folders above them), and links for `path -> target`.
pub(super) fn tree(paths: &[&str]) -> RootTree {
    let mut tree = RootTree::default();
    for path in paths {
        let (path, node) = match path.split_once(" -> ") {
            Some((path, target)) => (path, RootNode::Symlink(target.into())),
            None => (*path, RootNode::File),
        };
        for (end, _) in path.match_indices('/') {
            tree.insert(&path[..end], RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
        }
        tree.insert(path, node);
    }
    tree
}

/// A base without layers.
pub(super) fn base(platform: &Platform, root: RootTree) -> BaseImage {
    BaseImage { root, ..BaseImage::empty("scratch", ImageConfig::scratch(platform)) }
}
