//! Reports of an operation's progress.

use super::phase::{BoundedPhase, CompletedPhase};
use crate::telemetry::log::{Event, Log, Verb};

/// Receives the progress of an operation.
pub trait Progress: Send + Sync {
    /// A phase starts.
    fn phase_started(&self, phase: BoundedPhase);

    /// The phase waits for this condition. Called again only when the text changes.
    fn phase_waiting(&self, phase: BoundedPhase, detail: &str);

    /// A phase is complete.
    fn phase_completed(&self, completed: &CompletedPhase);

    /// The load balancer command has written a line.
    fn command_output(&self, line: &str);
}

/// Writes the progress to the log.
pub struct LoggedProgress {
    /// The operation.
    pub verb: Verb,
    /// The log.
    pub log: Log,
}

impl Progress for LoggedProgress {
    fn phase_started(&self, BoundedPhase { phase, limit }: BoundedPhase) {
        self.log.emit(&Event::PhaseStarted { operation: self.verb, phase, limit_seconds: limit.as_secs_f64() });
    }

    fn phase_waiting(&self, BoundedPhase { phase, .. }: BoundedPhase, detail: &str) {
        self.log.emit(&Event::PhaseWaiting { operation: self.verb, phase, detail: detail.to_owned() });
    }

    fn phase_completed(&self, completed: &CompletedPhase) {
        let CompletedPhase { phase, skipped, detail, duration_ms, started_at: _ } = completed.clone();
        self.log.emit(&Event::PhaseCompleted { operation: self.verb, phase, skipped, detail, duration_ms });
    }

    fn command_output(&self, line: &str) {
        self.log.emit(&Event::CommandOutput { operation: self.verb, text: line.to_owned() });
    }
}
