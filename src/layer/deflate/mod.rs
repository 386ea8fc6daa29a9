//! A piece of a deflate stream (RFC 1951), by an encoder of our own: `flate2` only reads.
//!
//! The compressor is what packing waits for, and decides digests. This one is made for layers: it
//! looks for matches greedily (`matcher.rs`), gives every 64 KiB codes of their own (`huffman.rs`,
//! `header.rs`), and stores what that does not shorten (`block.rs`). What is compressed already
//! costs little, since the matcher looks at less and less of where it finds nothing.
//!
//! A function of the block and nothing else: integers alone, no threads, no time, and tables that
//! are cleared for every block.

mod bits;
mod block;
mod header;
mod huffman;
mod matcher;
mod symbols;
#[cfg(test)]
mod tests;

use self::bits::BitWriter;
use self::block::Coding;
#[cfg(test)]
pub(super) use self::block::STORED_BYTES;
use self::matcher::{Found, Matcher};

/// How much input makes a block.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// How far back deflate can refer.
pub(super) const DICTIONARY_BYTES: usize = 32 * 1024;

/// A dictionary and a block.
pub(super) const WINDOW_BYTES: usize = DICTIONARY_BYTES + BLOCK_BYTES;

/// After how much input there are new codes.
const CODED_BYTES: usize = 64 * 1024;

/// More than any block becomes: what does not compress grows by a few bytes in 64 KiB.
const OUTPUT_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 1024;

/// A piece of the stream, and what is needed to deflate it.
#[derive(Debug)]
pub(super) struct Block {
    /// The input just before it, at most [`DICTIONARY_BYTES`], then its own, at most
    /// [`BLOCK_BYTES`].
    pub(super) window: Vec<u8>,
    /// Where its own begins.
    pub(super) start: usize,
    /// Whether it ends the stream.
    pub(super) is_last: bool,
}

/// What became of a block.
#[derive(Debug)]
pub(super) struct Deflated {
    /// A part of a deflate stream that ends on a byte boundary.
    pub(super) output: Vec<u8>,
    /// The window, for its memory.
    pub(super) input: Vec<u8>,
}

/// Deflates one block after the other.
#[derive(Debug, Default)]
pub(super) struct Deflater {
    matcher: Matcher,
    found: Box<Found>,
    /// Zeroed once, not for every block.
    scratch: Vec<u8>,
}

impl Deflater {
    /// Deflates a block.
    pub(super) fn deflate(&mut self, block: Block) -> Deflated {
        let Block { window, start, is_last } = block;
        if self.scratch.is_empty() {
            self.scratch = vec![0; OUTPUT_BYTES];
        }
        let mut bits = BitWriter::new(&mut self.scratch);
        self.matcher.begin(&window[..start]);
        // What lies between the two is stored, as one.
        let (mut stored, mut at) = (start, start);
        loop {
            let end = self.matcher.find(&window, at, at + CODED_BYTES, &mut self.found);
            let is_end = end == window.len();
            if let Some(coding) = Coding::choose(end - at, &self.found) {
                if stored < at {
                    block::store(&window[stored..at], false, &mut bits);
                }
                coding.write(&window[at..end], &self.found, is_last && is_end, &mut bits);
                stored = end;
            }
            at = end;
            if is_end {
                break;
            }
        }
        // A stored block ends on a byte boundary, even an empty one (a sync flush).
        if stored < at || !is_last {
            block::store(&window[stored..], is_last, &mut bits);
        }
        let length = bits.finish();
        Deflated { output: self.scratch[..length].to_vec(), input: window }
    }
}
