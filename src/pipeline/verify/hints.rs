//! What usually makes an image differ from what is built here.

use jiff::Timestamp;

use crate::image::{BASE_DIGEST_ANNOTATION, BASE_NAME_ANNOTATION, Documents, Image};
use crate::layer::{self, WRITER_VERSION_ANNOTATION};
use crate::oci::Reference;
use crate::plan::LayerCompression;

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
    let hints = [revision(given, built), created(given, built), writer(given, built)];
    let base = if images == 1 { base(given, built) } else { None };
    hints.into_iter().flatten().chain(base).collect()
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
    use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType, Platform};

    type Change = fn(&mut Manifest, &mut ImageConfig);

    #[test]
    fn typical_causes_are_told() {
        let digest = Digest::of(b"base");
        let base =
            format!("the base moved: verify with `--base docker.io/library/python:3.12@{digest}`");
        let cases: [(Change, &[&str]); 10] = [
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
        (manifest, config)
    }
}
