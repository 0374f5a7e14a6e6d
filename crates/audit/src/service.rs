//! The log of one service: its lines in order, the settings in force, and the times in which no watcher ran.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::entry::{Entry, seconds_between};
use crate::verdict::{Citation, Gap};

mod findings;
mod settings;

use findings::{FindingTimes, Restarts};
pub use settings::Settings;
use settings::SettingsHistory;

/// The events that tell the settings of a service.
const SETTINGS: [&str; 3] = ["watcher_started", "service_added", "service_replaced"];

/// The events of a watcher that works, if only by failing.
const SIGNS_OF_LIFE: [&str; 4] = ["reconciled", "reconcile_failed", "poll_failed", "watcher_started"];

/// The events by which the watchers of a service change.
const CHANGES: [&str; 5] =
    ["watcher_started", "watcher_stopped", "service_added", "service_replaced", "service_removed"];

/// The events of failed calls.
const FAILURES: [&str; 4] = ["reconcile_failed", "poll_failed", "task_version_behind", "finding_check_failed"];

/// The log of one service. What is looked up for many lines has an index: the time doesn't grow with the square of the lines.
pub struct Service<'a> {
    /// Its name.
    pub name: String,
    /// Its lines in the order of time: of the observations, where they name one.
    pub entries: Vec<&'a Entry>,
    settings: SettingsHistory,
    restarts: Restarts<'a>,
    findings: FindingTimes<'a>,
    /// The lines of each event.
    by_event: HashMap<&'a str, Vec<&'a Entry>>,
    /// The lines of each process, and those that don't tell it.
    by_process: HashMap<Option<u32>, Vec<&'a Entry>>,
    changes: Vec<&'a Entry>,
    failures: Vec<&'a Entry>,
    /// The lines that show that a watcher ran, not a command.
    signs_of_life: Vec<&'a Entry>,
    /// The pairs of them that are further apart than some watcher is silent: the index of the first, and the seconds.
    silences: Vec<(usize, f64)>,
}

impl<'a> Service<'a> {
    /// Orders the lines of a service.
    pub fn new(name: String, entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        // The sort is stable: lines of the same observation keep the order in which they were written.
        entries.sort_by_key(|entry| entry.seen_at);
        let among = |events: &[&str]| -> Vec<&'a Entry> {
            entries.iter().copied().filter(|entry| events.contains(&&*entry.event)).collect()
        };
        let (changes, failures, mut signs_of_life) = (among(&CHANGES), among(&FAILURES), among(&SIGNS_OF_LIFE));
        signs_of_life.retain(|entry| !entry.is_of_command());
        let settings = SettingsHistory::new(&entries);
        let shortest = settings.shortest_silence();
        let distances = signs_of_life.windows(2).map(|pair| seconds_between(pair[0].seen_at, pair[1].seen_at));
        let silences = distances.enumerate().filter(|(_, seconds)| *seconds > shortest).collect();
        let restarts = Restarts::new(&entries);
        let findings = FindingTimes::new(&entries, &restarts);
        let (mut by_event, mut by_process) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for entry in &entries {
            by_event.entry(&*entry.event).or_default().push(*entry);
            by_process.entry(entry.process()).or_default().push(*entry);
        }
        Self {
            name,
            entries,
            settings,
            restarts,
            findings,
            by_event,
            by_process,
            changes,
            failures,
            signs_of_life,
            silences,
        }
    }

    /// Returns the lines of an event.
    pub fn of(&self, event: &str) -> &[&'a Entry] {
        self.by_event.get(event).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the lines between two instants, these included.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> &[&'a Entry] {
        range(&self.entries, from, until)
    }

    /// Returns the `reconciled` line of the observation that a line rests on.
    pub fn reconciliation_of(&self, entry: &Entry) -> Option<&'a Entry> {
        let observation = entry.observation.as_ref()?;
        let same = |other: &&&Entry| other.is("reconciled") && other.observation.as_ref() == Some(observation);
        self.between(observation.at, observation.at).iter().find(same).copied()
    }

    /// Returns the settings in force at an instant: those that a watcher logged last, and the earliest before any did.
    pub fn settings_at(&self, at: Timestamp) -> Settings {
        self.settings.at(at)
    }

    /// Returns whether each watcher that logged its settings logged the same ones: else it isn't known which of them acted.
    pub fn has_one_setting(&self) -> bool {
        self.settings.is_one()
    }

    /// Returns the longest of the times that the settings give of which a watcher between two instants may have had any.
    pub fn longest(&self, from: Timestamp, until: Timestamp, of: impl Fn(&Settings) -> f64) -> f64 {
        let times = self.settings.possible(from, until).map(|settings| of(&settings));
        times.reduce(f64::max).unwrap_or_else(|| of(&Settings::default()))
    }

    /// Returns whether a watcher between two instants may have torn nothing down.
    pub fn is_teardown_off(&self, from: Timestamp, until: Timestamp) -> bool {
        self.settings.possible(from, until).any(|settings| settings.is_teardown_off)
    }

    /// Returns whether calls failed between two instants.
    pub fn failed_between(&self, from: Timestamp, until: Timestamp) -> bool {
        !range(&self.failures, from, until).is_empty()
    }

    /// Returns whether, between two instants, a watcher started or stopped, or none logged for longer than one that works.
    pub fn was_unwatched_between(&self, from: Timestamp, until: Timestamp) -> bool {
        if !range(&self.changes, from, until).is_empty() {
            return true;
        }
        let longest = self.settings_at(until).longest_silence();
        let (begin, end) = bounds(&self.signs_of_life, from, until);
        if begin >= end {
            return seconds_between(from, until) > longest;
        }
        let (first, last) = (begin, end - 1);
        let inner = self.silences.partition_point(|(index, _)| *index < first);
        let mut inner = self.silences.iter().skip(inner).take_while(|(index, _)| *index < last);
        seconds_between(from, self.signs_of_life[first].seen_at) > longest
            || seconds_between(self.signs_of_life[last].seen_at, until) > longest
            || inner.any(|(_, seconds)| *seconds > longest)
    }

    /// Returns whether the process that wrote a line was silent for longer than one that works, between the line and an
    /// instant: it was suspended or killed, while others went on.
    pub fn was_silent_between(&self, line: &Entry, until: Timestamp) -> bool {
        let longest = self.settings_at(until).longest_silence();
        let of_process = self.by_process.get(&line.process()).map(Vec::as_slice).unwrap_or_default();
        let of_process = range(of_process, line.seen_at, until).iter().map(|entry| entry.at);
        let mut last = line.at;
        // The line that ends the silence may rest on an observation before it.
        of_process.chain([until]).any(|at| {
            let silent = seconds_between(last, at);
            last = last.max(at);
            silent > longest
        })
    }

    /// Returns the times without a line of a watcher: twice as long as one that works is silent, at least.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for pair in self.signs_of_life.windows(2) {
            let [before, after] = pair else { continue };
            let longest = self.settings_at(before.seen_at).longest_silence();
            if seconds_between(before.seen_at, after.seen_at) <= 2.0 * longest {
                continue;
            }
            let between = self.between(before.seen_at, after.seen_at);
            gaps.push(Gap {
                service: self.name.clone(),
                from: before.seen_at,
                until: after.seen_at,
                is_announced: between.iter().any(|entry| entry.is("watcher_stopped")),
                line: Citation::of(before),
            });
        }
        gaps
    }

    /// Returns whether one of these findings was reported between two instants, or was current before.
    pub fn had_finding(&self, names: &[&str], from: Timestamp, until: Timestamp) -> bool {
        self.findings.had_one_of(names, from, until)
    }

    /// Returns whether a process of the same log started after the last line of the process that wrote a line: it raises again
    /// what still holds.
    pub fn was_restarted_after(&self, entry: &Entry) -> bool {
        self.restarts.after(entry).is_some()
    }

    /// Returns the time of the first line of a watcher.
    pub fn first_at(&self) -> Option<Timestamp> {
        self.signs_of_life.first().map(|entry| entry.seen_at)
    }

    /// Returns the time of the last line of a watcher.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.signs_of_life.last().map(|entry| entry.seen_at)
    }
}

/// Returns the lines between two instants, these included, of lines in the order of time.
pub fn range<'s, 'a>(entries: &'s [&'a Entry], from: Timestamp, until: Timestamp) -> &'s [&'a Entry] {
    let (begin, end) = bounds(entries, from, until);
    entries.get(begin..end).unwrap_or_default()
}

fn bounds(entries: &[&Entry], from: Timestamp, until: Timestamp) -> (usize, usize) {
    let begin = entries.partition_point(|entry| entry.seen_at < from);
    (begin, entries.partition_point(|entry| entry.seen_at <= until))
}

/// Returns an instant so many seconds later, or earlier; the earliest or latest possible where there is none.
pub fn shifted(at: Timestamp, seconds: f64) -> Timestamp {
    let span = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    let shifted = if seconds < 0.0 { at.checked_sub(span) } else { at.checked_add(span) };
    shifted.unwrap_or(if seconds < 0.0 { Timestamp::MIN } else { Timestamp::MAX })
}
