//! The sources of the page: the lines that were read, and those that it leaves out.

use crate::format;
use crate::logs::{LineCounts, Truncation};

/// The lines read, and those that the page leaves out.
pub struct Sources {
    pub lines_read: u64,
    pub lines_used: u64,
    /// The reasons why the page is incomplete, a sentence for each log.
    pub warnings: Vec<String>,
    /// The lines that are left out, a sentence for each reason.
    pub notes: Vec<String>,
}

impl Sources {
    pub fn of(counts: &LineCounts, truncations: &[Truncation], repeated_reports: usize) -> Self {
        let unknown: u64 = counts.unknown.values().sum();
        let names: Vec<String> = counts.unknown.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        let notes = [
            (counts.duplicate, "duplicate: the same line in several logs counts once".to_owned()),
            (repeated_reports as u64, "repeated: the same act, reported by several workers, counts once".to_owned()),
            (counts.foreign, "of other programs, or not JSON".to_owned()),
            (counts.truncated, "truncated".to_owned()),
            (unknown, format!("of events that this version doesn't know: {}", names.join(", "))),
            (counts.unexpected_fields, "of known events, with missing or unexpected fields".to_owned()),
        ];
        let notes = notes.into_iter().filter(|(count, _)| *count > 0);
        let notes = notes.map(|(count, text)| format!("{}: {text}.", lines(count)));
        Self {
            lines_read: counts.total,
            lines_used: counts.used,
            warnings: truncations.iter().map(|truncation| format!("Incomplete: {truncation}.")).collect(),
            notes: notes.collect(),
        }
    }
}

fn lines(count: u64) -> String {
    format!("{} {}", format::total(count), if count == 1 { "line" } else { "lines" })
}
