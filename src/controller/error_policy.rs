//! The error policy: what follows a reconciliation that failed.

use std::time::Duration;

use crate::aws::AwsError;
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure, Log};

/// Logs a failed reconciliation and returns how long to wait before the next one. Every error is retried.
pub fn requeue_after(error: &AwsError, retry: &mut Retry, log: &Log) -> Duration {
    let (attempt, wait) = retry.failed(error.kind);
    log.emit(&Event::ReconcileFailed { failure: Failure::new(error, attempt, wait) });
    wait
}
