//! Bases as registries and layouts have them, and what is in their layers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use dockless::config::Base;
use dockless::error::{ErrorKind, Result};
use dockless::event::{Event, Events};
use dockless::gather::Pins;
use dockless::gather::base::{BaseContext, BuiltinBase, resolve};
use dockless::gather::facts::{FactsContext, root_tree};
use dockless::image::Assembly;
use dockless::oci::{
    Descriptor, Document, ImageConfig, Index, Manifest, MediaType, Platform, Repository,
};
use dockless::plan::{BaseImage, BaseLayer, Origin, RootNode, RootTree};
use dockless::publish::destinations::parse;
use dockless::registry::Client;
use dockless::store::Store;

use super::support::image::{
    Member, assembly, client, file, hello, image, layer, link, publish_context, repository, run,
};
use super::support::registry::Registry;

fn amd64() -> Platform {
    Platform::linux_amd64()
}

fn arm64() -> Platform {
    Platform::new("linux", "arm64", None)
}

struct Story {
    store: Store,
    client: Client,
    events: Events,
    received: std::sync::mpsc::Receiver<Event>,
    folder: tempfile::TempDir,
}

impl Story {
    fn new() -> Self {
        let (events, received) = Events::channel();
        Self {
            store: Store::temporary().unwrap(),
            client: client(&events),
            events,
            received,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn publish(&self, to: &str, what: &Assembly, tags: &[&str]) {
        let context = publish_context(&self.store, &self.client, &Events::none());
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let session = parse(to).unwrap().open(&context, &tags).await.unwrap();
        session.finish(what).await.unwrap();
    }

    /// Puts a document of any type under a tag or, without one, under its digest.
    async fn put(&self, to: &Repository, tag: Option<&str>, kind: MediaType, text: &[u8]) {
        let descriptor = Descriptor::of(kind, text);
        let reference = match tag {
            Some(tag) => to.at_tag(tag),
            None => to.at_digest(descriptor.digest),
        };
        let bytes = Bytes::copy_from_slice(text);
        self.client.put_manifest(&reference, &descriptor, &bytes).await.unwrap();
    }

    async fn resolve(
        &self,
        base: &Base,
        platforms: &[Platform],
    ) -> Result<BTreeMap<Platform, BaseImage>> {
        let context = BaseContext {
            role: "base",
            client: &self.client,
            project: self.folder.path(),
            pins: &Pins::default(),
            events: &self.events,
            builtin: |name, platform| {
                let config = ImageConfig::scratch(platform);
                (name == "static").then(|| BuiltinBase { config, root: RootTree::default() })
            },
        };
        resolve(base, platforms, context).await
    }

    async fn root_tree(&self, layers: &[BaseLayer]) -> Result<RootTree> {
        let (client, store, events) = (&self.client, &self.store, &self.events);
        root_tree(layers, FactsContext { client, store, events }).await
    }
}

fn at(reference: &str) -> Base {
    Base::Registry(reference.parse().unwrap())
}

fn layers_of(what: &Assembly, number: usize, origin: &Origin) -> Vec<BaseLayer> {
    let layer = |layer: &dockless::layer::Layer| BaseLayer {
        descriptor: layer.descriptor.clone(),
        diff_id: layer.diff_id,
        origin: origin.clone(),
    };
    what.images[number].layers.iter().map(layer).collect()
}

fn both(store: &Store) -> Assembly {
    let images = [amd64(), arm64()].map(|platform| {
        let own = layer(store, "own", &[file("own", &platform.to_string())]);
        image(&platform, vec![own])
    });
    assembly(images.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_gets_its_image_of_an_index() {
    let registry = Registry::start();
    let story = Story::new();
    let both = both(&story.store);
    let repository = repository(&registry.host(), "base/both");
    story.publish(&repository.to_string(), &both, &["1"]).await;
    let name = format!("{repository}:1");
    let bases = story.resolve(&at(&name), &[arm64(), amd64()]).await.unwrap();
    let origin = Origin::Registry(repository.clone());
    let expected = [(amd64(), 0), (arm64(), 1)].map(|(platform, number)| {
        let image = &both.images[number];
        let base = BaseImage {
            name: name.clone(),
            canonical_name: Some(name.clone()),
            manifest: Some(image.manifest.clone()),
            config: image.config.clone(),
            layers: layers_of(&both, number, &origin),
            root: RootTree::default(),
        };
        (platform, base)
    });
    assert_eq!(bases, BTreeMap::from(expected));
    let details: Vec<_> = story
        .received
        .try_iter()
        .filter_map(|event| match event {
            Event::TaskFinished { detail, .. } => detail,
            _ => None,
        })
        .collect();
    assert_eq!(details, [both.descriptor().digest.to_string()]);

    let s390x: Platform = "linux/s390x".parse().unwrap();
    let error = story.resolve(&at(&name), &[amd64(), s390x]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string(), error.hints()),
        (
            ErrorKind::Usage,
            format!("resolve base `{name}`: base `{name}` has no image for linux/s390x"),
            vec!["it has images for linux/amd64, linux/arm64".to_owned()]
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_rules_over_the_tag_beside_it() {
    let registry = Registry::start();
    let story = Story::new();
    let (old, new) = (hello(&story.store), both(&story.store));
    let repository = repository(&registry.host(), "base/moved");
    story.publish(&repository.to_string(), &old, &["1"]).await;
    story.publish(&repository.to_string(), &new, &["1"]).await;
    let name = format!("{repository}:1@{}", old.descriptor().digest);
    let bases = story.resolve(&at(&name), &[amd64()]).await.unwrap();
    let base = &bases[&amd64()];
    assert_eq!(base.manifest.as_ref().unwrap().descriptor, *old.descriptor());
    assert_eq!(base.canonical_name, Some(format!("{repository}:1")));

    let name = format!("{repository}@{}", old.descriptor().digest);
    let bases = story.resolve(&at(&name), &[amd64()]).await.unwrap();
    assert_eq!(bases[&amd64()].canonical_name, Some(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn attestations_are_skipped_and_an_index_in_an_index_is_opened() {
    let registry = Registry::start();
    let story = Story::new();
    let both = both(&story.store);
    let repository = repository(&registry.host(), "base/nested");
    story.publish(&repository.to_string(), &both, &[]).await;
    let amd = &both.images[0].manifest.descriptor;
    let unknown = Platform::new("unknown", "unknown", None);
    let attestation = Descriptor { platform: Some(unknown), ..amd.clone() };
    let nested = Index::new(vec![attestation, both.descriptor().clone()]);
    let nested = Document::write(nested, MediaType::OciIndex);
    story.put(&repository, Some("nested"), MediaType::OciIndex, &nested.bytes).await;
    // One that does not say which platforms it has.
    let silent = both.images.iter().map(|image| image.manifest.descriptor.clone()).collect();
    let silent = Document::write(Index::new(silent), MediaType::OciIndex);
    story.put(&repository, Some("silent"), MediaType::OciIndex, &silent.bytes).await;
    for tag in ["nested", "silent"] {
        let bases = story.resolve(&at(&format!("{repository}:{tag}")), &[arm64()]).await.unwrap();
        let manifest = bases[&arm64()].manifest.as_ref().unwrap();
        assert_eq!(manifest.descriptor, both.images[1].manifest.descriptor);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_manifest_is_a_base() {
    let registry = Registry::start();
    let story = Story::new();
    story
        .publish(
            &format!("oci:{}/out", story.folder.path().display()),
            &hello(&story.store),
            &["v1"],
        )
        .await;
    let to = format!("docker://{}/base/docker:1", registry.host());
    run(
        "skopeo",
        &["copy", "-q", "--format", "v2s2", "--dest-tls-verify=false", "oci:out:v1", &to],
        story.folder.path(),
    );
    let base = at(&format!("{}/base/docker:1", registry.host()));
    let bases = story.resolve(&base, &[amd64()]).await.unwrap();
    let base = &bases[&amd64()];
    assert_eq!(base.manifest.as_ref().unwrap().descriptor.media_type, MediaType::DockerManifest);
    assert_eq!(base.layers[0].descriptor.media_type, MediaType::DockerLayerGzip);
    assert_eq!(story.root_tree(&base.layers).await.unwrap(), hello_root());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_of_another_platform_names_both() {
    let story = Story::new();
    story
        .publish(&format!("oci:{}/out", story.folder.path().display()), &hello(&story.store), &[])
        .await;
    let base = Base::Layout { path: "out".into(), selector: None };
    let error = story.resolve(&base, &[arm64()]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            ErrorKind::Usage,
            "base `oci:out` is an image for linux/amd64, not for linux/arm64".to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_a_base_without_a_canonical_name() {
    let story = Story::new();
    let (hello, both) = (hello(&story.store), both(&story.store));
    let out = format!("oci:{}/out", story.folder.path().display());
    story.publish(&out, &hello, &["hello"]).await;
    story.publish(&out, &both, &["both"]).await;
    let base = |selector: Option<&str>| Base::Layout {
        path: "out".into(),
        selector: selector.map(str::to_owned),
    };
    let bases = story.resolve(&base(Some("hello")), &[amd64()]).await.unwrap();
    let path = story.folder.path().join("out");
    let expected = BaseImage {
        name: "oci:out:hello".into(),
        canonical_name: None,
        manifest: Some(hello.images[0].manifest.clone()),
        config: hello.images[0].config.clone(),
        layers: layers_of(&hello, 0, &Origin::Layout(path.clone())),
        root: RootTree::default(),
    };
    assert_eq!(bases, BTreeMap::from([(amd64(), expected)]));
    assert_eq!(story.root_tree(&bases[&amd64()].layers).await.unwrap(), hello_root());
    let digest = both.descriptor().digest.to_string();
    let bases = story.resolve(&base(Some(&digest)), &[amd64(), arm64()]).await.unwrap();
    assert_eq!(bases.len(), 2);

    let error = story.resolve(&base(None), &[amd64()]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` holds 2 images", path.display()));
    let lost = hello.images[0].layers[0].descriptor.digest;
    fs::remove_file(path.join("blobs/sha256").join(lost.hex())).unwrap();
    let error = story.resolve(&base(Some("hello")), &[amd64()]).await.unwrap_err();
    let message = format!("`{}` lacks blob `{lost}`, or has it damaged", path.display());
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Usage, message));
}

#[tokio::test(flavor = "multi_thread")]
async fn scratch_and_builtin_have_no_layers() {
    let story = Story::new();
    for (base, name) in
        [(Base::Scratch, "scratch"), (Base::Builtin("static".into()), "builtin:static")]
    {
        let bases = story.resolve(&base, &[arm64()]).await.unwrap();
        let base = &bases[&arm64()];
        assert_eq!((base.name.as_str(), &base.manifest, base.layers.len()), (name, &None, 0));
        assert_eq!(base.config.value.platform(), arm64());
    }
    let error = story.resolve(&Base::Builtin("statik".into()), &[amd64()]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Usage, "there is no base `builtin:statik`".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn says_why_something_cannot_be_a_base() {
    let story = Story::new();
    let out = story.folder.path().join("out");
    let store = Store::open(&out).unwrap();
    fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let good = hello(&store).images.remove(0);
    store.put(&good.config.bytes).unwrap();
    let [first, second] = &good.manifest.value.layers[..] else { panic!() };
    let name = "base `oci:out`";
    let digest = first.digest;
    let edit = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = good.manifest.value.clone();
        change(&mut manifest);
        Document::write(manifest, MediaType::OciManifest)
    };
    let confused = edit(&|manifest| {
        manifest.other.insert("manifests".into(), serde_json::json!([]));
    });
    for (manifest, message) in [
        (
            edit(&|manifest| manifest.layers.truncate(1)),
            format!("{name} has 1 layers in its manifest and 2 in its config"),
        ),
        (
            edit(&|manifest| {
                let urls = serde_json::json!(["https://example.com/x"]);
                manifest.layers[0].other.insert("urls".into(), urls);
            }),
            format!("layer `{digest}` of {name} is fetched from elsewhere (`urls`)"),
        ),
        (
            edit(&|manifest| manifest.layers[0].media_type = MediaType::Other("a/b\u{1b}".into())),
            format!("layer `{digest}` of {name} is of type `a/b\\u{{1b}}`"),
        ),
        (
            edit(&|manifest| manifest.config.media_type = MediaType::Other("chart/config".into())),
            format!("{name} is no container image: its type is `chart/config`"),
        ),
        (
            edit(&|manifest| manifest.layers = vec![second.clone(); 128]),
            format!("{name} has 128 layers in its manifest and 2 in its config"),
        ),
        (
            confused.clone(),
            format!(
                "`{}` holds a document that is not valid: {} with digest {} is not valid: it has both `layers` and `manifests`",
                out.display(),
                MediaType::OciManifest,
                confused.descriptor.digest
            ),
        ),
    ] {
        store.put(&manifest.bytes).unwrap();
        let index = Document::write(Index::new(vec![manifest.descriptor]), MediaType::OciIndex);
        fs::write(out.join("index.json"), index.bytes).unwrap();
        let base = Base::Layout { path: "out".into(), selector: None };
        let error = story.resolve(&base, &[amd64()]).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Usage, message));
    }
}

/// The file system of [`hello`].
fn hello_root() -> RootTree {
    let directory = RootNode::Directory { mode: 0o755, uid: 0, gid: 0 };
    let mut root = RootTree::default();
    root.insert("app", directory);
    root.insert("app/run", RootNode::File);
    root.insert("app/data", RootNode::File);
    root.insert("bin", RootNode::Symlink("usr/bin".into()));
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_read_once_and_never_to_disk() {
    let story = Story::new();
    let layers = {
        let registry = Registry::start();
        let from = Story::new();
        let repository = repository(&registry.host(), "base/hello");
        let hello = hello(&from.store);
        from.publish(&repository.to_string(), &hello, &["1"]).await;
        let layers = layers_of(&hello, 0, &Origin::Registry(repository));
        assert_eq!(story.root_tree(&layers).await.unwrap(), hello_root());
        layers
    };
    // The registry is gone.
    assert_eq!(story.root_tree(&layers).await.unwrap(), hello_root());
    let root = story.store.root();
    assert_eq!(fs::read_dir(root.join("blobs/sha256")).unwrap().count(), 0);
    // A damaged record is not there.
    let record = fs::read_dir(root.join("records/facts-2")).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(record.path()).unwrap();
    fs::write(record.path(), text.replace("app", "bpp")).unwrap();
    assert_eq!(story.root_tree(&layers).await.unwrap_err().kind(), ErrorKind::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_layer_gives_no_facts() {
    let story = Story::new();
    let hello = hello(&story.store);
    let layers = layers_of(&hello, 0, &Origin::Store);
    let blob = story.store.blob_path(&layers[0].descriptor.digest);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let error = story.root_tree(&layers).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains(&layers[0].descriptor.digest.to_string()), "{error}");
    let record = layers[0].descriptor.digest.hex();
    assert!(!story.store.root().join("records/facts-2").join(&record).exists());
}

/// Random layers over few names, so that they hide and replace each other often.
fn random_layers(random: &mut fastrand::Rng) -> Vec<Vec<Member>> {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let mut layers = Vec::new();
    // What is a folder by now: a layer never writes below anything else.
    for _ in 0..4 {
        let mut members: Vec<Member> = Vec::new();
        let mut folders = vec![String::new()];
        let mut taken: Vec<String> = Vec::new();
        for _ in 0..random.usize(1..8) {
            let parent = folders[random.usize(..folders.len())].clone();
            let name = NAMES[random.usize(..NAMES.len())];
            let path = if parent.is_empty() { name.into() } else { format!("{parent}/{name}") };
            if taken.contains(&path) {
                continue;
            }
            taken.push(path.clone());
            match random.u8(..5) {
                0 | 1 => {
                    let mode = [0o755, 0o700, 0o1777, 0o2775][random.usize(..4)];
                    members.push(Member::Folder(path.clone(), mode, random.u64(..3)));
                    folders.push(path);
                }
                2 => members.push(file(&path, "x")),
                3 => members.push(link(&path, "target")),
                _ => {
                    let hidden = format!(".wh.{name}");
                    let hidden = if random.u8(..4) == 0 { ".wh..wh..opq".into() } else { hidden };
                    let path =
                        if parent.is_empty() { hidden } else { format!("{parent}/{hidden}") };
                    members.push(file(&path, ""));
                }
            }
        }
        layers.push(members);
    }
    layers
}

/// What an unpacked file system has, in the words of a [`RootTree`].
fn walk(root: &Path) -> BTreeMap<String, RootNode> {
    use std::os::unix::fs::MetadataExt as _;
    let mut nodes = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let node = if metadata.is_dir() {
                folders.push(path.clone());
                let mode = metadata.permissions().mode() & 0o7777;
                let (uid, gid) = (u64::from(metadata.uid()), u64::from(metadata.gid()));
                RootNode::Directory { mode, uid, gid }
            } else if metadata.is_symlink() {
                RootNode::Symlink(fs::read_link(&path).unwrap().display().to_string())
            } else {
                RootNode::File
            };
            nodes.insert(path.strip_prefix(root).unwrap().display().to_string(), node);
        }
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_give_the_file_system_that_umoci_unpacks() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..25 {
        let story = Story::new();
        let contents = random_layers(&mut random);
        let layers: Vec<_> =
            contents.iter().map(|members| layer(&story.store, "random", members)).collect();
        let what = assembly(vec![image(&amd64(), layers)]);
        let out = story.folder.path().join("out");
        story.publish(&format!("oci:{}", out.display()), &what, &["v1"]).await;
        run("umoci", &["unpack", "--image", "out:v1", "bundle"], story.folder.path());
        let mut expected = RootTree::default();
        for (path, node) in walk(&story.folder.path().join("bundle/rootfs")) {
            expected.insert(path, node);
        }
        let tree = story.root_tree(&layers_of(&what, 0, &Origin::Store)).await.unwrap();
        assert_eq!(tree, expected, "seed {seed}, round {round}: {contents:#?}");
    }
}
