//! gzip, deflated in parallel, with bytes that do not depend on how many threads do it.
//!
//! The input is cut into blocks of 1 MiB. Each is deflated on its own, with the 32 KiB before it
//! as dictionary so that little is lost at the cut, and ends on a byte boundary (a sync flush); the
//! last one ends the stream. Put together they are one deflate stream in one gzip member: readers
//! that stop after the first member exist (Python's `r|gz`, zlib's one-shot decoders).
//!
//! A block's bytes are a function of the block and its dictionary, never of the thread, of time or
//! of how the input was cut into writes. They do depend on the compressor: `flate2` and `zlib-rs`
//! are pinned exactly, and raising one means raising [`WRITER_VERSION`](super::WRITER_VERSION).

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::deflate::{BLOCK_BYTES, Block, DICTIONARY_BYTES, Deflated, Deflater};

/// More threads would wait for the one that hashes the input, and hold memory meanwhile.
const MAX_THREADS: usize = 12;

/// Magic, deflate, no flags, no time, no hint about the level, unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Compresses what is written to it, in order, with bounded memory.
///
/// It holds at most two blocks per thread beside the one that is being filled, waits for the oldest
/// when there are more, and uses their memory again. [`Write::flush`] does nothing: the blocks are cut by position alone.
#[derive(Debug)]
pub struct GzipWriter<W> {
    inner: W,
    /// The block that is being filled.
    block: Vec<u8>,
    /// What came before it.
    dictionary: Vec<u8>,
    /// Buffers of blocks that are done.
    spare: Vec<Vec<u8>>,
    checksum: crc32fast::Hasher,
    /// The size of the input modulo 2^32, as the trailer has it.
    size_bytes: u32,
    workers: Workers,
    has_header: bool,
}

impl<W: Write> GzipWriter<W> {
    /// Begins a member. With one thread or none, the caller's own does the work.
    pub fn new(inner: W, threads: usize) -> Self {
        Self {
            inner,
            block: Vec::new(),
            dictionary: Vec::new(),
            spare: Vec::new(),
            checksum: crc32fast::Hasher::new(),
            size_bytes: 0,
            workers: Workers::start(threads),
            has_header: false,
        }
    }

    /// Ends the member and gives back the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.dispatch(true)?;
        while let Some(deflated) = self.workers.take_oldest()? {
            self.write_deflated(deflated)?;
        }
        let trailer = [self.checksum.finalize().to_le_bytes(), self.size_bytes.to_le_bytes()];
        self.inner.write_all(&trailer.concat())?;
        Ok(self.inner)
    }

    /// Hands the block to a worker, and writes what must be written to make room for it.
    fn dispatch(&mut self, is_last: bool) -> io::Result<()> {
        if !self.has_header {
            self.inner.write_all(&HEADER)?;
            self.has_header = true;
        }
        let next = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES));
        let bytes = std::mem::replace(&mut self.block, next);
        let next = bytes[bytes.len().saturating_sub(DICTIONARY_BYTES)..].to_vec();
        let dictionary = std::mem::replace(&mut self.dictionary, next);
        if let Some(deflated) = self.workers.add(Block { dictionary, bytes, is_last })? {
            self.write_deflated(deflated)?;
        }
        Ok(())
    }

    fn write_deflated(&mut self, deflated: Deflated) -> io::Result<()> {
        self.inner.write_all(&deflated.output)?;
        let mut spare = deflated.input;
        spare.clear();
        self.spare.push(spare);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // A full block waits for more, because the last one of the stream ends differently.
            if self.block.len() == BLOCK_BYTES {
                self.dispatch(false)?;
            }
            let (now, later) = rest.split_at(rest.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
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

/// Threads that deflate blocks; what they made is taken in the order in which it was asked for.
#[derive(Debug)]
struct Workers {
    /// Where blocks are handed over; absent when the caller's thread does the work.
    jobs: Option<SyncSender<Job>>,
    own: Deflater,
    threads: Vec<JoinHandle<()>>,
    /// What is being deflated, oldest first.
    pending: VecDeque<Receiver<Deflated>>,
}

type Job = (Block, SyncSender<Deflated>);

impl Workers {
    fn start(threads: usize) -> Self {
        let mut workers = Self {
            jobs: None,
            own: Deflater::default(),
            threads: Vec::new(),
            pending: VecDeque::new(),
        };
        if threads <= 1 {
            return workers;
        }
        let threads = threads.min(MAX_THREADS);
        let (jobs, queue) = sync_channel(threads);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            let builder = std::thread::Builder::new().name(format!("deflate-{number}"));
            match builder.spawn(move || work(&queue)) {
                Ok(thread) => workers.threads.push(thread),
                // Fewer threads give the same bytes, later.
                Err(_) => break,
            }
        }
        workers.jobs = (!workers.threads.is_empty()).then_some(jobs);
        workers
    }

    /// Takes a block; gives the oldest result when there are too many to hold.
    fn add(&mut self, block: Block) -> io::Result<Option<Deflated>> {
        let Some(jobs) = &self.jobs else { return Ok(Some(self.own.deflate(block))) };
        let (sender, receiver) = sync_channel(1);
        jobs.send((block, sender)).map_err(|_| lost_worker())?;
        self.pending.push_back(receiver);
        if self.pending.len() > 2 * self.threads.len() { self.take_oldest() } else { Ok(None) }
    }

    /// Waits for the oldest result.
    fn take_oldest(&mut self) -> io::Result<Option<Deflated>> {
        let oldest = self.pending.pop_front();
        oldest.map(|result| result.recv().map_err(|_| lost_worker())).transpose()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Without jobs to come, the threads end after those at hand: some milliseconds each.
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Deflates blocks until no more will come.
fn work(queue: &Mutex<Receiver<Job>>) {
    // The lock is held while waiting; the other threads wait for the lock instead.
    let next = || queue.lock().ok()?.recv().ok();
    let mut deflater = Deflater::default();
    while let Some((block, result)) = next() {
        // Nobody waits for the result when the writer was dropped.
        let _ = result.send(deflater.deflate(block));
    }
}

fn lost_worker() -> io::Error {
    io::Error::other("a compression thread ended early")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::deflate::{LEVEL, STORED_BYTES};
    use super::*;
    use crate::oci::Digest;

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
        let mut writer = GzipWriter::new(Vec::new(), threads);
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

    /// Whoever changes these bytes must raise `WRITER_VERSION`.
    #[test]
    fn bytes_of_this_writer_version() {
        let lines: Vec<_> = (0..300_000).map(|number| format!("line {number}\n")).collect();
        let text = lines.concat();
        let output = gzip(text.as_bytes(), 2, 100_000);
        assert_eq!(
            (super::super::WRITER_VERSION, Digest::of(&output).to_string().as_str()),
            (
                "tar1-gzip2-zlib_rs0.6.8-level2",
                "sha256:ae00d3c783083f2279cccf7a69ede116c7a9eacda9b1eb58dd41f314975aa12a"
            )
        );
        assert_eq!(gzip(b"", 1, 1), [&HEADER[..], &[3, 0], &[0; 8]].concat());
    }

    #[test]
    fn the_writer_version_names_the_compressor_that_is_linked() {
        let lock = include_str!("../../Cargo.lock");
        for package in
            ["name = \"zlib-rs\"\nversion = \"0.6.8\"", "name = \"flate2\"\nversion = \"1.1.10\""]
        {
            assert!(lock.contains(package), "{package}: raise `WRITER_VERSION`");
        }
        assert!(super::super::WRITER_VERSION.ends_with(&format!("zlib_rs0.6.8-level{LEVEL}")));
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
            let mut writer = GzipWriter::new(Full(BLOCK_BYTES), threads);
            let mut random = fastrand::Rng::with_seed(1);
            let noise: Vec<u8> =
                std::iter::repeat_with(|| random.u8(..)).take(BLOCK_BYTES).collect();
            let error = std::iter::repeat_with(|| writer.write_all(&noise)).find_map(Result::err);
            assert_eq!(error.unwrap().kind(), io::ErrorKind::StorageFull);
        }
    }
}
