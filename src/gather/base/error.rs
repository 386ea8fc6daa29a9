//! Why something cannot be a base.

use crate::error::{Classified, ErrorKind};
use crate::oci::{Digest, Platform};

/// Why the base cannot be used. Nothing was written anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// The index has no image for the platform.
    #[error("{name} has no image for {wanted}")]
    MissingPlatform {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// The platform that was asked for.
        wanted: Platform,
        /// What there is.
        available: Vec<Platform>,
    },
    /// The base is one image, for another platform.
    #[error("{name} is an image for {actual}, not for {wanted}")]
    OtherPlatform {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// The platform that was asked for.
        wanted: Platform,
        /// The platform its config declares.
        actual: Platform,
    },
    /// The registry sent a manifest of Docker's schema 1.
    #[error("{name} has a manifest of Docker's schema 1, which ceased to be served in 2020")]
    Schema1 {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
    },
    /// It is something else that registries hold: a chart, a signature.
    #[error("{name} is no container image: its type is `{}`", media_type.escape_debug())]
    NotAnImage {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// What it is.
        media_type: String,
    },
    /// The config does not say as many layers as the manifest.
    #[error("{name} has {layers} layers in its manifest and {diff_ids} in its config")]
    Misaligned {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// Layers of the manifest.
        layers: usize,
        /// Entries of `rootfs.diff_ids`.
        diff_ids: usize,
    },
    /// It has more layers than a runtime mounts.
    #[error("{name} has {layers} layers, more than {MAX_LAYERS}")]
    TooManyLayers {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// How many.
        layers: usize,
    },
    /// A layer lies on a host of its own.
    #[error("layer `{layer}` of {name} is fetched from elsewhere (`urls`)")]
    ForeignLayer {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// The layer.
        layer: Digest,
    },
    /// A layer is of a type that runtimes do not unpack.
    #[error("layer `{layer}` of {name} is of type `{}`", media_type.escape_debug())]
    UnknownLayer {
        /// What it is called, with what it is for: "base `python:3`".
        name: String,
        /// The layer.
        layer: Digest,
        /// Its type.
        media_type: String,
    },
    /// This binary carries no such base.
    #[error("there is no base `builtin:{}`", name.escape_debug())]
    UnknownBuiltin {
        /// Its name.
        name: String,
    },
}

/// Linux mounts at most 128 folders on each other with the options that Docker writes; one is the
/// container's own.
pub const MAX_LAYERS: usize = 127;

impl Classified for BaseError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::MissingPlatform { available, .. } if available.is_empty() => {
                "its index names no platform".into()
            }
            Self::MissingPlatform { available, .. } => {
                let available: Vec<_> = available.iter().map(ToString::to_string).collect();
                format!("it has images for {}", available.join(", "))
            }
            Self::OtherPlatform { actual, .. } => {
                format!("build for it with `--platform {actual}`, or choose another one")
            }
            Self::Schema1 { .. } => {
                "pull it with an old client and push it again, or choose a newer one".into()
            }
            Self::ForeignLayer { .. } => {
                "Windows bases are built this way; they cannot be a base here".into()
            }
            Self::UnknownBuiltin { .. } => "write `builtin:static`".into(),
            Self::NotAnImage { .. }
            | Self::Misaligned { .. }
            | Self::TooManyLayers { .. }
            | Self::UnknownLayer { .. } => "choose another one".into(),
        };
        vec![hint]
    }
}
