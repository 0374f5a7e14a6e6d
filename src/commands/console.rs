//! Standard error of `up`, `down` and `hold`: log lines, or phases drawn on a terminal.

use std::io::{Stderr, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::clock::SystemClock;
use crate::operations::phase::{BoundedPhase, CompletedPhase};
use crate::operations::progress::{LoggedProgress, Progress};
use crate::telemetry::log::{Colour, Format, Identity, Level, Log, LogConfig, Output, Verb, on_one_line};

/// The current phase: its duration, its name, and what it waits for.
const TEMPLATE: &str = "{spinner} {elapsed} {wide_msg}";

/// The time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Standard error of `up`, `down` and `hold`: log lines; or, on a terminal, a line for each phase, the current one last.
pub struct Console {
    log: Log,
    bar: Option<ProgressBar>,
    colour: Colour,
}

impl Console {
    /// Returns a console on standard error. The caller must let its log finish.
    pub fn new(identity: Identity, format: Format, level: Level, on_terminal: bool) -> Self {
        let (draws, colour) = match format {
            Format::Pretty { colour, .. } => (on_terminal, colour),
            Format::Json => (false, Colour::Off),
        };
        // Hidden until a phase starts: log lines of a command without phases leave no spinner behind.
        let bar = draws.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        let output = match &bar {
            Some(bar) => Output::direct(Box::new(AboveBar(bar.clone()))),
            // A reader that stalls must not stop the operation, nor keep it from ending at its time limit or a signal.
            None => Output::detached(Box::new(std::io::stderr())),
        };
        Self { log: Log::new(LogConfig { identity, format, level, clock: Arc::new(SystemClock), output }), bar, colour }
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns true if phases are drawn on a terminal.
    pub(super) fn draws(&self) -> bool {
        self.bar.is_some()
    }

    pub(super) fn progress(&self, verb: Verb) -> Arc<dyn Progress> {
        match &self.bar {
            Some(bar) => Arc::new(DrawnProgress { bar: bar.clone(), colour: self.colour }),
            None => Arc::new(LoggedProgress { verb, log: self.log.clone() }),
        }
    }

    /// Erases the line of the current phase.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes lines above the line of the current phase.
#[derive(Clone)]
struct AboveBar(ProgressBar);

impl Write for AboveBar {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Draws the progress on a terminal.
struct DrawnProgress {
    bar: ProgressBar,
    colour: Colour,
}

impl DrawnProgress {
    fn print(&self, line: &str) {
        // With standard error gone, the exit status and the result on standard output remain.
        let _ = AboveBar(self.bar.clone()).write_all(format!("{line}\n").as_bytes());
    }

    fn show(&self, phase: BoundedPhase, detail: &str) {
        self.bar.set_message(format!("{}: {}", phase.phase.label(), on_one_line(detail)));
    }
}

impl Progress for DrawnProgress {
    fn phase_started(&self, phase: BoundedPhase) {
        self.bar.reset_elapsed();
        self.show(phase, &format!("limit {}", humantime::format_duration(phase.limit)));
        if self.bar.is_hidden() {
            // A test verifies the template.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                self.bar.set_style(style);
            }
            self.bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(Terminal::standard_error())));
            self.bar.enable_steady_tick(FRAME);
        }
    }

    fn phase_waiting(&self, phase: BoundedPhase, detail: &str) {
        self.show(phase, detail);
    }

    fn phase_completed(&self, completed: &CompletedPhase) {
        let (on, off) = if self.colour == Colour::On { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        let seconds = Duration::from_millis(completed.duration_ms).as_secs_f64();
        let (label, detail) = (completed.phase.label(), on_one_line(&completed.detail));
        self.print(&format!("{on}✓{off} {label} ({seconds:.1} s): {detail}"));
    }

    fn command_output(&self, line: &str) {
        self.print(&format!("  | {}", on_one_line(line)));
    }
}

/// The columns that the bar leaves free: a terminal echoes Ctrl-C as `^C`.
const FREE_COLUMNS: u16 = 3;

/// A terminal as indicatif draws on it.
///
/// Indicatif fills the line up to the edge. There an echoed `^C` would go to the next line, and the line of the current
/// phase could no longer be erased. So the bar is kept off the edge, and the cursor stays behind its last character.
#[derive(Debug)]
struct Terminal<W> {
    width: fn() -> Option<u16>,
    state: Mutex<Drawing<W>>,
}

/// The text that the next flush writes.
#[derive(Debug)]
struct Drawing<W> {
    output: W,
    pending: String,
}

impl Terminal<Stderr> {
    fn standard_error() -> Self {
        Self::new(std::io::stderr(), || Some(rustix::termios::tcgetwinsize(std::io::stderr()).ok()?.ws_col))
    }
}

impl<W> Terminal<W> {
    fn new(output: W, width: fn() -> Option<u16>) -> Self {
        Self { width, state: Mutex::new(Drawing { output, pending: String::new() }) }
    }

    fn push(&self, text: &str) -> std::io::Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).pending.push_str(text);
        Ok(())
    }

    fn move_cursor(&self, columns_or_lines: usize, direction: char) -> std::io::Result<()> {
        match columns_or_lines {
            0 => Ok(()),
            n => self.push(&format!("\x1b[{n}{direction}")),
        }
    }
}

impl<W: Write + std::fmt::Debug + Send> TermLike for Terminal<W> {
    fn width(&self) -> u16 {
        // A terminal that doesn't know its size says 0.
        let width = (self.width)().filter(|width| *width > 0).unwrap_or(80);
        width.saturating_sub(FREE_COLUMNS).max(1)
    }

    fn move_cursor_up(&self, n: usize) -> std::io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> std::io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> std::io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> std::io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, s: &str) -> std::io::Result<()> {
        self.push(s)?;
        self.push("\n")
    }

    fn write_str(&self, s: &str) -> std::io::Result<()> {
        self.push(s)
    }

    fn clear_line(&self) -> std::io::Result<()> {
        self.push("\r\x1b[2K")
    }

    fn flush(&self) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut state.pending);
        state.output.write_all(pending.trim_end_matches(' ').as_bytes())?;
        state.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        ProgressStyle::with_template(TEMPLATE).expect("a template");
    }

    #[test]
    fn control_characters_are_not_drawn() {
        assert_eq!(on_one_line("no \x1b[31msubnets\nleft"), "no  [31msubnets left");
    }

    /// Output that a test can read.
    #[derive(Clone, Debug, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_bar_leaves_room_for_the_echo_of_ctrl_c_and_is_erased_in_its_line() {
        for message in ["short".to_owned(), "long ".repeat(20)] {
            let output = Shared::default();
            let terminal = Terminal::new(output.clone(), || Some(40));
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(Box::new(terminal)));
            bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("a template"));
            bar.set_message(message.clone());
            bar.tick();
            bar.finish_and_clear();
            let text = String::from_utf8(output.0.lock().expect("not poisoned").clone()).expect("Unicode");
            let frames: Vec<_> = text.split("\r\x1b[2K").filter(|frame| !frame.is_empty()).collect();
            assert!(!frames.is_empty(), "{text:?}");
            for frame in frames {
                assert!(frame.chars().count() <= 37 && !frame.ends_with(' '), "{frame:?}");
                assert!(!frame.contains(['\n', '\x1b']), "{frame:?}");
            }
            assert!(text.ends_with("\r\x1b[2K"), "{text:?}");
        }
    }
}
