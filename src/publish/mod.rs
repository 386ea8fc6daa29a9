//! Stage 5: an [`Assembly`](crate::image::Assembly) goes to registries, layouts and archives.

use crate::oci::{Descriptor, Platform};

/// An image at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// `name@digest` for a registry, `oci:DIR@digest` and the like for the others.
    pub reference: String,
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The tags it has there now.
    pub tags: Vec<String>,
    /// Its platforms.
    pub platforms: Vec<Platform>,
}
