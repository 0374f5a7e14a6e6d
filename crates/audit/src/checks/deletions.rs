//! Deletions of load balancers: the grace period, the two observations, what the second one found, and no use since the mark.

use super::{CLOCK, MACHINE_CLOCK, WINDOW};
use crate::entry::{Entry, ObservationId, seconds_between};
use crate::service::{Service, Settings, range, shifted};
use crate::verdict::{Check, Claim, Verdict};
use jiff::Timestamp;

/// The length of a paid hour, and how long before its end an idle load balancer is deleted at the latest, in seconds
/// (docs/how-it-works.md).
const PAID_HOUR: f64 = 3600.0;
const PAID_HOUR_MARGIN: f64 = 180.0;

/// The error of the time of a load balancer's creation, in seconds.
const CREATION_IS_KNOWN_TO: f64 = 60.0;

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let uses: Vec<_> = service.entries.iter().copied().filter(|entry| is_use(entry)).collect();
    for deletion in service.of("load_balancer_deleted") {
        let (Some(observation), Some(idle_since)) = (&deletion.observation, deletion.time("idle_since")) else {
            for claim in [Claim::GracePeriod, Claim::SecondObservation, Claim::Idle, Claim::UnusedSinceMark] {
                verdict.check(claim).unknown("a deletion doesn't name its observation and its mark", deletion);
            }
            continue;
        };
        judge_grace(service, deletion, observation, idle_since, verdict.check(Claim::GracePeriod));
        judge_second_observation(service, deletion, verdict.check(Claim::SecondObservation));
        judge_idleness(service, deletion, verdict.check(Claim::Idle));
        judge_use(service, deletion, idle_since, &uses, verdict.check(Claim::UnusedSinceMark));
    }
}

/// Adds whether a line rests on two observations of one process.
pub fn judge_second_observation(service: &Service<'_>, entry: &Entry, check: &mut Check) {
    let Some(second) = &entry.observation else {
        check.unknown("the line doesn't name its observation", entry);
        return;
    };
    let Some(first) = entry.observation("first_observation") else {
        check.breach(&service.name, format!("{} rests on one observation", entry.event), &[entry]);
        return;
    };
    // The process may have corrected its clock in between.
    let is_before = first != *second && seconds_between(first.at, second.at) > -CLOCK;
    if first.process == second.process && is_before {
        check.hold();
    } else {
        let what = format!("the first observation of {} is none before the second by the same process", entry.event);
        check.breach(&service.name, what, &[entry]);
    }
}

fn judge_grace(
    service: &Service<'_>,
    deletion: &Entry,
    observation: &ObservationId,
    idle_since: Timestamp,
    check: &mut Check,
) {
    if observation.is_of_command() {
        // `down` does not wait for it: the operator has decided.
        check.hold();
        return;
    }
    let settings = service.settings_at(deletion.seen_at);
    let Some(grace) = settings.idle_grace else {
        check.unknown("no line tells the grace period", deletion);
        return;
    };
    if !service.has_one_setting() {
        check.unknown("watchers with different settings ran", deletion);
        return;
    }
    // The line can come minutes after its observation, when an answer was lost, and the machine's clock can be wrong.
    let created_at = [deletion.seen_at, deletion.at].map(|at| created_at(deletion, at));
    let due_at = created_at.map(|created_at| due_at(&settings, grace, idle_since, created_at)).into_iter().min();
    let due_at = due_at.unwrap_or(idle_since);
    let early = seconds_between(observation.at, due_at);
    if early <= CLOCK {
        check.hold();
        return;
    }
    let what = format!("a load balancer was deleted {early:.0} s before its grace period was over");
    check.breach(&service.name, what, &[deletion]);
}

fn created_at(deletion: &Entry, deleted_at: Timestamp) -> Option<Timestamp> {
    deletion.seconds("uptime_seconds").map(|uptime| shifted(deleted_at, -uptime))
}

fn due_at(settings: &Settings, grace: f64, idle_since: Timestamp, created_at: Option<Timestamp>) -> Timestamp {
    let ends_at = shifted(idle_since, grace);
    let Some(created_at) = created_at.filter(|_| settings.until_paid_hour) else { return ends_at };
    // The time of the creation is known to a minute: near an hour's end the hour is uncertain, and the earlier one counts.
    let age = (seconds_between(created_at, ends_at) - CREATION_IS_KNOWN_TO).max(0.0);
    let paid_until = shifted(created_at, ((age / PAID_HOUR).floor() + 1.0) * PAID_HOUR);
    ends_at.max(shifted(paid_until, -PAID_HOUR_MARGIN - CREATION_IS_KNOWN_TO))
}

fn judge_idleness(service: &Service<'_>, deletion: &Entry, check: &mut Check) {
    let wrong = [
        (deletion.integer("desired").is_none(), "the service was not found"),
        (deletion.integer("desired").is_some_and(|desired| desired > 0), "the desired count was above zero"),
        (deletion.integer("live_tasks") != Some(0), "tasks had not stopped"),
        (deletion.integer("healthy_others") != Some(0), "a healthy target of another owner was behind it"),
        (deletion.flag("owned") != Some(true), "it had no owner tag"),
        (deletion.flag("held") != Some(false), "it was held"),
    ];
    let wrong: Vec<_> = wrong.iter().filter(|(is_so, _)| *is_so).map(|(_, what)| *what).collect();
    if wrong.is_empty() {
        check.hold();
    } else {
        let what = format!("a load balancer was deleted although {}", wrong.join(", and "));
        check.breach(&service.name, what, &[deletion]);
    }
}

/// A use that begins in the window before the deletion can be missed; the docs count it among the windows.
fn judge_use(service: &Service<'_>, deletion: &Entry, idle_since: Timestamp, uses: &[&Entry], check: &mut Check) {
    // A line without an observation, e.g. of `hold`, has the time of a machine.
    let window = |entry: &Entry| if entry.observation.is_some() { WINDOW } else { WINDOW + MACHINE_CLOCK };
    let is_after_mark = |entry: &Entry| entry.seen_at > shifted(idle_since, window(entry));
    let is_clear = |entry: &Entry| is_after_mark(entry) && entry.seen_at < shifted(deletion.seen_at, -window(entry));
    let uses = range(uses, idle_since, deletion.seen_at).iter().copied();
    let used = uses.clone().find(|entry| is_clear(entry));
    match used.or_else(|| uses.clone().find(|entry| is_after_mark(entry))) {
        Some(used) if is_clear(used) => {
            let what = "a load balancer was deleted although it was used or held after its mark".to_owned();
            check.breach(&service.name, what, &[used, deletion]);
        }
        Some(_) => check.unknown("it was used within the window that AWS leaves before a deletion", deletion),
        None if service.was_unwatched_between(idle_since, deletion.seen_at) => {
            check.unknown("no watcher logged for a part of the time between the mark and the deletion", deletion);
        }
        None => check.hold(),
    }
}

fn is_use(entry: &Entry) -> bool {
    match &*entry.event {
        "reconciled" => {
            entry.integer("desired").is_some_and(|desired| desired > 0)
                || entry.integer("serving").is_some_and(|serving| serving > 0)
        }
        "target_registered" => entry.has("reason", "task_running"),
        "hold_placed" => true,
        "finding" => entry.has("finding", "hold_active") && !entry.has("state", "cleared"),
        _ => false,
    }
}
