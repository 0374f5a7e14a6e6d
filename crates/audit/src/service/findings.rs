//! The times in which findings are current.

use std::collections::HashMap;

use jiff::Timestamp;

use super::SETTINGS;
use crate::entry::Entry;

/// The lines by which a process starts, or begins again to watch a service: a new process raises again what still holds.
#[derive(Default)]
pub struct Restarts<'a> {
    /// Of each log, by the number of the line.
    of_log: HashMap<&'a str, Vec<(u64, Timestamp)>>,
    /// The last line of each process in each log: several workers can have one log.
    last_line: HashMap<(&'a str, u32), u64>,
}

impl<'a> Restarts<'a> {
    pub fn new(entries: &[&'a Entry]) -> Self {
        let mut restarts = Self::default();
        for entry in entries {
            if SETTINGS.contains(&&*entry.event) {
                restarts.of_log.entry(&*entry.log).or_default().push((entry.line, entry.seen_at));
            }
            if let Some(process) = entry.process() {
                let last = restarts.last_line.entry((&*entry.log, process)).or_default();
                *last = entry.line.max(*last);
            }
        }
        restarts.of_log.values_mut().for_each(|of_log| of_log.sort_unstable());
        restarts
    }

    /// Returns the time of the first restart in the log of a line after the last line of its process. The order is that of the
    /// lines, because the times are those of two clocks.
    pub fn after(&self, entry: &Entry) -> Option<Timestamp> {
        let of_log = self.of_log.get(&*entry.log)?;
        let last_line = entry.process().and_then(|process| self.last_line.get(&(&*entry.log, process)).copied());
        let last_line = last_line.unwrap_or(entry.line);
        let next = of_log.partition_point(|(line, _)| *line <= last_line);
        of_log.get(next).map(|(_, at)| *at)
    }
}

/// The times in which findings are current, by the name of the finding.
pub struct FindingTimes<'a>(HashMap<&'a str, Vec<FindingTime>>);

struct FindingTime {
    from: Timestamp,
    /// The latest end of this time and of those that begin before it.
    until: Timestamp,
}

impl<'a> FindingTimes<'a> {
    /// Follows the lines: a finding is current from a line about it until it is cleared, or until a restart after its process.
    pub fn new(entries: &[&'a Entry], restarts: &Restarts<'_>) -> Self {
        let mut times: HashMap<&str, Vec<FindingTime>> = HashMap::new();
        let mut cleared = HashMap::new();
        for entry in entries.iter().rev().filter(|entry| entry.is("finding")) {
            let Some(name) = entry.text("finding") else { continue };
            let key = (name, entry.text("subject"));
            let from = entry.seen_at;
            if entry.has("state", "cleared") {
                cleared.insert(key, from);
            }
            let restart = restarts.after(entry).map(|at| at.max(from));
            let until = cleared.get(&key).copied().into_iter().chain(restart).min().unwrap_or(Timestamp::MAX);
            times.entry(name).or_default().push(FindingTime { from, until });
        }
        for of_name in times.values_mut() {
            of_name.reverse();
            let mut latest = Timestamp::MIN;
            for time in of_name {
                latest = latest.max(time.until);
                time.until = latest;
            }
        }
        Self(times)
    }

    /// Returns whether one of these findings was current, or was cleared, between two instants.
    pub fn had_one_of(&self, names: &[&str], from: Timestamp, until: Timestamp) -> bool {
        names.iter().filter_map(|name| self.0.get(name)).any(|of_name| {
            let begun = of_name.partition_point(|time| time.from <= until);
            begun.checked_sub(1).and_then(|last| of_name.get(last)).is_some_and(|last| last.until >= from)
        })
    }
}
