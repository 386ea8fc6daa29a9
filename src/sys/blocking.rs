//! Work that keeps a thread busy or waits for a disk, asked for from async code.

/// Runs the work on a thread of its own; a panic in it goes on in the caller.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let result = tokio::task::spawn_blocking(work).await;
    match result.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Only a runtime that is being shut down cancels such work: nobody will ask again.
        Err(Err(_)) => std::future::pending().await,
    }
}

/// Waits for work that a task of the runtime does, on a thread that may block and that may outlive
/// the runtime: see [`BlockingReader`](super::BlockingReader).
///
/// # Errors
///
/// The runtime was shut down.
pub fn wait_for<T: Send + 'static>(
    runtime: &tokio::runtime::Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> std::io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        // It fails when nobody waits any more.
        let _ = sender.send(work.await);
    });
    receiver.blocking_recv().map_err(|_| super::blocking_reader::run_ended())
}
