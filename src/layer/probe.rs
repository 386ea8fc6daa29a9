//! Is it worth deflating? Asked of every piece of a block, answered from the block's bytes alone.
//!
//! Images, archives, weights: about a quarter of what agents carry is compressed already, and
//! deflating it again costs the most time of all for nothing. Such files are often smaller than a
//! block and lie between others, hence pieces. Deflate saves in two ways, so there are two
//! questions, the cheap one first:
//!
//! 1. Are some byte values more frequent than others (Huffman codes)? Text, code and tables are far
//!    from even, and most pieces are done after their first kilobyte.
//! 2. Do sequences of bytes come again (references)?
//!
//! A wrong answer costs size or time, never correctness: what is stored would have lost about two
//! parts in a hundred at most. All arithmetic is on integers and no compressor is asked, so that
//! every machine and every version of it gives the same answer: it decides the bytes of a layer.

use std::ops::Range;

/// How much is judged at once. What is left at the end of a block is deflated.
const PIECE_BYTES: usize = 8 * 1024;

/// How much of a piece shows that it is far from even.
const GLANCE_BYTES: usize = 1024;

/// Shorter runs are deflated: to begin anew behind them would cost more than they do.
const MIN_RUN_BYTES: usize = 2 * PIECE_BYTES;

/// A piece is worth deflating when more than one sequence in this many has been seen before.
const REPEATING_PART: usize = 64;

/// The size of the table of sequences seen, a power of two. Of those within deflate's reach, every
/// sixteenth is looked at: half as many as there are slots.
const TABLE_BITS: u32 = 12;

/// A part of a block that is all worth deflating, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Its bytes in the block.
    pub(super) range: Range<usize>,
    /// Whether deflating it would save (almost) nothing.
    pub(super) is_incompressible: bool,
}

/// Divides a block, from its beginning to its end; an empty one is one empty run.
pub(super) fn runs(block: &[u8]) -> Vec<Run> {
    let mut seen = Seen::default();
    let mut runs: Vec<Run> = Vec::new();
    let mut start = 0;
    for piece in block.chunks(PIECE_BYTES) {
        let is_incompressible =
            piece.len() == PIECE_BYTES && is_even(piece) && !seen.is_repetitive(piece);
        add(&mut runs, Run { range: start..start + piece.len(), is_incompressible });
        start += piece.len();
    }
    let mut long: Vec<Run> = Vec::with_capacity(runs.len().max(1));
    for run in runs {
        let is_incompressible = run.is_incompressible && run.range.len() >= MIN_RUN_BYTES;
        add(&mut long, Run { is_incompressible, ..run });
    }
    if long.is_empty() {
        long.push(Run { range: 0..0, is_incompressible: false });
    }
    long
}

/// Adds a run to those before it; one that is like the last makes that longer.
fn add(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.is_incompressible == run.is_incompressible => {
            last.range.end = run.range.end;
        }
        _ => runs.push(run),
    }
}

/// Whether all byte values occur about equally often.
fn is_even(piece: &[u8]) -> bool {
    // The sum of squares is least, total²/256, when all counts are equal. Chance adds a quarter in
    // a kilobyte, a thirtieth in eight; a tenth above the least is an entropy of 7.86 bits in 8.
    let is_below = |bytes: &[u8], tenths: usize| {
        let mut counts = [0_usize; 256];
        for byte in bytes {
            counts[usize::from(*byte)] += 1;
        }
        let squares: usize = counts.iter().map(|count| count * count).sum();
        squares * 256 * 10 <= bytes.len() * bytes.len() * tenths
    };
    is_below(&piece[..GLANCE_BYTES], 20) && is_below(piece, 11)
}

/// Sequences of four bytes that came by, of the pieces that are even.
struct Seen {
    sequences: Box<[u32; 1 << TABLE_BITS]>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { sequences: Box::new([0; 1 << TABLE_BITS]) }
    }
}

impl Seen {
    /// Whether a piece's sequences came by before; in noise they never did.
    fn is_repetitive(&mut self, piece: &[u8]) -> bool {
        let (mut sampled, mut repeats) = (0, 0);
        for sequence in piece.array_windows::<4>() {
            let sequence = u32::from_le_bytes(*sequence);
            // Fibonacci hashing: the upper bits of the product are well mixed. Which sequences are
            // looked at depends on them alone, so that a repetition is found wherever it begins.
            let hash = sequence.wrapping_mul(0x9e37_79b1);
            if hash >> 28 != 0 {
                continue;
            }
            let slot = &mut self.sequences[((hash << 4) >> (32 - TABLE_BITS)) as usize];
            sampled += 1;
            repeats += usize::from(*slot == sequence);
            *slot = sequence;
        }
        repeats * REPEATING_PART > sampled
    }
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

    /// The lengths of the runs, in pieces; those that are not worth deflating are negative.
    fn lengths(block: &[u8]) -> Vec<isize> {
        let runs = runs(block);
        let covered: Vec<u8> =
            runs.iter().flat_map(|run| &block[run.range.clone()]).copied().collect();
        assert!(covered == block, "runs cover the block");
        let length = |run: &Run| {
            let pieces = run.range.len().div_ceil(PIECE_BYTES).cast_signed();
            if run.is_incompressible { -pieces } else { pieces }
        };
        runs.iter().map(length).collect()
    }

    #[test]
    fn only_what_does_not_shrink_is_stored() {
        let pieces = |count: usize| count * PIECE_BYTES;
        let zipped = deflated(&text(12 * BLOCK));
        assert!(zipped.len() > BLOCK);
        let period = random(3, 32_000).repeat(BLOCK / 32_000);
        let nibbles: Vec<u8> = random(4, BLOCK).iter().map(|byte| byte & 0x0f).collect();
        let base64: Vec<u8> = random(6, BLOCK).iter().map(|byte| b'A' + byte % 64).collect();
        let numbers: Vec<u8> =
            random(8, BLOCK).chunks(4).flat_map(|word| [word[0], word[1], word[2], 0x3f]).collect();
        let among = [text(pieces(3)), random(5, pieces(5) + 1), text(pieces(9) - 1)].concat();
        let short = [text(pieces(3)), random(5, pieces(1)), text(pieces(4))].concat();
        let late = [random(9, GLANCE_BYTES), text(pieces(4) - GLANCE_BYTES)].concat();
        for (name, block, expected) in [
            ("empty", vec![], vec![0]),
            ("zeros", vec![0; BLOCK], vec![128]),
            ("text", text(BLOCK), vec![128]),
            ("random", random(1, BLOCK), vec![-128]),
            ("deflated", zipped[..BLOCK].to_vec(), vec![-128]),
            ("one byte in four is the same", numbers, vec![128]),
            ("four bits in eight", nibbles, vec![128]),
            ("six bits in eight", base64, vec![128]),
            ("random with a period within deflate's reach", period, vec![-3, 122]),
            ("random among text", among, vec![3, -5, 9]),
            ("little of it among text", short, vec![8]),
            ("text after what looks random", late, vec![4]),
            ("random, the least that is stored", random(2, MIN_RUN_BYTES), vec![-2]),
            ("random, too small", random(2, MIN_RUN_BYTES - 1), vec![2]),
            ("random, and a rest", random(2, pieces(4) + 1), vec![-4, 1]),
        ] {
            assert_eq!(lengths(&block), expected, "{name}");
        }
    }
}
