//! Exponential backoff for failed calls.
//!
//! Every error is retried: transient ones (see [`ErrorKind::is_transient`]) at growing intervals, permanent ones at the
//! longest interval. The intervals come from the `backoff` crate, which is no longer maintained (RUSTSEC-2025-0012). Only
//! this file uses it, so a replacement changes nothing else.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::aws::ErrorKind;

/// The longest interval between two attempts: the time within which a corrected permission takes effect.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The interval after the first failure, before jitter.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The intervals between the attempts of one task.
#[derive(Debug)]
pub struct Retry {
    backoff: ExponentialBackoff,
    jitter: Jitter,
    attempt: u32,
}

/// The fraction by which intervals vary at random, so that workers that failed at the same time don't retry at the same
/// time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No variation, for runs that must be reproducible.
    pub const NONE: Self = Self(0.0);
}

impl Default for Jitter {
    /// Returns half of the interval, in either direction: the default of the `backoff` crate.
    fn default() -> Self {
        Self(0.5)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(Jitter::default())
    }
}

impl Retry {
    /// Starts without failures.
    pub fn new(jitter: Jitter) -> Self {
        let backoff = ExponentialBackoff {
            current_interval: FIRST_WAIT,
            initial_interval: FIRST_WAIT,
            randomization_factor: jitter.0,
            multiplier: 2.0,
            max_interval: LONGEST_WAIT,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { backoff, jitter, attempt: 0 }
    }

    /// Counts a failure. Returns its number, from 1, and the interval until the next attempt.
    pub fn failed(&mut self, kind: ErrorKind) -> (u32, Duration) {
        self.attempt = self.attempt.saturating_add(1);
        let wait = if kind.is_transient() {
            // None only with a max_elapsed_time.
            self.backoff.next_backoff().unwrap_or(LONGEST_WAIT)
        } else {
            LONGEST_WAIT
        };
        (self.attempt, wait.min(LONGEST_WAIT))
    }

    /// Resets the count and the interval after a success.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.jitter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_transient_errors_at_growing_intervals_up_to_the_longest() {
        let mut retry = Retry::default();
        let waits: Vec<_> = (0..20).map(|_| retry.failed(ErrorKind::Throttled).1).collect();
        for (attempt, wait) in waits.iter().enumerate() {
            let middle = FIRST_WAIT.mul_f64(2f64.powi(attempt as i32)).min(LONGEST_WAIT);
            let range = middle.mul_f64(0.5)..=middle.mul_f64(1.5).min(LONGEST_WAIT);
            assert!(range.contains(wait), "attempt {attempt} waits {wait:?}, not within {range:?}");
        }
    }

    #[test]
    fn intervals_are_jittered() {
        let first = || Retry::default().failed(ErrorKind::Unavailable).1;
        let waits: std::collections::BTreeSet<_> = (0..20).map(|_| first()).collect();
        assert!(waits.len() > 1, "twenty first waits were all {waits:?}");
    }

    #[test]
    fn retries_permanent_errors_at_the_longest_interval() {
        let mut retry = Retry::default();
        assert_eq!(retry.failed(ErrorKind::AccessDenied), (1, LONGEST_WAIT));
        assert_eq!(retry.failed(ErrorKind::Rejected), (2, LONGEST_WAIT));
    }

    #[test]
    fn a_success_resets_the_intervals() {
        let mut retry = Retry::default();
        for _ in 0..12 {
            retry.failed(ErrorKind::Unavailable);
        }
        retry.succeeded();
        let (attempt, wait) = retry.failed(ErrorKind::Unavailable);
        assert_eq!(attempt, 1);
        assert!(wait <= FIRST_WAIT.mul_f64(1.5));
    }
}
