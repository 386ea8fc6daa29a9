//! What is different about two images, in words: for people who wonder why a tag would move.

use std::collections::{BTreeMap, BTreeSet};

use super::annotate::BASE_DIGEST_ANNOTATION;
use crate::layer::{BASE_LAYERS_ANNOTATION, WRITER_VERSION_ANNOTATION};
use crate::oci::{Digest, ImageConfig, Manifest, RunConfig};
use crate::plan::BASE_FILES_ANNOTATION;

/// How `created_by` begins in layers of ours.
const OURS: &str = "dockless: ";
/// The most that is shown of a text from an image, in characters.
const MAX_SHOWN_CHARACTERS: usize = 60;
/// The most names of labels, variables or annotations that are told.
const MAX_NAMES: usize = 16;

/// The documents of one image.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The image config.
    pub config: &'a ImageConfig,
}

/// A layer as far as its documents tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    name: String,
    diff_id: Digest,
}

/// What changed from one image to another, one phrase each; values of variables are not told.
pub fn differences(before: Documents<'_>, after: Documents<'_>) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(platform(before.config, after.config));
    let base = base(before.manifest, after.manifest);
    let has_base_moved = base.is_some();
    found.extend(base);
    layers(before, after, has_base_moved, &mut found);
    found.extend(settings_and_annotations(before, after));
    if found.is_empty() {
        found.push("the content is the same, the documents are written in another way".to_owned());
    }
    found
}

fn platform(before: &ImageConfig, after: &ImageConfig) -> Option<String> {
    let (old, new) = (before.platform(), after.platform());
    (old != new).then(|| {
        let (old, new) = (shown(&old.to_string()), shown(&new.to_string()));
        format!("platform changed from {old} to {new}")
    })
}

fn settings_and_annotations(before: Documents<'_>, after: Documents<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let settings = settings(before.config, after.config);
    if !settings.is_empty() {
        found.push(format!("config changed: {}", settings.join(", ")));
    }
    let (old, new) = (&before.manifest.annotations, &after.manifest.annotations);
    let mut names = changed(old, new);
    if names.remove(WRITER_VERSION_ANNOTATION) {
        found.push("written by another version of dockless, or compressed otherwise".to_owned());
    }
    // Told as a change of the base.
    let is_of_base = |name: &str| {
        name.starts_with("org.opencontainers.image.base.")
            || [BASE_LAYERS_ANNOTATION, BASE_FILES_ANNOTATION].contains(&name)
    };
    names.retain(|name| !is_of_base(name));
    if !names.is_empty() {
        found.push(format!("annotations changed: {}", list(&names)));
    }
    found
}

fn base(before: &Manifest, after: &Manifest) -> Option<String> {
    let of = |manifest: &Manifest| {
        manifest.annotations.get(BASE_DIGEST_ANNOTATION).map(|digest| shown(digest))
    };
    match (of(before), of(after)) {
        (Some(old), Some(new)) if old != new => Some(format!("base moved from {old} to {new}")),
        (None, Some(new)) => Some(format!("base is now {new}")),
        (Some(old), None) => Some(format!("base was {old}")),
        _ => None,
    }
}

fn layers(
    before: Documents<'_>,
    after: Documents<'_>,
    has_base_moved: bool,
    found: &mut Vec<String>,
) {
    let told = |documents: Documents<'_>| {
        let mut told = told(documents.config);
        // The base's own layers are told of by its digest.
        told.retain(|layer| !has_base_moved || layer.name.starts_with(OURS));
        told
    };
    let (old, new) = (told(before), told(after));
    let is_in =
        |layer: &Told, others: &[Told]| others.iter().any(|other| other.diff_id == layer.diff_id);
    let mut gone: Vec<_> = old.iter().filter(|layer| !is_in(layer, &new)).collect();
    let come: Vec<_> = new.iter().filter(|layer| !is_in(layer, &old)).collect();
    let is_same_set = gone.is_empty() && come.is_empty();
    for layer in come {
        let name = shown(layer.name.strip_prefix(OURS).unwrap_or(&layer.name));
        match gone.iter().position(|old| old.name == layer.name) {
            Some(position) => {
                gone.remove(position);
                found.push(format!("layer \"{name}\" changed"));
            }
            None => found.push(format!("layer \"{name}\" is new")),
        }
    }
    for layer in gone {
        let name = shown(layer.name.strip_prefix(OURS).unwrap_or(&layer.name));
        found.push(format!("layer \"{name}\" is gone"));
    }
    let digests = |manifest: &Manifest| -> Vec<Digest> {
        manifest.layers.iter().map(|layer| layer.digest).collect()
    };
    if is_same_set && old != new {
        found.push("layers are in another order".to_owned());
    } else if old == new && !has_base_moved && digests(before.manifest) != digests(after.manifest) {
        found.push("layers are compressed in another way".to_owned());
    }
}

/// What the history says of each layer, where it is told of all of them and of no others.
pub fn layer_names(config: &ImageConfig) -> Vec<Option<&str>> {
    let layers = config.rootfs.diff_ids.len();
    let history: Vec<_> = config.history.iter().filter(|entry| !entry.empty_layer).collect();
    if history.len() != layers {
        return vec![None; layers];
    }
    let names = history.into_iter().map(|entry| entry.created_by.as_deref());
    names.map(|name| name.filter(|name| !name.is_empty())).collect()
}

/// The layers by their history; without one, by their number.
fn told(config: &ImageConfig) -> Vec<Told> {
    let named = layer_names(config).into_iter().zip(&config.rootfs.diff_ids).enumerate();
    let told = named.map(|(place, (name, diff_id))| Told {
        name: name.map_or_else(|| format!("number {}", place + 1), str::to_owned),
        diff_id: *diff_id,
    });
    told.collect()
}

/// The settings of a container that changed.
fn settings(before: &ImageConfig, after: &ImageConfig) -> Vec<String> {
    let (old, new) = (&before.config, &after.config);
    let named = |kind: &str, names: &BTreeSet<String>| match names.len() {
        0 => None,
        _ => Some(format!("{kind} ({})", list(names))),
    };
    let simple = |kind: &str, is_changed: bool| is_changed.then(|| kind.to_owned());
    [
        simple("created", before.created != after.created),
        simple("user", old.user != new.user),
        named("env", &changed(&variables(old), &variables(new))),
        simple("entrypoint", old.entrypoint != new.entrypoint),
        simple("cmd", old.cmd != new.cmd),
        simple("workdir", old.working_dir != new.working_dir),
        simple("ports", old.exposed_ports != new.exposed_ports),
        simple("volumes", old.volumes != new.volumes),
        simple("stop signal", old.stop_signal != new.stop_signal),
        named("labels", &changed(&old.labels, &new.labels)),
        simple("others", old.other != new.other || before.other != after.other),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn variables(config: &RunConfig) -> BTreeMap<String, String> {
    let pairs = config.env.iter().map(|line| line.split_once('=').unwrap_or((line, "")));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The names whose values differ, or that only one side has.
pub(super) fn changed(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let names = old.keys().chain(new.keys());
    names.filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

fn list(names: &BTreeSet<String>) -> String {
    let mut list: Vec<_> = names.iter().take(MAX_NAMES).map(|name| shown(name)).collect();
    if names.len() > MAX_NAMES {
        list.push(format!("and {} more", names.len() - MAX_NAMES));
    }
    list.join(", ")
}

/// A text from an image: on one line, without what steers a terminal, not too long.
fn shown(text: &str) -> String {
    // A digest is shown whole.
    if text.parse::<Digest>().is_ok() {
        return text.to_owned();
    }
    let mut line: String = text.chars().take(MAX_SHOWN_CHARACTERS).collect();
    line = line.escape_debug().to_string();
    if text.chars().count() > MAX_SHOWN_CHARACTERS {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, History, MediaType, Platform};

    /// An image on a base of one layer with one layer of ours.
    fn image() -> (Manifest, ImageConfig) {
        let layer = |text: &str| Descriptor::of(MediaType::OciLayerGzip, text.as_bytes());
        let config = Descriptor::of(MediaType::OciConfig, b"{}");
        let mut manifest = Manifest::new(config, vec![layer("base"), layer("files")]);
        let base = Digest::of(b"base 1").to_string();
        manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), base);
        let mut config = ImageConfig::scratch(&Platform::linux_amd64());
        config.rootfs.diff_ids = vec![Digest::of(b"base"), Digest::of(b"files")];
        config.history = ["RUN base", "dockless: files src → /app"]
            .map(|text| History { created_by: Some(text.to_owned()), ..History::default() })
            .into();
        config.config.env = vec!["A=1".into()];
        (manifest, config)
    }

    type Change = fn(&mut Manifest, &mut ImageConfig);

    #[test]
    fn says_what_moved() {
        let (one, two) = (Digest::of(b"base 1"), Digest::of(b"base 2"));
        let same = "the content is the same, the documents are written in another way";
        let moved = format!("base moved from {one} to {two}");
        let cases: [(Change, &[&str]); 12] = [
            (|_, _| {}, &[same]),
            (
                |manifest, config| {
                    let digest = Digest::of(b"base 2").to_string();
                    manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), digest);
                    manifest.layers[0].digest = Digest::of(b"other");
                    config.rootfs.diff_ids[0] = Digest::of(b"other");
                },
                &[&moved],
            ),
            (
                |_, config| config.rootfs.diff_ids[1] = Digest::of(b"other"),
                &["layer \"files src → /app\" changed"],
            ),
            (
                |_, config| {
                    config.rootfs.diff_ids.pop();
                    config.history.pop();
                },
                &["layer \"files src → /app\" is gone"],
            ),
            (
                |_, config| {
                    config.rootfs.diff_ids.push(Digest::of(b"new"));
                    let created_by = Some("dockless: \u{1b}[2J".to_owned());
                    config.history.push(History { created_by, ..History::default() });
                },
                &["layer \"\\u{1b}[2J\" is new"],
            ),
            (|_, config| config.rootfs.diff_ids.swap(0, 1), &["layers are in another order"]),
            (
                |manifest, _| manifest.layers[1].digest = Digest::of(b"other"),
                &["layers are compressed in another way"],
            ),
            (
                |_, config| {
                    config.config.env = vec!["A=canary".into(), "B=2".into()];
                    config.config.labels.insert("x".into(), "y".into());
                    config.config.cmd = Some(vec!["run".into()]);
                },
                &["config changed: env (A, B), cmd, labels (x)"],
            ),
            (|_, config| config.created = Some("now".into()), &["config changed: created"]),
            (
                |manifest, _| {
                    manifest.annotations.insert(WRITER_VERSION_ANNOTATION.into(), "2".into());
                    manifest.annotations.insert("x".into(), "y".into());
                },
                &[
                    "written by another version of dockless, or compressed otherwise",
                    "annotations changed: x",
                ],
            ),
            (
                |_, config| config.architecture = "arm64".into(),
                &["platform changed from linux/amd64 to linux/arm64"],
            ),
            (
                |_, config| {
                    config.history.clear();
                    config.rootfs.diff_ids[1] = Digest::of(b"other");
                },
                &["layer \"number 2\" is new", "layer \"files src → /app\" is gone"],
            ),
        ];
        let before = image();
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            let mut after = image();
            change(&mut after.0, &mut after.1);
            let documents = |(manifest, config): &(Manifest, ImageConfig)| -> Vec<String> {
                differences(
                    Documents { manifest: &before.0, config: &before.1 },
                    Documents { manifest, config },
                )
            };
            assert_eq!(documents(&after), expected, "case {number}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let names = |count: u32| (0..count).map(|number| format!("{number:02}")).collect();
        assert!(list(&names(16)).ends_with(", 15"));
        assert!(list(&names(18)).ends_with(", 15, and 2 more"));
    }
}
