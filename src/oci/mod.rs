//! The nouns of the OCI specifications: digests, descriptors, references, manifests, image configs.
//!
//! Pure data, read strictly and written canonically. Nothing here does I/O; [`Document`] keeps the
//! bytes that were hashed beside the value, so that what came from outside is never re-serialised.

mod canonical_json;
mod descriptor;
mod digest;
mod document;
mod image_config;
mod index;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub use canonical_json::canonical_json;
pub use descriptor::Descriptor;
pub use digest::{Digest, Digester, InvalidDigest};
pub use document::{Document, InvalidDocument, MAX_DOCUMENT_BYTES};
pub use image_config::{History, ImageConfig, RootFs, RunConfig};
pub use index::Index;
pub use manifest::Manifest;
pub use media_type::{Compression, MediaType};
pub use platform::{InvalidPlatform, Platform};
pub use reference::{InvalidReference, Reference, Repository, without_password};
