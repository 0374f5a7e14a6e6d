//! The log: one line for each event, for dashboards and people. docs/logs.md documents every event and field.
//!
//! Events are values of a type ([`Event`]), so that names and fields can be checked against the documentation, and so that
//! a [`Subscriber`] can receive them. Messages that libraries emit through `tracing` are events too ([`diagnostics`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::SharedClock;

mod catalogue;
pub mod diagnostics;
#[cfg(test)]
pub mod fake;
mod fields;
mod level;
mod operation;
mod output;
mod pretty;

pub use catalogue::Event;
pub use fields::{
    Act, DeletionFields, Failure, Form, RemovalReason, ServiceFields, Signal, StopReason, TargetFields, millis,
};
pub use level::Level;
pub use operation::{Phase, Verb};
pub use output::Output;
pub use pretty::on_one_line;

/// The fields that tell which service a line is about. Every line has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Identity {
    pub project: String,
    pub cluster: String,
    pub service: String,
}

impl Identity {
    /// The value of a field in a line that is about no project, cluster or service in particular.
    pub const ANY: &str = "*";
}

/// The format of the lines.
#[derive(Clone, Debug)]
pub enum Format {
    /// JSON objects.
    Json,
    /// Time, level and message, for people.
    Pretty {
        /// True if levels and states are coloured.
        colour: Colour,
        /// The time zone of the timestamps.
        time_zone: TimeZone,
    },
}

/// The choice of coloured output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI escape sequences.
    On,
    /// Plain.
    Off,
}

/// A receiver of the log's events, beside the log's output.
pub trait Subscriber: Send + Sync {
    /// Receives an event and its time. `line` renders the event's line as a JSON object.
    fn receive(&self, event: &Event, at: Timestamp, line: &dyn Fn() -> Map<String, Value>);
}

/// A log. Clones write to the same output.
#[derive(Clone)]
pub struct Log {
    identity: Arc<Identity>,
    inner: Arc<Inner>,
}

/// The settings of a [`Log`].
pub struct LogConfig {
    /// The fields that every line has.
    pub identity: Identity,
    /// The format of the lines.
    pub format: Format,
    /// The least severe level that is written.
    pub level: Level,
    /// The clock for the timestamps.
    pub clock: SharedClock,
    /// The destination of the lines.
    pub output: Output,
}

struct Inner {
    config: LogConfig,
    /// The number of dropped lines that no line has reported.
    dropped: AtomicU64,
    subscriber: OnceLock<Arc<dyn Subscriber>>,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: Level,
    #[serde(flatten)]
    event: &'a Event,
    message: String,
    #[serde(flatten)]
    identity: &'a Identity,
}

impl Event {
    /// Returns whether a log of this format and level writes the event.
    pub fn is_enabled(&self, format: &Format, level: Level) -> bool {
        match self {
            // Only CloudWatch reads them, and it needs them at any level.
            Self::Metrics { .. } => matches!(format, Format::Json),
            _ => self.level() <= level,
        }
    }
}

impl Log {
    /// Creates a log.
    pub fn new(config: LogConfig) -> Self {
        let (dropped, subscriber) = (AtomicU64::new(0), OnceLock::new());
        let identity = Arc::new(config.identity.clone());
        Self { identity, inner: Arc::new(Inner { config, dropped, subscriber }) }
    }

    /// Returns a log whose lines are about another service. It shares everything else.
    pub fn about(&self, identity: Identity) -> Self {
        Self { identity: Arc::new(identity), inner: Arc::clone(&self.inner) }
    }

    /// Passes all further events to a subscriber, at every level. A log has one subscriber; a second one is ignored.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.inner.subscriber.get_or_init(|| subscriber);
    }

    /// Returns the least severe level that is written.
    pub fn level(&self) -> Level {
        self.inner.config.level
    }

    /// Returns the clock of the timestamps: the machine's.
    pub fn clock(&self) -> SharedClock {
        self.inner.config.clock.clone()
    }

    /// Writes an event.
    pub fn emit(&self, event: &Event) {
        let LogConfig { format, level, clock, output, .. } = &self.inner.config;
        // Read once, so that the line and the subscriber have the same time.
        let at = clock.now();
        if let Some(subscriber) = self.inner.subscriber.get() {
            subscriber.receive(event, at, &|| self.json_object(event, at));
        }
        if output.is_discarded() || !event.is_enabled(format, *level) {
            return;
        }
        let dropped = self.inner.dropped.swap(0, Ordering::Relaxed);
        let report = (dropped > 0).then_some(Event::LinesDropped { lines: dropped });
        for event in report.iter().chain([event]) {
            if output.write_line(self.render(event, at)).is_err() {
                // A report that is dropped itself passes its count on to the next one.
                let lost = if let Event::LinesDropped { lines } = event { *lines } else { 1 };
                self.inner.dropped.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all lines are written, `limit` at most.
    pub fn finish(&self, limit: Duration) {
        self.inner.config.output.finish(limit);
    }

    fn render(&self, event: &Event, at: Timestamp) -> String {
        match &self.inner.config.format {
            Format::Json => {
                let line = serde_json::to_string(&self.line(event, at));
                line.unwrap_or_else(|error| format!("{{\"message\":{:?}}}", error.to_string())) + "\n"
            }
            Format::Pretty { colour, time_zone } => {
                let is_of_log = *self.identity == self.inner.config.identity;
                let service = (!is_of_log).then_some(self.identity.service.as_str());
                pretty::line(event, service, at, time_zone, *colour)
            }
        }
    }

    fn json_object(&self, event: &Event, at: Timestamp) -> Map<String, Value> {
        match serde_json::to_value(self.line(event, at)) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    fn line<'a>(&'a self, event: &'a Event, at: Timestamp) -> Line<'a> {
        Line {
            timestamp: rfc3339_millis(at),
            level: event.level(),
            event,
            message: event.message(),
            identity: &self.identity,
        }
    }
}

/// Formats an instant as the log and the tags have it: RFC 3339, UTC, with milliseconds.
pub fn rfc3339_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
pub mod tests;
