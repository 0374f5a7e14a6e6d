//! docs/incidents.md and docs/guarantees.md: every incident and every guarantee names tests, and every named test exists.

use std::collections::BTreeSet;
use std::path::Path;

/// Returns the cells of each row of the table, without its heading.
fn rows(page: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = page.lines().filter(|line| line.starts_with("| ")).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Returns the names in backquotes.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Adds the names of the test functions below a folder: those with a test attribute, and those that take an emulator (see
/// `stage.rs`).
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[") {
                    is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                    continue;
                }
                let signature = line.trim_start_matches("async ").strip_prefix("fn ");
                if let Some(name) = signature
                    .and_then(|signature| signature.split('(').next())
                    .filter(|_| is_test || line.contains("(aws: Aws)"))
                {
                    found.insert(name.to_owned());
                }
                is_test &= line.starts_with("//");
            }
        }
    }
}

fn all_tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for folder in ["crates", "src", "tests"] {
        tests_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut tests);
    }
    tests
}

#[test]
fn every_guarantee_names_existing_tests() {
    let tests = all_tests();
    let rows = rows("guarantees.md");
    assert_eq!(rows.len(), 7, "{rows:?}");
    for (row, number) in rows.iter().zip(1..) {
        let [guarantee, _types, properties, model, simulation, processes, _audit] = row.as_slice() else {
            panic!("seven cells in {row:?}")
        };
        assert_eq!(*guarantee, number.to_string());
        assert!(!names(simulation).is_empty() && !names(processes).is_empty(), "{guarantee}: names no test");
        // The model's cell names commands, too.
        let named = [properties, model, simulation, processes].into_iter().flat_map(|cell| names(cell));
        for name in named.filter(|name| name.contains('_')) {
            assert!(tests.contains(name), "{guarantee}: the test {name} doesn't exist");
        }
    }
}

#[test]
fn every_incident_names_existing_tests() {
    let tests = all_tests();
    let rows = rows("incidents.md");
    assert_eq!(rows.len(), 10, "{rows:?}");
    for row in rows {
        let [what, place, named] = row.as_slice() else { panic!("three cells in {row:?}") };
        assert!(place.contains(" #"), "{what}: {place} is not a report");
        assert!(!names(named).is_empty(), "{what}: names no test");
        for name in names(named) {
            assert!(tests.contains(name), "{what}: the test {name} doesn't exist");
        }
    }
}
