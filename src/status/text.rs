//! The status as text, at most 80 columns wide, with the verdict and the findings first.

use std::fmt::Write;

use super::{
    FindingStatus, LoadBalancerStatus, QueueStatus, ServiceStatus, Status, TargetGroupStatus, TargetStatus, TaskState,
    UsageStatus,
};
use crate::text::{Severity, Style, span, table};
use jvb_watcher_cost::{Item, dollars};

/// The indentation of the rows under a heading.
const INDENT: u16 = 2;

/// Formats the whole status.
pub fn text(status: &Status, style: Style) -> String {
    let mut text = String::new();
    let mut line = |part: String| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{part}");
    };
    line(headline(status, style));
    for finding in &status.findings {
        line(finding_text(finding));
    }
    if !status.remarks.is_empty() {
        line(table(INDENT, status.remarks.iter().map(|remark| [remark.clone()])));
    }
    line(String::new());
    line(table(0, facts(status)));
    if let Some(tasks) = tasks(status) {
        line(format!("\nTasks\n{tasks}"));
    }
    for group in &status.target_groups {
        line(format!("\n{}\n{}", group_heading(group), targets(group)));
    }
    line(format!("\nNext\n{}", table(INDENT, next(status).into_iter().map(|sentence| [sentence]))));
    if !status.unread.is_empty() {
        let unread = status.unread.iter().map(|what| [what.clone()]);
        line(format!("\n{}\n{}", style.marked(Severity::Warning, "Not read"), table(INDENT, unread)));
    }
    text
}

fn headline(status: &Status, style: Style) -> String {
    let (severity, words) = verdict(status);
    style.marked(severity, &words)
}

/// Returns the verdict, and how severe it is.
pub(super) fn verdict(status: &Status) -> (Severity, String) {
    let counted = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        count => Some(format!("{count} {noun}s")),
    };
    let parts = [counted(status.findings.len(), "finding"), counted(status.remarks.len(), "problem")];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let well = if status.unread.is_empty() { "Well" } else { "Well, as far as it could be read" };
    match (status.well, parts.as_str()) {
        (true, "") => (Severity::Ok, format!("{well}: no findings")),
        (true, parts) => (Severity::Ok, format!("{well}: {parts}, no action needed")),
        (false, parts) => (Severity::Warning, format!("Not well: {parts}")),
    }
}

pub(super) fn finding_text(FindingStatus { finding, subject, detail, advice }: &FindingStatus) -> String {
    let heading = table(INDENT, [[format!("{finding}: {subject}")]]);
    format!("{heading}\n{}", table(2 * INDENT, [[format!("{detail}.")], [(*advice).to_owned()]]))
}

fn facts(status: &Status) -> Vec<[String; 2]> {
    let mut facts = service_facts(status);
    let depth = |name: &str, queue| [name.to_owned(), depth_or(queue, &status.unread)];
    facts.push(depth("Queue", status.queue.as_ref()));
    facts.push(depth("Dead-letter queue", status.dead_letter_queue.as_ref()));
    facts
}

/// Returns the facts about the service and its load balancer. One without a name continues the one before it.
pub(super) fn service_facts(status: &Status) -> Vec<[String; 2]> {
    let fact = |name: &str, text: String| [name.to_owned(), text];
    let ServiceStatus { cluster, service, exists, desired, running, pending } = &status.service;
    let counts = match exists {
        true => format!("{desired} desired, {running} running, {pending} pending"),
        false => "doesn't exist".to_owned(),
    };
    let mut facts = vec![fact("Service", format!("{service} in {cluster}: {counts}"))];
    match &status.load_balancer {
        None => facts.push(fact("Load balancer", "none".to_owned())),
        Some(load_balancer) => {
            let LoadBalancerStatus { name, kind, state, age_seconds, tags, .. } = load_balancer;
            let kind = if kind == "network" { String::new() } else { format!(", of type {kind}") };
            facts.push(fact("Load balancer", format!("{name}: {state}{kind}, created {} ago", span(*age_seconds))));
            facts.extend(costs(load_balancer).map(|text| fact("", text)));
            facts.extend(tags.iter().map(|(key, value)| fact("", format!("{key}={value}"))));
        }
    }
    facts.extend(status.usage.iter().map(|of| fact("Usage", usage(of))));
    facts
}

/// Formats the depth of a queue, or that there is none, as far as that could be read.
pub(super) fn depth_or(queue: Option<&QueueStatus>, unread: &[String]) -> String {
    let absent = if unread.is_empty() { "none" } else { "unknown: see \"Not read\" below" };
    queue.map_or_else(|| absent.to_owned(), depth)
}

fn costs(load_balancer: &LoadBalancerStatus) -> impl Iterator<Item = String> {
    let LoadBalancerStatus { cost_usd, hourly_price_usd, paid_until, prices, cost_items, .. } = load_balancer;
    let by_item = !cost_items.is_empty();
    let has_traffic = cost_items.iter().any(|of| of.item == Item::Egress);
    let traffic = if by_item && !has_traffic { ", without traffic" } else { "" };
    let (cost, hourly) = (dollars(*cost_usd), dollars(*hourly_price_usd));
    let price = format!("{cost} since its creation, at {hourly} an hour{traffic}");
    let is_foreign = by_item && prices.region != prices.listed_region;
    let origin = is_foreign.then(|| prices.origin());
    [Some(price), Some(format!("its hour is paid until {paid_until:.0}")), origin].into_iter().flatten()
}

fn usage(usage: &UsageStatus) -> String {
    let UsageStatus { flows, minute, unused_since, unknown } = usage;
    let newest = flows.zip(*minute).map(|(flows, minute)| format!("{flows} flow(s) in the minute {minute:.0}"));
    let judgement = match (unknown, unused_since) {
        (Some(reason), _) => format!("unknown, which counts as in use: {reason}"),
        (None, Some(since)) => format!("unused since {since:.0}"),
        (None, None) => "in use".to_owned(),
    };
    newest.into_iter().chain([judgement]).collect::<Vec<_>>().join("; ")
}

fn depth(queue: &QueueStatus) -> String {
    let QueueStatus { name, waiting, in_flight, delayed, oldest_message_at_most_seconds } = queue;
    match oldest_message_at_most_seconds {
        None => format!("{name}: empty"),
        Some(at_most) => {
            let delayed = if *delayed > 0 { format!(", {delayed} delayed") } else { String::new() };
            let age = span(*at_most);
            format!("{name}: {waiting} waiting, {in_flight} in flight{delayed}; the oldest is at most {age} old")
        }
    }
}

/// Formats a row for each task. Stopped tasks are only counted.
fn tasks(status: &Status) -> Option<String> {
    let (rows, stopped) = task_rows(status);
    let mut parts = Vec::new();
    if !rows.is_empty() {
        parts.push(table(INDENT, rows));
    }
    parts.extend(stopped.map(|stopped| format!("  {stopped}")));
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// Returns a row for each task, with its id, version, state, age and address, and the number of stopped tasks, if any.
pub(super) fn task_rows(status: &Status) -> (Vec<[String; 5]>, Option<String>) {
    let (stopped, rest): (Vec<_>, Vec<_>) = status.tasks.iter().partition(|task| task.state == TaskState::Stopped);
    let mut rows = Vec::new();
    for task in &rest {
        let state = match task.state {
            TaskState::Serving => "serving",
            TaskState::Starting => "starting",
            TaskState::Stopping => "stopping",
            TaskState::Stopped => "stopped",
        };
        let version = task.version.map(|version| format!("v{version}")).unwrap_or_default();
        let age = task.age_seconds.map(span).unwrap_or_default();
        let mut addresses = task.addresses.iter().map(ToString::to_string);
        let first = addresses.next().unwrap_or_else(|| "no address".to_owned());
        rows.push([task.task_id.clone(), version, state.to_owned(), age, first]);
        // A second address gets a row of its own.
        rows.extend(addresses.map(|address| [String::new(), String::new(), String::new(), String::new(), address]));
    }
    (rows, (!stopped.is_empty()).then(|| format!("{} stopped within the last hour", stopped.len())))
}

pub(super) fn group_heading(group: &TargetGroupStatus) -> String {
    let port = group.port.map(|port| format!(", port {port}")).unwrap_or_default();
    let kind = if group.port.is_some() { String::new() } else { format!(", of type {}", group.target_type) };
    let left_over = if group.left_over { ", orphaned: its load balancer is deleted" } else { "" };
    format!("Target group {}{port}{kind}{left_over}", group.target_group)
}

fn targets(group: &TargetGroupStatus) -> String {
    if group.targets.is_empty() {
        return "  no targets".to_owned();
    }
    table(INDENT, target_rows(group))
}

/// Returns a row for each target, with its address, its state and what there is to say about it.
pub(super) fn target_rows(group: &TargetGroupStatus) -> Vec<[String; 3]> {
    let row = |target: &TargetStatus| {
        let of_task = if target.task_id.is_none() { "; no task of the service has this address" } else { "" };
        let reason = target.reason.as_deref().unwrap_or_default();
        let about = format!("{reason}{of_task}");
        let port = if Some(target.port) == group.port { String::new() } else { format!(" port {}", target.port) };
        [format!("{}{port}", target.ip), target.state.to_owned(), about.trim_start_matches("; ").to_owned()]
    };
    group.targets.iter().map(row).collect()
}

fn next(status: &Status) -> Vec<String> {
    let next = &status.next;
    let mut actions: Vec<_> = next.intents.iter().map(|intent| intent.text.clone()).collect();
    if actions.is_empty() {
        actions.push("no action now".to_owned());
    }
    actions.extend(expected(status));
    actions.push(format!("reconcile again within {}", span(next.look_again_in_seconds)));
    actions
}

/// Returns the actions that time alone would bring about.
pub(super) fn expected(status: &Status) -> Vec<String> {
    let next = &status.next;
    let is_use_known = status.usage.as_ref().is_some_and(|usage| usage.unknown.is_none());
    let mut actions = Vec::new();
    if let Some(due) = next.teardown_due_at {
        actions.push(format!("delete the load balancer at {due:.0} if it stays idle"));
    }
    if next.stop_announced && !is_use_known {
        actions.push("the announced stop waits until the use is known, for ten minutes at most".to_owned());
    } else if let Some(due) = next.stop_due_at {
        let announced = if next.stop_announced { " (announced)" } else { "" };
        actions.push(format!("scale the service to zero at {due:.0} if it is unused until then{announced}"));
    }
    actions
}
