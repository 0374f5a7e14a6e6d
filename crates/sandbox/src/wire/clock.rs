//! The sandbox's clock: the machine's, ahead by the time that has been let pass at once.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// The sandbox's clock. It never runs backwards.
///
/// It runs at the machine's pace, and [`Sandbox::advance`](super::Sandbox::advance) sets it ahead. Clients see it in the Date
/// headers of the responses, as AWS's clock in AWS's.
#[derive(Debug)]
pub struct Clock {
    started_at: Timestamp,
    started: Instant,
    /// The time by which it is ahead, in milliseconds.
    ahead: AtomicI64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { started_at: Timestamp::now(), started: Instant::now(), ahead: AtomicI64::new(0) }
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let since = since.saturating_add(SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed)));
        self.started_at.checked_add(since).unwrap_or(Timestamp::MAX)
    }

    /// Returns the time by which the clock has been set ahead so far.
    pub fn advanced(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.ahead.load(Ordering::Relaxed)).unwrap_or_default())
    }

    pub(super) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let _ = self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ahead| Some(ahead.saturating_add(by)));
    }

    /// Returns the time until an instant.
    pub(super) fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO)
    }
}
