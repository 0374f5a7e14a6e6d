//! The phase engine: takes an operation from phase to phase, each by its condition and its time limit.

use std::future::Future;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::POLL_INTERVAL;
use super::failure::{Failure, OperationError};
use super::phase::{BoundedPhase, CompletedPhase};
use super::run::{CommandState, MAX_RETRY_WAIT, Run};
use crate::aws::ControllerPlatform;
use crate::retry::Retry;
use crate::telemetry::log::{Phase, millis, rfc3339_millis};

/// The shortest time between two checks of a condition: each second until a task has its address is a second until the first
/// call.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two checks of a condition.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The time that a check may take beyond the phase's limit.
const LAST_CHECK_LIMIT: Duration = Duration::from_secs(10);

/// The time for which a failed load balancer command is retried after this operation superseded a running one, whose own
/// command has this long to stop: terraform locks its state.
const LOCK_RETRY_LIMIT: Duration = Duration::from_secs(120);

/// The number of times that an operation returns to an earlier phase before it fails.
const MAX_RESTARTS: u32 = 3;

/// The status of a phase after a check.
#[derive(Debug)]
pub enum PhaseStatus {
    /// The condition holds: the state that it holds in.
    Completed(String),
    /// The condition held before the operation did anything for it: the state that it holds in.
    Skipped(String),
    /// The condition does not hold yet: what it waits for.
    Waiting(String),
    /// The load balancer command must run before the next check.
    RunCommand,
    /// The condition of an earlier phase holds no longer.
    RestartFrom {
        /// The phase to restart from.
        phase: Phase,
        /// The error if this happens again and again.
        repeated: &'static str,
    },
}

/// An operation: `up` or `down`.
pub trait Operation: Send + Sync {
    /// The port to AWS.
    type Platform: ControllerPlatform + Clone;

    /// Returns the run.
    fn run(&self) -> &Run<Self::Platform>;

    /// Returns the run, to change it.
    fn run_mut(&mut self) -> &mut Run<Self::Platform>;

    /// Returns the phases in their order.
    fn phases(&self) -> Vec<BoundedPhase>;

    /// Checks the phase's condition, and takes the next step towards it.
    fn check(&mut self, phase: Phase) -> impl Future<Output = Result<PhaseStatus, OperationError>> + Send;

    /// Does what has to be done regularly while the load balancer command runs.
    fn beside_command(&mut self) -> impl Future<Output = Result<(), OperationError>> + Send;

    /// Records that the load balancer command has succeeded.
    fn command_succeeded(&mut self);

    /// Undoes what the operation has done ahead of the phase that failed, and what would cost money for nothing.
    fn undo(&mut self, failed: Phase) -> impl Future<Output = ()> + Send;
}

/// Runs an operation to its end; returns its phases.
///
/// # Errors
///
/// The phase that failed, the reason, the state that it leaves, and how to continue.
pub async fn execute<O: Operation>(operation: &mut O) -> Result<Vec<CompletedPhase>, Failure> {
    let phases = operation.phases();
    let (mut at, mut restarts) = (0, 0);
    while let Some(bounded) = phases.get(at) {
        let next = match run_phase(operation, *bounded).await {
            Ok(None) => Ok(at + 1),
            Ok(Some((_, repeated))) if restarts == MAX_RESTARTS => Err(OperationError::Refused(repeated.to_owned())),
            Ok(Some((earlier, _))) => {
                restarts += 1;
                Ok(phases.iter().position(|bounded| bounded.phase == earlier).unwrap_or(at))
            }
            Err(error) => Err(error),
        };
        match next {
            Ok(next) => at = next,
            Err(error) => {
                // A later operation decides what becomes of it.
                if !matches!(error, OperationError::Superseded(_)) {
                    operation.undo(bounded.phase).await;
                }
                return Err(operation.run_mut().fail(bounded.phase, error).await);
            }
        }
    }
    let run = operation.run_mut();
    match run.succeed().await {
        Ok(completed) => Ok(completed),
        Err(error) => {
            let last = phases.last().map_or(Phase::Claimed, |bounded| bounded.phase);
            Err(run.fail(last, error).await)
        }
    }
}

/// Returns the time until the next check of a condition that has been waited for so long.
///
/// A tenth of that time adds little to the wait, and spares the API limits that the whole account shares.
pub(super) fn poll_interval(waited: Duration) -> Duration {
    (waited / 10).clamp(MIN_POLL_INTERVAL, MAX_POLL_INTERVAL)
}

/// Runs one phase; returns an earlier one to restart from, if there is need, and the error if that is too often.
async fn run_phase<O: Operation>(
    operation: &mut O,
    bounded: BoundedPhase,
) -> Result<Option<(Phase, &'static str)>, OperationError> {
    let BoundedPhase { phase, limit } = bounded;
    let context = &operation.run().context;
    let (progress, shutdown) = (context.progress.clone(), context.shutdown.clone());
    let (began, started_at) = (Instant::now(), rfc3339_millis(context.now()));
    let deadline = began + limit;
    let mut retry = Retry::new(context.jitter);
    let mut reported = String::new();
    progress.phase_started(bounded);
    loop {
        let checked = tokio::select! {
            biased;
            _ = shutdown.begun() => return Err(OperationError::Interrupted),
            checked = tokio::time::timeout_at(deadline + LAST_CHECK_LIMIT, operation.check(phase)) => checked,
        };
        let mut complete = |skipped, detail| {
            let started_at = started_at.clone();
            let completed = CompletedPhase { phase, skipped, detail, started_at, duration_ms: millis(began.elapsed()) };
            progress.phase_completed(&completed);
            operation.run_mut().completed.push(completed);
        };
        let (waiting_for, wait) = match checked {
            Ok(Ok(PhaseStatus::Completed(detail))) => {
                complete(false, detail);
                return Ok(None);
            }
            Ok(Ok(PhaseStatus::Skipped(detail))) => {
                complete(true, detail);
                return Ok(None);
            }
            Ok(Ok(PhaseStatus::RestartFrom { phase, repeated })) => return Ok(Some((phase, repeated))),
            Ok(Ok(PhaseStatus::RunCommand)) => {
                if let Err(error) = run_command(operation, bounded, deadline).await {
                    return Err(operation.run().root_cause(error).await);
                }
                continue;
            }
            Ok(Ok(PhaseStatus::Waiting(detail))) => {
                retry.succeeded();
                (detail, poll_interval(began.elapsed()))
            }
            Ok(Err(OperationError::Aws(error))) if error.kind.is_transient() => {
                let (_, wait) = retry.failed(error.kind);
                (error.to_string(), wait.min(MAX_RETRY_WAIT))
            }
            Ok(Err(error)) => return Err(operation.run().root_cause(error).await),
            Err(_) => ("AWS did not answer in time".to_owned(), Duration::ZERO),
        };
        if Instant::now() >= deadline {
            return Err(OperationError::TimedOut { limit, waiting_for });
        }
        if reported != waiting_for {
            progress.phase_waiting(bounded, &waiting_for);
            reported = waiting_for;
        }
        // The last check is at the deadline itself.
        tokio::select! {
            biased;
            _ = shutdown.begun() => return Err(OperationError::Interrupted),
            () = tokio::time::sleep_until((Instant::now() + wait).min(deadline)) => {}
        }
    }
}

/// Runs the load balancer command to its end. Where the operation must end before, interrupts it and waits for it.
async fn run_command<O: Operation>(
    operation: &mut O,
    bounded: BoundedPhase,
    deadline: Instant,
) -> Result<(), OperationError> {
    let context = &operation.run().context;
    let (progress, shutdown) = (context.progress.clone(), context.shutdown.clone());
    let Some(command) = context.command.clone() else {
        return Err(OperationError::Refused("there is no load balancer command".to_owned()));
    };
    loop {
        operation.run_mut().command = CommandState::Incomplete;
        progress.phase_waiting(bounded, &format!("running {}", command.text()));
        let (interrupt, interrupted) = oneshot::channel();
        let on_line = |line: &str| progress.command_output(line);
        let mut running = command.run(&on_line, interrupted);
        let ended = tokio::select! {
            biased;
            _ = shutdown.begun() => Err(OperationError::Interrupted),
            result = &mut running => Ok(result),
            error = watch_beside_command(operation, bounded, deadline) => Err(error),
        };
        match ended {
            Ok(Ok(())) => {
                drop(running);
                operation.run_mut().command = CommandState::Settled;
                operation.command_succeeded();
                return Ok(());
            }
            Ok(Err(reason)) => {
                let run = operation.run();
                let since_superseding = run.since_superseding();
                let may_be_locked = since_superseding.is_some_and(|since| since + MAX_RETRY_WAIT < LOCK_RETRY_LIMIT);
                if !may_be_locked || Instant::now() + MAX_RETRY_WAIT >= deadline {
                    return Err(OperationError::Refused(reason));
                }
                progress.phase_waiting(bounded, &format!("{reason}; retrying, another operation may be stopping"));
                tokio::select! {
                    biased;
                    _ = shutdown.begun() => return Err(OperationError::Interrupted),
                    () = tokio::time::sleep(MAX_RETRY_WAIT) => {}
                }
                run.verify_lease().await?;
            }
            Err(error) => {
                progress.phase_waiting(bounded, "waiting for the command to stop");
                // It may have ended by itself in this moment.
                let _ = interrupt.send(());
                let _ = running.await;
                return Err(error);
            }
        }
    }
}

/// Returns the error that must end the load balancer command.
async fn watch_beside_command<O: Operation>(
    operation: &mut O,
    BoundedPhase { limit, .. }: BoundedPhase,
    deadline: Instant,
) -> OperationError {
    loop {
        tokio::time::sleep_until((Instant::now() + POLL_INTERVAL).min(deadline)).await;
        if Instant::now() >= deadline {
            let waiting_for = "the load balancer command has not ended".to_owned();
            return OperationError::TimedOut { limit, waiting_for };
        }
        match operation.beside_command().await {
            Ok(()) => {}
            // The next call may succeed; the command goes on meanwhile.
            Err(OperationError::Aws(error)) if error.kind.is_transient() => {}
            Err(error) => return error,
        }
    }
}
