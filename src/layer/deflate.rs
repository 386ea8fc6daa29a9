//! One block of a deflate stream (RFC 1951): compressed, or stored when that saves nothing.
//!
//! A function of the block and nothing else.

use flate2::{Compress, Compression, FlushCompress};

use super::probe;

/// How much input makes a block.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// How far back deflate can refer.
pub(super) const DICTIONARY_BYTES: usize = 32 * 1024;

/// The level of compression, from 0 to 9.
pub(super) const LEVEL: u32 = 6;

/// The most that a stored block of deflate holds (RFC 1951, 3.2.4).
pub(super) const STORED_BYTES: usize = 0xffff;

/// More than any block becomes: what does not compress grows by five bytes in 16 KiB.
const OUTPUT_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 128;

/// A piece of the stream, and what is needed to deflate it.
#[derive(Debug)]
pub(super) struct Block {
    /// The input just before it.
    pub(super) dictionary: Vec<u8>,
    /// Its input, at most [`BLOCK_BYTES`].
    pub(super) bytes: Vec<u8>,
    /// Whether it ends the stream.
    pub(super) is_last: bool,
}

/// What became of a block.
#[derive(Debug)]
pub(super) struct Deflated {
    /// A part of a deflate stream that ends on a byte boundary.
    pub(super) output: Vec<u8>,
    /// The input, for its memory.
    pub(super) input: Vec<u8>,
}

/// Deflates one block after the other.
#[derive(Debug, Default)]
pub(super) struct Deflater {
    /// Of the same size for every block, so that it cannot show in the bytes.
    scratch: Vec<u8>,
}

impl Deflater {
    /// Deflates a block.
    pub(super) fn deflate(&mut self, block: Block) -> Deflated {
        let output = if probe::is_incompressible(&block.bytes) {
            store(&block)
        } else {
            self.compress(&block)
        };
        Deflated { output, input: block.bytes }
    }

    fn compress(&mut self, block: &Block) -> Vec<u8> {
        // A fresh compressor per block: nothing of an earlier one can show in the bytes.
        let mut compressor = Compress::new(Compression::new(LEVEL), false);
        if !block.dictionary.is_empty() {
            compressor.set_dictionary(&block.dictionary).expect("raw deflate takes a dictionary");
        }
        let flush = if block.is_last { FlushCompress::Finish } else { FlushCompress::Sync };
        self.scratch.clear();
        self.scratch.reserve_exact(OUTPUT_BYTES);
        compressor
            .compress_vec(&block.bytes, &mut self.scratch, flush)
            .expect("a fresh compressor is in no bad state");
        // Room that is left over says that everything has been written.
        assert!(self.scratch.len() < OUTPUT_BYTES, "deflate grows its input by less than 1/128");
        self.scratch.clone()
    }
}

fn store(block: &Block) -> Vec<u8> {
    let mut output = Vec::with_capacity(block.bytes.len() + block.bytes.len() / 1024 + 16);
    let mut chunks = block.bytes.chunks(STORED_BYTES).peekable();
    while let Some(chunk) = chunks.next() {
        let is_final = block.is_last && chunks.peek().is_none();
        let length = u16::try_from(chunk.len()).expect("a chunk has at most 65535 bytes");
        output.push(u8::from(is_final));
        output.extend_from_slice(&length.to_le_bytes());
        output.extend_from_slice(&(!length).to_le_bytes());
        output.extend_from_slice(chunk);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cut loses little: the dictionary reaches across it.
    #[test]
    fn blocks_share_their_dictionary() {
        let mut random = fastrand::Rng::with_seed(1);
        let page: Vec<u8> =
            std::iter::repeat_with(|| random.u8(b'a'..=b'z')).take(DICTIONARY_BYTES / 2).collect();
        let deflated = |dictionary: &[u8]| {
            let (dictionary, bytes) = (dictionary.to_vec(), page.clone());
            Deflater::default().deflate(Block { dictionary, bytes, is_last: true }).output.len()
        };
        assert!(deflated(&page) * 20 < deflated(&[]));
    }

    /// The probe lets small noise through, so deflate itself must keep within bounds.
    #[test]
    fn noise_that_is_not_probed_grows_by_little() {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(BLOCK_BYTES).collect();
        for length in [0, 1, 127 * 1024, BLOCK_BYTES] {
            let (dictionary, bytes) = (Vec::new(), noise[..length].to_vec());
            let block = Block { dictionary, bytes, is_last: false };
            let output = Deflater::default().compress(&block);
            assert!(output.len() <= length + length / 1024 + 16, "{length}: {}", output.len());
            assert!(output.ends_with(&[0, 0, 0xff, 0xff]), "{length}: a sync flush");
        }
    }
}
