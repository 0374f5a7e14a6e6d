//! The calls of AWS's APIs with their times and sizes, in the order of their responses.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hyper::body::Bytes;

/// A call that the sandbox has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCall {
    /// Service and operation, e.g. `ecs:DescribeTasks`.
    pub operation: String,
    /// Time at which the whole request had arrived.
    pub began: Instant,
    /// Time at which the response was ready.
    pub ended: Instant,
    /// The request's body.
    pub request: Bytes,
    /// Length of the response's body.
    pub response_bytes: usize,
}

/// The recorded calls; nothing is recorded before [`Recording::start`], so that a sandbox that runs for days stays small.
#[derive(Debug, Default)]
pub(super) struct Recording(Mutex<Option<Vec<RecordedCall>>>);

impl Recording {
    /// Forgets what is recorded, and records from now on.
    pub(super) fn start(&self) {
        self.with(|calls| *calls = Some(Vec::new()));
    }

    /// Returns what is recorded and forgets it; goes on recording.
    pub(super) fn take(&self) -> Vec<RecordedCall> {
        self.with(|calls| calls.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Adds a call, if calls are recorded.
    pub(super) fn add(&self, call: impl FnOnce() -> RecordedCall) {
        self.with(|calls| calls.as_mut().map(|calls| calls.push(call())));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Vec<RecordedCall>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
