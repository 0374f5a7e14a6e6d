//! Deregistrations: only of targets whose task stops or has stopped, or that have no task for long enough.

use std::collections::HashMap;

use super::WINDOW;
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, range, shifted};
use crate::verdict::{Claim, Verdict};

/// The time for which a target must have had no task, in seconds (docs/how-it-works.md).
const UNMATCHED: f64 = 30.0;

/// The time between the beginning of an observation and its decision, in seconds, at most: an older one doesn't write.
const DECIDED_WITHIN: f64 = 10.0;

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let mut running: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for registration in service.of("target_registered").iter().filter(|entry| entry.has("reason", "task_running")) {
        if let Some(task) = registration.text("task_id") {
            running.entry(task).or_default().push(registration);
        }
    }
    for line in service.of("target_deregistered") {
        match line.text("reason") {
            Some("task_stopping") => judge_stopped(service, line, &running, verdict),
            Some("no_task") => judge_unmatched(service, line, verdict),
            reason => {
                let what = format!("a target was deregistered for the reason {}", reason.unwrap_or("none"));
                verdict.check(Claim::Deregistration).breach(&service.name, what, &[line]);
            }
        }
    }
}

/// A task that stops never runs again: a later registration as a running one shows that it didn't stop.
fn judge_stopped(service: &Service<'_>, line: &Entry, running: &HashMap<&str, Vec<&Entry>>, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Deregistration);
    let Some(task) = line.text("task_id") else {
        check.unknown("a line doesn't tell the task of a deregistered target", line);
        return;
    };
    let registrations = running.get(task).map(Vec::as_slice).unwrap_or_default();
    match range(registrations, shifted(line.seen_at, WINDOW), jiff::Timestamp::MAX).first() {
        Some(registered) => {
            let what = "the target of a task that still ran was deregistered".to_owned();
            check.breach(&service.name, what, &[line, registered]);
        }
        None => check.hold(),
    }
}

fn judge_unmatched(service: &Service<'_>, line: &Entry, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Deregistration);
    if line.observation.is_none() {
        check.unknown("a line doesn't name its observation", line);
        return;
    }
    let unmatched_for = line.time("unmatched_since").map(|since| seconds_between(since, line.seen_at) + DECIDED_WITHIN);
    if unmatched_for.is_some_and(|seconds| seconds >= UNMATCHED) {
        check.hold();
    } else {
        let what = "a target without a task was deregistered before two observations 30 s apart found none".to_owned();
        check.breach(&service.name, what, &[line]);
    }
}
