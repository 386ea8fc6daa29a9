//! What an image stands on: the base's manifest, config and layers, per platform.
//!
//! Only documents are read here. What is in the layers is a matter of `facts.rs`, and only when
//! something is written on top of them.

mod error;
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

pub use error::{BaseError, MAX_LAYERS};

use super::{Missing, Pins};
use crate::config::Base;
use crate::error::{Attempting as _, Error, Result};
use crate::event::{Action, Events};
use crate::oci::{
    Descriptor, Digest, Document, ImageConfig, Index, Manifest, MediaType, Platform, Reference,
};
use crate::plan::{BaseImage, BaseLayer, LockedImage, LockedPlatform, RootTree};
use crate::registry::Client;
use crate::store::layout::Layout;
use crate::sys::blocking;
use source::Source;

/// The types of Docker's first manifests, which list no config.
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Entries of an index that do not say their platform are asked for it, up to this many.
const MAX_QUESTIONS: usize = 16;

/// What resolving a base needs.
#[derive(Debug, Clone, Copy)]
pub struct BaseContext<'a> {
    /// Fetches manifests and configs.
    pub client: &'a Client,
    /// The project's folder: paths of layouts are relative to it.
    pub project: &'a Path,
    /// Knows images that need not be asked for.
    pub pins: &'a Pins,
    /// What the images are for, in messages: `base`, or `image` where files are taken from it.
    pub role: &'static str,
    /// Is told what a tag is.
    pub events: &'a Events,
    /// Finds a base that this binary carries.
    pub builtin: fn(&str, &Platform) -> Option<BuiltinBase>,
}

/// A base that this binary carries.
///
/// Its files are ordinary layers of ours, which the planner puts below the user's; so the base
/// itself has none, and only says how a container is run.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltinBase {
    /// The image config, without layers and history.
    pub config: ImageConfig,
    /// What the layers will have put there.
    pub root: RootTree,
}

/// Finds the base of every platform. The file systems ([`BaseImage::root`]) of bases with layers
/// are left empty: see [`facts::root_tree`](super::facts::root_tree).
///
/// # Errors
///
/// [`BaseError`] for something that cannot be a base, [`LayoutError`](crate::store::layout::LayoutError)
/// for a layout, and the client's error when the registry refuses or fails.
pub async fn resolve(
    base: &Base,
    platforms: &[Platform],
    context: BaseContext<'_>,
) -> Result<BTreeMap<Platform, BaseImage>> {
    match base {
        Base::Registry(reference) => {
            let name = reference.to_string();
            let resolved = resolve_reference(reference, platforms, context).await;
            resolved.attempting(|| format!("resolve {} `{name}`", context.role))
        }
        Base::Layout { path, selector } => {
            resolve_layout(path, selector.as_deref(), platforms, context).await
        }
        Base::Scratch => Ok(each(platforms, |platform| {
            BaseImage::empty("scratch", ImageConfig::scratch(platform))
        })),
        Base::Builtin(name) => platforms
            .iter()
            .map(|platform| {
                let BuiltinBase { config, root } = (context.builtin)(name, platform)
                    .ok_or_else(|| BaseError::UnknownBuiltin { name: name.clone() })?;
                let image = BaseImage::empty(&format!("builtin:{name}"), config);
                Ok((platform.clone(), BaseImage { root, ..image }))
            })
            .collect(),
    }
}

/// Takes what is locked, and asks the registry for the rest: for platforms that are not locked, of the
/// image that is.
async fn resolve_reference(
    reference: &Reference,
    platforms: &[Platform],
    context: BaseContext<'_>,
) -> Result<BTreeMap<Platform, BaseImage>> {
    let name = reference.to_string();
    // Where it is pulled from is the machine's business: the image knows the name as it was written.
    let repository = context.client.source_of(&reference.repository)?;
    let found = Found {
        canonical_name: Some(canonical_name(reference)),
        source: Source::Registry { client: context.client, repository: repository.clone() },
        role: context.role,
        name: name.clone(),
        events: context.events,
    };
    let locked = context.pins.image(reference);
    let (mut images, missing) = found.locked_images(locked, platforms)?;
    let called = match locked {
        Some(locked) if missing.is_empty() => {
            let digest = locked.digest.short();
            let role = context.role;
            context.events.note(format!("{role} {name}: sha256:{digest}, as locked"));
            let image = LockedImage { platforms: locked_platforms(&images), ..locked.clone() };
            context.pins.note(reference, image);
            return Ok(images);
        }
        Some(locked) => {
            context
                .pins
                .miss(Missing::Platforms(reference.clone(), missing.clone()), context.events)?;
            repository.at_digest(locked.digest)
        }
        None => {
            context.pins.miss(Missing::Image(reference.clone()), context.events)?;
            Reference { repository, ..reference.clone() }
        }
    };
    let task = context.events.task(Action::Resolve, &name, None);
    let asked = async {
        let root = context.client.fetch_manifest(&called).await?;
        let media_type = root.media_type.clone();
        let (asked, read) = found.images(root.bytes, root.media_type, &missing).await?;
        images.extend(asked);
        Ok((root.digest, media_type, read))
    };
    let (digest, media_type, read) = asked.await.map_err(|error: Error| match locked {
        Some(locked) => {
            let error = error.attempting(format!("complete what is locked: {}", locked.digest));
            context.pins.explain(error, &locked.digest)
        }
        None => error,
    })?;
    let mut indexes = locked.map(|locked| locked.indexes.clone()).unwrap_or_default();
    for index in read {
        if !indexes.contains(&index) {
            indexes.push(index);
        }
    }
    let platforms = locked_platforms(&images);
    context.pins.note(reference, LockedImage { digest, media_type, indexes, platforms });
    task.finish(digest.to_string());
    Ok(images)
}

/// The images of these platforms as they are locked; nothing is known of their files.
fn locked_platforms(images: &BTreeMap<Platform, BaseImage>) -> BTreeMap<Platform, LockedPlatform> {
    let platforms = images.iter().filter_map(|(platform, image)| {
        let (manifest, config) = (image.manifest.clone()?, image.config.clone());
        Some((platform.clone(), LockedPlatform { manifest, config, facts: None }))
    });
    platforms.collect()
}

async fn resolve_layout(
    path: &str,
    selector: Option<&str>,
    platforms: &[Platform],
    context: BaseContext<'_>,
) -> Result<BTreeMap<Platform, BaseImage>> {
    let name = match selector {
        None => format!("oci:{path}"),
        Some(digest) if digest.starts_with("sha256:") => format!("oci:{path}@{digest}"),
        Some(name) => format!("oci:{path}:{name}"),
    };
    let folder = context.project.join(path);
    let layout = blocking(move || Layout::load(&folder)).await?;
    let image = layout.select(selector)?.clone();
    let found = Found {
        role: context.role,
        name,
        canonical_name: None,
        source: Source::Layout(layout),
        events: context.events,
    };
    let (bytes, media_type) = found.source.manifest(&image).await?;
    Ok(found.images(bytes, media_type, platforms).await?.0)
}

/// The name for `org.opencontainers.image.base.name`: how the same image is asked for again.
fn canonical_name(reference: &Reference) -> String {
    let Reference { repository, tag, digest } = reference;
    match (tag, digest) {
        (Some(tag), _) => repository.at_tag(tag).to_string(),
        (None, Some(digest)) => repository.at_digest(*digest).to_string(),
        (None, None) => repository.at_tag("latest").to_string(),
    }
}

fn each(
    platforms: &[Platform],
    image: impl Fn(&Platform) -> BaseImage,
) -> BTreeMap<Platform, BaseImage> {
    platforms.iter().map(|platform| (platform.clone(), image(platform))).collect()
}

/// Something that was found under the base's name.
struct Found<'a> {
    role: &'static str,
    name: String,
    canonical_name: Option<String>,
    source: Source<'a>,
    events: &'a Events,
}

impl Found<'_> {
    /// The images of platforms that are locked, and the platforms that are not.
    fn locked_images(
        &self,
        locked: Option<&LockedImage>,
        platforms: &[Platform],
    ) -> Result<(BTreeMap<Platform, BaseImage>, Vec<Platform>)> {
        let (mut images, mut missing) = (BTreeMap::new(), Vec::new());
        for platform in platforms {
            match locked.and_then(|locked| locked.platforms.get(platform)) {
                Some(LockedPlatform { manifest, config, .. }) => {
                    let image = self.base_image(manifest.clone(), config.clone())?;
                    images.insert(platform.clone(), image);
                }
                None => missing.push(platform.clone()),
            }
        }
        Ok((images, missing))
    }

    /// What messages call it.
    fn called(&self) -> String {
        format!("{} `{}`", self.role, self.name)
    }

    /// The image of every platform, from an index or from the only manifest there is; and the indexes that
    /// were read for that.
    async fn images(
        &self,
        bytes: Bytes,
        media_type: MediaType,
        platforms: &[Platform],
    ) -> Result<(BTreeMap<Platform, BaseImage>, Vec<Document<Index>>)> {
        let (mut images, mut indexes) = (BTreeMap::new(), Vec::new());
        if media_type.is_index() {
            let index = Document::parse_index(bytes, media_type)
                .map_err(|error| self.source.invalid(error))?;
            indexes.push(index.clone());
            for platform in platforms {
                let image = self.image_in_index(&index.value, platform, &mut indexes).await?;
                images.insert(platform.clone(), image);
            }
            return Ok((images, indexes));
        }
        let image = self.image(bytes, media_type).await?;
        for wanted in platforms {
            let actual = image.config.value.platform();
            if !wanted.is_served_by(&actual) {
                let (name, wanted) = (self.called(), wanted.clone());
                return Err(BaseError::OtherPlatform { name, wanted, actual }.into());
            }
            images.insert(wanted.clone(), image.clone());
        }
        Ok((images, indexes))
    }

    /// The image for a platform: an entry that says so, else one of an index inside the index,
    /// else one that does not say its platform and turns out to be for this one. Indexes inside are added
    /// to `read`.
    async fn image_in_index(
        &self,
        index: &Index,
        platform: &Platform,
        read: &mut Vec<Document<Index>>,
    ) -> Result<BaseImage> {
        let (indexes, mut entries): (Vec<_>, Vec<_>) =
            index.images().cloned().partition(|entry| entry.media_type.is_index());
        if find(&entries, platform).is_none() {
            for nested in indexes.iter().take(MAX_QUESTIONS) {
                let (bytes, media_type) = self.source.manifest(nested).await?;
                let nested = Document::parse_index(bytes, media_type)
                    .map_err(|error| self.source.invalid(error))?;
                // One level: an index inside an index inside an index serves nobody.
                let images = nested.value.images();
                entries.extend(images.filter(|entry| entry.media_type.is_manifest()).cloned());
                if read.iter().all(|known| known.descriptor.digest != nested.descriptor.digest) {
                    read.push(nested);
                }
            }
        }
        if let Some(entry) = find(&entries, platform) {
            let (bytes, media_type) = self.source.manifest(entry).await?;
            let image = self.image(bytes, media_type).await?;
            self.compare(platform, &image);
            return Ok(image);
        }
        let mut available: Vec<Platform> =
            entries.iter().filter_map(|entry| entry.platform.clone()).collect();
        let silent = entries.iter().filter(|entry| entry.platform.is_none());
        for entry in silent.take(MAX_QUESTIONS) {
            let (bytes, media_type) = self.source.manifest(entry).await?;
            let image = self.image(bytes, media_type).await?;
            if platform.is_served_by(&image.config.value.platform()) {
                return Ok(image);
            }
            available.push(image.config.value.platform());
        }
        available.dedup();
        let (name, wanted) = (self.called(), platform.clone());
        Err(BaseError::MissingPlatform { name, wanted, available }.into())
    }

    /// Warns when an index and a config disagree: runtimes believe the index.
    fn compare(&self, wanted: &Platform, image: &BaseImage) {
        let actual = image.config.value.platform();
        if (&actual.os, &actual.architecture) != (&wanted.os, &wanted.architecture) {
            let name = self.called();
            let text = format!(
                "the index of {name} says {wanted}, the config of that image says `{}`",
                actual.to_string().escape_debug()
            );
            self.events.warn("base-platform", text, None);
        }
    }

    /// Reads a manifest and its config, and makes sure that they can be a base.
    async fn image(&self, bytes: Bytes, media_type: MediaType) -> Result<BaseImage> {
        let name = || self.called();
        if !media_type.is_manifest() {
            let media_type = media_type.as_str().to_owned();
            return Err(if SCHEMA_1.contains(&media_type.as_str()) {
                BaseError::Schema1 { name: name() }.into()
            } else {
                BaseError::NotAnImage { name: name(), media_type }.into()
            });
        }
        let manifest = Document::parse_manifest(bytes, media_type)
            .map_err(|error| self.source.invalid(error))?;
        let config_type = &manifest.value.config.media_type;
        if !matches!(config_type, MediaType::OciConfig | MediaType::DockerConfig) {
            let media_type = config_type.as_str().to_owned();
            return Err(BaseError::NotAnImage { name: name(), media_type }.into());
        }
        let config = self.source.config(&manifest.value.config).await?;
        let config = Document::<ImageConfig>::parse(config, config_type.clone())
            .map_err(|error| self.source.invalid(error))?;
        self.base_image(manifest, config)
    }

    /// The base that these documents describe.
    fn base_image(
        &self,
        manifest: Document<Manifest>,
        config: Document<ImageConfig>,
    ) -> Result<BaseImage> {
        let layers = self.layers(&manifest.value, &config.value)?;
        Ok(BaseImage {
            name: self.name.clone(),
            canonical_name: self.canonical_name.clone(),
            manifest: Some(manifest),
            config,
            layers,
            root: RootTree::default(),
        })
    }

    /// Pairs the manifest's layers with the config's diff_ids.
    fn layers(&self, manifest: &Manifest, config: &ImageConfig) -> Result<Vec<BaseLayer>> {
        let name = || self.called();
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(BaseError::Misaligned { name: name(), layers, diff_ids }.into());
        }
        if layers > MAX_LAYERS {
            return Err(BaseError::TooManyLayers { name: name(), layers }.into());
        }
        let pairs = manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| {
            let layer = descriptor.digest;
            if descriptor.is_foreign() {
                return Err(BaseError::ForeignLayer { name: name(), layer }.into());
            }
            if descriptor.media_type.layer_compression().is_none() {
                let media_type = descriptor.media_type.as_str().to_owned();
                return Err(BaseError::UnknownLayer { name: name(), layer, media_type }.into());
            }
            self.source.check_layer(descriptor)?;
            let (descriptor, origin) = (descriptor.clone(), self.source.origin());
            Ok(BaseLayer { descriptor, diff_id: *diff_id, origin })
        };
        pairs.map(layer).collect()
    }
}

fn find<'a>(entries: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    entries
        .iter()
        .find(|entry| entry.platform.as_ref().is_some_and(|offered| platform.is_served_by(offered)))
}

#[cfg(test)]
mod tests;
