//! The phases of `up` and `down`, with their limits and results.

use std::time::Duration;

use serde::Serialize;

use crate::telemetry::log::Phase;

/// A phase and the longest that it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// The phase.
    pub phase: Phase,
    /// The longest that it may take.
    pub limit: Duration,
}

/// A phase that has come to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completed {
    /// Which.
    pub phase: Phase,
    /// Whether it held already when it was looked at first.
    pub skipped: bool,
    /// What there is now.
    pub detail: String,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}
