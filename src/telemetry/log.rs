//! The log: an interface for dashboards, one line an act. `docs/logs.md` lists every event and every field.
//!
//! The events are a type, not format strings, so that their names and fields can be held against the documentation,
//! and so that others can come to listen. What libraries say through `tracing` joins them as `diagnostic`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::SharedClock;

pub mod diagnostics;
mod event;
mod operation;
mod output;

pub use event::{Act, Event, Failure, Form, Level, StopReason, TargetFields, millis};
pub use operation::{Phase, Verb};
pub use output::Output;

/// What every line says of where it comes from.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "see Event")]
pub struct Identity {
    pub project: String,
    pub cluster: String,
    pub service: String,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Pretty {
        /// Whether levels are coloured.
        colour: Colour,
    },
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI escapes.
    On,
    /// Plain.
    Off,
}

/// Receives the log's events beside its output.
pub trait Subscriber: Send + Sync {
    /// Receives one event, its time, and its line as a JSON object on demand.
    fn receive(&self, event: &Event, at: Timestamp, line: &dyn Fn() -> Map<String, Value>);
}

/// Where events go. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
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
    /// The clock that timestamps are read from.
    pub clock: SharedClock,
    /// The destination of the lines.
    pub output: Output,
}

struct Inner {
    config: LogConfig,
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

impl Log {
    /// Creates a log.
    pub fn new(config: LogConfig) -> Self {
        let (dropped, subscriber) = (AtomicU64::new(0), OnceLock::new());
        Self { inner: Arc::new(Inner { config, dropped, subscriber }) }
    }

    /// Passes each event to this subscriber too, from now on and at every level. The first subscriber stays.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.inner.subscriber.get_or_init(|| subscriber);
    }

    /// Up to which level it writes.
    pub fn level(&self) -> Level {
        self.inner.config.level
    }

    /// Writes one event.
    pub fn emit(&self, event: &Event) {
        // Read once: the line and the subscriber have the same time.
        let at = self.inner.config.clock.now();
        if let Some(subscriber) = self.inner.subscriber.get() {
            subscriber.receive(event, at, &|| self.fields(event, at));
        }
        if self.inner.config.output.is_discarded()
            || !event.is_wanted(self.inner.config.format, self.inner.config.level)
        {
            return;
        }
        let dropped = self.inner.dropped.swap(0, Ordering::Relaxed);
        let report = (dropped > 0).then_some(Event::LinesDropped { lines: dropped });
        for event in report.iter().chain([event]) {
            if self.inner.config.output.line(self.line(event, at)).is_err() {
                // A report that finds no place either hands its count on to the next.
                let lost = if let Event::LinesDropped { lines } = event { *lines } else { 1 };
                self.inner.dropped.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all is written, but no longer than this.
    pub fn finish(&self, limit: Duration) {
        self.inner.config.output.finish(limit);
    }

    fn line(&self, event: &Event, at: Timestamp) -> String {
        match self.inner.config.format {
            Format::Json => self.json_line(event, at),
            Format::Pretty { colour } => pretty_line(event, colour, at),
        }
    }

    /// A line's fields.
    fn line_of<'a>(&'a self, event: &'a Event, at: Timestamp) -> Line<'a> {
        Line {
            timestamp: rfc3339_millis(at),
            level: event.level(),
            event,
            message: event.message(),
            identity: &self.inner.config.identity,
        }
    }

    /// The same as JSON.
    fn fields(&self, event: &Event, at: Timestamp) -> Map<String, Value> {
        match serde_json::to_value(self.line_of(event, at)) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    fn json_line(&self, event: &Event, at: Timestamp) -> String {
        let line = self.line_of(event, at);
        let mut text =
            serde_json::to_string(&line).unwrap_or_else(|error| format!("{{\"message\":{:?}}}", error.to_string()));
        text.push('\n');
        text
    }
}

fn pretty_line(event: &Event, colour: Colour, at: Timestamp) -> String {
    let time = rfc3339_millis(at);
    let level = event.level();
    let (on, off) = match (colour, level) {
        (Colour::Off, _) => ("", ""),
        (Colour::On, Level::Error) => ("\x1b[31m", "\x1b[0m"),
        (Colour::On, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
        (Colour::On, Level::Info) => ("\x1b[32m", "\x1b[0m"),
        (Colour::On, Level::Debug) => ("\x1b[2m", "\x1b[0m"),
    };
    let mut line = String::new();
    let message = on_one_line(&event.message());
    let _ = writeln!(line, "{time} {on}{:5}{off} {message}", level.as_str());
    line
}

/// What others wrote may have line breaks and escapes in it, which must not reach a terminal.
pub fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An instant as the log and the tags write it: RFC 3339, UTC, milliseconds.
pub fn rfc3339_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests;
