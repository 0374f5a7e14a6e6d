//! One try at the look and its repair, and what follows from its failing.

use std::time::Duration;

use crate::cloud::{CloudError, Platform};
use crate::log::{Event, Failure, Log};
use crate::reconcile::{Hints, Outcome, Reconciler};
use crate::retry::Retry;

/// A try that failed, and how long to wait before the next one.
#[derive(Debug)]
pub struct FailedAttempt {
    /// What failed.
    pub error: CloudError,
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
    calls_elsewhere: u64,
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
