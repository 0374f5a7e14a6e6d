//! The deliberate bugs of [`crate::mutation`], switched on one at a time: the tests must catch every one.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::mutation::{ALL, VARIABLE};

/// The tests that may catch them: the rules by example and by property, the parts that act, and the simulation.
const HUNTERS: &[&str] =
    &["plan::", "reconcile::", "worker::", "clock::", "cloud::deadline::", "simulation::tests::no_"];

/// How many days the simulation hunts for each.
const DAYS: &str = "15";

/// The tests that fail with a bug switched on.
fn caught_by(mutation: &str) -> Vec<String> {
    let program = std::env::current_exe().expect("this very program");
    let mut command = Command::new(program);
    command.args(HUNTERS).env(VARIABLE, mutation).env("JVB_WATCHER_SIMULATION_DAYS", DAYS).env("PROPTEST_CASES", "32");
    let output = command.output().expect("the tests run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("test result:"), "the tests of {mutation} did not come to their end:\n{text}");
    let failed = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
    text.lines().filter_map(failed).collect()
}

#[test]
fn every_deliberate_bug_is_caught() {
    let (next, outcome) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((_, name)) = ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tests = caught_by(name);
                    outcome.lock().unwrap_or_else(PoisonError::into_inner).push((*name, tests));
                }
            });
        }
    });
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.sort();
    for (name, tests) in &outcome {
        println!("{name}: {}", if tests.is_empty() { "not caught".to_owned() } else { tests.join(", ") });
    }
    let free: Vec<_> = outcome.iter().filter(|(_, tests)| tests.is_empty()).map(|(name, _)| name).collect();
    assert!(free.is_empty(), "not caught: {free:?}");
    assert!(outcome.len() >= 15, "only {} bugs", outcome.len());
}
