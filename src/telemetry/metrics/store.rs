//! The current values: the counters since the process started, and the last observation.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Metric;
use super::snapshot::{Snapshot, Usage};

/// The current values, whatever is published of them and in whatever format.
#[derive(Default)]
pub struct Store {
    totals: BTreeMap<Metric, u64>,
    snapshot: Option<(Snapshot, Timestamp)>,
    findings: u64,
    queue_age: Option<Duration>,
}

impl Store {
    /// Increments a counter.
    pub fn increment(&mut self, counter: Metric) {
        *self.totals.entry(counter).or_default() += 1;
    }

    /// Sets a counter that is counted elsewhere.
    pub fn set_total(&mut self, counter: Metric, total: u64) {
        self.totals.insert(counter, total);
    }

    /// Stores the result of an observation, and the number of findings after it that need action.
    pub fn set_snapshot(&mut self, snapshot: Snapshot, findings: usize, now: Timestamp) {
        self.snapshot = Some((snapshot, now));
        self.findings = findings as u64;
    }

    /// Stores the age of the last message.
    pub fn set_queue_age(&mut self, age: Duration) {
        self.queue_age = Some(age);
    }

    /// Returns the counters since the process started; one that is zero may be missing.
    pub fn totals(&self) -> &BTreeMap<Metric, u64> {
        &self.totals
    }

    /// Returns a counter since the process started.
    pub fn total(&self, counter: Metric) -> u64 {
        self.totals.get(&counter).copied().unwrap_or_default()
    }

    /// Returns the last successful observation.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.snapshot.map(|(snapshot, _)| snapshot)
    }

    /// Returns the time of the last successful observation.
    pub fn observed_at(&self) -> Option<Timestamp> {
        self.snapshot.map(|(_, at)| at)
    }

    /// Returns how long the last message had waited.
    pub fn queue_age(&self) -> Option<Duration> {
        self.queue_age
    }

    /// Returns the number of active findings that an operator must act on.
    pub fn findings(&self) -> u64 {
        self.findings
    }

    /// Returns whether there is anything to watch. Before the first successful observation nothing is known that would be
    /// worth its price.
    pub fn usage(&self) -> Usage {
        self.snapshot().map_or(Usage::Idle, |snapshot| snapshot.usage)
    }
}
