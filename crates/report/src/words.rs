//! How times, durations, sums and names are written on the page.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::period::{Edge, Life, Period};

/// The time of day, in UTC, to the second.
pub fn time(at: Timestamp) -> String {
    let time = at.to_zoned_datetime(TimeZone::UTC).time();
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// Day and time, in UTC, to the minute.
pub fn minute(at: Timestamp) -> String {
    let at = at.to_zoned_datetime(TimeZone::UTC);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

/// The two ends of a stretch of time, and its length.
pub fn period(period: Period) -> String {
    format!("{} to {} ({})", time(period.from()), time(period.to()), seconds(period.seconds()))
}

/// The same, with days, and what isn't known of its ends.
pub fn life(life: Life) -> String {
    let from = match life.began {
        Edge::Seen => format!("{} {}", day(life.period.from()), time(life.period.from())),
        Edge::Unseen => "before the log".to_owned(),
    };
    let to = match life.ended {
        Edge::Seen => format!("{} {}", day(life.period.to()), time(life.period.to())),
        Edge::Unseen => "beyond what the log shows".to_owned(),
    };
    format!("from {from} to {to} ({})", seconds(life.period.seconds()))
}

fn day(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC).date().to_string()
}

/// A duration, in its two largest units.
#[expect(clippy::cast_possible_truncation, reason = "as only saturates, at 292 billion years")]
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as i64;
    match whole {
        ..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// Milliseconds, as seconds where they are many.
#[expect(clippy::cast_precision_loss, reason = "nobody waits for 285,000 years")]
pub fn milliseconds(milliseconds: u64) -> String {
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        _ => seconds(milliseconds as f64 / 1000.0),
    }
}

/// Hours; below one in minutes and seconds.
pub fn hours(hours: f64) -> String {
    if hours < 1.0 { seconds(hours * 3600.0) } else { format!("{} h", grouped(hours, 1)) }
}

/// A sum in US dollars; cents, and as many digits as a sum below them needs.
pub fn dollars(dollars: f64) -> String {
    let sign = if dollars < 0.0 { "\u{2212}" } else { "" };
    let sum = dollars.abs();
    let decimals = if sum > 0.0 && sum < 0.1 { 4 } else { 2 };
    format!("{sign}${}", grouped(sum, decimals))
}

/// A number with a comma between thousands.
pub fn grouped(number: f64, decimals: usize) -> String {
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

/// Enough of a task's id to tell it from others.
pub fn short(name: &str) -> String {
    if name.len() == 32 && name.is_ascii() { format!("{}…", &name[..8]) } else { name.to_owned() }
}

/// A name of the log's, as words.
pub fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// One, or another count, of something.
pub fn count(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped_count(count), if count == 1 { one } else { many })
}

/// A count with a comma between thousands.
pub fn grouped_count(count: usize) -> String {
    grouped_total(count as u64)
}

/// A total with a comma between thousands.
#[expect(clippy::cast_precision_loss, reason = "no log has 2^53 of anything")]
pub fn grouped_total(total: u64) -> String {
    grouped(total as f64, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_their_two_largest_units() {
        let expected = [
            (0.42, "0.4 s"),
            (24.6, "25 s"),
            (72.4, "1 min 12 s"),
            (3599.7, "1 h 0 min"),
            (9341.0, "2 h 35 min"),
            (200_000.0, "2 d 7 h"),
        ];
        for (value, text) in expected {
            assert_eq!(seconds(value), text);
        }
        assert_eq!((milliseconds(960).as_str(), milliseconds(1840).as_str()), ("960 ms", "1.8 s"));
        assert_eq!((hours(0.5).as_str(), hours(1234.56).as_str()), ("30 min 0 s", "1,234.6 h"));
    }

    #[test]
    fn sums_have_cents() {
        for (sum, text) in
            [(0.0, "$0.00"), (0.0012, "$0.0012"), (2.6, "$2.60"), (1234.5, "$1,234.50"), (-3.146, "\u{2212}$3.15")]
        {
            assert_eq!(dollars(sum), text);
        }
    }

    #[test]
    fn a_task_is_told_by_the_beginning_of_its_id() {
        assert_eq!(short("0f3d6c1e8a9b4f27b5d0c4e19a7f6b32"), "0f3d6c1e…");
        assert_eq!(short("10.0.1.23"), "10.0.1.23");
    }
}
