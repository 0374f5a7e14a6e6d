//! The figures of one service: hours, costs, times and counts.

use crate::history::History;
use crate::prices::{HOURS_PER_MONTH, Prices};

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
    /// Computes the figures of a history at these prices.
    pub fn of(history: &History, prices: &Prices) -> Self {
        let hours = history.period.hours();
        let hours_up: f64 = history.load_balancers.iter().map(|it| it.lifetime.period.hours()).sum();
        let months = hours / HOURS_PER_MONTH;
        Self {
            hours,
            hours_up,
            cost: hours_up * prices.hour + months * prices.idle_month,
            always_on_cost: months * prices.always_on_month(),
            time_to_registered: Percentiles::of(&history.registration_latencies_ms),
            time_to_healthy: Percentiles::of(&history.times_to_healthy_ms),
            aws_calls: history.aws_calls,
            tasks: history.tasks.len(),
            load_balancers: history.load_balancers.len(),
            teardowns: history.teardowns,
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
    fn figures(states: &[&str], prices: &Prices) -> Figures {
        let lines = states.iter().enumerate().map(|(hour, state)| {
            let text = format!(
                r#"{{"timestamp":"2026-11-20T{hour:02}:00:00Z","event":"reconciled","message":"m","project":"p","cluster":"c","service":"s","load_balancer_state":"{state}","registered":1,"findings":0,"aws_calls":1,"duration_ms":1}}"#
            );
            Line::parse(&text).expect("a line")
        });
        Figures::of(&History::of(&lines.collect::<Vec<_>>()).expect("there are lines"), prices)
    }

    fn assert_close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9, "{one} is not {other}");
    }

    #[test]
    fn a_load_balancer_that_is_always_up_saves_nothing() {
        for (hour, idle_month) in [(0.19, 0.73), (2.5, 0.0), (0.0, 3.0)] {
            let prices = Prices { hour, idle_month, always_on_month: None };
            let figures = figures(&["active"; 24], &prices);
            assert_close(figures.percent_up(), 100.0);
            assert_close(figures.avoided(), 0.0);
        }
    }

    #[test]
    fn the_cost_avoided_is_that_of_the_hours_without_a_load_balancer() {
        let prices = Prices { hour: 2.0, idle_month: 5.0, always_on_month: None };
        let figures = figures(&["absent", "absent", "active", "absent", "absent"], &prices);
        assert_close(figures.hours_up, 1.0);
        assert_close(figures.avoided(), 3.0 * 2.0);
    }

    #[test]
    fn a_given_monthly_price_replaces_the_derived_one() {
        let prices = Prices { hour: 2.0, idle_month: 0.0, always_on_month: Some(730.0) };
        let figures = figures(&["active"; 11], &prices);
        assert_close(figures.always_on_cost, 10.0);
        assert_close(figures.avoided(), -10.0);
    }
}
