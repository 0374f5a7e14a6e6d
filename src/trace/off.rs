//! The place of the spans in a program that is built without the feature `otlp`: nothing is recorded.

use std::fmt;

/// Starts no traces.
#[derive(Clone, Debug)]
pub struct Traces;

/// The reason for a reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Messages about the service.
    Messages,
    /// The time that the last plan set, the resync interval, or the retry of one of them.
    Timer,
}

impl Traces {
    /// Creates a source of no traces.
    pub fn off() -> Self {
        Self
    }

    /// Starts no trace.
    pub fn reconciliation(&self, _: Trigger) -> Reconciliation {
        Reconciliation
    }
}

/// The trace of a reconciliation, which isn't recorded.
#[must_use]
pub struct Reconciliation;

impl Reconciliation {
    /// Returns the future.
    pub fn within<F: Future>(&self, future: F) -> F {
        future
    }

    /// Does nothing.
    pub fn succeeded(self, _findings: usize) {}

    /// Does nothing.
    pub fn failed(self, _error: &dyn fmt::Display, _code: Option<&str>) {}
}

/// Returns the future.
pub fn phase<F: Future>(_name: &'static str, future: F) -> F {
    future
}

/// Returns the future.
pub fn in_current_trace<F: Future>(future: F) -> F {
    future
}
