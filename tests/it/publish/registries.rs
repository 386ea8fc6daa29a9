//! Registries: what is sent, what is not, and in which order.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use dockless::event::{Action, Event, Outcome, readable_size};
use dockless::oci::{Digest, Platform};
use dockless::plan::Origin;
use dockless::publish::destinations::parse;
use dockless::publish::{PublishContext, Published};
use dockless::store::Store;

use super::{Story, digest_of};
use crate::support::image::{assembly, file, hello, image, layer, repository, run, with_origin};
use crate::support::registry::Registry;

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
