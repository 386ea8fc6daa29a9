//! One block of a deflate stream (RFC 1951): compressed, or stored when that saves nothing.
//!
//! A function of the block and nothing else.

use flate2::{Compress, Compression, FlushCompress};

use super::probe::{self, Run};

/// How much input makes a block.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// How far back deflate can refer.
pub(super) const DICTIONARY_BYTES: usize = 32 * 1024;

/// The level of compression, from 0 to 9. Layers are 2 to 10 % larger than at 6, the usual one, and
/// take half to three quarters of its time; they are still smaller than those that Go makes at its
/// fastest level.
pub(super) const LEVEL: u32 = 2;

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
    /// Of the same size for every run, so that it cannot show in the bytes; zeroed once.
    scratch: Vec<u8>,
}

impl Deflater {
    /// Deflates a block.
    pub(super) fn deflate(&mut self, block: Block) -> Deflated {
        let mut output = Vec::new();
        let mut dictionary = block.dictionary.as_slice();
        for Run { range, is_incompressible } in probe::runs(&block.bytes) {
            let is_last = block.is_last && range.end == block.bytes.len();
            let bytes = &block.bytes[range.clone()];
            if is_incompressible {
                store(bytes, is_last, &mut output);
            } else {
                output.extend_from_slice(self.compress(dictionary, bytes, is_last));
            }
            // The next run is of the other kind. Behind much that is stored nothing is in reach.
            dictionary = &block.bytes[range.end.saturating_sub(DICTIONARY_BYTES)..range.end];
            if is_incompressible && bytes.len() >= DICTIONARY_BYTES {
                dictionary = &[];
            }
        }
        Deflated { output, input: block.bytes }
    }

    fn compress(&mut self, dictionary: &[u8], bytes: &[u8], is_last: bool) -> &[u8] {
        // A fresh compressor per run: one that is reset keeps enough of an earlier run to show.
        let mut compressor = Compress::new(Compression::new(LEVEL), false);
        if !dictionary.is_empty() {
            compressor.set_dictionary(dictionary).expect("raw deflate takes a dictionary");
        }
        let flush = if is_last { FlushCompress::Finish } else { FlushCompress::Sync };
        if self.scratch.is_empty() {
            self.scratch = vec![0; OUTPUT_BYTES];
        }
        compressor
            .compress(bytes, &mut self.scratch, flush)
            .expect("a fresh compressor is in no bad state");
        let length = usize::try_from(compressor.total_out()).expect("it is within the scratch");
        // Room that is left over says that everything has been written.
        assert!(length < OUTPUT_BYTES, "deflate grows its input by less than 1/128");
        &self.scratch[..length]
    }
}

/// Writes bytes as they are.
fn store(bytes: &[u8], is_last: bool, output: &mut Vec<u8>) {
    output.reserve(bytes.len() + bytes.len() / 1024 + 16);
    let mut chunks = bytes.chunks(STORED_BYTES).peekable();
    while let Some(chunk) = chunks.next() {
        let is_final = is_last && chunks.peek().is_none();
        let length = u16::try_from(chunk.len()).expect("a chunk has at most 65535 bytes");
        output.push(u8::from(is_final));
        output.extend_from_slice(&length.to_le_bytes());
        output.extend_from_slice(&(!length).to_le_bytes());
        output.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

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

    /// Noise and text in turn, each a few pieces long: the dictionary must be what a reader has.
    #[test]
    fn a_used_deflater_gives_what_a_fresh_one_gives() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut deflater = Deflater::default();
        let mut dictionary = Vec::new();
        let (mut input, mut stream) = (Vec::new(), Vec::new());
        for number in 0..12 {
            let mut bytes = Vec::new();
            while bytes.len() < 300_000 {
                let length = random.usize(1..60_000);
                let values = if random.bool() { 0..=u8::MAX } else { b'a'..=b'f' };
                bytes.extend(std::iter::repeat_with(|| random.u8(values.clone())).take(length));
            }
            input.extend_from_slice(&bytes);
            let next = bytes[bytes.len() - DICTIONARY_BYTES..].to_vec();
            let block = || {
                let (dictionary, bytes) = (dictionary.clone(), bytes.clone());
                Block { dictionary, bytes, is_last: number == 11 }
            };
            let output = deflater.deflate(block()).output;
            assert!(output == Deflater::default().deflate(block()).output, "{number}");
            stream.extend_from_slice(&output);
            dictionary = next;
        }
        let mut inflated = Vec::new();
        flate2::bufread::DeflateDecoder::new(&stream[..]).read_to_end(&mut inflated).unwrap();
        assert!(inflated == input);
    }

    /// The probe lets small noise through, so deflate itself must keep within bounds.
    #[test]
    fn noise_that_is_not_probed_grows_by_little() {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(BLOCK_BYTES).collect();
        for length in [0, 1, 127 * 1024, BLOCK_BYTES] {
            let mut deflater = Deflater::default();
            let output = deflater.compress(&[], &noise[..length], false);
            assert!(output.len() <= length + length / 1024 + 16, "{length}: {}", output.len());
            assert!(output.ends_with(&[0, 0, 0xff, 0xff]), "{length}: a sync flush");
        }
    }
}
