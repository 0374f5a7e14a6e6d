//! Every deliberate bug must be caught: by a day, or, if no day shows it, by an example or by the product's own tests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::examples::{EXAMPLES, Example};
use jvb_watcher_simulation::bugs::{Bug, Injection};
use jvb_watcher_simulation::day::fleet::Fleet;
use jvb_watcher_simulation::day::{Day, Options};

/// The number of days in which a bug must show, from seed 1 on.
const DAYS: u64 = 60;

/// The bugs that only a fleet can show, and the number of its days in which those must that no example catches.
const OF_FLEETS: [Bug; 3] =
    [Bug::DeleteMessagesOfOtherServices, Bug::ReconcileOneAtATime, Bug::TrustSearchOfOtherServices];
const FLEET_DAYS: u64 = 16;

/// Days that show bugs which few days show. They are played first, since the days before them take most of the time; when
/// one no longer shows its bug, the search begins at seed 1.
const SHOWN_BY: [(Bug, u64); 12] = [
    (Bug::IgnoreDeadlines, 54),
    (Bug::IgnoreLease, 38),
    (Bug::HurryForTargetsOfOthers, 27),
    (Bug::IgnoreTargetsOfOthers, 27),
    (Bug::TreatUnknownUsageAsUnused, 23),
    (Bug::ExtendWindowToNow, 21),
    (Bug::KeepMarkAcrossHold, 18),
    (Bug::IgnoreOwnerTag, 16),
    (Bug::IgnoreFailedWrites, 10),
    (Bug::TreatMissingAsIdle, 9),
    (Bug::NoUnusedGrace, 8),
    (Bug::StopAfterFailure, 8),
];

/// The directory of the patch files.
const PATCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bugs");

fn example(bug: Bug) -> Option<(&'static str, Example)> {
    EXAMPLES.iter().find(|(caught, ..)| *caught == bug).map(|(_, name, example)| (*name, *example))
}

/// Returns the days that are known to show a bug.
pub fn seeds_of(bug: Bug) -> impl Iterator<Item = u64> {
    SHOWN_BY.iter().filter(move |(shown, _)| *shown == bug).map(|(_, seed)| *seed)
}

/// Returns how a bug is caught, if it is.
fn catch(bug: Bug) -> Option<String> {
    if let Some((name, example)) = example(bug) {
        return example(Some(bug)).err().map(|_| format!("example {name}"));
    }
    let options = Options { bug: Some(bug), ..Options::default() };
    if OF_FLEETS.contains(&bug) {
        return (1..=FLEET_DAYS).find_map(|seed| {
            let report = Fleet::draw(seed).play(options);
            report.violations.first().map(|violation| format!("fleet {seed}: {violation}"))
        });
    }
    seeds_of(bug).chain(1..=DAYS).find_map(|seed| {
        let report = Day::draw(seed).play(options);
        report.violations.first().map(|violation| format!("day {seed}: {violation}"))
    })
}

#[test]
fn every_injected_bug_is_caught() {
    let bugs: Vec<_> = Bug::ALL.iter().copied().filter(|bug| bug.injection() != Injection::Patch).collect();
    let (next, outcome) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let caught = catch(*bug);
                    outcome.lock().unwrap_or_else(PoisonError::into_inner).insert(*bug, caught);
                }
            });
        }
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (bug, caught) in &outcome {
        println!("{:<32}{}", format!("{bug:?}"), caught.as_deref().unwrap_or("not caught"));
    }
    let missed: Vec<_> = outcome.iter().filter(|(_, caught)| caught.is_none()).map(|(bug, _)| bug).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    assert_eq!(outcome.len(), bugs.len());
}

/// A bug of fleets is none of a single service: its day is the same with it and without it.
#[test]
fn a_single_service_shows_no_bug_of_fleets() {
    let history = |bug| Day::draw(3).play(Options { history: true, bug, ..Options::default() }).history;
    let without = history(None);
    for bug in OF_FLEETS {
        assert!(history(Some(bug)) == without, "{bug:?}");
    }
}

/// A patch file, and the arguments of `cargo test` that run the tests which catch it.
struct Patch {
    path: PathBuf,
    tests: String,
}

/// Returns the patch of a bug: its file is named after it.
fn patch(bug: Bug) -> Patch {
    let mut name = String::new();
    for character in format!("{bug:?}").chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(character.to_lowercase());
    }
    let path = Path::new(PATCHES).join(name).with_extension("patch");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.starts_with(bug.description()), "{} begins with another description", path.display());
    let tests = text.lines().find_map(|line| line.strip_prefix("Tests: ")).expect("a line with the tests").to_owned();
    Patch { path, tests }
}

/// `bugs/hunt` runs the tests that catch the patches; here they must apply.
#[test]
fn every_patch_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
    let patches: Vec<_> =
        Bug::ALL.iter().filter(|bug| bug.injection() == Injection::Patch).map(|bug| patch(*bug)).collect();
    for Patch { path, .. } in &patches {
        let checked = Command::new("git").arg("apply").arg("--check").arg(path).current_dir(&root).output();
        let output = checked.expect("git is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} doesn't apply to the sources: {error}", path.display());
    }
    let files = std::fs::read_dir(PATCHES).expect("the patches").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
    assert_eq!(files.count(), patches.len(), "a patch of no bug");
}

/// Returns the table of the bugs in the README.
fn table() -> String {
    let mut table = "| bug | what it does | injected into | caught by |\n| --- | --- | --- | --- |\n".to_owned();
    for bug in Bug::ALL {
        let caught_by = match (bug.injection(), example(*bug)) {
            (Injection::Patch, _) => format!("`cargo test {}`", patch(*bug).tests),
            (_, Some((name, _))) => format!("the example `{name}`"),
            (_, None) if OF_FLEETS.contains(bug) => "a day of a fleet".to_owned(),
            (_, None) => "a day".to_owned(),
        };
        let row = writeln!(table, "| `{bug:?}` | {} | the {} | {caught_by} |", bug.description(), bug.injection());
        row.expect("a string takes all");
    }
    table
}

#[test]
fn the_readme_lists_every_bug() {
    let readme = include_str!("../../README.md");
    let table = table();
    assert!(readme.contains(&table), "the table in README.md is out of date; it should be\n\n{table}");
}
