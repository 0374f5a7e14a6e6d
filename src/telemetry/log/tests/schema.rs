//! docs/logs.schema.json, generated from the events' types and doc comments.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::documentation::{Section, line, sections};
use super::examples::examples;
use super::name_of;
use crate::telemetry::log::{Event, Level};
use crate::telemetry::metrics::Metric;
use crate::telemetry::tests::{assert_generated, read};

/// RFC 3339 in UTC with milliseconds.
const TIMESTAMP: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$";

/// Returns the schema of a line: the fields of its event, and those that every line has.
fn schema() -> Value {
    let mut of_events = schemars::schema_for!(Event).to_value();
    let mut definitions = of_events["$defs"].take().as_object().cloned().unwrap_or_default();
    let names = Metric::ALL.map(|metric| metric.definition().name);
    definitions["MetricDefinition"]["properties"]["Name"] = json!({ "enum": names });
    let levels = schemars::schema_for!(Level).to_value();
    let mut common = common(&levels);
    let mut choices = Vec::new();
    for (section, variant) in sections().iter().zip(of_events["oneOf"].as_array().expect("a schema for each event")) {
        let name = &section.event;
        definitions.insert(name.clone(), of_event(section, variant, &common));
        choices.push(json!({
            "if": { "properties": { "event": { "const": name } } },
            "then": { "$ref": format!("#/$defs/{name}") },
        }));
    }
    common["event"]["enum"] = sections().into_iter().map(|section| section.event).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of jvb-watcher's log",
        "description": "docs/logs.md as a schema. It has every field, and no line has another.",
        "type": "object",
        "required": common.keys().collect::<Vec<_>>(),
        "properties": common,
        "allOf": choices,
        "$defs": definitions,
    })
}

/// Returns the fields that every line has, as the section "Every line" of docs/logs.md lists them.
fn common(levels: &Value) -> Map<String, Value> {
    let page = read("logs.md");
    let (_, section) = page.split_once("\n## Every line\n").expect("docs/logs.md has the section");
    let (section, _) = section.split_once("\n<!--").expect("docs/logs.md has the marker");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | string | ").expect("a name and a type");
        let meaning = rest.trim_end_matches('|').trim();
        let mut property = json!({ "type": "string", "minLength": 1, "description": meaning });
        match name {
            "timestamp" => property["pattern"] = TIMESTAMP.into(),
            "level" => {
                let names = levels["oneOf"].as_array().expect("the levels").iter().map(|level| level["const"].clone());
                property["enum"] = names.collect();
            }
            _ => {}
        }
        (name.to_owned(), property)
    })
    .collect()
}

fn of_event(section: &Section, variant: &Value, common: &Map<String, Value>) -> Value {
    let mut properties: Map<_, _> = common.keys().map(|field| (field.clone(), Value::Bool(true))).collect();
    let meanings: BTreeMap<_, _> = section.fields.iter().map(|field| (&field.name, &field.meaning)).collect();
    for (field, property) in variant["properties"].as_object().expect("an event is an object") {
        let mut property = property.clone();
        // A field without a value is absent, and never null.
        if let Some(kinds) = property["type"].as_array() {
            property["type"] = kinds[0].clone();
        }
        if let Some(meaning) = meanings.get(field) {
            property["description"] = (*meaning).clone().into();
            properties.insert(field.clone(), property);
        }
    }
    if section.event == "metrics" {
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
fn the_schema_is_up_to_date() {
    assert_generated("logs.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn accepts_every_example() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    for event in examples() {
        let example: Value = serde_json::from_str(&line(&event)).expect("JSON");
        let errors: Vec<_> = validator.iter_errors(&example).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", name_of(&event));
    }
}

#[test]
fn rejects_other_fields_and_values() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let example = examples().into_iter().find(|event| name_of(event) == "reconciled").expect("an example");
    let example: Value = serde_json::from_str(&line(&example)).expect("JSON");
    assert!(validator.is_valid(&example));
    for (field, value) in [
        ("unheard_of", json!(1)),
        ("event", json!("unheard_of")),
        ("desired", json!("one")),
        ("desired", Value::Null),
        ("level", json!("LOUD")),
        ("project", json!("")),
        ("timestamp", json!("2026-11-20T18:00:54Z")),
    ] {
        let mut other = example.clone();
        other[field] = value.clone();
        assert!(!validator.is_valid(&other), "accepts {value} for {field}");
    }
    for field in ["timestamp", "event", "message", "desired"] {
        let mut other = example.clone();
        other.as_object_mut().expect("an object").remove(field);
        assert!(!validator.is_valid(&other), "accepts a line without {field}");
    }
}
