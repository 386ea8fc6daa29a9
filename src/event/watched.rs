//! Reading that somebody watches.

use std::io::{self, Read};

use tokio_util::sync::CancellationToken;

use super::Task;

/// Tells a task of what is read, and ends when nobody waits for it any more.
#[derive(Debug)]
pub struct Watched<'a, R> {
    /// Where bytes come from.
    pub bytes: R,
    /// Is told how many came.
    pub task: &'a Task,
    /// Ends the reading.
    pub cancel: CancellationToken,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let count = self.bytes.read(buffer)?;
        self.task.advance(count as u64);
        Ok(count)
    }
}
