//! The deadline of a write that rests on an observation.

use std::fmt;
use std::time::Duration;

use super::{AwsError, ErrorKind};
use crate::clock::{Moment, SharedClock};

/// The time until which a write may be sent. AWS has no conditional writes, so a write that rests on a stale observation
/// is not sent at all.
#[derive(Clone)]
pub struct Deadline {
    observed_at: Moment,
    max_age: Duration,
    clock: SharedClock,
}

impl Deadline {
    /// Creates the deadline that ends when an observation, begun at `observed_at`, is older than `max_age`.
    pub fn new(observed_at: Moment, max_age: Duration, clock: SharedClock) -> Self {
        Self { observed_at, max_age, clock }
    }

    /// Returns the time left for the write; zero when it must no longer be sent.
    pub fn left(&self) -> Duration {
        self.max_age.saturating_sub(self.observed_at.elapsed(&*self.clock))
    }

    /// Returns the error of a write that was not sent because of the deadline.
    pub fn missed(&self, service: &'static str, operation: &'static str, resource: &str) -> AwsError {
        let message = format!("not sent: its observation began more than {:?} ago", self.max_age);
        let resource = resource.to_owned();
        AwsError {
            kind: ErrorKind::StaleObservation,
            service,
            operation,
            resource,
            code: None,
            message,
            request_id: None,
        }
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadline({:?} left)", self.left())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test(start_paused = true)]
    async fn no_time_is_left_after_the_deadline() {
        let clock = Arc::new(SystemClock);
        let deadline = Deadline::new(Moment::now(&*clock), Duration::from_secs(10), clock);
        tokio::time::advance(Duration::from_secs(9)).await;
        let left = deadline.left();
        assert!(left <= Duration::from_secs(1) && !left.is_zero(), "{left:?}");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(deadline.left().is_zero());
    }
}
