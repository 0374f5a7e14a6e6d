//! The results: a Markdown table for people, and JSON with every figure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use jvb_watcher_benchmarks::journal::Journal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::machine::Machine;

/// What a figure must reach.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bar {
    /// The figure is to be this or less.
    AtMost(f64),
    /// The figure is to be this or more.
    AtLeast(f64),
}

impl Bar {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    scenario: &'static str,
    what: String,
    /// None if it was not measured; the note says why.
    value: Option<f64>,
    unit: &'static str,
    bar: Option<Bar>,
    met: Option<bool>,
    note: Option<String>,
    details: BTreeMap<&'static str, Value>,
}

impl Row {
    /// Sets what the figure must reach.
    pub fn bar(&mut self, bar: Bar) -> &mut Self {
        (self.bar, self.met) = (Some(bar), self.value.map(|value| bar.is_met(value)));
        self
    }

    /// Adds a sentence about the figure.
    pub fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.note = Some(note.into());
        self
    }

    /// Adds a further figure, for the JSON and the list below the table.
    pub fn detail(&mut self, name: &'static str, value: impl Serialize) -> &mut Self {
        self.details.insert(name, json!(value));
        self
    }

    /// Adds the calls by operation, and their bytes.
    pub fn calls(&mut self, journal: &Journal) -> &mut Self {
        let (sent, received) = journal.bytes();
        self.detail("calls", journal.counts()).detail("bytes sent", sent).detail("bytes received", received)
    }
}

/// All results of a run.
pub struct Report {
    machine: Machine,
    program: PathBuf,
    rows: Vec<Row>,
}

/// The results of one scenario.
pub struct Section<'a> {
    scenario: &'static str,
    rows: &'a mut Vec<Row>,
}

impl Section<'_> {
    /// Adds a figure, and prints it.
    pub fn row(&mut self, what: impl Into<String>, value: f64, unit: &'static str) -> &mut Row {
        self.add(what.into(), Some(value), unit)
    }

    /// Adds a figure that could not be measured.
    pub fn not_measured(&mut self, what: impl Into<String>, unit: &'static str, why: &str) -> &mut Row {
        let row = self.add(what.into(), None, unit);
        row.note(format!("not measured: {why}"))
    }

    fn add(&mut self, what: String, value: Option<f64>, unit: &'static str) -> &mut Row {
        eprintln!("  {what}: {} {unit}", value.map_or("not measured".to_owned(), figure));
        let (bar, met, note, details) = (None, None, None, BTreeMap::new());
        self.rows.push(Row { scenario: self.scenario, what, value, unit, bar, met, note, details });
        self.rows.last_mut().expect("a row was added")
    }
}

impl Report {
    /// A report without results.
    pub fn new(machine: Machine, program: &Path) -> Self {
        Self { machine, program: program.to_owned(), rows: Vec::new() }
    }

    /// Returns the place for the results of a scenario.
    pub fn section(&mut self, scenario: &'static str) -> Section<'_> {
        Section { scenario, rows: &mut self.rows }
    }

    /// Prints the table, and writes it and the JSON to a directory.
    ///
    /// # Errors
    ///
    /// If a file can't be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let table = self.markdown();
        println!("{table}");
        fs::create_dir_all(directory)?;
        fs::write(directory.join("results.md"), table)?;
        let program = self.program.file_name().unwrap_or_default().to_string_lossy();
        let json = json!({ "machine": self.machine, "program": program, "rows": self.rows });
        fs::write(directory.join("results.json"), format!("{json:#}\n"))
    }

    fn markdown(&self) -> String {
        let Machine { processor, processors, memory_mib, load, kernel, commit, began } = &self.machine;
        let mut text = format!(
            "{began}, commit {commit}; {processor}, {processors} processors, {memory_mib} MiB of memory, Linux {kernel}; \
             load {load} at the start.\n\n| scenario | figure | measured | bar | met |\n| --- | --- | --- | --- | --- |\n"
        );
        for Row { scenario, what, value, unit, bar, met, .. } in &self.rows {
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            let measured = value.map_or("–".to_owned(), |value| format!("{}{unit}", figure(value)));
            let bar = match bar {
                Some(Bar::AtMost(most)) => format!("at most {}{unit}", figure(*most)),
                Some(Bar::AtLeast(least)) => format!("at least {}{unit}", figure(*least)),
                None => String::new(),
            };
            let met = met.map_or("", |met| if met { "yes" } else { "**no**" });
            let _ = writeln!(text, "| {scenario} | {what} | {measured} | {bar} | {met} |");
        }
        text.push('\n');
        for Row { what, note, details, .. } in &self.rows {
            if note.is_none() && details.is_empty() {
                continue;
            }
            let _ = write!(text, "- {what}: ");
            let details = details.iter().map(|(name, value)| format!("{name} {}", plain(value)));
            let parts: Vec<String> = note.iter().cloned().chain(details).collect();
            let _ = writeln!(text, "{}", parts.join("; "));
        }
        text
    }
}

/// Formats a figure with no more digits than it is worth.
fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => {
            let digits = format!("{value:.0}");
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            format!("{sign}{}", groups.join(","))
        }
        whole if whole.fract() == 0.0 => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Formats a value of the JSON for a sentence.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), figure),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
