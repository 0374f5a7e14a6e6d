//! What was visited: a simulation that never meets the dangerous moments proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Days played.
    pub days: u64,
    /// Calls that the watchers sent.
    pub calls: u64,
    /// Calls that were not sent, since the look behind them was too old.
    pub outdated_writes: u64,
    /// Log lines by event, and by a few of their fields.
    pub events: BTreeMap<String, u64>,
    /// Moments worth visiting.
    pub moments: BTreeMap<&'static str, u64>,
    /// The longest time from a sign of use to a deletion that did not heed it.
    pub longest_window: Duration,
}

impl Tally {
    /// Counts a moment.
    pub fn moment(&mut self, name: &'static str) {
        *self.moments.entry(name).or_default() += 1;
    }

    /// Counts a log line.
    pub fn event(&mut self, name: &str) {
        match self.events.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.events.insert(name.to_owned(), 1)),
        }
    }

    /// Adds another day's.
    pub fn add(&mut self, other: &Self) {
        self.days += other.days;
        self.calls += other.calls;
        self.outdated_writes += other.outdated_writes;
        for (name, count) in &other.events {
            *self.events.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &other.moments {
            *self.moments.entry(name).or_default() += count;
        }
        self.longest_window = self.longest_window.max(other.longest_window);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>9} days", self.days)?;
        writeln!(f, "{:>9} calls", self.calls)?;
        writeln!(f, "{:>9} writes not sent, the look behind them being too old", self.outdated_writes)?;
        for (name, count) in &self.moments {
            writeln!(f, "{count:>9} {name}")?;
        }
        for (name, count) in &self.events {
            writeln!(f, "{count:>9} {name}")?;
        }
        write!(
            f,
            "{:>9.3} s: the longest time from a sign of use to a deletion that missed it",
            self.longest_window.as_secs_f64()
        )
    }
}
