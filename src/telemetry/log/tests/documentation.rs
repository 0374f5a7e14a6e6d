//! docs/logs.md, generated from the events' doc comments and the examples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::examples::{examples, noted_at};
use super::{log_to, name_of};
use crate::telemetry::log::{Event, Format, Level};
use crate::telemetry::tests::{assert_generated, read};

/// The line of docs/logs.md below which everything is generated.
const MARKER: &str =
    "<!-- Generated from src/telemetry/log/catalogue.rs by .ci/write-docs; don't edit below this line. -->\n";

/// An event and its fields.
pub struct Section {
    /// The event's name.
    pub event: String,
    /// The event's doc comment.
    pub summary: String,
    /// The event's own fields.
    pub fields: Vec<Field>,
}

/// A field of an event.
pub struct Field {
    /// The field's name.
    pub name: String,
    /// The JSON type.
    pub kind: String,
    /// True if the field is absent when it has no value.
    pub optional: bool,
    /// The values that the field is limited to.
    pub values: Vec<String>,
    /// The field's doc comment.
    pub meaning: String,
}

/// Returns all events, in the order of the catalogue.
pub fn sections() -> Vec<Section> {
    let schema = schemars::schema_for!(Event).to_value();
    let variants = schema["oneOf"].as_array().expect("a schema for each event");
    variants.iter().map(|variant| section(&schema, variant)).collect()
}

fn section(schema: &Value, variant: &Value) -> Section {
    let required: Vec<_> = variant["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = variant["properties"].as_object().expect("an event is an object");
    let event = properties["event"]["const"].as_str().expect("an event has a name").to_owned();
    let fields = properties.iter().filter(|(name, _)| *name != "event").map(|(name, property)| {
        let (kind, values) = kind_and_values(schema, property);
        Field {
            name: name.clone(),
            kind,
            optional: !required.contains(&name.as_str()),
            values,
            meaning: description(property),
        }
    });
    Section { summary: description(variant), fields: fields.collect(), event }
}

/// Returns a doc comment as one line.
fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind_and_values(schema: &Value, property: &Value) -> (String, Vec<String>) {
    let property = match property["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).expect("a definition"),
        None => property,
    };
    let constants = property["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["const"].as_str());
    let listed = property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let values: Vec<_> = constants.chain(listed).map(str::to_owned).collect();
    let kind = match &property["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds[0].as_str().expect("a type's name").to_owned(),
        _ if !values.is_empty() => "string".to_owned(),
        other => panic!("a property without a type: {property} ({other})"),
    };
    (kind, values)
}

impl Field {
    /// Returns the field's row of the table.
    fn row(&self) -> String {
        let Self { name, kind, optional, values, meaning } = self;
        let optional = if *optional { ", optional" } else { "" };
        let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
        let list = match values.split_last() {
            // The meaning explains the values already.
            _ if values.iter().all(|value| meaning.contains(value)) => String::new(),
            Some((last, others)) => format!(": {} or {last}", others.join(", ")),
            None => String::new(),
        };
        // The list of values stands before the explanation of some of them.
        let (meaning, explanation) = meaning.split_once("; ").map_or((meaning.as_str(), ""), |(a, b)| (a, b));
        let separator = if explanation.is_empty() { "" } else { "; " };
        format!("| `{name}` | {kind}{optional} | {meaning}{list}{separator}{explanation} |\n")
    }
}

/// Returns the documentation of an event.
fn text(section: &Section, example: &str) -> String {
    let Section { event, summary, fields } = section;
    let mut text = format!("\n## {event}\n\n{summary}\n\n| field | type | meaning |\n| --- | --- | --- |\n");
    // The order of the line; fields that the example lacks come last.
    let position = |field: &Field| example.find(&format!("\"{}\":", field.name)).unwrap_or(usize::MAX);
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|field| position(field));
    fields.into_iter().for_each(|field| text.push_str(&field.row()));
    let _ = write!(text, "\n```json\n{example}\n```\n");
    text
}

/// Returns the line of an example.
pub fn line(event: &Event) -> String {
    log_to(|log| log.emit(event), noted_at(), Format::Json, Level::Debug).trim_end().to_owned()
}

#[test]
fn documents_every_event() {
    let examples: BTreeMap<_, _> = examples().iter().rev().map(|event| (name_of(event), line(event))).collect();
    let page = read("logs.md");
    let (before, _) = page.split_once(MARKER).expect("docs/logs.md has the marker");
    let mut generated = format!("{before}{MARKER}");
    for section in sections() {
        let example = examples.get(&section.event).unwrap_or_else(|| panic!("{} has no example", section.event));
        generated.push_str(&text(&section, example));
    }
    assert_generated("logs.md", &generated);
}

#[test]
fn every_field_has_a_meaning_and_every_event_its_level() {
    for Section { event, summary, fields } in sections() {
        assert!(summary.contains("Level: "), "the doc comment of {event} doesn't end with its level");
        for Field { name, meaning, .. } in fields {
            assert!(!meaning.is_empty(), "{event}.{name} has no doc comment");
            assert!(!meaning.ends_with('.'), "the meaning of {event}.{name} ends with a full stop");
        }
    }
}

#[test]
fn the_documented_level_is_that_of_the_example() {
    let summaries: BTreeMap<_, _> = sections().into_iter().map(|section| (section.event, section.summary)).collect();
    for event in examples() {
        let (name, level) = (name_of(&event), event.level().as_str());
        let (_, documented) = summaries[&name].rsplit_once("Level: ").expect("a level");
        assert!(documented.contains(level) || name == "diagnostic", "{name} has level {level}, not {documented}");
    }
}

#[test]
fn a_field_has_one_type_in_every_event() {
    let mut kinds = BTreeMap::new();
    for Section { event, fields, .. } in sections() {
        for Field { name, kind, .. } in fields {
            let (first, known) = kinds.entry(name.clone()).or_insert_with(|| (event.clone(), kind.clone()));
            assert_eq!(*known, kind, "{name} in {first} and in {event}");
        }
    }
}
