//! From async to blocking: bytes of a stream for a thread that may block.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that are read ahead.
const CHUNKS: usize = 4;

/// Reads a stream that a task of the runtime drives.
///
/// The thread itself never drives it: it may outlive the runtime when the run is interrupted, and
/// timers and sockets panic without one. What it sees then is an ordinary error.
#[derive(Debug)]
pub struct BlockingReader {
    /// An empty chunk is the end.
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    is_at_end: bool,
}

impl BlockingReader {
    /// Begins to read. To be called on the runtime; it ends with the reader.
    pub fn spawn(stream: impl AsyncRead + Send + 'static) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        tokio::spawn(async move {
            let mut stream = Box::pin(ReaderStream::with_capacity(stream, CHUNK_BYTES));
            loop {
                let chunk = tokio::select! {
                    () = sender.closed() => return,
                    chunk = stream.next() => chunk,
                };
                let is_last = !matches!(chunk, Some(Ok(_)));
                let chunk = chunk.unwrap_or_else(|| Ok(Bytes::new()));
                if sender.send(chunk).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self { chunks, current: Bytes::new(), is_at_end: false }
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.is_at_end {
            // Not of kind `Interrupted`: whoever sees that one tries again.
            self.current = self.chunks.blocking_recv().unwrap_or_else(|| Err(run_ended()))?;
            self.is_at_end = self.current.is_empty();
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// The runtime was shut down in the middle of something.
pub(super) fn run_ended() -> io::Error {
    io::Error::other("the run was ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::blocking;

    #[tokio::test]
    async fn the_bytes_and_the_end_are_those_of_the_stream() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut reader = BlockingReader::spawn(io::Cursor::new(bytes.clone()));
        let read = blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            read
        });
        assert!(read.await == bytes);
    }

    #[tokio::test]
    async fn an_error_of_the_stream_arrives_as_it_is() {
        let stream = torn_stream();
        let mut reader = BlockingReader::spawn(stream);
        let error = blocking(move || {
            let mut read = Vec::new();
            let error = reader.read_to_end(&mut read).unwrap_err();
            (read, error.to_string())
        });
        assert_eq!(error.await, (b"ab".to_vec(), "torn".to_owned()));
    }

    fn torn_stream() -> impl AsyncRead + Send + 'static {
        let chunks = [Ok(Bytes::from_static(b"ab")), Err(io::Error::other("torn"))];
        tokio_util::io::StreamReader::new(futures_util::stream::iter(chunks))
    }

    #[test]
    fn a_runtime_that_is_shut_down_is_an_ordinary_error() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (mut writing, stream) = tokio::io::duplex(16);
        let mut reader = runtime.block_on(async {
            tokio::io::AsyncWriteExt::write_all(&mut writing, b"ab").await.unwrap();
            BlockingReader::spawn(stream)
        });
        let mut bytes = [0; 2];
        reader.read_exact(&mut bytes).unwrap();
        let thread = std::thread::spawn(move || reader.read(&mut bytes).unwrap_err().to_string());
        runtime.shutdown_background();
        assert_eq!(thread.join().unwrap(), "the run was ended");
    }
}
