//! Where the time comes from. Deciding needs no clock (see [`crate::plan`]); looking and logging do.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// A clock to hand around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A moment by two clocks: the monotonic one, which nobody sets, and the time of day, which goes on while a virtual
/// machine is suspended, or while AWS Lambda freezes a function between two invocations.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    monotonic: Instant,
    time_of_day: Timestamp,
}

impl Moment {
    /// The present moment.
    pub fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: Instant::now(), time_of_day: clock.now() }
    }

    /// How long ago it was, by the clock that says longer.
    pub fn elapsed(&self, clock: &dyn Clock) -> Duration {
        let by_the_time_of_day = clock.now().duration_since(self.time_of_day);
        // Negative when the clock was set back.
        self.monotonic.elapsed().max(Duration::try_from(by_the_time_of_day).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct SetClock(Mutex<Timestamp>);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().expect("not poisoned")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_as_long_ago_as_the_clock_says_that_says_longer() {
        let noon: Timestamp = "2026-11-20T12:00:00Z".parse().expect("an instant");
        let clock = SetClock(Mutex::new(noon));
        let moment = Moment::now(&clock);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(moment.elapsed(&clock), Duration::from_secs(5), "the time of day stood still");
        *clock.0.lock().expect("not poisoned") = noon + Duration::from_secs(90);
        assert_eq!(moment.elapsed(&clock), Duration::from_secs(90), "the process was frozen");
        *clock.0.lock().expect("not poisoned") = noon - Duration::from_secs(90);
        assert_eq!(moment.elapsed(&clock), Duration::from_secs(5), "the clock was set back");
    }
}
