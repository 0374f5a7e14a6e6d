//! The figures of one service: hours, costs, times and counts.

use std::time::Duration;

use jvb_watcher_cost::{HOURS_PER_MONTH, Model, Run};

use crate::history::History;
use crate::period::{Edge, Lifetime};
use crate::replay::{self, Saving};

/// The figures of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The hours that the log covers.
    pub hours: f64,
    /// The hours in which a load balancer was up.
    pub hours_up: f64,
    /// The cost of on-demand operation, in US dollars.
    pub cost: f64,
    /// The cost of always-on operation in the same time, in US dollars.
    pub always_on_cost: f64,
    /// From the event to the registration.
    pub time_to_registered: Option<Percentiles>,
    /// From the task's start to its target's first healthy state.
    pub time_to_healthy: Option<Percentiles>,
    /// The requests to AWS, retries included.
    pub aws_calls: u64,
    /// The number of tasks.
    pub tasks: usize,
    /// The number of load balancers.
    pub load_balancers: usize,
    /// The number of load balancers that the watcher deleted.
    pub teardowns: usize,
    /// The hours of minutes whose use is known; 0 if the log contains no use.
    pub hours_known: f64,
    /// The hours of known minutes without use in which the load balancer had a healthy target.
    pub hours_unused: f64,
    /// What `--stop-when-unused` would have saved; empty if the log contains no use.
    pub savings: Vec<Saving>,
    /// The number of findings.
    pub findings: usize,
    /// The number of failed calls and rejected messages.
    pub failures: usize,
}

/// Percentiles of durations in milliseconds, by nearest rank: each is one of the durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// The number of durations.
    pub count: usize,
    /// The 50th percentile.
    pub median: u64,
    /// The 95th percentile.
    pub p95: u64,
}

impl Figures {
    /// Computes the figures of a history by a model of the costs.
    pub fn of(history: &History, model: &Model) -> Self {
        let hours = history.period.hours();
        let hours_up: f64 = history.load_balancers.iter().map(|it| it.lifetime.period.hours()).sum();
        let months = hours / HOURS_PER_MONTH;
        let runs: Vec<Run> = history.load_balancers.iter().map(|it| run_of(it.lifetime, model)).collect();
        let egress_gb: f64 = runs.iter().map(|run| run.egress_gb).sum();
        let egress_gb_per_month = if months > 0.0 { egress_gb / months } else { 0.0 };
        Self {
            hours,
            hours_up,
            cost: runs.iter().map(|run| model.run_cost(run)).sum::<f64>() + months * model.idle_monthly(),
            always_on_cost: months * model.always_on_monthly(egress_gb_per_month),
            time_to_registered: Percentiles::of(&history.registration_latencies_ms),
            time_to_healthy: Percentiles::of(&history.times_to_healthy_ms),
            aws_calls: history.aws_calls,
            tasks: history.tasks.len(),
            load_balancers: history.load_balancers.len(),
            teardowns: history.teardowns,
            hours_known: hours_of_minutes(history.usage.minutes.len()),
            hours_unused: hours_of_minutes(history.usage.unused_minutes()),
            savings: replay::savings(history, model),
            findings: history.findings.len(),
            failures: history.failures.len(),
        }
    }

    /// Returns the cost avoided in US dollars: negative if always-on operation would have been cheaper.
    pub fn avoided(&self) -> f64 {
        self.always_on_cost - self.cost
    }

    /// Returns the share of the log's time in which a load balancer was up, in percent.
    pub fn percent_up(&self) -> f64 {
        percent_of(self.hours_up, self.hours)
    }
}

/// Returns what a load balancer has used. One whose creation or deletion the log lacks has a part of its time in the log,
/// which isn't rounded to the hours that are billed.
pub fn run_of(lifetime: Lifetime, model: &Model) -> Run {
    let is_whole = (lifetime.start, lifetime.end) == (Edge::Logged, Edge::Logged);
    match Duration::try_from_secs_f64(lifetime.period.seconds()) {
        Ok(up) if is_whole => model.run(up),
        _ => model.part(lifetime.period.hours()),
    }
}

fn hours_of_minutes(minutes: usize) -> f64 {
    u32::try_from(minutes).map_or(f64::INFINITY, f64::from) / 60.0
}

/// Returns the part in percent of the whole; 0 of an empty whole.
pub fn percent_of(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

impl Percentiles {
    /// Computes the percentiles. Returns nothing if there are no durations.
    pub fn of(durations: &[u64]) -> Option<Self> {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { count: sorted.len(), median: rank(50)?, p95: rank(95)? })
    }
}

#[cfg(test)]
mod tests {
    use jvb_watcher_cost::{Item, Platform};

    use super::*;
    use crate::line::Line;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let percentiles = |durations: &[u64]| Percentiles::of(durations).map(|it| (it.count, it.median, it.p95));
        assert_eq!(percentiles(&[]), None);
        assert_eq!(percentiles(&[7]), Some((1, 7, 7)));
        assert_eq!(percentiles(&[30, 10, 20, 40]), Some((4, 20, 40)));
        assert_eq!(percentiles(&(1..=100).rev().collect::<Vec<_>>()), Some((100, 50, 95)));
    }

    /// The figures of a log of these load balancer states, one an hour.
    fn figures(states: &[&str], model: &Model) -> Figures {
        let lines = states.iter().enumerate().map(|(hour, state)| {
            let text = format!(
                r#"{{"timestamp":"2026-11-20T{hour:02}:00:00Z","event":"reconciled","message":"m","project":"p","cluster":"c","service":"s","load_balancer_state":"{state}","registered":1,"findings":0,"aws_calls":1,"duration_ms":1}}"#
            );
            Line::parse(&text).expect("a line")
        });
        Figures::of(&History::of(&lines.collect::<Vec<_>>()).expect("there are lines"), model)
    }

    fn assert_close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9, "{one} is not {other}");
    }

    #[test]
    fn a_load_balancer_that_is_always_up_saves_nothing() {
        let given = [(0.19, 0.73), (2.5, 0.0), (0.0, 3.0)];
        let given =
            given.map(|(hour, idle)| Model { hourly: Some(hour), idle_monthly: Some(idle), ..Model::default() });
        let platform = Platform { egress_gb_per_hour: 11.25, ..Platform::EXAMPLE };
        for model in given.into_iter().chain([Model::default(), Model::new("us-east-1", platform)]) {
            let figures = figures(&["active"; 24], &model);
            assert_close(figures.percent_up(), 100.0);
            assert_close(figures.avoided(), 0.0);
        }
    }

    #[test]
    fn the_cost_avoided_is_that_of_the_hours_without_a_load_balancer() {
        let model = Model { hourly: Some(2.0), idle_monthly: Some(5.0), ..Model::default() };
        let figures = figures(&["absent", "absent", "active", "absent", "absent"], &model);
        assert_close(figures.hours_up, 1.0);
        assert_close(figures.avoided(), 3.0 * 2.0);
    }

    #[test]
    fn a_given_monthly_price_replaces_the_derived_one() {
        let model = Model { hourly: Some(2.0), idle_monthly: Some(0.0), ..Model::default() };
        let model = Model { always_on_monthly: Some(730.0), ..model };
        let figures = figures(&["active"; 11], &model);
        assert_close(figures.always_on_cost, 10.0);
        assert_close(figures.avoided(), -10.0);
    }

    /// Returns the figures of a load balancer of 90 minutes, deleted at half past eight, and a log that ends then.
    fn figures_until(log_ends_at: &str, model: &Model) -> Figures {
        let about = r#""message":"m","project":"p","cluster":"c","service":"s""#;
        let absent = |at: &str| {
            format!(
                r#"{{"timestamp":"2026-11-20T{at}Z","event":"reconciled","load_balancer_state":"absent","registered":0,"findings":0,"aws_calls":1,"duration_ms":1,{about}}}"#
            )
        };
        let deleted = format!(
            r#"{{"timestamp":"2026-11-20T20:30:00Z","event":"load_balancer_deleted","load_balancer_arn":"a","uptime_seconds":5400,{about}}}"#
        );
        let lines = [absent("18:00:00"), deleted, absent(log_ends_at)].map(|line| Line::parse(&line).expect("a line"));
        Figures::of(&History::of(&lines).expect("there are lines"), model)
    }

    #[test]
    fn a_load_balancer_is_billed_for_each_hour_that_began_whenever_the_log_ends() {
        let model = Model { idle_monthly: Some(0.0), ..Model::default() };
        let exact = model.bill(&model.part(1.5));
        for log_ends_at in ["20:30:01", "20:45:00", "21:00:00", "23:00:00"] {
            let figures = figures_until(log_ends_at, &model);
            assert_close(figures.hours_up, 1.5);
            let load_balancer = exact.amount(Item::LoadBalancer) / 1.5;
            assert_close(figures.cost, exact.total() + 0.5 * load_balancer);
        }
    }
}
