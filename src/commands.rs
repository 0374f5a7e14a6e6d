//! The command line: each command is a file with its options, its help and what it does.

use std::process::ExitCode;
use std::sync::Arc;

use crate::aws::AwsError;
use crate::aws::client::{self, AwsEventBus, ConnectError, Connection, RecordError, Recorder, SdkConfig};
use crate::controller::scope::Scope;
use crate::telemetry::log::{Log, diagnostics};
use crate::telemetry::otlp::Otlp;
use crate::telemetry::publish::Publisher;
use jvb_watcher_rules::plan::Policy;

mod assemble;
#[cfg(feature = "report")]
mod audit;
mod command_line;
#[cfg(feature = "manual")]
mod completions;
mod console;
#[cfg(feature = "sandbox")]
mod demo;
mod doctor;
mod down;
mod fleet;
mod health;
mod help;
mod hold;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "manual")]
mod man;
mod operation;
mod options;
mod probe;
mod reconcile;
#[cfg(feature = "report")]
mod report;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod settings;
mod status;
mod up;
mod watch;

pub use command_line::{Command, parse, perform, program};
pub use console::Console;
#[cfg(feature = "lambda")]
pub use lambda::init_failed;
use options::{IdleGrace, PolicyOptions, WatchOptions};
use settings::ConfigError;

/// Connects to AWS. From then on the log has the SDK's own messages; those of a failed connection are in its error.
async fn connect(connection: &Connection, log: &Log) -> Result<SdkConfig, CommandError> {
    let sdk = client::connect(connection).await?;
    diagnostics::install(log);
    Ok(sdk)
}

/// Connects to AWS, and records the calls if there is a recorder.
async fn connect_recorded(
    connection: &Connection,
    log: &Log,
    recorder: Option<&Recorder>,
) -> Result<SdkConfig, CommandError> {
    let sdk = connect(connection, log).await?;
    Ok(match recorder {
        Some(recorder) => recorder.install(sdk),
        None => sdk,
    })
}

/// Starts to publish the log's events, if `--publish-events` names a bus.
fn publisher(sdk: &SdkConfig, options: &WatchOptions, log: &Log) -> Option<Publisher> {
    let bus = AwsEventBus::new(sdk, options.publish_events.as_deref()?);
    let publisher = Publisher::default();
    log.subscribe(Arc::new(publisher.clone()));
    tokio::spawn(publisher.clone().keep_sending(bus, log.clone()));
    Some(publisher)
}

/// Starts the export that OpenTelemetry's environment variables configure.
fn export(log: &Log) -> Result<Otlp, CommandError> {
    Otlp::start(log, |name| std::env::var(name).ok()).map_err(CommandError::Usage)
}

/// Returns the rules that the options configure for a service and its load balancer.
///
/// # Errors
///
/// Two options contradict each other.
fn policy(scope: &Scope, load_balancer: &str, options: &PolicyOptions) -> Result<Policy, ConfigError> {
    Ok(Policy {
        service: scope.service.clone(),
        load_balancer: load_balancer.to_owned(),
        owner_tag: options.owner.owner_tag.clone(),
        teardown: options.teardown.into(),
        idle_grace: options.idle_grace.at_least(),
        until_paid_hour: options.idle_grace == IdleGrace::UntilPaidHour,
        unused_grace: options.unused_grace,
        resync_interval: options.resync_interval,
        allow_several_bridges: options.bridges.allow_several_bridges,
        usage: options.usage.policy()?,
    })
}

/// The reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Wrong usage or configuration: nothing was done.
    #[error("{0}")]
    Usage(String),
    /// The command failed.
    #[error("{0}")]
    Failed(String),
    /// A signal ended `status --watch`, which has no end of its own; or the reader of standard output has gone.
    #[error("ended")]
    Ended,
    /// `status` has shown what is not well, `audit` what does not hold, or `sandbox --replay` differences.
    #[error("not well")]
    NotWell,
    /// A signal stopped the command before its end.
    #[error("stopped before the end")]
    Interrupted,
    /// The same, with the state in which it stopped.
    #[error("{0}")]
    Stopped(String),
    /// The log says why: `up` or `down` has failed without a terminal.
    #[error("the log says why")]
    Logged {
        /// True if a signal stopped it.
        was_interrupted: bool,
    },
}

impl CommandError {
    /// Returns the exit status: 1 for failure, 2 for wrong usage, 3 for what `status`, `audit` or
    /// `sandbox --replay` has found, and 130, as shells have it
    /// for Ctrl-C, for a command that was stopped or whose output has no reader.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Logged { was_interrupted: false } => ExitCode::from(1),
            Self::NotWell => ExitCode::from(3),
            Self::Interrupted | Self::Ended | Self::Stopped(_) | Self::Logged { was_interrupted: true } => {
                ExitCode::from(130)
            }
        }
    }

    /// Returns the message for standard error, unless it is already on the output or in the log.
    pub fn message(&self) -> Option<String> {
        (!matches!(self, Self::NotWell | Self::Ended | Self::Logged { .. })).then(|| self.to_string())
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<RecordError> for CommandError {
    fn from(error: RecordError) -> Self {
        Self::Usage(error.to_string())
    }
}

#[cfg(feature = "sandbox")]
impl From<jvb_watcher_sandbox::scenario::ScenarioError> for CommandError {
    fn from(error: jvb_watcher_sandbox::scenario::ScenarioError) -> Self {
        Self::Usage(format!("--scenario: {error}"))
    }
}

#[cfg(feature = "sandbox")]
impl From<jvb_watcher_sandbox::scenario::PlayError> for CommandError {
    fn from(error: jvb_watcher_sandbox::scenario::PlayError) -> Self {
        use jvb_watcher_sandbox::scenario::PlayError;
        match error {
            PlayError::Refused { .. } => Self::Failed(error.to_string()),
            PlayError::Output(error) => error.into(),
        }
    }
}

impl From<AwsError> for CommandError {
    fn from(error: AwsError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // The reader has closed the pipe, e.g. `| head`: no error of the command's.
            std::io::ErrorKind::BrokenPipe => Self::Ended,
            _ => Self::Failed(format!("writing the output failed: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_error_to_report() {
        let error = CommandError::from(Error::from(ErrorKind::BrokenPipe));
        assert_eq!((error.message(), error.exit_code()), (None, ExitCode::from(130)));
    }

    #[test]
    fn an_output_that_can_t_be_written_is_named() {
        let error = CommandError::from(Error::from(ErrorKind::StorageFull));
        assert_eq!(error.message().as_deref(), Some("writing the output failed: no storage space"));
        assert_eq!(error.exit_code(), ExitCode::from(1));
    }
}
