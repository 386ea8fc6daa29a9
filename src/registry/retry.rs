//! The one retry policy: which failures are tried again, after how long, and when to give up.

use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::error::Error;
use super::lock::lock;
use crate::event::{Event, Events};
use crate::sys::Clock;

/// The first wait is at most this long; each later one up to twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A registry that asks for less than this gets our own back-off, and at least this.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// No wait of ours is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Tries for what rarely heals: a name that does not resolve, a port where nobody listens.
const FEW: u32 = 4;
/// Longer waits are announced.
const ANNOUNCED: Duration = Duration::from_secs(2);

/// A failed try, and whether another one makes sense.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Box<Error>,
    pub(super) retry: Retry,
}

/// What one failure says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It would fail again.
    Never,
    /// It may be bad luck once, not twice.
    Once,
    /// A few times: it rarely heals by itself.
    Few,
    /// Until patience runs out.
    BackOff,
    /// As `BackOff`, after the time that the registry asked for.
    After(Duration),
}

/// Whether a status says "later": the same request may succeed then.
pub(super) fn is_later(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Counts the failures of one operation and turns each into a wait.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    onces: u32,
    fews: u32,
}

impl Fault {
    /// A failure and what it says about trying again.
    pub(super) fn new(error: Error, retry: Retry) -> Self {
        Self { error: Box::new(error), retry }
    }

    /// A failure that another try would not change.
    pub(super) fn permanent(error: Error) -> Self {
        Self::new(error, Retry::Never)
    }

    /// A failure that may heal.
    pub(super) fn transient(error: Error) -> Self {
        Self::new(error, Retry::BackOff)
    }
}

impl Backoff {
    /// How long to wait before the next try; `None` when there is none. `random` is in `0.0..1.0`.
    fn next(&mut self, retry: Retry, random: f64) -> Option<Duration> {
        self.failures += 1;
        let jittered = FIRST_WAIT
            .saturating_mul(1 << (self.failures - 1).min(16))
            .min(LONGEST_WAIT)
            .mul_f64(random);
        match retry {
            Retry::Never => None,
            Retry::Once => {
                self.onces += 1;
                (self.onces == 1).then_some(jittered)
            }
            Retry::Few => {
                self.fews += 1;
                (self.fews < FEW).then_some(jittered)
            }
            Retry::BackOff => Some(jittered),
            Retry::After(wait) if wait >= SHORTEST_WAIT => Some(wait),
            // `Retry-After: 0`, or a date that is past, is no leave to hammer.
            Retry::After(_) => Some(jittered.max(SHORTEST_WAIT)),
        }
    }
}

/// What all operations of a client share: the clock, and when progress was last confirmed.
#[derive(Debug)]
pub(super) struct Patience {
    clock: Arc<dyn Clock>,
    events: Events,
    limit: Duration,
    total: Option<Duration>,
    began: Instant,
    progress: Mutex<Instant>,
}

impl Patience {
    /// Patience that ends `limit` after the last progress, and in any case after `total`.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        events: Events,
        limit: Duration,
        total: Option<Duration>,
    ) -> Self {
        let began = clock.now();
        Self { clock, events, limit, total, began, progress: Mutex::new(began) }
    }

    /// Patience for what is worth at most `limit`; the total stays as it is.
    pub(super) fn of_at_most(&self, limit: Duration) -> Self {
        let Self { clock, events, total, began, .. } = self;
        let progress = Mutex::new(clock.now());
        let limit = limit.min(self.limit);
        let (clock, events) = (clock.clone(), events.clone());
        Self { clock, events, limit, total: *total, began: *began, progress }
    }

    /// Whether a wait is not too long in any case.
    pub(super) fn is_worth(&self, wait: Duration) -> bool {
        wait <= self.limit
    }

    /// Something is done for good: a blob is confirmed, verified bytes arrived, a manifest stands.
    pub(super) fn confirm_progress(&self) {
        *lock(&self.progress) = self.clock.now();
    }

    /// Begins an operation.
    pub(super) fn begin(self: &Arc<Self>) -> Tries {
        Tries { patience: Arc::clone(self), backoff: Backoff::default(), failing_since: None }
    }

    fn last_progress(&self) -> Instant {
        *lock(&self.progress)
    }
}

/// The tries of one operation.
#[derive(Debug)]
pub(crate) struct Tries {
    patience: Arc<Patience>,
    backoff: Backoff,
    failing_since: Option<Instant>,
}

impl Tries {
    /// Waits until the next try, or gives back why there is none.
    pub(super) async fn outlast(&mut self, fault: Fault) -> Result<(), Error> {
        if self.wait(fault.retry, &fault.error).await {
            return Ok(());
        }
        Err(self.give_up(fault, self.patience.clock.now()))
    }

    /// Waits until the next try after such a failure; says whether there is one.
    pub(crate) async fn wait(&mut self, retry: Retry, failure: &(dyn Display + Sync)) -> bool {
        let patience = &self.patience;
        let now = patience.clock.now();
        let failing_since = *self.failing_since.get_or_insert(now);
        let Some(wait) = self.backoff.next(retry, fastrand::f64()) else { return false };
        let quiet_since = failing_since.max(patience.last_progress());
        // An end that no clock reaches is none.
        let is_over =
            |since: Instant, limit| match (now.checked_add(wait), since.checked_add(limit)) {
                (Some(next), Some(end)) => next > end,
                (next, _) => next.is_none(),
            };
        let is_out_of_time = patience.total.is_some_and(|total| is_over(patience.began, total));
        if is_over(quiet_since, patience.limit) || is_out_of_time {
            return false;
        }
        if wait > ANNOUNCED {
            patience.events.send(Event::Waiting {
                milliseconds: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                reason: failure.to_string(),
            });
        } else {
            patience.events.detail(format!("trying again: {failure}"));
        }
        patience.clock.sleep(wait).await;
        true
    }

    /// A permanent failure stands for itself; a transient one says how long it was outlasted.
    fn give_up(&self, fault: Fault, now: Instant) -> Error {
        if fault.retry == Retry::Never || self.backoff.failures == 1 {
            return *fault.error;
        }
        let during = self.failing_since.map_or(Duration::ZERO, |since| now - since);
        Error::GaveUp { tries: self.backoff.failures, during, last: fault.error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn waits(retry: Retry, random: f64, tries: usize) -> Vec<Option<Duration>> {
        let mut backoff = Backoff::default();
        (0..tries).map(|_| backoff.next(retry, random)).collect()
    }

    #[test]
    fn waits_double_with_full_jitter_up_to_a_cap() {
        let milliseconds = |list: &[u64]| -> Vec<_> {
            list.iter().map(|&wait| Some(Duration::from_millis(wait))).collect()
        };
        let full = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        assert_eq!(waits(Retry::BackOff, 1.0, 8), milliseconds(&full));
        let half = [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000];
        assert_eq!(waits(Retry::BackOff, 0.5, 8), milliseconds(&half));
        assert_eq!(waits(Retry::BackOff, 0.0, 40).last(), Some(&Some(Duration::ZERO)));
    }

    #[test]
    fn each_kind_of_failure_has_its_number_of_tries() {
        assert_eq!(waits(Retry::Never, 1.0, 1), [None]);
        let half = Duration::from_millis(500);
        assert_eq!(waits(Retry::Once, 1.0, 2), [Some(half), None]);
        assert_eq!(waits(Retry::Few, 1.0, 4), [Some(half), Some(SECOND), Some(2 * SECOND), None]);
        assert_eq!(waits(Retry::After(7 * SECOND), 0.0, 2), [Some(7 * SECOND); 2]);
        assert_eq!(waits(Retry::After(Duration::ZERO), 0.0, 3), [Some(SHORTEST_WAIT); 3]);
        assert_eq!(waits(Retry::After(Duration::ZERO), 1.0, 9).pop(), Some(Some(LONGEST_WAIT)));
    }

    fn fault(retry: Retry) -> Fault {
        let error = Error::Protocol { action: "ask".into(), host: "h".into(), reason: "no".into() };
        Fault::new(error, retry)
    }

    fn patience(clock: &Arc<ManualClock>, total: Option<Duration>) -> Arc<Patience> {
        Arc::new(Patience::new(clock.clone(), Events::none(), 300 * SECOND, total))
    }

    /// How many times one operation goes on when every try fails like this.
    async fn tries(patience: &Arc<Patience>, retry: Retry) -> (u32, Error) {
        let mut tries = patience.begin();
        let mut count = 0;
        loop {
            match tries.outlast(fault(retry)).await {
                Ok(()) => count += 1,
                Err(error) => return (count, error),
            }
        }
    }

    #[tokio::test]
    async fn gives_up_five_minutes_after_the_last_progress() {
        let clock = Arc::new(ManualClock::at(0));
        let patience = patience(&clock, None);
        let (count, error) = tries(&patience, Retry::After(60 * SECOND)).await;
        assert_eq!(count, 5);
        let last = "cannot ask: `h` gave an answer that makes no sense: no";
        assert_eq!(error.to_string(), format!("gave up after 6 tries in 300s: {last}"));
        // Progress elsewhere gives this operation time again.
        let mut failing = patience.begin();
        for _ in 0..4 {
            failing.outlast(fault(Retry::After(60 * SECOND))).await.unwrap();
        }
        patience.confirm_progress();
        failing.outlast(fault(Retry::After(60 * SECOND))).await.unwrap();
        failing.outlast(fault(Retry::After(60 * SECOND))).await.unwrap();
    }

    #[tokio::test]
    async fn a_total_ends_everything() {
        let clock = Arc::new(ManualClock::at(0));
        let patience = patience(&clock, Some(100 * SECOND));
        assert_eq!(tries(&patience, Retry::After(60 * SECOND)).await.0, 1);
        // One that no clock reaches ends nothing, and no clock reaches the end of such a wait.
        let patience = self::patience(&clock, Some(Duration::MAX));
        assert_eq!(tries(&patience, Retry::After(60 * SECOND)).await.0, 5);
        assert_eq!(tries(&patience, Retry::After(Duration::MAX)).await.0, 0);
    }

    #[tokio::test]
    async fn what_is_worth_less_patience_gets_less_and_the_total_stands() {
        let clock = Arc::new(ManualClock::at(0));
        let whole = patience(&clock, Some(100 * SECOND));
        let short = Arc::new(whole.of_at_most(10 * SECOND));
        assert_eq!(tries(&short, Retry::After(11 * SECOND)).await.0, 0, "it is not even begun");
        assert_eq!(tries(&short, Retry::After(4 * SECOND)).await.0, 2);
        assert_eq!(tries(&whole, Retry::After(40 * SECOND)).await.0, 2);
        assert_eq!(tries(&short, Retry::After(4 * SECOND)).await.0, 2);
        assert_eq!(tries(&short, Retry::After(5 * SECOND)).await.0, 0, "the total is over");
    }

    #[tokio::test]
    async fn a_permanent_failure_is_returned_as_it_is() {
        let clock = Arc::new(ManualClock::at(0));
        let (count, error) = tries(&patience(&clock, None), Retry::Never).await;
        assert_eq!((count, clock.waits().len()), (0, 0));
        assert!(matches!(error, Error::Protocol { .. }));
    }

    #[tokio::test]
    async fn long_waits_are_announced() {
        let clock = Arc::new(ManualClock::at(0));
        let (events, receiver) = Events::channel();
        let patience = Arc::new(Patience::new(clock, events, 300 * SECOND, None));
        patience.begin().outlast(fault(Retry::After(3 * SECOND))).await.unwrap();
        drop(patience);
        let reason = "cannot ask: `h` gave an answer that makes no sense: no".into();
        let waiting = Event::Waiting { milliseconds: 3000, reason };
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [waiting]);
    }
}
