//! Teardowns: each that starts is completed within the bound, or resumed.

use super::idle::KEEPING;
use super::{CLOCK, TEARDOWN_ALLOWANCE};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, shifted};
use crate::verdict::{Claim, Verdict};

/// The time after which a process that never saw the load balancer finds its target groups, in seconds
/// (docs/guarantees.md): six hours, a resync interval and the allowance.
const SEARCH_INTERVAL: f64 = 6.0 * 3600.0;

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let started: Vec<_> = service.of("teardown_started").collect();
    for (index, start) in started.iter().enumerate() {
        let next = started.get(index + 1).copied();
        judge_teardown(service, start, next, verdict);
    }
}

fn judge_teardown(service: &Service<'_>, start: &Entry, next: Option<&Entry>, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Teardown);
    let settings = service.settings_at(start.seen_at);
    let bound = settings.resync() + TEARDOWN_ALLOWANCE;
    let from = shifted(start.seen_at, -CLOCK);
    let due_at = shifted(start.seen_at, bound);
    let end = service.between(from, jiff::Timestamp::MAX).iter().copied().find(|entry| ends(entry, start));
    if end.is_some_and(|end| end.seen_at <= due_at) {
        check.hold();
        return;
    }
    if next.is_some_and(|next| next.seen_at <= end.map_or(due_at, |end| end.seen_at)) {
        // Another line judges it.
        check.hold();
        return;
    }
    let last = service.last_at().unwrap_or(start.seen_at);
    let until = end.map_or(last, |end| end.seen_at);
    if last < due_at {
        check.unknown("the log ends before a teardown's bound", start);
    } else if service.failed_between(from, until)
        || service.had_finding(&KEEPING, from, until)
        || service.was_unwatched_between(from, until)
        || service.was_silent_between(start, until)
    {
        check.unknown("calls failed, AWS refused, or no watcher logged during a teardown", start);
    } else if let Some(end) = end {
        let late = seconds_between(due_at, end.seen_at);
        let what = format!("a teardown ended {late:.0} s after its bound");
        check.breach(&service.name, what, &[start, end]);
    } else if seconds_between(due_at, last) < SEARCH_INTERVAL {
        check.unknown("a teardown has no end; another worker finishes it within six hours", start);
    } else {
        check.breach(&service.name, "a teardown was never completed".to_owned(), &[start]);
    }
}

/// Returns whether a line shows that a teardown is over, or that its load balancer is used again.
fn ends(entry: &Entry, start: &Entry) -> bool {
    match &*entry.event {
        "teardown_completed" | "idle_unmarked" | "service_removed" => true,
        "phase_completed" => start.is_of_command() && entry.has("phase", "load_balancer_gone"),
        "reconciled" if entry.seen_at > start.seen_at => {
            // It is used again, or is another one.
            let is_used = entry.integer("desired").is_some_and(|desired| desired > 0);
            let is_new = entry
                .seconds("load_balancer_age_seconds")
                .is_some_and(|age| age < seconds_between(start.seen_at, entry.seen_at));
            is_used || is_new
        }
        _ => false,
    }
}
