//! Until when a write may be sent.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{CloudError, ErrorKind};
use crate::clock::SharedClock;
use crate::mutation::mutated;

/// Until when a write may be sent: what is known of AWS grows old, and AWS has no conditional writes.
///
/// It goes by two clocks, and whichever says so first ends it: the monotonic one, and the time of day, which goes on while
/// a virtual machine is suspended.
#[derive(Clone)]
pub struct Deadline {
    began: Instant,
    began_at: Timestamp,
    good_for: Duration,
    clock: SharedClock,
}

impl Deadline {
    /// So long after a look began.
    pub fn new((began, began_at): (Instant, Timestamp), good_for: Duration, clock: SharedClock) -> Self {
        Self { began, began_at, good_for, clock }
    }

    /// How long the write may take yet; zero when it must not be sent any more.
    pub fn left(&self) -> Duration {
        if mutated!(NoDeadline) {
            return self.good_for;
        }
        let passed = Instant::now().duration_since(self.began);
        let by_the_clock = Duration::try_from(self.clock.now().duration_since(self.began_at)).unwrap_or_default();
        self.good_for.saturating_sub(passed.max(by_the_clock))
    }

    /// The error of a write that must not be sent any more.
    pub fn missed(&self, service: &'static str, operation: &'static str, resource: &str) -> CloudError {
        let message =
            format!("not sent, since the look that it rests on began more than {:?} ago; looking again", self.good_for);
        let resource = resource.to_owned();
        CloudError { kind: ErrorKind::Unavailable, service, operation, resource, code: None, message, request_id: None }
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
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::clock::Clock;

    /// A time of day that is set by hand, in seconds.
    struct ByHand(AtomicI64);

    impl Clock for ByHand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::Relaxed)).expect("an instant")
        }
    }

    fn deadline() -> (Deadline, Arc<ByHand>) {
        let clock = Arc::new(ByHand(AtomicI64::new(1_000)));
        let began = (Instant::now(), clock.now());
        (Deadline::new(began, Duration::from_secs(10), clock.clone()), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_the_monotonic_clock() {
        let (deadline, _) = deadline();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(deadline.left(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(deadline.left().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_the_time_of_day_as_well() {
        let (deadline, clock) = deadline();
        clock.0.store(1_011, Ordering::Relaxed);
        assert!(deadline.left().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_of_day_that_is_set_back_does_not_put_it_off() {
        let (deadline, clock) = deadline();
        clock.0.store(0, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(deadline.left().is_zero());
    }
}
