//! Images at their destinations, read back by programs that nobody here wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockless::error::ErrorKind;
use dockless::event::{Action, Event, Events, Outcome, readable_size};
use dockless::image::Assembly;
use dockless::oci::{Descriptor, Digest, Platform};
use dockless::plan::{LayerCompression, Origin};
use dockless::publish::destinations::parse;
use dockless::publish::{ExistingTag, Output, PublishContext, Published, Whereabouts, read_layout};
use dockless::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::cli::{self, Sandbox};
use super::support::fault_proxy::FaultProxy;
use super::support::image::{
    assembly, client, file, folder, hello, image, layer, repository, run, with_origin,
};
use super::support::registry::Registry;

/// A store, a folder to write into, and a context that publishes from there.
struct Story {
    context: PublishContext,
    events: Receiver<Event>,
    stdout: Shared,
    folder: TempDir,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Story {
    fn new() -> Self {
        let (sender, events) = Events::channel();
        let stdout = Shared::default();
        let context = PublishContext {
            store: Store::temporary().unwrap(),
            client: client(&sender),
            events: sender,
            name: "hello".into(),
            stdout: Output::new(stdout.clone()),
            whereabouts: Whereabouts::default(),
            existing_tag: ExistingTag::Move,
            takes_tags_word: true,
            earlier_tags: None,
        };
        Self { context, events, stdout, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A destination in the story's folder.
    fn local(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}/{name}", self.path().display())
    }

    async fn publish(&self, to: &str, what: &Assembly, tags: &[&str]) -> Published {
        self.try_publish(to, what, tags).await.unwrap()
    }

    async fn try_publish(
        &self,
        to: &str,
        what: &Assembly,
        tags: &[&str],
    ) -> dockless::error::Result<Published> {
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        // Each is a run of its own.
        let context =
            PublishContext { whereabouts: Whereabouts::default(), ..self.context.clone() };
        let session = parse(to).unwrap().open(&context, &tags).await?;
        for layer in what.images.iter().flat_map(|image| &image.layers) {
            session.add_layer(layer).await?;
        }
        session.finish(what).await
    }

    /// How every upload and every manifest fared since the last time, in order.
    fn outcomes(&self) -> Vec<(Action, Outcome, String)> {
        let mut actions = BTreeMap::new();
        let mut outcomes = Vec::new();
        for event in self.events.try_iter() {
            match event {
                Event::TaskStarted { id, action, .. } => {
                    actions.insert(id, action);
                }
                Event::TaskFinished { id, outcome, detail, .. } => {
                    outcomes.push((actions[&id], outcome, detail.unwrap_or_default()));
                }
                _ => {}
            }
        }
        outcomes
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn digest_of(what: &Assembly) -> String {
    what.descriptor().digest.to_string()
}

/// Every file of a folder with its content, for comparing.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_what_others_take_for_one() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let published = story.publish(&story.local("oci", "out"), &hello, &["v1", "latest"]).await;
    let out = story.path().join("out");
    assert_eq!(
        published,
        Published {
            reference: format!("oci:{}@{}", out.display(), digest_of(&hello)),
            descriptor: hello.descriptor().clone(),
            tags: vec!["v1".into(), "latest".into()],
            kept: BTreeMap::new(),
            platforms: vec![Platform::linux_amd64()],
        }
    );

    let entry = |tag: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest_of(&hello),
            "size": hello.descriptor().size,
            "platform": {"os": "linux", "architecture": "amd64"},
            "annotations": {"org.opencontainers.image.ref.name": tag},
        })
    };
    assert_eq!(
        json_of(&out.join("index.json")),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry("v1"), entry("latest")],
        })
    );
    assert_eq!(json_of(&out.join("oci-layout")), json!({"imageLayoutVersion": "1.0.0"}));
    let mut names: Vec<_> = files(&out).into_keys().collect();
    names.retain(|name| !name.starts_with("blobs/sha256/"));
    assert_eq!(names, ["index.json", "oci-layout"]);

    // skopeo reads it, and finds every digest right.
    let shown = run("skopeo", &["inspect", "oci:out:v1"], story.path());
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["Digest"], digest_of(&hello));
    run("skopeo", &["copy", "-q", "oci:out:latest", "dir:copy"], story.path());
    let manifest = fs::read(story.path().join("copy/manifest.json")).unwrap();
    assert_eq!(Digest::of(&manifest), hello.descriptor().digest);
    run("skopeo", &["copy", "-q", "oci:out:v1", "docker-archive:copy.tar"], story.path());

    // umoci unpacks it.
    run("umoci", &["unpack", "--rootless", "--image", "out:v1", "bundle"], story.path());
    let root = story.path().join("bundle/rootfs");
    assert_eq!(fs::read_to_string(root.join("app/data")).unwrap(), "42\n");
    assert_eq!(fs::read_link(root.join("bin")).unwrap(), Path::new("usr/bin"));

    // An independent parser reads every document.
    let index = oci_spec::image::ImageIndex::from_file(out.join("index.json")).unwrap();
    let blob = |digest: &str| out.join("blobs/sha256").join(digest.replace("sha256:", ""));
    let manifest = index.manifests()[0].digest().to_string();
    let manifest = oci_spec::image::ImageManifest::from_file(blob(&manifest)).unwrap();
    let config = blob(manifest.config().digest().as_ref());
    let config = oci_spec::image::ImageConfiguration::from_file(config).unwrap();
    assert_eq!(config.rootfs().diff_ids().len(), manifest.layers().len());
    oci_spec::image::OciLayout::from_file(out.join("oci-layout")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_of_somebody_else_is_added_to() {
    let story = Story::new();
    let (first, store) = (hello(&story.context.store), &story.context.store);
    story.publish(&story.local("oci", "ours"), &first, &["first"]).await;
    run("skopeo", &["copy", "-q", "oci:ours:first", "oci:theirs:one"], story.path());
    let more = layer(store, "more", &[file("more", "x")]);
    let second = assembly(vec![image(&Platform::linux_amd64(), vec![more])]);
    story.publish(&story.local("oci", "theirs:two"), &second, &["ignored"]).await;
    for (name, digest) in [("one", digest_of(&first)), ("two", digest_of(&second))] {
        let shown = run("skopeo", &["inspect", &format!("oci:theirs:{name}")], story.path());
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["Digest"], digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_is_kept_in_a_layout_and_in_an_archive() {
    let story = Story::new();
    let shared = layer(&story.context.store, "shared", &[file("shared", "x")]);
    let images: Vec<_> = ["linux/amd64", "linux/arm64"]
        .map(|platform| {
            let own = layer(&story.context.store, platform, &[file("own", platform)]);
            image(&platform.parse().unwrap(), vec![shared.clone(), own])
        })
        .into();
    let both = assembly(images);
    let layout = story.publish(&story.local("oci", "out"), &both, &["v1"]).await;
    story.publish(&story.local("oci-archive", "out.tar"), &both, &["v1"]).await;
    let names: Vec<_> = layout.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    for from in ["oci:out:v1", "oci-archive:out.tar:v1"] {
        let raw = run("skopeo", &["inspect", "--raw", from], story.path());
        assert_eq!(Digest::of(raw.as_bytes()), both.descriptor().digest, "{from}");
        run("skopeo", &["copy", "-q", "--all", from, "dir:all"], story.path());
        for arch in ["amd64", "arm64"] {
            let arguments = ["inspect", "--config", "--override-arch", arch, from];
            let config: Value =
                serde_json::from_str(&run("skopeo", &arguments, story.path())).unwrap();
            assert_eq!(config["architecture"], arch);
        }
    }
    let error =
        story.try_publish(&story.local("docker-archive", "d.tar"), &both, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(!story.path().join("d.tar").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oci_archive_is_a_layout_in_a_tar_and_the_same_every_time() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    story.publish(&story.local("oci-archive", "a.tar"), &hello, &["v1"]).await;
    story.publish(&story.local("oci-archive", "b.tar"), &hello, &["v1"]).await;
    story.publish("oci-archive:-", &hello, &["v1"]).await;
    let archive = fs::read(story.path().join("a.tar")).unwrap();
    assert_eq!(fs::read(story.path().join("b.tar")).unwrap(), archive);
    assert_eq!(*story.stdout.0.lock().unwrap(), archive);

    run("skopeo", &["copy", "-q", "oci-archive:a.tar:v1", "dir:copy"], story.path());
    let manifest = fs::read(story.path().join("copy/manifest.json")).unwrap();
    assert_eq!(Digest::of(&manifest), hello.descriptor().digest);
    // The tar unpacked is what `oci:` writes.
    story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
    fs::create_dir(story.path().join("unpacked")).unwrap();
    run("tar", &["-xf", "a.tar", "-C", "unpacked"], story.path());
    assert_eq!(files(&story.path().join("unpacked")), files(&story.path().join("out")));
    let listed = run("tar", &["-tf", "a.tar"], story.path());
    let listed: Vec<_> = listed.lines().filter(|name| name.len() < 70).collect();
    assert_eq!(listed, ["blobs/", "blobs/sha256/", "index.json", "oci-layout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_archive_is_what_docker_load_reads() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let to = story.local("docker-archive", "a.tar");
    let published = story.publish(&to, &hello, &["v1", "latest"]).await;
    assert_eq!(published.tags, ["v1", "latest"]);
    story.publish("-", &hello, &["v1", "latest"]).await;
    let archive = fs::read(story.path().join("a.tar")).unwrap();
    assert_eq!(*story.stdout.0.lock().unwrap(), archive);

    let manifest = run("tar", &["-xOf", "a.tar", "manifest.json"], story.path());
    let image = &hello.images[0];
    let blob = |descriptor: &Descriptor| format!("blobs/sha256/{}", descriptor.digest.hex());
    assert_eq!(
        serde_json::from_str::<Value>(&manifest).unwrap(),
        json!([{
            "Config": blob(&image.config.descriptor),
            "RepoTags": ["hello:v1", "hello:latest"],
            "Layers": [blob(&image.layers[0].descriptor), blob(&image.layers[1].descriptor)],
        }])
    );
    let copy = ["copy", "-q", "docker-archive:a.tar:hello:v1", "oci:copy:v1"];
    run("skopeo", &copy, story.path());
    run("umoci", &["unpack", "--rootless", "--image", "copy:v1", "bundle"], story.path());
    let run = story.path().join("bundle/rootfs/app/run");
    assert_eq!(fs::read_to_string(run).unwrap(), "#!/bin/sh\necho hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_the_base_go_from_the_registry_straight_to_where_they_are_needed() {
    let (near, far) = (Registry::start(), Registry::start());
    let story = Story::new();
    let base = hello(&story.context.store);
    let origin = repository(&far.host(), "base/image");
    story.publish(&origin.to_string(), &base, &["1"]).await;
    let base = with_origin(base, &Origin::Registry(origin));
    // Nothing of it is on this machine.
    let context = PublishContext { store: Store::temporary().unwrap(), ..story.context.clone() };
    let story = Story { context, ..story };
    for (to, check) in [
        (story.local("oci", "out"), "oci:out:v1"),
        (story.local("oci-archive", "o.tar"), "oci-archive:o.tar:v1"),
        (format!("{}/a/b", near.host()), "registry"),
    ] {
        let published = story.publish(&to, &base, &["v1"]).await;
        assert_eq!(published.descriptor, *base.descriptor());
        if check == "registry" {
            let from = format!("docker://{}/a/b:v1", near.host());
            run("skopeo", &["copy", "-q", "--src-tls-verify=false", &from, "dir:r"], story.path());
        } else {
            run("skopeo", &["copy", "-q", check, "dir:copy"], story.path());
        }
    }
    assert_eq!(fs::read_dir(story.context.store.root().join("blobs/sha256")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_sends_only_what_is_not_there_and_the_tags_last() {
    let registry = Registry::start();
    let story = Story::new();
    let hello = hello(&story.context.store);
    let to = format!("{}/acme/hello", registry.host());
    let published = story.publish(&to, &hello, &["v1", "latest"]).await;
    assert_eq!(
        published,
        Published {
            reference: format!("{to}@{}", digest_of(&hello)),
            descriptor: hello.descriptor().clone(),
            tags: vec!["v1".into(), "latest".into()],
            kept: BTreeMap::new(),
            platforms: vec![Platform::linux_amd64()],
        }
    );
    let (upload, publish) = (Action::Upload, Action::Publish);
    let image = &hello.images[0];
    let layers = image.layers.iter().map(|layer| layer.descriptor.size);
    let sizes: Vec<u64> = layers.chain([image.config.descriptor.size]).collect();
    let sent = |blob: usize| (upload, Outcome::Done, readable_size(sizes[blob]));
    let put = || (publish, Outcome::Done, digest_of(&hello));
    assert_eq!(story.outcomes(), [sent(0), sent(1), sent(2), put(), put()]);
    let there = || (upload, Outcome::Skipped, "is there".to_owned());
    let unchanged = || (publish, Outcome::Skipped, "unchanged".to_owned());
    story.publish(&to, &hello, &["v1"]).await;
    assert_eq!(story.outcomes(), [there(), there(), there(), unchanged()]);

    // Another repository of the registry takes the layers over.
    let origin = repository(&registry.host(), "acme/hello");
    let derived = with_origin(hello.clone(), &Origin::Registry(origin.clone()));
    let other = format!("{}/acme/other:own", registry.host());
    let published = story.publish(&other, &derived, &["ignored"]).await;
    assert_eq!(published.tags, ["own"]);
    let mounted = || (upload, Outcome::Skipped, format!("mounted from {origin}"));
    assert_eq!(story.outcomes(), [mounted(), mounted(), sent(2), put()]);

    // Without a tag it is there by its digest.
    let third = format!("{}/acme/third", registry.host());
    let published = story.publish(&third, &hello, &[]).await;
    let from = format!("docker://{}", published.reference);
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &from], story.path());
    assert_eq!(Digest::of(raw.as_bytes()), published.descriptor.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_was_right_a_while_ago_is_looked_at_again() {
    let registry = Registry::start();
    let story = Story::new();
    let hello = hello(&story.context.store);
    let layer = layer(&story.context.store, "other", &[file("other", "x")]);
    let other = assembly(vec![image(&Platform::linux_amd64(), vec![layer])]);
    let to = format!("{}/acme/hello", registry.host());
    story.publish(&to, &hello, &["v1"]).await;
    let session = parse(&to).unwrap().open(&story.context, &["v1".into()]).await.unwrap();
    // While this one packs, another push takes the tag.
    story.publish(&to, &other, &["v1"]).await;
    story.context.client.clock().sleep(Duration::from_secs(6)).await;
    let published = session.finish(&hello).await.unwrap();
    assert_eq!(published.tags, ["v1"]);
    let tag = repository(&registry.host(), "acme/hello").at_tag("v1");
    let found = story.context.client.resolve(&tag).await.unwrap().unwrap();
    assert_eq!(found.digest, hello.descriptor().digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_pushed_after_its_images() {
    let registry = Registry::start();
    let story = Story::new();
    let images: Vec<_> = ["linux/amd64", "linux/arm64"]
        .map(|platform| {
            let own = layer(&story.context.store, platform, &[file("own", platform)]);
            image(&platform.parse().unwrap(), vec![own])
        })
        .into();
    let both = assembly(images);
    let to = format!("{}/acme/both", registry.host());
    story.publish(&to, &both, &["v1"]).await;
    let events: Vec<_> = story.events.try_iter().collect();
    let put = events.iter().filter_map(|event| match event {
        Event::TaskFinished { detail: Some(detail), .. } if detail.starts_with("sha256:") => {
            Some(detail.clone())
        }
        _ => None,
    });
    let digest = |number: usize| both.images[number].manifest.descriptor.digest.to_string();
    assert_eq!(put.collect::<Vec<_>>(), [digest(0), digest(1), digest_of(&both)]);
    // No two lines look the same, and none says a digest twice.
    let subjects = events.iter().filter_map(|event| match event {
        Event::TaskStarted { action: Action::Publish, subject, .. } => Some(subject.clone()),
        Event::TaskStarted { action: Action::Upload, subject, .. } => {
            let (_, name) = subject.split_once(' ')?;
            name.starts_with("image config").then(|| name.to_owned())
        }
        _ => None,
    });
    assert_eq!(
        subjects.collect::<Vec<_>>(),
        [
            "image config of linux/amd64".to_owned(),
            "image config of linux/arm64".to_owned(),
            format!("{to} for linux/amd64"),
            format!("{to} for linux/arm64"),
            format!("{to}:v1"),
        ]
    );

    let client = oci_client::Client::new(oci_client::client::ClientConfig {
        protocol: oci_client::client::ClientProtocol::Http,
        ..oci_client::client::ClientConfig::default()
    });
    let reference: oci_client::Reference = format!("{to}:v1").parse().unwrap();
    let anonymous = oci_client::secrets::RegistryAuth::Anonymous;
    let (manifest, digest) = client.pull_manifest(&reference, &anonymous).await.unwrap();
    assert_eq!(digest, digest_of(&both));
    assert!(matches!(manifest, oci_client::manifest::OciManifest::ImageIndex(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_loses_before_the_manifest_is_brought_again() {
    let registry = Registry::start();
    let story = Story::new();
    let hello = hello(&story.context.store);
    let to = format!("{}/acme/lost", registry.host());
    let session = parse(&to).unwrap().open(&story.context, &["v1".into()]).await.unwrap();
    let lost = &hello.images[0].layers[0];
    session.add_layer(lost).await.unwrap();
    let blob = format!("http://{}/v2/acme/lost/blobs/{}", registry.host(), lost.descriptor.digest);
    run("curl", &["-sf", "-X", "DELETE", &blob], story.path());
    session.finish(&hello).await.unwrap();
    let from = format!("docker://{to}:v1");
    run("skopeo", &["copy", "-q", "--src-tls-verify=false", &from, "dir:copy"], story.path());
    let warned = story
        .events
        .try_iter()
        .any(|event| matches!(event, Event::Warning { code: "registry-lost-content", .. }));
    assert!(warned);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_was_built_earlier_is_pushed_as_it_is() {
    let registry = Registry::start();
    let story = Story::new();
    let hello = hello(&story.context.store);
    story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
    let out = story.path().join("out");
    let read = read_layout(&out, Some("v1")).unwrap();
    let mut expected = with_origin(hello.clone(), &Origin::Layout(out.clone()));
    for layer in &mut expected.images[0].layers {
        layer.name = "layer".into();
    }
    assert_eq!(read, expected);

    let context = PublishContext { store: Store::temporary().unwrap(), ..story.context.clone() };
    let story = Story { context, ..story };
    let to = format!("{}/acme/hello", registry.host());
    let published = story.publish(&to, &read, &["v1"]).await;
    assert_eq!(published.descriptor, *hello.descriptor());
    // From one layout to another, too.
    story.publish(&story.local("oci", "again"), &read, &["v1"]).await;
    assert_eq!(files(&story.path().join("again")), files(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_read_only_when_all_of_it_is_right() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
    let out = story.path().join("out");
    let layer = &hello.images[0].layers[1].descriptor.digest;
    let blob = out.join("blobs/sha256").join(layer.hex());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let error = read_layout(&out, None).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Usage, format!("`{}` lacks blob `{layer}`, or has it damaged", out.display()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_behind() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let lost = &hello.images[0].layers[1].descriptor.digest;
    fs::remove_file(story.context.store.blob_path(lost)).unwrap();
    for to in [
        story.local("oci", "a/b"),
        story.local("oci-archive", "a.tar"),
        story.local("docker-archive", "b.tar"),
    ] {
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        let lines = error.lines();
        assert_eq!(
            lines.last().unwrap(),
            &format!("blob `{lost}` is gone from the cache, or damaged"),
        );
    }
    assert_eq!(fs::read_dir(story.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_blob_of_the_cache_goes_nowhere() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let digest = &hello.images[0].layers[0].descriptor.digest;
    let blob = story.context.store.blob_path(digest);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, bytes).unwrap();
    for to in [story.local("oci", "out"), story.local("oci-archive", "a.tar")] {
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    }
    assert_eq!(fs::read_dir(story.path()).unwrap().count(), 0);
}

/// Somebody cleaned up the cache in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_gone_from_the_cache_is_named() {
    let (story, registry) = (Story::new(), Registry::start());
    let hello = hello(&story.context.store);
    let digest = &hello.images[0].layers[0].descriptor.digest;
    fs::remove_file(story.context.store.blob_path(digest)).unwrap();
    let to_registry = format!("{}/a/b", registry.host());
    for to in [to_registry, story.local("oci", "out"), story.local("oci-archive", "a.tar")] {
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        let expected = format!("blob `{digest}` is gone from the cache, or damaged");
        assert!(error.lines().contains(&expected), "{to}: {error}");
        assert_eq!(error.hints(), ["build the image again"], "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_replaces_a_file_and_never_a_folder() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    fs::create_dir(story.path().join("folder")).unwrap();
    for (name, reason) in [("folder", "it is a folder"), ("no/a.tar", "its folder does not exist")]
    {
        let to = story.local("oci-archive", name);
        let message =
            format!("cannot write an archive to `{}`: {reason}", story.path().join(name).display());
        assert_eq!(
            parse(&to).unwrap().check(&[], LayerCompression::Gzip).unwrap_err().to_string(),
            message
        );
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Usage, message));
    }
    fs::write(story.path().join("real.tar"), "old").unwrap();
    std::os::unix::fs::symlink("real.tar", story.path().join("link.tar")).unwrap();
    story.publish(&story.local("oci-archive", "link.tar"), &hello, &[]).await;
    assert!(story.path().join("link.tar").is_symlink());
    run("tar", &["-tf", "real.tar"], story.path());
    // A device is written to, and is full.
    let error = story.try_publish("oci-archive:/dev/full", &hello, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.lines()[0], "write an archive to `/dev/full`");
    // A pipe takes the bytes itself.
    run("mkfifo", &["pipe"], story.path());
    let pipe = story.path().join("pipe");
    let reader = tokio::task::spawn_blocking(move || fs::read(pipe).unwrap());
    story.publish(&story.local("oci-archive", "pipe"), &hello, &[]).await;
    assert_eq!(reader.await.unwrap(), fs::read(story.path().join("real.tar")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sessions_share_a_layout() {
    let story = Story::new();
    let store = &story.context.store;
    let shared = layer(store, "shared", &[folder("a"), file("a/b", "x")]);
    let to = story.local("oci", "out");
    let pushes = (0..6).map(|number| {
        let own = layer(store, "own", &[file("own", &number.to_string())]);
        let what = assembly(vec![image(&Platform::linux_amd64(), vec![shared.clone(), own])]);
        let (story, to) = (&story, &to);
        async move { story.publish(to, &what, &[&format!("v{number}")]).await }
    });
    futures_util::future::join_all(pushes).await;
    for number in 0..6 {
        read_layout(&story.path().join("out"), Some(&format!("v{number}"))).unwrap();
    }
}

#[test]
fn credentials_are_asked_for_before_anything_is_packed_or_sent() {
    let (sandbox, open) = (Sandbox::new(), Registry::start());
    let closed = Registry::start_with_password();
    let project = sandbox.project("hello");
    let to = format!("{}/acme/hello,{}/acme/hello", open.host(), closed.host());
    let outcome = sandbox.run(["push", project.to_str().unwrap(), "--to", &to]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    assert!(!outcome.stderr.contains("packed"), "{}", outcome.stderr);
    let message = format!(
        "cannot push to `{0}/acme/hello`: `{0}` wants credentials and there are none",
        closed.host()
    );
    assert_eq!(outcome.stderr.matches("wants credentials").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&message), "{}", outcome.stderr);
    let hints = outcome.stderr.split_once("hint: ").unwrap().1;
    let cure = format!(
        "log in to `{0}`: `dockless login {0} --username NAME --password-stdin`; or",
        closed.host()
    );
    assert!(hints.starts_with(&cure), "{hints}");
    let catalog = run("curl", &["-sf", &format!("http://{}/v2/_catalog", open.host())], &project);
    assert_eq!(serde_json::from_str::<Value>(&catalog).unwrap(), json!({"repositories": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_named_insecure_is_reached_without_tls() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    // Only this machine is here: as the proxy of the command it stands for the host.
    let proxy = FaultProxy::start(&registry.host()).await;
    let project = sandbox.project("hello");
    let project = project.to_str().unwrap();
    let push = |rest: &[&str], variable: &str| {
        let mut command = sandbox.command(["push", project, "--to", "registry.test/acme/hello"]);
        command.args(rest).env("http_proxy", format!("http://{}", proxy.server().host()));
        if !variable.is_empty() {
            command.env("DOCKLESS_INSECURE_REGISTRY", variable);
        }
        cli::Outcome::of(&mut command)
    };
    let given = push(&["--insecure-registry", "other.test:5000,registry.test"], "");
    assert_eq!(given.code, 0, "{given:#?}");
    assert!(given.stdout.starts_with("registry.test/acme/hello@sha256:"), "{given:#?}");
    let named = push(&[], "registry.test");
    assert_eq!((named.code, named.stdout), (0, given.stdout));
    let wrong = push(&["--insecure-registry", "http://registry.test"], "");
    assert_eq!(wrong.code, 2, "{wrong:#?}");
}

/// Breaks a manifest.
type Change = fn(&mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_whose_documents_break_the_rules_is_the_users_to_mend() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let out = story.path().join("out");
    let cases: [(Change, &str); 6] = [
        (
            |manifest| manifest["layers"][0]["digest"] = json!("sha256:../../etc/passwd"),
            "not valid",
        ),
        (
            |manifest| manifest["layers"][0]["digest"] = json!(format!("sha512:{:0128}", 0)),
            "not valid",
        ),
        (|manifest| manifest["layers"][0]["size"] = json!(-1), "not valid"),
        (
            |manifest| {
                manifest["mediaType"] =
                    json!("application/vnd.docker.distribution.manifest.v2+json");
            },
            "not valid",
        ),
        (|manifest| manifest["manifests"] = json!([]), "not valid"),
        (|manifest| manifest["layers"][0]["urls"] = json!(["http://a.io/b"]), "has `urls`"),
    ];
    for (change, reason) in cases {
        let _ = fs::remove_dir_all(&out);
        story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
        let mut index = json_of(&out.join("index.json"));
        let blobs = out.join("blobs/sha256");
        let hex = |value: &Value| value.as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let mut manifest = json_of(&blobs.join(hex(&index["manifests"][0]["digest"])));
        change(&mut manifest);
        let bytes = manifest.to_string();
        let digest = Digest::of(bytes.as_bytes());
        fs::write(blobs.join(digest.hex()), &bytes).unwrap();
        index["manifests"][0]["digest"] = json!(digest.to_string());
        index["manifests"][0]["size"] = json!(bytes.len());
        fs::write(out.join("index.json"), index.to_string()).unwrap();
        let error = read_layout(&out, None).unwrap_err();
        let text = error.lines().join("\n");
        assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        assert!(text.contains(&out.display().to_string()) && text.contains(reason), "{text}");
    }
}
