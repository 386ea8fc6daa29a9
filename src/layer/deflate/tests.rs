//! What is deflated comes back, whatever it is and however it is cut.

use std::iter::repeat_with;

use flate2::{Decompress, FlushDecompress, Status};

use super::matcher::{Found, Matcher};
use super::*;

/// The lengths of blocks, over and over, each with what is before it as dictionary.
fn stream(input: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut deflater = Deflater::default();
    let (mut stream, mut at) = (Vec::new(), 0);
    for length in lengths.iter().cycle() {
        let (begin, end) = (at - at.min(DICTIONARY_BYTES), input.len().min(at + length));
        let window = input[begin..end].to_vec();
        let block = Block { window, start: at - begin, is_last: end == input.len() };
        stream.extend_from_slice(&deflater.deflate(block).output);
        at = end;
        if at == input.len() {
            break;
        }
    }
    stream
}

/// `zlib-rs` as a judge: it must see an end, and nothing after it.
fn inflate(stream: &[u8], length: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(length + 1);
    let mut decompress = Decompress::new(false);
    let status = decompress.decompress_vec(stream, &mut output, FlushDecompress::Finish).unwrap();
    assert_eq!((status, decompress.total_in()), (Status::StreamEnd, stream.len() as u64));
    output
}

#[track_caller]
fn assert_round_trip(input: &[u8], lengths: &[usize]) -> usize {
    let stream = stream(input, lengths);
    assert!(inflate(&stream, input.len()) == input, "{} bytes by {lengths:?}", input.len());
    stream.len()
}

fn noise(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    repeat_with(|| random.u8(..)).take(length).collect()
}

fn text(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    let words = ["def ", "return ", "self.", "value", "\n    ", "import ", "(", ") ", "x", "élan"];
    let mut text = Vec::new();
    while text.len() < length {
        text.extend_from_slice(random.choice(words).unwrap_or_default().as_bytes());
    }
    text.truncate(length);
    text
}

/// Parts of every kind, among them repetitions of what was before.
fn mixture(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < length {
        let part = random.usize(1..=length.div_ceil(3));
        match random.u8(..5) {
            0 => bytes.extend(noise(random, part)),
            1 => bytes.extend(text(random, part)),
            2 => bytes.extend(std::iter::repeat_n(random.u8(..), part)),
            3 => bytes.extend(repeat_with(|| random.u8(b'a'..b'e')).take(part)),
            _ => {
                let start = random.usize(..=bytes.len());
                let end = bytes.len().min(start + part);
                bytes.extend_from_within(start..end);
            }
        }
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn every_short_length_comes_back() {
    let mut random = fastrand::Rng::with_seed(1);
    let (noise, text, zeros) = (noise(&mut random, 1000), text(&mut random, 1000), [0; 1000]);
    for length in 0..=1000 {
        for input in [&noise[..length], &text[..length], &zeros[..length]] {
            assert_round_trip(input, &[BLOCK_BYTES]);
        }
    }
}

#[test]
fn lengths_around_every_edge_come_back() {
    for edge in [8 * 1024, DICTIONARY_BYTES, CODED_BYTES, STORED_BYTES, 2 * CODED_BYTES] {
        for length in edge - 9..=edge + 9 {
            let mut random = fastrand::Rng::with_seed(length as u64);
            assert_round_trip(&mixture(&mut random, length), &[BLOCK_BYTES]);
        }
    }
    for length in [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, BLOCK_BYTES + CODED_BYTES] {
        let mut random = fastrand::Rng::with_seed(length as u64);
        assert_round_trip(&mixture(&mut random, length), &[BLOCK_BYTES]);
    }
}

#[test]
fn thousands_of_mixtures_come_back_however_they_are_cut() {
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let most = *random.choice(&[20, 300, 3000]).unwrap();
        let length = random.usize(..=most);
        let input = mixture(&mut random, length);
        let lengths: Vec<usize> =
            (0..3).map(|_| random.usize(1 + length / 3..=1 + length)).collect();
        assert_round_trip(&input, &lengths);
    }
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let length = random.usize(100_000..300_000);
        let lengths = [random.usize(30_000..=length), random.usize(30_000..=length)];
        assert_round_trip(&mixture(&mut random, length), &lengths);
    }
}

#[test]
fn literals_alone_and_codes_as_long_as_they_may_be_come_back() {
    // Fibonacci's numbers make the deepest trees: far deeper than 15.
    let mut counts = vec![1, 1];
    while counts.len() < 23 {
        counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
    }
    let mut bytes: Vec<u8> =
        (b'A'..).zip(&counts).flat_map(|(byte, count)| vec![byte; *count]).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut bytes);
    for length in [1000, CODED_BYTES, bytes.len()] {
        assert_round_trip(&bytes[..length], &[BLOCK_BYTES]);
    }
    // Each value once: no match, no distance.
    let once: Vec<u8> = (0..=255).collect();
    assert_eq!(assert_round_trip(&once, &[BLOCK_BYTES]), 256 + 5);
    let twelve: Vec<u8> = (0..3000_u32).map(|number| (number * number / 7 % 12) as u8).collect();
    assert!(assert_round_trip(&twelve, &[BLOCK_BYTES]) < 3000 / 2);
}

/// What is found in an input: literals, distances and lengths.
fn found(input: &[u8]) -> Vec<(usize, usize, usize)> {
    let (mut matcher, mut found) = (Matcher::default(), Found::default());
    matcher.begin(&[]);
    assert_eq!(matcher.find(input, 0, input.len(), &mut found), input.len());
    let row = |sequence: &matcher::Sequence| {
        let distance = usize::from(sequence.distance) + 1;
        (sequence.literals as usize, distance, usize::from(sequence.length) + 3)
    };
    found.sequences.iter().map(row).collect()
}

#[test]
fn matches_are_as_long_and_as_far_away_as_they_may_be() {
    let zeros = [7; 1 + 258 + 258 + 20];
    assert_eq!(found(&zeros), [(1, 1, 258), (0, 1, 258), (0, 1, 20)]);
    assert_round_trip(&zeros, &[BLOCK_BYTES]);

    let marker = noise(&mut fastrand::Rng::with_seed(3), 64);
    for (distance, is_within) in [(32_767, true), (32_768, true), (32_769, false)] {
        let input = [&marker[..], &vec![0; distance - marker.len()], &marker].concat();
        let last = found(&input).last().map(|(_, distance, length)| (*distance, *length));
        assert_eq!(last == Some((distance, marker.len())), is_within, "{distance}: {last:?}");
        assert_round_trip(&input, &[BLOCK_BYTES]);
    }
}

/// A cut loses little: the dictionary reaches across it.
#[test]
fn blocks_share_their_dictionary() {
    let mut random = fastrand::Rng::with_seed(1);
    let page: Vec<u8> = repeat_with(|| random.u8(b'a'..=b'z')).take(DICTIONARY_BYTES / 2).collect();
    let deflated = |start: usize, window: Vec<u8>| {
        Deflater::default().deflate(Block { window, start, is_last: true }).output.len()
    };
    assert!(deflated(page.len(), page.repeat(2)) * 20 < deflated(0, page));
}

#[test]
fn a_used_deflater_gives_what_a_fresh_one_gives() {
    let mut deflater = Deflater::default();
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let length = random.usize(..200_000);
        let window = mixture(&mut random, length);
        let start = random.usize(..=length.min(DICTIONARY_BYTES));
        let block = || Block { window: window.clone(), start, is_last: seed % 2 == 0 };
        let output = deflater.deflate(block()).output;
        assert!(output == Deflater::default().deflate(block()).output, "{seed}");
    }
}

#[test]
fn noise_is_stored_in_as_few_pieces_as_it_can_be() {
    let noise = noise(&mut fastrand::Rng::with_seed(1), BLOCK_BYTES);
    for length in [127 * 1024, BLOCK_BYTES] {
        let window = noise[..length].to_vec();
        let output = Deflater::default().deflate(Block { window, start: 0, is_last: false }).output;
        assert_eq!(output.len(), length + 5 * length.div_ceil(STORED_BYTES), "{length}");
    }
    let empty = Block { window: Vec::new(), start: 0, is_last: false };
    // A code that ends at once, then a sync flush.
    assert!(Deflater::default().deflate(empty).output.ends_with(&[0, 0, 0xff, 0xff]));
}
