//! Days, in UTC, and what part of each the chart of it shows.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::history::History;
use super::period::Period;

/// More days than these, the latest, aren't drawn: nobody scrolls through them, and the totals have them all.
pub const MOST_DAYS: usize = 400;

/// The steps between two of an axis' labels, in seconds: those at which people look at a clock.
const STEPS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600];

/// A phone shows so many labels beside each other.
const MOST_STEPS: i64 = 5;

/// The seconds of a day in UTC.
const DAY: i64 = 24 * 60 * 60;

/// A day on which something was there, or happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// From its midnight to the next.
    pub period: Period,
    /// What the chart of it shows.
    pub axis: Axis,
}

/// A time axis, with labels at round times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    period: Period,
    /// The seconds between two labels.
    step: i64,
}

/// The days on which something was there or happened, the latest first, and how many earlier ones are left out.
pub fn days(history: &History) -> (Vec<Day>, usize) {
    let periods = || activity(history);
    let mut numbers: Vec<i64> = periods().flat_map(latest_days).collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.dedup();
    let left_out = numbers.len().saturating_sub(MOST_DAYS);
    numbers.truncate(MOST_DAYS);
    let days = numbers.into_iter().filter_map(|number| {
        let period = Period::new(second(number * DAY), second((number + 1) * DAY));
        let shown = periods().filter_map(|it| it.within(period)).reduce(Period::cover)?;
        let date = period.from().to_zoned_datetime(TimeZone::UTC).date();
        Some(Day { date, period, axis: Axis::of(shown, period) })
    });
    (days.collect(), left_out)
}

/// Whatever there is to see, and when.
fn activity(history: &History) -> impl Iterator<Item = Period> {
    let lives = history.balancers.iter().map(|it| it.life).chain(history.tasks.iter().map(|it| it.life));
    let lives = lives.chain(history.findings.iter().map(|it| it.life)).map(|life| life.period);
    lives.chain(history.moments.iter().map(|moment| Period::new(moment.at, moment.at)))
}

/// The numbers, since 1970, of the days that the period touches; of the latest of them, if they are very many.
fn latest_days(period: Period) -> impl Iterator<Item = i64> {
    let [first, last] = [period.from(), period.to()].map(|at| at.as_second().div_euclid(DAY));
    (first..=last).rev().take(MOST_DAYS + 1)
}

/// The second since 1970; the last day that can be written ends early.
fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

impl Axis {
    /// The shortest with labels at both ends that shows the period, and lies in the day.
    fn of(shown: Period, day: Period) -> Self {
        let midnight = day.from().as_second();
        let from = shown.from().as_second() - midnight;
        // What happens in the last second is to be seen, too.
        let to = (shown.to().as_second() - midnight + 1).min(DAY);
        let ends = |step: i64| (from.div_euclid(step) * step, (to + step - 1).div_euclid(step) * step);
        let fits = |step: &i64| {
            let (from, to) = ends(*step);
            (to - from) / step <= MOST_STEPS
        };
        let step = STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]);
        let (from, to) = ends(step);
        Self { period: Period::new(second(midnight + from), second(midnight + to)), step }
    }

    /// What it shows.
    pub fn period(self) -> Period {
        self.period
    }

    /// Where an instant is on it, in percent.
    pub fn percent(self, at: Timestamp) -> f64 {
        let from_begin = at.duration_since(self.period.from()).as_secs_f64();
        (100.0 * from_begin / self.period.seconds()).clamp(0.0, 100.0)
    }

    /// Its labels, and where each is in percent.
    pub fn labels(self) -> Vec<(f64, String)> {
        let [from, to] = [self.period.from(), self.period.to()].map(|at| at.as_second().div_euclid(self.step));
        let instants = (from..=to).map(|number| second(number * self.step));
        instants.map(|at| (self.percent(at), self.label(at))).collect()
    }

    fn label(self, at: Timestamp) -> String {
        // A day ends at 24:00, not at 00:00.
        if at == self.period.to() && at.as_second() % DAY == 0 {
            return "24:00".to_owned();
        }
        let time = at.to_zoned_datetime(TimeZone::UTC).time();
        if self.step < 60 {
            format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
        } else {
            format!("{:02}:{:02}", time.hour(), time.minute())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Line;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn axis(from: &str, to: &str) -> Vec<String> {
        let day = Period::new(at("2026-11-20T00:00:00Z"), at("2026-11-21T00:00:00Z"));
        let axis = Axis::of(Period::new(at(from), at(to)), day);
        axis.labels().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn an_axis_has_labels_at_round_times() {
        assert_eq!(axis("2026-11-20T18:03:11Z", "2026-11-20T20:31:00Z"), ["18:00", "19:00", "20:00", "21:00"]);
        assert_eq!(axis("2026-11-20T18:03:11.5Z", "2026-11-20T18:03:12Z"), ["18:03:11", "18:03:12", "18:03:13"]);
        assert_eq!(axis("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"), ["00:00", "06:00", "12:00", "18:00", "24:00"]);
        assert_eq!(axis("2026-11-20T23:59:59.999Z", "2026-11-20T23:59:59.999Z"), ["23:59:59", "24:00"]);
    }

    #[test]
    fn a_day_is_one_on_which_something_was_there() {
        let line = |at: &str, event: &str| {
            let text = format!(
                r#"{{"timestamp":"{at}","event":"{event}","message":"m","project":"p","cluster":"c","service":"s","load_balancer_arn":"a","uptime_seconds":7200,"load_balancer_state":"absent","registered":1,"findings":1,"aws_calls":1,"duration_ms":1}}"#
            );
            Line::read(&text).expect("a line")
        };
        let lines = [
            line("2026-11-18T12:00:00Z", "watcher_started"),
            line("2026-11-19T12:00:00Z", "reconciled"),
            line("2026-11-21T01:00:00Z", "load_balancer_deleted"),
        ];
        let history = History::of(&lines).expect("lines");
        let (days, left_out) = days(&history);
        let dates: Vec<String> = days.iter().map(|day| day.date.to_string()).collect();
        assert_eq!((dates, left_out), (["2026-11-21", "2026-11-20", "2026-11-18"].map(String::from).to_vec(), 0));
    }

    #[test]
    fn a_clock_that_was_centuries_off_makes_no_endless_page() {
        let line = |at: &str| {
            let text = format!(
                r#"{{"timestamp":"{at}","event":"reconciled","message":"m","project":"p","cluster":"c","service":"s","load_balancer_state":"active","registered":1,"findings":1,"aws_calls":1,"duration_ms":1}}"#
            );
            Line::read(&text).expect("a line")
        };
        let history = History::of(&[line("0001-01-01T00:00:00Z"), line("9999-12-30T21:00:00Z")]).expect("lines");
        let (days, left_out) = days(&history);
        assert_eq!(days.len(), MOST_DAYS);
        assert!(left_out > 0);
    }
}
