//! The settings of a service, and which of them may be in force.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{SETTINGS, shifted};
use crate::entry::Entry;

/// The default of `--resync-interval`, in seconds.
const DEFAULT_RESYNC: f64 = 60.0;

/// The interval of the line `reconciled` of a watcher that finds nothing new, in seconds, at least.
const HEARTBEAT: f64 = 55.0;

/// How much later such a line may come: the duration of a reconciliation, retries included, in seconds.
const HEARTBEAT_SLACK: f64 = 30.0;

/// The time from the line with a process's settings to its first observation, in seconds, at most: a resync interval.
const FIRST_OBSERVATION: f64 = 3600.0;

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
    pub fn longest_silence(&self) -> f64 {
        let resync = self.resync().max(1.0);
        (HEARTBEAT / resync).ceil() * resync + HEARTBEAT_SLACK
    }
}

/// The settings that the watchers of a service logged.
pub struct SettingsHistory {
    /// Each with the time at which a watcher logged it.
    logged: Vec<(Timestamp, Settings)>,
    /// The times of the first and the last observation of each process.
    processes: Vec<(Timestamp, Timestamp)>,
    /// Whether all are the same.
    is_one: bool,
}

impl SettingsHistory {
    /// Takes the settings from the lines of a service.
    pub fn new(entries: &[&Entry]) -> Self {
        let telling = entries.iter().filter(|entry| SETTINGS.contains(&&*entry.event));
        let logged: Vec<_> = telling.filter_map(|entry| Some((entry.seen_at, Settings::of(entry)?))).collect();
        let is_one = logged.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let mut processes = HashMap::new();
        for observation in entries.iter().filter_map(|entry| entry.observation.as_ref()) {
            let (_, last) = processes.entry(observation.process).or_insert((observation.at, observation.at));
            *last = observation.at;
        }
        processes.remove(&0);
        Self { logged, processes: processes.into_values().collect(), is_one }
    }

    /// Returns the settings that a watcher logged last before an instant, and the earliest before any did.
    pub fn at(&self, at: Timestamp) -> Settings {
        let logged = self.logged.partition_point(|(logged_at, _)| *logged_at <= at);
        self.logged.get(logged.saturating_sub(1)).map(|(_, settings)| *settings).unwrap_or_default()
    }

    /// Returns whether each watcher that logged its settings logged the same ones.
    pub fn is_one(&self) -> bool {
        self.is_one
    }

    /// Returns the shortest of the longest silences.
    pub fn shortest_silence(&self) -> f64 {
        let silences = self.logged.iter().map(|(_, settings)| settings.longest_silence());
        silences.fold(Settings::default().longest_silence(), f64::min)
    }

    /// Returns the settings that a watcher may have that ran between two instants: those that were logged since the oldest of
    /// these processes started. No line tells which of them is whose.
    pub fn possible(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Settings> {
        let logged = self.logged.partition_point(|(logged_at, _)| *logged_at <= until);
        let last = logged.saturating_sub(1);
        let first = if self.is_one { last } else { last.min(self.first_possible(from, until)) };
        self.logged.get(first..=last).unwrap_or_default().iter().map(|(_, settings)| *settings)
    }

    fn first_possible(&self, from: Timestamp, until: Timestamp) -> usize {
        let running = self.processes.iter().filter(|(first, last)| *first <= until && *last >= from);
        let since = running.map(|(first, _)| *first).min().unwrap_or(from);
        let started_at = shifted(since, -FIRST_OBSERVATION);
        self.logged.partition_point(|(logged_at, _)| *logged_at < started_at)
    }
}
