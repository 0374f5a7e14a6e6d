//! Standard error of `up`, `down` and `hold`: log lines, or phases drawn on a terminal.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::SystemClock;
use crate::operations::phase::{BoundedPhase, CompletedPhase};
use crate::operations::progress::{LoggedProgress, Progress};
use crate::telemetry::log::{Colour, Format, Identity, Level, Log, Verb, on_one_line};

/// The current phase, its duration, and what it waits for.
const TEMPLATE: &str = "{spinner} {prefix}, {elapsed}: {wide_msg}";

/// The time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Standard error of `up`, `down` and `hold`: log lines; or, on a terminal, a line for each phase, the current one last.
pub struct Console {
    log: Log,
    bar: Option<ProgressBar>,
    colour: Colour,
}

impl Console {
    /// Returns a console on standard error.
    pub fn new(identity: Identity, format: Format, level: Level, on_terminal: bool) -> Self {
        let (draws, colour) = match format {
            Format::Pretty { colour } => (on_terminal, colour),
            Format::Json => (false, Colour::Off),
        };
        // Hidden until a phase starts: a bar that is drawn around a log line stays behind it.
        let bar = draws.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        let output: Box<dyn Write + Send> = match &bar {
            Some(bar) => Box::new(AboveBar(bar.clone())),
            None => Box::new(std::io::stderr()),
        };
        Self { log: Log::new(identity, format, level, Arc::new(SystemClock), output), bar, colour }
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns true if phases are drawn, and an error is to be read on the terminal.
    pub(super) fn draws(&self) -> bool {
        self.bar.is_some()
    }

    pub(super) fn progress(&self, verb: Verb) -> Arc<dyn Progress> {
        match &self.bar {
            Some(bar) => Arc::new(DrawnProgress { bar: bar.clone(), colour: self.colour }),
            None => Arc::new(LoggedProgress { verb, log: self.log.clone() }),
        }
    }

    /// Removes the line of the current phase.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes log lines above the line of the current phase.
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

impl Progress for DrawnProgress {
    fn phase_started(&self, BoundedPhase { phase, limit }: BoundedPhase) {
        // A test verifies the template.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            self.bar.set_style(style);
        }
        self.bar.set_prefix(phase.label());
        self.bar.set_message(format!("limit {}", humantime::format_duration(limit)));
        self.bar.reset_elapsed();
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(FRAME);
        }
    }

    fn phase_waiting(&self, _: BoundedPhase, detail: &str) {
        self.bar.set_message(on_one_line(detail));
    }

    fn phase_completed(&self, completed: &CompletedPhase) {
        let (on, off) = if self.colour == Colour::On { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        let seconds = Duration::from_millis(completed.duration_ms).as_secs_f64();
        let (label, detail) = (completed.phase.label(), on_one_line(&completed.detail));
        self.bar.println(format!("{on}✓{off} {label} ({seconds:.1} s): {detail}"));
    }

    fn command_output(&self, line: &str) {
        self.bar.println(format!("  | {}", on_one_line(line)));
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
}
