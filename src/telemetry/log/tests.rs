//! docs/logs.md and the program, held together in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use super::*;
use crate::clock::Clock;

mod schema;

/// What the documentation says of one event.
#[derive(Debug, Default)]
struct Section {
    /// The paragraph under the heading.
    summary: String,
    fields: BTreeMap<String, Documented>,
    example: Option<String>,
}

#[derive(Debug)]
struct Documented {
    kind: String,
    optional: bool,
    meaning: String,
}

const COMMON: &str = "Every line";

/// A heading that is no event's.
const QUERIES: &str = "Ready queries";

impl Section {
    fn is_beginning(&self) -> bool {
        self.fields.is_empty() && self.example.is_none()
    }
}

fn is_prose(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['|', '`', '{'])
}

fn documentation() -> BTreeMap<String, Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    let text = std::fs::read_to_string(path).expect("docs/logs.md is there");
    let mut sections = BTreeMap::<String, Section>::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            name = heading.to_owned();
            sections.insert(name.clone(), Section::default());
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<_> = row.trim_end_matches('|').splitn(4, '|').map(str::trim).collect();
            let [field, kind, _unit, meaning] = cells.as_slice() else { panic!("a row of {name}: {line}") };
            let documented = Documented {
                kind: kind.trim_end_matches(", optional").to_owned(),
                optional: kind.ends_with(", optional"),
                meaning: (*meaning).to_owned(),
            };
            let section = sections.get_mut(&name).expect("a table stands under a heading");
            section.fields.insert(field.trim_end_matches('`').to_owned(), documented);
        } else if let Some(section) = sections.get_mut(&name).filter(|section| section.is_beginning() && is_prose(line))
        {
            let space = if section.summary.is_empty() { "" } else { " " };
            section.summary = format!("{}{space}{line}", section.summary);
        } else if line.starts_with('{') {
            sections.get_mut(&name).expect("an example stands under a heading").example = Some(line.to_owned());
        }
    }
    sections.remove(QUERIES);
    sections
}

/// What the program can write: event by event, the fields with their type, whether they may be absent, and the values
/// that they are limited to.
struct Field {
    kind: String,
    optional: bool,
    values: Vec<String>,
}

fn events() -> BTreeMap<String, BTreeMap<String, Field>> {
    let schema = schemars::schema_for!(Event).to_value();
    let variants = schema["oneOf"].as_array().expect("one schema an event");
    let of_variant = |variant: &Value| {
        let required: BTreeSet<_> =
            variant["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = variant["properties"].as_object().expect("an event is an object");
        let name = properties["event"]["const"].as_str().expect("an event has a name").to_owned();
        let fields = properties.iter().filter(|(name, _)| *name != "event").map(|(name, property)| {
            let (kind, values) = kind_and_values(&schema, property);
            (name.clone(), Field { kind, optional: !required.contains(name.as_str()), values })
        });
        (name, fields.collect())
    };
    variants.iter().map(of_variant).collect()
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

#[test]
fn every_event_is_documented_and_nothing_else() {
    let documented: BTreeSet<_> = documentation().into_keys().filter(|name| name != COMMON).collect();
    assert_eq!(documented, events().into_keys().collect());
}

#[test]
fn every_field_is_documented_with_its_type_and_nothing_else() {
    let documentation = documentation();
    for (event, fields) in events() {
        let section = &documentation[&event];
        let documented: BTreeSet<_> = section.fields.keys().collect();
        assert_eq!(documented, fields.keys().collect(), "the fields of {event}");
        for (name, field) in &fields {
            let documented = &section.fields[name];
            assert_eq!(documented.kind, field.kind, "the type of {event}.{name}");
            assert_eq!(documented.optional, field.optional, "whether {event}.{name} is optional");
            for value in &field.values {
                let listed = documented.meaning.contains(&format!("`{value}`"));
                assert!(listed, "{event}.{name} can be {value}, which its meaning doesn't say");
            }
        }
    }
}

#[test]
fn a_field_has_one_type_in_every_event() {
    let mut kinds = BTreeMap::new();
    for (event, fields) in events() {
        for (name, field) in fields {
            let (first, kind) = kinds.entry(name.clone()).or_insert_with(|| (event.clone(), field.kind.clone()));
            assert_eq!(*kind, field.kind, "{name} in {first} and in {event}");
        }
    }
}

struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Lines(mpsc::Sender<Vec<u8>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a log of this format and level writes for an event.
fn written(event: &Event, at: &str, format: Format, level: Level) -> String {
    let (sender, lines) = mpsc::channel();
    let identity =
        Identity { project: "jitsi".into(), cluster: "jitsi-cluster".into(), service: "jitsi-service".into() };
    let clock = Arc::new(Fixed(at.parse().expect("an instant")));
    let output = Output::direct(Box::new(Lines(sender)));
    Log::new(LogConfig { identity, format, level, clock, output }).emit(event);
    String::from_utf8(lines.try_iter().flatten().collect()).expect("text")
}

/// The event of which a line tells, with what the line has only in words put back.
fn event_of(line: &Map<String, Value>, common: &BTreeSet<String>) -> Event {
    let own = line.iter().filter(|(field, _)| *field == "event" || !common.contains(*field));
    let own: Map<_, _> = own.map(|(field, value)| (field.clone(), value.clone())).collect();
    let mut event: Event = serde_json::from_value(Value::Object(own)).expect("an event");
    let level = serde_json::from_value(line["level"].clone()).expect("a level");
    match &mut event {
        Event::PollFailed { failure } | Event::ReconcileFailed { failure } | Event::PublishFailed { failure, .. } => {
            failure.severity = level
        }
        Event::Diagnostic { severity, text, .. } => {
            *severity = level;
            *text = line["message"].as_str().expect("a message").to_owned();
        }
        _ => {}
    }
    event
}

#[test]
fn every_example_is_a_line_that_the_program_writes() {
    let documentation = documentation();
    let common: BTreeSet<_> = documentation[COMMON].fields.keys().cloned().collect();
    for (name, section) in documentation.iter().filter(|(name, _)| *name != COMMON) {
        let example = section.example.as_ref().unwrap_or_else(|| panic!("{name} has no example"));
        let line: Map<String, Value> = serde_json::from_str(example).expect("JSON");
        assert_eq!(line["event"], **name);
        let timestamp = line["timestamp"].as_str().expect("a timestamp");
        let written = written(&event_of(&line, &common), timestamp, Format::Json, Level::Debug);
        let written: Map<String, Value> = serde_json::from_str(&written).expect("JSON");
        assert_eq!(Value::Object(written), Value::Object(line.clone()), "the example of {name}");
        for key in &common {
            assert!(line.contains_key(key), "the example of {name} lacks {key}");
        }
    }
}

fn diagnostic(severity: Level, text: &str) -> Event {
    Event::Diagnostic { severity, target: "library".into(), text: text.into() }
}

const AT: &str = "2026-11-20T18:00:54.7809Z";

#[test]
fn timestamps_are_utc_with_milliseconds() {
    let line = written(&diagnostic(Level::Info, "x"), AT, Format::Json, Level::Info);
    assert!(
        line.starts_with(r#"{"timestamp":"2026-11-20T18:00:54.780Z","level":"INFO","event":"diagnostic""#),
        "{line}"
    );
}

#[test]
fn a_level_silences_what_is_less_grave() {
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
    for wanted in levels {
        for said in levels {
            let line = written(&diagnostic(said, "x"), AT, Format::Json, wanted);
            assert_eq!(line.is_empty(), said > wanted, "{said:?} at {wanted:?}");
        }
    }
}

#[test]
fn a_line_is_one_line_whatever_it_says() {
    for format in [Format::Json, Format::Pretty { colour: Colour::Off }, Format::Pretty { colour: Colour::On }] {
        let line = written(&diagnostic(Level::Warn, "a\nb\r\u{1b}[2Jc\u{0}"), AT, format, Level::Info);
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(line.ends_with('\n'));
        assert!(!line.contains("\u{1b}[2J"), "{line:?}");
    }
}

#[test]
fn colours_come_only_when_asked_for() {
    let coloured =
        |colour| written(&diagnostic(Level::Error, "x"), AT, Format::Pretty { colour }, Level::Info).contains('\u{1b}');
    assert!(coloured(Colour::On));
    assert!(!coloured(Colour::Off));
}

/// A reader that doesn't read until it is let.
struct Stalled(Arc<Mutex<()>>, mpsc::Sender<Vec<u8>>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _turn = self.0.lock().expect("not poisoned");
        self.1.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stops_reading_does_not_stop_the_work_and_learns_what_it_missed() {
    let gate = Arc::new(Mutex::new(()));
    let (sender, lines) = mpsc::channel();
    let identity = Identity { project: "p".into(), cluster: "c".into(), service: "s".into() };
    let clock = Arc::new(Fixed(AT.parse().expect("an instant")));
    let output = Output::detached(Box::new(Stalled(gate.clone(), sender)));
    let log = Log::new(LogConfig { identity, format: Format::Json, level: Level::Info, clock, output });
    {
        let _stalled = gate.lock().expect("not poisoned");
        for _ in 0..12_000 {
            log.emit(&diagnostic(Level::Info, "x"));
        }
    }
    let event_of = |line: &[u8]| serde_json::from_slice::<Value>(line).expect("JSON");
    let mut written: Vec<Value> = (0..10_000).map(|_| event_of(&lines.recv().expect("a line"))).collect();
    log.emit(&diagnostic(Level::Info, "the last"));
    log.finish(Duration::from_secs(30));
    written.extend(lines.try_iter().map(|line| event_of(&line)));
    let dropped: u64 = written.iter().filter_map(|line| line["lines"].as_u64()).sum();
    let told = written.iter().filter(|line| line["event"] == "diagnostic").count() as u64;
    assert!(dropped > 0);
    assert_eq!(told + dropped, 12_001);
    assert_eq!(written.last().expect("a line")["message"], "the last");
}
