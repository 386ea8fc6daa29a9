//! Is it worth deflating? Asked of each block, answered from its bytes alone.
//!
//! Images, archives, weights: about a quarter of what agents carry is compressed already, and
//! deflating it again costs the most time of all for nothing. Deflate saves in two ways, so there
//! are two questions, the cheap one first:
//!
//! 1. Are some byte values more frequent than others (Huffman codes)? Text, code and tables are far
//!    from even, and most blocks are done here.
//! 2. Do sequences of bytes come again (references)?
//!
//! A wrong answer costs size or time, never correctness: what is stored would have lost about two
//! parts in a hundred at most, unless the samples were not like the rest. All arithmetic is on
//! integers and no compressor is asked, so that every machine and every version of it gives the
//! same answer: it decides the bytes of a layer.

/// Smaller blocks are deflated: it takes no time worth saving.
const MIN_BYTES: usize = 128 * 1024;

/// The sample of the first question: this many slices, spread evenly.
const SLICES: usize = 64;
const SLICE_BYTES: usize = 1024;

/// The runs of the second question begin at the block's first and third quarter. Each is twice as
/// long as deflate can refer back.
const RUN_BYTES: usize = 64 * 1024;

/// A block is worth deflating when more than one position in this many repeats something.
const REPEATING_PART: usize = 64;

/// The size of the table of sequences seen, a power of two.
const TABLE_BITS: u32 = 14;

/// Whether deflating the block would save (almost) nothing.
pub(super) fn is_incompressible(block: &[u8]) -> bool {
    block.len() >= MIN_BYTES && is_even(block) && !runs(block).any(is_repetitive)
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
    // The sum of squares is least, total²/256, when all counts are equal. A tenth above that is
    // an entropy of at least 7.86 bits in 8.
    let total: u64 = counts.iter().sum();
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    squares * 256 * 10 <= total * total * 11
}

fn runs(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let quarter = block.len() / 4;
    [quarter, 3 * quarter].into_iter().map(move |start| {
        let run = &block[start..];
        &run[..run.len().min(RUN_BYTES)]
    })
}

/// Whether sequences of four bytes come again. In noise they never do.
fn is_repetitive(run: &[u8]) -> bool {
    let mut seen = vec![0_u32; 1 << TABLE_BITS];
    let mut repeats = 0;
    for sequence in run.array_windows::<4>() {
        let sequence = u32::from_le_bytes(*sequence);
        // Fibonacci hashing: the upper bits of the product are well mixed.
        let slot = &mut seen[(sequence.wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS)) as usize];
        repeats += usize::from(*slot == sequence);
        *slot = sequence;
    }
    repeats * REPEATING_PART > run.len()
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
        let mut compressor = flate2::Compress::new(flate2::Compression::new(6), false);
        compressor.compress_vec(bytes, &mut output, flate2::FlushCompress::Finish).unwrap();
        output
    }

    #[test]
    fn only_what_does_not_shrink_is_stored() {
        let zipped = deflated(&text(12 * BLOCK));
        assert!(zipped.len() > BLOCK);
        let period = random(3, 32_000).repeat(BLOCK / 32_000);
        let nibbles: Vec<u8> = random(4, BLOCK).iter().map(|byte| byte & 0x0f).collect();
        let mixed = [random(5, BLOCK / 2), text(BLOCK / 2)].concat();
        let base64: Vec<u8> = random(6, BLOCK).iter().map(|byte| b'A' + byte % 64).collect();
        let numbers: Vec<u8> =
            random(8, BLOCK).chunks(4).flat_map(|word| [word[0], word[1], word[2], 0x3f]).collect();
        for (name, block, expected) in [
            ("one byte in four is the same", numbers, false),
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
