//! What usually makes an image differ from what is built here.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::image::{BASE_DIGEST_ANNOTATION, BASE_NAME_ANNOTATION, Documents, Image};
use crate::layer::{self, WRITER_VERSION_ANNOTATION};
use crate::oci::{Platform, Reference};
use crate::plan::LayerCompression;

/// The most labels, and annotations, that are hinted at.
const MAX_NAMES: usize = 3;

const REVISION: &str = "org.opencontainers.image.revision";

/// For a tree with changes that are in no commit.
pub(super) const DIRTY: &str =
    "tracked files were changed since the last commit: verify a clean checkout";

/// For an index where one platform was built.
pub(super) fn platform(images: &[Image]) -> String {
    let names: Vec<_> = images.iter().map(|image| image.platform.to_string()).collect();
    format!("`--platform {}` verifies these images of the index alone", names.join(","))
}

/// For two images, the given one and the one that was built; `images` is how many platforms were.
pub(super) fn of(given: Documents<'_>, built: Documents<'_>, images: usize) -> Vec<String> {
    if images == 1 && !given.config.platform().is_served_by(&built.config.platform()) {
        // Little else of it can be compared.
        return other_platform(&given.config.platform()).into_iter().collect();
    }
    let hints = [revision(given, built), created(given, built), writer(given, built)];
    let base = if images == 1 { base(given, built) } else { None };
    hints.into_iter().flatten().chain(base).chain(names(given, built)).collect()
}

fn other_platform(given: &Platform) -> Option<String> {
    // What is none could be anything: it comes from strangers.
    let platform: Platform = given.to_string().parse().ok()?;
    Some(format!("the image is for {platform}: verify it with `--platform {platform}`"))
}

/// Labels and annotations that may have come from the command line.
fn names(given: Documents<'_>, built: Documents<'_>) -> Vec<String> {
    let labels = |documents: Documents<'_>| documents.config.config.labels.clone();
    let annotations = |documents: Documents<'_>| documents.manifest.annotations.clone();
    let kinds = [
        ("label", labels(given), labels(built)),
        ("annotation", annotations(given), annotations(built)),
    ];
    let mut hints = Vec::new();
    for (kind, given, built) in kinds {
        // The rest comes from git, the base and ourselves, and has hints of its own.
        let is_given = |name: &&String| {
            !["org.opencontainers.image.", "dev.dockless."].iter().any(|own| name.starts_with(own))
        };
        let is_plain = |text: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
            !text.is_empty() && text.bytes().all(is_plain)
        };
        let names: BTreeSet<_> = given.keys().chain(built.keys()).filter(is_given).collect();
        let names = names.into_iter().filter(|name| is_plain(name));
        let differing = names.filter(|name| given.get(*name) != built.get(*name));
        hints.extend(differing.take(MAX_NAMES).map(|name| match given.get(name) {
            None => format!("the image has no {kind} {name}: is it given with `--{kind}` here?"),
            Some(value) if is_plain(value) => format!("verify it with `--{kind} {name}={value}`"),
            Some(_) => format!("verify it with the `--{kind} {name}=…` that it was built with"),
        }));
    }
    hints
}

fn revision(given: Documents<'_>, built: Documents<'_>) -> Option<String> {
    let of = |documents: Documents<'_>| documents.config.config.labels.get(REVISION).cloned();
    let is_commit = |revision: &String| {
        (7..=64).contains(&revision.len())
            && revision.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    let (given, built) = (of(given).filter(is_commit)?, of(built));
    match built {
        Some(built) if built == given => None,
        Some(built) => Some(format!(
            "the image says revision {given}, the project is at {built}: check out {given}"
        )),
        None => Some(format!("the image says revision {given}: check it out with git")),
    }
}

fn created(given: Documents<'_>, built: Documents<'_>) -> Option<String> {
    let (given, built) = (given.config.created.as_ref()?, built.config.created.as_ref()?);
    let seconds = given.parse::<Timestamp>().ok()?.as_second();
    (given != built).then(|| match seconds {
        0 => "it was built without `SOURCE_DATE_EPOCH`: unset it".to_owned(),
        _ => format!("set `SOURCE_DATE_EPOCH={seconds}`, as when it was built"),
    })
}

fn writer(given: Documents<'_>, built: Documents<'_>) -> Option<String> {
    let of = |documents: Documents<'_>| {
        documents.manifest.annotations.get(WRITER_VERSION_ANNOTATION).cloned()
    };
    let (given, built) = (of(given), of(built));
    let compression = [LayerCompression::Gzip, LayerCompression::Zstd]
        .into_iter()
        .find(|compression| given.as_deref() == Some(layer::writer_version(*compression)));
    (given != built).then(|| match compression {
        Some(compression) => format!("verify it with `--compression {compression}`"),
        None => "verify it with the version of dockless that built it".to_owned(),
    })
}

/// The base as it was, where the image says it in a way that can be repeated.
fn base(given: Documents<'_>, built: Documents<'_>) -> Option<String> {
    let of = |documents: Documents<'_>, name| documents.manifest.annotations.get(name).cloned();
    let digest = of(given, BASE_DIGEST_ANNOTATION)?;
    if of(built, BASE_DIGEST_ANNOTATION)? == digest {
        return None;
    }
    let name: Reference = of(given, BASE_NAME_ANNOTATION)?.parse().ok()?;
    let base = Reference { digest: Some(digest.parse().ok()?), ..name };
    Some(format!("the base moved: verify with `--base {base}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType};

    type Change = fn(&mut Manifest, &mut ImageConfig);

    #[test]
    fn typical_causes_are_told() {
        let digest = Digest::of(b"base");
        let base =
            format!("the base moved: verify with `--base docker.io/library/python:3.12@{digest}`");
        let cases: [(Change, &[&str]); 13] = [
            (|_, _| {}, &[]),
            (
                |_, config| drop(config.config.labels.insert(REVISION.into(), "b".repeat(40))),
                &["the image says revision bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, the project \
                   is at aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: check out \
                   bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"],
            ),
            (
                |_, config| drop(config.config.labels.insert(REVISION.into(), "\u{1b}[2J".into())),
                &[],
            ),
            (
                |_, config| config.created = Some("2026-01-02T03:04:05Z".into()),
                &["set `SOURCE_DATE_EPOCH=1767323045`, as when it was built"],
            ),
            (|_, config| config.created = Some("yesterday".into()), &[]),
            (
                |manifest, _| {
                    manifest.annotations.insert(WRITER_VERSION_ANNOTATION.into(), "tar0".into());
                },
                &["verify it with the version of dockless that built it"],
            ),
            (
                |manifest, _| {
                    let version = layer::writer_version(LayerCompression::Zstd).to_owned();
                    manifest.annotations.insert(WRITER_VERSION_ANNOTATION.into(), version);
                },
                &["verify it with `--compression zstd`"],
            ),
            (
                |manifest, _| {
                    let digest = Digest::of(b"base").to_string();
                    manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), digest);
                },
                &[&base],
            ),
            (
                |manifest, _| {
                    manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), "`; rm`".into());
                },
                &[],
            ),
            (
                |manifest, _| {
                    let digest = Digest::of(b"base").to_string();
                    manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), digest);
                    manifest.annotations.insert(BASE_NAME_ANNOTATION.into(), "`; rm`".into());
                },
                &[],
            ),
            (
                |manifest, config| {
                    let digest = Digest::of(b"base").to_string();
                    manifest.annotations.insert(BASE_DIGEST_ANNOTATION.into(), digest);
                    config.architecture = "arm64".into();
                },
                &["the image is for linux/arm64: verify it with `--platform linux/arm64`"],
            ),
            (|_, config| config.architecture = "`; rm`".into(), &[]),
            (
                |manifest, config| {
                    config.config.labels.remove("team");
                    config.config.labels.insert("a".into(), "b".into());
                    config.config.labels.insert("`; rm`".into(), "b".into());
                    manifest.annotations.insert("c".into(), "`; rm`".into());
                    manifest
                        .annotations
                        .insert("org.opencontainers.image.title".into(), "t".into());
                },
                &[
                    "verify it with `--label a=b`",
                    "the image has no label team: is it given with `--label` here?",
                    "verify it with the `--annotation c=…` that it was built with",
                ],
            ),
        ];
        let built = image();
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            let mut given = image();
            change(&mut given.0, &mut given.1);
            let given = Documents { manifest: &given.0, config: &given.1 };
            let built = Documents { manifest: &built.0, config: &built.1 };
            assert_eq!(of(given, built, 1), expected, "case {number}");
        }
    }

    fn image() -> (Manifest, ImageConfig) {
        let mut manifest = Manifest::new(Descriptor::of(MediaType::OciConfig, b"{}"), Vec::new());
        for (name, value) in [
            (BASE_NAME_ANNOTATION, "docker.io/library/python:3.12".to_owned()),
            (BASE_DIGEST_ANNOTATION, Digest::of(b"moved").to_string()),
            (WRITER_VERSION_ANNOTATION, "tar1".to_owned()),
        ] {
            manifest.annotations.insert(name.into(), value);
        }
        let mut config = ImageConfig::scratch(&Platform::linux_amd64());
        config.created = Some("1970-01-01T00:00:00Z".into());
        config.config.labels.insert(REVISION.into(), "a".repeat(40));
        config.config.labels.insert("team".into(), "search".into());
        (manifest, config)
    }
}
