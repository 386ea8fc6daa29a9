//! What a block with its own codes begins with: their lengths, themselves coded (RFC 1951, 3.2.7).

use super::bits::BitWriter;
use super::huffman::{self, Code};
use super::symbols::{DISTANCE, END_OF_BLOCK, LITERAL_AND_LENGTH};

/// The alphabet of lengths: 0 to 15, three repetitions.
const ALPHABET: usize = 19;

/// The longest code of a length.
const MAX_BITS: usize = 7;

/// In which order the lengths of these codes are written: those that are often zero come last.
const ORDER: [usize; ALPHABET] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How many bits follow a symbol.
const EXTRA_BITS: [u8; ALPHABET] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

/// A header, ready to be written.
#[derive(Debug)]
pub(super) struct Header {
    literals: usize,
    distances: usize,
    /// Symbols and what follows them.
    symbols: Vec<(u8, u8)>,
    lengths: [u8; ALPHABET],
    written: usize,
    /// Its size.
    pub(super) bits: u64,
}

impl Header {
    pub(super) fn new(
        literal_and_length: &[u8; LITERAL_AND_LENGTH],
        distance: &[u8; DISTANCE],
    ) -> Self {
        let used = |lengths: &[u8]| lengths.iter().rposition(|length| *length > 0);
        let literals = used(literal_and_length).map_or(0, |last| last + 1).max(END_OF_BLOCK + 1);
        let distances = used(distance).map_or(1, |last| last + 1);
        let all = [&literal_and_length[..literals], &distance[..distances]].concat();
        let symbols = repeated(&all);
        let mut frequencies = [0; ALPHABET];
        for (symbol, _) in &symbols {
            frequencies[usize::from(*symbol)] += 1;
        }
        let lengths = huffman::lengths(&frequencies, MAX_BITS);
        let written =
            ORDER.iter().rposition(|symbol| lengths[*symbol] > 0).map_or(0, |last| last + 1).max(4);
        let cost = |symbol: usize| u64::from(lengths[symbol] + EXTRA_BITS[symbol]);
        let coded: u64 =
            (0..ALPHABET).map(|symbol| u64::from(frequencies[symbol]) * cost(symbol)).sum();
        let bits = 14 + 3 * written as u64 + coded;
        Self { literals, distances, symbols, lengths, written, bits }
    }

    pub(super) fn write(&self, bits: &mut BitWriter<'_>) {
        let above =
            |count: usize, least: usize| u32::try_from(count - least).expect("alphabets are small");
        bits.add(above(self.literals, 257), 5);
        bits.add(above(self.distances, 1), 5);
        bits.add(above(self.written, 4), 4);
        bits.flush();
        for symbol in &ORDER[..self.written] {
            bits.add(u32::from(self.lengths[*symbol]), 3);
            bits.flush();
        }
        let codes = huffman::codes(&self.lengths);
        for (symbol, extra) in &self.symbols {
            let Code { bits: code, count } = codes[usize::from(*symbol)];
            bits.add(u32::from(code), u32::from(count));
            bits.add(u32::from(*extra), u32::from(EXTRA_BITS[usize::from(*symbol)]));
            bits.flush();
        }
    }
}

/// Lengths as symbols: runs become repetitions.
fn repeated(lengths: &[u8]) -> Vec<(u8, u8)> {
    let mut symbols = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|one, next| one == next) {
        let value = run[0];
        let mut rest = run.len();
        if value > 0 {
            symbols.push((value, 0));
            rest -= 1;
        }
        while rest >= 3 {
            let (symbol, least, most) = match (value, rest) {
                (0, 11..) => (18, 11, 138),
                (0, _) => (17, 3, 10),
                _ => (16, 3, 6),
            };
            let now = rest.min(most);
            symbols.push((symbol, u8::try_from(now - least).expect("at most 127")));
            rest -= now;
        }
        symbols.extend(std::iter::repeat_n((value, 0), rest));
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_lengths_become_repetitions() {
        let nine = |count: usize| vec![9; count];
        let zero = |count: usize| vec![0; count];
        for (lengths, expected) in [
            (nine(1), vec![(9, 0)]),
            (nine(3), vec![(9, 0), (9, 0), (9, 0)]),
            (nine(4), vec![(9, 0), (16, 0)]),
            (nine(9), vec![(9, 0), (16, 3), (9, 0), (9, 0)]),
            (zero(2), vec![(0, 0), (0, 0)]),
            (zero(3), vec![(17, 0)]),
            (zero(10), vec![(17, 7)]),
            (zero(11), vec![(18, 0)]),
            (zero(140), vec![(18, 127), (0, 0), (0, 0)]),
            ([nine(1), zero(4), nine(2)].concat(), vec![(9, 0), (17, 1), (9, 0), (9, 0)]),
        ] {
            assert_eq!(repeated(&lengths), expected, "{lengths:?}");
        }
    }

    #[test]
    fn the_size_is_what_is_written() {
        let mut literal_and_length = [0; LITERAL_AND_LENGTH];
        literal_and_length[97..101].fill(3);
        literal_and_length[END_OF_BLOCK] = 1;
        let mut distance = [0; DISTANCE];
        distance[..2].fill(1);
        let header = Header::new(&literal_and_length, &distance);
        let mut output = [0; 64];
        let mut bits = BitWriter::new(&mut output);
        header.write(&mut bits);
        assert_eq!(bits.finish() as u64, header.bits.div_ceil(8));
    }
}
