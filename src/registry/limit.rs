//! How much goes to one registry at once; less, and later, after it said "too many requests".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock::lock;
use super::origin::Origin;
use crate::sys::Clock;

/// Limits per registry. Reads and writes have places of their own: an upload that streams from
/// another repository of the same registry holds a place for writing while it takes one for
/// reading, so one common limit could lock itself up.
#[derive(Debug)]
pub(super) struct Limits {
    places: usize,
    hosts: Mutex<BTreeMap<(Origin, Direction), Arc<Lanes>>>,
    /// Until when a registry wants to be left alone.
    pauses: Mutex<BTreeMap<Origin, Instant>>,
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
        Self { places: places.max(1), hosts: Mutex::default(), pauses: Mutex::default() }
    }

    /// Waits for a place, and for the end of a pause; it is free again when the permit is dropped.
    pub(super) async fn take(
        &self,
        origin: &Origin,
        direction: Direction,
        clock: &dyn Clock,
    ) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.lanes(origin, direction).free);
        let permit = free.acquire_owned().await.expect("the semaphore is never closed");
        // It may be made longer in the meantime.
        while let Some(wait) = self.rest_of_pause(origin, clock.now()) {
            clock.sleep(wait).await;
        }
        permit
    }

    /// Lets nothing go to a registry before this time.
    pub(super) fn pause(&self, origin: &Origin, until: Instant) {
        let mut pauses = lock(&self.pauses);
        let end = pauses.entry(origin.clone()).or_insert(until);
        *end = until.max(*end);
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

    fn rest_of_pause(&self, origin: &Origin, now: Instant) -> Option<Duration> {
        let end = lock(&self.pauses).get(origin).copied()?;
        Some(end.saturating_duration_since(now)).filter(|rest| !rest.is_zero())
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
    use crate::sys::ManualClock;

    #[tokio::test]
    async fn every_429_takes_a_place_until_one_is_left() {
        let limits = Limits::new(3);
        let origin = Origin::of(&"https://r.io/".parse().unwrap()).unwrap();
        for expected in [2, 1, 1, 1] {
            let held = limits.take(&origin, Direction::Write, &ManualClock::at(0)).await;
            limits.narrow(&origin, Direction::Write, held);
            let lanes = limits.lanes(&origin, Direction::Write);
            assert_eq!(lanes.free.available_permits(), expected);
        }
        assert_eq!(limits.lanes(&origin, Direction::Read).free.available_permits(), 3);
    }

    #[tokio::test]
    async fn a_pause_holds_for_everybody_until_its_end() {
        let (limits, clock) = (Limits::new(3), ManualClock::at(0));
        let origin = |url: &str| Origin::of(&url.parse().unwrap()).unwrap();
        let (paused, other) = (origin("https://r.io/"), origin("https://other.io/"));
        let seconds = Duration::from_secs;
        limits.pause(&paused, clock.now() + seconds(7));
        limits.pause(&paused, clock.now() + seconds(3));
        drop(limits.take(&other, Direction::Read, &clock).await);
        assert!(clock.waits().is_empty());
        for direction in [Direction::Read, Direction::Write] {
            drop(limits.take(&paused, direction, &clock).await);
            assert_eq!(clock.waits(), [seconds(7)]);
        }
    }
}
