//! A day's picture: where its bars and marks are. The page draws them as SVG.
//!
//! What lies along the time is in percent of the width, and everything else in pixels: so a picture fits a phone and a
//! sheet of paper alike, and its writing stays as large as that around it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::days::{Axis, Day};
use super::history::{BalancerLife, Failure, FindingLife, History, TargetState, TaskLife};
use super::period::{Edge, Life, Period};
use super::words;

/// What the axis with its labels takes, above and below the lanes, in pixels.
const AXIS_HEIGHT: u32 = 24;

/// A lane: a line of writing, and the bar below it, in pixels.
const LANE_HEIGHT: u32 = 40;

/// The narrowest bar that can be seen and pointed at, in percent.
const NARROWEST: f64 = 0.4;

/// Failures closer to each other than this, in percent, are one mark.
const ONE_MARK: f64 = 0.8;

/// A day's picture.
#[derive(Debug)]
pub struct Chart {
    /// Its height in pixels.
    pub height: u32,
    /// Where the lines of the axis end, in pixels.
    pub axis_bottom: u32,
    /// The labels of the axis.
    pub ticks: Vec<Tick>,
    /// The lanes, from above.
    pub lanes: Vec<Lane>,
    /// What is to be seen, in a sentence, for those who don't see it.
    pub description: String,
}

/// A label of the axis.
#[derive(Debug)]
pub struct Tick {
    /// Where it is, in percent.
    pub x: String,
    /// The time.
    pub label: String,
    /// How SVG is to put it there: `start`, `middle` or `end`.
    pub anchor: &'static str,
}

/// Something that has a row of its own.
#[derive(Debug)]
pub struct Lane {
    /// Where its writing stands, in pixels.
    pub label_y: u32,
    /// Where its bar is, in pixels.
    pub bar_y: u32,
    /// What it is of.
    pub label: String,
    /// More of it, less loudly.
    pub detail: String,
    /// Stretches of time.
    pub bars: Vec<Bar>,
    /// Instants.
    pub marks: Vec<Mark>,
}

/// A stretch of time.
#[derive(Debug)]
pub struct Bar {
    /// Where it begins, in percent.
    pub x: String,
    /// How long it is, in percent.
    pub width: String,
    /// What it means: the name of its style.
    pub kind: &'static str,
    /// What it says when it is pointed at.
    pub title: String,
}

/// An instant.
#[derive(Debug)]
pub struct Mark {
    /// Where it is, in percent.
    pub x: String,
    /// What it means: the name of its sign.
    pub kind: &'static str,
    /// What it says when it is pointed at.
    pub title: String,
}

impl Chart {
    /// The picture of this day.
    pub fn of(history: &History, day: &Day) -> Self {
        let drawing = Drawing { axis: day.axis };
        let mut lanes = Vec::new();
        lanes.extend(drawing.balancers(&history.balancers));
        lanes.extend(history.tasks.iter().filter_map(|task| drawing.task(task)));
        lanes.extend(drawing.findings(&history.findings));
        lanes.extend(drawing.failures(&history.failures, day.period));
        let mut y = AXIS_HEIGHT;
        for lane in &mut lanes {
            (lane.label_y, lane.bar_y) = (y + 14, y + 20);
            y += LANE_HEIGHT;
        }
        let labels: Vec<String> = lanes.iter().map(|lane| format!("{} ({})", lane.label, lane.detail)).collect();
        let shown = day.axis.period();
        let description = format!(
            "Timeline of {}, from {} to {} UTC: {}.",
            day.date,
            words::time(shown.from()),
            words::time(shown.to()),
            if labels.is_empty() { "nothing but events".to_owned() } else { labels.join("; ") }
        );
        Self { height: y + 6, axis_bottom: y, ticks: ticks(day.axis), lanes, description }
    }
}

fn ticks(axis: Axis) -> Vec<Tick> {
    let labels = axis.labels();
    let last = labels.len().saturating_sub(1);
    let anchor = |index| match index {
        0 => "start",
        index if index == last => "end",
        _ => "middle",
    };
    labels
        .into_iter()
        .enumerate()
        .map(|(index, (x, label))| Tick { x: percent(x), label, anchor: anchor(index) })
        .collect()
}

/// What is on this axis.
struct Drawing {
    axis: Axis,
}

impl Drawing {
    fn balancers(&self, balancers: &[BalancerLife]) -> Option<Lane> {
        let mut lane = Lane::new("Load balancer");
        let mut seconds = 0.0;
        for BalancerLife { life, idle } in balancers {
            let Some(seen) = life.within(self.axis.period()) else { continue };
            seconds += seen.period.seconds();
            lane.bars.push(self.bar(seen.period, "up", format!("load balancer up: {}", words::life(*life))));
            for idle in idle.iter().filter_map(|idle| idle.within(self.axis.period())) {
                lane.bars.push(self.bar(idle, "idle", format!("marked idle: {}", words::period(idle))));
            }
            lane.open_ends(self, seen);
            if seen.ended == Edge::Seen {
                lane.marks.push(self.mark(seen.period.to(), "deleted", "load balancer gone"));
            }
        }
        lane.detail = format!("up {}", words::seconds(seconds));
        (!lane.bars.is_empty()).then_some(lane)
    }

    fn task(&self, task: &TaskLife) -> Option<Lane> {
        let shown = self.axis.period();
        let seen = task.life.within(shown)?;
        let mut lane = Lane::new(&format!("Task {}", words::short(&task.name)));
        if task.addresses.contains(&task.name) {
            lane.label = format!("Target {}", task.name);
        }
        lane.detail = task.addresses.iter().cloned().collect::<Vec<_>>().join(", ");
        for (period, state) in &task.states {
            let Some(visible) = period.within(shown) else { continue };
            let kind = match state {
                TargetState::Starting => "starting",
                TargetState::Registered => "registered",
                TargetState::Healthy => "healthy",
                TargetState::Unhealthy => "unhealthy",
            };
            let title = format!("{} {}: {}", task.name, state.words(), words::period(*period));
            lane.bars.push(self.bar(visible, kind, title));
        }
        lane.open_ends(self, seen);
        let marks = |instants: &[Timestamp], kind, text: &str| -> Vec<Mark> {
            let visible = instants.iter().filter(|at| shown.from() <= **at && **at <= shown.to());
            visible.map(|at| self.mark(*at, kind, text)).collect()
        };
        lane.marks.extend(marks(&task.registered, "in", "registered"));
        let healthy = task.states.iter().find(|(_, state)| *state == TargetState::Healthy);
        let since_healthy: Vec<Timestamp> = healthy.map(|(period, _)| period.from()).into_iter().collect();
        lane.marks.extend(marks(&since_healthy, "well", "healthy"));
        lane.marks.extend(marks(&task.deregistered, "out", "deregistered"));
        Some(lane)
    }

    /// One lane for each kind of finding.
    fn findings(&self, findings: &[FindingLife]) -> Vec<Lane> {
        let mut lanes: BTreeMap<&str, Lane> = BTreeMap::new();
        for finding in findings {
            let Some(seen) = finding.life.within(self.axis.period()) else { continue };
            let lane = lanes.entry(&finding.name).or_insert_with(|| Lane::new("Finding"));
            lane.detail = words::spaced(&finding.name);
            let title = format!("{} on {}: {}", lane.detail, finding.subject, words::life(finding.life));
            lane.bars.push(self.bar(seen.period, "finding", title));
            lane.open_ends(self, seen);
        }
        lanes.into_values().collect()
    }

    fn failures(&self, failures: &[Failure], day: Period) -> Option<Lane> {
        let mut lane = Lane::new("Failures");
        let mut count = 0;
        let mut groups: Vec<(f64, Vec<&Failure>)> = Vec::new();
        for failure in failures.iter().filter(|failure| day.contains(failure.at)) {
            count += 1;
            let x = self.axis.percent(failure.at);
            match groups.last_mut() {
                Some((begin, group)) if x - *begin < ONE_MARK => group.push(failure),
                _ => groups.push((x, vec![failure])),
            }
        }
        for (_, group) in groups {
            let [first, ..] = group[..] else { continue };
            let others = match group.len() {
                1 => String::new(),
                all => format!(", and {} more", all - 1),
            };
            lane.marks.push(self.mark(first.at, "failure", &format!("{}{others}", first.what)));
        }
        lane.detail = count.to_string();
        (count > 0).then_some(lane)
    }

    fn bar(&self, period: Period, kind: &'static str, title: String) -> Bar {
        let (from, to) = (self.axis.percent(period.from()), self.axis.percent(period.to()));
        let width = (to - from).max(NARROWEST);
        Bar { x: percent(from.min(100.0 - width)), width: percent(width), kind, title }
    }

    fn mark(&self, at: Timestamp, kind: &'static str, text: &str) -> Mark {
        Mark { x: percent(self.axis.percent(at)), kind, title: format!("{text} at {}", words::time(at)) }
    }
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
        }
    }

    /// Marks the ends that the day, or the log, doesn't show.
    fn open_ends(&mut self, drawing: &Drawing, seen: Life) {
        if seen.began == Edge::Unseen {
            self.marks.push(drawing.mark(seen.period.from(), "open-left", "began before"));
        }
        if seen.ended == Edge::Unseen {
            self.marks.push(drawing.mark(seen.period.to(), "open-right", "goes on, or its end isn't in the log"));
        }
    }
}

fn percent(percent: f64) -> String {
    format!("{percent:.2}%")
}

impl Bar {
    /// How high it is, in pixels: what doesn't serve is thin, and an idle mark lies over its balancer's bar.
    pub fn height(&self) -> u32 {
        match self.kind {
            "starting" | "idle" => 4,
            _ => 14,
        }
    }

    /// How far below the lane's bar it begins, in pixels.
    pub fn inset(&self) -> u32 {
        (14 - self.height()) / 2
    }
}
