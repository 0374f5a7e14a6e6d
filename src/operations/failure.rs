//! The errors that end an operation, and the report of a failed one.

use std::time::Duration;

use super::lease::Lease;
use super::phase::CompletedPhase;
use crate::aws::AwsError;
use crate::telemetry::log::{Phase, Verb, rfc3339_millis};

/// An error that ends an operation.
#[derive(Debug)]
pub enum OperationError {
    /// A call to AWS failed.
    Aws(AwsError),
    /// The operation can't go on: the reason and the remedy.
    Refused(String),
    /// A later operation has taken the lease.
    Superseded(Lease),
    /// A phase took too long.
    TimedOut {
        /// Its time limit.
        limit: Duration,
        /// The condition that did not come to hold.
        waiting_for: String,
    },
    /// A signal stopped the operation.
    Interrupted,
}

impl From<AwsError> for OperationError {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

impl OperationError {
    /// Returns the error as text, with its remedy, and without a full stop: further sentences follow.
    pub fn reason(&self) -> String {
        let text = match self {
            Self::Aws(error) => error.with_remedy(),
            Self::Refused(reason) => reason.clone(),
            Self::Superseded(later) => {
                let (verb, at) = (later.verb.as_str(), rfc3339_millis(later.begun_at));
                format!("superseded by another `{verb}`, which began at {at}")
            }
            Self::TimedOut { limit, waiting_for } => {
                format!("timed out after {}: {waiting_for}", humantime::format_duration(*limit))
            }
            Self::Interrupted => "interrupted".to_owned(),
        };
        text.trim_end_matches('.').to_owned()
    }

    /// Returns the commands that continue after this error ended an operation.
    pub(super) fn advice(&self, verb: Verb) -> String {
        if let Self::Superseded(later) = self {
            return format!("nothing to do; wait until the later `{}` ends", later.verb.as_str());
        }
        let run = if matches!(self, Self::Interrupted) { "run" } else { "fix the cause and run" };
        let (other, effect) = match verb {
            Verb::Up => (Verb::Down, "delete everything"),
            Verb::Down => (Verb::Up, "bring everything up again"),
        };
        format!(
            "{run} `jvb-watcher {}` again to continue, or `jvb-watcher {}` to {effect}",
            verb.as_str(),
            other.as_str()
        )
    }
}

/// The report of a failed operation.
#[derive(Debug, thiserror::Error)]
#[error("{} failed in phase {:?}: {reason}\nstate: {state}\nnext: {advice}", verb.as_str(), phase.label())]
pub struct Failure {
    /// The operation.
    pub verb: Verb,
    /// The phase that failed.
    pub phase: Phase,
    /// The error.
    pub error: OperationError,
    /// The error as text, with its remedy.
    pub reason: String,
    /// The state of service, load balancer and targets, in one line.
    pub state: String,
    /// The commands that continue from there.
    pub advice: String,
    /// The phases that completed before.
    pub completed: Vec<CompletedPhase>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_with_a_findings_advice_has_no_full_stop_of_its_own() {
        let reason = "p-jvb-nlb: AWS refuses to delete it. Delete the load balancer by hand.";
        let refused = OperationError::Refused(reason.to_owned());
        assert_eq!(refused.reason(), "p-jvb-nlb: AWS refuses to delete it. Delete the load balancer by hand");
    }
}
