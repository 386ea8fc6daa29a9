//! The threads that compress: one pool for every layer of a run.
//!
//! Several layers are packed at once. Threads of their own for each would fight for the cores and
//! hold memory for all of them; from one pool, the tail of a layer and the head of the next are
//! compressed side by side.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use super::deflate::{Block, Deflated, Deflater, WINDOW_BYTES};

/// More threads would wait for those that read and hash, and hold memory meanwhile.
const MAX_THREADS: usize = 12;

/// How many blocks wait for a thread, or for their turn to be written, per thread.
const BLOCKS_PER_THREAD: usize = 2;

/// A pool of threads that deflate blocks. Cheap to clone; the threads start with the first block
/// and end with the last clone.
///
/// At most two blocks per thread are held, however many layers they belong to. Where there is no
/// room, a writer waits for its own oldest block, or, having none, does the work itself: never does
/// it wait for another writer.
#[derive(Debug, Clone)]
pub struct Compressors {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    threads: usize,
    /// How many more blocks are taken.
    room: AtomicUsize,
    running: OnceLock<Running>,
    /// Buffers of blocks that are done.
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
struct Running {
    jobs: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

type Job = (Block, SyncSender<Deflated>);

impl Compressors {
    /// A pool of so many threads, at most twelve. With one or none, whoever writes does the work.
    pub fn new(threads: usize) -> Self {
        let threads = threads.clamp(1, MAX_THREADS);
        let room = if threads > 1 { BLOCKS_PER_THREAD * threads } else { 0 };
        let (room, running) = (AtomicUsize::new(room), OnceLock::new());
        Self { pool: Arc::new(Pool { threads, room, running, spare: Mutex::default() }) }
    }

    /// How many threads compress, the caller's own included where it does the work.
    pub(super) fn threads(&self) -> usize {
        self.pool.threads
    }

    /// Begins to deflate a block; gives it back when there is no room for it.
    pub(super) fn start(&self, block: Block) -> Result<Pending, Block> {
        let less = |room: usize| room.checked_sub(1);
        if self.pool.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err() {
            return Err(block);
        }
        let (sender, result) = sync_channel(1);
        let pending = Pending { result, pool: Arc::clone(&self.pool) };
        let running = self.pool.running.get_or_init(|| Running::start(self.pool.threads));
        // Nobody listens when no thread could be started.
        running.jobs.send((block, sender)).map_err(|refused| refused.0.0)?;
        Ok(pending)
    }

    /// An empty buffer for a block and its dictionary.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let spare = self.pool.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(WINDOW_BYTES))
    }

    /// Takes back the buffer of a block that is done, if there may be use for it.
    pub(super) fn reuse(&self, mut buffer: Vec<u8>) {
        let mut spare = self.pool.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() >= WINDOW_BYTES && spare.len() < BLOCKS_PER_THREAD * self.pool.threads
        {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// A block that is being deflated; it takes room until it is waited for or dropped.
#[derive(Debug)]
pub(super) struct Pending {
    result: Receiver<Deflated>,
    pool: Arc<Pool>,
}

impl Pending {
    /// Waits for the result.
    ///
    /// # Errors
    ///
    /// When the thread is gone.
    pub(super) fn wait(self) -> io::Result<Deflated> {
        self.result.recv().map_err(|_| io::Error::other("a compression thread ended early"))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.pool.room.fetch_add(1, Ordering::AcqRel);
    }
}

impl Running {
    fn start(count: usize) -> Self {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let queue = Arc::clone(&queue);
            let builder = std::thread::Builder::new().name(format!("deflate-{number}"));
            match builder.spawn(move || work(&queue)) {
                Ok(thread) => threads.push(thread),
                // Fewer threads give the same bytes, later.
                Err(_) => break,
            }
        }
        Self { jobs, threads }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let Some(Running { jobs, threads }) = self.running.take() else { return };
        // Without jobs to come, the threads end after those at hand: some milliseconds each.
        drop(jobs);
        for thread in threads {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        Block { window: vec![b'x'; 1000], start: 0, is_last: false }
    }

    #[test]
    fn a_pool_has_room_for_two_blocks_per_thread_whoever_has_them() {
        for (threads, room) in [(0, 0), (1, 0), (2, 4), (3, 6), (100, 24)] {
            let one = Compressors::new(threads);
            let other = one.clone();
            let pools = [&one, &other].into_iter().cycle();
            let mut pending: Vec<Pending> =
                pools.map_while(|pool| pool.start(block()).ok()).collect();
            assert_eq!(pending.len(), room, "{threads}");
            assert!(other.start(block()).is_err(), "done or not, they take room");
            if let Some(oldest) = pending.pop() {
                assert_eq!(oldest.wait().unwrap().input, block().window);
                pending.push(other.start(block()).unwrap());
            }
            drop(pending);
            assert_eq!(one.pool.room.load(Ordering::Acquire), room, "{threads}");
        }
    }

    #[test]
    fn buffers_are_used_again() {
        let compressors = Compressors::new(2);
        let mut buffer = compressors.buffer();
        buffer.extend_from_slice(b"bytes");
        let address = buffer.as_ptr();
        compressors.clone().reuse(buffer);
        let buffer = compressors.buffer();
        assert_eq!((buffer.len(), buffer.as_ptr()), (0, address));
    }
}
