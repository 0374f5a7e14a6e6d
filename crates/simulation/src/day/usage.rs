//! Draws who uses the platform on the days on which the watcher stops what is unused, and what CloudWatch withholds.
//!
//! The random numbers are a stream of their own, so that the days without it stay as they are.

use std::time::Duration;

use fastrand::Rng;

use super::draw::Draw;
use super::{Action, CLOUDWATCH_LAG, Day, HOUR, MINUTE, SCHEDULE_ENDS_AT, Severity};
use crate::command::Command;
use crate::faults::{CallFault, ProcessFault, Side, Victim};
use jvb_watcher_rules::plan::{StopWhenUnused, UsagePolicy};
use jvb_watcher_sandbox::faults::{Effect, FaultPlan, Moment, Pattern, Rule, Throttle};
use jvb_watcher_sandbox::world::{Incident, MetricSettings};

/// Makes the stream of random numbers another one than that of the rest of the day.
const STREAM: u64 = 0x7573_6167_6500_0000;

/// The most callers at a time.
const MOST_CALLERS: usize = 12;

/// The callers that come and go together.
struct Visit {
    callers: usize,
    /// The shortest and the longest stay of each.
    stays: (Duration, Duration),
}

/// Draws the use of a day, on every second one.
pub(super) fn draw(day: &mut Day) {
    let mut random = Rng::with_seed(day.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ STREAM);
    if random.bool() {
        return;
    }
    let minutes =
        |from: &[u64], random: &mut Rng| MINUTE * u32::try_from(from[random.usize(0..from.len())]).unwrap_or(1);
    let stop = StopWhenUnused {
        after: minutes(&[5, 5, 10, 10, 20, 30], &mut random),
        notice: minutes(&[1, 2, 2, 5], &mut random),
        first_call_grace: minutes(&[5, 15, 30, 40], &mut random),
    };
    let threshold = [0, 1, 1, 2][random.usize(0..4)];
    day.policy.usage = UsagePolicy { observe: true, protocols: None, threshold, stop: Some(stop) };
    // Longer intervals hide the moments between an announcement and its stop.
    day.policy.resync_interval = day.policy.resync_interval.min(minutes(&[1, 5, 5, 5, 5, 15], &mut random));
    day.metrics = match day.severity {
        Severity::Calm => known_metrics(),
        Severity::Rough | Severity::Hostile => MetricSettings::default(),
    };
    let mut draw = Draw::of(day, random);
    draw.forget_scale_downs();
    draw.visits(stop, day.policy.resync_interval);
    draw.usage_disturbances(&day.metrics);
    day.schedule = draw.schedule;
    day.schedule.retain(|(at, _)| *at < SCHEDULE_ENDS_AT);
    day.schedule.sort_by_key(|(at, _)| *at);
}

/// Returns the settings of a CloudWatch that shows each minute when the watcher expects it.
pub(super) fn known_metrics() -> MetricSettings {
    MetricSettings { latest: CLOUDWATCH_LAG - Duration::from_secs(5), ..MetricSettings::default() }
}

impl Draw {
    /// Every second scale-down is forgotten.
    fn forget_scale_downs(&mut self) {
        let schedule = std::mem::take(&mut self.schedule);
        let is_scale_down = |action: &Action| {
            matches!(
                action,
                Action::Scale { tasks: 0 }
                    | Action::ScaleDownWithTerraform
                    | Action::Run { command: Command::Down, .. }
            )
        };
        self.schedule = schedule.into_iter().filter(|(_, action)| !is_scale_down(action) || self.chance(0.5)).collect();
    }

    /// Callers come to some of the sessions, and stay; some come just when an unused service is stopped.
    fn visits(&mut self, stop: StopWhenUnused, resync: Duration) {
        let is_begin = |action: &Action| match action {
            Action::ScaleUp { .. } | Action::Run { command: Command::Up { .. }, .. } => true,
            Action::Scale { tasks } => *tasks > 0,
            _ => false,
        };
        let begins: Vec<_> = self.schedule.iter().filter(|(_, action)| is_begin(action)).map(|(at, _)| *at).collect();
        let mut changes: Vec<(Duration, i32)> = Vec::new();
        for begin in begins {
            let serving = begin + self.span(2 * MINUTE, 6 * MINUTE);
            let mut last_used = serving;
            // Without callers, nothing is stopped before the grace of the first call.
            let mut unused_for = stop.first_call_grace.max(stop.after + CLOUDWATCH_LAG);
            for _ in 0..self.random.usize(0..=3) {
                last_used = self.visit(last_used, &mut changes);
                unused_for = stop.after + CLOUDWATCH_LAG;
                // The next ones come while the service is about to be stopped, or at any time.
                last_used += match self.chance(0.6) {
                    true => self.around_stop(unused_for, stop, resync),
                    false => self.span(MINUTE, HOUR),
                };
            }
            // Or an operator wants the service to stay.
            if self.chance(0.5) {
                let at = last_used + self.around_stop(unused_for, stop, resync);
                let action = match self.random.u32(0..3) {
                    0 => Action::Hold { time: self.span(MINUTE, 30 * MINUTE) },
                    _ => self.run(Command::Up { tasks: 1, pace: MINUTE / 20 }),
                };
                self.at(at, action);
            }
        }
        changes.sort_by_key(|(at, _)| *at);
        let mut callers = 0_i32;
        for (at, change) in changes {
            callers += change;
            let n = usize::try_from(callers).unwrap_or_default().min(MOST_CALLERS);
            self.at(at, Action::Inject(Incident::Callers { n }));
        }
    }

    /// A time since the last use, at which the service is announced to stop, stopped, or about to be.
    fn around_stop(&mut self, unused_for: Duration, stop: StopWhenUnused, resync: Duration) -> Duration {
        unused_for.saturating_sub(2 * MINUTE) + self.span(Duration::ZERO, resync + stop.notice + 5 * MINUTE)
    }

    /// A visit from an instant on; returns the end of the last stay.
    fn visit(&mut self, from: Duration, changes: &mut Vec<(Duration, i32)>) -> Duration {
        let visit = match self.random.u32(0..6) {
            0 => Visit { callers: 1, stays: (5 * MINUTE, 3 * HOUR) },
            1 => Visit { callers: 2, stays: (5 * MINUTE, 2 * HOUR) },
            2 => Visit { callers: self.random.usize(3..=6), stays: (10 * MINUTE, 2 * HOUR) },
            3 => Visit { callers: self.random.usize(2..=4), stays: (MINUTE, 10 * MINUTE) },
            4 => return self.scans(from),
            // A test of the connection.
            _ => Visit { callers: 1, stays: (MINUTE / 2, 2 * MINUTE) },
        };
        let mut end = from;
        for _ in 0..visit.callers {
            let join = from + self.span(Duration::ZERO, 3 * MINUTE);
            let leave = join + self.span(visit.stays.0, visit.stays.1);
            changes.extend([(join, 1), (leave, -1)]);
            end = end.max(leave);
        }
        end
    }

    /// Bots that scan: each makes a single short flow through each listener.
    fn scans(&mut self, from: Duration) -> Duration {
        let mut at = from;
        for _ in 0..self.random.usize(1..=15) {
            at += self.span(MINUTE / 2, 15 * MINUTE);
            let n = self.random.usize(1..=2);
            self.at(at, Action::Inject(Incident::PortScan { n }));
        }
        at
    }

    /// What CloudWatch withholds, and the processes that fail while they stop a service.
    fn usage_disturbances(&mut self, metrics: &MetricSettings) {
        let rate = match self.severity {
            Severity::Calm => return,
            Severity::Rough => 2,
            Severity::Hostile => 6,
        };
        for _ in 0..rate {
            let (begin, time) = (self.moment(), self.span(MINUTE, HOUR));
            match self.random.u32(0..4) {
                0 => self.at(begin, Action::Inject(Incident::MetricsGap { lasts: time })),
                1 => {
                    let changed = self.metrics();
                    self.at(begin, Action::SetMetrics(changed));
                    self.at(begin + time, Action::SetMetrics(metrics.clone()));
                }
                _ => {
                    let plan = self.usage_faults();
                    self.at(begin, Action::SetUsageFaults(plan));
                    self.at(begin + time, Action::SetUsageFaults(FaultPlan::default()));
                }
            }
            let (at, fault) = (self.moment(), self.fault_of_stop());
            self.at(at, Action::FailAtCall(fault));
        }
    }

    /// Data points that come late, one after the other, or not at all.
    fn metrics(&mut self) -> MetricSettings {
        let metrics = MetricSettings::default();
        match self.random.u32(0..4) {
            0 => MetricSettings { missing: self.random.f64() * 0.5, ..metrics },
            1 => MetricSettings { latest: self.span(4 * MINUTE, 15 * MINUTE), ..metrics },
            2 => MetricSettings { silent_hours: 1.0, ..metrics },
            // All metrics of a minute are visible three minutes after its end, as the guarantees assume.
            _ => MetricSettings { latest: MINUTE, earliest: MINUTE / 2, skew: 2 * MINUTE, ..metrics },
        }
    }

    fn usage_faults(&mut self) -> FaultPlan {
        let on = Pattern("cloudwatch:*".to_owned());
        let error = |code: &str, status| Effect::Error { code: code.to_owned(), status, message: String::new() };
        let effect = match self.random.u32(0..6) {
            0 => {
                let throttle = Throttle { on, capacity: 1, refill_per_second: 0.005 };
                return FaultPlan { throttles: vec![throttle], ..FaultPlan::default() };
            }
            1 => error("InternalFailure", 500),
            2 => Effect::Latency { least: Duration::ZERO, most: Some(Duration::from_secs(12)) },
            3 => Effect::Drop { when: Moment::After },
            _ => error("AccessDenied", 403),
        };
        let rate = if self.random.bool() { 1.0 } else { self.random.f64() };
        FaultPlan { rules: vec![Rule { on, rate, times: None, effect }], ..FaultPlan::default() }
    }

    /// A worker fails at a call of a stop.
    fn fault_of_stop(&mut self) -> CallFault {
        let operations = ["AddTags", "GetMetricData", "TagResource", "UpdateService", "UpdateService", "UntagResource"];
        let operation = operations[self.random.usize(0..operations.len())];
        let side = if self.random.bool() { Side::Before } else { Side::After };
        let downtime = self.span(Duration::from_millis(100), 10 * MINUTE);
        let fault = match self.random.u32(0..3) {
            0 => ProcessFault::Kill { downtime },
            1 => ProcessFault::Terminate { downtime },
            _ => ProcessFault::Suspend { time: self.span(Duration::from_secs(1), 10 * MINUTE) },
        };
        CallFault { victim: Victim::Worker, operation, side, fault }
    }
}
