//! The metrics: published as log events in CloudWatch's embedded metric format, and exposed as OpenMetrics text.
//!
//! The modules follow the data: `catalogue` defines the metrics, `store` holds their current values, `interval` decides what
//! to publish in the log and when, `exposition` renders `/metrics`, and `otlp` makes OpenTelemetry's instruments of them.
//!
//! Recording a metric never blocks and never fails.

#[cfg(feature = "otlp")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, PoisonError, Weak};
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
#[cfg(feature = "otlp")]
mod otlp;
mod snapshot;
mod store;

pub use catalogue::{Definition, GaugeSource, Kind, Metric, Published, Subject};
pub use exposition::CONTENT_TYPE;
pub use snapshot::{Flows, Snapshot, Summary, Usage};

use exposition::{Exposition, Histograms};
use interval::{Interval, Part};
use store::Store;

/// The metrics of a process that watches one service; or, where it watches several, its own or those of one of them. Clones
/// share them.
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
    relation: Relation,
    recorded: Mutex<Recorded>,
    /// The histograms that are exported to OpenTelemetry.
    #[cfg(feature = "otlp")]
    exported: OnceLock<otlp::Histograms>,
}

/// How metrics relate to others of the process.
enum Relation {
    /// There are no others.
    Only,
    /// They are the process's own, beside those of its services.
    Process(Mutex<Vec<Weak<Inner>>>),
    /// They are those of a service, beside the process's own.
    Service(Metrics),
}

#[derive(Default)]
struct Recorded {
    store: Store,
    histograms: Histograms,
    interval: Interval,
    /// The requests to the queue, for a process that watches several services.
    queue_calls: Calls,
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

    /// Creates the metrics of a process that watches several services: [`Self::of_service`] creates those of each. They are
    /// published in the log, if there is one.
    pub fn of_process(scope: Scope, log: Option<Log>, clock: SharedClock) -> Self {
        Self::related(Relation::Process(Mutex::default()), scope, log, clock)
    }

    /// Creates the metrics of one of the process's services. They are published in the log if those of the process are, and
    /// exposed with them as long as a clone exists.
    pub fn of_service(&self, scope: Scope, log: &Log) -> Self {
        let Some(process) = &self.inner else { return Self::off() };
        let log = process.log.is_some().then(|| log.clone());
        let metrics = Self::related(Relation::Service(self.clone()), scope, log, process.clock.clone());
        if let (Relation::Process(services), Some(inner)) = (&process.relation, &metrics.inner) {
            let mut services = services.lock().unwrap_or_else(PoisonError::into_inner);
            services.retain(|service| service.strong_count() > 0);
            services.push(Arc::downgrade(inner));
            #[cfg(feature = "otlp")]
            if let Some(histograms) = process.exported.get() {
                inner.exported.get_or_init(|| histograms.clone());
            }
        }
        metrics
    }

    fn recording(scope: Scope, log: Option<Log>, clock: SharedClock) -> Self {
        Self::related(Relation::Only, scope, log, clock)
    }

    fn related(relation: Relation, scope: Scope, log: Option<Log>, clock: SharedClock) -> Self {
        let inner = Inner {
            scope,
            log,
            clock,
            relation,
            recorded: Mutex::default(),
            #[cfg(feature = "otlp")]
            exported: OnceLock::new(),
        };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Exports the metrics, and those of the services that [`Self::of_service`] creates from now on, by a meter.
    #[cfg(feature = "otlp")]
    pub fn export(&self, meter: &opentelemetry::metrics::Meter) {
        let Some(inner) = &self.inner else { return };
        if inner.exported.set(otlp::Histograms::new(meter)).is_ok() {
            otlp::observe(meter, &Arc::downgrade(inner));
        }
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
        self.with(|_, recorded| recorded.store.increment(counter));
        let Some(sent_at) = sent_at else { return };
        // All services share the queue.
        self.process().with(|inner, Recorded { store, interval, .. }| {
            // Negative when SQS's clock is ahead of this one.
            let age = Duration::try_from(inner.clock.now().duration_since(sent_at)).unwrap_or_default();
            store.set_queue_age(age);
            interval.record_queue_age(age);
        });
    }

    /// Returns the process's own metrics.
    fn process(&self) -> &Self {
        match self.inner.as_deref() {
            Some(Inner { relation: Relation::Service(process), .. }) => process,
            _ => self,
        }
    }

    /// Takes the number of requests that the queue has counted.
    pub fn set_queue_calls(&self, calls: Calls) {
        self.with(|_, recorded| recorded.queue_calls = calls);
    }

    /// Records the latency of a registration: the time since the event about the target's task.
    pub fn registered(&self, latency_ms: u64) {
        self.with(|inner, recorded| inner.record(recorded, Metric::RegistrationLatency, latency_ms));
    }

    /// Counts a completed teardown.
    pub fn teardown_completed(&self) {
        self.with(|_, recorded| recorded.store.increment(Metric::Teardowns));
    }

    /// Counts a stop of the unused service.
    pub fn stopped_for_disuse(&self) {
        self.with(|_, recorded| recorded.store.increment(Metric::StopsForDisuse));
    }

    /// Records an observation, and the number of findings after it that an operator must act on.
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

    /// Publishes a document if one is due. `calls` are the requests to AWS since the process started; of a service among
    /// several, those to the platform, and the process's own document is published, too.
    pub fn publish_if_due(&self, calls: Calls) {
        self.process().with(|inner, recorded| {
            let queue_calls = match inner.relation {
                Relation::Process(_) => recorded.queue_calls,
                // They are among the calls.
                Relation::Only | Relation::Service(_) => Calls::default(),
            };
            recorded.store.set_total(Metric::AwsCalls, calls.sent + queue_calls.sent);
            recorded.store.set_total(Metric::Throttles, calls.throttled + queue_calls.throttled);
            inner.publish_if_due(recorded);
        });
        if self.is_of_service() {
            self.with(Inner::publish_if_due);
        }
    }

    fn is_of_service(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| matches!(inner.relation, Relation::Service(_)))
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

    /// Renders all metrics as OpenMetrics text ([`CONTENT_TYPE`]): those of a process with those of its services.
    pub fn exposition(&self) -> String {
        let mut exposition = Exposition::default();
        self.expose(&mut exposition);
        if let Some(Inner { relation: Relation::Process(services), .. }) = self.inner.as_deref() {
            let services = services.lock().unwrap_or_else(PoisonError::into_inner);
            for inner in services.iter().filter_map(Weak::upgrade) {
                Self { inner: Some(inner) }.expose(&mut exposition);
            }
        }
        exposition.text()
    }

    fn expose(&self, exposition: &mut Exposition) {
        self.with(|inner, Recorded { store, histograms, .. }| {
            exposition.add(&inner.scope, inner.part(), store, histograms, inner.clock.now());
        });
    }

    fn with(&self, act: impl FnOnce(&Inner, &mut Recorded)) {
        if let Some(inner) = &self.inner {
            act(inner, &mut inner.recorded.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Inner {
    fn part(&self) -> Part {
        match self.relation {
            Relation::Only => Part::All,
            Relation::Process(_) => Part::OfProcess,
            Relation::Service(_) => Part::OfService,
        }
    }

    fn record(&self, recorded: &mut Recorded, distribution: Metric, milliseconds: u64) {
        recorded.histograms.record(distribution, milliseconds);
        recorded.interval.record(distribution, milliseconds);
        #[cfg(feature = "otlp")]
        if let Some(histograms) = self.exported.get() {
            histograms.record(self, distribution, milliseconds);
        }
    }

    fn publish_if_due(&self, recorded: &mut Recorded) {
        let now = self.clock.now();
        if recorded.interval.is_due(&recorded.store, now) {
            self.publish(recorded, now);
        }
    }

    fn publish(&self, Recorded { store, interval, .. }: &mut Recorded, now: Timestamp) {
        // The interval ends also without a log, else its values would accumulate.
        let metrics = interval.end(self.part(), store, now);
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
        self.metrics.with(|inner, recorded| {
            if self.succeeded {
                recorded.store.increment(Metric::Reconciles);
                inner.record(recorded, Metric::ReconcileDuration, duration);
            } else {
                recorded.store.increment(Metric::ReconcileFailures);
            }
        });
    }
}

#[cfg(test)]
mod tests;
