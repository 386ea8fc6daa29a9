use super::super::{RootNode, RootTree};
use super::*;
use crate::error::{Classified as _, ErrorKind};
use crate::oci::Descriptor;

fn platform(name: &str) -> (Platform, LockedPlatform) {
    let platform: Platform = name.parse().unwrap();
    let config = ImageConfig::scratch(&platform);
    let config = Document::write(config, MediaType::OciConfig);
    let layer = Descriptor::of(MediaType::OciLayerGzip, name.as_bytes());
    let manifest = Manifest::new(config.descriptor.clone(), vec![layer]);
    let manifest = Document::write(manifest, MediaType::OciManifest);
    let mut root = RootTree::default();
    root.insert("app", RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
    root.get("app");
    (platform, LockedPlatform { manifest, config, facts: Some(root.excerpt()) })
}

fn index(platforms: &[&str]) -> LockedImage {
    let platforms: BTreeMap<_, _> = platforms.iter().map(|name| platform(name)).collect();
    let entries = platforms.iter().map(|(platform, locked)| Descriptor {
        platform: Some(platform.clone()),
        ..locked.manifest.descriptor.clone()
    });
    let index = Document::write(Index::new(entries.collect()), MediaType::OciIndex);
    LockedImage {
        digest: index.descriptor.digest,
        media_type: MediaType::OciIndex,
        indexes: vec![index],
        platforms,
    }
}

fn lock() -> Lock {
    let (amd64, alone) = platform("linux/amd64");
    let alone = LockedImage {
        digest: alone.manifest.descriptor.digest,
        media_type: MediaType::OciManifest,
        indexes: Vec::new(),
        platforms: BTreeMap::from([(amd64, LockedPlatform { facts: None, ..alone })]),
    };
    let images = [
        ("a.io/both:1".parse().unwrap(), index(&["linux/amd64", "linux/arm64"])),
        (format!("a.io/one:1@{}", alone.digest).parse().unwrap(), alone),
    ];
    Lock { images: BTreeMap::from(images) }
}

#[test]
fn a_lock_is_read_as_it_was_written() {
    let lock = lock();
    let text = lock.to_text();
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert_eq!(text, Lock::parse(&text.replace('\n', "\r\n")).unwrap().to_text());
    let (_, arm64) = platform("linux/arm64");
    assert_eq!(lock.facts(&arm64.manifest.descriptor.digest), arm64.facts.as_ref());
    assert_eq!(lock.facts(&Digest::of(b"other")), None);
}

#[test]
fn what_differs_from_what_was_written_is_noticed() {
    let text = lock().to_text();
    let manifest = platform("linux/arm64").1.manifest.descriptor.digest.to_string();
    let other = Digest::of(b"other").to_string();
    let index = index(&["linux/amd64", "linux/arm64"]).digest.to_string();
    let arm64 = "`a.io/both:1` for `linux/arm64`";
    for (from, to, what) in [
        (&*manifest, &*other, format!("the manifest of {arm64} is not what was locked")),
        (
            "\\\"architecture\\\":\\\"arm64",
            "\\\"architecture\\\":\\\"arm65",
            format!("the config of {arm64} is not what was locked"),
        ),
        ("493,0,0", "511,0,0", "its checksum is that of another content".into()),
        ("493,0,0", "4096,0,0", format!("the facts about {arm64} cannot be")),
        (
            "\"linux/arm64\"",
            "\"linux/riscv64\"",
            format!("`a.io/both:1` for `linux/riscv64` is not of the image {index}"),
        ),
        (
            "\"linux/arm64\"",
            "\"linux/aarch64\"",
            "the platform of `a.io/both:1` for `linux/aarch64` is none".into(),
        ),
        ("a.io/both:1", "a.io/both:2", "its checksum is that of another content".into()),
        ("a.io/both:1", "a.io/both", "`a.io/both` is not how it names an image".into()),
        (&*index, &*other, format!("the index of `a.io/both:1` is not {index}")),
        ("\"version\": 1", "\"version\": 0", "its checksum is that of another content".into()),
    ] {
        // In an index it stands before.
        let (before, after) = text.rsplit_once(from).unwrap();
        let changed = [before, to, after].concat();
        let error = Lock::parse(&changed).unwrap_err();
        let message = format!("`dockless.lock` was changed by hand or badly merged: {what}");
        assert_eq!((error.to_string(), error.kind()), (message, ErrorKind::Usage), "{from}");
    }
}

#[test]
fn what_is_put_in_the_place_of_an_image_is_noticed() {
    let named = |name: &str| -> Reference { name.parse().unwrap() };
    let both = named("a.io/both:1");
    let (_, other) = platform("linux/s390x");
    let (amd64, _) = platform("linux/amd64");
    let (_, arm64) = platform("linux/arm64");
    let refused = |change: &dyn Fn(&mut Lock)| {
        let mut changed = lock();
        change(&mut changed);
        // The checksum is that of the change.
        let message = Lock::parse(&changed.to_text()).unwrap_err().to_string();
        message.split_once(": ").unwrap().1.to_owned()
    };
    let digest = lock().images[&both].digest;
    let expected = format!("`{both}` for `linux/amd64` is not of the image {digest}");
    for image in [&other, &arm64] {
        let message = refused(&|lock| {
            let image_of = &mut lock.images.get_mut(&both).unwrap().platforms;
            image_of.insert(amd64.clone(), image.clone());
        });
        assert_eq!(message, expected);
    }
    let alone = lock().images.into_keys().find(|name| name.digest.is_some()).unwrap();
    let digest = alone.digest.unwrap();
    for media_type in [MediaType::OciManifest, MediaType::OciIndex] {
        let message = refused(&|lock| {
            let locked = lock.images.get_mut(&alone).unwrap();
            locked.media_type = media_type.clone();
            locked.platforms.insert(amd64.clone(), other.clone());
        });
        assert_eq!(message, format!("`{alone}` for `linux/amd64` is not of the image {digest}"));
    }
    let message = refused(&|lock| {
        let index = index(&["linux/s390x"]);
        let locked = lock.images.get_mut(&both).unwrap();
        locked.indexes.extend(index.indexes);
        locked.platforms.insert(amd64.clone(), other.clone());
    });
    let digest = lock().images[&both].digest;
    assert_eq!(message, format!("the index of `{both}` is not {digest}"));
}

#[test]
fn says_what_it_cannot_read() {
    let text = lock().to_text();
    let merged = text.replacen("  \"images\"", "<<<<<<< HEAD\n  \"images\"", 1);
    let badly = "`dockless.lock` was changed by hand or badly merged: it does not have its form";
    for (text, message) in [
        (&*merged, "`dockless.lock` has conflict markers of git, the first in line 3"),
        (
            r#"{"version": 2, "bases": []}"#,
            "`dockless.lock` is of version 2; this dockless reads up to version 1",
        ),
        ("", badly),
        ("{}", badly),
        (&text.replacen("\"images\"", "\"image\"", 1), badly),
    ] {
        assert_eq!(Lock::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_name_without_a_tag_is_that_of_the_latest() {
    let digest = Digest::of(b"");
    for (text, expected) in [
        ("python", "docker.io/library/python:latest".to_owned()),
        ("python:3", "docker.io/library/python:3".to_owned()),
        (&format!("a.io/b@{digest}"), format!("a.io/b@{digest}")),
        (&format!("a.io/b:1@{digest}"), format!("a.io/b:1@{digest}")),
    ] {
        assert_eq!(locked_name(&text.parse().unwrap()).to_string(), expected);
    }
}
