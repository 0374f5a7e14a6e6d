//! Reads logs into entries, by service.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};
use std::sync::Arc;

use jvb_watcher_report::{LogLine, ParseError, RawLine, ServiceName, TruncationCause, read_lines};
use serde::Serialize;

use crate::checks;
use crate::duplicates::Duplicates;
use crate::entry::Entry;
use crate::service::Service;
use crate::verdict::{Check, Claim, Verdict};

/// Events that no check reads, and that are most of a log.
const UNREAD: [&str; 3] = ["metrics", "diagnostic", "command_output"];

/// The watchers' logs.
#[derive(Debug, Default)]
pub struct Logs {
    /// The first line that ends before its JSON does, by its log and number.
    first_truncated: Option<String>,
    entries: BTreeMap<ServiceName, Vec<Entry>>,
    duplicates: Duplicates,
    /// The names of the events, which their lines share.
    events: HashSet<Arc<str>>,
    counts: LineCounts,
    limits: Vec<String>,
}

/// The lines of a log, with their identities, that name no observation and follow one that does.
#[derive(Debug, Default)]
struct Unanchored {
    before: Option<u64>,
    lines: Vec<(ServiceName, Entry, u64)>,
}

/// The number of lines of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineCounts {
    /// All lines except empty ones.
    pub total: u64,
    /// Lines of the watcher.
    pub watcher: u64,
    /// Those of them that another log, or the same, had already contained.
    pub duplicate: u64,
    /// Lines of other programs.
    pub foreign: u64,
    /// Lines that end before their JSON does.
    pub truncated: u64,
}

impl Logs {
    /// Reads a log to its end: JSON lines, plain or gzip, with or without the prefixes of log collectors.
    ///
    /// # Errors
    ///
    /// Returns the error of the log's reader.
    pub fn add(&mut self, name: &str, log: impl Read) -> io::Result<()> {
        let log_name: Arc<str> = name.into();
        let mut unanchored = Unanchored::default();
        let read =
            read_lines(log, |LogLine { number, text, .. }| self.add_line(&log_name, number, text, &mut unanchored));
        self.flush(&mut unanchored, None);
        let cause = read?;
        let limit = match cause {
            Some(TruncationCause::EndsEarly) => "ends before its compressed data is complete",
            Some(TruncationCause::Damaged) => "contains damaged compressed data",
            None => return Ok(()),
        };
        self.limits.push(format!("{name} {limit}: the rest is not judged"));
        Ok(())
    }

    fn add_line(&mut self, log: &Arc<str>, number: u64, text: &str, unanchored: &mut Unanchored) {
        self.counts.total += 1;
        match RawLine::parse(text) {
            Ok(line) => {
                self.counts.watcher += 1;
                self.add_entry(log, number, line, unanchored);
            }
            Err(ParseError::Truncated) => {
                self.counts.truncated += 1;
                self.first_truncated.get_or_insert_with(|| format!("{log}:{number}"));
            }
            Err(_) => self.counts.foreign += 1,
        }
    }

    fn add_entry(&mut self, log: &Arc<str>, number: u64, line: RawLine, unanchored: &mut Unanchored) {
        if UNREAD.contains(&line.event.as_str()) {
            return;
        }
        let identity = line.identity();
        let event = self.event_name(&line.event);
        let entry = Entry::new(&line, event, log.clone(), number);
        let service = line.service;
        if entry.observation.is_none() {
            unanchored.lines.push((service, entry, identity));
            return;
        }
        self.flush(unanchored, Some(identity));
        unanchored.before = Some(identity);
        let is_new = self.duplicates.is_new(identity);
        self.keep_if(is_new, service, entry);
    }

    fn event_name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.events.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        self.events.insert(new.clone());
        new
    }

    /// Adds the lines without an observation that precede one with an observation, or the end of the log.
    fn flush(&mut self, unanchored: &mut Unanchored, next: Option<u64>) {
        let before = unanchored.before;
        let mut times: HashMap<u64, u32> = HashMap::new();
        for (service, entry, identity) in unanchored.lines.drain(..) {
            let nth = times.entry(identity).or_default();
            *nth += 1;
            let is_new = self.duplicates.is_new_between(before, next, (identity, *nth));
            self.keep_if(is_new, service, entry);
        }
    }

    fn keep_if(&mut self, is_new: bool, service: ServiceName, entry: Entry) {
        if is_new {
            self.entries.entry(service).or_default().push(entry);
        } else {
            self.counts.duplicate += 1;
        }
    }

    /// Returns whether no log has a line of the watcher.
    pub fn is_empty(&self) -> bool {
        self.counts.watcher == 0
    }

    /// Judges the logs.
    pub fn audit(&self) -> Verdict {
        let mut verdict = Verdict {
            lines: self.counts.clone(),
            checks: Claim::ALL.iter().map(|claim| Check::new(*claim)).collect(),
            limits: self.limits.clone(),
            ..Verdict::default()
        };
        let of_processes: Vec<&Entry> =
            self.entries.iter().filter(|(name, _)| name.is_of_process()).flat_map(|(_, entries)| entries).collect();
        let mut services = 0;
        for (name, entries) in self.entries.iter().filter(|(name, _)| !name.is_of_process()) {
            services += 1;
            let service = Service::new(name.service.clone(), entries.iter().chain(of_processes.iter().copied()));
            checks::judge(&service, &mut verdict);
        }
        verdict.services = services;
        let times = || self.entries.values().flatten().map(|entry| entry.at);
        (verdict.from, verdict.until) = (times().min(), times().max());
        verdict.limits.extend(self.general_limits());
        verdict
    }

    /// Returns what the logs as a whole leave open.
    fn general_limits(&self) -> Vec<String> {
        let all = || self.entries.values().flatten();
        let count = |of: &dyn Fn(&Entry) -> bool| all().filter(|entry| of(entry)).count();
        let mut limits = Vec::new();
        if let Some(first) = &self.first_truncated {
            let count = self.counts.truncated;
            limits.push(format!("{count} line(s) end before their JSON does, the first one at {first}"));
        }
        let dropped = all().filter_map(|entry| entry.integer("lines").filter(|_| entry.is("lines_dropped")));
        let dropped = dropped.fold(0_i64, i64::saturating_add);
        if dropped > 0 {
            limits.push(format!("a watcher dropped {dropped} line(s) because the reader of its log was slow"));
        }
        let reconciled = count(&|entry| entry.is("reconciled"));
        if !self.is_empty() && reconciled == 0 {
            limits.push("no line `reconciled`: a log level above info leaves out what the checks need".to_owned());
        }
        let old = count(&|entry| entry.is("reconciled") && entry.observation.is_none());
        if old > 0 {
            limits.push(format!(
                "{old} of {reconciled} lines `reconciled` are of a version that doesn't log observations"
            ));
        }
        limits
    }
}

#[cfg(test)]
mod tests;
