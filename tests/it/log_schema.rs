//! Holds every line that the tests' workers print against docs/logs.schema.json, and keeps a record of the events and
//! fields that were seen; tests/log_occurrence.rs reads it when these tests are over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.schema.json");
    let text = std::fs::read_to_string(path).expect("docs/logs.schema.json is there");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("it is JSON")).expect("it is a schema")
});

/// What was seen in this run, and the file that says so: an event and a field a line.
struct Record {
    seen: BTreeSet<(String, String)>,
    file: File,
}

static RECORD: LazyLock<Mutex<Record>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("log-fields-seen.txt");
    let file = File::create(path).expect("the directory for the tests' files is writable");
    Mutex::new(Record { seen: BTreeSet::new(), file })
});

/// What is wrong with a line of the log.
pub fn faults_of(line: &Value) -> Vec<String> {
    let faults: Vec<_> =
        SCHEMA.iter_errors(line).map(|error| format!("{error} (at {:?})", error.instance_path().as_str())).collect();
    if faults.is_empty() {
        record(line);
    }
    faults
}

fn record(line: &Value) {
    let mut record = RECORD.lock().expect("not poisoned");
    let event = line["event"].as_str().unwrap_or_default();
    for field in line.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if record.seen.insert((event.to_owned(), field.clone())) {
            writeln!(record.file, "{event} {field}").expect("the record can be written");
        }
    }
}
