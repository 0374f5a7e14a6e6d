//! What it comes to: hours, money, times, counts.

use super::history::History;

/// The hours of a month, as AWS reckons: 365 days of 24 hours by twelve.
const HOURS_A_MONTH: f64 = 730.0;

/// What things cost, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// An hour in which the balancer is up, with everything else that is then.
    pub hour: f64,
    /// A month of the platform in which nothing is up.
    pub idle_month: f64,
    /// A month of the platform if it were always up.
    pub always_on_month: f64,
}

/// What one service's log comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// How long the log is, in hours.
    pub hours: f64,
    /// How long a balancer was up, in hours.
    pub hours_up: f64,
    /// What that and the idle platform have cost, in US dollars.
    pub cost: f64,
    /// What the same time would have cost, had everything been up always, in US dollars.
    pub always_on_cost: f64,
    /// From the event's time to the registration.
    pub time_to_registered: Option<Spread>,
    /// From the task's start to the target's being healthy.
    pub time_to_healthy: Option<Spread>,
    /// Requests to AWS, retries included.
    pub aws_calls: u64,
    /// Tasks that were seen.
    pub tasks: usize,
    /// Balancers that were seen.
    pub balancers: usize,
    /// Balancers that the watcher deleted.
    pub teardowns: usize,
    /// Findings that stood at some time.
    pub findings: usize,
    /// Failed calls and refused messages.
    pub failures: usize,
}

/// How times are spread, in milliseconds, by nearest rank: each is one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// Half of them are no longer.
    pub median: u64,
    /// 95 of 100 are no longer.
    pub p95: u64,
}

impl Figures {
    /// The figures of this history at these prices.
    pub fn of(history: &History, prices: &Prices) -> Self {
        let hours = history.period.hours();
        let hours_up = history.balancers.iter().map(|balancer| balancer.life.period.hours()).sum();
        let months = hours / HOURS_A_MONTH;
        Self {
            hours,
            hours_up,
            cost: hours_up * prices.hour + months * prices.idle_month,
            always_on_cost: months * prices.always_on_month,
            time_to_registered: Spread::of(&history.registered_after_ms),
            time_to_healthy: Spread::of(&history.healthy_after_ms),
            aws_calls: history.aws_calls,
            tasks: history.tasks.len(),
            balancers: history.balancers.len(),
            teardowns: history.teardowns,
            findings: history.findings.len(),
            failures: history.failures.len(),
        }
    }

    /// What was saved, in US dollars; below zero when always on would have been cheaper.
    pub fn avoided(&self) -> f64 {
        self.always_on_cost - self.cost
    }
}

impl Spread {
    /// How these are spread; none if there are none.
    pub fn of(times: &[u64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { count: sorted.len(), median: rank(50)?, p95: rank(95)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_by_nearest_rank() {
        let spread = |times: &[u64]| Spread::of(times).map(|spread| (spread.count, spread.median, spread.p95));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7]), Some((1, 7, 7)));
        assert_eq!(spread(&[30, 10, 20, 40]), Some((4, 20, 40)));
        assert_eq!(spread(&(1..=100).rev().collect::<Vec<_>>()), Some((100, 50, 95)));
    }
}
