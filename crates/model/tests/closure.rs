//! The scenarios that close within seconds, and the deliberate bugs. The program explores the others.

use jvb_watcher_model::bug::Bug;
use jvb_watcher_model::exploration::explore;
use jvb_watcher_model::model::{BEFORE_DELETION, BEFORE_MARK, BY_HAND, TeardownModel};
use jvb_watcher_model::progress;
use jvb_watcher_model::scenario::Scenario;

fn model(name: &str, bug: Option<Bug>) -> TeardownModel {
    TeardownModel { scenario: Scenario::named(name).expect("a scenario"), bug }
}

/// Explores a scenario to closure; returns the windows that are reached.
fn windows_of(name: &str) -> Vec<&'static str> {
    let found = explore(model(name, None));
    assert_eq!(found.violation, None, "{name}");
    found.windows.into_iter().map(|(window, _)| window).collect()
}

#[test]
fn no_guarantee_is_broken_and_each_window_is_reached() {
    assert_eq!(windows_of("disowned"), [""; 0]);
    assert_eq!(windows_of("missing"), [BEFORE_DELETION]);
    assert_eq!(windows_of("others"), [BEFORE_DELETION]);
    assert_eq!(windows_of("scale"), [BEFORE_DELETION]);
    assert_eq!(windows_of("by-hand"), [BY_HAND, BEFORE_DELETION]);
    assert_eq!(windows_of("hold"), [BEFORE_MARK, BEFORE_DELETION]);
    assert_eq!(windows_of("stop-hold"), [BEFORE_MARK, BEFORE_DELETION]);
    assert_eq!(windows_of("up"), [BEFORE_DELETION]);
}

#[test]
fn a_working_watcher_can_end_every_teardown() {
    for name in ["by-hand", "disowned", "hold", "missing", "others", "scale", "stop-hold"] {
        let found = progress::check(&model(name, None));
        assert_eq!(found.stuck, 0, "{name}: {:#?}", found.example);
    }
}

#[test]
fn every_deliberate_bug_is_found() {
    for bug in Bug::ALL.iter().copied() {
        let model = model(bug.scenario(), Some(bug));
        let is_found = explore(model.clone()).violation.is_some() || progress::check(&model).stuck > 0;
        assert!(is_found, "{bug}: {}", bug.description());
    }
}
