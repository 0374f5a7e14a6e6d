//! docs/logs.schema.json, made of the events' types and of what docs/logs.md says of their fields.
//!
//! With `JVB_WATCHER_WRITE_LOG_SCHEMA` set, the file is written instead of compared.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{COMMON, Documented, Section, documentation};
use crate::telemetry::log::{Event, Level};
use crate::telemetry::metrics::Metric;

const WRITE: &str = "JVB_WATCHER_WRITE_LOG_SCHEMA";

/// RFC 3339 in UTC with milliseconds.
const TIMESTAMP: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$";

/// The schema: a line's own fields by its event, and those that every line has.
fn schema() -> Value {
    let documentation = documentation();
    let mut of_events = schemars::schema_for!(Event).to_value();
    let mut definitions = of_events["$defs"].take().as_object().cloned().unwrap_or_default();
    let names = Metric::ALL.map(|metric| metric.definition().name);
    definitions["MetricDefinition"]["properties"]["Name"] = json!({ "enum": names });
    let levels = schemars::schema_for!(Level).to_value();
    let mut common = common(&documentation[COMMON], &levels);
    let mut choices = Vec::new();
    for variant in of_events["oneOf"].as_array().expect("one schema an event") {
        let name = variant["properties"]["event"]["const"].as_str().expect("an event has a name");
        definitions.insert(name.to_owned(), of_event(name, variant, &documentation[name], &common));
        choices.push(json!({
            "if": { "properties": { "event": { "const": name } } },
            "then": { "$ref": format!("#/$defs/{name}") },
        }));
    }
    common["event"]["enum"] =
        choices.iter().map(|choice| choice["if"]["properties"]["event"]["const"].clone()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of jvb-watcher's log",
        "description": "What docs/logs.md says, for programs. Every field is here, and no line has another.",
        "type": "object",
        "required": common.keys().collect::<Vec<_>>(),
        "properties": common,
        "allOf": choices,
        "$defs": definitions,
    })
}

/// The fields that every line has.
fn common(section: &Section, levels: &Value) -> Map<String, Value> {
    let field = |(name, documented): (&String, &Documented)| {
        let mut property = json!({ "type": "string", "minLength": 1, "description": documented.meaning });
        match name.as_str() {
            "timestamp" => property["pattern"] = TIMESTAMP.into(),
            "level" => {
                let names = levels["oneOf"].as_array().expect("the levels").iter().map(|level| level["const"].clone());
                property["enum"] = names.collect();
            }
            _ => {}
        }
        (name.clone(), property)
    };
    section.fields.iter().map(field).collect()
}

fn of_event(name: &str, variant: &Value, section: &Section, common: &Map<String, Value>) -> Value {
    let mut properties: Map<_, _> = common.keys().map(|field| (field.clone(), Value::Bool(true))).collect();
    for (field, property) in variant["properties"].as_object().expect("an event is an object") {
        let mut property = property.clone();
        // A field whose value isn't known is left out, and never null.
        if let Some(kinds) = property["type"].as_array() {
            property["type"] = kinds[0].clone();
        }
        if let Some(documented) = section.fields.get(field) {
            property["description"] = documented.meaning.clone().into();
        }
        if field != "event" {
            properties.insert(field.clone(), property);
        }
    }
    if name == "metrics" {
        properties.extend(Metric::ALL.map(|metric| {
            let definition = metric.definition();
            let of_values = json!({ "type": "array", "items": { "type": "integer", "minimum": 0 } });
            let of_one = json!({ "type": "number", "minimum": 0 });
            let property = json!({ "description": definition.help, "oneOf": [of_one, of_values] });
            (definition.name.to_owned(), property)
        }));
    }
    let own = variant["required"].as_array().into_iter().flatten();
    let required: Vec<_> = own.filter(|field| *field != "event").collect();
    json!({
        "description": section.summary,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

#[test]
fn the_schema_is_what_the_events_and_their_documentation_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.schema.json");
    let text = format!("{:#}\n", schema());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &text).expect("docs/logs.schema.json can be written");
    }
    let stands = std::fs::read_to_string(&path).expect("docs/logs.schema.json is there");
    let differs = text.lines().zip(stands.lines()).find(|(made, stands)| made != stands);
    assert!(
        stands == text,
        "docs/logs.schema.json isn't what the events give ({differs:?}): \
         `{WRITE}=1 cargo test --lib log::tests::schema` writes it"
    );
}

#[test]
fn every_example_is_as_the_schema_has_it() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    for (name, section) in documentation().into_iter().filter(|(name, _)| name != COMMON) {
        let example: Value = serde_json::from_str(&section.example.expect("an example")).expect("JSON");
        let faults: Vec<_> = validator.iter_errors(&example).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
}

#[test]
fn a_line_with_anything_else_in_it_is_not() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let example = documentation().remove("reconciled").and_then(|section| section.example).expect("an example");
    let line: Value = serde_json::from_str(&example).expect("JSON");
    assert!(validator.is_valid(&line));
    for (field, value) in [
        ("unheard_of", json!(1)),
        ("event", json!("unheard_of")),
        ("desired", json!("one")),
        ("desired", Value::Null),
        ("level", json!("LOUD")),
        ("project", json!("")),
        ("timestamp", json!("2026-11-20T18:00:54Z")),
    ] {
        let mut other = line.clone();
        other[field] = value.clone();
        assert!(!validator.is_valid(&other), "{field} as {value} went through");
    }
    for field in ["timestamp", "event", "message", "desired"] {
        let mut other = line.clone();
        other.as_object_mut().expect("an object").remove(field);
        assert!(!validator.is_valid(&other), "it went through without {field}");
    }
}
