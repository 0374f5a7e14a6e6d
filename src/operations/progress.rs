//! How an operation tells where it is: as log lines, or, at a terminal, as the command draws it.

use super::phase::{Bounded, Completed};
use crate::telemetry::log::{Event, Log, Verb};

/// Is told of each phase.
pub trait Progress: Send + Sync {
    /// A phase begins.
    fn began(&self, phase: Bounded);

    /// What the phase waits for; told once, until it is something else.
    fn waiting(&self, phase: Bounded, for_what: &str);

    /// A phase has come to its end.
    fn completed(&self, completed: &Completed);

    /// The balancer command has written a line.
    fn said(&self, line: &str);
}

/// Log lines.
pub struct Lines {
    /// Which way it goes.
    pub verb: Verb,
    /// Where they go.
    pub log: Log,
}

impl Progress for Lines {
    fn began(&self, Bounded { phase, limit }: Bounded) {
        self.log.emit(&Event::PhaseStarted { operation: self.verb, phase, limit_seconds: limit.as_secs_f64() });
    }

    fn waiting(&self, Bounded { phase, .. }: Bounded, for_what: &str) {
        self.log.emit(&Event::PhaseWaiting { operation: self.verb, phase, detail: for_what.to_owned() });
    }

    fn completed(&self, completed: &Completed) {
        let Completed { phase, skipped, detail, duration_ms, started_at: _ } = completed.clone();
        self.log.emit(&Event::PhaseCompleted { operation: self.verb, phase, skipped, detail, duration_ms });
    }

    fn said(&self, line: &str) {
        self.log.emit(&Event::CommandOutput { operation: self.verb, text: line.to_owned() });
    }
}
