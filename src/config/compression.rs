//! How the layers that are made are compressed.

use std::fmt;

/// The compression of the layers we make. Those of the base stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LayerCompression {
    /// What every reader knows.
    #[default]
    Gzip,
    /// Smaller, and faster to make and to unpack, where it is known.
    Zstd,
}

impl LayerCompression {
    /// What a user may choose from.
    pub const NAMES: &[&str] = &["gzip", "zstd"];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The compression of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for LayerCompression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written_alike() {
        let written = |name: &&str| LayerCompression::parse(name).unwrap().as_str();
        assert_eq!(
            LayerCompression::NAMES.iter().map(written).collect::<Vec<_>>(),
            LayerCompression::NAMES
        );
        assert_eq!(LayerCompression::parse("lz4"), None);
    }
}
