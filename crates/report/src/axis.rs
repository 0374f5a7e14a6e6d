//! The time axis that all days of a service share.

use jiff::Timestamp;

use crate::days::{DAY_SECONDS, Day, seconds_since_1970};
use crate::period::Period;

/// The steps between two labels, in seconds: multiples that are usual on a clock.
const STEPS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600];

/// The number of steps for whose labels a phone has room: of hours and minutes, and with seconds.
const MAX_STEPS: i64 = 5;
const MAX_STEPS_OF_SECONDS: i64 = 3;

/// A stretch of the day in UTC, with labels at round times. The same time of day is at the same place on every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The seconds from midnight to the start.
    from: i64,
    /// The seconds from midnight to the end.
    to: i64,
    /// The seconds between two labels.
    step: i64,
}

impl Axis {
    /// Returns the axis of these days: the whole day; of a single day, the stretch in which it has activity.
    pub fn shared_by(days: &[Day]) -> Self {
        match days {
            [day] => Self::around(day.activity, day),
            _ => Self { from: 0, to: DAY_SECONDS, step: 21_600 },
        }
    }

    /// Returns the shortest axis that covers the period and has labels at both ends.
    fn around(activity: Period, day: &Day) -> Self {
        let midnight = day.period.from().as_second();
        let from = activity.from().as_second() - midnight;
        // Events within the last second are on the axis, too.
        let to = (activity.to().as_second() - midnight + 1).min(DAY_SECONDS);
        let ends = |step: i64| (from.div_euclid(step) * step, (to + step - 1).div_euclid(step) * step);
        let fits = |step: &i64| {
            let (from, to) = ends(*step);
            (to - from) / step <= if *step < 60 { MAX_STEPS_OF_SECONDS } else { MAX_STEPS }
        };
        let step = STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]);
        let (from, to) = ends(step);
        Self { from, to, step }
    }

    /// Returns the period that the axis covers on this day.
    pub fn period_on(self, day: &Day) -> Period {
        let midnight = day.period.from().as_second();
        Period::new(seconds_since_1970(midnight + self.from), seconds_since_1970(midnight + self.to))
    }

    /// Returns the place of an instant of this day, in percent.
    pub fn percent(self, day: &Day, at: Timestamp) -> f64 {
        let period = self.period_on(day);
        let from_start = at.duration_since(period.from()).as_secs_f64();
        (100.0 * from_start / period.seconds()).clamp(0.0, 100.0)
    }

    /// Returns the places of the labels, in percent, and their texts.
    #[expect(clippy::cast_precision_loss, reason = "a day has 86,400 seconds")]
    pub fn labels(self) -> Vec<(f64, String)> {
        let count = (self.to - self.from) / self.step;
        let labels =
            (0..=count).map(|index| (100.0 * index as f64 / count as f64, self.label(self.from + index * self.step)));
        labels.collect()
    }

    fn label(self, second: i64) -> String {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // A day ends at 24:00, on an axis of seconds as well.
        if self.step < 60 && hour < 24 {
            format!("{hour:02}:{minute:02}:{second:02}")
        } else {
            format!("{hour:02}:{minute:02}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn day(date: &str, from: &str, to: &str) -> Day {
        let midnight = at(&format!("{date}T00:00:00Z"));
        let period = Period::new(midnight, seconds_since_1970(midnight.as_second() + DAY_SECONDS));
        let activity = Period::new(at(&format!("{date}T{from}Z")), at(&format!("{date}T{to}Z")));
        Day { date: date.parse().expect("a date"), period, activity }
    }

    fn labels(days: &[Day]) -> Vec<String> {
        Axis::shared_by(days).labels().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn the_axis_of_a_single_day_covers_its_activity_at_round_times() {
        let labels = |from, to| labels(&[day("2026-11-20", from, to)]);
        assert_eq!(labels("18:03:11", "20:31:00"), ["18:00", "19:00", "20:00", "21:00"]);
        assert_eq!(labels("18:03:11.5", "18:03:12"), ["18:03:11", "18:03:12", "18:03:13"]);
        assert_eq!(labels("18:03:05", "18:03:31"), ["18:03:00", "18:03:15", "18:03:30", "18:03:45"]);
        assert_eq!(labels("00:00:00", "23:59:59"), ["00:00", "06:00", "12:00", "18:00", "24:00"]);
        assert_eq!(labels("23:59:59.999", "23:59:59.999"), ["23:59:59", "24:00"]);
    }

    #[test]
    fn several_days_share_an_axis_of_24_hours() {
        let days = [day("2026-11-21", "07:00:00", "07:00:30"), day("2026-11-20", "18:00:00", "19:00:00")];
        assert_eq!(labels(&days), ["00:00", "06:00", "12:00", "18:00", "24:00"]);
        let axis = Axis::shared_by(&days);
        for day in &days {
            let place = axis.percent(day, at(&format!("{}T18:00:00Z", day.date)));
            assert!((place - 75.0).abs() < 1e-9, "18:00 is at {place} % on {}", day.date);
        }
    }
}
