//! What was visited: a simulation that never meets the dangerous moments proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Days played.
    pub days: u64,
    /// Calls that the watchers sent.
    pub calls: u64,
    /// Log lines by event, and by a few of their fields.
    pub events: BTreeMap<String, u64>,
    /// Moments worth visiting.
    pub moments: BTreeMap<String, u64>,
    /// The longest time from a sign of use to a deletion that did not heed it.
    pub longest_window: Duration,
    /// How near a day came to the bound of its calls; 1 is there.
    pub largest_share_of_calls: f64,
}

impl Tally {
    /// Counts a moment.
    pub fn moment(&mut self, name: &str) {
        count(&mut self.moments, name, 1);
    }

    /// Counts a log line.
    pub fn event(&mut self, name: &str) {
        count(&mut self.events, name, 1);
    }

    /// Adds another day's.
    pub fn add(&mut self, other: &Self) {
        self.days += other.days;
        self.calls += other.calls;
        for (name, more) in &other.events {
            count(&mut self.events, name, *more);
        }
        for (name, more) in &other.moments {
            count(&mut self.moments, name, *more);
        }
        self.longest_window = self.longest_window.max(other.longest_window);
        self.largest_share_of_calls = self.largest_share_of_calls.max(other.largest_share_of_calls);
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(sum) => *sum += more,
        None => drop(counts.insert(name.to_owned(), more)),
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = format!("{:.0} %", self.largest_share_of_calls * 100.0);
        let window = format!("{:.3} s", self.longest_window.as_secs_f64());
        row(f, "days played", &grouped(self.days))?;
        row(f, "calls sent", &grouped(self.calls))?;
        row(f, "the nearest that a day came to the bound of its calls", &share)?;
        row(f, "the longest time from a sign of use to a deletion that missed it", &window)?;
        writeln!(f, "\nmoments")?;
        for (name, count) in &self.moments {
            row(f, &format!("  {name}"), &grouped(*count))?;
        }
        writeln!(f, "\nlog lines")?;
        for (name, count) in &self.events {
            row(f, &format!("  {name}"), &grouped(*count))?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, figure: &str) -> fmt::Result {
    writeln!(f, "{name:<66}{figure:>16}")
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
