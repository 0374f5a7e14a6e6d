//! Token bucket for one throttled operation.

use jiff::Timestamp;

/// A token bucket that refills continuously.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    capacity: f64,
    refill_per_second: f64,
    tokens: f64,
    refilled_at: Timestamp,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(super) fn full(capacity: u32, refill_per_second: f64, now: Timestamp) -> Self {
        let capacity = f64::from(capacity);
        Self { capacity, refill_per_second, tokens: capacity, refilled_at: now }
    }

    /// Takes a token; returns whether there was a whole one.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        // A clock that is set back neither adds nor removes tokens.
        let seconds = now.duration_since(self.refilled_at).as_secs_f64().max(0.0);
        self.refilled_at = self.refilled_at.max(now);
        self.tokens = (self.tokens + seconds * self.refill_per_second).min(self.capacity);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}
