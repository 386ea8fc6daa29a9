//! How much goes to one registry at once; less after it said "too many requests".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock::lock;
use super::origin::Origin;

/// Limits per registry. Reads and writes have places of their own: an upload that streams from
/// another repository of the same registry holds a place for writing while it takes one for
/// reading, so one common limit could lock itself up.
#[derive(Debug)]
pub(super) struct Limits {
    places: usize,
    hosts: Mutex<BTreeMap<(Origin, Direction), Arc<Lanes>>>,
}

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Read,
    Write,
}

#[derive(Debug)]
struct Lanes {
    free: Arc<Semaphore>,
    open: Mutex<usize>,
}

impl Limits {
    /// This many at once, for each registry and direction.
    pub(super) fn new(places: usize) -> Self {
        Self { places: places.max(1), hosts: Mutex::default() }
    }

    /// Waits for a place; it is free again when the permit is dropped.
    pub(super) async fn take(&self, origin: &Origin, direction: Direction) -> OwnedSemaphorePermit {
        let lanes = self.lanes(origin, direction);
        Arc::clone(&lanes.free).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Takes one place away for the rest of the run: the registry said 429. One always stays.
    pub(super) fn narrow(&self, origin: &Origin, direction: Direction, held: OwnedSemaphorePermit) {
        let lanes = self.lanes(origin, direction);
        let mut open = lock(&lanes.open);
        if *open > 1 {
            *open -= 1;
            held.forget();
        }
    }

    fn lanes(&self, origin: &Origin, direction: Direction) -> Arc<Lanes> {
        let mut hosts = lock(&self.hosts);
        let lanes = hosts.entry((origin.clone(), direction)).or_insert_with(|| {
            let free = Arc::new(Semaphore::new(self.places));
            Arc::new(Lanes { free, open: Mutex::new(self.places) })
        });
        Arc::clone(lanes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_429_takes_a_place_until_one_is_left() {
        let limits = Limits::new(3);
        let origin = Origin::of(&"https://r.io/".parse().unwrap()).unwrap();
        for expected in [2, 1, 1, 1] {
            let held = limits.take(&origin, Direction::Write).await;
            limits.narrow(&origin, Direction::Write, held);
            let lanes = limits.lanes(&origin, Direction::Write);
            assert_eq!(lanes.free.available_permits(), expected);
        }
        assert_eq!(limits.lanes(&origin, Direction::Read).free.available_permits(), 3);
    }
}
