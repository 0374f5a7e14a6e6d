//! The common parts of `up` and `down`: the context of the operation, its end, and its output.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::options::OutputFormat;
use super::settings::Settings;
use super::{CommandError, Console};
use crate::aws::client::{AwsPlatform, SdkConfig};
use crate::operations::command::LoadBalancerCommand;
use crate::operations::context::Context;
use crate::operations::engine::{Operation, execute};
use crate::operations::failure::{Failure, OperationError};
use crate::operations::phase::CompletedPhase;
use crate::retry::Jitter;
use crate::shutdown;
use crate::telemetry::log::{Event, Phase, Verb, millis};
use jvb_watcher_rules::plan::OwnerTag;

/// The parts of a context that the command line gives.
pub(super) struct Request<'a> {
    pub(super) settings: &'a Settings,
    pub(super) console: &'a Console,
    pub(super) verb: Verb,
    pub(super) owner_tag: &'a OwnerTag,
    pub(super) allow_several_bridges: bool,
    pub(super) command: Option<Arc<dyn LoadBalancerCommand>>,
    pub(super) output: OutputFormat,
}

impl Request<'_> {
    /// Returns the context of the operation; from now on SIGINT and SIGTERM end it.
    pub(super) fn context(&self, sdk: &SdkConfig) -> Result<Context<AwsPlatform>, CommandError> {
        let (order, shutdown) = shutdown::channel();
        order.on_signals()?;
        let platform = AwsPlatform::new(sdk);
        let clock = platform.clock();
        Ok(Context {
            platform,
            scope: self.settings.scope.clone(),
            project: self.settings.identity.project.clone(),
            load_balancer: self.settings.load_balancer.clone(),
            owner_tag: self.owner_tag.clone(),
            allow_several_bridges: self.allow_several_bridges,
            command: self.command.clone(),
            log: self.console.log().clone(),
            progress: self.console.progress(self.verb),
            clock,
            shutdown,
            id: new_id(),
            jitter: Jitter::default(),
        })
    }

    /// Runs an operation; returns its phases.
    pub(super) async fn execute<O: Operation>(&self, operation: &mut O) -> Result<Vec<CompletedPhase>, CommandError> {
        let began = Instant::now();
        let result = execute(operation).await;
        self.console.clear();
        match result {
            Ok(completed) => {
                let duration_ms = millis(began.elapsed());
                self.console.log().emit(&Event::OperationCompleted { operation: self.verb, duration_ms });
                Ok(completed)
            }
            Err(failure) => Err(self.failed(&failure, began)),
        }
    }

    /// Prints the steps of a dry run that began then.
    pub(super) fn print_steps(&self, steps: Result<Vec<String>, Failure>, began: Instant) -> Result<(), CommandError> {
        match steps {
            Ok(steps) => self.print_list(&steps),
            Err(failure) => {
                if self.output == OutputFormat::Text {
                    self.print_list(&failure.steps)?;
                }
                Err(self.failed(&failure, began))
            }
        }
    }

    fn print_list(&self, steps: &[String]) -> Result<(), CommandError> {
        match self.output {
            OutputFormat::Json => print(&Steps { operation: self.verb, would: steps }),
            OutputFormat::Text => {
                let numbered = steps.iter().enumerate().map(|(number, step)| format!("{}. {step}\n", number + 1));
                Ok(write!(std::io::stdout(), "{}", numbered.collect::<String>())?)
            }
        }
    }

    /// Reports a failure: as a line of the log, or as text on a terminal; with `--output json`, on standard output too.
    fn failed(&self, failure: &Failure, began: Instant) -> CommandError {
        if self.output == OutputFormat::Json
            && let Err(error) = print(&FailureReport::of(failure))
        {
            return error;
        }
        let was_interrupted = matches!(failure.error, OperationError::Interrupted);
        if self.console.draws() {
            let text = failure.to_string();
            return if was_interrupted { CommandError::Stopped(text) } else { CommandError::Failed(text) };
        }
        self.console.log().emit(&Event::OperationFailed {
            operation: self.verb,
            phase: failure.phase,
            error: failure.reason.clone(),
            state: failure.state.clone(),
            advice: failure.advice.clone(),
            duration_ms: millis(began.elapsed()),
        });
        CommandError::Logged { was_interrupted }
    }
}

/// Returns a random id. The standard library's hash seeds are random.
fn new_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// A failure, as `--output json` prints it.
#[derive(Serialize)]
struct FailureReport<'a> {
    operation: Verb,
    failed_phase: Phase,
    error: &'a str,
    state: &'a str,
    advice: &'a str,
    /// The steps of a dry run.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    would: &'a [String],
    phases: &'a [CompletedPhase],
}

impl<'a> FailureReport<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            operation: failure.verb,
            failed_phase: failure.phase,
            error: &failure.reason,
            state: &failure.state,
            advice: &failure.advice,
            would: &failure.steps,
            phases: &failure.completed,
        }
    }
}

/// The steps of a dry run, as `--output json` prints them.
#[derive(Serialize)]
struct Steps<'a> {
    operation: Verb,
    would: &'a [String],
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
    fn each_operation_has_its_own_id() {
        assert_ne!(new_id(), new_id());
        assert_eq!(new_id().len(), 16);
    }
}
