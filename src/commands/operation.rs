//! What `up`, `down` and `hold` have in common: where they tell what happens, and how they end.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::Instant;

use super::CommandError;
use super::options::OutputFormat;
use super::settings::Settings;
use crate::aws::client::AwsPlatform;
use crate::clock::SystemClock;
use crate::operations::command::BalancerCommand;
use crate::operations::phase::{Bounded, Completed};
use crate::operations::progress::{Lines, Progress};
use crate::operations::{Failure, Operation, Setting, Stop, perform};
use crate::retry::Jitter;
use crate::shutdown;
use crate::telemetry::log::{Colour, Event, Format, Identity, Level, Log, Phase, Verb, millis, on_one_line};
use jvb_watcher_rules::plan::OwnerTag;

/// The phase under way, since when, and what it waits for.
const TEMPLATE: &str = "{spinner} {prefix}, {elapsed}: {wide_msg}";

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Where a command tells what happens on the way: log lines on standard error, or, at a terminal, a line for each phase
/// with the one under way at the bottom.
pub struct Console {
    log: Log,
    bar: Option<ProgressBar>,
    colour: Colour,
}

impl Console {
    /// A console on standard error.
    pub fn new(identity: Identity, format: Format, level: Level, on_terminal: bool) -> Self {
        let (bar, colour) = match format {
            Format::Pretty { colour } if on_terminal => (Some(ProgressBar::new_spinner()), colour),
            Format::Pretty { colour } => (None, colour),
            Format::Json => (None, Colour::Off),
        };
        let output: Box<dyn Write + Send> = match &bar {
            Some(bar) => Box::new(Above(bar.clone())),
            None => Box::new(std::io::stderr()),
        };
        Self { log: Log::new(identity, format, level, Arc::new(SystemClock), output), bar, colour }
    }

    /// Where events go.
    pub fn log(&self) -> &Log {
        &self.log
    }

    fn progress(&self, verb: Verb) -> Arc<dyn Progress> {
        match &self.bar {
            Some(bar) => Arc::new(Drawn { bar: bar.clone(), colour: self.colour }),
            None => Arc::new(Lines { verb, log: self.log.clone() }),
        }
    }
}

/// Log lines above the line that is drawn over again and again.
struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Phases at a terminal.
struct Drawn {
    bar: ProgressBar,
    colour: Colour,
}

impl Progress for Drawn {
    fn began(&self, Bounded { phase, limit }: Bounded) {
        // A test has seen that it is a template.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            self.bar.set_style(style);
        }
        self.bar.set_prefix(phase.label());
        self.bar.set_message(format!("{} at most", humantime::format_duration(limit)));
        self.bar.reset_elapsed();
        self.bar.enable_steady_tick(TURN);
    }

    fn waiting(&self, _: Bounded, for_what: &str) {
        self.bar.set_message(on_one_line(for_what));
    }

    fn completed(&self, completed: &Completed) {
        let (on, off) = if self.colour == Colour::On { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        let seconds = Duration::from_millis(completed.duration_ms).as_secs_f64();
        let (words, detail) = (completed.phase.label(), on_one_line(&completed.detail));
        self.bar.println(format!("{on}✓{off} {words} ({seconds:.1} s): {detail}"));
    }

    fn said(&self, line: &str) {
        self.bar.println(format!("  | {}", on_one_line(line)));
    }
}

/// What tells this operation from others. The standard library's hash seeds are random, and that is all that is needed.
fn new_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// What an operation works on.
pub(super) fn setting(
    sdk: &SdkConfig,
    settings: &Settings,
    console: &Console,
    verb: Verb,
    owner_tag: &OwnerTag,
    command: Option<Arc<dyn BalancerCommand>>,
) -> Result<Setting<AwsPlatform>, CommandError> {
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let platform = AwsPlatform::new(sdk);
    let clock = platform.clock();
    Ok(Setting {
        platform,
        scope: settings.scope.clone(),
        project: settings.identity.project.clone(),
        load_balancer: settings.load_balancer.clone(),
        owner_tag: owner_tag.clone(),
        command,
        log: console.log.clone(),
        progress: console.progress(verb),
        clock,
        shutdown,
        id: new_id(),
        jitter: Jitter::default(),
    })
}

/// Performs an operation, tells its end, and returns its phases.
pub(super) async fn performed<O: Operation>(
    operation: &mut O,
    verb: Verb,
    console: &Console,
    output: OutputFormat,
) -> Result<Vec<Completed>, CommandError> {
    let began = Instant::now();
    let result = perform(operation).await;
    if let Some(bar) = &console.bar {
        bar.finish_and_clear();
    }
    let duration_ms = millis(began.elapsed());
    match result {
        Ok(completed) => {
            console.log.emit(&Event::OperationCompleted { operation: verb, duration_ms });
            Ok(completed)
        }
        Err(failure) => {
            if console.bar.is_none() {
                console.log.emit(&Event::OperationFailed {
                    operation: verb,
                    phase: failure.phase,
                    error: failure.why.clone(),
                    state: failure.state.clone(),
                    advice: failure.advice.clone(),
                    duration_ms,
                });
            }
            if output == OutputFormat::Json {
                print(&FailureReport::of(&failure))?;
            }
            Err(match failure.stop {
                Stop::Interrupted => CommandError::Stopped(failure.to_string()),
                _ => CommandError::Failed(failure.to_string()),
            })
        }
    }
}

/// What is printed of a failure with `--output json`.
#[derive(Serialize)]
struct FailureReport<'a> {
    operation: Verb,
    failed_phase: Phase,
    error: &'a str,
    state: &'a str,
    advice: &'a str,
    phases: &'a [Completed],
}

impl<'a> FailureReport<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            operation: failure.verb,
            failed_phase: failure.phase,
            error: &failure.why,
            state: &failure.state,
            advice: &failure.advice,
            phases: &failure.completed,
        }
    }
}

/// What would be done.
#[derive(Serialize)]
struct Steps<'a> {
    operation: Verb,
    would: &'a [String],
}

/// Prints what would be done.
pub(super) fn print_steps(
    verb: Verb,
    steps: Result<Vec<String>, Stop>,
    output: OutputFormat,
) -> Result<(), CommandError> {
    let steps = steps.map_err(|stop| match stop {
        Stop::Call(error) => error.into(),
        Stop::Refused(why) => CommandError::Failed(why),
        other => CommandError::Failed(format!("{other:?}")),
    })?;
    match output {
        OutputFormat::Json => print(&Steps { operation: verb, would: &steps }),
        OutputFormat::Text => {
            let numbered = steps.iter().enumerate().map(|(number, step)| format!("{}. {step}\n", number + 1));
            Ok(write!(std::io::stdout(), "{}", numbered.collect::<String>())?)
        }
    }
}

/// Prints a result as one JSON object.
pub(super) fn print(result: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string(result).map_err(|error| CommandError::Failed(error.to_string()))?;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        ProgressStyle::with_template(TEMPLATE).expect("a template");
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        assert_eq!(on_one_line("no \x1b[31msubnets\nleft"), "no  [31msubnets left");
    }

    #[test]
    fn an_operation_has_an_id_of_its_own() {
        assert_ne!(new_id(), new_id());
        assert_eq!(new_id().len(), 16);
    }
}
