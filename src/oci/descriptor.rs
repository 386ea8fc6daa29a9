//! Content descriptors (image-spec, descriptor.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Digest, MediaType, Platform};

/// What a blob is, its digest, and how many bytes it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// REQUIRED: the media type of the content.
    pub media_type: MediaType,
    /// REQUIRED: the digest of the content.
    pub digest: Digest,
    /// REQUIRED: the size in bytes, an int64 in the specification.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// OPTIONAL: annotations of this descriptor.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// OPTIONAL: the platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Everything else (`urls`, `data`, `artifactType`, …), kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Marks the attestation manifests that BuildKit puts into an index.
const ATTESTATION: &str = "vnd.docker.reference.type";

impl Descriptor {
    /// The descriptor of these bytes.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor without optional members.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            other: BTreeMap::new(),
        }
    }

    /// Whether an index says that this is no image, but something about one.
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(ATTESTATION)
    }

    /// Whether the content lies on hosts of its own (`urls`): such layers are never fetched.
    pub fn is_foreign(&self) -> bool {
        self.other.get("urls").and_then(Value::as_array).is_some_and(|urls| !urls.is_empty())
    }
}

fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    i64::try_from(size)
        .map(|_| size)
        .map_err(|_| serde::de::Error::custom("`size` is above the range of an int64"))
}

/// Docker's writers put `null` where a map is empty.
pub(super) fn null_as_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_members_it_does_not_know() {
        let text = r#"{"data":"e30=","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.empty.v1+json","size":2}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(descriptor.digest, Digest::of(b"{}"));
        assert_eq!(
            serde_json::to_string(&serde_json::to_value(&descriptor).unwrap()).unwrap(),
            text
        );
    }

    #[test]
    fn refuses_sizes_that_are_no_int64() {
        for size in ["-1", "9223372036854775808", "1.5", "\"2\""] {
            let text =
                format!(r#"{{"mediaType":"a/b","digest":"{}","size":{size}}}"#, Digest::of(b""));
            assert!(serde_json::from_str::<Descriptor>(&text).is_err(), "{size}");
        }
    }
}
