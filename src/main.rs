//! The program: reads the command line, sets up the log, hands over.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jvb_watcher::cli::{Cli, Command, LogFormat, Options};
use jvb_watcher::clock::SystemClock;
use jvb_watcher::commands::{self, CommandError, Console};
use jvb_watcher::config::Settings;
use jvb_watcher::name_resolution;
use jvb_watcher::telemetry::log::{Colour, Format, Log, LogConfig, Output};

/// A reader of the log that is slow gets this long for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    name_resolution::use_built_in_sources();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    runtime.block_on(async {
        let cli = match Cli::read(std::env::args_os(), environment) {
            Ok(cli) => cli,
            Err(error) => {
                if error.use_stderr() {
                    refuse(&error.to_string()).await;
                }
                error.exit()
            }
        };
        match perform(&cli).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                if let CommandError::Usage(message) = &error {
                    refuse(message).await;
                }
                fail(&error)
            }
        }
    })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn fail(error: &CommandError) -> ExitCode {
    // What isn't well is told already, by the answer or by the log; and with standard error gone, the exit status still
    // tells.
    if !matches!(error, CommandError::NotWell | CommandError::Ended | CommandError::Logged { .. }) {
        let _ = writeln!(std::io::stderr(), "error: {error}");
    }
    error.exit_code()
}

/// Wrong use or configuration is said on standard error; on AWS Lambda that isn't where one looks first.
#[cfg_attr(not(feature = "lambda"), expect(unused_variables, clippy::unused_async))]
async fn refuse(message: &str) {
    #[cfg(feature = "lambda")]
    commands::init_failed(message, environment).await;
}

async fn perform(cli: &Cli) -> Result<(), CommandError> {
    match &cli.command {
        Command::Run(options) => {
            let (settings, log) = set_up(&cli.options, Output::detached(Box::new(std::io::stdout())))?;
            finished(commands::run(&settings, options, &log).await, &log)
        }
        #[cfg(feature = "lambda")]
        Command::Lambda(options) => {
            // Once the answer is given the process is frozen, and a thread with lines left to write with it.
            let (settings, log) = set_up(&cli.options, Output::direct(Box::new(std::io::stdout())))?;
            commands::lambda(&settings, options, &log).await
        }
        Command::Reconcile(options) => {
            let (settings, log) = set_up(&cli.options, Output::detached(Box::new(std::io::stdout())))?;
            finished(commands::reconcile(&settings, options, &log).await, &log)
        }
        Command::Up(options) => {
            let (settings, console) = on_standard_error(&cli.options)?;
            commands::up(&settings, options, &console).await
        }
        Command::Down(options) => {
            let (settings, console) = on_standard_error(&cli.options)?;
            commands::down(&settings, options, &console).await
        }
        Command::Hold(options) => {
            let (settings, console) = on_standard_error(&cli.options)?;
            commands::hold(&settings, options, &console).await
        }
        Command::Status(options) => {
            let (settings, log) = set_up(&cli.options, Output::direct(Box::new(std::io::stderr())))?;
            commands::status(&settings, options, &log, environment("NO_COLOR").as_deref()).await
        }
        Command::Doctor(options) => {
            let (settings, log) = set_up(&cli.options, Output::direct(Box::new(std::io::stderr())))?;
            commands::doctor(&settings, options, &log, environment("NO_COLOR").as_deref()).await
        }
        // These make what they need themselves, so they need none of the settings of what to watch.
        Command::Health(options) => commands::health(options).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(options) => commands::sandbox(options).await,
        #[cfg(feature = "sandbox")]
        Command::Demo(options) => commands::demo(options, cli.options.log_level).await,
        #[cfg(feature = "report")]
        Command::Report(options) => commands::report(options),
        #[cfg(feature = "manual")]
        Command::Completions(options) => commands::completions(options),
        #[cfg(feature = "manual")]
        Command::Man(options) => commands::man(options),
    }
}

/// Returns the settings, and a log in the format that suits standard output.
fn set_up(options: &Options, output: Output) -> Result<(Settings, Log), CommandError> {
    let settings = Settings::new(options, environment)?;
    let log = Log::new(LogConfig {
        identity: settings.identity.clone(),
        format: log_format(options.log_format, std::io::stdout().is_terminal()),
        level: options.log_level,
        clock: Arc::new(SystemClock),
        output,
    });
    Ok((settings, log))
}

/// What to work on, and the log and the progress on standard error: the result alone goes to standard output.
fn on_standard_error(options: &Options) -> Result<(Settings, Console), CommandError> {
    let settings = Settings::new(options, environment)?;
    let on_terminal = std::io::stderr().is_terminal();
    let format = log_format(options.log_format, on_terminal);
    let console = Console::new(settings.identity.clone(), format, options.log_level, on_terminal);
    Ok((settings, console))
}

/// The result, once the log's last lines are written.
fn finished(result: Result<(), CommandError>, log: &Log) -> Result<(), CommandError> {
    log.finish(LAST_LINES);
    result
}

/// `NO_COLOR`, set to anything, takes the colours away (see no-color.org).
fn log_format(wanted: LogFormat, on_terminal: bool) -> Format {
    let no_color = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = if on_terminal && !no_color { Colour::On } else { Colour::Off };
    match (wanted, on_terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Format::Json,
        (LogFormat::Pretty, _) | (LogFormat::Auto, true) => Format::Pretty { colour, time_zone: TimeZone::system() },
    }
}
