//! Counts since the process began: `reconciled` reports their increase, `watcher_stopped` the sums.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::aws::Calls;

/// The counts of one controller. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Totals(Arc<Mutex<Counts>>);

/// The counts at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages about the service.
    pub messages: u64,
    /// Messages about something else.
    pub foreign: u64,
    /// Reconciliations that succeeded.
    pub reconciliations: u64,
    /// Requests to ECS and Elastic Load Balancing.
    platform_calls: Calls,
    /// Requests to SQS.
    queue_calls: Calls,
}

impl Counts {
    /// All requests to AWS, retries included.
    pub fn aws_calls(&self) -> Calls {
        self.platform_calls + self.queue_calls
    }
}

impl Totals {
    /// Returns the counts so far.
    pub fn get(&self) -> Counts {
        *self.lock()
    }

    /// Counts a message about the service.
    pub fn count_message(&self) {
        self.lock().messages += 1;
    }

    /// Counts a message about something else.
    pub fn count_foreign(&self) {
        self.lock().foreign += 1;
    }

    /// Counts a reconciliation that succeeded.
    pub fn count_reconciliation(&self) {
        self.lock().reconciliations += 1;
    }

    /// Takes the number of requests that the platform has counted.
    pub fn set_platform_calls(&self, calls: Calls) {
        self.lock().platform_calls = calls;
    }

    /// Takes the number of requests that the queue has counted.
    pub fn set_queue_calls(&self, calls: Calls) {
        self.lock().queue_calls = calls;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
