//! Teardowns: each that starts is completed within the bound, or resumed.

use jiff::Timestamp;

use super::idle::KEEPING;
use super::{CLOCK, TEARDOWN_ALLOWANCE};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, Settings, range, shifted};
use crate::verdict::{Claim, Verdict};

/// The time after which a process that never saw the load balancer finds its target groups, in seconds
/// (docs/guarantees.md): six hours, a resync interval and the allowance.
const SEARCH_INTERVAL: f64 = 6.0 * 3600.0;

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let started = service.of("teardown_started");
    if started.is_empty() {
        return;
    }
    let ends = Ends::new(service);
    for (index, start) in started.iter().enumerate() {
        let next = started.get(index + 1).copied();
        judge_teardown(service, start, next, &ends, verdict);
    }
}

fn judge_teardown(service: &Service<'_>, start: &Entry, next: Option<&Entry>, ends: &Ends<'_>, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Teardown);
    let bound = service.longest(start.seen_at, start.seen_at, Settings::resync) + TEARDOWN_ALLOWANCE;
    let from = shifted(start.seen_at, -CLOCK);
    let due_at = shifted(start.seen_at, bound);
    let end = ends.of(start, from);
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

/// The lines that show that a teardown is over, or that its load balancer is used again.
struct Ends<'a> {
    /// Those of any teardown.
    any: Vec<&'a Entry>,
    /// Those of one that a command makes.
    of_command: Vec<&'a Entry>,
    /// Those in which the service is used again.
    used: Vec<&'a Entry>,
    /// Those with a load balancer, each with the time of the newest creation until then: it may be another one.
    created: Vec<(Timestamp, &'a Entry)>,
}

impl<'a> Ends<'a> {
    fn new(service: &Service<'a>) -> Self {
        let among = |is: &dyn Fn(&Entry) -> bool| -> Vec<&'a Entry> {
            service.entries.iter().copied().filter(|entry| is(entry)).collect()
        };
        let reconciled = service.of("reconciled");
        let mut newest = Timestamp::MIN;
        let created = reconciled.iter().filter_map(|entry| {
            let age = entry.seconds("load_balancer_age_seconds")?.max(0.0);
            newest = newest.max(shifted(entry.seen_at, -age));
            Some((newest, *entry))
        });
        Self {
            created: created.collect(),
            any: among(&|entry| ["teardown_completed", "idle_unmarked", "service_removed"].contains(&&*entry.event)),
            of_command: among(&|entry| entry.is("phase_completed") && entry.has("phase", "load_balancer_gone")),
            used: among(&|entry| entry.is("reconciled") && entry.integer("desired").is_some_and(|desired| desired > 0)),
        }
    }

    /// Returns the first end of a teardown from an instant on.
    fn of(&self, start: &Entry, from: Timestamp) -> Option<&'a Entry> {
        let first = |lines: &[&'a Entry]| range(lines, from, Timestamp::MAX).first().copied();
        let of_command = Some(&self.of_command).filter(|_| start.is_of_command()).and_then(|lines| first(lines));
        let used = self.used.partition_point(|entry| entry.seen_at <= start.seen_at);
        let created = self.created.partition_point(|(created_at, _)| *created_at <= start.seen_at);
        let created = self.created.get(created).map(|(_, entry)| *entry);
        let ends = [first(&self.any), of_command, self.used.get(used).copied(), created];
        ends.into_iter().flatten().min_by_key(|entry| entry.seen_at)
    }
}
