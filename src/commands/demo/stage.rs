//! The output of the scenario's sentences and the watcher's log: a stream of lines, or the board of the live view.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::SharedClock;
use crate::commands::options::LogFormat;
use crate::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output};
use jvb_watcher_sandbox::scenario::Step;

/// More lines than any terminal shows at once.
const LINES_KEPT: usize = 500;

/// The output of sentences and log lines.
#[derive(Debug)]
pub enum Stage {
    /// Standard output, line by line.
    Output,
    /// Standard error, line by line: standard output has only the summary.
    Error,
    /// The board of the live view.
    Live(Board),
}

/// The text in the live view. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board {
    inner: Arc<Mutex<Posted>>,
}

/// The content of the board.
#[derive(Debug, Default)]
pub struct Posted {
    /// The scenario's current sentence.
    pub sentence: String,
    /// The latest lines of the log and sentences of the scenario, oldest first.
    pub lines: VecDeque<String>,
}

/// The prefix of the scenario's sentences among the lines of the log.
pub const SENTENCE: &str = ">> ";

impl Stage {
    /// Chooses the live view on a terminal that can draw it, and lines elsewhere.
    pub fn new(json: bool, log_format: LogFormat) -> Self {
        // A terminal without a type, or of type dumb, has no cursor addressing.
        let is_able = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        if json {
            Self::Error
        } else if log_format == LogFormat::Json {
            Self::Output
        } else if io::stdout().is_terminal() && io::stdin().is_terminal() && is_able {
            Self::Live(Board::default())
        } else {
            Self::Output
        }
    }

    /// Shows the sentence of a step.
    ///
    /// # Errors
    ///
    /// Returns an error if the output is closed (`demo | head`).
    pub fn show(&self, step: &Step) -> io::Result<()> {
        let Some(sentence) = &step.say else { return Ok(()) };
        if let Self::Live(board) = self {
            let mut posted = board.lock();
            posted.sentence.clone_from(sentence);
            posted.add(sentence_line(step.at, sentence));
            return Ok(());
        }
        self.say(step.at, sentence)
    }

    /// Writes a sentence among the lines; the live view has none of its own.
    ///
    /// # Errors
    ///
    /// Returns an error if the output is closed.
    pub fn say(&self, at: Duration, sentence: &str) -> io::Result<()> {
        let line = sentence_line(at, sentence);
        match self {
            Self::Output => writeln!(io::stdout(), "{line}"),
            Self::Error => writeln!(io::stderr(), "{line}"),
            Self::Live(_) => Ok(()),
        }
    }

    /// Makes the watcher's log.
    pub fn log(&self, identity: Identity, format: Format, level: Level, clock: SharedClock) -> Log {
        let output: Box<dyn Write + Send> = match self {
            Self::Output => Box::new(io::stdout()),
            Self::Error => Box::new(io::stderr()),
            Self::Live(board) => Box::new(board.clone()),
        };
        Log::new(LogConfig { identity, format, level, clock, output: Output::direct(output) })
    }
}

fn sentence_line(at: Duration, sentence: &str) -> String {
    format!("{SENTENCE}{:4.1} s  {sentence}", at.as_secs_f64())
}

impl Board {
    /// Returns the current content.
    pub fn lock(&self) -> MutexGuard<'_, Posted> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Posted {
    fn add(&mut self, line: String) {
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// The log writes whole lines.
impl Write for Board {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut posted = self.lock();
        text.lines().for_each(|line| posted.add(line.to_owned()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
