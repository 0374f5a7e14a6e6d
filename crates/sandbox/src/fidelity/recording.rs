//! A recording: the calls of processes, read from a file each.
//!
//! A file begins with a line that names the format, `{"recording": 1, …}`. Each further line is a call: `operation`, `sent`,
//! `ended`, `input`, and, if it was answered, `status`, `headers` and `output`; `failure` if the answer isn't whole. Bodies in
//! JSON and CBOR are values, forms are objects of their fields, XML is text.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::document;
use super::text::printable;

/// The version of the format that is read.
const FORMAT: u64 = 1;

/// The ending of the files' names.
const EXTENSION: &str = "jsonl";

/// A call, with its answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Call {
    /// Service and operation, e.g. `ecs:DescribeTasks`.
    pub operation: String,
    /// When it was sent.
    pub sent: Timestamp,
    /// When the answer was complete, or the call failed.
    pub ended: Timestamp,
    /// The members of the request: of the query protocol, the fields of its form.
    #[serde(default)]
    pub input: Value,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// The headers of the answer, with names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The members of the answer. An XML document is one after it was read.
    #[serde(default)]
    pub output: Value,
    /// Why there is no whole answer.
    pub failure: Option<String>,
}

impl Call {
    /// Returns whether the whole answer came.
    pub fn is_answered(&self) -> bool {
        self.status.is_some() && self.failure.is_none()
    }

    /// Returns whether AWS did what was asked.
    pub fn has_succeeded(&self) -> bool {
        self.is_answered() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Returns the error code of an answer that refuses the request.
    pub fn error_code(&self) -> Option<&str> {
        if !self.is_answered() || self.has_succeeded() {
            return None;
        }
        let output = &self.output;
        let code = output["Error"]["Code"].as_str().or(output["__type"].as_str()).or(output["code"].as_str());
        let code = code.or(self.headers.get("x-amzn-errortype").map(String::as_str)).unwrap_or("no code");
        // `com.amazonaws.sqs#QueueDoesNotExist:http://…`, in its longest form.
        let code = code.rsplit('#').next().unwrap_or(code);
        Some(code.split(':').next().unwrap_or(code))
    }

    /// Returns when AWS answered, by AWS's clock.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let date = self.headers.get("date")?;
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
    }

    /// Returns the answer's part with the members of its operation: in the query protocol, what the result encloses.
    pub(super) fn result(&self) -> &Value {
        let operation = self.operation.split_once(':').map_or(self.operation.as_str(), |(_, name)| name);
        self.output.get(format!("{operation}Result")).unwrap_or(&self.output)
    }
}

/// The calls of processes.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The calls of each process, in the order in which they ended.
    pub(super) processes: Vec<Vec<Call>>,
    /// The lines that can't be read.
    pub(super) unreadable: usize,
}

/// The reason why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A directory or a file can't be read.
    #[error("{} can't be read: {source}; give the folder of a recording", shown(path))]
    Unreadable {
        /// The directory or the file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A directory has no recording.
    #[error("{} has no recording (*.jsonl); make one with the option --record", shown(.0))]
    Missing(PathBuf),
    /// No file of a directory has its first line.
    #[error("no recording in {} has a whole first line; make another with the option --record", shown(.0))]
    Torn(PathBuf),
    /// A file isn't a recording, or one of a later version.
    #[error("{} is no recording of version {FORMAT}; remove it, or use the program that has recorded it", shown(.0))]
    Foreign(PathBuf),
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

impl Recording {
    /// Reads the files of a directory.
    ///
    /// # Errors
    ///
    /// Returns an error if a file can't be read or is another version's, or if there is no recording.
    pub fn read(directory: &Path) -> Result<Self, ReadError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| ReadError::Unreadable { path, source }
        };
        let entries = std::fs::read_dir(directory).map_err(unreadable(directory))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable(directory))?.path();
            // Reading a pipe would wait for a writer.
            let is_file = || std::fs::metadata(&path).map(|metadata| metadata.is_file()).map_err(unreadable(&path));
            if path.extension().is_some_and(|extension| extension == EXTENSION) && is_file()? {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err(ReadError::Missing(directory.to_owned()));
        }
        paths.sort();
        let mut recording = Self::default();
        for path in paths {
            // Text that a disk has garbled is a line that can't be read.
            let text = std::fs::read(&path).map_err(unreadable(&path))?;
            recording.add(&String::from_utf8_lossy(&text)).ok_or(ReadError::Foreign(path))?;
        }
        if recording.processes.is_empty() {
            return Err(ReadError::Torn(directory.to_owned()));
        }
        Ok(recording)
    }

    /// Adds the calls of a file. Returns `None` if its first line is of something else. A file that ends within its first line,
    /// as a full disk leaves it, counts as an unreadable line.
    pub(super) fn add(&mut self, text: &str) -> Option<()> {
        let mut lines = text.lines();
        let Ok(head) = serde_json::from_str::<Value>(lines.next().unwrap_or_default()) else {
            self.unreadable += 1;
            return Some(());
        };
        if head["recording"].as_u64() != Some(FORMAT) {
            return None;
        }
        let mut calls = Vec::new();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Call>(line) {
                Ok(call) => calls.push(with_document(call)),
                Err(_) => self.unreadable += 1,
            }
        }
        calls.sort_by_key(|call| call.ended);
        self.processes.push(calls);
        Some(())
    }

    /// Returns the calls of all processes.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.processes.iter().flatten()
    }
}

/// Reads an answer that is an XML document.
fn with_document(mut call: Call) -> Call {
    let is_xml = call.headers.get("content-type").is_some_and(|kind| kind.contains("xml"));
    if let (true, Value::String(text)) = (is_xml, &call.output)
        && let Some(value) = document::from_xml(text)
    {
        call.output = value;
    }
    call
}
