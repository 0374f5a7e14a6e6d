//! A token bucket: so many calls at once, and so many more each second.

use jiff::Timestamp;

/// A bucket that fills up as time goes by.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    capacity: f64,
    refill_per_second: f64,
    tokens: f64,
    filled_at: Timestamp,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(capacity: u32, refill_per_second: f64, now: Timestamp) -> Self {
        let capacity = f64::from(capacity);
        Self { capacity, refill_per_second, tokens: capacity, filled_at: now }
    }

    /// Takes a token, if there is a whole one.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        // A clock that was set back fills nothing and costs nothing.
        let seconds = now.duration_since(self.filled_at).as_secs_f64().max(0.0);
        self.filled_at = self.filled_at.max(now);
        self.tokens = (self.tokens + seconds * self.refill_per_second).min(self.capacity);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}
