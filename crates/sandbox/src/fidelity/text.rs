//! A comparison as text.

use std::fmt;

use super::{Comparison, Difference, DifferenceKind, Distribution, Times};

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} calls of {} operations in {} file(s)", self.calls, self.operations.len(), self.files)?;
        if self.unanswered > 0 {
            writeln!(f, "{} call(s) without a whole answer", self.unanswered)?;
        }
        if self.unreadable > 0 {
            writeln!(f, "{} line(s) that can't be read", self.unreadable)?;
        }
        self.write_differences(f)?;
        if !self.not_compared.is_empty() {
            writeln!(f, "\nNot compared")?;
            self.not_compared.iter().try_for_each(|what| writeln!(f, "  {what}"))?;
        }
        write_times(f, &self.times)
    }
}

impl Comparison {
    fn write_differences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differences.is_empty() {
            return writeln!(f, "\nNo differences");
        }
        writeln!(f, "\n{} difference(s)", self.differences.len())?;
        let mut heading = String::new();
        for difference in &self.differences {
            let of_difference = format!("{} {}", difference.operation, difference.outcome);
            if of_difference != heading {
                writeln!(f, "  {}", of_difference.trim_end())?;
                heading = of_difference;
            }
            writeln!(f, "    {difference}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, recorded, sandbox, .. } = self;
        match kind {
            DifferenceKind::Operation => f.write_str("the sandbox doesn't model the operation"),
            DifferenceKind::Outcome => write!(f, "{recorded} like this; the sandbox has none"),
            DifferenceKind::Status => write!(f, "HTTP status {recorded}; sandbox: {sandbox}"),
            DifferenceKind::Header => write!(f, "header {path}: {recorded}; sandbox: {sandbox}"),
            DifferenceKind::OnlyRecorded => write!(f, "{path}: only recorded ({recorded})"),
            DifferenceKind::OnlySandbox => write!(f, "{path}: only in the sandbox"),
            DifferenceKind::NotAlways => write!(f, "{path}: {recorded}; sandbox: {sandbox}"),
            DifferenceKind::Type => write!(f, "{path}: {recorded}; sandbox: {sandbox}"),
            DifferenceKind::Value => write!(f, "{path}: has {recorded}; sandbox: {sandbox}"),
        }
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, times: &[Times]) -> fmt::Result {
    let width = times.iter().map(|times| times.meaning.len()).max().unwrap_or_default();
    writeln!(f, "\n{:width$}  {:>31}  {:>31}", "Times in seconds", "recorded", "sandbox")?;
    writeln!(f, "{:width$}  {HEADINGS:>31}  {HEADINGS:>31}", "")?;
    for Times { meaning, recorded, sandbox, .. } in times {
        writeln!(f, "{meaning:width$}  {:>31}  {:>31}", numbers(*recorded), numbers(*sandbox))?;
    }
    Ok(())
}

/// The headings of what [`numbers`] returns.
const HEADINGS: &str = "number   least  median    most";

fn numbers(distribution: Option<Distribution>) -> String {
    match distribution {
        Some(Distribution { count, min, median, max }) => format!("{count:>6}{min:>8.1}{median:>8.1}{max:>8.1}"),
        None => "none".to_owned(),
    }
}

/// Replaces what a terminal would obey by spaces: control characters, and those that reorder the text (Unicode Standard Annex
/// #9). A recording is written by others.
pub(super) fn printable(text: &str) -> String {
    let reorders =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || reorders(c) { ' ' } else { c }).collect()
}
