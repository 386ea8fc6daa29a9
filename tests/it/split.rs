//! Large trees become several layers, so that a change of one file changes one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use dockless::config::{Problems, load};
use dockless::layer::check_entries;
use dockless::oci::{Descriptor, Digest, ImageConfig, MediaType, Platform};
use dockless::plan::{
    BaseImage, BaseLayer, DiskFile, Entry, EntryKind, FileStamp, Inputs, LayerContent, LayerPlan,
    Need, Origin, Plan, PlanError, RootNode, RootTree, Tree, TreeEntry, TreeEntryKind, needs, plan,
    sources,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::cli::Sandbox;

const MIB: u64 = 1 << 20;

/// A listed folder: paths to the sizes of files, `/` behind folders, `@` behind links.
type Listing = BTreeMap<String, u64>;

/// The bases by platform: how many layers each has.
type Bases<'a> = &'a [(&'a str, usize)];

/// Plans a config whose layers copy this listing, in the order in which it is given.
fn planned(layers: &str, bases: Bases<'_>, entries: &[TreeEntry]) -> Result<Plan, PlanError> {
    let project = tempfile::tempdir().unwrap();
    let platforms: Vec<_> = bases.iter().map(|(platform, _)| *platform).collect();
    let text = format!("name: a\nbase: scratch\nplatforms: {platforms:?}\nlayers: [{layers}]\n");
    std::fs::write(project.path().join("dockless.yaml"), text).unwrap();
    let loaded = load(project.path(), None, None).unwrap();
    let mut problems = Problems::new();
    let sources = sources(&loaded.config, &mut problems);
    assert!(problems.is_empty() && loaded.problems.is_empty(), "{problems}");
    let tree = |need| match need {
        Need::Tree(need) => (need, Tree { entries: entries.to_vec() }),
        Need::File { .. } | Need::Image(_) => panic!("no layer of these needs a file"),
    };
    let trees = needs(&sources).into_iter().map(tree).collect();
    let bases = bases.iter().map(|(platform, layers)| {
        let platform: Platform = platform.parse().unwrap();
        (platform.clone(), base(&platform, *layers))
    });
    plan(&loaded.config, &sources, &Inputs { trees, bases: bases.collect(), ..Inputs::default() })
}

/// A base whose `/app` belongs to somebody.
fn base(platform: &Platform, layers: usize) -> BaseImage {
    let mut root = RootTree::default();
    root.insert("app", RootNode::Directory { mode: 0o750, uid: 7, gid: 8 });
    let layer = BaseLayer {
        descriptor: Descriptor::of(MediaType::OciLayerGzip, b"x"),
        diff_id: Digest::of(b"x"),
        origin: Origin::Store,
    };
    let layers = vec![layer; layers];
    BaseImage { layers, root, ..BaseImage::empty("base", ImageConfig::scratch(platform)) }
}

/// What the walk finds: the folder itself, every folder on the way, and what is listed.
fn found(listing: &Listing) -> Vec<TreeEntry> {
    let folder =
        |path: &str| TreeEntry { path: path.into(), kind: TreeEntryKind::Directory, mode: 0o755 };
    let mut entries = BTreeMap::from([(String::new(), folder(""))]);
    for (listed, size_bytes) in listing {
        for (end, _) in listed.match_indices('/') {
            entries.insert(listed[..end].to_owned(), folder(&listed[..end]));
        }
        let kind = match listed.chars().last() {
            Some('/') => continue,
            Some('@') => TreeEntryKind::Symlink("target".into()),
            _ => {
                let stamp = FileStamp { size_bytes: *size_bytes, ..FileStamp::default() };
                TreeEntryKind::File(DiskFile { path: listed.clone(), stamp })
            }
        };
        entries.insert(listed.clone(), TreeEntry { path: listed.clone(), kind, mode: 0o644 });
    }
    entries.into_values().collect()
}

const AUTO: &str = "{kind: files, copy: {src: ., dest: /app}}";
const OFF: &str = "{kind: files, copy: {src: ., dest: /app}, split: off}";
const ONE: Bases<'_> = &[("linux/amd64", 3)];

fn layers(listing: &Listing) -> Vec<LayerPlan> {
    planned(AUTO, ONE, &found(listing)).unwrap().images.remove(0).layers
}

fn entries(layer: &LayerPlan) -> &[Entry] {
    let LayerContent::Pack(entries) = &layer.content else { panic!("nothing exists") };
    entries
}

fn file_bytes(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File(source) => source.size_bytes(),
        EntryKind::Directory | EntryKind::Symlink(_) => 0,
    }
}

fn layer_bytes(layer: &LayerPlan) -> u64 {
    entries(layer).iter().map(file_bytes).sum()
}

/// The rule, said a second time.
fn limit(listing: &Listing) -> u64 {
    let total: u64 = listing.values().sum();
    let mut limit = 8 * MIB;
    while limit * 2 <= total / 8 {
        limit *= 2;
    }
    limit
}

/// The layers of `after` that have to be packed although `before` is there.
fn new_layers<'a>(before: &[LayerPlan], after: &'a [LayerPlan]) -> Vec<&'a LayerPlan> {
    after.iter().filter(|layer| !before.iter().any(|old| old.content == layer.content)).collect()
}

/// Asserts that the parts hold the layer, the whole layer, and nothing twice but folders; counts them.
fn check_parts(listing: &Listing) -> usize {
    let parts = layers(listing);
    let whole = planned(OFF, ONE, &found(listing)).unwrap().images.remove(0).layers;
    assert_eq!(whole.len(), 1);
    let whole: BTreeMap<_, _> =
        entries(&whole[0]).iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let folder = |path: &'_ str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let folders: BTreeSet<_> = whole.keys().filter_map(|path| folder(path)).collect();

    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for part in &parts {
        check_entries(entries(part)).unwrap();
        let inner: BTreeSet<_> =
            entries(part).iter().filter_map(|entry| folder(&entry.path)).collect();
        for entry in entries(part) {
            assert_eq!(whole.get(entry.path.as_str()), Some(&entry));
            *times.entry(&entry.path).or_default() += 1;
            let is_idle = folders.contains(&entry.path) && !inner.contains(&entry.path);
            assert!(!is_idle, "`{}` is in `{}` for nothing", entry.path, part.name);
        }
        let files = entries(part).iter().filter(|entry| file_bytes(entry) > 0).count();
        assert!(parts.len() == 1 || files == 1 || layer_bytes(part) <= limit(listing));
    }
    for path in whole.keys() {
        let times = times.remove(path).unwrap_or(0);
        assert!(times == 1 || times > 1 && folders.contains(*path), "`{path}`: {times} times");
    }
    assert!(parts.len() <= 40);
    let names: BTreeSet<_> = parts.iter().map(|part| &part.name).collect();
    assert_eq!(names.len(), parts.len());
    parts.len()
}

fn any_listing() -> impl Strategy<Value = Listing> {
    let name = "(a/|b/|a-/|a\\.b/){0,3}";
    let file = (
        name,
        0..40_u32,
        prop_oneof![
            8 => 0..3 * MIB,
            3 => 0..9 * MIB,
            1 => 0..200 * MIB,
        ],
    );
    let file = file.prop_map(|(folder, number, size)| (format!("{folder}f{number}"), size));
    let link = name.prop_map(|folder| (format!("{folder}l@"), 0));
    let empty = name.prop_map(|folder| (format!("{folder}e/"), 0));
    let item = prop_oneof![12 => file, 1 => link, 1 => empty];
    proptest::collection::vec(item, 1..150).prop_map(|items| items.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_is_in_one_part(listing in any_listing()) {
        check_parts(&listing);
    }

    #[test]
    fn the_order_of_discovery_does_not_matter(
        (listing, shuffled) in any_listing().prop_flat_map(|listing| {
            let shuffled = Just(found(&listing)).prop_shuffle();
            (Just(listing), shuffled)
        })
    ) {
        let plan = planned(AUTO, ONE, &shuffled).unwrap();
        prop_assert_eq!(&plan.images[0].layers, &layers(&listing));
    }

    #[test]
    fn a_changed_file_changes_its_part(
        listing in any_listing(), at in any::<prop::sample::Index>(),
    ) {
        let files: Vec<_> = listing.keys().filter(|path| !path.ends_with(['/', '@'])).collect();
        prop_assume!(!files.is_empty());
        let path = format!("app/{}", at.get(&files));
        let mut changed = layers(&listing);
        let holds_it = |layer: &LayerPlan| entries(layer).iter().any(|entry| entry.path == path);
        prop_assert_eq!(changed.iter().filter(|layer| holds_it(layer)).count(), 1);
        let mut tree = found(&listing);
        for entry in &mut tree {
            if let TreeEntryKind::File(file) = &mut entry.kind
                && path == format!("app/{}", file.path)
            {
                file.stamp.mtime_ns = 1;
            }
        }
        let after = planned(AUTO, ONE, &tree).unwrap().images.remove(0).layers;
        prop_assert_eq!(new_layers(&changed, &after).len(), 1);
        changed.retain(|layer| !holds_it(layer));
        prop_assert_eq!(new_layers(&after, &changed).len(), 0);
    }

    #[test]
    fn one_file_more_or_less_packs_little_again(
        listing in any_listing(), at in any::<prop::sample::Index>(),
    ) {
        let path = at.get(&listing.keys().cloned().collect::<Vec<_>>()).clone();
        let mut less = listing.clone();
        let size_bytes = less.remove(&path).unwrap();
        let is_split = |listing: &Listing| listing.values().sum::<u64>() >= 16 * MIB;
        prop_assume!(limit(&less) == limit(&listing) && is_split(&less));
        for (before, after) in [(&less, &listing), (&listing, &less)] {
            let after = layers(after);
            let new = new_layers(&layers(before), &after);
            let bytes: u64 = new.into_iter().map(layer_bytes).sum();
            prop_assert!(bytes <= 3 * limit(&listing) + size_bytes, "{} of {}", path, bytes);
        }
    }
}

/// Hundreds of files in folders of all sizes: 300 MiB.
fn large_tree() -> Listing {
    let mut listing = Listing::new();
    let folders = ["", "data/", "data/x/", "lib/a/", "lib/b/", "lib/b/c/"];
    for (number, folder) in (0..1200_u64).zip(folders.into_iter().cycle()) {
        listing.insert(format!("{folder}f{number}"), number * number % 4093 * 128);
    }
    listing.insert("data/weights".into(), 20 * MIB);
    listing
}

#[test]
fn the_other_layers_stay_when_a_file_comes_or_goes() {
    let listing = large_tree();
    let before = layers(&listing);
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, (path, size_bytes)) in listing.iter().enumerate().step_by(12) {
        let mut other = listing.clone();
        if number % 8 == 0 {
            other.remove(path);
        } else {
            other.insert(format!("{path}.new"), *size_bytes);
        }
        assert_eq!(limit(&other), limit(&listing));
        *counts.entry(new_layers(&before, &layers(&other)).len()).or_default() += 1;
    }
    assert_eq!((before.len(), counts), (13, [(1, 101)].into()));
}

#[test]
fn extremes_are_planned_too() {
    let many = (0..100_000).map(|number| (format!("f{number}"), 4096)).collect();
    let empty = (0..5000).map(|number| (format!("{number}/"), 0)).chain([("f".into(), 17 * MIB)]);
    let deep = (0..150).map(|depth| (format!("{}f", "d/".repeat(depth)), 2 * MIB));
    let tiny = (0..200).map(|number| (format!("f{number}"), 1)).chain([("f".into(), 10_240 * MIB)]);
    let nothing = (0..100).map(|number| (format!("f{number}"), 0));
    for (listing, expected) in [
        (many, 16),
        (empty.collect(), 2),
        (deep.collect(), 13),
        (tiny.collect(), 2),
        (nothing.collect(), 1),
        ([("a/b/c/d/f".to_owned(), 10_240 * MIB)].into(), 1),
    ] {
        assert_eq!(check_parts(&listing), expected);
    }
}

#[test]
fn platforms_share_layers_as_long_as_there_is_room_on_each() {
    let listing = large_tree();
    let counts = |bases| -> Vec<_> {
        let images = planned(AUTO, bases, &found(&listing)).unwrap().images;
        images.iter().map(|image| image.layers.len()).collect()
    };
    assert_eq!(counts(&[("linux/amd64", 3), ("linux/arm64", 114)]), [13, 13]);
    assert_eq!(counts(&[("linux/amd64", 3), ("linux/arm64", 115)]), [13, 7]);
    assert_eq!(counts(&[("linux/amd64", 126)]), [1]);
    let error = planned(AUTO, &[("linux/amd64", 127)], &found(&listing)).unwrap_err();
    assert!(error.message.starts_with("the image would have 128 layers, 127 of them"), "{error}");
}

/// The layers of a build: digest, name in the history, and the files with their content.
fn built(sandbox: &Sandbox, output: &str) -> Vec<(String, String, BTreeMap<String, Digest>)> {
    let digest = sandbox.succeed(["build", "agent", "-o", &format!("oci:{output}")]);
    let layout = sandbox.work().join(output);
    let path = |digest: &str| layout.join("blobs").join(digest.replace(':', "/"));
    let document = |digest: &str| -> Value {
        serde_json::from_slice(&std::fs::read(path(digest)).unwrap()).unwrap()
    };
    let manifest = document(&digest);
    let config = document(manifest["config"]["digest"].as_str().unwrap());
    let layers = manifest["layers"].as_array().unwrap().iter();
    let history = config["history"].as_array().unwrap().iter();
    layers
        .zip(history)
        .map(|(layer, history)| {
            let digest = layer["digest"].as_str().unwrap();
            let name = history["created_by"].as_str().unwrap();
            (digest.to_owned(), name.to_owned(), files(&path(digest)))
        })
        .collect()
}

/// The files of a layer, read by a reader that nobody here wrote.
fn files(blob: &Path) -> BTreeMap<String, Digest> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(blob).unwrap()));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(files.insert(path, Digest::of(&content)), None);
        }
    }
    files
}

#[test]
fn one_changed_file_of_a_large_project_changes_one_layer() {
    let sandbox = Sandbox::new();
    let write_config = |split: &str| {
        let layer = format!("{{kind: files, copy: {{src: files, dest: /app}}, split: {split}}}");
        let config = format!("name: agent\nbase: scratch\nlayers: [{layer}]\n");
        sandbox.write("agent/dockless.yaml", config);
    };
    let mut random = fastrand::Rng::with_seed(7);
    let mut expected = BTreeMap::new();
    let mut write = |path: &str, kibibytes: usize| {
        let content: Vec<_> =
            std::iter::repeat_with(|| random.u8(..)).take(kibibytes << 10).collect();
        expected.insert(format!("app/{path}"), Digest::of(&content));
        sandbox.write(&format!("agent/files/{path}"), content);
    };
    for number in 0..48 {
        write(&format!("data/{number}.bin"), 256);
    }
    write("model.bin", 4096);
    write("lib/a/code", 3072);
    write("lib/b/code", 1024);
    write("src/main.py", 3);
    write_config("auto");

    let first = built(&sandbox, "first");
    let names: Vec<_> = first.iter().map(|(_, name, _)| name.as_str()).collect();
    let name = |part: &str| format!("dockless: files files → /app ({part})");
    assert_eq!(
        names,
        ["/app/data/* 1/2", "/app/data/* 2/2", "/app/lib/", "/app/model.bin", "rest"].map(name)
    );
    let united: BTreeMap<_, _> = first.iter().flat_map(|(.., files)| files.clone()).collect();
    assert_eq!(united, expected);
    assert_eq!(first.iter().map(|(.., files)| files.len()).sum::<usize>(), expected.len());

    let digests = |layers: &[(String, String, BTreeMap<String, Digest>)]| -> Vec<String> {
        layers.iter().map(|(digest, ..)| digest.clone()).collect()
    };
    let changed = |after: &[String]| {
        let before = digests(&first);
        assert_eq!(before.len(), after.len());
        let pairs = names.iter().zip(before.iter().zip(after));
        let changed: Vec<_> = pairs
            .filter(|(_, (old, new))| old != new)
            .map(|(name, _)| (*name).to_owned())
            .collect();
        changed
    };
    sandbox.write("agent/files/data/17.bin", "changed");
    let changed_file = changed(&digests(&built(&sandbox, "second")));
    sandbox.write("agent/files/src/more.py", "added");
    let added_file = changed(&digests(&built(&sandbox, "third")));
    assert_eq!((changed_file.len(), added_file.len()), (1, 2));
    assert!(added_file.contains(&changed_file[0]) && added_file.contains(&name("rest")));

    write_config("off");
    let whole = built(&sandbox, "whole");
    let names: Vec<_> = whole.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["dockless: files files → /app"]);
}
