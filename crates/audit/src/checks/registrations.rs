//! Registrations: within the bound of the task's start, and none beside a task that serves.

use super::{MACHINE_CLOCK, REGISTRATION_ALLOWANCE, WINDOW};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, shifted};
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
    for registration in service.of("target_registered") {
        match registration.text("reason") {
            Some("task_starting") => judge_early(service, registration, verdict),
            _ => judge_running(service, registration, verdict),
        }
    }
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

fn judge_running(service: &Service<'_>, registration: &Entry, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Registration);
    let (since_start, latency) = (millis(registration, "since_start_ms"), millis(registration, "latency_ms"));
    let mut others = service.of("target_registered");
    // A running task has a start. Stand-ins of AWS exist that give none to any task; they are no evidence.
    if since_start.is_none() && others.any(|other| other.seconds("since_start_ms").is_some()) {
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
    let is_of_target = |entry: &&&Entry| {
        entry.line != registration.line
            && ["ip", "target_group"].iter().all(|field| entry.text(field) == registration.text(field))
    };
    if service.first_at().is_none_or(|first| first >= started_at) {
        check.unknown("the log begins after the start of the registered task", registration);
    } else if service.between(started_at, until).iter().any(|entry| is_of_target(&entry)) {
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
