//! zstd (RFC 8878), one frame, compressed in parallel with bytes that do not depend on how many threads do it.
//!
//! The library cuts the input into jobs by position, each with the end of the one before it as
//! prefix, so a frame is a function of its input as long as at least one worker makes it: without
//! any, it takes another way through the data. Its version is pinned exactly, as that of the other
//! compressor; raising it means raising [`writer_version`](super::writer_version).

use std::fmt;
use std::io::{self, Write};

use ::zstd::stream::raw::CParameter;
use ::zstd::stream::write::Encoder;

use super::compressors::Compressors;

/// The level of compression, from 1 to 22: the library's own choice.
pub(super) const LEVEL: i32 = 3;

/// The input of a job. The library would take 8 MiB: most of a layer, and memory for every worker.
/// It costs a third of a percent.
const JOB_BYTES: u32 = 2 * 1024 * 1024;

/// Compresses what is written to it, in order, with bounded memory. [`Write::flush`] does nothing:
/// it would show in the bytes.
pub struct ZstdWriter<W: Write> {
    encoder: Encoder<'static, W>,
}

impl<W: Write> ZstdWriter<W> {
    /// Begins a frame, without a checksum: a blob has its digest.
    ///
    /// # Errors
    ///
    /// When the library has no memory or no threads.
    pub fn new(inner: W, compressors: &Compressors) -> io::Result<Self> {
        let mut encoder = Encoder::new(inner, LEVEL)?;
        let workers = u32::try_from(compressors.threads()).expect("they are at most twelve");
        encoder.set_parameter(CParameter::NbWorkers(workers))?;
        encoder.set_parameter(CParameter::JobSize(JOB_BYTES))?;
        Ok(Self { encoder })
    }

    /// Ends the frame and gives back the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.encoder.finish()
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> fmt::Debug for ZstdWriter<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ZstdWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer_version;
    use super::*;
    use crate::oci::Digest;
    use crate::plan::LayerCompression;

    const MEBIBYTE: usize = 1024 * 1024;

    /// Text with noise in its middle.
    fn input(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(length as u64);
        let noise = length / 3..length / 2;
        let byte = |place: usize| {
            if noise.contains(&place) { random.u8(..) } else { random.u8(b'a'..b'f') }
        };
        (0..length).map(byte).collect()
    }

    fn compress(bytes: &[u8], threads: usize, write_bytes: usize) -> Vec<u8> {
        let mut writer = ZstdWriter::new(Vec::new(), &Compressors::new(threads)).unwrap();
        for piece in bytes.chunks(write_bytes) {
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn one_frame_gives_the_input_back_whatever_its_length() {
        for length in [0, 1, 100, MEBIBYTE, 2 * MEBIBYTE, 2 * MEBIBYTE + 1, 5 * MEBIBYTE] {
            let input = input(length);
            let output = compress(&input, 2, 777_777);
            let mut decoder = ::zstd::stream::read::Decoder::with_buffer(&output[..]).unwrap();
            decoder = decoder.single_frame();
            let mut inflated = Vec::new();
            io::copy(&mut decoder, &mut inflated).unwrap();
            assert!(inflated == input, "{length}");
            assert_eq!(decoder.finish(), b"", "nothing follows the first frame");
        }
    }

    /// L37.
    #[test]
    fn bytes_depend_neither_on_threads_nor_on_the_size_of_writes() {
        for length in [1000, 9 * MEBIBYTE + 12_345] {
            let input = input(length);
            let expected = compress(&input, 1, input.len());
            for (threads, write_bytes) in
                [(0, 4096), (1, 512), (2, 65_536), (3, 1_000_003), (8, 1 << 30), (8, 100)]
            {
                assert!(
                    compress(&input, threads, write_bytes) == expected,
                    "{length} {threads} {write_bytes}"
                );
            }
        }
    }

    /// Whoever changes these bytes must raise the writer version.
    #[test]
    fn bytes_of_this_writer_version() {
        let lines: Vec<_> = (0..300_000).map(|number| format!("line {number}\n")).collect();
        let output = compress(lines.concat().as_bytes(), 2, 100_000);
        assert_eq!(
            (writer_version(LayerCompression::Zstd), Digest::of(&output).to_string().as_str()),
            (
                "tar1-zstd1-zstd1.5.7-level3",
                "sha256:df0ee931d50a7fedb428dc03a878759648c8f26adf2bfe1b3f9aa2cc0c51ba9b"
            )
        );
    }

    #[test]
    fn the_writer_version_names_the_compressor_that_is_linked() {
        let lock = include_str!("../../Cargo.lock");
        for package in [
            "name = \"zstd\"\nversion = \"0.14.3\"",
            "name = \"zstd-safe\"\nversion = \"8.2.0\"",
            "name = \"zstd-sys\"\nversion = \"2.1.2+zstd.1.5.7\"",
        ] {
            assert!(lock.contains(package), "{package}: raise the writer version");
        }
        let expected = format!("zstd1.5.7-level{LEVEL}");
        assert!(writer_version(LayerCompression::Zstd).ends_with(&expected));
    }
}
