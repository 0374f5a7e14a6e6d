//! Clocks: the machine's, and AWS's, as the Date headers of its answers show it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A source of the wall-clock time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Returns the current time on a scale whose differences are elapsed times. It may differ from [`Clock::now`] by a
    /// constant.
    fn elapsed_scale(&self) -> Timestamp {
        self.now()
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's wall clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A point in time by two clocks: the monotonic clock, which can't be set, and the wall clock, which advances while a
/// virtual machine is suspended or AWS Lambda has frozen the function between two invocations.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    /// Returns the current point in time.
    pub fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: Instant::now(), wall: clock.elapsed_scale() }
    }

    /// Returns the time elapsed since then: the longer of what the two clocks show.
    pub fn elapsed(&self, clock: &dyn Clock) -> Duration {
        let by_wall_clock = clock.elapsed_scale().duration_since(self.wall);
        // Negative if the clock was set back.
        self.monotonic.elapsed().max(Duration::try_from(by_wall_clock).unwrap_or_default())
    }
}

/// AWS's clock: the machine's, adjusted by the Date headers of AWS's answers.
///
/// One worker writes marks and another compares them with AWS's timestamps of tasks and load balancers. If their clocks
/// differed by a grace period, the grace period would be lost.
pub struct AwsClock {
    machine: SharedClock,
    /// The time by which AWS's clock is ahead of the machine's, in milliseconds.
    ahead: AtomicI64,
    /// The first adjustment, in milliseconds, once an answer's date has been read: the error that the machine's clock had
    /// all along. It is no time that has elapsed. A later change of the adjustment counts as elapsed time: the machine's
    /// clock may have stood still while the machine was suspended.
    first: OnceLock<i64>,
}

/// The resolution of a Date header: whole seconds (RFC 9110, section 5.6.7).
const DATE_RESOLUTION: Duration = Duration::from_secs(1);

impl AwsClock {
    /// Starts with the machine's time, until the first answer.
    pub fn new(machine: SharedClock) -> Self {
        Self { machine, ahead: AtomicI64::new(0), first: OnceLock::new() }
    }

    /// Returns the machine's time.
    pub fn machine_now(&self) -> Timestamp {
        self.machine.now()
    }

    /// Returns the time by which AWS's clock is ahead of the machine's, negative if it is behind; `None` before the first
    /// answer.
    pub fn ahead_of_machine(&self) -> Option<SignedDuration> {
        let ahead = SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        self.first.get().map(|_| ahead)
    }

    /// Adjusts the clock by an answer's date, with the machine's times of request and answer. AWS wrote the date between
    /// the two, which bounds the difference of the clocks; the longer the answer took, the wider the bounds.
    pub fn adjust(&self, date: Timestamp, sent_at: Timestamp, received_at: Timestamp) {
        let least = date.duration_since(received_at).as_millis();
        let most = (date + DATE_RESOLUTION).duration_since(sent_at).as_millis();
        let (Ok(least), Ok(most)) = (i64::try_from(least), i64::try_from(most)) else { return };
        // The bounds cross if the machine's clock was set back in between.
        if least <= most {
            let ahead = self.ahead.load(Ordering::Relaxed).clamp(least, most);
            self.first.get_or_init(|| ahead);
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}

impl Clock for AwsClock {
    fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        let machine = self.machine.now();
        machine.checked_add(ahead).unwrap_or(machine)
    }

    fn elapsed_scale(&self) -> Timestamp {
        let now = self.now();
        let first = SignedDuration::from_millis(self.first.get().copied().unwrap_or_default());
        now.checked_sub(first).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct SettableClock(Mutex<Timestamp>);

    impl Clock for SettableClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().expect("not poisoned")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn elapsed_time_is_that_of_the_clock_that_shows_more() {
        let noon: Timestamp = "2026-11-20T12:00:00Z".parse().expect("an instant");
        let clock = SettableClock(Mutex::new(noon));
        let moment = Moment::now(&clock);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(moment.elapsed(&clock), Duration::from_secs(5), "the wall clock stood still");
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

    /// A clock on a machine where it is always noon.
    fn noon() -> AwsClock {
        AwsClock::new(Arc::new(Fixed(at("2026-11-20T12:00:00Z"))))
    }

    #[test]
    fn does_not_adjust_a_clock_that_is_correct_to_the_second() {
        let clock = noon();
        clock.adjust(at("2026-11-20T11:59:59Z"), at("2026-11-20T11:59:59.800Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.now(), at("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn adjusts_a_wrong_clock_by_the_least_that_the_answer_proves() {
        let slow = noon();
        slow.adjust(at("2026-11-20T12:01:00Z"), at("2026-11-20T11:59:59.900Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(slow.now(), at("2026-11-20T12:01:00Z"));
        assert_eq!(slow.ahead_of_machine(), Some(SignedDuration::from_secs(60)));
        let fast = noon();
        fast.adjust(at("2026-11-20T11:59:00Z"), at("2026-11-20T11:59:59.900Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(fast.now(), at("2026-11-20T11:59:01.100Z"));
    }

    #[test]
    fn the_difference_is_unknown_before_the_first_answer() {
        let clock = noon();
        assert_eq!(clock.ahead_of_machine(), None);
        clock.adjust(at("2026-11-20T12:00:00Z"), at("2026-11-20T12:00:00Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.ahead_of_machine(), Some(SignedDuration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_adjustment_is_no_elapsed_time_and_a_later_one_is() {
        let clock = noon();
        let adjust = |date| clock.adjust(at(date), at("2026-11-20T12:00:00Z"), at("2026-11-20T12:00:00Z"));
        let before_the_first = Moment::now(&clock);
        adjust("2026-11-20T12:00:40Z");
        assert_eq!(clock.now(), at("2026-11-20T12:00:40Z"));
        assert_eq!(before_the_first.elapsed(&clock), Duration::ZERO);
        let after_the_first = Moment::now(&clock);
        adjust("2026-11-20T12:05:40Z");
        for moment in [before_the_first, after_the_first] {
            assert_eq!(
                moment.elapsed(&clock),
                Duration::from_secs(300),
                "the machine was suspended, and its clock, too"
            );
        }
    }

    #[test]
    fn ignores_an_answer_that_was_read_minutes_later() {
        let clock = noon();
        clock.adjust(at("2026-11-20T11:55:00Z"), at("2026-11-20T11:55:00Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.now(), at("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn ignores_an_answer_during_which_the_clock_was_set_back() {
        let clock = noon();
        clock.adjust(at("2026-11-20T12:00:00Z"), at("2026-11-20T13:00:00Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(clock.now(), at("2026-11-20T12:00:00Z"));
    }
}
