//! The days in UTC on which a service had activity.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::history::History;
use crate::period::Period;

/// The number of days that are drawn, the latest first. The figures cover all days.
pub const MAX_DAYS: usize = 400;

/// The seconds of a day in UTC.
pub const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A day on which something existed or happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The date.
    pub date: Date,
    /// From its midnight to the next.
    pub period: Period,
    /// From its first activity to its last.
    pub activity: Period,
}

/// Returns the days with activity, the latest first, and the number of earlier ones that aren't drawn.
pub fn days(history: &History) -> (Vec<Day>, usize) {
    let periods = || activity(history);
    let mut numbers: Vec<i64> = periods().flat_map(latest_days).collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.dedup();
    let omitted = numbers.len().saturating_sub(MAX_DAYS);
    numbers.truncate(MAX_DAYS);
    let days = numbers.into_iter().filter_map(|number| {
        let midnight = number * DAY_SECONDS;
        let period = Period::new(seconds_since_1970(midnight), seconds_since_1970(midnight + DAY_SECONDS));
        let activity = periods().filter_map(|it| it.within(period)).reduce(Period::cover)?;
        let date = period.from().to_zoned_datetime(TimeZone::UTC).date();
        Some(Day { date, period, activity })
    });
    (days.collect(), omitted)
}

/// Returns the periods of everything that is drawn or listed.
fn activity(history: &History) -> impl Iterator<Item = Period> {
    let load_balancers = history.load_balancers.iter().map(|it| it.lifetime);
    let tasks = history.tasks.iter().map(|it| it.lifetime);
    let findings = history.findings.iter().map(|it| it.lifetime);
    let lifetimes = load_balancers.chain(tasks).chain(findings).map(|lifetime| lifetime.period);
    lifetimes.chain(history.entries.iter().map(|entry| Period::new(entry.at, entry.at)))
}

/// Returns the numbers, since 1970, of the days that the period touches; no more of them than one too many to draw.
fn latest_days(period: Period) -> impl Iterator<Item = i64> {
    let [first, last] = [period.from(), period.to()].map(|at| at.as_second().div_euclid(DAY_SECONDS));
    (first..=last).rev().take(MAX_DAYS + 1)
}

/// Returns the instant; the latest possible one for the end of the last day of the calendar.
pub fn seconds_since_1970(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Line;

    #[test]
    fn finds_the_days_with_activity() {
        let line = |at: &str, event: &str| {
            let text = format!(
                r#"{{"timestamp":"{at}","event":"{event}","message":"m","project":"p","cluster":"c","service":"s","load_balancer_arn":"a","uptime_seconds":7200,"load_balancer_state":"absent","registered":1,"findings":1,"aws_calls":1,"duration_ms":1}}"#
            );
            Line::parse(&text).expect("a line")
        };
        let lines = [
            line("2026-11-18T12:00:00Z", "watcher_started"),
            line("2026-11-19T12:00:00Z", "reconciled"),
            line("2026-11-21T01:00:00Z", "load_balancer_deleted"),
        ];
        let history = History::of(&lines).expect("lines");
        let (days, omitted) = days(&history);
        let dates: Vec<String> = days.iter().map(|day| day.date.to_string()).collect();
        assert_eq!((dates, omitted), (["2026-11-21", "2026-11-20", "2026-11-18"].map(String::from).to_vec(), 0));
    }

    #[test]
    fn limits_the_days_of_a_log_with_a_wrong_clock() {
        let line = |at: &str| {
            let text = format!(
                r#"{{"timestamp":"{at}","event":"reconciled","message":"m","project":"p","cluster":"c","service":"s","load_balancer_state":"active","registered":1,"findings":1,"aws_calls":1,"duration_ms":1}}"#
            );
            Line::parse(&text).expect("a line")
        };
        let history = History::of(&[line("0001-01-01T00:00:00Z"), line("9999-12-30T21:00:00Z")]).expect("lines");
        let (days, omitted) = days(&history);
        assert_eq!(days.len(), MAX_DAYS);
        assert!(omitted > 0);
    }
}
