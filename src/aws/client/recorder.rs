//! Records a process's calls of AWS: each with its answer and its times, masked, as a line of JSON in a file of its own.
//!
//! - `connector`: the HTTP client between the SDK and AWS, which copies what passes through it.
//! - `operation`: the operation that a request names.
//! - `body`: the bodies of the protocols as JSON.
//! - `mask`: replaces what must not leave the account; `kept`: the members whose text is kept; `words`: what is masked within
//!   a word; `prose`: the words of sentences that are kept.
//! - `line`: a call as a line.
//!
//! Recording never delays or fails a call. The calls are masked and written by a thread of their own, which drops them if the
//! disk is slower than AWS. The clients of credentials have another HTTP client, so that no credentials pass through here.
//!
//! docs/fidelity.md describes the format, which `jvb-watcher-sandbox` reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use jiff::Timestamp;
use serde_json::json;

use connector::RecordingClient;
use line::RecordedCall;
use mask::Masks;

mod body;
mod connector;
mod kept;
mod line;
mod mask;
mod operation;
mod prose;
#[cfg(test)]
mod tests;
mod words;

/// The version of the format, in the first line of each file.
const FORMAT: u32 = 1;

/// The calls that may wait for the disk. With more, the disk is slower than AWS.
const WAITING: usize = 1024;

/// The most recordings of one command that begin in the same second, in processes with the same id.
const MOST_OF_A_SECOND: u32 = 1000;

/// The time for which the end of a command waits until the last calls are written.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// The reason why calls can't be recorded.
#[derive(Debug, thiserror::Error)]
#[error("--record: {} can't be {verb}: {source}; give a folder in which files can be created", path.display())]
pub struct RecordError {
    path: PathBuf,
    verb: &'static str,
    source: io::Error,
}

/// A recording in progress. Dropping it waits for the last calls to be written, for two seconds at most.
#[derive(Debug)]
pub struct Recorder {
    calls: Sink,
}

/// What the writing thread is sent.
enum Entry {
    Call(Box<RecordedCall>),
    /// Answered once everything before it is written.
    Flush(SyncSender<()>),
}

/// Where recorded calls go. Clones share the file.
#[derive(Clone, Debug)]
struct Sink(SyncSender<Entry>);

impl Sink {
    /// Passes a call to the writing thread; drops it if the thread can't keep up.
    fn record(&self, call: RecordedCall) {
        // The writer has said so itself if it has given up.
        if let Err(TrySendError::Full(Entry::Call(call))) = self.0.try_send(Entry::Call(Box::new(call))) {
            tracing::warn!("not recorded: a call of {}; the disk is slower than AWS", call.operation.name());
        }
    }
}

impl Recorder {
    /// Begins to record the calls of a command in a new file in a directory, which is created if it doesn't exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory or the file can't be created or written.
    pub fn start(directory: &Path, command: &str) -> Result<Self, RecordError> {
        std::fs::create_dir_all(directory).map_err(|source| RecordError {
            path: directory.to_owned(),
            verb: "created",
            source,
        })?;
        let started = Timestamp::now();
        let stem = format!("{command}-{}-{}", started.strftime("%Y%m%dT%H%M%SZ"), std::process::id());
        let (file, path) = create(directory, &stem)?;
        let head = json!({
            "recording": FORMAT,
            "program": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "command": command,
            "started": started,
        });
        write_head(&file, &path, &head.to_string()).map_err(|source| RecordError {
            path: path.clone(),
            verb: "written",
            source,
        })?;
        let (calls, entries) = sync_channel(WAITING);
        let writer = Writer { file, path: path.clone(), masks: Masks::default() };
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.write(&entries));
        thread.map_err(|source| RecordError { path, verb: "written", source })?;
        Ok(Self { calls: Sink(calls) })
    }

    /// Returns the same settings with an HTTP client that records the calls of the clients built from them.
    pub fn install(&self, config: SdkConfig) -> SdkConfig {
        let Some(client) = config.http_client() else { return config };
        let recording = SharedHttpClient::new(RecordingClient::new(client, self.calls.clone()));
        config.into_builder().http_client(recording).build()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let (written, all_written) = sync_channel(1);
        if self.calls.0.try_send(Entry::Flush(written)).is_ok() {
            // An error means that the writer has given up, or that the disk stalls.
            let _ = all_written.recv_timeout(LAST_CALLS);
        }
    }
}

/// Creates a file that no other process has. In containers, which share a folder, many processes have the same id.
fn create(directory: &Path, stem: &str) -> Result<(File, PathBuf), RecordError> {
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = directory.join(format!("{stem}{suffix}.jsonl"));
        // Only its owner may read it. Appending writes each line at the end, in one piece.
        match OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_OF_A_SECOND => number += 1,
            Err(source) => return Err(RecordError { path, verb: "created", source }),
        }
    }
}

/// Writes the first line. A file without one is no recording, so it is removed if the line can't be written.
fn write_head(mut file: &File, path: &Path, head: &str) -> io::Result<()> {
    file.write_all(format!("{head}\n").as_bytes()).inspect_err(|_| {
        // The error that counts is that of the write. What reads the folder passes over a torn file.
        let _ = std::fs::remove_file(path);
    })
}

/// The thread that writes the file.
struct Writer {
    file: File,
    path: PathBuf,
    masks: Masks,
}

impl Writer {
    /// Writes until no sender is left, or the file can't be written any more: a recording with a gap would mislead.
    fn write(mut self, entries: &Receiver<Entry>) {
        for entry in entries {
            let call = match entry {
                Entry::Call(call) => call,
                Entry::Flush(written) => {
                    // The command may have given up waiting.
                    let _ = written.send(());
                    continue;
                }
            };
            let mut line = call.to_json(&mut self.masks).to_string();
            line.push('\n');
            // One write for the whole line: a kill can tear the last line only.
            if let Err(error) = self.file.write_all(line.as_bytes()) {
                tracing::warn!("recording ended: {} can't be written: {error}; the calls go on", self.path.display());
                return;
            }
        }
    }
}
