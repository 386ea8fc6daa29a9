//! Media types of the OCI image specification and of Docker's schema 2 (image-spec, media-types.md).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The media type of a blob or manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// An OCI image manifest.
    OciManifest,
    /// An OCI image index.
    OciIndex,
    /// An OCI image config.
    OciConfig,
    /// An uncompressed layer.
    OciLayer,
    /// A gzip-compressed layer.
    OciLayerGzip,
    /// A zstd-compressed layer.
    OciLayerZstd,
    /// A Docker schema-2 manifest.
    DockerManifest,
    /// A Docker manifest list.
    DockerManifestList,
    /// A Docker image config.
    DockerConfig,
    /// A Docker layer: gzip.
    DockerLayerGzip,
    /// Anything else, kept as it is.
    Other(String),
}

/// How a layer's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all: digest and diff_id are the same.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

const NAMES: [(MediaType, &str); 10] = [
    (MediaType::OciManifest, "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::OciIndex, "application/vnd.oci.image.index.v1+json"),
    (MediaType::OciConfig, "application/vnd.oci.image.config.v1+json"),
    (MediaType::OciLayer, "application/vnd.oci.image.layer.v1.tar"),
    (MediaType::OciLayerGzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
    (MediaType::OciLayerZstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (MediaType::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
    (MediaType::DockerManifestList, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (MediaType::DockerConfig, "application/vnd.docker.container.image.v1+json"),
    (MediaType::DockerLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
];

impl MediaType {
    /// The media type with this name; parameters (`; charset=…`) are ignored.
    pub fn parse(text: &str) -> Self {
        let name = text.split(';').next().unwrap_or_default().trim();
        NAMES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map_or_else(|| Self::Other(name.to_owned()), |(media_type, _)| media_type.clone())
    }

    /// The name as it stands in documents and headers.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES
                .iter()
                .find(|(media_type, _)| media_type == known)
                .map_or("", |(_, name)| *name),
        }
    }

    /// Whether this is a manifest of one platform.
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// Whether this is a list of manifests.
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// How a layer of this type is compressed; absent when this is no layer that runtimes unpack.
    pub fn layer_compression(&self) -> Option<Compression> {
        match self {
            Self::OciLayer => Some(Compression::None),
            Self::OciLayerGzip | Self::DockerLayerGzip => Some(Compression::Gzip),
            Self::OciLayerZstd => Some(Compression::Zstd),
            Self::Other(name) if name == "application/vnd.docker.image.rootfs.diff.tar" => {
                Some(Compression::None)
            }
            Self::Other(name) if name == "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                Some(Compression::Zstd)
            }
            _ => None,
        }
    }

    /// The OCI type for the same bytes: Docker's schema-2 types have exact equivalents.
    pub fn to_oci(&self) -> Self {
        match self {
            Self::DockerManifest => Self::OciManifest,
            Self::DockerManifestList => Self::OciIndex,
            Self::DockerConfig => Self::OciConfig,
            Self::DockerLayerGzip => Self::OciLayerGzip,
            other => match other.layer_compression() {
                Some(Compression::None) => Self::OciLayer,
                Some(Compression::Zstd) => Self::OciLayerZstd,
                _ => other.clone(),
            },
        }
    }

    /// Every manifest and index type, for `Accept` headers, best first.
    pub fn accepted_manifests() -> [Self; 4] {
        [Self::OciIndex, Self::OciManifest, Self::DockerManifestList, Self::DockerManifest]
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written_alike() {
        for (media_type, name) in NAMES {
            assert_eq!(MediaType::parse(name), media_type);
            assert_eq!(media_type.as_str(), name);
        }
        let other = MediaType::parse("text/html; charset=utf-8");
        assert_eq!(other, MediaType::Other("text/html".into()));
    }

    #[test]
    fn docker_types_become_oci_types() {
        for (docker, oci) in [
            (MediaType::DockerManifest, MediaType::OciManifest),
            (MediaType::DockerLayerGzip, MediaType::OciLayerGzip),
            (
                MediaType::Other("application/vnd.docker.image.rootfs.diff.tar.zstd".into()),
                MediaType::OciLayerZstd,
            ),
            (MediaType::OciLayer, MediaType::OciLayer),
        ] {
            assert_eq!(docker.to_oci(), oci);
        }
    }
}
