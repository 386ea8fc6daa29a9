//! Layers of an image that was pushed before: what has the same content need not be packed again.
//!
//! The diff_id tells that the content is the same. That the blob is the one that packing would give
//! follows from the writer's version, which the manifest names, and from the layer being one of ours and
//! not the base's. An image that lies about it gives one that runtimes refuse, since they check the
//! diff_id when they unpack, or whose layers are compressed otherwise, which `verify` finds. What it says
//! of a blob's size is checked by whoever takes it over.

use std::collections::BTreeMap;

use super::compress::{media_type, writer_version};
use super::{BASE_LAYERS_ANNOTATION, WRITER_VERSION_ANNOTATION};
use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, MediaType, Reference};
use crate::plan::{LayerCompression, MAX_LAYERS, Origin};

/// The layers of earlier images, by what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reuse {
    compression: LayerCompression,
    layers: BTreeMap<Digest, Reusable>,
}

/// A layer of an earlier image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reusable {
    /// The blob, as the image says.
    pub descriptor: Descriptor,
    /// The image.
    pub image: Reference,
}

/// Why nothing of an image can be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Another tool made it.
    #[error("it was not built by dockless")]
    Foreign,
    /// Its layers would be other ones today.
    #[error("its layers were written as `{}`, not as `{wanted}`", found.escape_debug())]
    OtherWriter {
        /// What its manifest says.
        found: String,
        /// What layers are written as now.
        wanted: &'static str,
    },
    /// No runtime could mount it.
    #[error("it has {layers} layers, more than {MAX_LAYERS}")]
    TooManyLayers {
        /// In the manifest.
        layers: usize,
    },
    /// Nothing tells which layer holds what.
    #[error("its manifest has {layers} layers, its config {diff_ids} diff_ids")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the config.
        diff_ids: usize,
    },
    /// Nothing tells which layers are ours.
    #[error("its manifest does not say how many of its {layers} layers are the base's")]
    BaseLayers {
        /// In the manifest.
        layers: usize,
    },
    /// It has layers of another kind than its writer makes.
    #[error("its layer {digest} is of the type `{}`", media_type.as_str().escape_debug())]
    MediaType {
        /// The layer.
        digest: Digest,
        /// What it says it is.
        media_type: MediaType,
    },
}

impl Reuse {
    /// Nothing yet, for layers that would be compressed so.
    pub fn new(compression: LayerCompression) -> Self {
        Self { compression, layers: BTreeMap::new() }
    }

    /// Adds the layers of an image in a registry, less those of its base. Answers how many there are.
    ///
    /// # Errors
    ///
    /// An [`Unfit`]; nothing was added.
    pub fn add(
        &mut self,
        manifest: &Manifest,
        config: &ImageConfig,
        image: &Reference,
    ) -> Result<usize, Unfit> {
        let wanted = writer_version(self.compression);
        match manifest.annotations.get(WRITER_VERSION_ANNOTATION) {
            None => return Err(Unfit::Foreign),
            Some(found) if found != wanted => {
                return Err(Unfit::OtherWriter { found: found.clone(), wanted });
            }
            Some(_) => {}
        }
        let (layers, diff_ids) = (&manifest.layers, &config.rootfs.diff_ids);
        if layers.len() != diff_ids.len() {
            return Err(Unfit::Layers { layers: layers.len(), diff_ids: diff_ids.len() });
        }
        if layers.len() > MAX_LAYERS {
            return Err(Unfit::TooManyLayers { layers: layers.len() });
        }
        let of_base = manifest.annotations.get(BASE_LAYERS_ANNOTATION);
        let of_base = of_base
            .and_then(|count| count.parse::<usize>().ok())
            .filter(|count| *count <= layers.len())
            .ok_or(Unfit::BaseLayers { layers: layers.len() })?;
        let ours = &layers[of_base..];
        let media_type = media_type(self.compression);
        if let Some(other) = ours.iter().find(|layer| layer.media_type != media_type) {
            let (digest, media_type) = (other.digest, other.media_type.clone());
            return Err(Unfit::MediaType { digest, media_type });
        }
        for (layer, diff_id) in ours.iter().zip(&diff_ids[of_base..]) {
            // What else the descriptor says is not ours to repeat.
            let blob = Descriptor::new(layer.media_type.clone(), layer.digest, layer.size);
            let reusable = || Reusable { descriptor: blob, image: image.clone() };
            self.layers.entry(*diff_id).or_insert_with(reusable);
        }
        Ok(ours.len())
    }

    /// The layer with this content.
    pub fn find(&self, diff_id: &Digest) -> Option<&Reusable> {
        self.layers.get(diff_id)
    }

    /// All layers.
    pub fn layers(&self) -> impl Iterator<Item = &Reusable> {
        self.layers.values()
    }

    /// Whether there is nothing to take over.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

impl Reusable {
    /// Where the blob can be fetched.
    pub fn origin(&self) -> Origin {
        Origin::Registry(self.image.repository.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A base layer and one of ours.
    fn image() -> (Manifest, ImageConfig) {
        let blob = |bytes: &[u8]| Descriptor::of(MediaType::OciLayerGzip, bytes);
        let config = Descriptor::of(MediaType::OciConfig, b"{}");
        let mut manifest = Manifest::new(config, vec![blob(b"base"), blob(b"ours")]);
        manifest.annotations = [
            (
                WRITER_VERSION_ANNOTATION.to_owned(),
                writer_version(LayerCompression::Gzip).to_owned(),
            ),
            (BASE_LAYERS_ANNOTATION.to_owned(), "1".to_owned()),
        ]
        .into();
        let mut config = ImageConfig::scratch(&"linux/amd64".parse().unwrap());
        config.rootfs.diff_ids = vec![Digest::of(b"base tar"), Digest::of(b"our tar")];
        (manifest, config)
    }

    fn reference() -> Reference {
        "r.io/a/b:v1".parse().unwrap()
    }

    #[test]
    fn our_layers_are_found_by_what_they_hold() {
        let (mut manifest, config) = image();
        manifest.layers[1].annotations.insert("a".into(), "b".into());
        manifest.layers[1].other.insert("urls".into(), json!(["https://x"]));
        let mut reuse = Reuse::new(LayerCompression::Gzip);
        assert!(reuse.is_empty());
        assert_eq!(reuse.add(&manifest, &config, &reference()), Ok(1));
        let blob = Descriptor::of(MediaType::OciLayerGzip, b"ours");
        let found = Reusable { descriptor: blob, image: reference() };
        assert_eq!(reuse.find(&Digest::of(b"our tar")), Some(&found));
        assert_eq!(found.origin(), Origin::Registry("r.io/a/b".parse().unwrap()));
        assert_eq!(reuse.find(&Digest::of(b"base tar")), None, "the base's layers are not ours");
    }

    #[test]
    fn an_image_of_another_compression_is_refused() {
        let (manifest, config) = image();
        let error =
            Reuse::new(LayerCompression::Zstd).add(&manifest, &config, &reference()).unwrap_err();
        let [gzip, zstd] = [LayerCompression::Gzip, LayerCompression::Zstd].map(writer_version);
        assert_eq!(
            error.to_string(),
            format!("its layers were written as `{gzip}`, not as `{zstd}`")
        );
    }

    #[test]
    fn an_image_that_does_not_say_enough_is_refused() {
        let refused = |change: &dyn Fn(&mut Manifest, &mut ImageConfig)| {
            let (mut manifest, mut config) = image();
            change(&mut manifest, &mut config);
            let mut reuse = Reuse::new(LayerCompression::Gzip);
            let error = reuse.add(&manifest, &config, &reference()).unwrap_err();
            assert!(reuse.is_empty());
            error.to_string()
        };
        let (digest, written) = (Digest::of(b"ours"), writer_version(LayerCompression::Gzip));
        let set = |name: &'static str, value: &'static str| {
            move |manifest: &mut Manifest, _: &mut ImageConfig| {
                manifest.annotations.insert(name.into(), value.into());
            }
        };
        assert_eq!(
            refused(&|manifest, _| manifest.annotations.clear()),
            "it was not built by dockless"
        );
        assert_eq!(
            refused(&set(WRITER_VERSION_ANNOTATION, "tar0")),
            format!("its layers were written as `tar0`, not as `{written}`")
        );
        assert_eq!(
            refused(&|_, config| config.rootfs.diff_ids.truncate(1)),
            "its manifest has 2 layers, its config 1 diff_ids"
        );
        assert_eq!(
            refused(&|manifest, config| {
                manifest.layers.resize(128, manifest.layers[0].clone());
                config.rootfs.diff_ids.resize(128, digest);
            }),
            "it has 128 layers, more than 127"
        );
        let no_count = "its manifest does not say how many of its 2 layers are the base's";
        assert_eq!(refused(&set(BASE_LAYERS_ANNOTATION, "3")), no_count);
        assert_eq!(refused(&set(BASE_LAYERS_ANNOTATION, "-1")), no_count);
        assert_eq!(
            refused(&|manifest, _| drop(manifest.annotations.remove(BASE_LAYERS_ANNOTATION))),
            no_count
        );
        assert_eq!(
            refused(&|manifest, _| manifest.layers[1].media_type = MediaType::OciLayer),
            format!("its layer {digest} is of the type `application/vnd.oci.image.layer.v1.tar`")
        );
    }
}
