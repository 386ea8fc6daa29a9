//! Layouts that are written, also beside what somebody else wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dockless::oci::{Digest, Platform};
use dockless::publish::{Published, read_layout};
use serde_json::{Value, json};

use super::{Story, digest_of, files, json_of};
use crate::support::image::{assembly, file, folder, hello, image, layer, run};

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
