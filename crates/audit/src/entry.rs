//! A line of the log as the checks read it: by the documented names of its fields, each of which may be missing.

use std::sync::Arc;

use jiff::Timestamp;
use jvb_watcher_report::RawLine;

use crate::fields::{Fields, Scalar};

/// The digits of a fraction of a second that are the time; those behind them are the process's number.
const TIME_DIGITS: usize = 3;

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The time of the observation that it rests on, by AWS's clock; that of the line, by the machine's, where there is none.
    pub seen_at: Timestamp,
    /// The time of the line, by the machine's clock.
    pub at: Timestamp,
    /// The event.
    pub event: Arc<str>,
    /// The observation that it rests on.
    pub observation: Option<ObservationId>,
    /// The name of the log.
    pub log: Arc<str>,
    /// The number of the line in it.
    pub line: u64,
    fields: Fields,
}

/// The observation that an event rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObservationId {
    /// The time at which it began, to the millisecond.
    pub at: Timestamp,
    /// The number of the process; 0 for a command, e.g. `down`.
    pub process: u32,
}

impl ObservationId {
    /// Parses an id: an RFC 3339 instant of nine decimals.
    pub fn parse(text: &str) -> Option<Self> {
        let at: Timestamp = text.parse().ok()?;
        let decimals = text.split_once('.')?.1.trim_end_matches('Z');
        let process = decimals.get(TIME_DIGITS..).filter(|digits| digits.len() == 6)?.parse().ok()?;
        Some(Self { at: Timestamp::from_millisecond(at.as_millisecond()).ok()?, process })
    }

    /// Returns whether a command made the observation, e.g. `down`.
    pub fn is_of_command(&self) -> bool {
        self.process == 0
    }
}

impl Entry {
    /// Takes a line from its place in a log. Lines of the same event share its name.
    pub fn new(RawLine { at, fields, .. }: &RawLine, event: Arc<str>, log: Arc<str>, line: u64) -> Self {
        let observation = fields.get("observation").and_then(|id| ObservationId::parse(id.as_str()?));
        let seen_at = observation.as_ref().map_or(*at, |observation| observation.at);
        let fields = fields.as_object().map_or_else(Fields::default, Fields::of);
        Self { seen_at, at: *at, event, observation, log, line, fields }
    }

    /// Returns the process whose observation the line names.
    pub fn process(&self) -> Option<u32> {
        self.observation.as_ref().map(|observation| observation.process)
    }

    /// Returns whether the line is one of this event.
    pub fn is(&self, event: &str) -> bool {
        &*self.event == event
    }

    /// Returns the text of a field.
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field)? {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns whether a field has this text.
    pub fn has(&self, field: &str, text: &str) -> bool {
        self.text(field) == Some(text)
    }

    /// Returns a whole number.
    pub fn integer(&self, field: &str) -> Option<i64> {
        match self.fields.get(field)? {
            Scalar::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// Returns a number of seconds.
    pub fn seconds(&self, field: &str) -> Option<f64> {
        match self.fields.get(field)? {
            Scalar::Integer(integer) => Some(integer as f64),
            Scalar::Float(float) => Some(float).filter(|seconds| seconds.is_finite()),
            _ => None,
        }
    }

    /// Returns a truth value.
    pub fn flag(&self, field: &str) -> Option<bool> {
        match self.fields.get(field)? {
            Scalar::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// Returns an instant, to the millisecond.
    pub fn time(&self, field: &str) -> Option<Timestamp> {
        let at: Timestamp = self.text(field)?.parse().ok()?;
        Timestamp::from_millisecond(at.as_millisecond()).ok()
    }

    /// Returns the observation that a field names.
    pub fn observation(&self, field: &str) -> Option<ObservationId> {
        ObservationId::parse(self.text(field)?)
    }

    /// Returns whether a command wrote the line, e.g. `down`.
    pub fn is_of_command(&self) -> bool {
        self.observation.as_ref().is_some_and(ObservationId::is_of_command)
    }
}

/// Returns the seconds from one instant to another.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_a_time_and_a_process() {
        let id = ObservationId::parse("2026-11-20T20:33:03.104401562Z").expect("an id");
        assert_eq!((id.at.to_string().as_str(), id.process), ("2026-11-20T20:33:03.104Z", 401_562));
        assert!(!id.is_of_command());
        assert!(ObservationId::parse("2026-11-20T20:33:03.104000000Z").expect("an id").is_of_command());
        for other in ["", "o", "2026-11-20T20:33:03Z", "2026-11-20T20:33:03.104Z", "2026-11-20T20:33:03.1044015620Z"] {
            assert_eq!(ObservationId::parse(other), None, "{other}");
        }
    }
}
