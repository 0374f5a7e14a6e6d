//! The figures by which the watcher is followed over time. docs/metrics.md lists them.
//!
//! Whoever knows a figure says so here. What is known (`figures`) is kept apart from its two forms: what of it is
//! published as events of the log, in CloudWatch's embedded metric format, and when (`lines`); and what is shown to
//! whoever asks over HTTP (`exposition`).
//!
//! Nothing here waits, and nothing here fails: the work goes before its figures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::Calls;
use crate::clock::SharedClock;
use crate::telemetry::log::{Event, Log, millis};

mod catalogue;
pub mod emf;
mod exposition;
mod figures;
mod lines;
mod sight;

pub use catalogue::{Definition, Kind, Metric, Published, Unit};
pub use exposition::CONTENT_TYPE;
pub use figures::{Seen, Usage};
pub use sight::Sight;

use emf::{Address, Document};
use exposition::Distributions;
use figures::Figures;
use lines::Lines;

/// Where figures go. Clones gather for the same lines.
#[derive(Clone, Default)]
pub struct Metrics {
    /// `None` when they go nowhere.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    address: Address,
    /// Where lines are published, if any are.
    log: Option<Log>,
    clock: SharedClock,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    figures: Figures,
    distributions: Distributions,
    lines: Lines,
}

impl Gathered {
    fn measure(&mut self, distribution: Metric, value: u64) {
        self.distributions.measure(distribution, value);
        self.lines.measure(distribution, value);
    }
}

impl Metrics {
    /// Figures that are published under this address, in this log.
    pub fn new(address: Address, log: Log, clock: SharedClock) -> Self {
        Self::gathering(address, Some(log), clock)
    }

    /// Figures that are shown to whoever asks, and published nowhere.
    pub fn shown_only(address: Address, clock: SharedClock) -> Self {
        Self::gathering(address, None, clock)
    }

    fn gathering(address: Address, log: Option<Log>, clock: SharedClock) -> Self {
        Self { inner: Some(Arc::new(Inner { address, log, clock, gathered: Mutex::default() })) }
    }

    /// Figures that nobody wants.
    pub fn off() -> Self {
        Self::default()
    }

    // ---- gathering ----

    /// A message about this service came, sent at that time.
    pub fn event_received(&self, sent_at: Option<Timestamp>) {
        self.message(Metric::EventsReceived, sent_at);
    }

    /// A message about something else came, sent at that time.
    pub fn event_foreign(&self, sent_at: Option<Timestamp>) {
        self.message(Metric::EventsForeign, sent_at);
    }

    /// A message came that nobody can read.
    pub fn message_rejected(&self) {
        // Its age says nothing: it comes again and again.
        self.message(Metric::MessagesRejected, None);
    }

    fn message(&self, counter: Metric, sent_at: Option<Timestamp>) {
        self.with(|inner, Gathered { figures, lines, .. }| {
            figures.count(counter);
            if let Some(sent_at) = sent_at {
                // Negative when SQS's clock is ahead of this one.
                let age = Duration::try_from(inner.clock.now().duration_since(sent_at)).unwrap_or_default();
                figures.wait(age);
                lines.waited(age);
            }
        });
    }

    /// A target was registered, so long after the event that told of its task.
    pub fn registered(&self, latency_ms: u64) {
        self.with(|_, gathered| gathered.measure(Metric::RegistrationLatency, latency_ms));
    }

    /// A teardown came to its end.
    pub fn teardown_completed(&self) {
        self.with(|_, gathered| gathered.figures.count(Metric::Teardowns));
    }

    /// A look was had, and so many findings stand after it.
    pub fn looked(&self, seen: Seen, findings: usize) {
        self.with(|inner, Gathered { figures, lines, .. }| {
            figures.see(seen, findings, inner.clock.now());
            lines.see();
        });
    }

    /// A reconcile begins. What becomes of it counts when the answer is dropped.
    pub fn reconciling(&self) -> Reconciling {
        Reconciling { metrics: self.clone(), began: Instant::now(), succeeded: false }
    }

    // ---- publishing ----

    /// Publishes a line if one is due. There have been so many calls by now.
    pub fn publish_if_due(&self, calls: Calls) {
        self.with(|inner, gathered| {
            gathered.figures.set_total(Metric::AwsCalls, calls.sent);
            gathered.figures.set_total(Metric::Throttles, calls.throttled);
            let now = inner.clock.now();
            if gathered.lines.is_due(&gathered.figures, now) {
                inner.publish(gathered, now);
            }
        });
    }

    /// Publishes what no line has told of yet. For the end: what is counted after it is lost.
    pub fn finish(&self) {
        self.with(|inner, gathered| {
            if gathered.lines.has_untold(&gathered.figures) {
                inner.publish(gathered, inner.clock.now());
            }
        });
    }

    // ---- showing ----

    /// Returns the counter's total since the process started.
    pub fn total(&self, counter: Metric) -> u64 {
        let mut total = 0;
        self.with(|_, gathered| total = gathered.figures.total(counter));
        total
    }

    /// Everything that is known, in OpenMetrics' text form ([`CONTENT_TYPE`]).
    pub fn exposition(&self) -> String {
        let mut text = exposition::nothing();
        self.with(|Inner { address, clock, .. }, Gathered { figures, distributions, .. }| {
            text = exposition::text(&address.project, &address.service, figures, distributions, clock.now());
        });
        text
    }

    fn with(&self, act: impl FnOnce(&Inner, &mut Gathered)) {
        if let Some(inner) = &self.inner {
            act(inner, &mut inner.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Inner {
    fn publish(&self, Gathered { figures, lines, .. }: &mut Gathered, now: Timestamp) {
        // Taken in any case: what is to be told would only grow otherwise.
        let line = lines.take(figures, now);
        if let Some(log) = &self.log {
            let document = Document::new(&self.address, now, line);
            log.emit(&Event::Metrics { document: Box::new(document) });
        }
    }
}

/// A reconcile under way. One that isn't said to have succeeded has failed, also when nobody waits for its end any more.
#[must_use]
pub struct Reconciling {
    metrics: Metrics,
    began: Instant,
    succeeded: bool,
}

impl Reconciling {
    /// It has succeeded.
    pub fn succeeded(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        let took = millis(self.began.elapsed());
        self.metrics.with(|_, gathered| {
            if self.succeeded {
                gathered.figures.count(Metric::Reconciles);
                gathered.measure(Metric::ReconcileDuration, took);
            } else {
                gathered.figures.count(Metric::ReconcileFailures);
            }
        });
    }
}

#[cfg(test)]
mod tests;
