//! Image manifests (image-spec, manifest.md).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::null_as_empty;
use super::document::Identity;
use super::{Descriptor, Document, InvalidDocument, MediaType};

/// The config and the layers of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// REQUIRED: always 2.
    pub schema_version: u32,
    /// Always written by us; older documents from outside may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// REQUIRED: the image config.
    pub config: Descriptor,
    /// REQUIRED: the layers, base first.
    pub layers: Vec<Descriptor>,
    /// OPTIONAL: the manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// OPTIONAL: annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Everything else, kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Manifest {
    /// An OCI manifest of ours.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OciManifest),
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }
}

impl Document<Manifest> {
    /// Parses a manifest of the declared type, and refuses one that could also be read as an index
    /// (CVE-2021-41190).
    pub fn parse_manifest(bytes: Bytes, media_type: MediaType) -> Result<Self, InvalidDocument> {
        let document = Self::parse(bytes, media_type)?;
        let Manifest { schema_version, media_type, other, .. } = &document.value;
        document.check_identity(&Identity {
            schema_version: *schema_version,
            media_type: media_type.as_ref(),
            contradiction: other.contains_key("manifests").then_some("`layers` and `manifests`"),
        })?;
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document<Manifest>, InvalidDocument> {
        Document::parse_manifest(Bytes::copy_from_slice(text.as_bytes()), MediaType::OciManifest)
    }

    fn descriptor() -> String {
        serde_json::to_string(&Descriptor::of(MediaType::OciConfig, b"{}")).unwrap()
    }

    #[test]
    fn keeps_the_bytes_it_was_read_from() {
        let text =
            format!("{{ \"schemaVersion\": 2, \"config\": {}, \"layers\": [] }}", descriptor());
        let document = parse(&text).unwrap();
        assert_eq!(document.bytes, text.as_bytes());
        assert_eq!(document.descriptor.digest, super::super::Digest::of(text.as_bytes()));
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        let config = descriptor();
        for (text, reason) in [
            (
                format!(r#"{{"schemaVersion":1,"config":{config},"layers":[]}}"#),
                "`schemaVersion` is 1",
            ),
            (
                format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#),
                "both `layers` and `manifests`",
            ),
            (
                format!(
                    r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[]}}"#,
                    MediaType::OciIndex
                ),
                "its `mediaType` says",
            ),
        ] {
            let message = parse(&text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
