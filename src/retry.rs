//! Which errors are worth another try, and how long to wait before it.
//!
//! The waits come from the `backoff` crate, which is no longer maintained (RUSTSEC-2025-0012). It is used in this file
//! alone: whoever replaces it touches nothing else.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::aws::ErrorKind;

/// No wait is longer: a mended permission or a recovered AWS is noticed within this time.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The first wait, before jitter.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How promptly an error is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It may well go away by itself: soon, then less and less often.
    Passing,
    /// A person must do something first: at the longest wait.
    Lasting,
}

/// How an error of this kind is tried again. All of them are: nothing makes the worker give up.
pub fn prospect(kind: ErrorKind) -> Prospect {
    match kind {
        ErrorKind::Throttled
        | ErrorKind::Unavailable
        | ErrorKind::NotFound
        | ErrorKind::ResourceInUse
        | ErrorKind::InvalidTarget => Prospect::Passing,
        ErrorKind::AccessDenied
        | ErrorKind::Unauthenticated
        | ErrorKind::OperationNotPermitted
        | ErrorKind::TooManyTargets
        | ErrorKind::Rejected => Prospect::Lasting,
    }
}

/// The waits between the tries of one thing.
#[derive(Debug)]
pub struct Retry {
    backoff: ExponentialBackoff,
    jitter: Jitter,
    attempt: u32,
}

/// The share by which waits vary at random, so that workers that failed together don't retry together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// Waits that are always the same, for a run that must be repeatable.
    pub const NONE: Self = Self(0.0);
}

impl Default for Jitter {
    /// Half of the wait, either way: the default of the `backoff` crate.
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
    /// Starts with no failures.
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

    /// Counts a failure, and returns its number (from 1) and how long to wait.
    pub fn failed(&mut self, kind: ErrorKind) -> (u32, Duration) {
        self.attempt = self.attempt.saturating_add(1);
        let wait = match prospect(kind) {
            // None only where max_elapsed_time is set.
            Prospect::Passing => self.backoff.next_backoff().unwrap_or(LONGEST_WAIT),
            Prospect::Lasting => LONGEST_WAIT,
        };
        (self.attempt, wait.min(LONGEST_WAIT))
    }

    /// Forgets the failures, after a success.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.jitter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_errors_wait_longer_and_longer_up_to_the_cap() {
        let mut retry = Retry::default();
        let waits: Vec<_> = (0..20).map(|_| retry.failed(ErrorKind::Throttled).1).collect();
        for (attempt, wait) in waits.iter().enumerate() {
            let middle = FIRST_WAIT.mul_f64(2f64.powi(attempt as i32)).min(LONGEST_WAIT);
            let range = middle.mul_f64(0.5)..=middle.mul_f64(1.5).min(LONGEST_WAIT);
            assert!(range.contains(wait), "attempt {attempt} waits {wait:?}, not within {range:?}");
        }
    }

    #[test]
    fn waits_are_jittered() {
        let first = || Retry::default().failed(ErrorKind::Unavailable).1;
        let waits: std::collections::BTreeSet<_> = (0..20).map(|_| first()).collect();
        assert!(waits.len() > 1, "twenty first waits were all {waits:?}");
    }

    #[test]
    fn lasting_errors_wait_at_the_cap_from_the_first() {
        let mut retry = Retry::default();
        assert_eq!(retry.failed(ErrorKind::AccessDenied), (1, LONGEST_WAIT));
        assert_eq!(retry.failed(ErrorKind::Rejected), (2, LONGEST_WAIT));
    }

    #[test]
    fn a_success_starts_the_waits_anew() {
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
