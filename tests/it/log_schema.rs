//! Validates every log line of the tests against docs/logs.schema.json, and records which events and fields occur.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).expect("docs/logs.schema.json is a schema"));

static OCCURRED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.schema.json");
    let text = std::fs::read_to_string(path).expect("docs/logs.schema.json exists");
    serde_json::from_str(&text).expect("docs/logs.schema.json is JSON")
}

/// Returns how a line violates the schema.
pub fn violations(line: &Value) -> Vec<String> {
    let violations: Vec<_> =
        VALIDATOR.iter_errors(line).map(|error| format!("{error} (at {:?})", error.instance_path().as_str())).collect();
    if violations.is_empty() {
        record(line);
    }
    violations
}

fn record(line: &Value) {
    let event = line["event"].as_str().unwrap_or_default();
    let fields = line.as_object().into_iter().flat_map(|fields| fields.keys());
    OCCURRED.lock().expect("not poisoned").extend(fields.map(|field| format!("{event}.{field}")));
}

/// Returns the events and fields that have occurred so far, as `event.field`.
#[cfg(all(feature = "sandbox", feature = "lambda"))]
pub fn occurred() -> BTreeSet<String> {
    OCCURRED.lock().expect("not poisoned").clone()
}
