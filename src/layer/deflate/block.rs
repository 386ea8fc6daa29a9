//! Writes one block of deflate in the form that is the shortest (RFC 1951, 3.2.3).

use super::bits::{BitWriter, ROOM};
use super::header::Header;
use super::huffman::{self, Code, MAX_BITS};
use super::matcher::Found;
use super::symbols::{
    DISTANCE, DISTANCES, END_OF_BLOCK, LENGTH_SYMBOLS, LENGTHS, LITERAL_AND_LENGTH, Range,
};

/// The most that a stored block holds (RFC 1951, 3.2.4).
pub(in super::super) const STORED_BYTES: usize = 0xffff;

/// The codes of a block that is not stored.
#[derive(Debug)]
pub(super) struct Coding {
    literal_and_length: [u8; LITERAL_AND_LENGTH],
    distance: [u8; DISTANCE],
    /// Says what the codes are, unless they are the fixed ones.
    header: Option<Header>,
}

impl Coding {
    /// The shortest coding of so many bytes, in which this was found; none when storing them takes
    /// no more.
    pub(super) fn choose(length: usize, found: &Found) -> Option<Self> {
        let fixed = Self::fixed();
        let own = Self::own(found);
        let (fixed_bits, own_bits) = (fixed.size_bits(found), own.size_bits(found));
        let stored_bits = 8 * (length + 5 * length.div_ceil(STORED_BYTES).max(1)) as u64;
        let (coding, bits) =
            if fixed_bits <= own_bits { (fixed, fixed_bits) } else { (own, own_bits) };
        (bits < stored_bits).then_some(coding)
    }

    /// RFC 1951, 3.2.6.
    fn fixed() -> Self {
        let mut literal_and_length = [8; LITERAL_AND_LENGTH];
        literal_and_length[144..256].fill(9);
        literal_and_length[256..280].fill(7);
        Self { literal_and_length, distance: [5; DISTANCE], header: None }
    }

    fn own(found: &Found) -> Self {
        let literal_and_length = huffman::lengths(&found.literal_and_length, MAX_BITS);
        let distance = huffman::lengths(&found.distance, MAX_BITS);
        let header = Some(Header::new(&literal_and_length, &distance));
        Self { literal_and_length, distance, header }
    }

    fn size_bits(&self, found: &Found) -> u64 {
        let codes = |frequencies: &[u32], lengths: &[u8]| -> u64 {
            let pairs = frequencies.iter().zip(lengths);
            pairs.map(|(frequency, length)| u64::from(*frequency) * u64::from(*length)).sum()
        };
        let extra = |frequencies: &[u32], ranges: &[Range]| -> u64 {
            let pairs = frequencies.iter().zip(ranges);
            pairs
                .map(|(frequency, range)| u64::from(*frequency) * u64::from(range.extra_bits))
                .sum()
        };
        3 + self.header.as_ref().map_or(0, |header| header.bits)
            + codes(&found.literal_and_length, &self.literal_and_length)
            + codes(&found.distance, &self.distance)
            + extra(&found.literal_and_length[END_OF_BLOCK + 1..], &LENGTHS)
            + extra(&found.distance, &DISTANCES)
    }

    /// Writes bytes, in which this was found.
    pub(super) fn write(
        &self,
        bytes: &[u8],
        found: &Found,
        is_last: bool,
        bits: &mut BitWriter<'_>,
    ) {
        bits.add(u32::from(is_last), 1);
        bits.add(if self.header.is_some() { 2 } else { 1 }, 2);
        bits.flush();
        if let Some(header) = &self.header {
            header.write(bits);
        }
        let codes = huffman::codes(&self.literal_and_length);
        let literals: [Word; 256] = std::array::from_fn(|literal| Word::from(codes[literal]));
        let lengths: [Word; 256] = std::array::from_fn(|length| {
            let symbol = usize::from(LENGTH_SYMBOLS[length]);
            let range = LENGTHS[symbol];
            Word::from(codes[END_OF_BLOCK + 1 + symbol])
                .with(u32::try_from(length).expect("it is below 256"), range)
        });
        let distances = huffman::codes(&self.distance).map(Word::from);
        let mut at = 0;
        for sequence in &found.sequences {
            let run = &bytes[at..][..sequence.literals as usize];
            write_literals(run, &literals, bits);
            at += run.len() + usize::from(sequence.length) + 3;
            lengths[usize::from(sequence.length)].write(bits);
            let symbol = usize::from(sequence.distance_symbol);
            distances[symbol].with(u32::from(sequence.distance), DISTANCES[symbol]).write(bits);
            bits.flush();
        }
        write_literals(&bytes[at..], &literals, bits);
        Word::from(codes[END_OF_BLOCK]).write(bits);
        bits.flush();
    }
}

/// A code and what follows it.
#[derive(Debug, Clone, Copy)]
struct Word {
    bits: u32,
    count: u32,
}

impl From<Code> for Word {
    fn from(code: Code) -> Self {
        Self { bits: u32::from(code.bits), count: u32::from(code.count) }
    }
}

impl Word {
    /// Followed by where in the range of the code the value lies.
    #[inline]
    fn with(self, value: u32, range: Range) -> Self {
        let bits = self.bits | (value - u32::from(range.base)) << self.count;
        Self { bits, count: self.count + u32::from(range.extra_bits) }
    }

    #[inline]
    fn write(self, bits: &mut BitWriter<'_>) {
        bits.add(self.bits, self.count);
    }
}

/// How many literals fit between two flushes.
const LITERALS: usize = ROOM as usize / MAX_BITS;

#[inline]
fn write_literals(run: &[u8], words: &[Word; 256], bits: &mut BitWriter<'_>) {
    let (groups, rest) = run.as_chunks::<LITERALS>();
    for group in groups {
        for literal in group {
            words[usize::from(*literal)].write(bits);
        }
        bits.flush();
    }
    for literal in rest {
        words[usize::from(*literal)].write(bits);
    }
    bits.flush();
}

/// Writes bytes as they are.
pub(super) fn store(bytes: &[u8], is_last: bool, bits: &mut BitWriter<'_>) {
    let mut rest = bytes;
    loop {
        let (chunk, later) = rest.split_at(rest.len().min(STORED_BYTES));
        rest = later;
        let length = u16::try_from(chunk.len()).expect("a chunk has at most 65535 bytes");
        bits.add(u32::from(is_last && rest.is_empty()), 3);
        bits.align();
        bits.bytes(&length.to_le_bytes());
        bits.bytes(&(!length).to_le_bytes());
        bits.bytes(chunk);
        if rest.is_empty() {
            return;
        }
    }
}
