//! Work that is done once per blob, however often and from wherever it is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::error::Result;
use crate::oci::Digest;

/// Remembers which blobs are done. Who asks for one that is being worked on waits for it.
#[derive(Debug, Default)]
pub(super) struct Once {
    cells: Mutex<BTreeMap<Digest, Arc<OnceCell<()>>>>,
}

impl Once {
    /// Does the work unless it was done; when it fails, the next one who asks tries again.
    pub(super) async fn run(
        &self,
        digest: Digest,
        work: impl Future<Output = Result<()>> + Send,
    ) -> Result<()> {
        let cell = Arc::clone(
            self.cells.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_default(),
        );
        cell.get_or_try_init(|| work).await.copied()
    }

    /// Forgets everything: what was done may have been undone.
    pub(super) fn forget(&self) {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::publish::PublishError;

    #[tokio::test]
    async fn a_blob_is_brought_once_and_again_after_a_failure() {
        let (once, digest, count) = (Once::default(), Digest::of(b""), AtomicU32::new(0));
        let work = async |is_good: bool| {
            let work = async {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                let place = "the cache".to_owned();
                if is_good {
                    Ok(())
                } else {
                    Err(PublishError::MissingBlob { digest, place }.into())
                }
            };
            once.run(digest, work).await.is_ok()
        };
        assert!(!work(false).await);
        assert_eq!(tokio::join!(work(true), work(true)), (true, true));
        assert!(work(false).await);
        assert_eq!(count.load(Ordering::Relaxed), 2);
        once.forget();
        assert!(work(true).await);
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }
}
