//! The metrics: published as log events in CloudWatch's embedded metric format, and exposed as OpenMetrics text.
//!
//! The modules follow the data: `catalogue` defines the metrics, `store` holds their current values, `interval` decides what
//! to publish in the log and when, and `exposition` renders `/metrics`.
//!
//! Recording a metric never blocks and never fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::Calls;
use crate::clock::SharedClock;
use crate::telemetry::emf::{Document, Scope};
use crate::telemetry::log::{Event, Log, millis};

mod catalogue;
mod exposition;
mod interval;
mod snapshot;
mod store;

pub use catalogue::{Definition, GaugeSource, Kind, Metric, Published};
pub use exposition::CONTENT_TYPE;
pub use snapshot::{Flows, Snapshot, Summary, Usage};

use exposition::Histograms;
use interval::Interval;
use store::Store;

/// The metrics of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    /// `None` when nothing is recorded.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    scope: Scope,
    /// The log that documents are published in, if any.
    log: Option<Log>,
    clock: SharedClock,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    store: Store,
    histograms: Histograms,
    interval: Interval,
}

impl Recorded {
    fn record(&mut self, distribution: Metric, milliseconds: u64) {
        self.histograms.record(distribution, milliseconds);
        self.interval.record(distribution, milliseconds);
    }
}

impl Metrics {
    /// Creates metrics that are published in a log.
    pub fn new(scope: Scope, log: Log, clock: SharedClock) -> Self {
        Self::recording(scope, Some(log), clock)
    }

    /// Creates metrics that are exposed, and not published.
    pub fn unpublished(scope: Scope, clock: SharedClock) -> Self {
        Self::recording(scope, None, clock)
    }

    fn recording(scope: Scope, log: Option<Log>, clock: SharedClock) -> Self {
        Self { inner: Some(Arc::new(Inner { scope, log, clock, recorded: Mutex::default() })) }
    }

    /// Creates metrics that record nothing.
    pub fn off() -> Self {
        Self::default()
    }

    // ---- recording ----

    /// Counts a message about this service, sent at that time.
    pub fn event_received(&self, sent_at: Option<Timestamp>) {
        self.message(Metric::EventsReceived, sent_at);
    }

    /// Counts a message about another resource, sent at that time.
    pub fn event_foreign(&self, sent_at: Option<Timestamp>) {
        self.message(Metric::EventsForeign, sent_at);
    }

    /// Counts a malformed message.
    pub fn message_rejected(&self) {
        // It is received again and again, so its age is no delay of the worker's.
        self.message(Metric::MessagesRejected, None);
    }

    fn message(&self, counter: Metric, sent_at: Option<Timestamp>) {
        self.with(|inner, Recorded { store, interval, .. }| {
            store.increment(counter);
            if let Some(sent_at) = sent_at {
                // Negative when SQS's clock is ahead of this one.
                let age = Duration::try_from(inner.clock.now().duration_since(sent_at)).unwrap_or_default();
                store.set_queue_age(age);
                interval.record_queue_age(age);
            }
        });
    }

    /// Records the latency of a registration: the time since the event about the target's task.
    pub fn registered(&self, latency_ms: u64) {
        self.with(|_, recorded| recorded.record(Metric::RegistrationLatency, latency_ms));
    }

    /// Counts a completed teardown.
    pub fn teardown_completed(&self) {
        self.with(|_, recorded| recorded.store.increment(Metric::Teardowns));
    }

    /// Counts a stop of the unused service.
    pub fn stopped_for_disuse(&self) {
        self.with(|_, recorded| recorded.store.increment(Metric::StopsForDisuse));
    }

    /// Records an observation, and the number of active findings after it.
    pub fn observed(&self, snapshot: Snapshot, findings: usize) {
        self.with(|inner, Recorded { store, interval, .. }| {
            store.set_snapshot(snapshot, findings, inner.clock.now());
            interval.record_observation();
        });
    }

    /// Starts the measurement of a reconciliation. Dropping the result records its end.
    pub fn reconciling(&self) -> Reconciling {
        Reconciling { metrics: self.clone(), started: Instant::now(), succeeded: false }
    }

    // ---- publishing ----

    /// Publishes a document if one is due. `calls` are the requests to AWS since the process started.
    pub fn publish_if_due(&self, calls: Calls) {
        self.with(|inner, recorded| {
            recorded.store.set_total(Metric::AwsCalls, calls.sent);
            recorded.store.set_total(Metric::Throttles, calls.throttled);
            let now = inner.clock.now();
            if recorded.interval.is_due(&recorded.store, now) {
                inner.publish(recorded, now);
            }
        });
    }

    /// Publishes the counts since the last document, if there are any. Call it before the process ends.
    pub fn finish(&self) {
        self.with(|inner, recorded| {
            if recorded.interval.has_unpublished(&recorded.store) {
                inner.publish(recorded, inner.clock.now());
            }
        });
    }

    // ---- reading ----

    /// Renders all metrics as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn exposition(&self) -> String {
        let mut text = exposition::empty();
        self.with(|inner, Recorded { store, histograms, .. }| {
            text = exposition::text(&inner.scope, store, histograms, inner.clock.now());
        });
        text
    }

    fn with(&self, act: impl FnOnce(&Inner, &mut Recorded)) {
        if let Some(inner) = &self.inner {
            act(inner, &mut inner.recorded.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Inner {
    fn publish(&self, Recorded { store, interval, .. }: &mut Recorded, now: Timestamp) {
        // The interval ends also without a log, else its values would accumulate.
        let metrics = interval.end(store, now);
        if let Some(log) = &self.log {
            log.emit(&Event::Metrics { document: Box::new(Document::new(&self.scope, now, metrics)) });
        }
    }
}

/// A reconciliation in progress. One that is dropped without [`Self::succeeded`] counts as failed, so that an interrupted
/// one does too.
#[must_use]
pub struct Reconciling {
    metrics: Metrics,
    started: Instant,
    succeeded: bool,
}

impl Reconciling {
    /// Records that the reconciliation succeeded.
    pub fn succeeded(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        let duration = millis(self.started.elapsed());
        self.metrics.with(|_, recorded| {
            if self.succeeded {
                recorded.store.increment(Metric::Reconciles);
                recorded.record(Metric::ReconcileDuration, duration);
            } else {
                recorded.store.increment(Metric::ReconcileFailures);
            }
        });
    }
}

#[cfg(test)]
mod tests;
