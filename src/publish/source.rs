//! An image that was built earlier, read from a layout to be pushed from there.
//!
//! Everything is verified before anything is sent: build untrusted, push trusted.

use std::path::Path;

use super::PublishError;
use crate::error::Result;
use crate::image::{Assembly, Image};
use crate::layer::Layer;
use crate::oci::{Descriptor, Digest, Document, History, ImageConfig, Index, Manifest};
use crate::plan::Origin;
use crate::store::layout::Layout;

/// Reads the image with this name or digest from a layout, or its only image, and hashes every
/// blob of it. Blocking.
///
/// # Errors
///
/// [`LayoutError`](crate::store::layout::LayoutError) when the layout or a blob is not what it
/// should be, [`PublishError::UnusableImage`] for an image that breaks the rules, and the store's
/// error when a file cannot be read.
pub fn read_layout(path: &Path, selector: Option<&str>) -> Result<Assembly> {
    let layout = Layout::load(path)?;
    let top = layout.select(selector)?;
    if !top.media_type.is_index() {
        return Ok(Assembly { images: vec![image(&layout, top)?], index: None });
    }
    let index: Document<Index> =
        Document::parse_index(layout.document(top)?, top.media_type.clone())
            .map_err(|source| layout.invalid(source))?;
    // All of them, attestations too: a registry wants every manifest that the index names.
    let images: Vec<Image> =
        index.value.manifests.iter().map(|entry| image(&layout, entry)).collect::<Result<_>>()?;
    if images.is_empty() {
        return Err(unusable(path, "its index is empty"));
    }
    Ok(Assembly { images, index: Some(index) })
}

fn image(layout: &Layout, entry: &Descriptor) -> Result<Image> {
    let path = layout.path();
    if !entry.media_type.is_manifest() {
        let media_type = entry.media_type.as_str().escape_debug();
        return Err(unusable(path, format!("its index lists a document of type `{media_type}`")));
    }
    let manifest = Document::parse_manifest(layout.document(entry)?, entry.media_type.clone())
        .map_err(|source| layout.invalid(source))?;
    let config = &manifest.value.config;
    let config =
        Document::<ImageConfig>::parse(layout.document(config)?, config.media_type.clone())
            .map_err(|source| layout.invalid(source))?;
    let platform = config.value.platform();
    if let Some(listed) = &entry.platform
        && !listed.is_unknown()
        && !listed.is_served_by(&platform)
    {
        let actual = platform.to_string();
        let actual = actual.escape_debug();
        return Err(unusable(path, format!("its index says {listed}, its config `{actual}`")));
    }
    let layers = layers(layout, &manifest.value, &config.value)?;
    Ok(Image { platform, config, manifest, layers })
}

fn layers(layout: &Layout, manifest: &Manifest, config: &ImageConfig) -> Result<Vec<Layer>> {
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        let reason = format!("it has {layers} layers in its manifest and {diff_ids} in its config");
        return Err(unusable(layout.path(), reason));
    }
    let mut history = config.history.iter().filter(|entry| !entry.empty_layer);
    let pairs = manifest.layers.iter().zip(&config.rootfs.diff_ids);
    let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| {
        if descriptor.is_foreign() {
            let digest = descriptor.digest;
            let reason = format!("its layer `{digest}` has `urls`: it lies somewhere else");
            return Err(unusable(layout.path(), reason));
        }
        layout.verify(descriptor)?;
        let created_by = history.next().and_then(|History { created_by, .. }| created_by.clone());
        Ok(Layer {
            name: "layer".into(),
            created_by: created_by.unwrap_or_default(),
            descriptor: descriptor.clone(),
            diff_id: *diff_id,
            origin: Origin::Layout(layout.path().to_owned()),
        })
    };
    pairs.map(layer).collect()
}

fn unusable(path: &Path, reason: impl Into<String>) -> crate::error::Error {
    PublishError::UnusableImage { path: path.to_owned(), reason: reason.into() }.into()
}
