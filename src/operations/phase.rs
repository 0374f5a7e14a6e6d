//! A phase with its time limit, and its result.

use std::time::Duration;

use serde::Serialize;

use crate::telemetry::log::Phase;

/// A phase and its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundedPhase {
    /// The phase.
    pub phase: Phase,
    /// The longest that it may take.
    pub limit: Duration,
}

/// A phase whose condition holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompletedPhase {
    /// The phase.
    pub phase: Phase,
    /// True if the condition held before the operation did anything for it.
    pub skipped: bool,
    /// The state that the phase ended with.
    pub detail: String,
    /// The time at which it began (RFC 3339).
    pub started_at: String,
    /// Its duration, in milliseconds.
    pub duration_ms: u64,
}
