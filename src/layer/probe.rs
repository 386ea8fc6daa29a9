//! Is it worth deflating? Asked of each block, answered from its bytes alone.
//!
//! Images, archives, weights: about a quarter of what agents carry is compressed already, and
//! deflating it again costs the most time of all for nothing. Two questions, the cheap one first:
//!
//! 1. Are the byte values of a sample spread evenly? Text, code and tables are far from it, and
//!    most blocks are done here.
//! 2. Does the fastest level save anything on two longer runs? Even bytes may still repeat.
//!
//! A wrong answer costs size or time, never correctness. All arithmetic is on integers, so that
//! every machine gives the same answer: it decides the bytes of a layer.

use flate2::{Compress, Compression, FlushCompress};

/// Smaller blocks are deflated: it takes no time worth saving.
const MIN_BYTES: usize = 128 * 1024;

/// The sample of the first question: this many slices, spread evenly.
const SLICES: usize = 64;
const SLICE_BYTES: usize = 1024;

/// The runs of the second question begin at the block's first and third quarter.
const RUN_BYTES: usize = 64 * 1024;

/// A run must lose this fraction of its size to count as compressible: one part in 50.
const WORTHWHILE_PART: usize = 50;

/// Whether deflating the block would save (almost) nothing.
pub(super) fn is_incompressible(block: &[u8]) -> bool {
    block.len() >= MIN_BYTES && is_even(block) && !runs(block).any(is_worth_deflating)
}

/// Whether all byte values occur about equally often in a sample.
fn is_even(block: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    let stride = block.len() / SLICES;
    for slice in block.chunks(stride).take(SLICES) {
        for byte in &slice[..SLICE_BYTES.min(slice.len())] {
            counts[usize::from(*byte)] += 1;
        }
    }
    // The sum of squares is least, total²/256, when all counts are equal; a quarter above that
    // leaves room for formats with some structure, such as JPEG.
    let total: u64 = counts.iter().sum();
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    squares * 256 * 4 <= total * total * 5
}

fn runs(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let quarter = block.len() / 4;
    [quarter, 3 * quarter].into_iter().map(move |start| {
        let run = &block[start..];
        &run[..run.len().min(RUN_BYTES)]
    })
}

fn is_worth_deflating(run: &[u8]) -> bool {
    let mut output = Vec::with_capacity(run.len() - run.len() / WORTHWHILE_PART);
    let mut compressor = Compress::new(Compression::fast(), false);
    let status = compressor.compress_vec(run, &mut output, FlushCompress::Finish);
    // It has ended only when the output fitted into what is worth having.
    matches!(status, Ok(flate2::Status::StreamEnd))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 1024 * 1024;

    fn random(seed: u64, length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    }

    fn text(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        let words = ["def ", "return ", "self.", "value", "\n    ", "import ", "(", ") "];
        let mut text = String::new();
        while text.len() < length {
            text += words[random.usize(..words.len())];
        }
        text.into_bytes()[..length].to_vec()
    }

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(bytes.len());
        let mut compressor = Compress::new(Compression::new(6), false);
        compressor.compress_vec(bytes, &mut output, FlushCompress::Finish).unwrap();
        output
    }

    #[test]
    fn only_what_does_not_shrink_is_stored() {
        let zipped = deflated(&text(12 * BLOCK));
        assert!(zipped.len() > BLOCK);
        let period = random(3, 20_000).repeat(BLOCK / 20_000);
        let nibbles: Vec<u8> = random(4, BLOCK).iter().map(|byte| byte & 0x0f).collect();
        let mixed = [random(5, BLOCK / 2), text(BLOCK / 2)].concat();
        let base64: Vec<u8> = random(6, BLOCK).iter().map(|byte| b'A' + byte % 64).collect();
        for (name, block, expected) in [
            ("empty", vec![], false),
            ("zeros", vec![0; BLOCK], false),
            ("text", text(BLOCK), false),
            ("random", random(1, BLOCK), true),
            ("deflated", zipped[..BLOCK].to_vec(), true),
            ("random with a period within the window", period, false),
            ("four bits in eight", nibbles, false),
            ("six bits in eight", base64, false),
            ("half random, half text", mixed, false),
            ("random, the least that is probed", random(2, MIN_BYTES), true),
            ("random, too small to probe", random(2, MIN_BYTES - 1), false),
        ] {
            assert_eq!(is_incompressible(&block), expected, "{name}");
        }
    }
}
