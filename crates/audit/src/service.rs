//! The log of one service: its lines in order, the settings in force, and the times in which no watcher ran.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::entry::{Entry, seconds_between};
use crate::verdict::{Citation, Gap};

/// The default of `--resync-interval`, in seconds.
const DEFAULT_RESYNC: f64 = 60.0;

/// The interval of the line `reconciled` of a watcher that finds nothing new, in seconds, at least.
const HEARTBEAT: f64 = 55.0;

/// How much later such a line may come: the duration of a reconciliation, retries included, in seconds.
const HEARTBEAT_SLACK: f64 = 30.0;

/// The events that tell the settings of a service.
const SETTINGS: [&str; 3] = ["watcher_started", "service_added", "service_replaced"];

/// The events of a watcher that works, if only by failing.
const SIGNS_OF_LIFE: [&str; 4] = ["reconciled", "reconcile_failed", "poll_failed", "watcher_started"];

/// The log of one service.
pub struct Service<'a> {
    /// Its name.
    pub name: String,
    /// Its lines in the order of time: of the observations, where they name one.
    pub entries: Vec<&'a Entry>,
    /// The settings, each with the time at which a watcher logged it.
    settings: Vec<(Timestamp, Settings)>,
    /// The lines about findings.
    findings: Vec<&'a Entry>,
    /// The lines that show that a watcher ran, not a command.
    signs_of_life: Vec<&'a Entry>,
}

/// The settings of a service, in seconds. One that no line tells is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    pub resync_interval: Option<f64>,
    pub idle_grace: Option<f64>,
    pub until_paid_hour: bool,
    pub unused_grace: Option<f64>,
    pub use_threshold: Option<i64>,
    pub stop_when_unused: Option<f64>,
    pub stop_notice: Option<f64>,
    /// Whether nothing is torn down.
    pub is_teardown_off: bool,
}

impl Settings {
    fn of(entry: &Entry) -> Option<Self> {
        // A watcher of several services starts without any.
        entry.seconds("idle_grace_seconds")?;
        Some(Self {
            resync_interval: entry.seconds("resync_interval_seconds"),
            idle_grace: entry.seconds("idle_grace_seconds"),
            until_paid_hour: entry.flag("idle_grace_until_paid_hour").unwrap_or(false),
            unused_grace: entry.seconds("unused_grace_seconds"),
            use_threshold: entry.integer("use_threshold"),
            stop_when_unused: entry.seconds("stop_when_unused_seconds"),
            stop_notice: entry.seconds("stop_notice_seconds"),
            is_teardown_off: entry.has("teardown", "off"),
        })
    }

    /// Returns the resync interval, or the default.
    pub fn resync(&self) -> f64 {
        self.resync_interval.unwrap_or(DEFAULT_RESYNC)
    }

    /// Returns the longest time between two lines of a watcher that works.
    fn longest_silence(&self) -> f64 {
        let resync = self.resync().max(1.0);
        (HEARTBEAT / resync).ceil() * resync + HEARTBEAT_SLACK
    }
}

impl<'a> Service<'a> {
    /// Orders the lines of a service.
    pub fn new(name: String, entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        // The sort is stable: lines of the same observation keep the order in which they were written.
        entries.sort_by_key(|entry| entry.seen_at);
        let is_among = |entry: &Entry, events: &[&str]| events.contains(&&*entry.event);
        let telling = entries.iter().filter(|entry| is_among(entry, &SETTINGS));
        let settings = telling.filter_map(|entry| Some((entry.seen_at, Settings::of(entry)?))).collect();
        let findings = entries.iter().copied().filter(|entry| entry.is("finding")).collect();
        let is_sign = |entry: &&Entry| is_among(entry, &SIGNS_OF_LIFE) && !entry.is_of_command();
        let signs_of_life = entries.iter().copied().filter(is_sign).collect();
        Self { name, entries, settings, findings, signs_of_life }
    }

    /// Returns the lines of an event.
    pub fn of<'s>(&'s self, event: &'static str) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'s, 'a> {
        self.entries.iter().copied().filter(move |entry| entry.is(event))
    }

    /// Returns the lines between two instants, these included.
    pub fn between(&self, from: Timestamp, until: Timestamp) -> &[&'a Entry] {
        let start = self.entries.partition_point(|entry| entry.seen_at < from);
        let end = self.entries.partition_point(|entry| entry.seen_at <= until);
        self.entries.get(start..end).unwrap_or_default()
    }

    /// Returns the `reconciled` line of the observation that a line rests on.
    pub fn reconciliation_of(&self, entry: &Entry) -> Option<&'a Entry> {
        let observation = entry.observation.as_ref()?;
        let same = |other: &&&Entry| other.is("reconciled") && other.observation.as_ref() == Some(observation);
        self.between(observation.at, observation.at).iter().find(same).copied()
    }

    /// Returns the settings in force at an instant: those that a watcher logged last, and the earliest before any did.
    pub fn settings_at(&self, at: Timestamp) -> Settings {
        let logged = self.settings.partition_point(|(logged_at, _)| *logged_at <= at);
        self.settings.get(logged.saturating_sub(1)).map(|(_, settings)| *settings).unwrap_or_default()
    }

    /// Returns whether each watcher that logged its settings logged the same ones: else it isn't known which of them acted.
    pub fn has_one_setting(&self) -> bool {
        self.settings.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }

    /// Returns whether calls failed between two instants.
    pub fn failed_between(&self, from: Timestamp, until: Timestamp) -> bool {
        let failures = ["reconcile_failed", "poll_failed", "task_version_behind", "finding_check_failed"];
        self.between(from, until).iter().any(|entry| failures.contains(&&*entry.event))
    }

    /// Returns whether, between two instants, a watcher started or stopped, or none logged for longer than one that works.
    pub fn was_unwatched_between(&self, from: Timestamp, until: Timestamp) -> bool {
        let changes = ["watcher_started", "watcher_stopped", "service_added", "service_replaced", "service_removed"];
        if self.between(from, until).iter().any(|entry| changes.contains(&&*entry.event)) {
            return true;
        }
        let longest = self.settings_at(until).longest_silence();
        let mut last = from;
        let begin = self.signs_of_life.partition_point(|entry| entry.seen_at < from);
        for entry in self.signs_of_life.iter().skip(begin) {
            let at = entry.seen_at.min(until);
            if seconds_between(last, at) > longest {
                return true;
            }
            last = at;
            if entry.seen_at >= until {
                return false;
            }
        }
        seconds_between(last, until) > longest
    }

    /// Returns whether the process that wrote a line was silent for longer than one that works, between the line and an
    /// instant: it was suspended or killed, while others went on.
    pub fn was_silent_between(&self, line: &Entry, until: Timestamp) -> bool {
        let process = |entry: &Entry| entry.observation.as_ref().map(|observation| observation.process);
        let longest = self.settings_at(until).longest_silence();
        let of_process = self
            .between(line.seen_at, until)
            .iter()
            .filter(|entry| process(entry) == process(line))
            .map(|entry| entry.at);
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
        let is_named = |entry: &&&Entry| entry.text("finding").is_some_and(|name| names.contains(&name));
        let begin = self.findings.partition_point(|entry| entry.seen_at < from);
        let end = self.findings.partition_point(|entry| entry.seen_at <= until);
        if self.findings.get(begin..end).unwrap_or_default().iter().any(|entry| is_named(&entry)) {
            return true;
        }
        let mut seen = BTreeSet::new();
        let before = self.findings.get(..begin).unwrap_or_default().iter().rev().filter(is_named);
        let mut last = before.filter(|entry| seen.insert((entry.text("finding"), entry.text("subject"))));
        last.any(|entry| !entry.has("state", "cleared"))
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

/// Returns an instant so many seconds later, or earlier; the earliest or latest possible where there is none.
pub fn shifted(at: Timestamp, seconds: f64) -> Timestamp {
    let span = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    let shifted = if seconds < 0.0 { at.checked_sub(span) } else { at.checked_add(span) };
    shifted.unwrap_or(if seconds < 0.0 { Timestamp::MIN } else { Timestamp::MAX })
}
