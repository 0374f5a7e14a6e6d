//! The deliberate bugs of [`crate::mutation`], switched on one at a time: each must be caught, by the simulation if it can
//! show there, by the tests of a part otherwise.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::day::Day;
use crate::mutation::{self, ALL, Mutation, VARIABLE};

/// How many days the simulation hunts for each, from seed 1 on.
const DAYS: u64 = 60;

/// What no day shows, and why.
const NOT_IN_THE_SIMULATION: &[(Mutation, &str)] = &[
    (Mutation::BelieveAnothersMark, "no mark of another balancer is on one there"),
    (Mutation::BelieveOldMark, "a mark of before an evening is taken away in it, by whichever worker looks"),
    (Mutation::DeleteOthersOrphans, "nobody else leaves marked groups there"),
    (Mutation::DeleteWithoutLookingAgain, "what a look misses that is ten seconds old at most is within the window"),
    (Mutation::DeregisterOnOneLook, "a list there is late, but never incomplete"),
    (Mutation::IgnoreDesired, "a scale-up's tasks are pending seconds later, and keep the balancer as well"),
    (Mutation::IgnoreOtherGroups, "every group there takes addresses"),
    (Mutation::IgnoreReusedAddress, "a target at such an address hardly gets to be healthy before it is deregistered"),
    (Mutation::IgnoreStopping, "a mark that is older than the last task's end isn't believed"),
    (Mutation::KeepForeign, "a foreign message that stays does no harm"),
    (Mutation::KeepMark, "a mark that is older than the last use isn't believed"),
    (Mutation::ReadOnePage, "its platforms fit on one page"),
    (Mutation::WriteOldMarkBack, "terraform must be between a group and the balancer then: one day in thousands"),
];

/// The tests that hunt for the others: the rules by example and by property, and the parts that act.
const HUNTERS: &[&str] = &["plan::", "reconcile::", "worker::", "clock::", "cloud::"];

/// How a bug was caught.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Catch {
    /// By a day, which breaks a promise.
    Day(String),
    /// By tests that fail.
    Tests(Vec<String>),
    /// Not at all.
    No,
}

fn caught(mutation: Mutation, name: &str) -> Catch {
    let broken = |seed| {
        let day = mutation::with(mutation, || Day::of(seed).play(false));
        day.violations.first().map(|violation| format!("seed {seed}, {violation}"))
    };
    let is_hidden = NOT_IN_THE_SIMULATION.iter().any(|(hidden, _)| *hidden == mutation);
    match (1..=DAYS).filter(|_| !is_hidden).find_map(broken) {
        Some(violation) => Catch::Day(violation),
        // A simulation that has gone blind to a bug must not hide behind the other tests.
        None if !is_hidden => Catch::No,
        None => Some(failing_tests(name)).filter(|tests| !tests.is_empty()).map_or(Catch::No, Catch::Tests),
    }
}

/// The tests that fail with a bug switched on.
fn failing_tests(mutation: &str) -> Vec<String> {
    let program = std::env::current_exe().expect("this very program");
    let mut command = Command::new(program);
    command.args(HUNTERS).env(VARIABLE, mutation).env("PROPTEST_CASES", "32");
    // What a deliberate bug breaks is no regression of the program's.
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
    let output = command.output().expect("the tests run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("test result:"), "the tests of {mutation} did not come to their end:\n{text}");
    let failed = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
    text.lines().filter_map(failed).collect()
}

#[test]
fn every_deliberate_bug_is_caught() {
    let (next, outcome) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((mutation, name)) = ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let catch = caught(*mutation, name);
                    outcome.lock().unwrap_or_else(PoisonError::into_inner).insert((*name, catch));
                }
            });
        }
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (name, catch) in &outcome {
        match catch {
            Catch::Day(violation) => println!("{name:<26}{violation}"),
            Catch::Tests(tests) => println!("{name:<26}tests: {}", tests.join(", ")),
            Catch::No => println!("{name:<26}not caught"),
        }
    }
    let free: Vec<_> = outcome.iter().filter(|(_, catch)| *catch == Catch::No).map(|(name, _)| name).collect();
    assert!(free.is_empty(), "not caught: {free:?}");
    assert_eq!(outcome.len(), ALL.len());
}
