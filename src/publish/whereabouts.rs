//! Which repository of a registry has a blob: what several destinations of one run tell each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::oci::{Digest, Repository};

/// Sends each blob once per registry: the first repository takes the bytes, the others wait for it
/// and take them over from there. Cheap to clone; different registries never wait for each other.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    places: Arc<Mutex<BTreeMap<(String, Digest), Place>>>,
    uploaded_bytes: Arc<AtomicU64>,
}

/// The first repository that has a blob; locked while somebody brings it.
type Place = Arc<tokio::sync::Mutex<Option<Repository>>>;

impl Whereabouts {
    /// Brings a blob to a repository. `bring` is told which other one of the same registry has it.
    pub(super) async fn bring<T>(
        &self,
        digest: Digest,
        to: &Repository,
        bring: impl AsyncFnOnce(Option<&Repository>) -> Result<T>,
    ) -> Result<T> {
        let place = Arc::clone(self.lock().entry((to.registry().to_owned(), digest)).or_default());
        let mut first = place.lock().await;
        if let Some(known) = first.clone() {
            drop(first);
            return bring((known != *to).then_some(&known)).await;
        }
        let brought = bring(None).await?;
        *first = Some(to.clone());
        Ok(brought)
    }

    /// Takes note of blobs that a repository has already.
    pub(super) fn note(&self, repository: &Repository, digests: impl IntoIterator<Item = Digest>) {
        let mut places = self.lock();
        for digest in digests {
            places
                .entry((repository.registry().to_owned(), digest))
                .or_insert_with(|| Arc::new(tokio::sync::Mutex::new(Some(repository.clone()))));
        }
    }

    /// Counts a blob that was sent.
    pub(super) fn count_upload(&self, size_bytes: u64) {
        self.uploaded_bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    /// How many bytes of blobs were sent, to all registries together.
    pub fn uploaded_bytes(&self) -> u64 {
        self.uploaded_bytes.load(Ordering::Relaxed)
    }

    /// Forgets what a registry has: it lost some of it.
    pub(super) fn forget(&self, registry: &str) {
        self.lock().retain(|(known, _), _| known != registry);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, Digest), Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::PublishError;

    #[tokio::test]
    async fn the_second_repository_of_a_registry_hears_of_the_first() {
        let (whereabouts, digest) = (Whereabouts::default(), Digest::of(b""));
        let bring = async |to: &str, is_good: bool| {
            let to: Repository = to.parse().unwrap();
            let bring = async |known: Option<&Repository>| {
                tokio::task::yield_now().await;
                if is_good {
                    return Ok(known.map(ToString::to_string));
                }
                Err(PublishError::MissingBlob { digest, place: "the cache".into() }.into())
            };
            whereabouts.bring(digest, &to, bring).await.ok()
        };
        let (failed, first, second, elsewhere) = tokio::join!(
            bring("a.io/x/0", false),
            bring("a.io/x/1", true),
            bring("a.io/x/2", true),
            bring("b.io/x/1", true),
        );
        let known = |place: &str| Some(Some(place.to_owned()));
        assert_eq!(
            (failed, first, second, elsewhere),
            (None, Some(None), known("a.io/x/1"), Some(None))
        );
        whereabouts.forget("a.io");
        assert_eq!(bring("a.io/x/2", true).await, Some(None));
        assert_eq!(bring("b.io/x/2", true).await, known("b.io/x/1"));
        whereabouts.note(&"c.io/x/1".parse().unwrap(), [digest]);
        assert_eq!(bring("c.io/x/2", true).await, known("c.io/x/1"));
    }
}
