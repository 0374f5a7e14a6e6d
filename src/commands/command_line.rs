//! The command line: the program, its commands, and how arguments and environment become one of them.
//!
//! To add a command, add a variant to [`Command`], an entry to [`HELPS`], an arm to [`perform`], and its file.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use jiff::tz::TimeZone;

use super::fleet::Watched;
use super::fleet::view::View;
use super::help::{Help, decorate};
use super::options::{LogFormat, LogOptions, PlatformOptions, QueueOptions};
use super::settings::Settings;
use super::{CommandError, Console};
use super::{doctor, down, health, hold, reconcile, run, status, up};
use crate::clock::SystemClock;
use crate::telemetry::log::{Colour, Format, Identity, Log, LogConfig, Output};

#[cfg(feature = "lambda")]
use super::lambda;
#[cfg(feature = "lambda")]
use super::options::WatchOptions;
#[cfg(feature = "report")]
use super::{audit, report};
#[cfg(feature = "manual")]
use super::{completions, man};
#[cfg(feature = "sandbox")]
use super::{demo, sandbox};

/// A slow reader of the log gets this long for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Converge an on-demand network load balancer to an ECS service
///
/// Registers the addresses of the service's running tasks in the target groups behind the load balancer, deregisters those
/// of stopped tasks, and deletes the load balancer when the service has scaled to zero.
#[derive(Debug, Parser)]
#[command(
    name = "jvb-watcher",
    version,
    after_help = "An option overrides its environment variable (--idle-grace: JVB_WATCHER_IDLE_GRACE), a variable the \
                  default. An empty variable counts as unset. Durations are written as 90s, 15m or \"1h 30m\"."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A command with its options.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch one service or many: reconcile at each event and interval
    Run(run::RunOptions),
    /// Watch one service or many as an AWS Lambda function; the default command there
    #[cfg(feature = "lambda")]
    Lambda(WatchOptions),
    /// Register and deregister targets once; never deletes the load balancer
    Reconcile(reconcile::ReconcileOptions),
    /// Create the load balancer, scale the service up, and wait until its targets are healthy
    Up(up::UpOptions),
    /// Scale the service to zero, delete the load balancer, and print what the run cost
    Down(down::DownOptions),
    /// Keep the load balancer from being deleted for a time, or release it
    Hold(hold::HoldOptions),
    /// Show a service or many: tasks, targets, load balancer and queue, and what the watcher would do
    Status(status::StatusOptions),
    /// Check credentials, queue, rule, service, load balancer and permissions
    Doctor(doctor::DoctorOptions),
    /// Check the health of a worker that runs with --listen
    Health(health::HealthOptions),
    /// Render the watcher's log as an HTML page: each day, and what it saved
    #[cfg(feature = "report")]
    Report(report::ReportOptions),
    /// Check the guarantees by the watchers' logs: what holds, what doesn't, and what they can't tell
    #[cfg(feature = "report")]
    Audit(audit::AuditOptions),
    /// Play an evening with the real watcher on a built-in AWS sandbox
    #[cfg(feature = "sandbox")]
    Demo(demo::DemoOptions),
    /// Serve an AWS sandbox on 127.0.0.1
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::SandboxOptions),
    /// Print completions for a shell
    #[cfg(feature = "manual")]
    Completions(completions::CompletionsOptions),
    /// Print the man page
    #[cfg(feature = "manual")]
    Man(man::ManOptions),
}

/// The name of a command, and its help.
type NamedHelp = (&'static str, &'static Help);

/// The help of each command, in the order of the program's help.
pub(super) const HELPS: &[NamedHelp] = &[
    ("run", &run::HELP),
    #[cfg(feature = "lambda")]
    ("lambda", &lambda::HELP),
    ("reconcile", &reconcile::HELP),
    ("up", &up::HELP),
    ("down", &down::HELP),
    ("hold", &hold::HELP),
    ("status", &status::HELP),
    ("doctor", &doctor::HELP),
    ("health", &health::HELP),
    #[cfg(feature = "report")]
    ("report", &report::HELP),
    #[cfg(feature = "report")]
    ("audit", &audit::HELP),
    #[cfg(feature = "sandbox")]
    ("demo", &demo::HELP),
    #[cfg(feature = "sandbox")]
    ("sandbox", &sandbox::HELP),
    #[cfg(feature = "manual")]
    ("completions", &completions::HELP),
    #[cfg(feature = "manual")]
    ("man", &man::HELP),
];

/// Returns the definition of the command line: what help, completions and man pages are made of.
pub fn program() -> clap::Command {
    decorate(Cli::command(), HELPS)
}

/// Returns the definition of the program and the helps of its commands without some commands: those that another build of the
/// program lacks.
#[cfg(feature = "manual")]
fn program_without(left_out: &[String]) -> Result<(clap::Command, Vec<NamedHelp>), CommandError> {
    if let Some(unknown) = left_out.iter().find(|name| !HELPS.iter().any(|(command, _)| command == name)) {
        return Err(CommandError::Usage(format!("--without: there is no command {unknown}; see jvb-watcher --help")));
    }
    let helps: Vec<_> = HELPS.iter().filter(|(name, _)| !left_out.iter().any(|other| other == name)).copied().collect();
    let whole = Cli::command();
    // clap has no way to remove a command, and completions list hidden ones.
    let rest = whole.get_subcommands().filter(|command| helps.iter().any(|(name, _)| command.get_name() == *name));
    let program = clap::Command::new("jvb-watcher")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .long_about(whole.get_long_about().cloned().unwrap_or_default())
        .subcommand_required(true)
        .subcommands(rest.cloned());
    Ok((decorate(program, &helps), helps))
}

/// Parses a command line, with the environment behind it. On AWS Lambda, `lambda` is the default command.
///
/// # Errors
///
/// A wrong command line; also a call for help, or for the version.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Command, clap::Error> {
    let mut arguments = with_command_first(arguments.into_iter().collect());
    let has_command = arguments.get(1).is_some_and(|word| word == "help" || is_command(word));
    if !has_command && is_on_lambda(environment) {
        arguments.insert(1.min(arguments.len()), "lambda".into());
    }
    let mut program = without_empty_variables(program(), environment);
    let matches = program.try_get_matches_from_mut(&arguments);
    let matches = matches.map_err(|error| with_variables(error, &program, &arguments))?;
    Ok(Cli::from_arg_matches(&matches)?.command)
}

/// Names the variable of an option that contradicts another one and isn't on the command line.
fn with_variables(mut error: clap::Error, program: &clap::Command, arguments: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::ArgumentConflict {
        return error;
    }
    let origin = |usage: &String| {
        let option = usage.split([' ', '=']).next().unwrap_or_default();
        let is_it = |word: &OsString| word.to_str().is_some_and(|word| word.split('=').next() == Some(option));
        let mut options = program.get_subcommands().flat_map(clap::Command::get_arguments);
        let definition = options.find(|arg| arg.get_long().is_some_and(|long| option == format!("--{long}")));
        match definition.and_then(clap::Arg::get_env).and_then(|variable| variable.to_str()) {
            Some(variable) if !arguments.iter().any(is_it) => format!("{option} (variable {variable})"),
            _ => usage.clone(),
        }
    };
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        let value = match error.get(kind) {
            Some(ContextValue::String(usage)) => ContextValue::String(origin(usage)),
            Some(ContextValue::Strings(usages)) => ContextValue::Strings(usages.iter().map(origin).collect()),
            _ => continue,
        };
        error.insert(kind, value);
    }
    error
}

/// Moves options of the platform and the log behind the command: they may stand before it, too.
fn with_command_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some(at) = arguments.iter().skip(1).position(is_command).map(|at| at + 1)
        && arguments[1..at]
            .iter()
            .all(|word| word.to_str().is_some_and(|word| !word.starts_with('-') || is_movable(word)))
    {
        let command = arguments.remove(at);
        arguments.insert(1, command);
    }
    arguments
}

fn is_command(word: &OsString) -> bool {
    HELPS.iter().any(|(name, _)| word == name)
}

fn is_movable(word: &str) -> bool {
    const FORMERLY_GLOBAL: [&str; 10] = [
        "--project",
        "--cluster",
        "--service",
        "--load-balancer",
        "--queue",
        "--region",
        "--profile",
        "--endpoint-url",
        "--log-format",
        "--log-level",
    ];
    FORMERLY_GLOBAL.contains(&word.split('=').next().unwrap_or(word))
}

/// The variable that Lambda sets for every function (see "Defined runtime environment variables" in its guide).
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

fn is_on_lambda(environment: impl Fn(&str) -> Option<String>) -> bool {
    cfg!(feature = "lambda") && environment(RUNTIME_API).is_some_and(|address| !address.is_empty())
}

/// Takes empty variables for unset, as all of AWS's tools do.
fn without_empty_variables(
    command: clap::Command,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> clap::Command {
    let is_empty = move |arg: &clap::Arg| {
        let variable = arg.get_env().and_then(|name| name.to_str());
        variable.and_then(environment).is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(|subcommand| without_empty_variables(subcommand, environment))
}

/// Performs a command.
///
/// # Errors
///
/// The reason why it failed, or the error in its options.
pub async fn perform(
    command: &Command,
    environment: impl Fn(&str) -> Option<String> + Copy,
) -> Result<(), CommandError> {
    let no_queue = QueueOptions::default();
    let no_color = environment("NO_COLOR").filter(|value| !value.is_empty());
    let setup = Setup { environment, is_colour_wanted: no_color.is_none() };
    match command {
        Command::Run(options) => {
            let watched = Watched::new(&options.watch, environment)?;
            let log = setup.log(&watched.identity, &options.watch.log, Stream::Detached);
            finish(run::run(&watched, options, &log).await, &log)
        }
        #[cfg(feature = "lambda")]
        Command::Lambda(options) => {
            // The process is frozen once the answer is given, and a thread with lines left to write with it.
            let watched = Watched::new(options, environment)?;
            let log = setup.log(&watched.identity, &options.log, Stream::Stdout);
            lambda::lambda(&watched, options, &log).await
        }
        Command::Reconcile(options) => {
            let settings = setup.settings(&options.platform, &no_queue)?;
            let log = setup.log(&settings.identity, &options.log, Stream::Detached);
            finish(reconcile::reconcile(&settings, options, &log).await, &log)
        }
        Command::Up(options) => {
            let settings = setup.settings(&options.platform, &no_queue)?;
            let console = setup.console(&settings, &options.log);
            finish(up::up(&settings, options, &console).await, console.log())
        }
        Command::Down(options) => {
            let settings = setup.settings(&options.platform, &no_queue)?;
            let console = setup.console(&settings, &options.log);
            finish(down::down(&settings, options, &console).await, console.log())
        }
        Command::Hold(options) => {
            let settings = setup.settings(&options.platform, &no_queue)?;
            let console = setup.console(&settings, &options.log);
            finish(hold::hold(&settings, options, &console).await, console.log())
        }
        Command::Status(options) => {
            let view = View::new(options.view(), environment)?;
            let log = setup.log(&view.watched.identity, &options.log, Stream::Stderr);
            status::status(&view, options, &log, no_color.as_deref()).await
        }
        Command::Doctor(options) => {
            let view = View::new(options.view(), environment)?;
            let log = setup.log(&view.watched.identity, &options.log, Stream::Stderr);
            doctor::doctor(&view, options, &log, no_color.as_deref()).await
        }
        Command::Health(options) => health::health(options).await,
        #[cfg(feature = "report")]
        Command::Report(options) => report::report(options),
        #[cfg(feature = "report")]
        Command::Audit(options) => audit::audit(options),
        #[cfg(feature = "sandbox")]
        Command::Demo(options) => demo::demo(options).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(options) => sandbox::sandbox(options).await,
        #[cfg(feature = "manual")]
        Command::Completions(options) => completions::completions(options, program_without(&options.without)?.0),
        #[cfg(feature = "manual")]
        Command::Man(options) => {
            let (program, helps) = program_without(&options.without)?;
            man::man(options, program, &helps)
        }
    }
}

/// The stream that a log is written to.
enum Stream {
    /// Standard output, by a thread of its own: a reader that stalls must not stop the work.
    Detached,
    /// Standard output.
    #[cfg(feature = "lambda")]
    Stdout,
    /// Standard error, beside a result on standard output.
    Stderr,
}

/// Makes the settings and the log of a command.
struct Setup<E> {
    environment: E,
    is_colour_wanted: bool,
}

impl<E: Fn(&str) -> Option<String> + Copy> Setup<E> {
    fn settings(&self, platform: &PlatformOptions, queue: &QueueOptions) -> Result<Settings, CommandError> {
        Ok(Settings::new(platform, queue, self.environment)?)
    }

    fn log(&self, identity: &Identity, options: &LogOptions, stream: Stream) -> Log {
        let (output, on_terminal) = match stream {
            Stream::Detached => (Output::detached(Box::new(std::io::stdout())), std::io::stdout().is_terminal()),
            #[cfg(feature = "lambda")]
            Stream::Stdout => (Output::direct(Box::new(std::io::stdout())), std::io::stdout().is_terminal()),
            Stream::Stderr => (Output::direct(Box::new(std::io::stderr())), std::io::stderr().is_terminal()),
        };
        Log::new(LogConfig {
            identity: identity.clone(),
            format: self.format(options.log_format, on_terminal),
            level: options.level(),
            clock: Arc::new(SystemClock),
            output,
        })
    }

    /// A log with the progress of an operation, on standard error.
    fn console(&self, settings: &Settings, options: &LogOptions) -> Console {
        let on_terminal = std::io::stderr().is_terminal();
        let format = self.format(options.log_format, on_terminal);
        Console::new(settings.identity.clone(), format, options.level(), on_terminal)
    }

    fn format(&self, wanted: LogFormat, on_terminal: bool) -> Format {
        let colour = if on_terminal && self.is_colour_wanted { Colour::On } else { Colour::Off };
        match (wanted, on_terminal) {
            (LogFormat::Json, _) | (LogFormat::Auto, false) => Format::Json,
            (LogFormat::Pretty, _) | (LogFormat::Auto, true) => {
                Format::Pretty { colour, time_zone: TimeZone::system() }
            }
        }
    }
}

/// Returns the result, once the log's last lines are written.
fn finish(result: Result<(), CommandError>, log: &Log) -> Result<(), CommandError> {
    log.finish(LAST_LINES);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Level;

    fn parsed(arguments: &[&str]) -> Result<Command, clap::Error> {
        parse(arguments.iter().map(Into::into), |_| None)
    }

    #[test]
    fn defines_a_consistent_command_line() {
        program().debug_assert();
    }

    #[test]
    fn has_a_help_for_every_command() {
        let program = program();
        let commands: Vec<_> = program.get_subcommands().map(clap::Command::get_name).collect();
        let helps: Vec<_> = HELPS.iter().map(|(name, _)| *name).collect();
        assert_eq!(commands, helps);
        for (name, help) in HELPS {
            assert!((2..=3).contains(&help.examples.len()), "{name} has {} examples", help.examples.len());
            assert!(help.see_also.iter().all(|other| helps.contains(other)), "{name} names an unknown command");
            for (_, line) in help.examples {
                assert!(line.contains(&format!("jvb-watcher {name}")), "{line} is not of {name}");
            }
        }
    }

    #[test]
    fn examples_are_valid_command_lines() {
        for (name, help) in HELPS {
            for (_, example) in help.examples {
                let words = example.split_whitespace().skip_while(|word| *word != "jvb-watcher");
                let words = words.take_while(|word| !["|", ">", "2>/dev/null"].contains(word));
                let words: Vec<&str> = words.map(|word| word.trim_matches('\'')).collect();
                let environment = |variable: &str| {
                    let assigned = example.split_whitespace().filter_map(|word| word.split_once('='));
                    assigned.clone().find(|(name, _)| *name == variable).map(|(_, value)| value.to_owned())
                };
                // clap reads its variables from the process; an example that rests on one gets it as an option.
                let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
                if let Some(listen) = environment("JVB_WATCHER_LISTEN") {
                    words.extend(["--listen".into(), listen.into()]);
                }
                let outcome = parse(words, |_| None);
                assert!(outcome.is_ok(), "{name}: {example}: {}", outcome.expect_err("an error"));
            }
        }
    }

    #[test]
    fn short_help_fits_a_screen_of_fifty_lines() {
        let mut program = program().term_width(80);
        program.build();
        for (name, _) in HELPS {
            let help = program.find_subcommand_mut(name).expect("a command").render_help().to_string();
            assert!(help.lines().count() <= 50, "{name} -h has {} lines:\n{help}", help.lines().count());
        }
        assert!(program.render_help().to_string().lines().count() <= 50);
    }

    #[test]
    fn refuses_options_that_a_command_does_not_use() {
        for arguments in [
            ["jvb-watcher", "sandbox", "--project=p"],
            ["jvb-watcher", "health", "--region=r"],
            ["jvb-watcher", "reconcile", "--queue=q"],
            ["jvb-watcher", "--project=p", "sandbox"],
        ] {
            assert_eq!(parsed(&arguments).expect_err("refused").kind(), ErrorKind::UnknownArgument, "{arguments:?}");
        }
    }

    #[test]
    fn accepts_options_of_the_platform_before_the_command() {
        for arguments in [
            vec!["jvb-watcher", "--project", "p", "--log-level=warn", "run"],
            vec!["jvb-watcher", "run", "--project", "p", "--log-level=warn"],
        ] {
            let Command::Run(options) = parsed(&arguments).expect("a good command line") else {
                panic!("another command")
            };
            assert_eq!(options.watch.platform.service.project.as_deref(), Some("p"));
            assert_eq!(options.watch.log.level(), Level::Warn);
        }
    }

    #[cfg(feature = "sandbox")]
    #[test]
    fn runs_the_sandbox_without_options() {
        let Command::Sandbox(options) = parsed(&["jvb-watcher", "sandbox"]).expect("a good command line") else {
            panic!("another command")
        };
        assert_eq!((options.port, options.time_scale, options.empty), (4566, None, false));
    }

    #[cfg(feature = "lambda")]
    #[test]
    fn is_a_function_on_lambda_unless_a_command_is_given() {
        let on_lambda = |name: &str| (name == RUNTIME_API).then(|| "127.0.0.1:9001".to_owned());
        for arguments in [vec!["bootstrap"], vec!["bootstrap", "--project", "p"]] {
            let arguments = || arguments.iter().map(Into::into);
            assert!(matches!(parse(arguments(), on_lambda), Ok(Command::Lambda(_))));
            assert!(parse(arguments(), |_| None).is_err(), "elsewhere a command is required");
        }
        let given = parse(["jvb-watcher", "reconcile"].map(Into::into), on_lambda);
        assert!(matches!(given, Ok(Command::Reconcile(_))));
    }

    #[cfg(not(feature = "sandbox"))]
    #[test]
    fn has_no_sandbox_without_its_feature() {
        for command in ["sandbox", "demo"] {
            let error = parsed(&["jvb-watcher", command]).expect_err("an unknown command");
            assert_eq!(error.kind(), ErrorKind::InvalidSubcommand);
        }
    }
}
