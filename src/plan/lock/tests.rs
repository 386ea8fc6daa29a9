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
    LockedImage {
        digest: Digest::of(b"index"),
        media_type: MediaType::OciIndex,
        platforms: platforms.iter().map(|name| platform(name)).collect(),
    }
}

fn lock() -> Lock {
    let (amd64, alone) = platform("linux/amd64");
    let alone = LockedImage {
        digest: alone.manifest.descriptor.digest,
        media_type: MediaType::OciManifest,
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
    let index = Digest::of(b"index").to_string();
    let arm64 = "`a.io/both:1` for `linux/arm64`";
    let amd64 = "`a.io/both:1` for `linux/amd64`";
    for (from, to, what) in [
        (&*manifest, &*other, format!("the manifest of {arm64} is not what was locked")),
        (
            "\\\"architecture\\\":\\\"arm64",
            "\\\"architecture\\\":\\\"arm65",
            format!("the config of {arm64} is not what was locked"),
        ),
        ("493,0,0", "511,0,0", "its checksum is that of another content".into()),
        ("493,0,0", "4096,0,0", format!("the facts about {amd64} cannot be")),
        ("\"linux/arm64\"", "\"linux/riscv64\"", "its checksum is that of another content".into()),
        (
            "\"linux/arm64\"",
            "\"linux/aarch64\"",
            "the platform of `a.io/both:1` for `linux/aarch64` is none".into(),
        ),
        ("a.io/both:1", "a.io/both:2", "its checksum is that of another content".into()),
        ("a.io/both:1", "a.io/both", "`a.io/both` is not how it names an image".into()),
        (&*index, &*other, "its checksum is that of another content".into()),
        ("\"version\": 1", "\"version\": 0", "its checksum is that of another content".into()),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = Lock::parse(&changed).unwrap_err();
        let message = format!("`dockless.lock` was changed by hand or badly merged: {what}");
        assert_eq!((error.to_string(), error.kind()), (message, ErrorKind::Usage), "{from}");
    }
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
