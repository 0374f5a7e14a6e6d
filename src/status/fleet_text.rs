//! The status of several services as text, at most 80 columns wide: the verdict, the services that aren't well, and a line
//! about the others.

use std::fmt::Write;

use super::fleet::{Condition, FleetStatus, ServiceEntry, ServiceNames, State, UnreadCluster};
use super::text::{depth_or, finding_text};
use super::{FindingStatus, Status, seconds_between};
use crate::text::{Severity, Style, grouped, span, table};

/// The indentation of the rows under a heading.
const INDENT: u16 = 2;

/// The most services that aren't well that are listed.
const LISTED: usize = 20;

/// The widest cells of a service and of its cluster: with the state, they fill a line of 80 columns.
const SERVICE_WIDTH: usize = 38;
const CLUSTER_WIDTH: usize = 23;

/// The widest cells of a service that is well and of its cluster: its load balancer takes twenty columns more.
const WELL_SERVICE_WIDTH: usize = 22;
const WELL_CLUSTER_WIDTH: usize = 18;

/// The services that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those that aren't well, up to a number.
    NotWell,
    /// Every one.
    All,
}

/// Formats the status of several services.
pub fn fleet_text(status: &FleetStatus, extent: Extent, style: Style) -> String {
    let mut text = String::new();
    let mut line = |part: String| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{part}");
    };
    line(headline(status, style));
    for finding in &status.findings {
        line(finding_text(finding));
    }
    let clusters = status.unread_clusters.iter();
    let clusters = clusters.map(|UnreadCluster { cluster, error }| format!("cluster {cluster}: {error}"));
    let problems: Vec<_> = clusters.chain(status.remarks.iter().cloned()).collect();
    if !problems.is_empty() {
        line(table(INDENT, problems.into_iter().map(|problem| [problem])));
    }
    let (well, mut troubled): (Vec<_>, Vec<_>) = status.services.iter().partition(|service| service.is_well());
    // What isn't well is known; what could not be observed may be well.
    troubled.sort_by_key(|service| service.has_failed());
    let listed = if extent == Extent::All { troubled.len() } else { troubled.len().min(LISTED) };
    if listed > 0 {
        line(format!("\n{}", troubled_table(&troubled[..listed])));
    }
    if listed < troubled.len() {
        let more = format!("{} more are not well; --all lists every service", grouped(troubled.len() - listed));
        line(table(INDENT, [[more]]));
    }
    if extent == Extent::All && !well.is_empty() {
        line(format!("\n{}", table(INDENT, well_rows(&well))));
    }
    if let Some(others) = others(&well, troubled.is_empty()) {
        line(format!("\n{}", table(0, [[others]])));
    }
    let depth = |name: &str, queue| [name.to_owned(), depth_or(queue, &status.unread)];
    let queues = [depth("Queue", status.queue.as_ref()), depth("Dead-letter queue", status.dead_letter_queue.as_ref())];
    line(format!("\n{}", table(0, queues)));
    if !status.unread.is_empty() {
        let unread = status.unread.iter().map(|what| [what.clone()]);
        line(format!("\n{}\n{}", style.marked(Severity::Warning, "Not read"), table(INDENT, unread)));
    }
    text
}

/// Formats the verdict: one line.
fn headline(status: &FleetStatus, style: Style) -> String {
    let (severity, words) = verdict(status);
    style.marked(severity, &words)
}

/// Returns the verdict, and how severe it is.
pub(super) fn verdict(status: &FleetStatus) -> (Severity, String) {
    let summary = &status.summary;
    let services = |count: usize| if count == 1 { "service" } else { "services" };
    if status.well {
        let unread = if status.unread.is_empty() { "" } else { ", as far as it could be read" };
        let all = format!("Well{unread}: {} {}", grouped(summary.services), services(summary.services));
        return (Severity::Ok, all);
    }
    let mut parts = Vec::new();
    if summary.services == 0 && status.unread_clusters.is_empty() {
        parts.push("No service has the tag jvb-watcher:load-balancer".to_owned());
    }
    if summary.not_well > 0 {
        let verb = if summary.not_well == 1 { "is" } else { "are" };
        let (count, all) = (grouped(summary.not_well), grouped(summary.services));
        parts.push(format!("{count} of {all} {} {verb} not well", services(summary.services)));
    }
    if summary.failed > 0 {
        let of_all = match summary.not_well {
            0 => format!(" of {} {}", grouped(summary.services), services(summary.services)),
            _ => String::new(),
        };
        parts.push(format!("{}{of_all} could not be observed", grouped(summary.failed)));
    }
    match status.unread_clusters.len() {
        0 => {}
        1 => parts.push("1 cluster could not be read".to_owned()),
        count => parts.push(format!("{count} clusters could not be read")),
    }
    match status.findings.len() + status.remarks.len() {
        0 => {}
        1 => parts.push("1 problem of the queue".to_owned()),
        count => parts.push(format!("{count} problems of the queue")),
    }
    (Severity::Warning, parts.join("; "))
}

/// Formats a row for each service, with the reason below it and the next action.
fn troubled_table(services: &[&ServiceEntry]) -> String {
    let mut lines = Vec::new();
    let mut rows = rows(services).into_iter();
    // The header.
    lines.extend(rows.next());
    for (row, service) in rows.zip(services) {
        lines.push(row);
        let details = details(service).into_iter().map(|(name, text)| [name.to_owned(), text]);
        lines.push(table(2 * INDENT, details));
    }
    lines.join("\n")
}

/// Formats a header and a line for each service.
fn rows(services: &[&ServiceEntry]) -> Vec<String> {
    let header = ["SERVICE", "CLUSTER", "STATE"].map(str::to_owned);
    let row = |entry: &&ServiceEntry| {
        let ServiceNames { service, cluster, .. } = &entry.names;
        [shortened(service, SERVICE_WIDTH), shortened(cluster, CLUSTER_WIDTH), entry.state.as_str().to_owned()]
    };
    let rows = [header].into_iter().chain(services.iter().map(row));
    table(INDENT, rows).lines().map(str::to_owned).collect()
}

/// Returns a header and a row for each service that is well, with its load balancer and the use of it.
fn well_rows(services: &[&ServiceEntry]) -> Vec<[String; 4]> {
    let header = ["SERVICE", "CLUSTER", "STATE", "LOAD BALANCER"].map(str::to_owned);
    let row = |entry: &&ServiceEntry| {
        let ServiceNames { service, cluster, .. } = &entry.names;
        let load_balancer = match &entry.condition {
            Condition::Observed(status) => load_balancer(status),
            Condition::Failed { .. } | Condition::NotWatched { .. } => String::new(),
        };
        let (service, cluster) = (shortened(service, WELL_SERVICE_WIDTH), shortened(cluster, WELL_CLUSTER_WIDTH));
        [service, cluster, entry.state.as_str().to_owned(), load_balancer]
    };
    [header].into_iter().chain(services.iter().map(row)).collect()
}

/// Describes a load balancer in a few words: its state, and its use or the stop that is announced.
pub(super) fn load_balancer(status: &Status) -> String {
    let Some(load_balancer) = &status.load_balancer else { return "none".to_owned() };
    let stop = status.next.stop_due_at.filter(|_| status.next.stop_announced);
    let about_use = match (&status.usage, stop) {
        (_, Some(at)) => format!(", stop {}", at.strftime("%H:%MZ")),
        (None, None) => String::new(),
        (Some(usage), None) => match (&usage.unknown, usage.unused_since, usage.flows) {
            (Some(_), ..) => ", use unknown".to_owned(),
            (None, Some(since), _) => format!(", unused {}", span(seconds_between(since, status.at))),
            (None, None, Some(flows)) => format!(", {flows} flow(s)"),
            (None, None, None) => String::new(),
        },
    };
    format!("{}{about_use}", load_balancer.state)
}

/// Shortens a name to a number of columns.
fn shortened(name: &str, columns: usize) -> String {
    if name.chars().count() <= columns {
        return name.to_owned();
    }
    name.chars().take(columns - 1).chain(['…']).collect()
}

/// Returns why a service isn't well, and the next action.
fn details(service: &ServiceEntry) -> Vec<(&'static str, String)> {
    match &service.condition {
        Condition::Observed(status) => why_and_next(&reasons(status), status),
        Condition::Failed { error, .. } => vec![("why:", error.clone())],
        Condition::NotWatched { findings, .. } => {
            let reasons: Vec<_> = findings.iter().map(reason).collect();
            let next = findings.first().map(|finding| ("next:", finding.advice.to_owned()));
            why(&reasons).into_iter().chain(next).collect()
        }
    }
}

/// Returns why a service isn't well.
pub(super) fn reasons(status: &Status) -> Vec<String> {
    let findings = status.findings.iter().filter(|finding| !finding.finding.is_informational());
    findings.map(reason).chain(status.remarks.iter().cloned()).collect()
}

fn reason(FindingStatus { finding, subject, detail, .. }: &FindingStatus) -> String {
    format!("{finding}: {subject}: {detail}")
}

fn why(reasons: &[String]) -> Option<(&'static str, String)> {
    let first = reasons.first()?;
    let more = match reasons.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Some(("why:", format!("{first}{more}")))
}

fn why_and_next(reasons: &[String], status: &Status) -> Vec<(&'static str, String)> {
    let advice = status.findings.iter().find(|finding| !finding.finding.is_informational());
    let next = match (advice, status.next.intents.first()) {
        (Some(finding), _) => Some(finding.advice.to_owned()),
        (None, Some(intent)) => Some(format!("the watcher would {}", intent.text)),
        (None, None) => None,
    };
    why(reasons).into_iter().chain(next.map(|next| ("next:", next))).collect()
}

/// Sums up the services that are well, in one sentence.
pub(super) fn others(well: &[&ServiceEntry], are_all: bool) -> Option<String> {
    const PHRASES: [(State, &str); 6] = [
        (State::AtRest, "idle without a load balancer"),
        (State::Serving, "serving"),
        (State::Starting, "starting"),
        (State::Stopping, "stopping"),
        (State::Idle, "idle with a load balancer"),
        (State::Held, "held"),
    ];
    if well.is_empty() {
        return None;
    }
    let parts = PHRASES.into_iter().filter_map(|(state, phrase)| {
        let count = well.iter().filter(|service| service.state == state).count();
        (count > 0).then(|| format!("{} {phrase}", grouped(count)))
    });
    let parts = parts.collect::<Vec<_>>().join(", ");
    Some(if are_all { parts } else { format!("{} well: {parts}", grouped(well.len())) })
}
