//! Where the time comes from. Deciding needs no clock (see [`jvb_watcher_rules::plan`]); looking and logging do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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

/// AWS's time, as far as its answers tell it: the machine's clock, put right by their Date headers.
///
/// Marks are written by one worker and read by another, and are compared with what AWS says of tasks and balancers. If
/// the workers' clocks differed by a grace, the grace would be gone.
pub struct AwsClock {
    machine: SharedClock,
    /// How far AWS is ahead of the machine, in milliseconds.
    ahead: AtomicI64,
}

/// A Date header has whole seconds.
const DATE_RESOLUTION: Duration = Duration::from_secs(1);

impl AwsClock {
    /// The machine's clock, taken for right until AWS says otherwise.
    pub fn new(machine: SharedClock) -> Self {
        Self { machine, ahead: AtomicI64::new(0) }
    }

    /// The machine's own time.
    pub fn machine_now(&self) -> Timestamp {
        self.machine.now()
    }

    /// Takes note of an answer's date. AWS gave it between the call and the answer, so how far AWS is ahead lies between
    /// two bounds; they are the wider, and say the less, the longer the answer took.
    pub fn heard(&self, date: Timestamp, sent_at: Timestamp, received_at: Timestamp) {
        let least = date.duration_since(received_at).as_millis();
        let most = (date + DATE_RESOLUTION).duration_since(sent_at).as_millis();
        let (Ok(least), Ok(most)) = (i64::try_from(least), i64::try_from(most)) else { return };
        // They cross when the machine's clock was set back in between.
        if least <= most {
            let ahead = self.ahead.load(Ordering::Relaxed).clamp(least, most);
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}

impl Clock for AwsClock {
    fn now(&self) -> Timestamp {
        let ahead = jiff::SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        let machine = self.machine.now();
        machine.checked_add(ahead).unwrap_or(machine)
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

    struct Fixed(Timestamp);

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// The clock of a machine on which it is noon.
    fn noon() -> AwsClock {
        AwsClock::new(Arc::new(Fixed(at("2026-11-20T12:00:00Z"))))
    }

    #[test]
    fn a_clock_that_is_right_to_the_second_is_left_alone() {
        let clock = noon();
        clock.heard(at("2026-11-20T11:59:59Z"), at("2026-11-20T11:59:59.800Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.now(), at("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn a_clock_that_is_wrong_is_put_right_as_far_as_the_answer_proves() {
        let slow = noon();
        slow.heard(at("2026-11-20T12:01:00Z"), at("2026-11-20T11:59:59.900Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(slow.now(), at("2026-11-20T12:01:00Z"));
        let fast = noon();
        fast.heard(at("2026-11-20T11:59:00Z"), at("2026-11-20T11:59:59.900Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(fast.now(), at("2026-11-20T11:59:01.100Z"));
    }

    #[test]
    fn an_answer_that_was_read_minutes_later_proves_nothing() {
        let clock = noon();
        clock.heard(at("2026-11-20T11:55:00Z"), at("2026-11-20T11:55:00Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.now(), at("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn a_clock_that_is_set_back_while_an_answer_is_awaited_proves_nothing() {
        let clock = noon();
        clock.heard(at("2026-11-20T12:00:00Z"), at("2026-11-20T13:00:00Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.now(), at("2026-11-20T12:00:00Z"));
    }
}
