//! Stage 4: layers on a base become an [`Image`], images of several platforms an index. Pure.
//!
//! `assemble.rs` puts the documents together, `config.rs` edits the base's image config, `validate.rs`
//! looks at the result before anything is published, `difference.rs` tells two images apart in words,
//! `field_difference.rs` field by field, `health_check.rs` shows one of them,
//! `secrecy.rs` says which values are not shown.

mod annotate;
mod assemble;
mod config;
mod difference;
mod field_difference;
mod health_check;
mod secrecy;
mod validate;

pub use annotate::{BASE_DIGEST_ANNOTATION, BASE_NAME_ANNOTATION};
pub use assemble::{AssembleError, assemble, base_layers, index};
pub use difference::{Documents, differences, layer_names};
pub use field_difference::{FieldDifference, Side, differing_fields, differing_members, shown};
pub use health_check::shown_health_check;
pub use secrecy::{shown_command, shown_document, shown_variable};
pub use validate::{Violation, Violations, validate};

use crate::layer::Layer;
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest, Platform};

/// The image of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// For which platform.
    pub platform: Platform,
    /// The image config.
    pub config: Document<ImageConfig>,
    /// The manifest.
    pub manifest: Document<Manifest>,
    /// Every layer in the manifest's order, the base's first, each with its origin.
    pub layers: Vec<Layer>,
}

/// What is published: one image, or the images of several platforms and their index.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembly {
    /// One image per platform, in the index's order.
    pub images: Vec<Image>,
    /// Present when there are several platforms.
    pub index: Option<Document<Index>>,
}

impl Assembly {
    /// What a tag will point at: the index, or the only image's manifest.
    pub fn descriptor(&self) -> &Descriptor {
        match &self.index {
            Some(index) => &index.descriptor,
            None => &self.images.first().expect("an assembly has an image").manifest.descriptor,
        }
    }
}
