//! The figures by which the watcher is followed over time. docs/metrics.md lists them.
//!
//! They are gathered here by whoever knows them, as totals and as what the last look saw, and published as events of the
//! log in CloudWatch's embedded metric format: at most one a minute, and one at each change. Each line has what came to
//! pass since the line before; the totals themselves stay, for whoever wants to serve them in another form.
//!
//! Nothing here waits, and nothing here fails: the work goes before its figures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::SharedClock;
use crate::cloud::Calls;
use crate::log::{Event, Log, millis};

mod catalogue;
pub mod emf;
mod sight;

pub use catalogue::{Definition, Kind, Metric, Published, Unit};
pub use sight::Sight;

use emf::{Address, Document, Figure};

/// Where figures go. Clones gather for the same lines.
#[derive(Clone, Default)]
pub struct Metrics {
    /// `None` when they go nowhere.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    address: Address,
    log: Log,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often things have happened since the process began.
    totals: BTreeMap<Metric, u64>,
    /// Those totals that the last line told of.
    told: BTreeMap<Metric, u64>,
    /// What has been measured since the last line.
    values: BTreeMap<Metric, Vec<u64>>,
    /// The longest time that a message received since the last line had waited.
    queue_age: Option<Duration>,
    /// What the last look that succeeded saw.
    seen: Option<Seen>,
    /// Whether that was since the last line: what no look has shown since isn't known any more.
    seen_anew: bool,
    /// How many findings stand.
    findings: u64,
    last: Option<LastLine>,
}

/// What a look saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it counted.
    pub sight: Sight,
    /// Since when the balancer has stood for nobody, if it does.
    pub idle_since: Option<Timestamp>,
    /// Whether all figures are worth their price, or only those that are always published.
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

/// What the last line told of.
#[derive(Clone, Copy)]
struct LastLine {
    /// The minute of the day that it fell in, counted from 1970.
    minute: i64,
    usage: Usage,
    sight: Option<Sight>,
    findings: u64,
    teardowns: u64,
}

impl Metrics {
    /// Figures that are published under this address, in this log.
    pub fn new(address: Address, log: Log, clock: SharedClock) -> Self {
        Self { inner: Some(Arc::new(Inner { address, log, clock, state: Mutex::default() })) }
    }

    /// Figures that nobody wants.
    pub fn off() -> Self {
        Self::default()
    }

    // ---- gathering ----

    /// A message about this service came, sent at that time.
    pub fn event_received(&self, sent_at: Option<Timestamp>) {
        self.readable_message(Metric::EventsReceived, sent_at);
    }

    /// A message about something else came, sent at that time.
    pub fn event_foreign(&self, sent_at: Option<Timestamp>) {
        self.readable_message(Metric::EventsForeign, sent_at);
    }

    /// A message came that nobody can read.
    pub fn message_rejected(&self) {
        self.with(|_, state| state.count(Metric::MessagesRejected));
    }

    fn readable_message(&self, metric: Metric, sent_at: Option<Timestamp>) {
        self.with(|inner, state| {
            state.count(metric);
            let age = sent_at.map(|at| Duration::try_from(inner.clock.now().duration_since(at)).unwrap_or_default());
            state.queue_age = state.queue_age.max(age);
        });
    }

    /// A target was registered, so long after the event that told of its task.
    pub fn registered(&self, latency_ms: u64) {
        self.with(|_, state| state.measure(Metric::RegistrationLatency, latency_ms));
    }

    /// A teardown came to its end.
    pub fn teardown_completed(&self) {
        self.with(|_, state| state.count(Metric::Teardowns));
    }

    /// A look was had, and so many findings stand after it.
    pub fn looked(&self, seen: Seen, findings: usize) {
        self.with(|_, state| {
            state.seen = Some(seen);
            state.seen_anew = true;
            state.findings = findings as u64;
        });
    }

    /// A reconcile succeeded.
    pub fn reconciled(&self, took: Duration) {
        self.with(|_, state| {
            state.count(Metric::Reconciles);
            state.measure(Metric::ReconcileDuration, millis(took));
        });
    }

    /// A reconcile failed.
    pub fn reconcile_failed(&self) {
        self.with(|_, state| state.count(Metric::ReconcileFailures));
    }

    // ---- publishing ----

    /// Publishes a line if one is due: the first of a minute, or after a change. There have been so many calls by now.
    ///
    /// CloudWatch keeps one value a minute of a metric; and looks that are a minute apart fall into one each, be they
    /// some milliseconds early or late.
    pub fn publish_if_due(&self, calls: Calls) {
        self.publish_if(|state, now| {
            state.totals.insert(Metric::AwsCalls, calls.sent);
            state.totals.insert(Metric::Throttles, calls.throttled);
            state.last.is_none_or(|last| minute(now) != last.minute || state.differs(&last))
        });
    }

    /// Publishes what no line has told of yet. For the end: what is counted after it is lost.
    pub fn finish(&self) {
        self.publish_if(|state, _| state.totals != state.told);
    }

    fn publish_if(&self, is_due: impl FnOnce(&mut State, Timestamp) -> bool) {
        self.with(|inner, state| {
            let now = inner.clock.now();
            if is_due(state, now) {
                let document = Document::new(&inner.address, now, state.take_line(now));
                inner.log.emit(&Event::Metrics { document: Box::new(document) });
            }
        });
    }

    fn with(&self, act: impl FnOnce(&Inner, &mut State)) {
        if let Some(inner) = &self.inner {
            let mut state: MutexGuard<'_, State> = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            act(inner, &mut state);
        }
    }
}

impl State {
    fn count(&mut self, metric: Metric) {
        *self.totals.entry(metric).or_default() += 1;
    }

    fn measure(&mut self, metric: Metric, value: u64) {
        self.values.entry(metric).or_default().push(value);
    }

    fn total(&self, metric: Metric) -> u64 {
        self.totals.get(&metric).copied().unwrap_or_default()
    }

    fn usage(&self) -> Usage {
        // Before the first look that succeeds nothing is known that would be worth its price.
        self.seen.map_or(Usage::Idle, |seen| seen.usage)
    }

    /// Whether a line now would tell of a change.
    fn differs(&self, last: &LastLine) -> bool {
        let sight = self.seen.map(|seen| seen.sight);
        let now = (self.usage(), sight, self.findings, self.total(Metric::Teardowns));
        now != (last.usage, last.sight, last.findings, last.teardowns)
    }

    /// The figures of the line that is due, which are told of with it.
    fn take_line(&mut self, now: Timestamp) -> BTreeMap<Metric, Figure> {
        let usage = self.usage();
        // The line at which the use ends has all figures once more: dashboards and alarms go by their last values.
        let in_use = usage == Usage::InUse || self.last.is_some_and(|last| last.usage == Usage::InUse);
        let wanted = |metric: &Metric| in_use || metric.definition().published == Published::Always;
        let figures = Metric::ALL.into_iter().filter(wanted);
        let figures = figures.filter_map(|metric| Some((metric, self.figure(metric, now)?))).collect();
        self.last = Some(LastLine {
            minute: minute(now),
            usage,
            sight: self.seen.map(|seen| seen.sight),
            findings: self.findings,
            teardowns: self.total(Metric::Teardowns),
        });
        self.told.clone_from(&self.totals);
        self.values.clear();
        self.queue_age = None;
        self.seen_anew = false;
        figures
    }

    /// A metric's value now, if it has one.
    fn figure(&self, metric: Metric, now: Timestamp) -> Option<Figure> {
        let seen = self.seen.filter(|_| self.seen_anew);
        let sight = seen.map(|seen| seen.sight);
        let number = |count: usize| Figure::Number(count as u64);
        match metric {
            Metric::RunningTasks => {
                sight.map(|sight| number(usize::try_from(sight.counts.running).unwrap_or_default()))
            }
            Metric::ServingTasks => sight.map(|sight| number(sight.serving)),
            Metric::RegisteredTargets => sight.map(|sight| number(sight.registered)),
            Metric::HealthyTargets => sight.map(|sight| number(sight.healthy)),
            Metric::UnhealthyTargets => sight.map(|sight| number(sight.unhealthy)),
            Metric::LoadBalancerUp => sight.map(|sight| number(sight.load_balancer_state.iter().count())),
            Metric::IdleSeconds => seen.map(|seen| {
                let idle_for = seen.idle_since.map(|since| now.duration_since(since).as_secs());
                Figure::Number(u64::try_from(idle_for.unwrap_or_default()).unwrap_or_default())
            }),
            Metric::QueueAge => self.queue_age.map(|age| Figure::Seconds(millis(age) as f64 / 1000.0)),
            Metric::Findings => Some(Figure::Number(self.findings)),
            Metric::ReconcileDuration | Metric::RegistrationLatency => {
                self.values.get(&metric).cloned().map(Figure::values)
            }
            Metric::EventsReceived
            | Metric::EventsForeign
            | Metric::MessagesRejected
            | Metric::Reconciles
            | Metric::ReconcileFailures
            | Metric::AwsCalls
            | Metric::Throttles
            | Metric::Teardowns => {
                let told = self.told.get(&metric).copied().unwrap_or_default();
                Some(Figure::Number(self.total(metric).saturating_sub(told)))
            }
        }
    }
}

/// The minute that an instant falls in, counted from 1970.
fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests;
