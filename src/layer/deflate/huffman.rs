//! Huffman codes of limited length (RFC 1951, 3.2.2).

/// The longest code of literals, lengths and distances.
pub(super) const MAX_BITS: usize = 15;

/// Symbols are below this.
const SYMBOL_BITS: u32 = 9;

/// A code, its first bit lowest, and how many bits it has; none when the symbol does not occur.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) count: u8,
}

/// The lengths of codes that make symbols of these frequencies short, none above `most`.
///
/// There are always at least two codes, and every sequence of bits is one or begins with one: some
/// readers insist on both.
pub(super) fn lengths<const N: usize>(frequencies: &[u32; N], most: usize) -> [u8; N] {
    let mut lengths = [0; N];
    let mut symbols: Vec<u64> = frequencies
        .iter()
        .zip(0_u64..)
        .filter(|(frequency, _)| **frequency > 0)
        .map(|(frequency, symbol)| u64::from(*frequency) << SYMBOL_BITS | symbol)
        .collect();
    if symbols.len() < 2 {
        let used = symbols.first().map_or(0, |symbol| index(*symbol));
        lengths[used] = 1;
        lengths[usize::from(used == 0)] = 1;
        return lengths;
    }
    symbols.sort_unstable();
    let mut weights: Vec<u64> = symbols.iter().map(|symbol| symbol >> SYMBOL_BITS).collect();
    let mut rest = limited(&mut weights, most).into_iter().enumerate().rev();
    let mut length = (0, 0);
    // The rarest come first and get the longest codes.
    for symbol in symbols {
        while length.1 == 0 {
            length = rest.next().expect("there are as many codes as symbols");
        }
        lengths[index(symbol)] = u8::try_from(length.0).expect("codes have at most 15 bits");
        length.1 -= 1;
    }
    lengths
}

fn index(symbol: u64) -> usize {
    usize::try_from(symbol & ((1 << SYMBOL_BITS) - 1)).expect("symbols have nine bits")
}

/// How many codes there are of each length, at most so long.
fn limited(weights: &mut [u64], most: usize) -> [u32; MAX_BITS + 1] {
    set_depths(weights);
    let mut counts = [0_u32; MAX_BITS + 1];
    for depth in weights {
        counts[most.min(usize::try_from(*depth).expect("there are few symbols"))] += 1;
    }
    // What was shortened takes more than there is (Kraft's sum): some other code makes room for it.
    let mut taken: u64 =
        (1..=most).map(|length| u64::from(counts[length]) << (most - length)).sum();
    while taken > 1 << most {
        counts[most] -= 1;
        let split = (1..most).rev().find(|length| counts[*length] > 0);
        let split = split.expect("codes that take too much are not all of the greatest length");
        counts[split] -= 1;
        counts[split + 1] += 2;
        taken -= 1;
    }
    counts
}

/// Replaces weights, rising, by the depths of the leaves of a Huffman tree, falling
/// (Moffat and Katajainen, In-place calculation of minimum-redundancy codes, 1995).
fn set_depths(weights: &mut [u64]) {
    let count = weights.len();
    // The inner nodes, from left to right: their weights, then the parents of those that have one.
    let (mut leaf, mut root) = (0, 0);
    for next in 0..count - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf >= count || (root < next && weights[root] < weights[leaf]) {
                weight += weights[root];
                weights[root] = next as u64;
                root += 1;
            } else {
                weight += weights[leaf];
                leaf += 1;
            }
        }
        weights[next] = weight;
    }
    // Their depths, from the root down.
    weights[count - 2] = 0;
    for next in (0..count - 2).rev() {
        let parent = usize::try_from(weights[next]).expect("it is an index");
        weights[next] = weights[parent] + 1;
    }
    // The depths of the leaves: at each depth, what is no inner node is one.
    let (mut available, mut depth) = (1_usize, 0);
    let (mut inner, mut next) = (count - 1, count);
    while available > 0 {
        let mut used = 0;
        while inner > 0 && weights[inner - 1] == depth {
            used += 1;
            inner -= 1;
        }
        for _ in used..available {
            next -= 1;
            weights[next] = depth;
        }
        available = 2 * used;
        depth += 1;
    }
}

/// The codes of these lengths: by length, then by symbol.
pub(super) fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut counts = [0_u16; MAX_BITS + 1];
    for length in lengths {
        counts[usize::from(*length)] += 1;
    }
    counts[0] = 0;
    let mut next = [0_u16; MAX_BITS + 1];
    for length in 1..=MAX_BITS {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    lengths.map(|count| {
        if count == 0 {
            return Code::default();
        }
        let code = &mut next[usize::from(count)];
        let bits = code.reverse_bits() >> (16 - count);
        *code += 1;
        Code { bits, count }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of 2^-length, in units of the longest.
    fn kraft(lengths: &[u8]) -> u32 {
        lengths.iter().filter(|length| **length > 0).map(|length| 1 << (15 - length)).sum()
    }

    #[test]
    fn frequent_symbols_get_short_codes() {
        for (frequencies, most, expected) in [
            ([0, 0, 0, 0, 0, 0], 15, [1, 1, 0, 0, 0, 0]),
            ([9, 0, 0, 0, 0, 0], 15, [1, 1, 0, 0, 0, 0]),
            ([0, 0, 9, 0, 0, 0], 15, [1, 0, 1, 0, 0, 0]),
            ([0, 5, 9, 0, 0, 0], 15, [0, 1, 1, 0, 0, 0]),
            ([1, 1, 1, 1, 0, 0], 15, [2, 2, 2, 2, 0, 0]),
            ([45, 13, 12, 16, 9, 5], 15, [1, 3, 3, 3, 4, 4]),
            ([1, 1, 2, 3, 5, 8], 15, [5, 5, 4, 3, 2, 1]),
            ([1, 1, 2, 3, 5, 8], 4, [4, 4, 4, 4, 2, 1]),
            ([1, 1, 2, 3, 5, 8], 3, [3, 3, 3, 3, 2, 2]),
        ] {
            assert_eq!(lengths(&frequencies, most), expected, "{frequencies:?} {most}");
        }
    }

    #[test]
    fn codes_are_never_too_long_and_leave_nothing_over() {
        let mut fibonacci = [1_u32; 40];
        for index in 2..40 {
            fibonacci[index] = fibonacci[index - 1] + fibonacci[index - 2];
        }
        assert_eq!(kraft(&lengths(&fibonacci, 15)), 1 << 15);
        assert_eq!(lengths(&fibonacci, 15).into_iter().max(), Some(15));
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bits = random.u32(1..20);
            let frequencies: [u32; 288] =
                std::array::from_fn(|_| random.u32(..1 << bits) >> random.u32(..bits));
            let lengths = lengths(&frequencies, 15);
            assert_eq!(kraft(&lengths), 1 << 15, "{seed}");
            let order = |one: usize, other: usize| {
                frequencies[one] <= frequencies[other] || lengths[one] <= lengths[other]
            };
            let used: Vec<usize> = (0..288).filter(|symbol| frequencies[*symbol] > 0).collect();
            assert!(used.iter().all(|one| used.iter().all(|other| order(*one, *other))), "{seed}");
            let few: [u32; 19] = std::array::from_fn(|symbol| frequencies[symbol]);
            assert_eq!(kraft(&super::lengths(&few, 7)), 1 << 15, "{seed}");
            assert!(super::lengths(&few, 7).iter().all(|length| *length <= 7), "{seed}");
        }
    }

    /// The example of RFC 1951, 3.2.2, each code with its first bit lowest.
    #[test]
    fn codes_are_those_of_the_specification() {
        let codes = codes(&[3, 3, 3, 3, 3, 2, 4, 4]).map(|code| (code.bits, code.count));
        let expected = [
            (0b010, 3),
            (0b110, 3),
            (0b001, 3),
            (0b101, 3),
            (0b011, 3),
            (0b00, 2),
            (0b0111, 4),
            (0b1111, 4),
        ];
        assert_eq!(codes, expected);
    }
}
