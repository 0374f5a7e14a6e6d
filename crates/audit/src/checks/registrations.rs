//! Registrations: within the bound of the task's start, and none beside a task that serves.

use std::collections::HashMap;

use super::{MACHINE_CLOCK, REGISTRATION_ALLOWANCE, WINDOW};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, range, shifted};
use crate::verdict::{Claim, Verdict};

/// The findings with which tasks can't be registered.
const HINDERING: [&str; 9] = [
    "service_missing",
    "load_balancer_missing",
    "load_balancer_failed",
    "load_balancer_not_network",
    "load_balancer_shared",
    "target_group_missing",
    "target_group_unsupported",
    "target_group_full",
    "task_without_address",
];

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let registrations = service.of("target_registered");
    if registrations.is_empty() {
        return;
    }
    let tell_starts = registrations.iter().any(|line| line.seconds("since_start_ms").is_some());
    let mut index = Index { tell_starts, of_target: HashMap::new() };
    for entry in &service.entries {
        index.of_target.entry(target(entry)).or_default().push(entry);
    }
    for registration in registrations {
        match registration.text("reason") {
            Some("task_starting") => judge_early(service, registration, verdict),
            _ => judge_running(service, registration, &index, verdict),
        }
    }
}

/// What is looked up for each registration.
struct Index<'a> {
    /// Whether a registration tells the start of its task.
    tell_starts: bool,
    /// The lines about each target.
    of_target: HashMap<Target<'a>, Vec<&'a Entry>>,
}

/// The address and the target group of a line.
type Target<'a> = (Option<&'a str>, Option<&'a str>);

fn target(entry: &Entry) -> Target<'_> {
    (entry.text("ip"), entry.text("target_group"))
}

/// A task that starts is registered only while none serves.
fn judge_early(service: &Service<'_>, registration: &Entry, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Registration);
    match service.reconciliation_of(registration) {
        Some(line) if line.integer("serving").is_some_and(|serving| serving > 0) => {
            let what = "a task that starts was registered beside one that serves".to_owned();
            check.breach(&service.name, what, &[registration, line]);
        }
        Some(_) => check.hold(),
        None => check.unknown("no line tells whether a task served when another was registered early", registration),
    }
}

fn judge_running(service: &Service<'_>, registration: &Entry, index: &Index<'_>, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Registration);
    let (since_start, latency) = (millis(registration, "since_start_ms"), millis(registration, "latency_ms"));
    // A running task has a start. Stand-ins of AWS exist that give none to any task; they are no evidence.
    if since_start.is_none() && index.tell_starts {
        let what = "a task was registered as one that serves, and had not started".to_owned();
        check.breach(&service.name, what, &[registration]);
        return;
    }
    let Some(elapsed) = since_start.or(latency) else {
        check.unknown("a line doesn't tell when the registered task started", registration);
        return;
    };
    let settings = service.settings_at(registration.seen_at);
    let Some(resync) = settings.resync_interval.filter(|_| service.has_one_setting()) else {
        check.unknown("no line tells the resync interval, or several do", registration);
        return;
    };
    let bound = resync + REGISTRATION_ALLOWANCE;
    // It counts from the load balancer's creation, if that came later.
    let age = service.reconciliation_of(registration).and_then(|line| line.seconds("load_balancer_age_seconds"));
    let elapsed = age.map_or(elapsed, |age| elapsed.min(age));
    if elapsed <= bound {
        check.hold();
        return;
    }
    let started_at = shifted(registration.seen_at, -elapsed);
    let until = registration.seen_at.max(registration.at);
    // An old observation registers, too: it does no harm.
    let was_suspended = seconds_between(registration.seen_at, registration.at) > MACHINE_CLOCK + WINDOW;
    let of_target = index.of_target.get(&target(registration)).map(Vec::as_slice).unwrap_or_default();
    let mut others = range(of_target, started_at, until).iter().filter(|entry| entry.line != registration.line);
    if service.first_at().is_none_or(|first| first >= started_at) {
        check.unknown("the log begins after the start of the registered task", registration);
    } else if others.next().is_some() {
        check.unknown("a task was registered again, because its target had gone", registration);
    } else if was_suspended
        || service.failed_between(started_at, until)
        || service.had_finding(&HINDERING, started_at, until)
        || service.was_unwatched_between(started_at, until)
    {
        check.unknown(
            "calls failed, a finding hindered it, or no watcher logged before a late registration",
            registration,
        );
    } else if age.is_none() {
        check.unknown("no line tells whether the load balancer was new at a late registration", registration);
    } else {
        let what = format!("a task was registered {elapsed:.0} s after its start; the bound is {bound:.0} s");
        check.breach(&service.name, what, &[registration]);
    }
}

fn millis(entry: &Entry, field: &str) -> Option<f64> {
    entry.seconds(field).map(|millis| millis / 1000.0)
}
