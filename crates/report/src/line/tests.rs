use serde_json::{Map, json};

use super::*;

const LINE: &str = r#"{"timestamp":"2026-11-20T18:00:54.780Z","level":"INFO","event":"target_group_deleted","target_group":"g","message":"deleted","project":"p","cluster":"c","service":"s"}"#;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/logs.schema.json")).expect("the schema is JSON")
}

/// The smallest value that a property of the schema allows.
fn example_of(schema: &Value, property: &Value) -> Value {
    if let Some(reference) = property["$ref"].as_str() {
        let definition = schema.pointer(reference.trim_start_matches('#')).expect("the reference resolves");
        return example_of(schema, definition);
    }
    if let Some(alternatives) = property["oneOf"].as_array() {
        return example_of(schema, &alternatives[0]);
    }
    match &property["const"] {
        Value::Null => {}
        constant => return constant.clone(),
    }
    if let Some(values) = property["enum"].as_array() {
        return values[0].clone();
    }
    match property["type"].as_str().expect("the property has a type") {
        "string" if property["pattern"].is_string() => json!("2026-11-20T18:00:54.780Z"),
        "string" => json!("text"),
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "object" => json!({}),
        other => panic!("a property of type {other}"),
    }
}

/// A line of this event with the fields that the schema requires, and with the optional ones if asked for.
fn line_of(schema: &Value, event: &str, with_optional: bool) -> String {
    let definition = &schema["$defs"][event];
    let mut line = Map::new();
    for part in [schema, definition] {
        let required: Vec<&str> = part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            let is_wanted = property.is_object() && (with_optional || required.contains(&name.as_str()));
            if is_wanted {
                line.insert(name.clone(), example_of(schema, property));
            }
        }
    }
    line.insert("event".to_owned(), json!(event));
    Value::Object(line).to_string()
}

#[test]
fn parses_every_event_that_the_schema_documents() {
    let schema = schema();
    let events = schema["properties"]["event"]["enum"].as_array().expect("the schema lists the events");
    assert!(events.len() > 30, "{events:?}");
    for event in events.iter().map(|event| event.as_str().expect("a name")) {
        for with_optional in [false, true] {
            let line = line_of(&schema, event, with_optional);
            assert!(Line::parse(&line).is_ok(), "{:?}: {line}", Line::parse(&line));
        }
    }
}

#[test]
fn parses_every_example_in_the_documentation() {
    let documentation = include_str!("../../../../docs/logs.md");
    let examples: Vec<&str> = documentation.lines().filter(|line| line.starts_with('{')).collect();
    assert!(examples.len() > 20, "{} example(s)", examples.len());
    for example in examples {
        assert!(Line::parse(example).is_ok(), "{:?}: {example}", Line::parse(example));
    }
}

/// The values that `history` and `acts` compare with: a renamed one would go unnoticed otherwise.
#[test]
fn the_schema_documents_the_values_that_the_report_compares_with() {
    let schema = schema();
    let states = schema["$defs"]["FindingState"]["oneOf"].as_array().expect("the states of a finding");
    let states: Vec<&str> = states.iter().filter_map(|state| state["const"].as_str()).collect();
    assert_eq!(states, ["raised", "changed", "repeated", "cleared"]);
    let description = |event: &str, field: &str| {
        schema["$defs"][event]["properties"][field]["description"].as_str().expect("a description").to_owned()
    };
    for state in ["absent", "provisioning", "active"] {
        assert!(description("reconciled", "load_balancer_state").contains(&format!("`{state}`")), "{state}");
    }
    for state in ["healthy", "unhealthy", "draining"] {
        assert!(description("target_health_changed", "from").contains(&format!("`{state}`")), "{state}");
    }
}

#[test]
fn ignores_what_a_log_collector_puts_before_the_line() {
    let line = Line::parse(LINE).expect("a line");
    assert_eq!(Line::parse(&format!("2026-11-20T18:00:55Z worker-1 {LINE}\r")), Ok(line));
}

#[test]
fn the_identity_covers_all_fields_in_any_order() {
    let identity = |text: &str| Line::parse(text).expect("a line").identity;
    let reordered = LINE.replacen('{', r#"{ "level" : "INFO", "#, 1).replacen(r#","level":"INFO""#, "", 1);
    assert_ne!(reordered, LINE);
    assert_eq!(identity(&reordered), identity(LINE));
    for (from, to) in [("54.780Z", "54.781Z"), (r#"group":"g""#, r#"group":"h""#), ("INFO", "WARN")] {
        assert_ne!(identity(&LINE.replace(from, to)), identity(LINE), "{to}");
    }
}

#[test]
fn names_the_reason_why_a_line_is_left_out() {
    let with = |from: &str, to: &str| Line::parse(&LINE.replace(from, to));
    assert_eq!(Line::parse(""), Err(ParseError::Foreign));
    assert_eq!(Line::parse("START RequestId: 8476a536 Version: $LATEST"), Err(ParseError::Foreign));
    assert_eq!(Line::parse(r#"{"msg":"of another program"}"#), Err(ParseError::Foreign));
    assert_eq!(with("2026-11-20T", "yesterday "), Err(ParseError::Foreign));
    assert_eq!(Line::parse(&LINE[..90]), Err(ParseError::Truncated));
    assert_eq!(with("target_group_deleted", "tea_made"), Err(ParseError::UnknownEvent("tea_made".to_owned())));
    let unexpected = with("target_group_deleted", "lines_dropped");
    assert_eq!(unexpected, Err(ParseError::UnexpectedFields("lines_dropped".to_owned())));
    let deep = format!("{}{}", "{\"a\":".repeat(500), "}".repeat(500));
    assert_eq!(Line::parse(&deep), Err(ParseError::Foreign));
}
