//! Every event and every field that docs/logs.schema.json promises is one that a worker prints.
//!
//! tests/it keeps a record of what its workers printed. Cargo runs the tests of one file after those of the other, in the
//! order of their names, so the record is whole when this reads it; a test within tests/it can't know when that is.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Events that no test of the built program brings about, and why.
const UNSEEN: [(&str, &str); 1] = [(
    "lines_dropped",
    "ten thousand lines must wait for a reader; a unit test of src/log.rs has a reader that stalls, and reads the line",
)];

#[test]
fn every_documented_event_and_field_occurs_in_the_log_of_some_test() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.schema.json");
    let schema: Value =
        serde_json::from_slice(&std::fs::read(schema).expect("docs/logs.schema.json is there")).expect("it is JSON");
    let promised: BTreeSet<String> = schema["properties"]["event"]["enum"]
        .as_array()
        .expect("the events")
        .iter()
        .filter_map(Value::as_str)
        .flat_map(|event| {
            let fields = schema["$defs"][event]["properties"].as_object().expect("an event has fields");
            fields.keys().map(move |field| format!("{event} {field}"))
        })
        .collect();
    assert!(promised.len() > 200, "only {promised:?}");

    let record = Path::new(env!("CARGO_TARGET_TMPDIR")).join("log-fields-seen.txt");
    let record =
        std::fs::read_to_string(record).expect("no record of the workers' logs: run all tests, by `cargo test`");
    let seen: BTreeSet<String> = record.lines().map(str::to_owned).collect();

    let is_excused = |name: &str| UNSEEN.iter().any(|(event, _)| name.split(' ').next() == Some(event));
    let never: BTreeSet<_> = promised.difference(&seen).filter(|name| !is_excused(name)).collect();
    assert!(never.is_empty(), "promised, and in no log (was the whole of `cargo test` run?): {never:#?}");
    let stale: BTreeSet<_> = seen.iter().filter(|name| is_excused(name)).collect();
    assert!(stale.is_empty(), "said never to be seen, and seen: {stale:?}");
}
