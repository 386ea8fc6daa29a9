//! Decides when a transfer that still has its connection is dead.

use std::fmt;
use std::time::Duration;

use super::settings::StallLimits;

/// Bytes for which the registry gets one second more to commit an upload.
const BYTES_PER_COMMIT_SECOND: u64 = 20_000_000;

/// Watches one transfer. It is told of time that passed and of bytes that moved; time in which
/// nobody waited for bytes (a slow reader) is not reported, so it does not count.
#[derive(Debug)]
pub(super) struct StallTimer {
    limits: StallLimits,
    silent: Duration,
    window: Duration,
    window_bytes: u64,
    /// What an upload still has to send; `None` for a download, whose end is its end.
    unsent: Option<u64>,
    total: u64,
}

/// Why a transfer counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stall {
    /// Nothing moved for this long.
    Silent(Duration),
    /// This many bytes moved in that time.
    Slow(u64, Duration),
    /// Everything was sent, and no answer came for this long.
    Unanswered(Duration),
}

impl StallTimer {
    /// Watches a download.
    pub(super) fn download(limits: StallLimits) -> Self {
        Self::new(limits, None)
    }

    /// Watches a request with a body of this many bytes.
    pub(super) fn upload(limits: StallLimits, total_bytes: u64) -> Self {
        Self::new(limits, Some(total_bytes))
    }

    fn new(limits: StallLimits, unsent: Option<u64>) -> Self {
        let total = unsent.unwrap_or_default();
        let (silent, window) = (Duration::ZERO, Duration::ZERO);
        Self { limits, silent, window, window_bytes: 0, unsent, total }
    }

    /// Adds time and the bytes moved in it.
    pub(super) fn observe(&mut self, passed: Duration, bytes: u64) -> Result<(), Stall> {
        let was_sent = self.unsent == Some(0);
        self.unsent = self.unsent.map(|unsent| unsent.saturating_sub(bytes));
        self.silent = if bytes > 0 { Duration::ZERO } else { self.silent + passed };
        if self.unsent == Some(0) {
            let limit = self.answer_limit();
            let is_late = was_sent && self.silent >= limit;
            return if is_late { Err(Stall::Unanswered(limit)) } else { Ok(()) };
        }
        if self.silent >= self.limits.silence {
            return Err(Stall::Silent(self.limits.silence));
        }
        self.window += passed;
        self.window_bytes += bytes;
        if self.window >= self.limits.window {
            let least = u128::from(self.limits.bytes_per_second) * self.window.as_millis() / 1000;
            if u128::from(self.window_bytes) < least {
                return Err(Stall::Slow(self.window_bytes, self.window));
            }
            (self.window, self.window_bytes) = (Duration::ZERO, 0);
        }
        Ok(())
    }

    fn answer_limit(&self) -> Duration {
        self.limits.answer + Duration::from_secs(self.total / BYTES_PER_COMMIT_SECOND)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(formatter, "no byte moved for {limit:?}"),
            Self::Slow(bytes, during) => {
                write!(formatter, "only {bytes} bytes moved in {during:?}")
            }
            Self::Unanswered(limit) => write!(formatter, "no answer came for {limit:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Feeds one observation per second until the timer objects; says after how many seconds.
    fn run(mut timer: StallTimer, bytes: impl Fn(u64) -> u64) -> Option<(u64, Stall)> {
        (1..=300).find_map(|second| {
            timer.observe(SECOND, bytes(second)).err().map(|stall| (second, stall))
        })
    }

    #[test]
    fn progress_keeps_a_transfer_alive_and_silence_ends_it() {
        let limits = StallLimits::default();
        let seconds = Duration::from_secs;
        let download = || StallTimer::download(limits);
        let upload = |bytes| StallTimer::upload(limits, bytes);
        assert_eq!(run(download(), |_| 1024), None);
        assert_eq!(run(download(), |_| 0), Some((30, Stall::Silent(seconds(30)))));
        // One byte now and then is not silence, but too slow.
        let slow = Some((60, Stall::Slow(6, seconds(60))));
        assert_eq!(run(download(), |second| u64::from(second % 10 == 0)), slow);
        // Silence starts again after each byte.
        let burst = |second| if second == 20 { 1 << 20 } else { 0 };
        assert_eq!(run(download(), burst), Some((50, Stall::Silent(seconds(30)))));
        assert_eq!(run(upload(1 << 40), |_| 1 << 20), None);
        // After its last byte an upload waits for the answer only: 60 s and 1 s per 20 MB.
        let at_once = |second| if second == 1 { 100_000_000 } else { 0 };
        let unanswered = Some((66, Stall::Unanswered(seconds(65))));
        assert_eq!(run(upload(100_000_000), at_once), unanswered);
        assert_eq!(run(upload(0), |_| 0), Some((60, Stall::Unanswered(seconds(60)))));
    }
}
