//! Labels of the image config and annotations of the manifest that follow from the plan's inputs.

use std::collections::BTreeMap;

use super::tags::{tags, version_of};
use super::{BASE_FILES_ANNOTATION, BaseImage, Inputs, VcsFacts};
use crate::config::{Config, TagSpec, Template};
use crate::oci::Digest;

/// Names what the image does not bake and a container of it must be given, joined by commas.
pub const REQUIRED_ENV_LABEL: &str = "dev.dockless.required-env";

/// Labels: `org.opencontainers.image.*` (image-spec, annotations.md), then the user's, which win.
pub(super) fn labels(config: &Config, inputs: &Inputs, created: &str) -> BTreeMap<String, String> {
    let vcs = inputs.vcs.as_ref().filter(|_| config.has_vcs_labels);
    let version_of_git = || {
        let version = vcs.and_then(|vcs| vcs.tag.as_deref()).and_then(version_of);
        version.map(|version| version.to_string())
    };
    let version =
        config.version.as_ref().map_or_else(version_of_git, |version| tag_text(version, vcs));
    let opencontainers = [
        ("title", Some(config.name.clone())),
        ("created", Some(created.to_owned())),
        ("version", version),
        ("revision", vcs.and_then(|vcs| vcs.sha.clone())),
        ("source", vcs.and_then(|vcs| vcs.source_url.clone())),
    ];
    let mut labels: BTreeMap<_, _> = opencontainers
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
        .collect();
    if !config.required_at_run_time.is_empty() {
        labels.insert(REQUIRED_ENV_LABEL.to_owned(), config.required_at_run_time.join(","));
    }
    labels.extend(config.labels.clone());
    labels
}

/// What a tag becomes; nothing when git does not say, or when the environment would have to: it must
/// not change the image.
fn tag_text(tag: &TagSpec, vcs: Option<&VcsFacts>) -> Option<String> {
    if tag.tag.text.contains("${") {
        return None;
    }
    let as_written = |template: &Template| Ok(template.text.clone());
    tags(std::slice::from_ref(tag), vcs, &as_written).ok()?.into_iter().next()
}

/// Annotations: the base's name and digest (image-spec, annotations.md), then the user's, and what the
/// plan asked of the base's file system, so that the next build need not read the base.
///
/// The digest is that of the platform's manifest, also when the base is an index: an index changes
/// whenever any of its platforms does.
pub(super) fn annotations(config: &Config, base: &BaseImage) -> BTreeMap<String, String> {
    let digest = base.manifest.as_ref().map(|manifest| manifest.descriptor.digest);
    let named =
        [("name", base.canonical_name.clone()), ("digest", digest.as_ref().map(Digest::to_string))];
    let mut annotations: BTreeMap<_, _> = named
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.base.{name}"), value?)))
        .collect();
    annotations.extend(config.annotations.clone());
    let files = digest.and_then(|digest| base.root.excerpt().to_annotation(digest));
    if let Some(files) = files.filter(|_| base.root.was_asked()) {
        annotations.insert(BASE_FILES_ANNOTATION.to_owned(), files);
    }
    annotations
}
