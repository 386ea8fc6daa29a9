//! The alphabets of deflate (RFC 1951, 3.2.5): which symbol stands for which lengths and distances.

/// Literals, the end of a block, and lengths; two more are only in the fixed code.
pub(super) const LITERAL_AND_LENGTH: usize = 288;

/// Distances.
pub(super) const DISTANCE: usize = 30;

/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;

/// A range of values: the symbol is followed by what the value has above the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) base: u16,
    pub(super) extra_bits: u8,
}

/// Lengths less three, from symbol 257 on.
pub(super) const LENGTHS: [Range; 29] = {
    let mut ranges = ranges::<29>(2);
    // The longest match has a symbol of its own.
    ranges[28] = Range { base: 255, extra_bits: 0 };
    ranges
};

/// Distances less one.
pub(super) const DISTANCES: [Range; DISTANCE] = ranges(1);

/// The index in [`LENGTHS`] of a length less three.
pub(super) static LENGTH_SYMBOLS: [u8; 256] = {
    let mut symbols = [0; 256];
    let mut symbol = 0;
    let mut length = 0;
    while length < 256 {
        while symbol < 28 && length >= LENGTHS[symbol as usize + 1].base as usize {
            symbol += 1;
        }
        symbols[length] = symbol;
        length += 1;
    }
    symbols
};

/// The symbols of distances less one below 256, then of every 128th.
static DISTANCE_SYMBOLS: [u8; 512] = {
    let mut symbols = [0; 512];
    let mut index = 0;
    while index < 512 {
        let distance = if index < 256 { index } else { (index - 256) << 7 };
        let mut symbol = 29_u8;
        while (DISTANCES[symbol as usize].base as usize) > distance {
            symbol -= 1;
        }
        symbols[index] = symbol;
        index += 1;
    }
    symbols
};

/// The symbol of a distance less one.
#[inline]
pub(super) fn distance_symbol(distance: u16) -> u8 {
    let distance = usize::from(distance);
    DISTANCE_SYMBOLS[if distance < 256 { distance } else { (256 + (distance >> 7)) & 511 }]
}

/// Ranges that double in size with every `2^per_size_bits` symbols, after twice as many of size one.
const fn ranges<const N: usize>(per_size_bits: u8) -> [Range; N] {
    let mut ranges = [Range { base: 0, extra_bits: 0 }; N];
    let mut symbol = 1_u8;
    while (symbol as usize) < N {
        let before = ranges[symbol as usize - 1];
        let extra_bits = (symbol >> per_size_bits).saturating_sub(1);
        ranges[symbol as usize] =
            Range { base: before.base + (1 << before.extra_bits), extra_bits };
        symbol += 1;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the tables of RFC 1951, 3.2.5.
    #[test]
    fn symbols_stand_for_the_ranges_of_the_specification() {
        for (length, symbol, base, extra_bits) in [
            (3, 257, 3, 0),
            (10, 264, 10, 0),
            (11, 265, 11, 1),
            (18, 268, 17, 1),
            (19, 269, 19, 2),
            (66, 276, 59, 3),
            (130, 280, 115, 4),
            (131, 281, 131, 5),
            (257, 284, 227, 5),
            (258, 285, 258, 0),
        ] {
            let index = usize::from(LENGTH_SYMBOLS[length - 3]);
            assert_eq!(index + 257, symbol, "{length}");
            assert_eq!(LENGTHS[index], Range { base: base - 3, extra_bits }, "{length}");
        }
        for (distance, symbol, base, extra_bits) in [
            (1, 0, 1, 0),
            (4, 3, 4, 0),
            (5, 4, 5, 1),
            (8, 5, 7, 1),
            (256, 15, 193, 6),
            (257, 16, 257, 7),
            (385, 17, 385, 7),
            (24_576, 28, 16_385, 13),
            (24_577, 29, 24_577, 13),
            (32_768, 29, 24_577, 13),
        ] {
            assert_eq!(distance_symbol(distance - 1), symbol, "{distance}");
            let range = Range { base: base - 1, extra_bits };
            assert_eq!(DISTANCES[usize::from(symbol)], range, "{distance}");
        }
    }

    #[test]
    fn every_value_lies_in_the_range_of_its_symbol() {
        let is_within = |value: u16, range: Range| {
            value >= range.base && value - range.base < 1 << range.extra_bits
        };
        for (length, symbol) in (0..).zip(LENGTH_SYMBOLS) {
            assert!(is_within(length, LENGTHS[usize::from(symbol)]), "{length}");
        }
        for distance in 0..1 << 15 {
            let symbol = usize::from(distance_symbol(distance));
            assert!(is_within(distance, DISTANCES[symbol]), "{distance}");
        }
    }
}
