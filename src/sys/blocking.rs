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
