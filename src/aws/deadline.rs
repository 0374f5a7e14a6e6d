//! Until when a write may be sent.

use std::fmt;
use std::time::Duration;

use super::{AwsError, ErrorKind};
use crate::clock::{Moment, SharedClock};

/// Until when a write may be sent: what is known of AWS grows old, and AWS has no conditional writes.
#[derive(Clone)]
pub struct Deadline {
    began: Moment,
    good_for: Duration,
    clock: SharedClock,
}

impl Deadline {
    /// So long after a look began.
    pub fn new(began: Moment, good_for: Duration, clock: SharedClock) -> Self {
        Self { began, good_for, clock }
    }

    /// How long the write may take yet; zero when it must not be sent any more.
    pub fn left(&self) -> Duration {
        self.good_for.saturating_sub(self.began.elapsed(&*self.clock))
    }

    /// The error of a write that must not be sent any more.
    pub fn missed(&self, service: &'static str, operation: &'static str, resource: &str) -> AwsError {
        let message =
            format!("not sent, since the look that it rests on began more than {:?} ago; looking again", self.good_for);
        let resource = resource.to_owned();
        AwsError { kind: ErrorKind::Unavailable, service, operation, resource, code: None, message, request_id: None }
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
    async fn nothing_is_left_once_it_is_over() {
        let clock = Arc::new(SystemClock);
        let deadline = Deadline::new(Moment::now(&*clock), Duration::from_secs(10), clock);
        tokio::time::advance(Duration::from_secs(9)).await;
        let left = deadline.left();
        assert!(left <= Duration::from_secs(1) && !left.is_zero(), "{left:?}");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(deadline.left().is_zero());
    }
}
