//! The program: reads the command line, sets up the log, hands over.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jvb_watcher::cli::{Cli, Command, LogFormat};
use jvb_watcher::clock::SystemClock;
use jvb_watcher::commands::{self, CommandError};
use jvb_watcher::config::Settings;
use jvb_watcher::log::{Colour, Format, Log};
use jvb_watcher::name_resolution;

/// A reader of the log that is slow gets this long for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    name_resolution::use_built_in_sources();
    let environment = |name: &str| std::env::var(name).ok();
    let cli = match Cli::read(std::env::args_os(), environment) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match perform(&cli, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone, the exit status still tells.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            error.exit_code()
        }
    }
}

fn perform(cli: &Cli, environment: impl Fn(&str) -> Option<String>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[cfg(feature = "sandbox")]
    match &cli.command {
        // These make what they need themselves, so they need none of the settings of what to watch.
        Command::Sandbox(options) => return runtime.block_on(commands::sandbox(options)),
        Command::Demo(options) => return runtime.block_on(commands::demo(options, cli.options.log_level)),
        Command::Run(_) | Command::Reconcile(_) => {}
    }
    let settings = Settings::new(&cli.options, &environment)?;
    let level = cli.options.log_level;
    let format = log_format(cli.options.log_format, environment("NO_COLOR"));
    let output = Box::new(std::io::stdout());
    let log = Log::detached(settings.identity.clone(), format, level, Arc::new(SystemClock), output);
    let result = runtime.block_on(async {
        match &cli.command {
            Command::Run(options) => commands::run(&settings, options, &log).await,
            Command::Reconcile(options) => commands::reconcile(&settings, options, &log).await,
            #[cfg(feature = "sandbox")]
            Command::Sandbox(options) => commands::sandbox(options).await,
            #[cfg(feature = "sandbox")]
            Command::Demo(options) => commands::demo(options, level).await,
        }
    });
    log.finish(LAST_LINES);
    result
}

/// `NO_COLOR`, set to anything, takes the colours away (see no-color.org).
fn log_format(wanted: LogFormat, no_color: Option<String>) -> Format {
    let on_terminal = std::io::stdout().is_terminal();
    let no_color = no_color.is_some_and(|value| !value.is_empty());
    let colour = if on_terminal && !no_color { Colour::On } else { Colour::Off };
    match (wanted, on_terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Format::Json,
        (LogFormat::Pretty, _) | (LogFormat::Auto, true) => Format::Pretty { colour },
    }
}
