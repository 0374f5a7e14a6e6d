//! The page's content as text. The template, `page.html`, escapes all of it: a log contains text from outside.

use askama::Template;
use jvb_watcher_cost::Model;

use crate::axis::Axis;
use crate::chart::{self, Chart, Tick};
use crate::days::{self, Day};
use crate::figures::Figures;
use crate::format;
use crate::history::{Entry, History};
use crate::line::ServiceName;
use crate::logs::Logs;
use legend::Legend;
use rows::{EntryRow, FailureRow, FindingRow, SavingRow, ServiceRow};
use sources::Sources;
use tiles::{Note, Tile};

mod costs;
mod headline;
mod legend;
mod rows;
mod sources;
mod tiles;

/// The number of services up to which each has a section: the page of a thousand would be too large to open.
const MAX_SECTIONS: usize = 5;

/// The number of events that a day's list contains.
const MAX_ENTRIES: usize = 500;

/// The number of kinds of failures that are listed, the most frequent first.
const MAX_FAILURES: usize = 50;

/// The number of findings that are listed, the latest first.
const MAX_FINDINGS: usize = 100;

/// The reason why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The logs contain no line of the watcher.
    #[error(
        "no line of the watcher among the {lines} line(s) read; pass its JSON log: the standard output of `run \
         --log-format json`, or the lines of its CloudWatch log group"
    )]
    NoLines {
        /// The number of lines read.
        lines: u64,
    },
    /// The template failed.
    #[error("rendering the page failed: {0}")]
    Template(#[from] askama::Error),
}

/// Renders the page of these logs, with the costs by the model of each service's region, if the log names it.
///
/// # Errors
///
/// Returns an error if the logs contain no line of the watcher.
pub fn render_page(logs: Logs, model: impl Fn(Option<&str>) -> Model) -> Result<String, RenderError> {
    let (services, counts, truncations) = logs.into_sorted();
    let histories = services.into_iter().filter_map(|(service, lines)| Some((service, History::of(&lines)?)));
    let (mut of_process, mut histories): (Vec<_>, Vec<_>) =
        histories.partition(|(service, _): &(ServiceName, History)| service.is_of_process());
    if histories.is_empty() {
        // What a process has written that watched no service.
        std::mem::swap(&mut of_process, &mut histories);
    }
    if histories.is_empty() {
        return Err(RenderError::NoLines { lines: counts.total });
    }
    let region_of_process = of_process.iter().find_map(|(_, history)| history.region.as_deref());
    let models: Vec<Model> =
        histories.iter().map(|(_, history)| model(history.region.as_deref().or(region_of_process))).collect();
    let figures = histories.iter().zip(&models).map(|((_, history), model)| Figures::of(history, model));
    let figures: Vec<Figures> = figures.collect();
    let all = histories.iter().chain(&of_process);
    let repeated_reports = all.map(|(_, history)| history.repeated_reports).sum();
    let has_sections = histories.len() <= MAX_SECTIONS;
    let sections = histories.iter().zip(&figures).filter(|_| has_sections);
    let failures: Vec<_> = of_process.iter().flat_map(|(_, history)| history.failures.iter().cloned()).collect();
    let failures = FailureRow::of(&failures);
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        headline: headline::of(&figures),
        services: if histories.len() > 1 { ServiceRow::of(&histories, &figures, has_sections) } else { Vec::new() },
        has_sections,
        failures_omitted: failures.len().saturating_sub(MAX_FAILURES),
        failures: failures.into_iter().take(MAX_FAILURES).collect(),
        sections: sections.map(|((service, history), figures)| Section::of(service, history, figures)).collect(),
        has_use: has_sections && figures.iter().any(|figures| !figures.savings.is_empty()),
        costs: costs::of(&models),
        sources: Sources::of(&counts, &truncations, repeated_reports),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    version: &'static str,
    headline: String,
    /// The table of the services; empty for one.
    services: Vec<ServiceRow>,
    /// True if each service has a section.
    has_sections: bool,
    /// The failures of a process that watches several services.
    failures: Vec<FailureRow>,
    failures_omitted: usize,
    sections: Vec<Section>,
    /// True if a log contains the use of a load balancer.
    has_use: bool,
    /// How the costs are estimated, in a paragraph for each set of prices.
    costs: Vec<String>,
    sources: Sources,
}

/// The section of one service.
struct Section {
    service: ServiceName,
    from: String,
    to: String,
    length: String,
    tiles: Vec<Tile>,
    legend: Legend,
    ticks: Vec<Tick>,
    days: Vec<DayView>,
    days_omitted: usize,
    hours_known: Hours,
    hours_unused: Hours,
    savings: Vec<SavingRow>,
    /// The stops of the unused service that the log shows.
    stops_made: usize,
    findings: Vec<FindingRow>,
    findings_omitted: usize,
    failures: Vec<FailureRow>,
    failures_omitted: usize,
}

/// A time in hours, for programs and as text.
struct Hours {
    value: String,
    text: String,
}

impl Hours {
    fn of(hours: f64) -> Self {
        Self { value: tiles::precise(hours), text: format::hours(hours) }
    }
}

/// A day of the timeline.
struct DayView {
    date: String,
    weekday: String,
    summary: String,
    chart: Chart,
    entries_count: String,
    entries: Vec<EntryRow>,
    entries_omitted: usize,
}

impl Section {
    fn of(service: &ServiceName, history: &History, figures: &Figures) -> Self {
        let (days, days_omitted) = days::days(history);
        let axis = Axis::shared_by(&days);
        let days: Vec<DayView> = days.iter().map(|day| DayView::of(history, day, axis)).collect();
        let findings: Vec<FindingRow> = history.findings.iter().rev().map(FindingRow::of).collect();
        let failures = FailureRow::of(&history.failures);
        Self {
            service: service.clone(),
            from: format::minute(history.period.from()),
            to: format::minute(history.period.to()),
            length: format::duration(history.period.seconds()),
            tiles: tiles::of(figures),
            legend: Legend::of(days.iter().map(|day| &day.chart)),
            ticks: chart::ticks(axis),
            days,
            days_omitted,
            hours_known: Hours::of(figures.hours_known),
            hours_unused: Hours::of(figures.hours_unused),
            savings: figures.savings.iter().map(SavingRow::of).collect(),
            stops_made: history.usage.stops.len(),
            findings_omitted: findings.len().saturating_sub(MAX_FINDINGS),
            findings: findings.into_iter().take(MAX_FINDINGS).collect(),
            failures_omitted: failures.len().saturating_sub(MAX_FAILURES),
            failures: failures.into_iter().take(MAX_FAILURES).collect(),
        }
    }
}

impl DayView {
    fn of(history: &History, day: &Day, axis: Axis) -> Self {
        let entries: Vec<&Entry> = history.entries.iter().filter(|entry| day.period.contains(entry.at)).collect();
        let failures = history.failures.iter().filter(|failure| day.period.contains(failure.at)).count();
        let tasks = history.tasks.iter().filter(|task| task.lifetime.period.within(day.period).is_some()).count();
        let up = history.load_balancers.iter().filter_map(|it| it.lifetime.period.within(day.period));
        let mut summary = vec![
            format!("load balancer up {}", format::duration(up.map(|period| period.seconds()).sum())),
            format::counted(tasks, "task", "tasks"),
        ];
        if failures > 0 {
            summary.push(format::counted(failures, "failure", "failures"));
        }
        Self {
            date: day.date.to_string(),
            weekday: day.date.strftime("%A").to_string(),
            summary: summary.join(" · "),
            chart: Chart::of(history, day, axis),
            entries_count: format::counted(entries.len(), "event", "events"),
            entries_omitted: entries.len().saturating_sub(MAX_ENTRIES),
            entries: entries.into_iter().take(MAX_ENTRIES).map(EntryRow::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
