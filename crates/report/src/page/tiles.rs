//! The tiles: a large figure each, with others below it.

use crate::figures::{Figures, Percentiles};
use crate::format;

/// A figure, with notes below it.
pub struct Tile {
    pub label: &'static str,
    /// The figure's name in the page's `data-figure` attributes.
    pub name: &'static str,
    pub value: String,
    pub text: String,
    pub notes: Vec<Note>,
}

/// A note below a figure.
pub enum Note {
    /// Another figure, and the text before it.
    Figure { name: &'static str, before: &'static str, value: String, text: String },
    /// A text.
    Text(String),
}

/// Returns the tiles of one service.
pub fn of(figures: &Figures) -> Vec<Tile> {
    let load_balancers = format::counted(figures.load_balancers, "load balancer", "load balancers");
    vec![
        Tile {
            label: "Load balancer up",
            name: "hours-up",
            value: precise(figures.hours_up),
            text: format::hours(figures.hours_up),
            notes: vec![Note::Text(format!("{:.0}% of the time", figures.percent_up()))],
        },
        Tile {
            label: "Cost avoided",
            name: "cost-avoided",
            value: precise(figures.avoided()),
            text: format::dollars(figures.avoided()),
            notes: vec![Note::Figure {
                name: "always-on-cost",
                before: "always on:",
                value: precise(figures.always_on_cost),
                text: format::dollars(figures.always_on_cost),
            }],
        },
        Tile {
            label: "Cost",
            name: "cost",
            value: precise(figures.cost),
            text: format::dollars(figures.cost),
            notes: vec![Note::Text("estimated, see below".to_owned())],
        },
        percentiles(
            "Time to registered",
            ["time-to-registered-median", "time-to-registered-p95"],
            figures.time_to_registered,
        ),
        percentiles("Time to healthy", ["time-to-healthy-median", "time-to-healthy-p95"], figures.time_to_healthy),
        count("tasks", "Tasks", figures.tasks as u64, &format!("behind {load_balancers}")),
        count("teardowns", "Teardowns", figures.teardowns as u64, "deleted by the watcher"),
        count("findings", "Findings", figures.findings as u64, "open at some time"),
        count("failures", "Failures", figures.failures as u64, "failed calls, rejected messages"),
        count("aws-calls", "AWS calls", figures.aws_calls, "retries included"),
    ]
}

fn count(name: &'static str, label: &'static str, count: u64, note: &str) -> Tile {
    let notes = vec![Note::Text(note.to_owned())];
    Tile { label, name, value: count.to_string(), text: format::total(count), notes }
}

/// Returns the tile of the median, with the 95th percentile below it.
fn percentiles(label: &'static str, names: [&'static str; 2], percentiles: Option<Percentiles>) -> Tile {
    let [median, p95] = names;
    let Some(percentiles) = percentiles else {
        let notes = vec![Note::Text("no targets in the log".to_owned())];
        return Tile { label, name: median, value: String::new(), text: "–".to_owned(), notes };
    };
    Tile {
        label,
        name: median,
        value: percentiles.median.to_string(),
        text: format::milliseconds(percentiles.median),
        notes: vec![
            Note::Figure {
                name: p95,
                before: "median; p95:",
                value: percentiles.p95.to_string(),
                text: format::milliseconds(percentiles.p95),
            },
            Note::Text(format!("of {}", format::counted(percentiles.count, "target", "targets"))),
        ],
    }
}

/// Formats a figure for programs.
pub fn precise(value: f64) -> String {
    // Without the sign of a negative zero.
    format!("{:.6}", if value.abs() < 5e-7 { 0.0 } else { value })
}
