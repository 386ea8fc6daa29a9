//! Files of other images: found by streaming, kept as they are there, and read once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use dockless::event::Events;
use dockless::layer::Layer;
use dockless::oci::{Descriptor, Digest, MediaType, Platform};
use dockless::plan::Origin;
use dockless::publish::destinations::parse;
use dockless::store::Store;
use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::fault_proxy::FaultProxy;
use crate::support::image::{assembly, client, image, publish_context, run};
use crate::support::registry::Registry;

/// What stands in a layer: path, what it is, mode, owner.
type Member = (&'static str, Kind, u32, u64);

#[derive(Clone, Copy)]
enum Kind {
    Folder,
    File(&'static str),
    /// A capability of Linux on a file.
    Capable(&'static str),
    Link(&'static str),
    Hard(&'static str),
    Device,
}
use Kind::{Capable, Device, File, Folder, Hard, Link};

/// A merged-usr system in which two programs are one file.
const SYSTEM: &[Member] = &[
    ("./", Folder, 0o755, 0),
    ("./usr/", Folder, 0o755, 0),
    ("./usr/bin/", Folder, 0o755, 0),
    ("./bin", Link("usr/bin"), 0o777, 0),
    ("./usr/bin/perl", File("perl"), 0o755, 0),
    ("./usr/bin/perl5", Hard("./usr/bin/perl"), 0o755, 0),
    ("./usr/bin/ping", Capable("ping"), 0o755, 0),
    ("./dev/null", Device, 0o666, 0),
];

/// Node.js, as its official image has it.
const NODE: &[Member] = &[
    ("usr/local/bin/", Folder, 0o755, 0),
    ("usr/local/bin/node", File("node 22"), 0o755, 0),
    ("usr/local/bin/npm", Link("../lib/node_modules/npm/bin/npm-cli.js"), 0o777, 0),
    ("usr/local/lib/node_modules/npm/", Folder, 0o750, 1000),
    ("usr/local/lib/node_modules/npm/README.md", File("read me"), 0o644, 1000),
    ("usr/local/lib/node_modules/npm/bin/npm-cli.js", File("npm"), 0o4755, 1000),
    ("usr/local/lib/node_modules/npm/lib/old.js", File("old"), 0o644, 1000),
    ("usr/local/lib/node_modules/npm/package.json", File("{}"), 0o644, 1000),
];

/// Changes that.
const PATCH: &[Member] = &[
    ("usr/local/lib/node_modules/npm/lib/.wh.old.js", File(""), 0o644, 0),
    ("usr/local/lib/node_modules/npm/lib/new.js", File("new"), 0o640, 0),
    ("usr/local/lib/node_modules/npm/package.json", File("{\"version\": 2}"), 0o600, 7),
    ("usr/local/bin/perl", Hard("usr/bin/perl"), 0o755, 0),
];

const ALL_OF_NODE: &str = "name: p\nbase: builtin:static\nlayers:\n\
    - kind: from-image\n  image: IMAGE\n  copy:\n\
    \x20   - {src: /usr/local/bin/node}\n\
    \x20   - {src: /usr/local/bin/npm, dest: /usr/local/bin/}\n\
    - kind: from-image\n  image: IMAGE\n  copy:\n\
    \x20   - {src: /usr/local/lib/node_modules, dest: /opt/modules, exclude: ['**/*.md']}\n";

fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, mode, uid) in members {
        if let Capable(_) = kind {
            let capability = ("SCHILY.xattr.security.capability", &b"\x01\x00\x00\x02"[..]);
            builder.append_pax_extensions([capability]).unwrap();
        }
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(*mode);
        header.set_uid(*uid);
        header.set_gid(*uid);
        header.set_mtime(1_700_000_000);
        let (entry_type, content) = match kind {
            Folder => (tar::EntryType::Directory, ""),
            File(content) | Capable(content) => (tar::EntryType::Regular, *content),
            Link(_) => (tar::EntryType::Symlink, ""),
            Hard(_) => (tar::EntryType::Link, ""),
            Device => (tar::EntryType::Char, ""),
        };
        if let Link(target) | Hard(target) = kind {
            header.set_link_name_literal(target).unwrap();
        }
        header.set_entry_type(entry_type);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn layer(store: &Store, members: &[Member], is_zstd: bool) -> Layer {
    let tar = tar(members);
    let (blob, media_type) = if is_zstd {
        (zstd::encode_all(&tar[..], 3).unwrap(), MediaType::OciLayerZstd)
    } else {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&tar).unwrap();
        (encoder.finish().unwrap(), MediaType::OciLayerGzip)
    };
    store.put(&blob).unwrap();
    let (name, created_by) = (String::new(), String::new());
    let (descriptor, diff_id) = (Descriptor::of(media_type, &blob), Digest::of(&tar));
    Layer { name, created_by, descriptor, diff_id, origin: Origin::Store }
}

/// A registry with the image `node:22`, seen through a proxy, and a project.
struct Story {
    sandbox: Sandbox,
    registry: Registry,
    proxy: FaultProxy,
}

impl Story {
    async fn new() -> Self {
        let registry = Registry::start();
        let proxy = FaultProxy::start(&registry.host()).await;
        let story = Self { sandbox: Sandbox::new(), registry, proxy };
        story.publish("node:22", &[("linux/amd64", &[SYSTEM, NODE, PATCH])]).await;
        story.config(ALL_OF_NODE);
        story
    }

    /// Pushes an image for each of these platforms; every second layer is zstd.
    async fn publish(&self, name: &str, images: &[(&str, &[&[Member]])]) {
        let store = Store::temporary().unwrap();
        let images = images.iter().map(|(platform, layers)| {
            let platform: Platform = platform.parse().unwrap();
            let layers = layers.iter().enumerate();
            image(&platform, layers.map(|(at, it)| layer(&store, it, at % 2 == 1)).collect())
        });
        let (events, (repository, tag)) = (Events::none(), name.split_once(':').unwrap());
        let (client, to) = (client(&events), format!("{}/{repository}", self.registry.host()));
        let context = publish_context(&store, &client, &events);
        let session = parse(&to).unwrap().open(&context, &[tag.to_owned()]).await.unwrap();
        session.finish(&assembly(images.collect())).await.unwrap();
    }

    /// Writes the config; `IMAGE` in it is the image.
    fn config(&self, text: &str) {
        let image = format!("{}/node:22", self.proxy.server().host());
        self.sandbox.write("p/dockless.yaml", text.replace("IMAGE", &image));
    }

    /// A build, and how many blobs it read of the image: its config is one.
    fn build(&self, rest: &[&str]) -> (String, usize) {
        let before = self.proxy.server().requests().len();
        let digest = self.sandbox.succeed([&["build", "p"][..], rest].concat());
        let seen = self.proxy.server().requests();
        let is_blob = |line: &&String| line.starts_with("GET /v2/node/blobs/");
        (digest, seen[before..].iter().filter(is_blob).count())
    }

    /// What is in the layers that come from the image: "mode owner path size or target".
    fn planned(&self, rest: &[&str]) -> Vec<Vec<String>> {
        let words = [&["build", "p", "--dry-run", "--json"][..], rest].concat();
        let plan: Value = serde_json::from_str(&self.sandbox.succeed(words)).unwrap();
        let layers = plan["images"][0]["layers"].as_array().unwrap().iter();
        let taken = layers.filter(|it| it["name"].as_str().unwrap().starts_with("from-image"));
        let line = |entry: &Value| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let tail = entry["size_bytes"].as_u64().map_or(text("target"), |size| size.to_string());
            format!("{} {} {} {tail}", text("mode"), text("owner"), text("path"))
        };
        taken.map(|layer| layer["entries"].as_array().unwrap().iter().map(line).collect()).collect()
    }

    fn fail(&self) -> Outcome {
        let outcome = self.sandbox.run(["build", "p"]);
        let host = self.proxy.server().host();
        Outcome { stderr: outcome.stderr.replace(&host, "HOST"), ..outcome }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_folders_and_links_are_taken_as_they_are_there() {
    let story = Story::new().await;
    let programs = [
        "0755 0:0 /usr ",
        "0755 0:0 /usr/local ",
        "0755 0:0 /usr/local/bin ",
        "0755 0:0 /usr/local/bin/node 7",
        "0777 0:0 /usr/local/bin/npm ../lib/node_modules/npm/bin/npm-cli.js",
    ];
    let modules = [
        "0755 0:0 /opt ",
        "0755 0:0 /opt/modules ",
        "0750 1000:1000 /opt/modules/npm ",
        "0755 0:0 /opt/modules/npm/bin ",
        "0755 1000:1000 /opt/modules/npm/bin/npm-cli.js 3",
        "0755 0:0 /opt/modules/npm/lib ",
        "0640 0:0 /opt/modules/npm/lib/new.js 3",
        "0600 7:7 /opt/modules/npm/package.json 14",
    ];
    assert_eq!(story.planned(&[]), [&programs[..], &modules[..]]);

    let outcome = story.sandbox.run(["build", "p", "-o", "oci:out:v1"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let image = format!("{}/node:22", story.proxy.server().host());
    let cleared = format!(
        "setuid or setgid is cleared of what is taken from `{image}`: \
         `/usr/local/lib/node_modules/npm/bin/npm-cli.js`"
    );
    assert!(outcome.stderr.contains(&cleared), "{outcome:#?}");
    run("umoci", &["unpack", "--image", "out:v1", "bundle"], &story.sandbox.work());
    let root = story.sandbox.work().join("bundle/rootfs");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(read("usr/local/bin/node"), "node 22");
    assert_eq!(read("opt/modules/npm/package.json"), "{\"version\": 2}");
    let target = fs::read_link(root.join("usr/local/bin/npm")).unwrap();
    assert_eq!(target, Path::new("../lib/node_modules/npm/bin/npm-cli.js"));
    let metadata = fs::metadata(root.join("opt/modules/npm")).unwrap();
    let mode = metadata.permissions().mode() & 0o7777;
    assert_eq!((mode, metadata.uid(), metadata.mtime()), (0o750, 1000, 0));
    assert!(!root.join("opt/modules/npm/README.md").exists());

    // Which image that was can be read in ours.
    let manifest = Digest::of(&story_manifest(&story));
    let history = run("umoci", &["stat", "--json", "--image", "out:v1"], &story.sandbox.work());
    let from = format!(
        "dockless: from-image {image} /usr/local/bin/node, /usr/local/bin/npm → /usr/local/bin/, \
         taken from {manifest}"
    );
    assert!(history.contains(&from), "{history}");
}

/// The manifest of `node:22`.
fn story_manifest(story: &Story) -> Vec<u8> {
    let url = format!("http://{}/v2/node/manifests/22", story.registry.host());
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    run("curl", &["-sSf", "-H", accept, &url], &story.sandbox.work()).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_read_once_and_then_remembered() {
    let story = Story::new().await;
    let (cold, read) = story.build(&[]);
    assert_eq!(read, 4, "the config and each layer once, for both layers of ours");
    assert_eq!(story.build(&[]), (cold.clone(), 1), "the config alone");

    // Another path of layers that are known: the one that has it.
    let more = format!("{ALL_OF_NODE}    - {{src: /usr/bin/perl, dest: /opt/}}\n");
    story.config(&more);
    let (_, read) = story.build(&[]);
    assert_eq!(read, 4, "other paths of all three layers");
    story.config(ALL_OF_NODE);
    assert_eq!(story.build(&[]), (cold.clone(), 1));

    // Without what was kept of the files they are read again: from the two layers that have them.
    for blob in fs::read_dir(story.sandbox.cache().join("blobs/sha256")).unwrap() {
        fs::remove_file(blob.unwrap().path()).unwrap();
    }
    assert_eq!(story.build(&[]), (cold.clone(), 3));
    let (again, _) = story.build(&["--no-cache"]);
    assert_eq!(again, cold);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_on_the_way_and_hard_links_lead_to_the_files() {
    let story = Story::new().await;
    story.config(
        "name: p\nbase: scratch\nlayers:\n- kind: from-image\n  image: IMAGE\n  copy:\n\
         \x20   - {src: /bin/perl5, dest: /five}\n\
         \x20   - {src: /usr/local/bin/perl, dest: /again, owner: '5:6'}\n\
         \x20   - {src: /bin, dest: /kept}\n\
         \x20   - {src: /bin/, dest: /followed}\n\
         \x20   - {src: /dev, dest: /dev}\n",
    );
    let expected = [
        "0755 5:6 /again 4",
        "0755 0:0 /dev ",
        "0755 0:0 /five 4",
        "0755 0:0 /followed ",
        "0755 0:0 /followed/perl 4",
        "0755 0:0 /followed/perl5 4",
        "0755 0:0 /followed/ping 4",
        "0777 0:0 /kept usr/bin",
    ];
    assert_eq!(story.planned(&[]), [&expected[..]]);
    let (digest, read) = story.build(&["-o", "oci:out:v1"]);
    assert_eq!(read, 1, "the plan has read the layers");
    run("umoci", &["unpack", "--image", "out:v1", "bundle"], &story.sandbox.work());
    let root = story.sandbox.work().join("bundle/rootfs");
    for path in ["five", "again", "followed/perl5"] {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "perl", "{path}");
    }
    let outcome = story.sandbox.run(["build", "p", "--no-cache"]);
    assert_eq!(outcome.stdout.trim(), digest);
    let image = format!("{}/node:22", story.proxy.server().host());
    for warning in [
        format!(
            "extended attributes, such as capabilities, are left out of what is taken from `{image}`: \
             `/bin/ping`"
        ),
        format!(
            "devices, FIFOs and sockets are left out of what is taken from `{image}`: `/dev/null`"
        ),
    ] {
        assert!(outcome.stderr.contains(&warning), "{outcome:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_takes_its_own() {
    const ARM: &[Member] = &[("usr/local/bin/node", File("node for arm"), 0o755, 0)];
    let story = Story::new().await;
    let platforms: [(&str, &[&[Member]]); 2] =
        [("linux/arm64", &[ARM]), ("linux/amd64", &[SYSTEM, NODE])];
    story.publish("node:22", &platforms).await;
    story.config(
        "name: p\nbase: scratch\nplatforms: [linux/amd64, linux/arm64]\nlayers:\n\
         - {kind: from-image, image: IMAGE, copy: {src: /usr/local/bin/node, dest: /node}}\n",
    );
    let words = ["build", "p", "--dry-run", "--json"];
    let plan: Value = serde_json::from_str(&story.sandbox.succeed(words)).unwrap();
    let sizes: BTreeMap<_, _> = plan["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            let size = image["layers"][0]["size_bytes"].as_u64().unwrap();
            (image["platform"].as_str().unwrap(), size)
        })
        .collect();
    assert_eq!(sizes, BTreeMap::from([("linux/amd64", 7), ("linux/arm64", 12)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_image_does_not_have_is_told_with_its_place() {
    let story = Story::new().await;
    story.config(
        "name: p\nbase: scratch\nlayers:\n\
         - {kind: from-image, image: IMAGE, copy: {src: /usr/local/bin/nod}}\n\
         - {kind: from-image, image: IMAGE, copy: {src: /opt/yarn}}\n",
    );
    let outcome = story.fail();
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    for part in [
        "dockless.yaml:4:",
        "image `HOST/node:22` has no `/usr/local/bin/nod` for linux/amd64",
        "hint: did you mean `/usr/local/bin/node`?",
        "dockless.yaml:5:",
        "image `HOST/node:22` has no `/opt/yarn` for linux/amd64",
        "hint: `/` holds `bin`, `dev`, `usr` there",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:#?}");
    }
    story.config(
        "name: p\nbase: scratch\nlayers:\n\
         - {kind: from-image, image: IMAGEx, copy: {src: /usr/local/bin/node}}\n",
    );
    let outcome = story.fail();
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("take files from image `HOST/node:22x`"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_a_layer_that_is_not_the_promised_one() {
    let story = Story::new().await;
    let manifest: Value = serde_json::from_slice(&story_manifest(&story)).unwrap();
    let layer = manifest["layers"][1]["digest"].as_str().unwrap().to_owned();
    story.registry.damage_blob(layer.strip_prefix("sha256:").unwrap());
    let outcome = story.fail();
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    for part in ["take files from image `HOST/node:22`", layer.as_str()] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:#?}");
    }
    let kept = |kind: &str| {
        let folder = fs::read_dir(story.sandbox.cache().join("records").join(kind));
        folder.map_or(0, Iterator::count)
    };
    assert!(kept("layer-files-1") < 3 && kept("layer-indexes-1") < 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rotted_in_the_cache_is_read_again() {
    let story = Story::new().await;
    let (clean, _) = story.build(&[]);
    for blob in fs::read_dir(story.sandbox.cache().join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let content = fs::read(&path).unwrap();
        if content == b"node 22read menpmold{}" {
            fs::write(path, b"node 23read menpmold{}").unwrap();
        }
    }
    let outcome = story.sandbox.run(["build", "p", "--no-cache"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    // Of which file that is said first, the threads decide: the blob is removed with all that it holds.
    assert!(outcome.stderr.contains("` is no longer in the cache"), "{outcome:#?}");
    assert_eq!(story.build(&["--no-cache"]).0, clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_the_image_can_be_pulled_is_checked() {
    let story = Story::new().await;
    let outcome = story.sandbox.run(["check", "p"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(outcome.stdout.contains("pull node:22: allowed"), "{outcome:#?}");
}

#[test]
fn an_image_in_a_layout_is_one_too() {
    let sandbox = Sandbox::new();
    sandbox.write("tools/run", "#!/bin/sh\n");
    sandbox.write(
        "tools/dockless.yaml",
        "name: tools\nbase: scratch\nlayers: [{kind: files, copy: {src: run, dest: /bin/run}}]\n",
    );
    sandbox.succeed(["build", "tools", "-o", "oci:made:v1"]);
    sandbox.write(
        "p/dockless.yaml",
        "name: p\nbase: scratch\nlayers:\n\
         - {kind: from-image, image: 'oci:../made:v1', copy: {src: /bin/run, dest: /run}}\n",
    );
    sandbox.succeed(["build", "p", "-o", "oci:out:v1"]);
    run("umoci", &["unpack", "--image", "out:v1", "bundle"], &sandbox.work());
    let program = sandbox.work().join("bundle/rootfs/run");
    assert_eq!(fs::read_to_string(program).unwrap(), "#!/bin/sh\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_was_pushed_is_taken_over_on_a_fresh_machine() {
    let story = Story::new().await;
    let to = format!("{}/agent", story.registry.host());
    let first = story.sandbox.succeed(["push", "p", "--to", &to, "-t", "latest"]);
    let cache = tempfile::tempdir().unwrap();
    let words = ["push", "p", "--to", &to, "-t", "v2", "--json"];
    let outcome = Outcome::of(story.sandbox.command(words).env("DOCKLESS_CACHE_DIR", cache.path()));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(first.ends_with(document["digest"].as_str().unwrap()));
    let layers = document["layers"].as_array().unwrap().iter();
    let taken = layers.filter(|it| it["name"].as_str().unwrap().starts_with("from-image"));
    let origins: Vec<_> = taken.map(|layer| layer["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["taken_over", "taken_over"]);

    // Whoever verifies it reads the image for himself.
    story.sandbox.succeed(["verify", &format!("{to}:v2"), "p"]);
}
