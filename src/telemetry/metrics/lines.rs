//! When there is a line, and what is in it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::emf::Figure;
use super::figures::{Figures, Usage};
use super::{Kind, Metric, Published, Sight};
use crate::telemetry::log::millis;

/// What is to be told in the next line, and what the last one told.
#[derive(Default)]
pub struct Lines {
    /// What has been measured since the last line.
    values: BTreeMap<Metric, Vec<u64>>,
    /// The longest time that a message received since the last line had waited.
    queue_age: Option<Duration>,
    /// Whether a look has succeeded since the last line: what none has shown since isn't known any more.
    seen_anew: bool,
    /// The counters as the last line told them.
    told: BTreeMap<Metric, u64>,
    last: Option<LastLine>,
}

/// What the last line told of.
#[derive(Clone, Copy)]
struct LastLine {
    /// The minute that it fell in, counted from 1970.
    minute: i64,
    state: State,
}

/// What makes a line when it changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    usage: Usage,
    sight: Option<Sight>,
    findings: u64,
    teardowns: u64,
}

impl State {
    fn of(figures: &Figures) -> Self {
        Self {
            usage: figures.usage(),
            sight: figures.seen().map(|seen| seen.sight),
            findings: figures.findings(),
            teardowns: figures.total(Metric::Teardowns),
        }
    }
}

impl Lines {
    /// Takes a value of a distribution.
    pub fn measure(&mut self, distribution: Metric, value: u64) {
        self.values.entry(distribution).or_default().push(value);
    }

    /// Takes how long a message had waited.
    pub fn waited(&mut self, age: Duration) {
        self.queue_age = self.queue_age.max(Some(age));
    }

    /// A look has succeeded.
    pub fn see(&mut self) {
        self.seen_anew = true;
    }

    /// Whether a line is due: the first of a minute, or after a change.
    ///
    /// CloudWatch keeps one value a minute of a metric; and looks that are a minute apart fall into one each, be they
    /// some milliseconds early or late.
    pub fn is_due(&self, figures: &Figures, now: Timestamp) -> bool {
        self.last.is_none_or(|last| minute(now) != last.minute || State::of(figures) != last.state)
    }

    /// Whether something has been counted that no line has told of.
    pub fn has_untold(&self, figures: &Figures) -> bool {
        *figures.totals() != self.told
    }

    /// The figures of a line, which are told with it.
    pub fn take(&mut self, figures: &Figures, now: Timestamp) -> BTreeMap<Metric, Figure> {
        let state = State::of(figures);
        // The line at which the use ends has all figures once more: dashboards and alarms go by their last values.
        let was_in_use = self.last.is_some_and(|last| last.state.usage == Usage::InUse);
        let in_use = state.usage == Usage::InUse || was_in_use;
        let wanted = |metric: &Metric| in_use || metric.definition().published == Published::Always;
        let line = Metric::ALL.into_iter().filter(wanted);
        let line = line.filter_map(|metric| Some((metric, self.figure(metric, figures, now)?))).collect();
        let told = figures.totals().clone();
        *self = Self { told, last: Some(LastLine { minute: minute(now), state }), ..Self::default() };
        line
    }

    /// A metric's value in a line, if it has one.
    fn figure(&self, metric: Metric, figures: &Figures, now: Timestamp) -> Option<Figure> {
        match (metric, metric.definition().kind) {
            (_, Kind::Counter) => {
                let told = self.told.get(&metric).copied().unwrap_or_default();
                Some(Figure::Number(figures.total(metric).saturating_sub(told)))
            }
            (_, Kind::Distribution) => self.values.get(&metric).cloned().map(Figure::values),
            (Metric::Findings, Kind::Gauge) => Some(Figure::Number(figures.findings())),
            (Metric::QueueAge, Kind::Gauge) => self.queue_age.map(|age| Figure::Seconds(millis(age) as f64 / 1000.0)),
            (_, Kind::Gauge) => {
                let seen = figures.seen().filter(|_| self.seen_anew)?;
                seen.gauge(metric, now).map(Figure::Number)
            }
        }
    }
}

/// The minute that an instant falls in, counted from 1970.
fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}
