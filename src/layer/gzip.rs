//! gzip, deflated in parallel, with bytes that do not depend on how many threads do it.
//!
//! The input is cut into blocks of 1 MiB. Each is deflated on its own, with the 32 KiB before it
//! as dictionary so that little is lost at the cut, and ends on a byte boundary (a sync flush); the
//! last one ends the stream. Put together they are one deflate stream in one gzip member: readers
//! that stop after the first member exist (Python's `r|gz`, zlib's one-shot decoders).
//!
//! A block's bytes are a function of the block and its dictionary, never of the thread, of time or
//! of how the input was cut into writes. Changing them means raising
//! [`writer_version`](super::writer_version).

use std::collections::VecDeque;
use std::io::{self, Write};

use super::compressors::{Compressors, Pending};
use super::deflate::{BLOCK_BYTES, Block, DICTIONARY_BYTES, Deflated, Deflater};

/// Magic, deflate, no flags, no time, no hint about the level, unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Compresses what is written to it, in order, with bounded memory.
///
/// It holds the block that is being filled, and what the [`Compressors`] have room for.
/// [`Write::flush`] does nothing: the blocks are cut by position alone.
#[derive(Debug)]
pub struct GzipWriter<W> {
    inner: W,
    compressors: Compressors,
    /// What came before the block that is being filled, and the block.
    window: Vec<u8>,
    /// Where the block begins.
    start: usize,
    /// What is being deflated, oldest first.
    pending: VecDeque<Pending>,
    /// Does what the others have no room for, and the end.
    deflater: Deflater,
    checksum: crc32fast::Hasher,
    /// The size of the input modulo 2^32, as the trailer has it.
    size_bytes: u32,
    has_header: bool,
}

impl<W: Write> GzipWriter<W> {
    /// Begins a member.
    pub fn new(inner: W, compressors: &Compressors) -> Self {
        Self {
            inner,
            compressors: compressors.clone(),
            // It grows: most layers are small.
            window: Vec::new(),
            start: 0,
            pending: VecDeque::new(),
            deflater: Deflater::default(),
            checksum: crc32fast::Hasher::new(),
            size_bytes: 0,
            has_header: false,
        }
    }

    /// Ends the member and gives back the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        let window = std::mem::take(&mut self.window);
        // The last block, of a small layer the only one, needs no other thread; meanwhile they end
        // those before it.
        let last = self.deflater.deflate(Block { window, start: self.start, is_last: true });
        while let Some(oldest) = self.pending.pop_front() {
            self.write_deflated(oldest.wait()?)?;
        }
        self.write_deflated(last)?;
        let trailer = [self.checksum.finalize().to_le_bytes(), self.size_bytes.to_le_bytes()];
        self.inner.write_all(&trailer.concat())?;
        Ok(self.inner)
    }

    /// Hands over the block that is full, and writes what must be written to make room for it.
    fn dispatch(&mut self) -> io::Result<()> {
        let mut next = self.compressors.buffer();
        next.extend_from_slice(&self.window[self.window.len() - DICTIONARY_BYTES..]);
        let window = std::mem::replace(&mut self.window, next);
        let start = std::mem::replace(&mut self.start, DICTIONARY_BYTES);
        let mut block = Block { window, start, is_last: false };
        loop {
            match self.compressors.start(block) {
                Ok(pending) => {
                    self.pending.push_back(pending);
                    return Ok(());
                }
                Err(refused) => block = refused,
            }
            let Some(oldest) = self.pending.pop_front() else {
                let deflated = self.deflater.deflate(block);
                return self.write_deflated(deflated);
            };
            self.write_deflated(oldest.wait()?)?;
        }
    }

    fn write_deflated(&mut self, deflated: Deflated) -> io::Result<()> {
        if !self.has_header {
            self.inner.write_all(&HEADER)?;
            self.has_header = true;
        }
        self.inner.write_all(&deflated.output)?;
        self.compressors.reuse(deflated.input);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // A full block waits for more, because the last one of the stream ends differently.
            if self.window.len() == self.start + BLOCK_BYTES {
                self.dispatch()?;
            }
            let room = self.start + BLOCK_BYTES - self.window.len();
            let (now, later) = rest.split_at(rest.len().min(room));
            self.window.extend_from_slice(now);
            self.checksum.update(now);
            self.size_bytes = self
                .size_bytes
                .wrapping_add(u32::try_from(now.len()).expect("a block has at most 1 MiB"));
            rest = later;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::deflate::STORED_BYTES;
    use super::super::writer_version;
    use super::*;
    use crate::oci::Digest;
    use crate::plan::LayerCompression;

    /// Text in the middle of random bytes: blocks of both kinds, and of each next to the other.
    fn input(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(length as u64);
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let run = random.usize(1..2 * BLOCK_BYTES).min(length - bytes.len());
            if random.bool() {
                bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(run));
            } else {
                bytes.extend(std::iter::repeat_with(|| random.u8(b'a'..b'f')).take(run));
            }
        }
        bytes
    }

    fn gzip(bytes: &[u8], threads: usize, write_bytes: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), &Compressors::new(threads));
        for piece in bytes.chunks(write_bytes) {
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap()
    }

    fn gunzip_first_member(bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(bytes);
        decoder.read_to_end(&mut output).unwrap();
        assert_eq!(decoder.into_inner(), b"", "nothing follows the first member");
        output
    }

    #[test]
    fn one_member_gives_the_input_back_whatever_its_length() {
        let edges = [DICTIONARY_BYTES, STORED_BYTES, BLOCK_BYTES, 2 * BLOCK_BYTES, 3 * BLOCK_BYTES];
        let around = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
        for length in [0, 1, 100].into_iter().chain(around) {
            let input = input(length);
            let output = gzip(&input, 2, 777_777);
            assert!(gunzip_first_member(&output) == input, "{length}");
            assert_eq!(output[..10], HEADER);
        }
    }

    /// L37.
    #[test]
    fn bytes_depend_neither_on_threads_nor_on_the_size_of_writes() {
        let input = input(7 * BLOCK_BYTES + 12_345);
        let expected = gzip(&input, 1, input.len());
        for (threads, write_bytes) in
            [(0, 4096), (1, 512), (2, 65_536), (3, 1_000_003), (8, 1 << 30)]
        {
            assert!(gzip(&input, threads, write_bytes) == expected, "{threads} {write_bytes}");
        }
    }

    /// Whoever changes these bytes must raise the writer version.
    #[test]
    fn bytes_of_this_writer_version() {
        let lines: Vec<_> = (0..300_000).map(|number| format!("line {number}\n")).collect();
        let text = lines.concat();
        let output = gzip(text.as_bytes(), 2, 100_000);
        assert_eq!(
            (writer_version(LayerCompression::Gzip), Digest::of(&output).to_string().as_str()),
            (
                "tar1-gzip3",
                "sha256:98aa9ce923bbef612f5c2ef63fffe995bd493e87433173ba92116fdc0b3c8401"
            )
        );
        assert_eq!(gzip(b"", 1, 1), [&HEADER[..], &[3, 0], &[0; 8]].concat());
    }

    #[test]
    fn what_does_not_compress_costs_five_bytes_in_64_kib() {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> =
            std::iter::repeat_with(|| random.u8(..)).take(4 * BLOCK_BYTES).collect();
        let stored_chunks = 4 * BLOCK_BYTES.div_ceil(STORED_BYTES);
        assert_eq!(gzip(&noise, 2, 4096).len(), noise.len() + 5 * stored_chunks + 18);
    }

    #[test]
    fn an_error_of_the_writer_comes_out_and_a_dropped_writer_ends_its_threads() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for threads in [1, 3] {
            let mut writer = GzipWriter::new(Full(BLOCK_BYTES), &Compressors::new(threads));
            let mut random = fastrand::Rng::with_seed(1);
            let noise: Vec<u8> =
                std::iter::repeat_with(|| random.u8(..)).take(BLOCK_BYTES).collect();
            let error = std::iter::repeat_with(|| writer.write_all(&noise)).find_map(Result::err);
            assert_eq!(error.unwrap().kind(), io::ErrorKind::StorageFull);
        }
    }
}
