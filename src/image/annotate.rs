//! Annotations that say how an image was written.

use std::collections::BTreeMap;

use super::Image;
use crate::layer::{BASE_LAYERS_ANNOTATION, WRITER_VERSION_ANNOTATION};
use crate::plan::BASE_FILES_ANNOTATION;

/// The digest of the base's manifest, which differs from platform to platform.
pub const BASE_DIGEST_ANNOTATION: &str = "org.opencontainers.image.base.digest";

/// How the base is asked for again.
pub const BASE_NAME_ANNOTATION: &str = "org.opencontainers.image.base.name";

/// What is said of one platform's manifest alone.
const OF_ONE_PLATFORM: [&str; 3] =
    [BASE_DIGEST_ANNOTATION, BASE_LAYERS_ANNOTATION, BASE_FILES_ANNOTATION];

/// The annotations of a manifest: those of the plan, and ours, which nobody replaces. They say by which
/// rules our layers were written, and which ones they are: so a later build knows what it may take over.
pub(super) fn of_manifest(
    planned: &BTreeMap<String, String>,
    writer_version: &str,
    base_layers: usize,
) -> BTreeMap<String, String> {
    let ours = [
        (WRITER_VERSION_ANNOTATION.to_owned(), writer_version.to_owned()),
        (BASE_LAYERS_ANNOTATION.to_owned(), base_layers.to_string()),
    ];
    planned.clone().into_iter().chain(ours).collect()
}

/// The annotations of an index: what all its manifests agree on, and these.
pub(super) fn of_index(
    images: &[Image],
    further: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let Some((first, rest)) = images.split_first() else { return further };
    let is_shared = |name: &String, value: &String| {
        !OF_ONE_PLATFORM.contains(&name.as_str())
            && rest.iter().all(|image| image.manifest.value.annotations.get(name) == Some(value))
    };
    let mut annotations = first.manifest.value.annotations.clone();
    annotations.retain(|name, value| is_shared(name, value));
    annotations.extend(further);
    annotations
}
