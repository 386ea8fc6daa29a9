//! The layers of an image that was made, and where each came from: for the document of `--json`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::image::{Assembly, Image};
use crate::layer::Layer;
use crate::oci::{Digest, Platform, Reference};

/// A layer of an image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeLayer {
    /// For people: `files src → /app`.
    pub name: String,
    /// The digest of the blob.
    pub digest: Digest,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The size of the blob, in bytes.
    pub size: u64,
    /// Where it came from.
    pub origin: LayerOrigin,
    /// The platforms whose image has it.
    pub platforms: Vec<Platform>,
}

/// Where a layer of an image came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerOrigin {
    /// It is the base's.
    Base,
    /// It was packed by this command.
    Packed,
    /// This machine had packed it before.
    Unchanged,
    /// It stands in this earlier image.
    TakenOver(Reference),
    /// It is in the layout that is pushed.
    Layout,
}

/// How layers came about, by their diff_ids; noted while they are made.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(Arc<Mutex<BTreeMap<Digest, LayerOrigin>>>);

impl MadeLayer {
    /// As it stands in the document of `--json`.
    pub fn document(&self) -> Value {
        let Self { name, digest, diff_id, size, origin, platforms } = self;
        let from = match origin {
            LayerOrigin::TakenOver(reference) => Some(reference.to_string()),
            _ => None,
        };
        json!({
            "name": name,
            "digest": digest,
            "diff_id": diff_id,
            "size": size,
            "origin": origin.name(),
            "from": from,
            "platforms": platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

impl LayerOrigin {
    /// The word in JSON.
    fn name(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Packed => "packed",
            Self::Unchanged => "unchanged",
            Self::TakenOver(_) => "taken_over",
            Self::Layout => "layout",
        }
    }
}

impl Origins {
    /// Notes how a layer came about.
    pub(super) fn note(&self, layer: &Layer, origin: LayerOrigin) {
        let mut origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        origins.insert(layer.diff_id, origin);
    }

    /// How it came about.
    pub(super) fn of(&self, layer: &Layer) -> LayerOrigin {
        let origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        origins.get(&layer.diff_id).cloned().unwrap_or(LayerOrigin::Packed)
    }
}

/// The layers of all platforms, each once, lowest first; `origin` is asked with the place in the image.
pub(super) fn list(
    assembly: &Assembly,
    origin: impl Fn(&Image, usize, &Layer) -> LayerOrigin,
) -> Vec<MadeLayer> {
    let mut made: Vec<MadeLayer> = Vec::new();
    for image in &assembly.images {
        for (place, layer) in image.layers.iter().enumerate() {
            let digest = layer.descriptor.digest;
            match made.iter_mut().find(|known| known.digest == digest) {
                Some(known) if known.platforms.contains(&image.platform) => {}
                Some(known) => known.platforms.push(image.platform.clone()),
                None => made.push(MadeLayer {
                    name: layer.name.clone(),
                    digest,
                    diff_id: layer.diff_id,
                    size: layer.descriptor.size,
                    origin: origin(image, place, layer),
                    platforms: vec![image.platform.clone()],
                }),
            }
        }
    }
    made
}
