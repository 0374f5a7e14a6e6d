//! One try at the look and its repair, and what follows from its failing.

use std::time::Duration;

use crate::aws::{AwsError, Calls, Platform};
use crate::controller::reconcile::{Hints, Outcome, Reconciler};
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure, Log};

/// A try that failed, and how long to wait before the next one.
#[derive(Debug)]
pub struct FailedAttempt {
    /// What failed.
    pub error: AwsError,
    /// How long to wait.
    pub wait: Duration,
}

/// Reconciles once. A failure is counted and logged. Calls made elsewhere, on the queue, are only counted.
///
/// # Errors
///
/// What failed. All of it is worth another try.
pub async fn attempt<P: Platform>(
    reconciler: &mut Reconciler<P>,
    hints: &Hints,
    calls_elsewhere: Calls,
    retry: &mut Retry,
    log: &Log,
) -> Result<Outcome, FailedAttempt> {
    match reconciler.reconcile(hints, calls_elsewhere).await {
        Ok(outcome) => {
            retry.succeeded();
            Ok(outcome)
        }
        Err(error) => {
            let (attempt, wait) = retry.failed(error.kind);
            log.emit(&Event::ReconcileFailed { failure: Failure::new(&error, attempt, wait) });
            Err(FailedAttempt { error, wait })
        }
    }
}
