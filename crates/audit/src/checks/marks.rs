//! Marks: none is older than the observation that it follows from, and each deletion had one.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{CLOCK, WINDOW};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, range, shifted};
use crate::verdict::{Claim, Verdict};

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    for mark in service.of("idle_marked") {
        judge_mark(service, mark, verdict);
    }
    let (written, removed) = (by_value(service.of("idle_marked")), by_value(service.of("idle_unmarked")));
    for deletion in service.of("load_balancer_deleted") {
        judge_deletion(service, deletion, (&written, &removed), verdict);
    }
}

/// A mark begins a grace period: it is as new as its observation. One of a load balancer that was never used waits for the
/// unused grace.
fn judge_mark(service: &Service<'_>, mark: &Entry, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Mark);
    let (Some(observation), Some(idle_since)) = (&mark.observation, mark.time("idle_since")) else {
        check.unknown("a mark doesn't name its observation", mark);
        return;
    };
    let older = seconds_between(idle_since, observation.at);
    if older > CLOCK {
        check.breach(&service.name, format!("a mark is {older:.0} s older than its observation"), &[mark]);
        return;
    }
    let age = service.reconciliation_of(mark).and_then(|line| line.seconds("load_balancer_age_seconds"));
    let unused_grace = service.settings_at(mark.seen_at).unused_grace.filter(|_| service.has_one_setting());
    if mark.has("reason", "unused")
        && !observation.is_of_command()
        && let (Some(age), Some(grace)) = (age, unused_grace)
        && age + 1.0 < grace
    {
        let what = format!("an unused load balancer was marked at the age of {age:.0} s, before {grace:.0} s");
        check.breach(&service.name, what, &[mark]);
        return;
    }
    check.hold();
}

/// Lines by the value of the mark that they are about.
type ByValue<'a> = HashMap<&'a str, Vec<&'a Entry>>;

fn by_value<'a>(lines: &[&'a Entry]) -> ByValue<'a> {
    let mut by_value = ByValue::new();
    for line in lines {
        if let Some(value) = line.text("idle_since") {
            by_value.entry(value).or_default().push(line);
        }
    }
    by_value
}

fn judge_deletion(
    service: &Service<'_>,
    deletion: &Entry,
    (written, removed): (&ByValue<'_>, &ByValue<'_>),
    verdict: &mut Verdict,
) {
    let check = verdict.check(Claim::Mark);
    let Some(value) = deletion.text("idle_since") else {
        check.unknown("a deletion doesn't tell the mark", deletion);
        return;
    };
    let Some(written) = written.get(value).and_then(|marks| marks.last().copied()) else {
        check.unknown("no line tells that a deleted load balancer's mark was written: its worker was killed just then, or its log is missing", deletion);
        return;
    };
    let removed = removed.get(value).map(Vec::as_slice).unwrap_or_default();
    let removed = range(removed, written.seen_at, Timestamp::MAX).first();
    let removed = removed.filter(|unmark| unmark.seen_at < shifted(deletion.seen_at, -WINDOW));
    match removed {
        Some(unmark) => {
            let what = "a load balancer was deleted by a mark that had been removed".to_owned();
            check.breach(&service.name, what, &[written, unmark, deletion]);
        }
        None => check.hold(),
    }
}
