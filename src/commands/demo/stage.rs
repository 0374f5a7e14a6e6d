//! Where the evening's sentences and the watcher's log go: to a stream of lines, or onto the board of the live view.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;

use crate::clock::SystemClock;
use crate::telemetry::log::{Colour, Format, Identity, Level, Log, LogConfig, Output};
use jvb_watcher_sandbox::scenario::Step;

/// More lines than any terminal shows at once.
const LINES_KEPT: usize = 500;

/// Where sentences and log lines go.
#[derive(Debug)]
pub enum Stage {
    /// To standard output, line by line.
    Output,
    /// To standard error, line by line: standard output is for the summary alone.
    Error,
    /// Onto the board that the live view shows.
    Live(Board),
}

/// What the live view shows beside the world; clones are of the same board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    inner: Arc<Mutex<Posted>>,
}

/// What stands on the board.
#[derive(Debug, Default)]
pub struct Posted {
    /// The scenario's sentence of the moment.
    pub sentence: String,
    /// The log's lines of late, the oldest first, and the scenario's sentences among them.
    pub lines: VecDeque<String>,
}

/// What begins a sentence of the scenario's, among the lines of the log.
pub const SENTENCE: &str = ">> ";

impl Stage {
    /// The live view where a person watches and nothing speaks against it; else lines.
    pub fn new(json: bool) -> Self {
        // A terminal that calls itself dumb, or nothing, can't be drawn on.
        let is_able = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        if json {
            Self::Error
        } else if io::stdout().is_terminal() && io::stdin().is_terminal() && is_able {
            Self::Live(Board::default())
        } else {
            Self::Output
        }
    }

    /// Says the scenario's sentence.
    ///
    /// # Errors
    ///
    /// When it can't be written: nobody watches any more (`demo | head`).
    pub fn tell(&self, step: &Step) -> io::Result<()> {
        let Some(sentence) = &step.say else { return Ok(()) };
        let line = format!("{SENTENCE}{:4.1} s  {sentence}", step.at.as_secs_f64());
        match self {
            Self::Output => writeln!(io::stdout(), "{line}"),
            Self::Error => writeln!(io::stderr(), "{line}"),
            Self::Live(board) => {
                let mut posted = board.lock();
                posted.sentence.clone_from(sentence);
                posted.add(line);
                Ok(())
            }
        }
    }

    /// The watcher's log, in its pretty format.
    pub fn log(&self, identity: Identity, level: Level) -> Log {
        let output: Box<dyn Write + Send> = match self {
            Self::Output => Box::new(io::stdout()),
            Self::Error => Box::new(io::stderr()),
            Self::Live(board) => Box::new(board.clone()),
        };
        Log::new(LogConfig {
            identity,
            format: Format::Pretty { colour: Colour::Off, time_zone: TimeZone::system() },
            level,
            clock: Arc::new(SystemClock),
            output: Output::direct(output),
        })
    }
}

impl Board {
    /// What stands on it now.
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
