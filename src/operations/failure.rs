//! The errors that end an operation, and the report of a failed one.

use std::time::Duration;

use super::phase::CompletedPhase;
use crate::aws::AwsError;
use crate::telemetry::log::{Phase, Verb, rfc3339_millis};
use jvb_watcher_rules::lease::{Lease, LeaseHolder};

/// An error that ends an operation.
#[derive(Debug)]
pub enum OperationError {
    /// A call to AWS failed.
    Aws(AwsError),
    /// The operation can't go on: the reason and the remedy.
    Refused(String),
    /// The load balancer is in use, or may be: by how many, or why that is unknown.
    InUse(String),
    /// The use of the load balancer can't be read until an operator acts, which counts as in use.
    UseUnreadable {
        /// Why.
        reason: String,
        /// What the operator can do.
        remedy: &'static str,
    },
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
            Self::Refused(reason) | Self::InUse(reason) | Self::UseUnreadable { reason, .. } => reason.clone(),
            Self::Superseded(later) => {
                let at = rfc3339_millis(later.begun_at);
                match later.holder {
                    LeaseHolder::Up | LeaseHolder::Down => {
                        format!("superseded by another `{}`, which began at {at}", later.holder.as_str())
                    }
                    LeaseHolder::Stop => {
                        format!("superseded by the watcher, which began to stop the unused service at {at}")
                    }
                }
            }
            Self::TimedOut { limit, waiting_for } => {
                format!("timed out after {}: {waiting_for}", humantime::format_duration(*limit))
            }
            Self::Interrupted => "interrupted".to_owned(),
        };
        text.trim_end_matches('.').to_owned()
    }

    /// Returns the commands that continue after this error ended an operation.
    pub(super) fn advice(&self, verb: Verb, phase: Phase) -> String {
        if let Self::Superseded(later) = self {
            return match later.holder {
                LeaseHolder::Up | LeaseHolder::Down => {
                    format!("nothing to do; wait until the later `{}` ends", later.holder.as_str())
                }
                LeaseHolder::Stop => format!("run jvb-watcher {} again", verb.as_str()),
            };
        }
        if let Self::UseUnreadable { remedy, .. } = self {
            return format!(
                "nothing has been changed; {remedy} and run `jvb-watcher down` again, or run `jvb-watcher down --now`, which \
                 cuts calls off"
            );
        }
        let is_in_use = matches!(self, Self::InUse(_))
            || phase == Phase::LoadBalancerUnused && matches!(self, Self::TimedOut { .. });
        if is_in_use {
            return "nothing has been changed; run `jvb-watcher down --when-unused` to wait until it is unused, or \
                    `jvb-watcher down --now` to cut the calls off"
                .to_owned();
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
    /// The steps that a dry run has found; none of a real run.
    pub steps: Vec<String>,
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
