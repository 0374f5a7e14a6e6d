//! Nothing idle stays: an idle load balancer is deleted within the bound.

use jiff::Timestamp;

use super::TEARDOWN_ALLOWANCE;
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, Settings, shifted};
use crate::verdict::{Claim, Verdict};

/// The time for which a task may be stopping without being counted, in seconds: its longest stop timeout on Fargate is 120.
const STOPPING: f64 = 150.0;

/// What the grace period is extended by at most with `until-paid-hour`, in seconds.
const PAID_HOUR_EXTENSION: f64 = 57.0 * 60.0;

/// The findings for which a watcher leaves an idle load balancer alone.
pub const KEEPING: [&str; 12] = [
    "service_missing",
    "load_balancer_not_owned",
    "load_balancer_not_network",
    "load_balancer_shared",
    "deletion_protected",
    "target_of_others",
    "target_group_in_use",
    "task_not_stopping",
    "teardown_off",
    "hold_active",
    "tag_invalid",
    "mark_expired",
];

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let mut idle: Option<&Entry> = None;
    for entry in service.of("reconciled").iter().copied().filter(|entry| !entry.is_of_command()) {
        let first = match is_idle(entry) {
            true => idle.unwrap_or(entry),
            false => {
                if idle.take().is_some() && entry.has("load_balancer_state", "absent") {
                    verdict.check(Claim::NothingIdle).hold();
                }
                continue;
            }
        };
        // Another load balancer, or one that a watcher was kept from deleting meanwhile.
        let is_new = entry
            .seconds("load_balancer_age_seconds")
            .is_some_and(|age| age < seconds_between(first.seen_at, entry.seen_at));
        let begin = shifted(first.seen_at, 1e-3);
        if is_new
            || service.is_teardown_off(first.seen_at, entry.seen_at)
            || service.had_finding(&KEEPING, begin, entry.seen_at)
            || service.failed_between(begin, entry.seen_at)
            || service.was_unwatched_between(begin, entry.seen_at)
        {
            idle = Some(entry);
            continue;
        }
        idle = Some(first);
        let late = seconds_between(due_since(service, first), entry.seen_at)
            - service.longest(first.seen_at, entry.seen_at, bound);
        if late > 0.0 {
            let what = format!("an idle load balancer stays {late:.0} s beyond the bound");
            verdict.check(Claim::NothingIdle).breach(&service.name, what, &[first, entry]);
            idle = None;
        }
    }
}

fn is_idle(entry: &Entry) -> bool {
    let is_zero = |field: &str| entry.integer(field) == Some(0);
    ["desired", "running", "pending", "serving", "healthy"].into_iter().all(is_zero)
        && entry.text("load_balancer_state").is_some_and(|state| ["active", "active_impaired"].contains(&state))
}

/// Returns the time at which an idle load balancer that may never have been used counts as idle.
fn due_since(service: &Service<'_>, first: &Entry) -> Timestamp {
    let unused_grace =
        service.longest(first.seen_at, first.seen_at, |settings| settings.unused_grace.unwrap_or_default());
    let age = first.seconds("load_balancer_age_seconds").unwrap_or_default();
    shifted(first.seen_at, (unused_grace - age).max(0.0))
}

fn bound(settings: &Settings) -> f64 {
    let extension = if settings.until_paid_hour { PAID_HOUR_EXTENSION } else { 0.0 };
    // Without the settings, the longest grace period that makes sense.
    settings.resync() + settings.idle_grace.unwrap_or(3600.0) + extension + TEARDOWN_ALLOWANCE + STOPPING
}
