//! Reads logs: any number of files, plain or compressed, in any order, with lines of other programs in between.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{self, Read};

use crate::line::{Line, ParseError, ServiceName};
use crate::read::{LogLine, TruncationCause, read_lines};

/// The number of unknown events that are counted by name.
const MAX_UNKNOWN_NAMES: usize = 20;

/// The number of services that an error names.
const MAX_NAMED: usize = 5;

/// The lines of any number of logs, by service.
#[derive(Debug, Default)]
pub struct Logs {
    lines: BTreeMap<ServiceName, Vec<Line>>,
    counts: LineCounts,
    identities: HashSet<u64>,
    truncations: Vec<Truncation>,
}

/// The number of lines of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// All lines except empty ones.
    pub total: u64,
    /// Lines of the watcher that the page is made of.
    pub used: u64,
    /// Lines that another log, or the same, had already contained: log files overlap.
    pub duplicate: u64,
    /// Lines of other programs.
    pub foreign: u64,
    /// Lines that end before their JSON does.
    pub truncated: u64,
    /// Lines of events that this version doesn't know, by name.
    pub unknown: BTreeMap<String, u64>,
    /// Lines that lack a field of their event, or have one of another type.
    pub unexpected_fields: u64,
}

/// A compressed log that could be read only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The name under which the log was added.
    pub log: String,
    /// The reason why the rest can't be read.
    pub cause: TruncationCause,
    /// The number of lines before that point, lines of other programs included.
    pub lines: u64,
}

/// The logs contain no line about a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no line about a service {service:?}; the logs have {known}")]
pub struct UnknownService {
    /// The name that was given.
    pub service: String,
    /// The first services of the logs.
    pub known: String,
}

impl Logs {
    /// Reads a log to its end. The name is for messages.
    ///
    /// Compressed data that ends early or is damaged is read up to that point and recorded as a [`Truncation`].
    ///
    /// # Errors
    ///
    /// Returns the error of the log's reader.
    pub fn add(&mut self, name: &str, log: impl Read) -> io::Result<()> {
        let lines_before = self.counts.total;
        let cause = read_lines(log, |line| self.add_line(line))?;
        let lines = self.counts.total - lines_before;
        self.truncations.extend(cause.map(|cause| Truncation { log: name.to_owned(), cause, lines }));
        Ok(())
    }

    fn add_line(&mut self, LogLine { text, is_whole, .. }: LogLine<'_>) {
        let line = Line::parse(text);
        // The line within which a compressed log breaks off may be whole: only its line break may be missing.
        self.count(if is_whole { line } else { line.map_err(|_| ParseError::Truncated) });
    }

    /// Returns the compressed logs that could be read only in part.
    pub fn truncations(&self) -> &[Truncation] {
        &self.truncations
    }

    /// Leaves out the lines about other services than those with this name, or of this project.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn keep_service(&mut self, name: &str) -> Result<(), UnknownService> {
        let is_kept = |of: &ServiceName| of.service == name || of.project == name;
        let services = || self.lines.keys().filter(|of| !of.is_of_process());
        if !services().any(is_kept) {
            let mut known: Vec<_> = services().take(MAX_NAMED).map(|of| of.service.clone()).collect();
            match services().count().saturating_sub(MAX_NAMED) {
                0 if known.is_empty() => known.push("none".to_owned()),
                0 => {}
                more => known.push(format!("{more} more")),
            }
            return Err(UnknownService { service: name.to_owned(), known: known.join(", ") });
        }
        self.lines.retain(|of, _| of.is_of_process() || is_kept(of));
        Ok(())
    }

    fn count(&mut self, line: Result<Line, ParseError>) {
        self.counts.total += 1;
        match line {
            Ok(line) if self.identities.insert(line.identity) => {
                self.counts.used += 1;
                self.lines.entry(line.service.clone()).or_default().push(line);
            }
            Ok(_) => self.counts.duplicate += 1,
            Err(ParseError::Foreign) => self.counts.foreign += 1,
            Err(ParseError::Truncated) => self.counts.truncated += 1,
            Err(ParseError::UnexpectedFields(_)) => self.counts.unexpected_fields += 1,
            Err(ParseError::UnknownEvent(name)) => {
                let unknown = &mut self.counts.unknown;
                let is_named = unknown.len() < MAX_UNKNOWN_NAMES || unknown.contains_key(&name);
                *unknown.entry(if is_named { name } else { "others".to_owned() }).or_default() += 1;
            }
        }
    }

    /// Returns the lines of each service in the order of their time, the number of lines of each kind, and the logs that
    /// could be read only in part.
    pub(crate) fn into_sorted(self) -> (BTreeMap<ServiceName, Vec<Line>>, LineCounts, Vec<Truncation>) {
        let Self { mut lines, counts, truncations, .. } = self;
        for lines in lines.values_mut() {
            // The sort is stable: lines of the same millisecond keep the order in which they were written.
            lines.sort_by_key(|line| line.at);
        }
        (lines, counts, truncations)
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, cause, lines } = self;
        let (cause, point) = match cause {
            TruncationCause::EndsEarly => ("ends before its compressed data is complete", "up to its end"),
            TruncationCause::Damaged => ("contains damaged compressed data", "before the damage"),
        };
        write!(formatter, "{log} {cause}; the report covers the {lines} line(s) {point}")
    }
}

#[cfg(test)]
mod tests;
