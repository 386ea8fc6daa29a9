//! What an image consists of: one image per platform, and what else an index lists.

use futures_util::future::try_join_all;

use super::Subject;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest, MediaType, Platform};

/// Everything under one name; no layer is read.
#[derive(Debug)]
pub(in crate::pipeline) struct Parts {
    /// Absent where the name is that of one manifest.
    pub(in crate::pipeline) index: Option<Document<Index>>,
    /// In the index's order.
    pub(in crate::pipeline) parts: Vec<(Descriptor, Content)>,
}

/// What a descriptor leads to.
#[derive(Debug)]
pub(in crate::pipeline) enum Content {
    /// The image of a platform.
    Image(Box<Found>),
    /// A manifest of something that no runtime starts; what it says it is.
    Artifact { kind: String, manifest: Box<Document<Manifest>> },
    /// It says something about an image of the same index.
    Attestation,
    /// A further index. It is not followed.
    Index,
    /// Something else: a manifest of Docker's schema 1, or what nobody knows.
    Unknown,
}

/// The documents of one platform's image.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct Found {
    /// As the index says, which runtimes go by; else as the config does.
    pub(in crate::pipeline) platform: Platform,
    pub(in crate::pipeline) manifest: Document<Manifest>,
    pub(in crate::pipeline) config: Document<ImageConfig>,
}

/// There is no image for a platform that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` has no image for {wanted}")]
struct MissingPlatform {
    name: String,
    wanted: Platform,
    available: Vec<Platform>,
}

impl Classified for MissingPlatform {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let available: Vec<_> = self.available.iter().map(ToString::to_string).collect();
        vec![match &available[..] {
            [] => "it has no images at all".to_owned(),
            _ => format!("it has images for {}", available.join(", ")),
        }]
    }
}

impl Parts {
    /// The images alone.
    pub(in crate::pipeline) fn images(&self) -> impl Iterator<Item = &Found> {
        self.parts.iter().filter_map(|(_, content)| match content {
            Content::Image(found) => Some(&**found),
            _ => None,
        })
    }
}

impl Subject {
    /// Fetches the documents of the images for these platforms; all there is, where none is named.
    ///
    /// # Errors
    /// A document cannot be fetched or is not valid, or there is no image for one of the platforms.
    pub(in crate::pipeline) async fn parts(&self, platforms: &[Platform]) -> Result<Parts> {
        let top = Descriptor::of(self.top.media_type.clone(), &self.top.bytes);
        let (index, entries) = if top.media_type.is_index() {
            let index =
                Document::<Index>::parse_index(self.top.bytes.clone(), top.media_type.clone())
                    .map_err(|error| self.invalid(error))?;
            let entries = index.value.manifests.clone();
            (Some(index), entries)
        } else {
            (None, vec![top])
        };
        let is_wanted = |platform: &Platform| {
            platforms.is_empty() || platforms.iter().any(|wanted| wanted.is_served_by(platform))
        };
        let available: Vec<_> = entries.iter().filter_map(|entry| entry.platform.clone()).collect();
        let entries =
            entries.into_iter().filter(|entry| entry.platform.as_ref().is_none_or(is_wanted));
        let reads = entries.map(async |entry| {
            let content = self.content(&entry).await?;
            Ok::<_, crate::error::Error>((entry, content))
        });
        let mut parts = try_join_all(reads).await?;
        if !platforms.is_empty() {
            let platform_of = |content: &Content| match content {
                Content::Image(found) => Some(found.platform.clone()),
                _ => None,
            };
            let found: Vec<_> = parts.iter().filter_map(|(_, part)| platform_of(part)).collect();
            let missing = |wanted: &&Platform| !found.iter().any(|own| wanted.is_served_by(own));
            if let Some(wanted) = platforms.iter().find(missing) {
                let mut available: Vec<_> = available
                    .into_iter()
                    .chain(found)
                    .filter(|platform| !platform.is_unknown())
                    .collect();
                available.sort();
                available.dedup();
                let (name, wanted) = (self.name.clone(), wanted.clone());
                return Err(MissingPlatform { name, wanted, available }.into());
            }
            parts.retain(|(_, part)| platform_of(part).is_some_and(|own| is_wanted(&own)));
        }
        Ok(Parts { index, parts })
    }

    async fn content(&self, entry: &Descriptor) -> Result<Content> {
        if entry.is_attestation() {
            return Ok(Content::Attestation);
        }
        if !entry.media_type.is_manifest() {
            let is_index = entry.media_type.is_index();
            return Ok(if is_index { Content::Index } else { Content::Unknown });
        }
        let (bytes, media_type) = if entry.digest == self.top.digest {
            (self.top.bytes.clone(), self.top.media_type.clone())
        } else {
            self.manifest(entry).await?
        };
        let manifest = Document::<Manifest>::parse_manifest(bytes, media_type)
            .map_err(|error| self.invalid(error))?;
        if let Some(kind) = artifact(&manifest.value) {
            return Ok(Content::Artifact { kind, manifest: manifest.into() });
        }
        let descriptor = &manifest.value.config;
        let bytes = self.config(descriptor).await?;
        let config = Document::<ImageConfig>::parse(bytes, descriptor.media_type.clone())
            .map_err(|error| self.invalid(error))?;
        let platform = entry.platform.clone().unwrap_or_else(|| config.value.platform());
        Ok(Content::Image(Box::new(Found { platform, manifest, config })))
    }
}

/// What a manifest is of, when it is not of an image (image-spec, manifest.md, "Guidelines for Artifact
/// Usage"). Signatures of cosign have the config of an image, and layers of their own type.
fn artifact(manifest: &Manifest) -> Option<String> {
    if let Some(kind) = manifest.other.get("artifactType").and_then(serde_json::Value::as_str) {
        return Some(kind.to_owned());
    }
    let config = &manifest.config.media_type;
    if !matches!(config, MediaType::OciConfig | MediaType::DockerConfig) {
        return Some(config.as_str().to_owned());
    }
    let is_layer =
        |layer: &Descriptor| layer.media_type.layer_compression().is_some() || layer.is_foreign();
    let first = manifest.layers.first().filter(|_| !manifest.layers.iter().any(is_layer))?;
    Some(first.media_type.as_str().to_owned())
}
