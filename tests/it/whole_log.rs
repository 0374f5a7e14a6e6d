//! Checks that every documented event and field occurs in the log of a test.
//!
//! The check runs concurrently with the tests whose logs it needs, and waits for them. It passes only if everything has
//! occurred in this process, whatever the order of the tests; its name makes it start last, so that it occupies no test
//! thread before.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::log_schema::{occurred, schema};

/// Events that no test of the built program causes, and the reason.
const EXEMPT: [(&str, &str); 1] =
    [("lines_dropped", "needs ten thousand lines that wait for a reader; a unit test of the log has a stalled reader")];

/// The time limit for the other tests.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Returns the names of the tests that this program runs with these arguments.
fn selected(arguments: impl Iterator<Item = String>) -> BTreeSet<String> {
    let program = std::env::current_exe().expect("the test program has a path");
    let output = Command::new(program).args(arguments).arg("--list").output().expect("the test program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// Returns the documented fields, as `event.field`.
fn documented() -> BTreeSet<String> {
    let schema = schema();
    let events = schema["properties"]["event"]["enum"].as_array().expect("the events").iter().filter_map(Value::as_str);
    let fields = |event: &str| {
        let fields = schema["$defs"][event]["properties"].as_object().expect("an event has fields");
        fields.keys().map(|field| format!("{event}.{field}")).collect::<Vec<_>>()
    };
    events.flat_map(fields).collect()
}

fn is_exempt(name: &str) -> bool {
    EXEMPT.iter().any(|(event, _)| name.split('.').next() == Some(event))
}

#[test]
fn every_documented_event_and_field_occurs() {
    let all = selected(std::iter::empty());
    let selected = selected(std::env::args().skip(1));
    assert!(all.len() > 100, "only {all:?}");
    let left_out = all.difference(&selected).count();
    assert_eq!(left_out, 0, "this test needs all tests of this program; run `cargo test --test it` without a filter");

    let documented: BTreeSet<_> = documented().into_iter().filter(|name| !is_exempt(name)).collect();
    assert!(documented.len() > 200, "only {documented:?}");
    let start = Instant::now();
    loop {
        let occurred = occurred();
        let exempt: Vec<_> = occurred.iter().filter(|name| is_exempt(name)).collect();
        assert!(exempt.is_empty(), "exempt, but occurs: {exempt:?}");
        let missing: Vec<_> = documented.difference(&occurred).collect();
        if missing.is_empty() {
            break;
        }
        assert!(start.elapsed() < LIMIT, "documented, but in no log of a test: {missing:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
