//! The rules of the image specification, checked on the very bytes before anything is published.
//!
//! What we write keeps the rules by construction; this looks at the result all the same, since a
//! wrong image that is pushed is found out on somebody else's machine.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::assemble::entry;
use super::{Assembly, Image};
use crate::error::{Classified, ErrorKind};
use crate::oci::{
    Compression, Descriptor, Digest, Document, MAX_DOCUMENT_BYTES, MediaType, canonical_json,
};
use crate::plan::MAX_LAYERS;

/// One rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: `index`, or `manifest` or `config` with the platform.
    pub document: String,
    /// What is wrong.
    pub message: String,
}

/// Every rule that an assembly breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the image breaks rules of its specification")?;
        for Violation { document, message } in &self.0 {
            write!(formatter, "; {document}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

impl Classified for Violations {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        vec!["this is a bug in dockless, unless the base is damaged: please report it".into()]
    }
}

/// Checks every document of an assembly, and that they fit together.
///
/// # Errors
/// Everything that is wrong, in the order of the documents.
pub fn validate(assembly: &Assembly) -> Result<(), Violations> {
    let mut check = Check::default();
    for image in &assembly.images {
        check.image(image);
    }
    check.index(assembly);
    if check.found.is_empty() { Ok(()) } else { Err(Violations(check.found)) }
}

#[derive(Default)]
struct Check {
    found: Vec<Violation>,
}

impl Check {
    /// Notes the message when the rule does not hold.
    fn rule(&mut self, document: &str, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.found.push(Violation { document: document.to_owned(), message: message() });
        }
    }

    fn image(&mut self, image: &Image) {
        self.manifest(image);
        self.config(image);
    }

    /// image-spec, manifest.md.
    fn manifest(&mut self, image: &Image) {
        let at = &format!("manifest {}", image.platform);
        let manifest = &image.manifest.value;
        self.document(at, &image.manifest, &MediaType::OciManifest);
        self.declared(
            at,
            manifest.schema_version,
            manifest.media_type.as_ref(),
            &MediaType::OciManifest,
        );
        self.rule(at, manifest.config == image.config.descriptor, || {
            "`config` is not the descriptor of the image config".into()
        });
        let listed = image.layers.iter().map(|layer| &layer.descriptor);
        self.rule(at, manifest.layers.iter().eq(listed), || {
            "`layers` are not the descriptors of the image's layers".into()
        });
        self.rule(at, manifest.layers.len() <= MAX_LAYERS, || {
            format!("{} layers are more than can be mounted", manifest.layers.len())
        });
        for descriptor in std::iter::once(&manifest.config).chain(&manifest.layers) {
            self.annotations(at, descriptor.annotations.keys());
        }
        for layer in &manifest.layers {
            self.layer(at, layer);
        }
        self.annotations(at, manifest.annotations.keys());
    }

    /// image-spec, layer.md and descriptor.md.
    fn layer(&mut self, at: &str, layer: &Descriptor) {
        let is_oci = layer.media_type.layer_compression().is_some()
            && layer.media_type.to_oci() == layer.media_type;
        self.rule(at, is_oci, || {
            format!("the layer {} has the type `{}`", layer.digest, layer.media_type)
        });
        self.rule(at, !layer.is_foreign(), || format!("the layer {} has `urls`", layer.digest));
        self.rule(at, layer.size > 0, || format!("the layer {} is empty", layer.digest));
    }

    /// image-spec, config.md.
    fn config(&mut self, image: &Image) {
        let at = &format!("config {}", image.platform);
        let config = &image.config.value;
        self.document(at, &image.config, &MediaType::OciConfig);
        self.rule(at, !config.os.is_empty(), || "`os` is missing".into());
        self.rule(at, !config.architecture.is_empty(), || "`architecture` is missing".into());
        self.rule(at, image.platform.is_served_by(&config.platform()), || {
            format!("it declares the platform `{}`", config.platform())
        });
        self.rule(at, config.rootfs.kind == "layers", || {
            format!("`rootfs.type` is `{}`, not `layers`", config.rootfs.kind.escape_debug())
        });
        let diff_ids = image.layers.iter().map(|layer| &layer.diff_id);
        self.rule(at, config.rootfs.diff_ids.iter().eq(diff_ids), || {
            "`rootfs.diff_ids` are not those of the image's layers".into()
        });
        let told = config.history.iter().filter(|entry| !entry.empty_layer).count();
        self.rule(at, told == image.layers.len(), || {
            format!("`history` tells of {told} layers, but there are {}", image.layers.len())
        });
        for layer in &image.layers {
            let is_plain =
                layer.descriptor.media_type.layer_compression() == Some(Compression::None);
            self.rule(at, !is_plain || layer.diff_id == layer.descriptor.digest, || {
                format!("the uncompressed layer {} has another diff_id", layer.descriptor.digest)
            });
        }
        // Times in the history may be the base's: a strange one there harms nobody.
        if let Some(time) = &config.created {
            self.rule(at, time.parse::<jiff::Timestamp>().is_ok(), || {
                format!("`{}` is no time in RFC 3339", time.escape_debug())
            });
        }
    }

    /// image-spec, image-index.md.
    fn index(&mut self, assembly: &Assembly) {
        let at = "index";
        let Some(document) = &assembly.index else {
            self.rule(at, assembly.images.len() == 1, || {
                format!("{} images and no index", assembly.images.len())
            });
            return;
        };
        let index = &document.value;
        self.document(at, document, &MediaType::OciIndex);
        self.declared(at, index.schema_version, index.media_type.as_ref(), &MediaType::OciIndex);
        self.rule(
            at,
            index.manifests.iter().cloned().eq(assembly.images.iter().map(entry)),
            || "`manifests` are not the images' descriptors with their platforms".into(),
        );
        let mut platforms = BTreeSet::new();
        for platform in index.manifests.iter().filter_map(|manifest| manifest.platform.as_ref()) {
            self.rule(at, platforms.insert(platform.normalised()), || {
                format!("the platform `{platform}` is there twice")
            });
        }
        self.annotations(at, index.annotations.keys());
    }

    /// What is true of every document: its bytes are what the descriptor says and what was meant.
    fn document<T: serde::Serialize>(
        &mut self,
        at: &str,
        document: &Document<T>,
        media_type: &MediaType,
    ) {
        let Document { value, bytes, descriptor } = document;
        self.rule(at, descriptor.media_type == *media_type, || {
            format!("its descriptor says `{}`", descriptor.media_type)
        });
        self.rule(at, descriptor.digest == Digest::of(bytes), || {
            format!("its bytes do not have the digest {}", descriptor.digest)
        });
        let size = bytes.len() as u64;
        self.rule(at, descriptor.size == size, || {
            format!("it has {size} bytes, not {}", descriptor.size)
        });
        self.rule(at, size <= MAX_DOCUMENT_BYTES, || {
            format!("it has {size} bytes: registries take {MAX_DOCUMENT_BYTES}")
        });
        let is_meant = serde_json::from_slice::<Value>(bytes)
            .is_ok_and(|found| canonical_json(&found) == canonical_json(value));
        self.rule(at, is_meant, || "its bytes do not say what was meant".into());
    }

    fn declared(
        &mut self,
        at: &str,
        schema_version: u32,
        found: Option<&MediaType>,
        media_type: &MediaType,
    ) {
        self.rule(at, schema_version == 2, || {
            format!("`schemaVersion` is {schema_version}, not 2")
        });
        self.rule(at, found == Some(media_type), || format!("`mediaType` is not `{media_type}`"));
    }

    fn annotations<'a>(&mut self, at: &str, mut names: impl Iterator<Item = &'a String>) {
        self.rule(at, names.all(|name| !name.is_empty()), || "an annotation has no name".into());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::assemble::tests::assembly;
    use super::*;

    /// Writes a document again after its value was changed.
    fn rewrite<T: serde::Serialize + Clone>(document: &mut Document<T>) {
        let media_type = document.descriptor.media_type.clone();
        *document = Document::write(document.value.clone(), media_type);
    }

    /// An edit that breaks one rule.
    type Break = fn(&mut Assembly);

    #[test]
    fn what_we_assemble_keeps_every_rule() {
        assert_eq!(validate(&assembly()), Ok(()));
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table with one row per rule")]
    fn every_broken_rule_is_found() {
        // Each edit changes the first image or the index, and writes again only what it must: what
        // else no longer fits is found as well.
        let table: &[(Break, &[&str])] = &[
            (
                |assembly| assembly.images[0].manifest.bytes = Bytes::from_static(b"{}"),
                &["do not have the digest", "it has 2 bytes, not", "do not say what was meant"],
            ),
            (
                |assembly| {
                    assembly.images[0].manifest.descriptor.media_type = MediaType::DockerManifest;
                },
                &[
                    "its descriptor says `application/vnd.docker.distribution.manifest.v2+json`",
                    "`manifests`",
                ],
            ),
            (
                |assembly| {
                    let manifest = &mut assembly.images[0].manifest;
                    manifest.value.media_type = None;
                    manifest.value.schema_version = 1;
                    rewrite(manifest);
                },
                &["`schemaVersion` is 1, not 2", "`mediaType` is not", "`manifests`"],
            ),
            (
                |assembly| {
                    let manifest = &mut assembly.images[0].manifest;
                    manifest.value.config.size += 1;
                    rewrite(manifest);
                },
                &["`config` is not the descriptor", "`manifests`"],
            ),
            (
                |assembly| {
                    let manifest = &mut assembly.images[0].manifest;
                    manifest.value.layers.pop();
                    rewrite(manifest);
                },
                &["`layers` are not the descriptors", "`manifests`"],
            ),
            (
                |assembly| {
                    let manifest = &mut assembly.images[0].manifest;
                    manifest.value.annotations.insert(String::new(), String::new());
                    rewrite(manifest);
                },
                &["an annotation has no name", "`manifests`"],
            ),
            (
                |assembly| {
                    let image = &mut assembly.images[0];
                    image.layers[0].descriptor.media_type = MediaType::DockerLayerGzip;
                    image.layers[0].descriptor.size = 0;
                    image.manifest.value.layers[0] = image.layers[0].descriptor.clone();
                    rewrite(&mut image.manifest);
                },
                &["has the type `application/vnd.docker", "is empty", "`manifests`"],
            ),
            (
                |assembly| {
                    let image = &mut assembly.images[0];
                    image.layers[0].descriptor.media_type = MediaType::OciLayer;
                    image.manifest.value.layers[0] = image.layers[0].descriptor.clone();
                    rewrite(&mut image.manifest);
                },
                &["has another diff_id", "`manifests`"],
            ),
            (
                |assembly| {
                    let config = &mut assembly.images[0].config.value;
                    config.os.clear();
                    config.architecture.clear();
                    config.rootfs.kind.clear();
                    config.rootfs.diff_ids.pop();
                    config.history.pop();
                    config.created = Some("yesterday".into());
                    rewrite(&mut assembly.images[0].config);
                },
                &[
                    "`config` is not the descriptor",
                    "`os` is missing",
                    "`architecture` is missing",
                    "it declares the platform `/`",
                    "`rootfs.type` is ``, not `layers`",
                    "`rootfs.diff_ids` are not those",
                    "`history` tells of 1 layers, but there are 2",
                    "`yesterday` is no time in RFC 3339",
                ],
            ),
            (
                |assembly| {
                    let index = assembly.index.as_mut().unwrap();
                    index.value.manifests[0].platform = index.value.manifests[1].platform.clone();
                    rewrite(index);
                },
                &["`manifests` are not", "the platform `linux/amd64` is there twice"],
            ),
            (|assembly| assembly.index = None, &["2 images and no index"]),
        ];
        for (number, (edit, expected)) in table.iter().enumerate() {
            let mut assembly = assembly();
            edit(&mut assembly);
            let Err(Violations(found)) = validate(&assembly) else {
                panic!("nothing is found after edit {number}")
            };
            let messages: Vec<_> = found.iter().map(|violation| &violation.message).collect();
            assert_eq!(messages.len(), expected.len(), "{messages:?}");
            for (message, expected) in messages.iter().zip(*expected) {
                assert!(message.contains(expected), "`{message}` without `{expected}`");
            }
        }
    }

    #[test]
    fn violations_name_their_document() {
        let mut assembly = assembly();
        assembly.images[0].config.value.created = None;
        assert_eq!(
            validate(&assembly).unwrap_err().to_string(),
            "the image breaks rules of its specification; config linux/arm64: its bytes do not say \
             what was meant"
        );
    }
}
