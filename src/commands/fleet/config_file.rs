//! The configuration file of a fleet.
//!
//! ```toml
//! [defaults]
//! cluster = "shared-cluster"
//! idle-grace = "3m"
//!
//! [[service]]
//! service = "meet"
//! load-balancer = "meet-jvb-nlb"
//! ```
//!
//! A key is an option of the command line without its hyphens. Every error names its line, and all are reported at once.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::options::fleet::Values;
use super::values::{Kind, NoOption, OptionParser};
use super::{Services, WatchedService};

/// The list of the services.
const SERVICES: &str = "service";

/// The table of the options that all services have unless they set them themselves.
const DEFAULTS: &str = "defaults";

/// The options that name a service.
const NAMES: [&str; 4] = ["project", "cluster", "service", "load-balancer"];

/// The options that tell one service from another.
const OF_ONE_SERVICE: [&str; 2] = ["service", "load-balancer"];

/// A configuration, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The file's name, or that of the variable.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

/// The errors of a configuration, in the order of their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidConfig {
    /// The file's name.
    pub file: String,
    /// The errors; at least one.
    pub errors: Vec<LineError>,
}

/// An error in a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineError {
    /// The line, from 1; `None` if the file can't be read.
    pub line: Option<usize>,
    /// The key, if the error is about one, and what is wrong.
    pub error: String,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, LineError { line, error }) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            match line {
                Some(line) => write!(f, "{separator}{}:{line}: {error}", self.file)?,
                None => write!(f, "{separator}{}: {error}", self.file)?,
            }
        }
        Ok(())
    }
}

/// The size of the largest file, in bytes: some ten thousand services.
const LARGEST: usize = 4 << 20;

/// The time within which [`read_in_time`] answers.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Reads a configuration file. `given` are the values of the command line and the environment.
///
/// # Errors
///
/// The file can't be read, or it has errors.
pub fn read(path: &Path, given: &Values) -> Result<Services, InvalidConfig> {
    match text(path) {
        Ok(text) => parse(Source { name: &file_name(path), text: &text }, given),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Reads a configuration file as [`read`] does, and lets other tasks go on meanwhile.
///
/// # Errors
///
/// The same, or the file system doesn't answer in time, e.g. that of a server that is gone.
pub async fn read_in_time(path: &Path, given: &Values) -> Result<Services, InvalidConfig> {
    let (sender, result) = oneshot::channel();
    let (of_thread, given) = (path.to_owned(), given.clone());
    // Not a thread of the runtime, which would wait for it at its end.
    let thread = std::thread::Builder::new().spawn(move || drop(sender.send(read(&of_thread, &given))));
    if let Err(error) = thread {
        return Err(unreadable(path, format!("it can't be read: {error}")));
    }
    match tokio::time::timeout(READ_WITHIN, result).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) | Err(_) => {
            let error = format!("it can't be read: the file system has not answered within {READ_WITHIN:?}");
            Err(unreadable(path, error))
        }
    }
}

/// Returns the text of a file.
///
/// # Errors
///
/// The reason why there is none.
fn text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("it can't be read: {error}");
    // Before it is opened: a pipe would be opened once it has a writer.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err("it can't be read: it is not a regular file; write the configuration into one".to_owned());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    if metadata.len() <= LARGEST as u64 {
        file.take(LARGEST as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    }
    // It may have grown since.
    if metadata.len().max(text.len() as u64) > LARGEST as u64 {
        return Err(format!("it can't be read: it has more than {LARGEST} bytes; use several watchers"));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: String) -> InvalidConfig {
    InvalidConfig { file: file_name(path), errors: vec![LineError { line: None, error }] }
}

/// Returns a file's name as messages have it.
pub fn file_name(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// Escapes control characters, which a terminal would obey, and which would break the line of an error in two.
fn printable(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Parses a configuration. `given` are the values of the command line and the environment.
///
/// # Errors
///
/// All errors in it.
pub fn parse(source: Source<'_>, given: &Values) -> Result<Services, InvalidConfig> {
    let mut parser = Parser { text: source.text, options: OptionParser::new(), errors: Vec::new() };
    let services = parser.document(given);
    let mut errors = parser.errors;
    if errors.is_empty() {
        return Ok(services);
    }
    errors.sort();
    Err(InvalidConfig { file: source.name.to_owned(), errors })
}

struct Parser<'a> {
    text: &'a str,
    options: OptionParser,
    errors: Vec<LineError>,
}

/// The options in a table, and their lines.
#[derive(Default)]
struct Table {
    /// The line of the table's header.
    line: usize,
    values: Values,
    lines: BTreeMap<String, usize>,
    has_errors: bool,
    /// True if an error may be about one of the names: those of the service aren't known.
    may_lack_names: bool,
}

impl Parser<'_> {
    fn document(&mut self, given: &Values) -> Services {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            // What follows a syntax error can be misread.
            for error in errors {
                let line = error.span().map_or(1, |span| self.line(self.misread(span)));
                let key =
                    error.span().filter(|_| error.message() == "duplicate key").and_then(|span| self.text.get(span));
                let error = match key {
                    Some(key) => format!("{key}: the table has this key already; leave one out"),
                    None => error.message().to_owned(),
                };
                self.error(line, &error);
            }
            return Services::new();
        }
        let mut defaults = Table::default();
        let mut services = Vec::new();
        for (key, value) in document.get_ref() {
            let line = self.line(key.span());
            match (key.get_ref().as_ref(), value.get_ref()) {
                (DEFAULTS, DeValue::Table(table)) => defaults = self.defaults(line, table),
                (DEFAULTS, _) => self.error(line, "defaults: it must be a table; write [defaults]"),
                (SERVICES, DeValue::Array(list)) => {
                    for item in list.iter() {
                        services.extend(self.listed(item));
                    }
                }
                (SERVICES, _) => self.error(line, "service: it must be a list of tables; write [[service]] above each"),
                (unknown, _) => {
                    let error =
                        format!("{unknown}: a configuration has a table [defaults] and a list [[service]] only");
                    self.error(line, &error);
                }
            }
        }
        if services.is_empty() && self.errors.is_empty() {
            self.error(1, "it lists no service; give at least one, below [[service]]");
        }
        self.checked(given, &defaults, &services)
    }

    fn defaults(&mut self, line: usize, table: &DeTable<'_>) -> Table {
        let mut defaults = self.table(line, table);
        for option in OF_ONE_SERVICE {
            if defaults.values.remove(option).is_some() {
                let line = defaults.lines[option];
                self.error(line, &format!("{option}: it names one service; give it below [[service]]"));
            }
        }
        defaults
    }

    fn listed(&mut self, item: &Spanned<DeValue<'_>>) -> Option<Table> {
        let line = self.line(item.span());
        if let DeValue::Table(table) = item.get_ref() {
            return Some(self.table(line, table));
        }
        self.error(line, "service: it must be a list of tables; write [[service]] above each");
        None
    }

    /// Reads the options of a table.
    fn table(&mut self, line: usize, table: &DeTable<'_>) -> Table {
        let mut read = Table { line, ..Table::default() };
        for (key, value) in table {
            let (line, option) = (self.line(key.span()), key.get_ref().as_ref());
            match self.value(option, value.get_ref()) {
                Ok(value) => {
                    read.values.insert(option.to_owned(), value);
                    read.lines.insert(option.to_owned(), line);
                }
                Err(problem) => {
                    read.has_errors = true;
                    read.may_lack_names |= self.may_be_name(option);
                    self.error(line, &format!("{option}: {problem}"));
                }
            }
        }
        read
    }

    /// Returns whether a key is a name of the service, or can be a misspelled one.
    fn may_be_name(&mut self, option: &str) -> bool {
        let is_name = |option: &str| NAMES.contains(&option);
        match self.options.kind(option) {
            Ok(_) => is_name(option),
            Err(NoOption::OfProcess(_)) => false,
            Err(NoOption::Unknown { similar, .. }) => similar.is_none_or(|similar| is_name(&similar)),
        }
    }

    /// Returns the value of an option as the command line takes it.
    fn value(&mut self, option: &str, value: &DeValue<'_>) -> Result<String, String> {
        let value = match (self.options.kind(option).map_err(|none| none.to_string())?, value) {
            (Kind::Switch, DeValue::Boolean(value)) => value.to_string(),
            (Kind::Switch, other) => return Err(format!("it must be true or false, not {}", with_article(other))),
            (Kind::Value, DeValue::String(text)) => text.clone().into_owned(),
            (Kind::Value, DeValue::Integer(number)) => number.to_string(),
            (Kind::Value, other) => {
                return Err(format!("it must be a text in quotes, or a whole number, not {}", with_article(other)));
            }
        };
        self.options.check(option, &value)?;
        Ok(value)
    }

    /// Derives the settings of the services, and checks them against each other.
    fn checked(&mut self, given: &Values, defaults: &Table, tables: &[Table]) -> Services {
        let mut services = Services::new();
        let mut lines = BTreeMap::new();
        let mut load_balancers = BTreeMap::new();
        for table in tables.iter().filter(|table| !table.may_lack_names && !defaults.may_lack_names) {
            // Without its wrong values, a table still has the names of its service.
            let has_errors = table.has_errors || defaults.has_errors;
            let options = match self.options.parse(&[given, &defaults.values, &table.values]) {
                Ok(options) => options,
                Err(_) if has_errors => continue,
                Err(problem) => {
                    self.error(table.line, &problem);
                    continue;
                }
            };
            // Where a value is derived, no line has it.
            let line_of = |option: &str| *table.lines.get(option).or(defaults.lines.get(option)).unwrap_or(&table.line);
            let service = match WatchedService::new(&options) {
                Ok(service) => service,
                Err(_) if has_errors => continue,
                Err(error) => {
                    self.error(line_of(error.option), &format!("{}: {}", error.option, error.problem));
                    continue;
                }
            };
            let key = service.key();
            if let Some(first) = lines.get(&key) {
                let line = *table.lines.get("service").unwrap_or(&table.line);
                let error = format!(
                    "service: {} of cluster {} is listed twice, first in line {first}",
                    key.service, key.cluster
                );
                self.error(line, &error);
                continue;
            }
            let load_balancer = service.names.load_balancer.clone();
            if let Some(first) = load_balancers.get(&load_balancer) {
                let error = format!(
                    "load-balancer: {load_balancer} is that of the service in line {first}; two services would delete \
                     each other's load balancer"
                );
                self.error(*table.lines.get("load-balancer").unwrap_or(&table.line), &error);
            }
            load_balancers.entry(load_balancer).or_insert(table.line);
            lines.insert(key.clone(), table.line);
            services.insert(key, service);
        }
        services
    }

    fn error(&mut self, line: usize, error: &str) {
        self.errors.push(LineError { line: Some(line), error: printable(error) });
    }

    /// Returns the place of a syntax error. One at the end of a line, e.g. of a string that isn't closed, is reported between
    /// that line and the next.
    fn misread(&self, span: Range<usize>) -> Range<usize> {
        let is_blank = self.text.get(span.clone()).is_none_or(|text| text.trim().is_empty());
        match self.text.get(..span.start).map(|before| before.trim_end().len()) {
            Some(end) if is_blank => end..end,
            _ => span,
        }
    }

    /// Returns the line of a place in the text, from 1.
    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Returns the kind of a value for a message.
fn with_article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
