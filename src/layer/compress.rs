//! Which compression a layer gets, and what that says of its bytes.

use std::io::{self, Write};

use super::compressors::Compressors;
use super::gzip::GzipWriter;
use super::zstd::ZstdWriter;
use crate::oci::MediaType;
use crate::plan::LayerCompression;

/// Names everything that decides a layer's bytes beside its entries: the rules of our tar and gzip
/// writers, zstd's version and level. A layer of another version is not reused, since building
/// it again would give another digest.
pub fn writer_version(compression: LayerCompression) -> &'static str {
    match compression {
        LayerCompression::Gzip => "tar1-gzip3",
        LayerCompression::Zstd => "tar1-zstd1-zstd1.5.7-level3",
    }
}

/// The media type of a layer that is compressed so.
pub(super) fn media_type(compression: LayerCompression) -> MediaType {
    match compression {
        LayerCompression::Gzip => MediaType::OciLayerGzip,
        LayerCompression::Zstd => MediaType::OciLayerZstd,
    }
}

/// Compresses what is written to it.
#[derive(Debug)]
pub(super) enum CompressingWriter<W: Write> {
    Gzip(GzipWriter<W>),
    Zstd(ZstdWriter<W>),
}

impl<W: Write> CompressingWriter<W> {
    pub(super) fn new(
        inner: W,
        compression: LayerCompression,
        compressors: &Compressors,
    ) -> io::Result<Self> {
        Ok(match compression {
            LayerCompression::Gzip => Self::Gzip(GzipWriter::new(inner, compressors)),
            LayerCompression::Zstd => Self::Zstd(ZstdWriter::new(inner, compressors)?),
        })
    }

    /// Ends what was begun and gives back the writer.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(writer) => writer.finish(),
            Self::Zstd(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for CompressingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(writer) => writer.write(bytes),
            Self::Zstd(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(writer) => writer.flush(),
            Self::Zstd(writer) => writer.flush(),
        }
    }
}
