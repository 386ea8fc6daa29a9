//! Puts an image together from a plan and its finished layers.

use std::collections::BTreeMap;

use super::{Assembly, Image, annotate, config};
use crate::error::{Classified, ErrorKind};
use crate::layer::Layer;
use crate::oci::{Descriptor, Digest, Document, Index, Manifest, MediaType, Platform};
use crate::plan::{BaseImage, BaseLayer, ImagePlan};

/// Why no image can be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// A layer of the base lies on hosts of its own.
    #[error("the layer {digest} of the base `{}` may not be distributed", base.escape_debug())]
    ForeignLayer {
        /// The base as the user wrote it.
        base: String,
        /// The layer.
        digest: Digest,
    },
    /// A layer of the base is nothing that runtimes unpack.
    #[error(
        "the layer {digest} of the base `{}` has the unknown type `{}`",
        base.escape_debug(),
        media_type.as_str().escape_debug()
    )]
    UnknownLayer {
        /// The base as the user wrote it.
        base: String,
        /// The layer.
        digest: Digest,
        /// What it says it is.
        media_type: MediaType,
    },
    /// The base's config tells of other layers than its manifest.
    #[error(
        "the base `{}` contradicts itself: its manifest has {layers} layers, its config {diff_ids} \
         diff_ids",
        base.escape_debug()
    )]
    Layers {
        /// The base as the user wrote it.
        base: String,
        /// In its manifest.
        layers: usize,
        /// In its config.
        diff_ids: usize,
    },
}

impl Classified for AssembleError {
    fn kind(&self) -> ErrorKind {
        // By now layers may be on their way to their destinations.
        ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        vec!["choose another `base`, or build it again".into()]
    }
}

/// Assembles the image of one platform. `layers` are the plan's layers, finished, in their order;
/// `writer_version` names the rules by which they were written.
///
/// Docker's schema-2 types become OCI types over the same blobs.
///
/// # Errors
/// When the base has layers that cannot be passed on, or contradicts itself.
pub fn assemble(
    plan: &ImagePlan,
    layers: &[Layer],
    writer_version: &str,
) -> Result<Image, AssembleError> {
    let base = &plan.base;
    let told = base.config.value.rootfs.diff_ids.len();
    if told != base.layers.len() {
        return Err(AssembleError::Layers {
            base: base.name.clone(),
            layers: base.layers.len(),
            diff_ids: told,
        });
    }
    let diff_ids: Vec<_> = base.layers.iter().map(|layer| layer.diff_id).collect();
    let edited =
        config::edit(&base.config.value, &diff_ids, &plan.platform, &plan.settings, layers);
    let mut all = base_layers(base)?;
    all.extend_from_slice(layers);

    let config = Document::write(edited, MediaType::OciConfig);
    let descriptors = all.iter().map(|layer| layer.descriptor.clone()).collect();
    let manifest = Manifest {
        annotations: annotate::of_manifest(
            &plan.settings.annotations,
            writer_version,
            base.layers.len(),
        ),
        ..Manifest::new(config.descriptor.clone(), descriptors)
    };
    Ok(Image {
        platform: plan.platform.clone(),
        config,
        manifest: Document::write(manifest, MediaType::OciManifest),
        layers: all,
    })
}

/// The base's layers as layers of an image on it, lowest first. How they came about is told by the
/// base's own history, which stays as it is.
///
/// # Errors
/// When a layer cannot be passed on.
pub fn base_layers(base: &BaseImage) -> Result<Vec<Layer>, AssembleError> {
    let layers = base.layers.iter().enumerate();
    layers
        .map(|(number, layer)| {
            Ok(Layer {
                name: format!("base layer {}", number + 1),
                created_by: String::new(),
                descriptor: passed_on(base, layer)?,
                diff_id: layer.diff_id,
                origin: layer.origin.clone(),
            })
        })
        .collect()
}

fn passed_on(base: &BaseImage, layer: &BaseLayer) -> Result<Descriptor, AssembleError> {
    let digest = layer.descriptor.digest;
    let media_type = &layer.descriptor.media_type;
    if layer.descriptor.is_foreign() || is_nondistributable(media_type) {
        return Err(AssembleError::ForeignLayer { base: base.name.clone(), digest });
    }
    if media_type.layer_compression().is_none() {
        let media_type = media_type.clone();
        return Err(AssembleError::UnknownLayer { base: base.name.clone(), digest, media_type });
    }
    Ok(Descriptor { media_type: media_type.to_oci(), ..layer.descriptor.clone() })
}

fn is_nondistributable(media_type: &MediaType) -> bool {
    let name = media_type.as_str();
    name.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || name.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// Joins the images of several platforms in an index, in their order; one image needs none.
///
/// The index is annotated with what its manifests agree on, and with `annotations`.
pub fn index(images: Vec<Image>, annotations: BTreeMap<String, String>) -> Assembly {
    if images.len() < 2 {
        return Assembly { images, index: None };
    }
    let index = Index {
        annotations: annotate::of_index(&images, annotations),
        ..Index::new(images.iter().map(entry).collect())
    };
    Assembly { index: Some(Document::write(index, MediaType::OciIndex)), images }
}

/// The manifest's descriptor with its platform; `os.version` comes from the base (Windows).
pub(super) fn entry(image: &Image) -> Descriptor {
    let platform =
        Platform { os_version: image.config.value.os_version.clone(), ..image.platform.clone() };
    Descriptor { platform: Some(platform), ..image.manifest.descriptor.clone() }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::{ImageSettings, Origin, RootTree};

    const DOCKER_CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},
        "rootfs":{"type":"layers","diff_ids":["sha256:f0e4c2f76c58916ec258f246851bea091d14d4247a2fc3e18694461b1816e13b"]}}"#;

    /// A Docker schema-2 base with one layer, whose tar is `asdf`.
    pub(in crate::image) fn plan(platform: &str) -> ImagePlan {
        let config = Bytes::from_static(DOCKER_CONFIG.as_bytes());
        ImagePlan {
            platform: platform.parse().unwrap(),
            base: BaseImage {
                name: "python:3.12".into(),
                canonical_name: Some("docker.io/library/python:3.12".into()),
                manifest: None,
                config: Document::parse(config, MediaType::DockerConfig).unwrap(),
                layers: vec![BaseLayer {
                    descriptor: Descriptor::of(MediaType::DockerLayerGzip, b"base blob"),
                    diff_id: Digest::of(b"asdf"),
                    origin: Origin::Store,
                }],
                root: RootTree::default(),
            },
            layers: Vec::new(),
            settings: ImageSettings {
                labels: [("title".to_owned(), "agent".to_owned())].into(),
                annotations: [
                    ("org.opencontainers.image.base.digest".to_owned(), format!("of {platform}")),
                    ("org.opencontainers.image.base.name".to_owned(), "python".to_owned()),
                    ("dev.dockless.writer-version".to_owned(), "forged".to_owned()),
                ]
                .into(),
                created: "1970-01-01T00:00:00Z".into(),
                ..ImageSettings::default()
            },
        }
    }

    pub(in crate::image) fn layer() -> Layer {
        Layer {
            name: "files src → /app".into(),
            created_by: "dockless: files src → /app".into(),
            descriptor: Descriptor::of(MediaType::OciLayerGzip, b"our blob"),
            diff_id: Digest::of(b"our tar"),
            origin: Origin::Store,
        }
    }

    pub(in crate::image) fn assembly() -> Assembly {
        let images = ["linux/arm64", "linux/amd64"]
            .map(|platform| assemble(&plan(platform), &[layer()], "1").unwrap());
        index(images.to_vec(), [("own".to_owned(), "x".to_owned())].into())
    }

    fn json_of(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_docker_base_becomes_an_oci_image_over_the_same_blobs() {
        let image = assemble(&plan("linux/amd64"), &[layer()], "1").unwrap();
        assert_eq!(
            json_of(&image.manifest.bytes),
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": Digest::of(&image.config.bytes),
                    "size": image.config.bytes.len()
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": Digest::of(b"base blob"), "size": 9
                    },
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": Digest::of(b"our blob"), "size": 8
                    }
                ],
                "annotations": {
                    "org.opencontainers.image.base.digest": "of linux/amd64",
                    "org.opencontainers.image.base.name": "python",
                    "dev.dockless.base-layers": "1",
                    "dev.dockless.writer-version": "1"
                }
            })
        );
        assert_eq!(
            json_of(&image.config.bytes),
            json!({
                "created": "1970-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
                "config": {"Cmd": ["sh"], "Labels": {"title": "agent"}},
                "rootfs": {
                    "type": "layers", "diff_ids": [Digest::of(b"asdf"), Digest::of(b"our tar")]
                },
                "history": [
                    {"created_by": "unknown: the base image's history does not tell"},
                    {
                        "created": "1970-01-01T00:00:00Z",
                        "created_by": "dockless: files src → /app"
                    }
                ]
            })
        );
        let names: Vec<_> = image.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["base layer 1", "files src → /app"]);
    }

    #[test]
    fn bytes_never_change_without_a_reason() {
        let image = assemble(&plan("linux/amd64"), &[layer()], "1").unwrap();
        assert_eq!(
            image.manifest.descriptor.digest.to_string(),
            "sha256:bf2a271abf7db42e8dcba0d3325aa2551e048761d67fbc067d1d2140a89cac0d",
            "the same inputs give another digest: every user's image changes"
        );
    }

    #[test]
    fn several_platforms_share_an_index() {
        let assembly = assembly();
        let [arm64, amd64] = &assembly.images[..] else { panic!("{assembly:?}") };
        let index = assembly.index.as_ref().unwrap();
        let manifest = |image: &Image, architecture: &str| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": image.manifest.descriptor.digest,
                "size": image.manifest.bytes.len(),
                "platform": {"os": "linux", "architecture": architecture}
            })
        };
        assert_eq!(
            json_of(&index.bytes),
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [manifest(arm64, "arm64"), manifest(amd64, "amd64")],
                "annotations": {
                    "org.opencontainers.image.base.name": "python",
                    "dev.dockless.writer-version": "1",
                    "own": "x"
                }
            })
        );
        assert_eq!(assembly.descriptor(), &index.descriptor);
    }

    #[test]
    fn one_image_needs_no_index() {
        let image = assemble(&plan("linux/amd64"), &[layer()], "1").unwrap();
        let assembly = index(vec![image.clone()], BTreeMap::new());
        assert_eq!(assembly.index, None);
        assert_eq!(assembly.descriptor(), &image.manifest.descriptor);
    }

    #[test]
    fn layers_that_cannot_be_passed_on_are_refused() {
        let digest = Digest::of(b"base blob");
        let name = || "python:3.12".to_owned();
        let with_type = |name: &str| {
            let mut plan = plan("linux/amd64");
            plan.base.layers[0].descriptor.media_type = MediaType::parse(name);
            plan
        };
        let mut with_urls = plan("linux/amd64");
        with_urls.base.layers[0].descriptor.other.insert("urls".into(), json!(["https://x"]));
        let mut without_layer = plan("linux/amd64");
        without_layer.base.layers.clear();
        let foreign = || AssembleError::ForeignLayer { base: name(), digest };
        for (plan, expected) in [
            (with_urls, foreign()),
            (with_type("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), foreign()),
            (with_type("application/vnd.oci.image.layer.nondistributable.v1.tar"), foreign()),
            (
                with_type("text/plain"),
                AssembleError::UnknownLayer {
                    base: name(),
                    digest,
                    media_type: MediaType::Other("text/plain".into()),
                },
            ),
            (without_layer, AssembleError::Layers { base: name(), layers: 0, diff_ids: 1 }),
        ] {
            assert_eq!(assemble(&plan, &[layer()], "1"), Err(expected));
        }
    }
}
