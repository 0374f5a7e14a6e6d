//! What is known: what this process has counted since it began, and what its last look saw.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Metric, Sight};

/// What is known, whatever of it is published, and in whatever form.
#[derive(Default)]
pub struct Figures {
    totals: BTreeMap<Metric, u64>,
    seen: Option<(Seen, Timestamp)>,
    findings: u64,
    queue_age: Option<Duration>,
}

/// What a look saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it counted.
    pub sight: Sight,
    /// Since when the balancer has stood for nobody, if it does.
    pub idle_since: Option<Timestamp>,
    /// Whether there is anything to watch.
    pub usage: Usage,
}

/// Whether there is anything to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The service is in use, a balancer stands, or a teardown is under way.
    InUse,
    /// Nothing costs anything.
    Idle,
}

impl Figures {
    /// Adds one to a counter.
    pub fn count(&mut self, counter: Metric) {
        *self.totals.entry(counter).or_default() += 1;
    }

    /// Sets a counter that is kept elsewhere.
    pub fn set_total(&mut self, counter: Metric, total: u64) {
        self.totals.insert(counter, total);
    }

    /// Takes what a look saw, and how many findings stand after it.
    pub fn see(&mut self, seen: Seen, findings: usize, now: Timestamp) {
        self.seen = Some((seen, now));
        self.findings = findings as u64;
    }

    /// Takes how long a message had waited.
    pub fn wait(&mut self, age: Duration) {
        self.queue_age = Some(age);
    }

    /// The counters, each since the process began; one that has counted nothing may be missing.
    pub fn totals(&self) -> &BTreeMap<Metric, u64> {
        &self.totals
    }

    /// One of the counters.
    pub fn total(&self, counter: Metric) -> u64 {
        self.totals.get(&counter).copied().unwrap_or_default()
    }

    /// What the last look that succeeded saw.
    pub fn seen(&self) -> Option<Seen> {
        self.seen.map(|(seen, _)| seen)
    }

    /// When that look was had.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.seen.map(|(_, at)| at)
    }

    /// How long the last message that came had waited.
    pub fn queue_age(&self) -> Option<Duration> {
        self.queue_age
    }

    /// How many findings stand.
    pub fn findings(&self) -> u64 {
        self.findings
    }

    /// Whether there is anything to watch. Before the first look that succeeds nothing is known that would be worth its
    /// price.
    pub fn usage(&self) -> Usage {
        self.seen().map_or(Usage::Idle, |seen| seen.usage)
    }
}

impl Seen {
    /// The value of one of the gauges that a look shows; `None` for any other metric.
    pub fn gauge(&self, metric: Metric, now: Timestamp) -> Option<u64> {
        let Sight { counts, serving, registered, healthy, unhealthy, load_balancer_state } = self.sight;
        match metric {
            Metric::RunningTasks => Some(u64::try_from(counts.running).unwrap_or_default()),
            Metric::ServingTasks => Some(serving as u64),
            Metric::RegisteredTargets => Some(registered as u64),
            Metric::HealthyTargets => Some(healthy as u64),
            Metric::UnhealthyTargets => Some(unhealthy as u64),
            Metric::LoadBalancerUp => Some(u64::from(load_balancer_state.is_some())),
            Metric::IdleSeconds => {
                let idle_for = self.idle_since.map(|since| now.duration_since(since).as_secs());
                // Negative when the clock of whoever marked it is ahead.
                Some(u64::try_from(idle_for.unwrap_or_default()).unwrap_or_default())
            }
            _ => None,
        }
    }
}
