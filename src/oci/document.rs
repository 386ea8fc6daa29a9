//! A parsed document together with the bytes that were hashed.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Descriptor, Digest, MediaType, canonical_json};

/// The largest manifest, index or image config that is read or written: 4 MiB, the size that every
/// registry must take (distribution-spec, "Pushing Manifests").
pub const MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;

/// A value, the exact bytes it was read from or will be sent as, and their descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<T> {
    /// The parsed value.
    pub value: T,
    /// The bytes whose digest is in the descriptor.
    pub bytes: Bytes,
    /// Media type, digest and size of the bytes.
    pub descriptor: Descriptor,
}

/// The bytes are not the document they were said to be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// No JSON, or JSON of another shape.
    #[error("{media_type} with digest {digest} is not valid")]
    Shape {
        /// What it was said to be.
        media_type: MediaType,
        /// The digest of its bytes.
        digest: Digest,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// It contradicts the rules of its type.
    #[error("{media_type} with digest {digest} is not valid: {reason}")]
    Rule {
        /// What it was said to be.
        media_type: MediaType,
        /// The digest of its bytes.
        digest: Digest,
        /// Which rule it breaks.
        reason: String,
    },
}

impl<T: DeserializeOwned> Document<T> {
    /// Parses bytes that came from outside and keeps them.
    pub fn parse(bytes: Bytes, media_type: MediaType) -> Result<Self, InvalidDocument> {
        let descriptor = Descriptor::of(media_type, &bytes);
        let value = serde_json::from_slice(&bytes).map_err(|source| InvalidDocument::Shape {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest,
            source,
        })?;
        Ok(Self { value, bytes, descriptor })
    }
}

impl<T: Serialize> Document<T> {
    /// Writes a value of ours as canonical JSON.
    pub fn write(value: T, media_type: MediaType) -> Self {
        let bytes = Bytes::from(canonical_json(&value));
        let descriptor = Descriptor::of(media_type, &bytes);
        Self { value, bytes, descriptor }
    }
}

impl InvalidDocument {
    pub(super) fn rule(descriptor: &Descriptor, reason: impl Into<String>) -> Self {
        Self::Rule {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest,
            reason: reason.into(),
        }
    }
}

impl crate::error::Classified for InvalidDocument {
    fn kind(&self) -> crate::error::ErrorKind {
        crate::error::ErrorKind::Failed
    }
}
