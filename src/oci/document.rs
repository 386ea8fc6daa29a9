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

/// What a manifest or index says of itself.
pub(super) struct Identity<'a> {
    /// Its `schemaVersion`.
    pub(super) schema_version: u32,
    /// Its `mediaType`, where it has one.
    pub(super) media_type: Option<&'a MediaType>,
    /// Members that belong to the other of the two, where it has some.
    pub(super) contradiction: Option<&'static str>,
}

impl<T> Document<T> {
    /// Refuses a document that could be read in two ways (CVE-2021-41190).
    pub(super) fn check_identity(&self, identity: &Identity) -> Result<(), InvalidDocument> {
        let reason = match identity {
            Identity { schema_version, .. } if *schema_version != 2 => {
                format!("`schemaVersion` is {schema_version}, not 2")
            }
            Identity { contradiction: Some(members), .. } => format!("it has both {members}"),
            Identity { media_type: Some(inner), .. } if **inner != self.descriptor.media_type => {
                format!("its `mediaType` says `{}`", inner.as_str().escape_debug())
            }
            _ => return Ok(()),
        };
        Err(InvalidDocument::Rule {
            media_type: self.descriptor.media_type.clone(),
            digest: self.descriptor.digest,
            reason,
        })
    }
}

impl crate::error::Classified for InvalidDocument {
    fn kind(&self) -> crate::error::ErrorKind {
        crate::error::ErrorKind::Failed
    }
}
