//! The audit of simulated days: `jvb-watcher audit` refutes nothing on days that break no guarantee, and the deliberate bugs
//! that a log shows.
//!
//! `JVB_WATCHER_SIMULATION_AUDIT_DAYS=1000 cargo test -p jvb-watcher-simulation audit -- --nocapture` audits more days.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bugs::seeds_of;
use jvb_watcher_audit::{Claim, Logs, Verdict, text};
use jvb_watcher_simulation::bugs::{Bug, Injection};
use jvb_watcher_simulation::day::fleet::Fleet;
use jvb_watcher_simulation::day::{Day, Options};

/// The number of days that are audited, from seed 1 on, and of days of fleets.
const DAYS: u64 = 60;
const FLEETS: u64 = 4;

const LOGGED: Options = Options { history: false, bug: None, log: true };

fn audit(log: &str) -> Verdict {
    let mut logs = Logs::default();
    logs.add("day.log", log.as_bytes()).expect("memory can be read");
    logs.audit()
}

/// Runs a job for each number below `count`, on all cores.
fn on_all_cores(count: usize, job: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    job(number);
                }
            });
        }
    });
}

#[test]
fn the_audit_refutes_nothing_on_days_that_break_no_guarantee() {
    let days = std::env::var("JVB_WATCHER_SIMULATION_AUDIT_DAYS").ok().and_then(|text| text.parse().ok());
    let days: u64 = days.unwrap_or(DAYS);
    let outcome = Mutex::new((BTreeMap::<Claim, (u64, u64)>::new(), [Duration::ZERO; 2], Vec::new()));
    on_all_cores(usize::try_from(days + FLEETS).expect("a number of days"), |number| {
        let began = Instant::now();
        let (title, report) = match number as u64 + 1 {
            seed if seed <= days => (format!("day {seed}"), Day::draw(seed).play(LOGGED)),
            seed => (format!("fleet {}", seed - days), Fleet::draw(seed - days).play(LOGGED)),
        };
        let played = began.elapsed();
        let verdict = audit(&report.log);
        let audited = began.elapsed() - played;
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.1[0] += played;
        outcome.1[1] += audited;
        for check in &verdict.checks {
            let (held, unknown) = outcome.0.entry(check.claim).or_default();
            *held += check.held;
            *unknown += check.unknown.values().map(|unknown| unknown.count).sum::<u64>();
        }
        if !verdict.holds() {
            outcome.2.push(format!("{title}\n{}", text(&verdict)));
        }
    });
    let (cases, [played, audited], broken) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{days} days and {FLEETS} of fleets: played {played:.1?}, audited {audited:.1?}");
    for (claim, (held, unknown)) in &cases {
        println!("{:<20}{held:>9} held {unknown:>7} unknown", format!("{claim:?}"));
    }
    assert!(broken.is_empty(), "{} days:\n{}", broken.len(), broken.join("\n"));
    let without_case: Vec<_> = cases.iter().filter(|(_, (held, _))| *held == 0).map(|(claim, _)| claim).collect();
    assert!(without_case.is_empty(), "no day has a case of {without_case:?}");
}

/// The bugs that the log of no day shows, with the reason. Those that only an example catches would show in a field of the
/// log, if a day led to them; the tests of `crates/audit` have such lines.
const NOT_IN_A_LOG: &[(Bug, &str)] = &[
    (
        Bug::DeleteAfterOneObservation,
        "on no day do the two observations differ; `desired` and `live_tasks` would show it",
    ),
    (Bug::DeleteWithoutWaiting, "the log doesn't name the earlier observation from whose end the ten seconds count"),
    (Bug::IgnoreDeadlines, "a line comes after AWS's answer: a late write looks like a late answer"),
    (Bug::DeleteMessagesBeforeReconciling, "the log has no line for a message that was deleted"),
    (Bug::DeleteMalformedMessages, "the worker logs what it believes: it left the message on the queue"),
    (Bug::IgnoreFailedWrites, "the worker takes the writes for made, and the next observation makes them"),
    (Bug::KeepForeignMessages, "the log has no line for a message that was deleted"),
    (Bug::KeepTargetsThatNeverRan, "what is not done has no line, and the counts of targets are those of all owners"),
    (Bug::KeepStoppingTargets, "what is not done has no line, and the counts of targets are those of all owners"),
    (Bug::IgnoreDesiredCount, "on no day is a marked load balancer desired without a task; `desired` would show it"),
    (
        Bug::IgnoreOwnerTag,
        "on these days it only marks, and a mark doesn't tell the tag; `owned` of a deletion would show it",
    ),
    (Bug::KeepMarkAcrossHold, "operators hold by hand, without a line, while no worker observes it"),
    (Bug::IgnoreAddressReuse, "an example: no day reuses an address; `healthy_others` would show it"),
    (
        Bug::CountEarlierTasksAsUse,
        "an example: it marks earlier; the log has no line about tasks of an earlier load balancer",
    ),
    (Bug::IgnoreOtherTargetTypes, "an example: no day has instances; `healthy_others` would show it"),
    (Bug::KeepMarkInUse, "a mark that stays has no line, and rules about its age make it invalid on each day"),
    (Bug::RestoreLostMark, "an example: a mark older than its observation would show it"),
    (Bug::TrustCopiedMark, "an example: the log doesn't tell which load balancer a mark names"),
    (Bug::TrustOutdatedMark, "an example: a use after the mark would show it"),
    (Bug::KeepTargetGroups, "the log doesn't tell how many target groups there were"),
    (Bug::NoResync, "a worker that is silent looks like one that was killed: a gap"),
    (Bug::DeleteOrphansOfOthers, "an example: the log doesn't tell which load balancer a target group had"),
    (Bug::TrustMachineClock, "every time in the log is by that clock"),
    (Bug::StopAfterFailure, "a worker that makes no calls is silent, as one that was killed: a gap"),
    (Bug::StopAfterOneObservation, "on no day do the two observations differ; `held` would show it"),
    (Bug::ForgetInterruptedStop, "an example: the lease is in a tag, and has no line"),
    (Bug::DeleteMessagesOfOtherServices, "the log has no line for a message that was deleted"),
    (Bug::ReconcileOneAtATime, "a single service shows no bug of fleets"),
    (Bug::TrustSearchOfOtherServices, "a single service shows no bug of fleets"),
];

/// Returns how the audit catches a bug on one of the days that show it, if it does.
fn catch(bug: Bug) -> Option<String> {
    let options = Options { bug: Some(bug), ..LOGGED };
    // A bug that no log shows takes all of its days.
    let others = if NOT_IN_A_LOG.iter().any(|(other, _)| *other == bug) { 1..=1 } else { 1..=6 };
    seeds_of(bug).chain(others).find_map(|seed| {
        let log = Day::draw(seed).play(options).log;
        let verdict = audit(&log);
        verdict.breaches().next().map(|(claim, breach)| format!("day {seed}: {claim:?}: {}", breach.what))
    })
}

#[test]
fn the_audit_catches_each_bug_that_a_log_shows() {
    let bugs: Vec<_> = Bug::ALL.iter().copied().filter(|bug| bug.injection() != Injection::Patch).collect();
    let outcome = Mutex::new(BTreeMap::new());
    on_all_cores(bugs.len(), |number| {
        let caught = catch(bugs[number]);
        outcome.lock().unwrap_or_else(PoisonError::into_inner).insert(bugs[number], caught);
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reason = |bug: Bug| NOT_IN_A_LOG.iter().find(|(other, _)| *other == bug).map(|(_, reason)| *reason);
    for (bug, caught) in &outcome {
        let missed = || format!("not in a log: {}", reason(*bug).unwrap_or("?"));
        println!("{:<32}{}", format!("{bug:?}"), caught.clone().unwrap_or_else(missed));
    }
    let missed: Vec<_> = outcome.iter().filter(|(bug, caught)| caught.is_none() && reason(**bug).is_none()).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    let shown: Vec<_> = outcome.iter().filter(|(bug, caught)| caught.is_some() && reason(**bug).is_some()).collect();
    assert!(shown.is_empty(), "in a log after all: {shown:?}");
}
