//! Image indexes (image-spec, image-index.md) and Docker's manifest lists.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::null_as_empty;
use super::document::Identity;
use super::{Descriptor, Document, InvalidDocument, MediaType, Platform};

/// The manifests of several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// REQUIRED: always 2.
    pub schema_version: u32,
    /// Always written by us; older documents from outside may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// REQUIRED: one descriptor per manifest.
    pub manifests: Vec<Descriptor>,
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

impl Index {
    /// An OCI index of ours.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OciIndex),
            manifests,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// The images in the index: attestations and artifacts are skipped.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|descriptor| {
            !descriptor.is_attestation()
                && !descriptor.platform.as_ref().is_some_and(Platform::is_unknown)
                && (descriptor.media_type.is_manifest() || descriptor.media_type.is_index())
        })
    }

    /// The first image for this platform.
    pub fn find(&self, platform: &Platform) -> Option<&Descriptor> {
        self.images().find(|descriptor| {
            descriptor.platform.as_ref().is_some_and(|offered| platform.is_served_by(offered))
        })
    }
}

impl Document<Index> {
    /// Parses an index of the declared type, and refuses one that could also be read as a manifest
    /// (CVE-2021-41190).
    pub fn parse_index(bytes: Bytes, media_type: MediaType) -> Result<Self, InvalidDocument> {
        let document = Self::parse(bytes, media_type)?;
        let Index { schema_version, media_type, other, .. } = &document.value;
        let is_manifest = other.contains_key("layers") || other.contains_key("config");
        document.check_identity(&Identity {
            schema_version: *schema_version,
            media_type: media_type.as_ref(),
            contradiction: is_manifest.then_some("`manifests` and `layers` or `config`"),
        })?;
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: &Platform) -> Descriptor {
        Descriptor {
            platform: Some(platform.clone()),
            ..Descriptor::of(MediaType::OciManifest, platform.to_string().as_bytes())
        }
    }

    #[test]
    fn attestations_are_no_images() {
        let attestation = Descriptor {
            annotations: [(
                "vnd.docker.reference.type".to_owned(),
                "attestation-manifest".to_owned(),
            )]
            .into(),
            ..entry(&Platform::linux_amd64())
        };
        let arm64 = entry(&Platform {
            variant: Some("v8".into()),
            ..Platform::new("linux", "arm64", None)
        });
        let amd64 = entry(&Platform::linux_amd64());
        let index = Index::new(vec![
            attestation,
            entry(&Platform::new("unknown", "unknown", None)),
            arm64.clone(),
            amd64.clone(),
        ]);
        assert_eq!(index.find(&Platform::linux_amd64()), Some(&amd64));
        assert_eq!(index.find(&"linux/arm64".parse().unwrap()), Some(&arm64));
        assert_eq!(index.find(&"linux/s390x".parse().unwrap()), None);
        assert_eq!(index.images().count(), 2);
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        let text = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
        let parsed =
            Document::parse_index(Bytes::from_static(text.as_bytes()), MediaType::OciIndex);
        assert!(parsed.unwrap_err().to_string().contains("both `manifests` and `layers`"));
    }
}
