//! Stops of unused services: announced with notice, not withdrawn, not held, and after known disuse.

use jiff::Timestamp;

use super::{CLOCK, MACHINE_CLOCK, WINDOW, deletions};
use crate::entry::{Entry, seconds_between};
use crate::service::{Service, range, shifted};
use crate::verdict::{Check, Claim, Verdict};

/// How late CloudWatch may show a minute, and the length of a minute, in seconds (docs/guarantees.md).
const CLOUDWATCH_LAG: f64 = 180.0;
const MINUTE: f64 = 60.0;

/// How long after its announced time a stop can still follow, in seconds (docs/scale-to-zero.md): after that it must have been
/// announced again.
const ANNOUNCEMENT_VALID_FOR: f64 = 600.0;

/// The shortest time without use after which a service is stopped, in seconds (docs/guarantees.md).
const SHORTEST_DISUSE: f64 = 300.0;

/// The default of `--use-threshold`.
const DEFAULT_USE_THRESHOLD: i64 = 1;

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
        judge_contradictions(service, stop, check);
    }
}

fn judge_announcement(service: &Service<'_>, stop: &Entry, check: &mut Check) {
    let is_valid = |entry: &&Entry| {
        let late = entry.time("stop_at").map(|stop_at| seconds_between(stop_at, stop.seen_at));
        late.is_none_or(|late| late < ANNOUNCEMENT_VALID_FOR + WINDOW)
    };
    let Some(announced) = last_announcement(service, stop).filter(is_valid) else {
        check.unknown(
            "no line tells that a stop was announced: its worker was killed just then, or its log is missing",
            stop,
        );
        return;
    };
    let withdrawn = range(service.of("stop_withdrawn"), announced.seen_at, stop.seen_at)
        .iter()
        .find(|entry| entry.seen_at > announced.seen_at)
        .filter(|entry| entry.seen_at < shifted(stop.seen_at, -WINDOW));
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

fn last_announcement<'a>(service: &Service<'a>, stop: &Entry) -> Option<&'a Entry> {
    let announcements = service.of("stop_announced");
    let before = announcements.partition_point(|entry| entry.seen_at < stop.seen_at);
    announcements.get(..before)?.last().copied()
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

/// Other lines can contradict a stop: a hold, `up`, or use that a watcher had seen. Each of them begins a new window. Those
/// just before the stop can be missed; those before its window are none.
fn judge_contradictions(service: &Service<'_>, stop: &Entry, check: &mut Check) {
    let after = service.settings_at(stop.seen_at).stop_when_unused.filter(|_| service.has_one_setting());
    // The decision follows its observation within ten seconds, so that its window can begin a minute later.
    let window_start =
        shifted(minute_of(shifted(stop.seen_at, -CLOUDWATCH_LAG)), MINUTE - after.unwrap_or(SHORTEST_DISUSE));
    let before = service.between(window_start, stop.seen_at);
    let announced_at = last_announcement(service, stop).map(|announced| announced.seen_at);
    // A line without an observation has the time of a machine.
    let is_clear = |entry: &Entry| {
        let clock = if entry.observation.is_some() { 0.0 } else { MACHINE_CLOCK };
        entry.seen_at > shifted(window_start, clock) && entry.seen_at < shifted(stop.seen_at, -WINDOW - clock)
    };
    let contradicts = |entry: &Entry| match &*entry.event {
        "hold_placed" => is_in_force(service, entry, stop, window_start),
        // Its watcher withdrew the announcement that it found, unless it was killed; and it clears a finding that is over.
        "finding" if entry.has("finding", "hold_active") && !entry.has("state", "cleared") => {
            announced_at.is_some_and(|announced_at| entry.seen_at > announced_at)
                && service.reconciliation_of(entry).is_some()
                && !service.was_unwatched_between(entry.seen_at, stop.seen_at)
                && !service.was_silent_between(entry, stop.seen_at)
                && is_in_force(service, entry, stop, window_start)
        }
        "operation_completed" => {
            // The lease is as old as the operation.
            let lasted = entry.seconds("duration_ms").unwrap_or_default() / 1000.0;
            entry.has("operation", "up") && shifted(entry.seen_at, -lasted) > shifted(window_start, MACHINE_CLOCK)
        }
        "phase_completed" => entry.has("operation", "up") && entry.has("phase", "claimed"),
        "reconciled" => showed_use(service, entry, stop, window_start),
        _ => false,
    };
    if let Some(contradiction) = before.iter().copied().find(|entry| is_clear(entry) && contradicts(entry)) {
        let why = match &*contradiction.event {
            "reconciled" => "use",
            "hold_placed" | "finding" => "a hold",
            _ => "an `up`",
        };
        let what = format!("a service was stopped although {why} had begun a new window");
        check.breach(&service.name, what, &[contradiction, stop]);
    }
}

/// Returns whether a hold that a line shows was in force until a stop, or its end was within the window.
fn is_in_force(service: &Service<'_>, hold: &Entry, stop: &Entry, window_start: Timestamp) -> bool {
    let until = shifted(stop.seen_at, MACHINE_CLOCK);
    let is_end = |entry: &Entry| {
        entry.is("hold_released")
            || entry.seen_at <= stop.seen_at && entry.has("finding", "hold_active") && entry.has("state", "cleared")
    };
    let lasts = hold.time("hold_until").is_none_or(|end| end > shifted(window_start, MACHINE_CLOCK));
    lasts && !service.between(hold.seen_at, until).iter().any(|entry| is_end(entry))
}

/// Returns whether a line shows more flows than the threshold in a minute that the process of a stop knew: one of the window,
/// or a later one that it saw itself. CloudWatch can show a later one to one process and not yet to another.
fn showed_use(service: &Service<'_>, line: &Entry, stop: &Entry, window_start: Timestamp) -> bool {
    let threshold = service.settings_at(line.seen_at).use_threshold.unwrap_or(DEFAULT_USE_THRESHOLD);
    let last_minute = shifted(minute_of(shifted(stop.seen_at, -CLOUDWATCH_LAG)), -MINUTE);
    let was_known = |minute: Timestamp| minute <= last_minute || line.process() == stop.process();
    line.integer("flows").is_some_and(|flows| flows > threshold)
        && line.time("flows_minute").is_some_and(|minute| minute >= window_start && was_known(minute))
        && service.has_one_setting()
}
