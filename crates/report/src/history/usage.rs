//! The use of the load balancers, minute by minute, as CloudWatch showed it to the watcher.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent};
use crate::period::Period;

/// The seconds of a minute.
pub const MINUTE_SECONDS: i64 = 60;

/// The flows that a minute must exceed to count as used, where the log doesn't say it: the watcher's default.
const DEFAULT_THRESHOLD: u64 = 1;

/// The longest time without use that a line adds minutes for. The watcher reads no longer history.
const MAX_UNUSED_MINUTES: i64 = 2 * 24 * 60;

/// The longest time between two reconciliations in the log for which the state of the first holds. A watcher that works logs
/// one a minute.
const STATE_HOLDS_FOR: Duration = Duration::from_secs(5 * 60);

/// The use of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The known minutes, by their number since 1970.
    pub minutes: BTreeMap<i64, KnownMinute>,
    /// The periods in which the load balancer had a healthy target.
    pub serving: Vec<Period>,
    /// The times at which the watcher scaled the service to zero because it was unused.
    pub stops: Vec<Timestamp>,
}

/// A minute that CloudWatch showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownMinute {
    /// The flows; `None` where the log says only that the minute was without use.
    pub flows: Option<u64>,
    /// Whether the minute counts as used.
    pub is_used: bool,
}

/// Follows the use through the lines.
pub struct UsageFollower {
    usage: Usage,
    threshold: u64,
    /// The last observation, and whether it found a healthy target.
    observed: Option<(Timestamp, bool)>,
}

/// Returns the number since 1970 of the minute that an instant lies in.
pub fn minute_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(MINUTE_SECONDS)
}

/// Returns the start of a minute.
pub fn start_of(minute: i64) -> Timestamp {
    Timestamp::from_second(minute.saturating_mul(MINUTE_SECONDS)).unwrap_or(Timestamp::MAX)
}

impl Usage {
    /// Returns whether the load balancer had a healthy target for a whole minute.
    pub fn is_serving(&self, minute: i64) -> bool {
        let (from, to) = (start_of(minute), start_of(minute + 1));
        self.serving.iter().any(|period| period.from() <= from && to <= period.to())
    }

    /// Returns how many known minutes without use were served, and so paid for.
    pub fn unused_minutes(&self) -> usize {
        self.minutes.iter().filter(|(minute, known)| !known.is_used && self.is_serving(**minute)).count()
    }
}

impl UsageFollower {
    pub fn new() -> Self {
        Self { usage: Usage::default(), threshold: DEFAULT_THRESHOLD, observed: None }
    }

    pub fn follow(&mut self, line: &Line) {
        match &line.event {
            LoggedEvent::WatcherStarted { settings, .. }
            | LoggedEvent::ServiceAdded { settings }
            | LoggedEvent::ServiceReplaced { settings } => {
                self.threshold = settings.use_threshold.unwrap_or(self.threshold);
            }
            LoggedEvent::Reconciled { healthy, load_balancer_state, flows, flows_minute, unused_since, .. } => {
                let is_serving = load_balancer_state != "absent" && healthy.is_some_and(|healthy| healthy > 0);
                self.observe(line.at, is_serving);
                let time = |text: &String| text.parse().ok();
                if let Some((flows, minute)) = flows.zip(flows_minute.as_ref().and_then(time)) {
                    self.add(flows, minute_of(minute), unused_since.as_ref().and_then(time));
                }
            }
            LoggedEvent::ServiceStopped => self.usage.stops.push(line.at),
            _ => {}
        }
    }

    fn observe(&mut self, at: Timestamp, is_serving: bool) {
        if let Some((before, true)) = self.observed.replace((at, is_serving)) {
            let until = at.min(before.checked_add(STATE_HOLDS_FOR).unwrap_or(at));
            match self.usage.serving.last_mut().filter(|last| last.to() == before) {
                Some(last) => *last = Period::new(last.from(), until),
                None => self.usage.serving.push(Period::new(before, until)),
            }
        }
    }

    fn add(&mut self, flows: u64, minute: i64, unused_since: Option<Timestamp>) {
        let known = KnownMinute { flows: Some(flows), is_used: flows > self.threshold };
        self.usage.minutes.insert(minute, known);
        let unused_from = unused_since.map_or(minute, |since| minute_of(since).max(minute - MAX_UNUSED_MINUTES));
        for earlier in unused_from..minute {
            self.usage.minutes.entry(earlier).or_insert(KnownMinute { flows: None, is_used: false });
        }
    }

    pub fn finish(self) -> Usage {
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples::{DAY, line, used};

    fn followed(lines: &[Line]) -> Usage {
        let mut follower = UsageFollower::new();
        lines.iter().for_each(|line| follower.follow(line));
        follower.finish()
    }

    /// The known minutes of the day, each with its flows and whether it is used.
    fn minutes(usage: &Usage) -> Vec<(i64, Option<u64>, bool)> {
        let of_day = |minute: i64| minute - DAY / MINUTE_SECONDS;
        usage.minutes.iter().map(|(minute, known)| (of_day(*minute), known.flows, known.is_used)).collect()
    }

    #[test]
    fn a_minute_is_used_above_the_threshold() {
        let usage = followed(&[used(180, 1, 1, None), used(240, 2, 2, None)]);
        assert_eq!(minutes(&usage), [(1, Some(1), false), (2, Some(2), true)]);
        let started = line(0, "watcher_started", json!({"use_threshold": 2}));
        let usage = followed(&[started, used(240, 2, 2, None), used(300, 3, 3, None)]);
        assert_eq!(minutes(&usage), [(2, Some(2), false), (3, Some(3), true)]);
    }

    #[test]
    fn a_time_without_use_fills_the_minutes_that_no_line_has_and_no_others() {
        let usage = followed(&[used(300, 2, 5, None), used(660, 8, 0, Some(4)), used(720, 10, 0, Some(10))]);
        let unused = |minute| (minute, None, false);
        let expected =
            [(2, Some(5), true), unused(4), unused(5), unused(6), unused(7), (8, Some(0), false), (10, Some(0), false)];
        assert_eq!(minutes(&usage), expected, "the third and the ninth minute are unknown");
    }

    #[test]
    fn a_wrong_time_without_use_adds_no_endless_minutes() {
        let usage = followed(&[used(300, 2, 0, Some(-100_000_000))]);
        assert_eq!(usage.minutes.len() as i64, MAX_UNUSED_MINUTES + 1);
    }

    #[test]
    fn minutes_without_use_are_paid_for_while_a_target_is_healthy() {
        // Healthy from 1:00 to 4:10 and, with a gap in the log, for five minutes from 20:00.
        let healthy = |second, healthy| {
            let fields = json!({
                "registered": 2, "healthy": healthy, "findings": 0, "load_balancer_state": "active", "aws_calls": 1,
                "duration_ms": 1, "flows": 0, "flows_minute": start_of(DAY / 60 + 60).to_string(),
                "unused_since": start_of(DAY / 60).to_string(),
            });
            line(second, "reconciled", fields)
        };
        let usage = followed(&[
            healthy(0, 0),
            healthy(60, 2),
            healthy(120, 2),
            healthy(250, 0),
            healthy(1200, 2),
            healthy(3000, 2),
            healthy(3001, 0),
        ]);
        assert_eq!(usage.serving.iter().map(|period| period.seconds()).collect::<Vec<_>>(), [190.0, 300.0, 1.0]);
        assert_eq!(usage.unused_minutes(), 3 + 5);
    }
}
