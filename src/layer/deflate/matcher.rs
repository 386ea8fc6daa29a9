//! Finds what came before: greedily, with one table of where each sequence of bytes was last seen.
#![expect(
    clippy::cast_possible_truncation,
    reason = "positions are below 2^21, and a match has a length and distance of deflate"
)]

use super::symbols::{self, DISTANCE, END_OF_BLOCK, LENGTH_SYMBOLS, LITERAL_AND_LENGTH};

/// The longest match of deflate.
const MAX_LENGTH: usize = 258;

/// How far back a match may lie.
const MAX_DISTANCE: usize = super::DICTIONARY_BYTES;

/// What is looked up.
const SEQUENCE_BYTES: usize = 4;

/// Matches that are only as long as what is looked up cost more than literals when they are farther
/// away.
const FAR: usize = 2048;

/// Reads go this far beyond a position.
const LOOK_AHEAD: usize = 8;

const TABLE_BITS: u32 = 15;

/// Every so many positions of a dictionary are known.
const DICTIONARY_STEP: usize = 2;

/// After so many misses in a row, every second position is looked at, and so on.
const PATIENCE_BITS: u32 = 5;

/// But one in so many always, to see where it begins to pay again.
const MAX_STEP: usize = 16;

/// Literals, then a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) literals: u32,
    /// Less one.
    pub(super) distance: u16,
    /// Less three.
    pub(super) length: u8,
    pub(super) distance_symbol: u8,
}

/// What a part of the input consists of: sequences, then literals.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) sequences: Vec<Sequence>,
    /// How often each symbol occurs.
    pub(super) literal_and_length: [u32; LITERAL_AND_LENGTH],
    pub(super) distance: [u32; DISTANCE],
}

impl Default for Found {
    fn default() -> Self {
        let (literal_and_length, distance) = ([0; LITERAL_AND_LENGTH], [0; DISTANCE]);
        Self { sequences: Vec::new(), literal_and_length, distance }
    }
}

impl Found {
    fn clear(&mut self) {
        self.sequences.clear();
        self.literal_and_length = [0; LITERAL_AND_LENGTH];
        self.literal_and_length[END_OF_BLOCK] = 1;
        self.distance = [0; DISTANCE];
    }

    #[inline]
    fn add_literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.literal_and_length[usize::from(*byte)] += 1;
        }
    }

    #[inline]
    fn add_match(&mut self, literals: usize, distance: usize, length: usize) {
        let (distance, length) = ((distance - 1) as u16, (length - 3) as u8);
        let distance_symbol = symbols::distance_symbol(distance);
        self.distance[usize::from(distance_symbol)] += 1;
        let length_symbol = usize::from(LENGTH_SYMBOLS[usize::from(length)]);
        self.literal_and_length[END_OF_BLOCK + 1 + length_symbol] += 1;
        let literals = literals as u32;
        self.sequences.push(Sequence { literals, distance, length, distance_symbol });
    }
}

type Table = [u32; 1 << TABLE_BITS];

/// Knows the input so far.
#[derive(Debug)]
pub(super) struct Matcher {
    /// Where the sequences with a hash were last seen; 0 at first, a position like any other.
    table: Box<Table>,
}

impl Default for Matcher {
    fn default() -> Self {
        let table = vec![0; 1 << TABLE_BITS];
        Self { table: table.try_into().expect("it is as long as a table") }
    }
}

impl Matcher {
    /// Forgets everything but a dictionary.
    pub(super) fn begin(&mut self, dictionary: &[u8]) {
        self.table.fill(0);
        let mut at = 0;
        while at + LOOK_AHEAD <= dictionary.len() {
            self.table[slot(load(dictionary, at))] = at as u32;
            at += DICTIONARY_STEP;
        }
    }

    /// Describes the window from `start` to about `soft_end`, at most to `end`; says to where.
    pub(super) fn find(
        &mut self,
        window: &[u8],
        start: usize,
        soft_end: usize,
        found: &mut Found,
    ) -> usize {
        found.clear();
        let end = window.len();
        let last = soft_end.min(end.saturating_sub(LOOK_AHEAD - 1));
        let table = &mut *self.table;
        let mut anchor = start;
        // What lies in an empty slot is position 0: a candidate like any other, but for itself.
        let mut at = start;
        if at == 0 && last > 0 {
            found.add_literals(&window[..1]);
            at = 1;
        }
        'input: loop {
            let mut patience = 1_usize << PATIENCE_BITS;
            let candidate = loop {
                if at >= last {
                    break 'input;
                }
                let sequence = load(window, at);
                let entry = &mut table[slot(sequence)];
                let candidate = *entry as usize;
                *entry = at as u32;
                let distance = at - candidate;
                if distance <= MAX_DISTANCE {
                    let difference = load(window, candidate) ^ sequence;
                    // Farther away, the fifth byte must be the same, too.
                    if difference << (if distance <= FAR { 32 } else { 24 }) == 0 {
                        break candidate;
                    }
                }
                let step = MAX_STEP.min(patience >> PATIENCE_BITS);
                patience += 1;
                if step == 1 {
                    found.literal_and_length[usize::from(sequence as u8)] += 1;
                    at += 1;
                } else {
                    let next = (at + step).min(last);
                    found.add_literals(&window[at..next]);
                    at = next;
                }
            };
            let length = common(window, candidate, at, MAX_LENGTH.min(end - at));
            found.add_match(at - anchor, at - candidate, length);
            anchor = at + length;
            insert(table, window, at + 1, anchor);
            at = anchor;
        }
        let stop = if last < soft_end { end } else { at };
        found.add_literals(&window[at..stop]);
        stop
    }
}

/// Makes known what lies in a match.
#[inline]
fn insert(table: &mut Table, window: &[u8], from: usize, to: usize) {
    let to = to.min(window.len().saturating_sub(LOOK_AHEAD - 1));
    let mut at = from;
    while at < to {
        table[slot(load(window, at))] = at as u32;
        at += 1;
    }
}

#[inline]
fn load(window: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(window[at..][..8].try_into().expect("eight bytes are eight"))
}

#[inline]
fn slot(sequence: u64) -> usize {
    // Fibonacci hashing: the upper bits of the product are well mixed.
    ((sequence as u32).wrapping_mul(0x9e37_79b1) >> (u32::BITS - TABLE_BITS)) as usize
}

/// How many bytes are the same, at most so many; the first four are.
#[inline]
fn common(window: &[u8], candidate: usize, at: usize, most: usize) -> usize {
    let mut length = SEQUENCE_BYTES;
    while at + length + 8 <= window.len() {
        let difference = load(window, candidate + length) ^ load(window, at + length);
        if difference != 0 {
            return most.min(length + (difference.trailing_zeros() / 8) as usize);
        }
        length += 8;
        if length >= most {
            return most;
        }
    }
    while length < most && window[candidate + length] == window[at + length] {
        length += 1;
    }
    length.min(most)
}
