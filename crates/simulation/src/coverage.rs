//! The coverage of the days: a simulation that never reaches the dangerous moments proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The counts of one day, or the sums of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// The number of days.
    pub days: u64,
    /// The number of calls that workers and commands sent.
    pub calls: u64,
    /// The number of log lines by event, with the field that distinguishes its kinds.
    pub events: BTreeMap<String, u64>,
    /// The number of dangerous or rare moments by name.
    pub moments: BTreeMap<String, u64>,
    /// The longest time from a sign of use to a deletion that missed it.
    pub longest_window: Duration,
    /// The longest time from the beginning of a call to a stop that ended it.
    pub longest_gap: Duration,
    /// The largest share of the bound on calls that a day has used; 1 is the bound.
    pub largest_share_of_calls: f64,
}

impl Coverage {
    /// Counts a moment.
    pub fn moment(&mut self, name: &str) {
        count(&mut self.moments, name, 1);
    }

    /// Counts a log line.
    pub fn event(&mut self, name: &str) {
        count(&mut self.events, name, 1);
    }

    /// Returns whether a moment or a log line of this name was counted.
    pub fn includes(&self, name: &str) -> bool {
        self.moments.contains_key(name) || self.events.contains_key(name)
    }

    /// Adds the counts of other days.
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
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.largest_share_of_calls = self.largest_share_of_calls.max(other.largest_share_of_calls);
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(sum) => *sum += more,
        None => drop(counts.insert(name.to_owned(), more)),
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = format!("{:.0} %", self.largest_share_of_calls * 100.0);
        let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        row(f, "days", &grouped(self.days))?;
        row(f, "calls sent", &grouped(self.calls))?;
        row(f, "largest share of the bound on calls", &share)?;
        row(f, "longest time from a sign of use to a deletion that missed it", &seconds(self.longest_window))?;
        row(f, "longest time from a call's beginning to a stop that ended it", &seconds(self.longest_gap))?;
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

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "{name:<66}{value:>16}")
}

/// Formats a number with a comma before each three digits.
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

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn groups_digits_by_three() {
        assert_eq!([0, 999, 1_000, 26_000_000].map(grouped), ["0", "999", "1,000", "26,000,000"]);
    }
}
