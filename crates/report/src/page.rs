//! The page: what stands where on it, as text. The template, `page.html`, escapes all of it: a log has others' words in it.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;

use super::chart::Chart;
use super::days::{self, Day};
use super::figures::{Figures, Prices, Spread};
use super::history::{Failure, History, Moment, MomentKind};
use super::line::ServiceName;
use super::period::Edge;
use super::read::{Logs, Tally};
use super::words;

/// A day's list has no more events than these; the log itself has all.
const MOST_MOMENTS: usize = 500;

/// The kinds of failures that are listed, the most frequent first.
const MOST_FAILURES: usize = 50;

/// The findings that are listed, the latest first.
const MOST_FINDINGS: usize = 100;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// There is nothing to make it of.
    #[error(
        "none of the {lines} line(s) is one that a watcher has logged as JSON; give its log as it stands on standard \
         output of `run --log-format json`, or in CloudWatch"
    )]
    NothingToShow {
        /// How many lines there were.
        lines: u64,
    },
    /// The template failed.
    #[error("the page can't be made: {0}")]
    Template(#[from] askama::Error),
}

/// The page of these logs at these prices.
///
/// # Errors
///
/// When there is nothing to make it of.
pub fn page(logs: Logs, prices: &Prices) -> Result<String, PageError> {
    let (services, tally) = logs.sorted();
    let sections: Vec<Section> = services
        .iter()
        .filter_map(|(service, lines)| Some(Section::of(service, &History::of(lines)?, prices)))
        .collect();
    if sections.is_empty() {
        return Err(PageError::NothingToShow { lines: tally.lines });
    }
    let page =
        Page { version: env!("CARGO_PKG_VERSION"), sections, prices: prices.into(), reading: Reading::of(&tally) };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    version: &'static str,
    sections: Vec<Section>,
    prices: PriceTexts,
    reading: Reading,
}

/// The prices, as they are written.
struct PriceTexts {
    hour: String,
    idle_month: String,
    always_on_month: String,
}

impl From<&Prices> for PriceTexts {
    fn from(prices: &Prices) -> Self {
        Self {
            hour: words::dollars(prices.hour),
            idle_month: words::dollars(prices.idle_month),
            always_on_month: words::dollars(prices.always_on_month),
        }
    }
}

/// What became of the lines.
struct Reading {
    lines: String,
    read: String,
    /// What is to be said of the others, a sentence each.
    notes: Vec<String>,
}

impl Reading {
    fn of(tally: &Tally) -> Self {
        let unknown: u64 = tally.unknown.values().sum();
        let names: Vec<String> = tally.unknown.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        let notes = [
            (tally.repeated, "had come before and count once: the files overlap.".to_owned()),
            (tally.foreign, "are not the watcher's, or not JSON.".to_owned()),
            (tally.cut_off, "end in the middle.".to_owned()),
            (unknown, format!("are of events that this version doesn't know: {}.", names.join(", "))),
            (tally.wrong_fields, "are of known events, with fields that these don't have.".to_owned()),
        ];
        let notes = notes
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, text)| format!("{} {text}", words::grouped_total(count)));
        let [lines, read] = [tally.lines, tally.read].map(words::grouped_total);
        Self { lines, read, notes: notes.collect() }
    }
}

/// One service.
struct Section {
    service: ServiceName,
    from: String,
    to: String,
    length: String,
    tiles: Vec<Tile>,
    days: Vec<DayView>,
    days_left_out: usize,
    findings: Vec<FindingRow>,
    findings_left_out: usize,
    failures: Vec<FailureRow>,
    failures_left_out: usize,
}

/// A figure, large, with others beside it.
struct Tile {
    label: &'static str,
    /// The name that it has for programs.
    name: &'static str,
    value: String,
    text: String,
    notes: Vec<Note>,
}

/// What stands below a figure.
enum Note {
    /// Another figure, and the words before it.
    Figure { name: &'static str, before: &'static str, value: String, text: String },
    /// Words.
    Words(String),
}

/// One day.
struct DayView {
    date: String,
    weekday: String,
    summary: String,
    chart: Chart,
    moments: Vec<MomentRow>,
    moments_left_out: usize,
    /// How many that are together.
    moments_count: String,
}

struct MomentRow {
    at: String,
    time: String,
    kind: &'static str,
    class: &'static str,
    text: String,
}

struct FindingRow {
    name: String,
    subject: String,
    detail: String,
    advice: String,
    stood: String,
    stands: bool,
}

struct FailureRow {
    what: String,
    resource: String,
    count: usize,
    when: String,
    text: String,
}

impl Section {
    fn of(service: &ServiceName, history: &History, prices: &Prices) -> Self {
        let figures = Figures::of(history, prices);
        let (days, days_left_out) = days::days(history);
        let findings: Vec<FindingRow> = history.findings.iter().rev().map(FindingRow::of).collect();
        let failures = FailureRow::of(&history.failures);
        Self {
            service: service.clone(),
            from: words::minute(history.period.from()),
            to: words::minute(history.period.to()),
            length: words::seconds(history.period.seconds()),
            tiles: tiles(&figures),
            days: days.iter().map(|day| DayView::of(history, day)).collect(),
            days_left_out,
            findings_left_out: findings.len().saturating_sub(MOST_FINDINGS),
            findings: findings.into_iter().take(MOST_FINDINGS).collect(),
            failures_left_out: failures.len().saturating_sub(MOST_FAILURES),
            failures: failures.into_iter().take(MOST_FAILURES).collect(),
        }
    }
}

fn tiles(figures: &Figures) -> Vec<Tile> {
    let share = if figures.hours > 0.0 { 100.0 * figures.hours_up / figures.hours } else { 0.0 };
    let counted = |name, label, count: usize, note: String| Tile {
        label,
        name,
        value: count.to_string(),
        text: words::grouped_count(count),
        notes: vec![Note::Words(note)],
    };
    vec![
        Tile {
            label: "Balancer up",
            name: "hours-up",
            value: format!("{:.6}", figures.hours_up),
            text: words::hours(figures.hours_up),
            notes: vec![Note::Words(format!("{share:.0} % of the log's time"))],
        },
        Tile {
            label: "Cost avoided",
            name: "cost-avoided",
            value: format!("{:.6}", figures.avoided()),
            text: words::dollars(figures.avoided()),
            notes: vec![Note::Figure {
                name: "always-on-cost",
                before: "always on:",
                value: format!("{:.6}", figures.always_on_cost),
                text: words::dollars(figures.always_on_cost),
            }],
        },
        Tile {
            label: "Cost",
            name: "cost",
            value: format!("{:.6}", figures.cost),
            text: words::dollars(figures.cost),
            notes: vec![Note::Words("as reckoned below".to_owned())],
        },
        spread(
            "Time to registered",
            ["time-to-registered-median", "time-to-registered-p95"],
            figures.time_to_registered,
        ),
        spread("Time to healthy", ["time-to-healthy-median", "time-to-healthy-p95"], figures.time_to_healthy),
        counted("tasks", "Tasks", figures.tasks, words::count(figures.balancers, "balancer", "balancers")),
        counted("teardowns", "Teardowns", figures.teardowns, "balancers deleted by the watcher".to_owned()),
        counted("findings", "Findings", figures.findings, "that a person should know".to_owned()),
        counted("failures", "Failures", figures.failures, "calls and messages".to_owned()),
        Tile {
            label: "AWS calls",
            name: "aws-calls",
            value: figures.aws_calls.to_string(),
            text: words::grouped_total(figures.aws_calls),
            notes: vec![Note::Words("by the watcher, retries included".to_owned())],
        },
    ]
}

/// The median, with the 95th percentile beside it.
fn spread(label: &'static str, [median, p95]: [&'static str; 2], spread: Option<Spread>) -> Tile {
    let Some(spread) = spread else {
        let notes = vec![Note::Words("the log has none".to_owned())];
        return Tile { label, name: median, value: String::new(), text: "–".to_owned(), notes };
    };
    Tile {
        label,
        name: median,
        value: spread.median.to_string(),
        text: words::milliseconds(spread.median),
        notes: vec![
            Note::Figure {
                name: p95,
                before: "median; p95:",
                value: spread.p95.to_string(),
                text: words::milliseconds(spread.p95),
            },
            Note::Words(format!("of {}", words::count(spread.count, "target", "targets"))),
        ],
    }
}

impl DayView {
    fn of(history: &History, day: &Day) -> Self {
        let happened = |at: Timestamp| day.period.contains(at);
        let moments: Vec<&Moment> = history.moments.iter().filter(|moment| happened(moment.at)).collect();
        let failures = history.failures.iter().filter(|failure| happened(failure.at)).count();
        let tasks = history.tasks.iter().filter(|task| task.life.period.within(day.period).is_some()).count();
        let up = history.balancers.iter().filter_map(|it| it.life.period.within(day.period));
        let mut summary = vec![
            format!("balancer up {}", words::seconds(up.map(|period| period.seconds()).sum())),
            words::count(tasks, "task", "tasks"),
        ];
        if failures > 0 {
            summary.push(words::count(failures, "failure", "failures"));
        }
        Self {
            date: day.date.to_string(),
            weekday: day.date.strftime("%A").to_string(),
            summary: summary.join(" · "),
            chart: Chart::of(history, day),
            moments_count: words::count(moments.len(), "event", "events"),
            moments_left_out: moments.len().saturating_sub(MOST_MOMENTS),
            moments: moments.into_iter().take(MOST_MOMENTS).map(MomentRow::of).collect(),
        }
    }
}

impl MomentRow {
    fn of(moment: &Moment) -> Self {
        let class = match moment.kind {
            MomentKind::Registered | MomentKind::Healthy => "good",
            MomentKind::Unhealthy | MomentKind::Failure => "bad",
            MomentKind::Finding => "warn",
            MomentKind::Teardown | MomentKind::Mark => "balancer",
            MomentKind::Deregistered | MomentKind::Other => "plain",
        };
        Self {
            at: moment.at.to_string(),
            time: words::time(moment.at),
            kind: moment.kind.words(),
            class,
            text: moment.text.clone(),
        }
    }
}

impl FindingRow {
    fn of(finding: &super::history::FindingLife) -> Self {
        Self {
            name: words::spaced(&finding.name),
            subject: finding.subject.clone(),
            detail: finding.detail.clone(),
            advice: finding.advice.clone(),
            stood: words::life(finding.life),
            stands: finding.life.ended == Edge::Unseen,
        }
    }
}

impl FailureRow {
    /// One for each thing that failed, the most frequent first, with what the last one said.
    fn of(failures: &[Failure]) -> Vec<Self> {
        let mut kinds: BTreeMap<(&str, &str), Vec<&Failure>> = BTreeMap::new();
        for failure in failures {
            kinds.entry((&failure.what, &failure.resource)).or_default().push(failure);
        }
        let mut rows: Vec<Self> = kinds
            .into_iter()
            .filter_map(|((what, resource), failures)| {
                let (first, last) = (failures.first()?, failures.last()?);
                let when = match failures.len() {
                    1 => words::minute(first.at),
                    _ => format!("{} to {}", words::minute(first.at), words::minute(last.at)),
                };
                let (what, resource, text) = (what.to_owned(), resource.to_owned(), last.text.clone());
                Some(Self { what, resource, count: failures.len(), when, text })
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        rows
    }
}

#[cfg(test)]
mod tests;
