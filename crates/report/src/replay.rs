//! Replays the rule of `--stop-when-unused` over the log: what it would have saved.
//!
//! The replay is on the safe side where the log is silent: an unknown minute is in use, a flow that the rule could have seen
//! late cancels the stop, and a caller who came back after a stop would have needed a load balancer again, whose first hour is
//! billed in full. The minutes after the last that CloudWatch showed of a load balancer change nothing: it never shows them.

use std::time::Duration;

use jiff::Timestamp;
use jvb_watcher_cost::{Model, Run};

use crate::figures::run_of;
use crate::history::{History, LoadBalancerLifetime, Usage, minute_of, start_of};
use crate::period::{Edge, Lifetime, Period};

/// The times without use that are replayed, in minutes.
pub const WINDOWS: [i64; 3] = [10, 20, 30];

/// The defaults of the companions of `--stop-when-unused`, in minutes: the notice and the grace for the first call.
const NOTICE: i64 = 2;
const FIRST_CALL_GRACE: i64 = 30;

/// The minutes after which CloudWatch can be expected to know a minute. The rule's window ends so long ago.
const CLOUDWATCH_LAG: i64 = 3;

/// The time from a stop to the deletion beyond the idle grace: the tasks stop.
const TASKS_STOP_WITHIN: Duration = Duration::from_secs(60);

/// The time that a start takes before the first call.
const START_TAKES: Duration = Duration::from_secs(6 * 60);

/// The name of the finding that is open while a hold keeps the load balancer.
const HOLD_FINDING: &str = "hold_active";

/// What the rule would have changed with one time without use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saving {
    /// The time without use, in minutes.
    pub window: i64,
    /// The number of stops that would have ended a load balancer earlier than it ended.
    pub stops: usize,
    /// The number of times that the service would have had to be started again.
    pub starts: usize,
    /// The hours of load balancers that would not have been billed; negative if more would have been.
    pub billed_hours: f64,
    /// The cost that would have been avoided, in US dollars; negative if there would have been more.
    pub dollars: f64,
}

/// Replays the rule with each time without use. Returns nothing if the log contains no use.
pub fn savings(history: &History, model: &Model) -> Vec<Saving> {
    if history.usage.minutes.is_empty() {
        return Vec::new();
    }
    WINDOWS.iter().map(|window| saving(history, model, *window)).collect()
}

fn saving(history: &History, model: &Model, window: i64) -> Saving {
    let mut saving = Saving { window, stops: 0, starts: 0, billed_hours: 0.0, dollars: 0.0 };
    for load_balancer in &history.load_balancers {
        let replay = Replay { history, window };
        let (parts, stops) = replay.parts(load_balancer);
        if stops == 0 {
            continue;
        }
        saving.stops += stops;
        saving.starts += parts.len() - 1;
        let run = |lifetime: &Lifetime| run_of(*lifetime, model);
        saving.add(&run(&load_balancer.lifetime), 1.0, model);
        for part in &parts {
            saving.add(&run(part), -1.0, model);
        }
    }
    saving
}

impl Saving {
    /// Adds a run. The time without use has no traffic.
    fn add(&mut self, run: &Run, sign: f64, model: &Model) {
        self.billed_hours += sign * run.billed_hours;
        self.dollars += sign * model.run_cost(&Run { egress_gb: 0.0, ..*run });
    }
}

/// The replay of the rule with a time without use.
struct Replay<'a> {
    history: &'a History,
    /// The time without use, in minutes.
    window: i64,
}

impl Replay<'_> {
    /// Returns the lifetimes that the load balancer would have had, and the number of stops.
    fn parts(&self, load_balancer: &LoadBalancerLifetime) -> (Vec<Lifetime>, usize) {
        let Lifetime { period, start, end } = load_balancer.lifetime;
        let mut parts = Vec::new();
        let mut stops = 0;
        let mut from = (period.from(), start);
        let minutes = self.minutes_of(period);
        let mut next = minutes.0;
        while let Some((window_end, deleted_at)) = self.next_stop(next, minutes.1, from.0) {
            if deleted_at >= period.to() {
                break;
            }
            let Some(used_in) = (window_end..=minutes.1).find(|minute| self.needs_service(*minute)) else {
                stops += 1;
                parts.push(Lifetime { period: Period::new(from.0, deleted_at), start: from.1, end: Edge::Logged });
                return (parts, stops);
            };
            next = used_in;
            let starts_at = start_of(used_in).checked_sub(START_TAKES).unwrap_or(Timestamp::MIN);
            // Otherwise the load balancer is kept: a caller who comes back finds it idle.
            if starts_at > deleted_at {
                stops += 1;
                parts.push(Lifetime { period: Period::new(from.0, deleted_at), start: from.1, end: Edge::Logged });
                from = (starts_at, Edge::Logged);
            }
        }
        parts.push(Lifetime { period: Period::new(from.0, period.to()), start: from.1, end });
        (parts, stops)
    }

    /// Returns the first minute of a period, and the last known one.
    fn minutes_of(&self, period: Period) -> (i64, i64) {
        let (first, last) = (minute_of(period.from()), minute_of(period.to()));
        let known = self.usage().minutes.range(first..=last).next_back();
        (first, known.map_or(first - 1, |(minute, _)| *minute))
    }

    /// Returns the minute after the last that the next stop rests on, from a minute on, and when the load balancer is
    /// deleted.
    fn next_stop(&self, first: i64, last: i64, created_at: Timestamp) -> Option<(i64, Timestamp)> {
        let mut unused = 0;
        for minute in first..=last {
            if !self.is_unused(minute) {
                unused = 0;
                continue;
            }
            unused += 1;
            // The minute in which the write follows: the window that ends with this minute is the second observation's.
            let stop_in = minute + 1 + CLOUDWATCH_LAG;
            if unused >= self.window + NOTICE && self.allows(minute, stop_in, unused, created_at) {
                let idle_grace = self.history.idle_grace.saturating_add(TASKS_STOP_WITHIN);
                let deleted_at = start_of(stop_in + 1).checked_add(idle_grace).unwrap_or(Timestamp::MAX);
                return Some((minute + 1, self.after_paid_hour(created_at, deleted_at)));
            }
        }
        None
    }

    /// Returns the end of the paid hour in which a load balancer would be deleted, if the watcher keeps it until then.
    fn after_paid_hour(&self, created_at: Timestamp, deleted_at: Timestamp) -> Timestamp {
        if !self.history.keeps_until_paid_hour {
            return deleted_at;
        }
        let seconds = deleted_at.duration_since(created_at).as_secs().max(1);
        let paid = (seconds + 3599) / 3600 * 3600;
        Timestamp::from_second(created_at.as_second().saturating_add(paid)).unwrap_or(Timestamp::MAX)
    }

    /// Returns whether the rule allows the stop, apart from the minutes without use.
    fn allows(&self, minute: i64, stop_in: i64, unused: i64, created_at: Timestamp) -> bool {
        let window_from = start_of(minute + 1 - unused.min(self.window + NOTICE));
        let stop_at = start_of(stop_in);
        // A flow that CloudWatch may already have shown.
        let is_cancelled = (minute + 1..=stop_in).any(|later| self.is_used(later));
        let started = self.history.tasks.iter().map(|task| task.lifetime.period.from()).filter(|at| *at <= stop_at);
        let newest_task = started.max();
        let has_served = newest_task.is_none_or(|at| at <= window_from) && created_at <= window_from;
        let newest_task = minute_of(newest_task.unwrap_or(created_at));
        let had_call = || (newest_task..=minute).any(|earlier| self.is_used(earlier));
        let may_stop = newest_task + FIRST_CALL_GRACE + NOTICE <= stop_in || had_call();
        !is_cancelled && has_served && may_stop
    }

    /// Returns whether the minute is known to be without use, and the service served in it without a hold.
    fn is_unused(&self, minute: i64) -> bool {
        let usage = self.usage();
        let is_known = usage.minutes.get(&minute).is_some_and(|known| !known.is_used);
        is_known && usage.is_serving(minute) && !self.is_held(minute)
    }

    fn is_used(&self, minute: i64) -> bool {
        self.usage().minutes.get(&minute).is_some_and(|known| known.is_used)
    }

    /// Returns whether the service is needed in a minute: it is used, or its use is unknown.
    fn needs_service(&self, minute: i64) -> bool {
        self.usage().minutes.get(&minute).is_none_or(|known| known.is_used)
    }

    fn is_held(&self, minute: i64) -> bool {
        let minute = Period::new(start_of(minute), start_of(minute + 1));
        let holds = self.history.findings.iter().filter(|finding| finding.name == HOLD_FINDING);
        holds.into_iter().any(|hold| hold.lifetime.period.within(minute).is_some())
    }

    fn usage(&self) -> &Usage {
        &self.history.usage
    }
}

#[cfg(test)]
mod tests;
