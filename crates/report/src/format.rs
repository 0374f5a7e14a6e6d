//! Formats times, durations, amounts and names for the page.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::period::{Edge, Lifetime, Period};

/// Formats the time of day in UTC, to the second.
pub fn time(at: Timestamp) -> String {
    let time = at.to_zoned_datetime(TimeZone::UTC).time();
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// Formats the day and the time in UTC, to the minute.
pub fn minute(at: Timestamp) -> String {
    let at = at.to_zoned_datetime(TimeZone::UTC);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

/// Formats the times of day of a period, and its length.
pub fn period(period: Period) -> String {
    format!("{} to {} ({})", time(period.from()), time(period.to()), duration(period.seconds()))
}

/// Formats a lifetime with its days. An end that the log lacks is an unknown time.
pub fn lifetime(lifetime: Lifetime) -> String {
    let [from, to] =
        [(lifetime.start, lifetime.period.from()), (lifetime.end, lifetime.period.to())].map(|end| match end {
            (Edge::Logged, at) => day_and_time(at),
            (Edge::Outside, _) => "an unknown time".to_owned(),
        });
    let is_whole = (lifetime.start, lifetime.end) == (Edge::Logged, Edge::Logged);
    let addition = if is_whole { "" } else { " of it in the log" };
    format!("from {from} to {to} ({}{addition})", duration(lifetime.period.seconds()))
}

fn day_and_time(at: Timestamp) -> String {
    format!("{} {}", at.to_zoned_datetime(TimeZone::UTC).date(), time(at))
}

/// Formats a number of seconds in its two largest units.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, at 292 billion years")]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as i64;
    match whole {
        // Without the sign of a negative zero.
        ..10 => format!("{:.1} s", if seconds.abs() < 0.05 { 0.0 } else { seconds }),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// Formats milliseconds; from a second on in larger units.
#[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
pub fn milliseconds(milliseconds: u64) -> String {
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        _ => duration(milliseconds as f64 / 1000.0),
    }
}

/// Formats hours; below one in minutes and seconds.
pub fn hours(hours: f64) -> String {
    if hours < 1.0 { duration(hours * 3600.0) } else { format!("{} h", grouped(hours, 1)) }
}

/// Formats an amount in US dollars with cents; with four decimals below ten cents.
pub fn dollars(dollars: f64) -> String {
    let sign = if dollars < 0.0 && !is_no_amount(dollars) { "\u{2212}" } else { "" };
    let amount = dollars.abs();
    let decimals = if amount < 0.1 && !is_no_amount(dollars) { 4 } else { 2 };
    format!("{sign}${}", grouped(amount, decimals))
}

/// Returns whether an amount is zero at the page's precision.
pub fn is_no_amount(dollars: f64) -> bool {
    dollars.abs() < 0.000_05
}

/// Formats a number with a comma between thousands.
fn grouped(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::with_capacity(text.len() + whole.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// Shortens a task's ID to the eight characters that tell it from others.
pub fn short_id(name: &str) -> String {
    if name.len() == 32 && name.is_ascii() { format!("{}…", &name[..8]) } else { name.to_owned() }
}

/// Formats a name of the log with spaces.
pub fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// Formats a count with its noun.
pub fn counted(count: usize, singular: &str, plural: &str) -> String {
    format!("{} {}", total(count as u64), if count == 1 { singular } else { plural })
}

/// Formats a total with a comma between thousands.
#[expect(clippy::cast_precision_loss, reason = "no log has 2^53 of anything")]
pub fn total(total: u64) -> String {
    grouped(total as f64, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_two_largest_units() {
        let expected = [
            (-0.0, "0.0 s"),
            (0.42, "0.4 s"),
            (24.6, "25 s"),
            (72.4, "1 min 12 s"),
            (3599.7, "1 h 0 min"),
            (9341.0, "2 h 35 min"),
            (200_000.0, "2 d 7 h"),
        ];
        for (seconds, text) in expected {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!((milliseconds(960).as_str(), milliseconds(1840).as_str()), ("960 ms", "1.8 s"));
        assert_eq!((hours(0.5).as_str(), hours(1234.56).as_str()), ("30 min 0 s", "1,234.6 h"));
    }

    #[test]
    fn amounts_have_cents() {
        for (amount, text) in [
            (0.0, "$0.00"),
            (-1e-16, "$0.00"),
            (0.0012, "$0.0012"),
            (2.6, "$2.60"),
            (1234.5, "$1,234.50"),
            (-3.146, "\u{2212}$3.15"),
        ] {
            assert_eq!(dollars(amount), text);
        }
    }

    #[test]
    fn counts_have_their_noun_in_the_right_number() {
        assert_eq!(counted(1, "task", "tasks"), "1 task");
        assert_eq!(counted(1200, "task", "tasks"), "1,200 tasks");
    }

    #[test]
    fn shortens_task_ids_only() {
        assert_eq!(short_id("0f3d6c1e8a9b4f27b5d0c4e19a7f6b32"), "0f3d6c1e…");
        assert_eq!(short_id("10.0.1.23"), "10.0.1.23");
    }
}
