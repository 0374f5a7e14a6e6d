//! The chart of a day: the places of its bars and marks. The page draws them as SVG.
//!
//! Places along the time axis are in percent of the width and everything else is in pixels: the chart fits a phone and a
//! sheet of paper, and its text stays as large as the text around it.

use jiff::Timestamp;

use crate::axis::Axis;
use crate::days::Day;
use crate::format;
use crate::history::History;
use crate::period::{Edge, Lifetime, Period};

mod lanes;
mod usage;

/// The height of a lane in pixels: a line of text and the bar below it.
const LANE_HEIGHT: u32 = 40;

/// The width in percent of the narrowest bar that can be seen and pointed at.
const MIN_BAR_WIDTH: f64 = 0.4;

/// The height of a bar in pixels.
const BAR_HEIGHT: u32 = 14;

/// The chart of a day.
#[derive(Debug)]
pub struct Chart {
    /// The height in pixels.
    pub height: u32,
    /// The lanes, from top to bottom.
    pub lanes: Vec<Lane>,
    /// A description for readers who don't see the chart.
    pub description: String,
}

/// A label of the time axis.
#[derive(Debug)]
pub struct Tick {
    /// The place in percent.
    pub x: String,
    /// The time.
    pub label: String,
    /// The value of SVG's `text-anchor`.
    pub anchor: &'static str,
}

/// A row of the chart.
#[derive(Debug)]
pub struct Lane {
    /// The baseline of the text in pixels.
    pub label_y: u32,
    /// The top of the bars in pixels.
    pub bar_y: u32,
    /// The name of what the lane shows.
    pub label: String,
    /// More about it.
    pub detail: String,
    /// The periods.
    pub bars: Vec<Bar>,
    /// The instants.
    pub marks: Vec<Mark>,
    /// The pieces of the line that the lane draws instead of bars.
    pub strokes: Vec<Stroke>,
}

/// A horizontal or vertical piece of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Stroke {
    /// The places of its ends in percent.
    pub x: [String; 2],
    /// Their distances in pixels from the top of the lane's bars.
    pub y: [u32; 2],
    /// The text of its tooltip; empty for a piece that joins two others.
    pub title: String,
}

/// A period on a lane.
#[derive(Debug)]
pub struct Bar {
    /// The place of its start in percent.
    pub x: String,
    /// Its length in percent.
    pub width: String,
    /// Its meaning.
    pub kind: BarKind,
    /// The text of its tooltip.
    pub title: String,
}

/// An instant on a lane.
#[derive(Debug)]
pub struct Mark {
    /// The place in percent.
    pub x: String,
    /// Its meaning.
    pub kind: MarkKind,
    /// The text of its tooltip.
    pub title: String,
}

/// The meanings of a bar, in the order of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarKind {
    /// The load balancer was up.
    Up,
    /// The load balancer had the idle mark.
    Idle,
    /// The task ran without a registered target.
    Starting,
    /// The targets were registered, and not all healthy.
    Registered,
    /// All targets were healthy.
    Healthy,
    /// A target was unhealthy.
    Unhealthy,
    /// A finding was open.
    Finding,
}

/// The meanings of a mark, in the order of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// The task's first target was registered.
    Registered,
    /// All targets of the task were healthy for the first time.
    Healthy,
    /// The task's last target was deregistered.
    Deregistered,
    /// The service was scaled to zero because it was unused.
    Stopped,
    /// The load balancer was deleted.
    Deleted,
    /// One or more calls failed.
    Failure,
    /// The start lies before the chart.
    StartsEarlier,
    /// The end lies after the chart.
    Continues,
}

impl Chart {
    /// Draws a day on the axis.
    pub fn of(history: &History, day: &Day, axis: Axis) -> Self {
        let canvas = Canvas { day, axis };
        let mut lanes = Vec::new();
        lanes.extend(canvas.load_balancers(&history.load_balancers, &history.usage.stops));
        lanes.extend(canvas.usage(&history.usage));
        lanes.extend(history.tasks.iter().filter_map(|task| canvas.task(task)));
        lanes.extend(canvas.findings(&history.findings));
        lanes.extend(canvas.failures(&history.failures));
        let mut y = 0;
        for lane in &mut lanes {
            (lane.label_y, lane.bar_y) = (y + 14, y + 20);
            y += LANE_HEIGHT;
        }
        let labels: Vec<String> = lanes.iter().map(|lane| format!("{} ({})", lane.label, lane.detail)).collect();
        let shown = axis.period_on(day);
        let description = format!(
            "Timeline of {}, from {} to {} UTC: {}.",
            day.date,
            format::time(shown.from()),
            format::time(shown.to()),
            if labels.is_empty() { "listed events only".to_owned() } else { labels.join("; ") }
        );
        Self { height: y + 4, lanes, description }
    }
}

/// Returns the labels of the axis. The outer ones stay within its ends.
pub fn ticks(axis: Axis) -> Vec<Tick> {
    let labels = axis.labels();
    let last = labels.len().saturating_sub(1);
    let anchor = |index| match index {
        0 => "start",
        index if index == last => "end",
        _ => "middle",
    };
    let ticks = labels.into_iter().enumerate();
    ticks.map(|(index, (x, label))| Tick { x: percent(x), label, anchor: anchor(index) }).collect()
}

/// Converts times of one day to places on its chart.
struct Canvas<'a> {
    day: &'a Day,
    axis: Axis,
}

impl Canvas<'_> {
    fn shown(&self) -> Period {
        self.axis.period_on(self.day)
    }

    fn bar(&self, period: Period, kind: BarKind, title: String) -> Bar {
        let [from, to] = [period.from(), period.to()].map(|at| self.axis.percent(self.day, at));
        let width = (to - from).max(MIN_BAR_WIDTH);
        Bar { x: percent(from.min(100.0 - width)), width: percent(width), kind, title }
    }

    fn mark(&self, at: Timestamp, kind: MarkKind, title: String) -> Mark {
        Mark { x: percent(self.axis.percent(self.day, at)), kind, title }
    }

    /// Returns the marks of the ends that the chart doesn't show.
    fn open_ends(&self, visible: Lifetime) -> impl Iterator<Item = Mark> {
        let Lifetime { period, start, end } = visible;
        let start = (start == Edge::Outside).then(|| {
            let title = format!("started before {}", format::time(period.from()));
            self.mark(period.from(), MarkKind::StartsEarlier, title)
        });
        let end = (end == Edge::Outside).then(|| {
            let title = format!("continues after {}, or its end isn't in the log", format::time(period.to()));
            self.mark(period.to(), MarkKind::Continues, title)
        });
        start.into_iter().chain(end)
    }
}

fn percent(percent: f64) -> String {
    format!("{percent:.2}%")
}

impl Lane {
    fn new(label: &str) -> Self {
        Self {
            label_y: 0,
            bar_y: 0,
            label: label.to_owned(),
            detail: String::new(),
            bars: Vec::new(),
            marks: Vec::new(),
            strokes: Vec::new(),
        }
    }
}

impl BarKind {
    /// Returns the CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Registered => "registered",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Finding => "finding",
        }
    }

    /// Returns the height in pixels. An idle mark lies over the load balancer's bar, and a task that isn't registered
    /// receives no traffic: both are thin.
    pub fn height(self) -> u32 {
        match self {
            Self::Starting | Self::Idle => 4,
            _ => BAR_HEIGHT,
        }
    }

    /// Returns the distance in pixels from the top of the lane's bars.
    pub fn inset(self) -> u32 {
        (BAR_HEIGHT - self.height()) / 2
    }

    /// Returns whether the bar is hatched, which distinguishes it from others without its colour.
    pub fn is_hatched(self) -> bool {
        self == Self::Unhealthy
    }
}

impl MarkKind {
    /// Returns the CSS class, which is also part of the ID of the symbol.
    pub fn class(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Healthy => "healthy",
            Self::Deregistered => "deregistered",
            Self::Stopped => "stopped",
            Self::Deleted => "deleted",
            Self::Failure => "failure",
            Self::StartsEarlier => "starts-earlier",
            Self::Continues => "continues",
        }
    }
}

#[cfg(test)]
mod tests;
