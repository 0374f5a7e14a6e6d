//! Stops of unused services: announced with notice, not withdrawn, not held, and after known disuse.

use jiff::Timestamp;

use super::{CLOCK, WINDOW, deletions};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, shifted};
use crate::verdict::{Check, Claim, Verdict};

/// How late CloudWatch may show a minute, and the length of a minute, in seconds (docs/guarantees.md).
const CLOUDWATCH_LAG: f64 = 180.0;
const MINUTE: f64 = 60.0;

/// How long after its announced time a stop can still follow, in seconds (docs/scale-to-zero.md): after that it must have been
/// announced again.
const ANNOUNCEMENT_VALID_FOR: f64 = 600.0;

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let check = verdict.check(Claim::Stop);
    for stop in service.of("service_stopped") {
        if stop.observation.is_none() {
            check.unknown("a stop doesn't name its observation", stop);
            continue;
        }
        judge_announcement(service, stop, check);
        judge_disuse(service, stop, check);
        deletions::judge_second_observation(service, stop, check);
        if stop.flag("held") != Some(false) {
            check.breach(&service.name, "a service was stopped while a hold was in force".to_owned(), &[stop]);
        }
    }
}

fn judge_announcement(service: &Service<'_>, stop: &Entry, check: &mut Check) {
    let before = |entry: &&Entry| entry.seen_at < stop.seen_at;
    let is_valid = |entry: &&Entry| {
        let late = entry.time("stop_at").map(|stop_at| seconds_between(stop_at, stop.seen_at));
        late.is_none_or(|late| late < ANNOUNCEMENT_VALID_FOR + WINDOW)
    };
    let Some(announced) = service.of("stop_announced").rev().find(before).filter(is_valid) else {
        check.unknown(
            "no line tells that a stop was announced: its worker was killed just then, or its log is missing",
            stop,
        );
        return;
    };
    let withdrawn = service
        .of("stop_withdrawn")
        .find(|entry| entry.seen_at > announced.seen_at && entry.seen_at < shifted(stop.seen_at, -WINDOW));
    if let Some(withdrawn) = withdrawn {
        let what = "a service was stopped after the announcement had been withdrawn".to_owned();
        check.breach(&service.name, what, &[announced, withdrawn, stop]);
        return;
    }
    let (Some(stop_at), Some(_)) = (announced.time("stop_at"), &announced.observation) else {
        check.unknown("an announcement doesn't tell its observation", announced);
        return;
    };
    if seconds_between(stop.seen_at, stop_at) > CLOCK {
        let what = "a service was stopped before the announced time".to_owned();
        check.breach(&service.name, what, &[announced, stop]);
        return;
    }
    let settings = service.settings_at(announced.seen_at);
    let Some(notice) = settings.stop_notice.filter(|_| service.has_one_setting()) else {
        check.unknown("no line tells the notice of stops, or several do", announced);
        return;
    };
    let given = seconds_between(announced.seen_at, stop_at);
    if given + CLOCK < notice {
        let what = format!("a stop was announced with a notice of {given:.0} s, not {notice:.0} s");
        check.breach(&service.name, what, &[announced]);
    } else {
        check.hold();
    }
}

/// The stop rests on unused minutes up to three minutes ago, each of which the same observation must show.
fn judge_disuse(service: &Service<'_>, stop: &Entry, check: &mut Check) {
    let Some(unused_since) = stop.time("unused_since") else {
        check.unknown("a stop doesn't tell since when", stop);
        return;
    };
    let window_end = minute_of(shifted(stop.seen_at, -CLOUDWATCH_LAG));
    let settings = service.settings_at(stop.seen_at);
    let after = settings.stop_when_unused.filter(|_| service.has_one_setting());
    if let Some(after) = after
        && seconds_between(unused_since, window_end) + MINUTE + CLOCK < after
    {
        let what = format!("a service was stopped before it had been unused for {after:.0} s");
        check.breach(&service.name, what, &[stop]);
        return;
    }
    let Some(line) = service.reconciliation_of(stop) else {
        check.unknown("no line tells the use that the observation of a stop showed", stop);
        return;
    };
    if seconds_between(stop.seen_at, line.at) > MINUTE {
        check.unknown(
            "the line with the use came minutes after the observation of a stop, when what that had read was old",
            stop,
        );
        return;
    }
    let newest = line.time("flows_minute");
    if newest.is_none_or(|newest| newest < shifted(window_end, -MINUTE)) {
        let what = "a service was stopped although its use was unknown".to_owned();
        check.breach(&service.name, what, &[stop, line]);
    } else if line.time("unused_since").is_some_and(|since| since > window_end) {
        check.unknown("a minute after the window of a stop was unknown, or the service was used in it", stop);
    } else if line.time("unused_since").is_none_or(|since| since > unused_since) {
        let what = "a service was stopped although its observation showed use since then".to_owned();
        check.breach(&service.name, what, &[stop, line]);
    } else {
        check.hold();
    }
}

fn minute_of(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap_or(at)
}
