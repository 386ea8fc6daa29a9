//! Time: what it is, and waiting for it to pass.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// A clock that can also wait.
#[async_trait]
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Instant;

    /// Seconds since 1970 on the wall clock.
    fn unix_seconds(&self) -> i64;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody takes")]
#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_seconds(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |passed| i64::try_from(passed.as_secs()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock for tests: it stands still, and sleeping moves it on at once.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    unix_start: i64,
    slept: Mutex<Vec<Duration>>,
}

impl ManualClock {
    /// A clock that shows this many seconds since 1970.
    pub fn at(unix_seconds: i64) -> Self {
        Self { start: Instant::now(), unix_start: unix_seconds, slept: Mutex::default() }
    }

    /// Every wait so far, in order.
    pub fn waits(&self) -> Vec<Duration> {
        self.slept.lock().expect("no test panics while it holds the lock").clone()
    }

    fn passed(&self) -> Duration {
        self.waits().iter().sum()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + self.passed()
    }

    fn unix_seconds(&self) -> i64 {
        self.unix_start + i64::try_from(self.passed().as_secs()).unwrap_or(i64::MAX)
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().expect("no test panics while it holds the lock").push(duration);
        tokio::task::yield_now().await;
    }
}
