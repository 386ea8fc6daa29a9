//! Annotations that say how an image was written.

use std::collections::BTreeMap;

use super::Image;

/// Names the rules by which the layers were written: only an image with the same ones can be reused
/// layer by layer, since others would give other digests for the same files.
pub const WRITER_VERSION_ANNOTATION: &str = "dev.dockless.writer-version";

/// The digest of the base's manifest, which differs from platform to platform.
pub const BASE_DIGEST_ANNOTATION: &str = "org.opencontainers.image.base.digest";

/// How the base is asked for again.
pub const BASE_NAME_ANNOTATION: &str = "org.opencontainers.image.base.name";

/// The annotations of a manifest: those of the plan, and ours, which nobody replaces.
pub(super) fn of_manifest(
    planned: &BTreeMap<String, String>,
    writer_version: &str,
) -> BTreeMap<String, String> {
    let mut annotations = planned.clone();
    annotations.insert(WRITER_VERSION_ANNOTATION.to_owned(), writer_version.to_owned());
    annotations
}

/// The annotations of an index: what all its manifests agree on, and these.
pub(super) fn of_index(
    images: &[Image],
    further: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let Some((first, rest)) = images.split_first() else { return further };
    let is_shared = |name: &String, value: &String| {
        name != BASE_DIGEST_ANNOTATION
            && rest.iter().all(|image| image.manifest.value.annotations.get(name) == Some(value))
    };
    let mut annotations = first.manifest.value.annotations.clone();
    annotations.retain(|name, value| is_shared(name, value));
    annotations.extend(further);
    annotations
}
