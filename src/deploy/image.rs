//! The image that is deployed, as far as targets want to know it.

use crate::oci::{Descriptor, MediaType, Platform, Repository};

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub repository: Repository,
    /// The manifest or the index.
    pub descriptor: Descriptor,
    /// The manifests of its platforms; one, with the same descriptor, where there is no index.
    pub manifests: Vec<Manifest>,
}

/// The image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The platform.
    pub platform: Platform,
    /// The manifest.
    pub descriptor: Descriptor,
    /// The media types of its layers, the lowest first.
    pub layers: Vec<MediaType>,
}

impl Image {
    /// `repository@digest`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.descriptor.digest)
    }

    /// `repository@digest` of one platform's manifest.
    pub fn reference_of(&self, manifest: &Manifest) -> String {
        format!("{}@{}", self.repository, manifest.descriptor.digest)
    }

    /// The manifest for a platform: the same system and processor, whatever the variant.
    pub fn manifest_for(&self, os: &str, architecture: &str) -> Option<&Manifest> {
        let fits = |manifest: &&Manifest| {
            manifest.platform.os == os && manifest.platform.architecture == architecture
        };
        self.manifests.iter().find(fits)
    }

    /// Whether a digest is this image, or its manifest for one platform: what a platform shows of an image
    /// that it runs is one or the other.
    pub fn has_digest(&self, digest: &crate::oci::Digest) -> bool {
        self.descriptor.digest == *digest
            || self.manifests.iter().any(|manifest| manifest.descriptor.digest == *digest)
    }
}
