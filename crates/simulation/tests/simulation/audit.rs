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
        if let Ok(dir) = std::env::var("AUDIT_DUMP") {
            std::fs::write(format!("{dir}/{}.log", title.replace(' ', "-")), &report.log).expect("written");
        }
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

/// The bugs that a log doesn't show, with the reason.
const NOT_IN_A_LOG: &[(Bug, &str)] = &[];

/// Returns how the audit catches a bug on one of the days that show it, if it does.
fn catch(bug: Bug) -> Option<String> {
    let options = Options { bug: Some(bug), ..LOGGED };
    seeds_of(bug).chain(1..=6).find_map(|seed| {
        let log = Day::draw(seed).play(options).log;
        if let Ok(dir) = std::env::var("AUDIT_DUMP") {
            std::fs::write(format!("{dir}/bug-{bug:?}-{seed}.log"), &log).expect("written");
        }
        let verdict = audit(&log);
        verdict.breaches().next().map(|(claim, breach)| format!("day {seed}: {claim:?}: {}", breach.what))
    })
}

#[test]
fn the_audit_catches_each_bug_that_a_log_shows() {
    let bugs: Vec<_> = Bug::ALL.iter().copied().filter(|bug| bug.injection() != Injection::Patch).collect();
    let outcome = Mutex::new(BTreeMap::new());
    on_all_cores(bugs.len(), |number| {
        let began = Instant::now();
        let caught = catch(bugs[number]);
        println!(
            "{:<32}{:>6.1?} {}",
            format!("{:?}", bugs[number]),
            began.elapsed(),
            caught.as_deref().unwrap_or("not caught")
        );
        outcome.lock().unwrap_or_else(PoisonError::into_inner).insert(bugs[number], caught);
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reason = |bug: Bug| NOT_IN_A_LOG.iter().find(|(other, _)| *other == bug).map(|(_, reason)| reason);
    for (bug, caught) in &outcome {
        match (caught, reason(*bug)) {
            (Some(caught), None) => println!("{:<32}{caught}", format!("{bug:?}")),
            (None, Some(reason)) => println!("{:<32}not in a log: {reason}", format!("{bug:?}")),
            (Some(caught), Some(_)) => panic!("{bug:?} shows in a log: {caught}; take it out of the list"),
            (None, None) => panic!("{bug:?} is not caught"),
        }
    }
    assert!(outcome.values().flatten().count() > 10);
}
