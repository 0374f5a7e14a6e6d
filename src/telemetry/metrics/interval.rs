//! The interval between two documents in the embedded metric format: when it ends, and what is published of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::catalogue::{Definition, GaugeSource, Kind, Metric, Published, Subject};
use super::snapshot::{Summary, Usage};
use super::store::Store;
use crate::telemetry::emf::{Unit, Value};
use crate::telemetry::log::millis;

/// The events since the last document, and the state that it published.
#[derive(Default)]
pub struct Interval {
    /// The values of the distributions.
    values: BTreeMap<Metric, Vec<u64>>,
    /// The age of the oldest message received.
    queue_age: Option<Duration>,
    /// True if an observation has succeeded. Gauges of an earlier interval's observation aren't published again.
    observed: bool,
    /// The counters at the last document.
    published_totals: BTreeMap<Metric, u64>,
    last: Option<LastDocument>,
}

#[derive(Clone, Copy)]
struct LastDocument {
    /// The document's minute, counted from 1970.
    minute: i64,
    state: State,
}

/// The part of the metrics that a document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All: the process watches one service.
    All,
    /// Those of one of several services.
    OfService,
    /// Those of a process that watches several services. Their number doesn't depend on that of the services, so they are
    /// in every document.
    OfProcess,
}

impl Part {
    /// Returns whether the part has a metric.
    pub fn has(self, definition: &Definition) -> bool {
        match self {
            Self::All => true,
            Self::OfService => definition.subject == Subject::Service,
            Self::OfProcess => definition.subject == Subject::Process,
        }
    }
}

/// The values whose change ends an interval.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    usage: Usage,
    summary: Option<Summary>,
    findings: u64,
    teardowns: u64,
}

impl State {
    fn of(store: &Store) -> Self {
        Self {
            usage: store.usage(),
            summary: store.snapshot().map(|snapshot| snapshot.summary),
            findings: store.findings(),
            teardowns: store.total(Metric::Teardowns),
        }
    }
}

impl Interval {
    /// Records a value of a distribution.
    pub fn record(&mut self, distribution: Metric, value: u64) {
        self.values.entry(distribution).or_default().push(value);
    }

    /// Records how long a message had waited.
    pub fn record_queue_age(&mut self, age: Duration) {
        self.queue_age = self.queue_age.max(Some(age));
    }

    /// Records that an observation succeeded.
    pub fn record_observation(&mut self) {
        self.observed = true;
    }

    /// Returns whether a document is due: the first of a minute, or after a change.
    ///
    /// CloudWatch keeps one value of a metric a minute. Reconciliations that are a minute apart get one document each, even
    /// when they are some milliseconds early or late.
    pub fn is_due(&self, store: &Store, now: Timestamp) -> bool {
        self.last.is_none_or(|last| minute(now) != last.minute || State::of(store) != last.state)
    }

    /// Returns whether a counter has changed since the last document.
    pub fn has_unpublished(&self, store: &Store) -> bool {
        *store.totals() != self.published_totals
    }

    /// Ends the interval, and returns the metrics to publish.
    pub fn end(&mut self, part: Part, store: &Store, now: Timestamp) -> Vec<(&'static str, Unit, Value)> {
        let state = State::of(store);
        // When the use ends, all metrics are published once more: dashboards and alarms go by the last values.
        let was_in_use = self.last.is_some_and(|last| last.state.usage == Usage::InUse);
        let in_use = state.usage == Usage::InUse || was_in_use || part == Part::OfProcess;
        let metrics = Metric::ALL
            .into_iter()
            .map(|metric| (metric, metric.definition()))
            .filter(|(_, definition)| part.has(definition))
            .filter(|(_, definition)| in_use || definition.published == Published::Always)
            .filter_map(|(metric, definition)| {
                let value = self.value(metric, definition.kind, store, now)?;
                Some((definition.name, definition.unit, value))
            })
            .collect();
        let published_totals = store.totals().clone();
        *self = Self { published_totals, last: Some(LastDocument { minute: minute(now), state }), ..Self::default() };
        metrics
    }

    /// Returns a metric's value in this interval, if it has one.
    fn value(&self, metric: Metric, kind: Kind, store: &Store, now: Timestamp) -> Option<Value> {
        match kind {
            Kind::Counter => {
                let published = self.published_totals.get(&metric).copied().unwrap_or_default();
                Some(Value::Integer(store.total(metric).saturating_sub(published)))
            }
            Kind::Distribution { .. } => self.values.get(&metric).cloned().map(Value::list),
            Kind::Gauge(GaugeSource::Findings) => Some(Value::Integer(store.findings())),
            Kind::Gauge(GaugeSource::QueueAge) => self.queue_age.map(|age| Value::Seconds(millis(age) as f64 / 1000.0)),
            Kind::Gauge(GaugeSource::Snapshot(value)) => {
                let snapshot = store.snapshot().filter(|_| self.observed)?;
                Some(Value::Integer(value(&snapshot, now)))
            }
            Kind::Gauge(GaugeSource::KnownSnapshot(value)) => {
                let snapshot = store.snapshot().filter(|_| self.observed)?;
                value(&snapshot, now).map(Value::Integer)
            }
        }
    }
}

/// Returns the minute of an instant, counted from 1970.
fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}
