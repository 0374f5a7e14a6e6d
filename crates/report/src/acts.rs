//! Recognizes an act that several workers report.
//!
//! Any number of workers may run, and several may do the same act: AWS accepts a second RegisterTargets or
//! DeleteLoadBalancer without an error, so each logs it. They also observe the same change of health, each at its own
//! reconciliation. The lines differ in their timestamps, so they aren't duplicates of one line; the page still shows one
//! act.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent, TargetAddress};

/// The time within which a second report of an act is taken for the same act. A worker that receives no message notices
/// a change at its next resync: once a minute by default, twice that with a failed reconciliation in between.
const WINDOW: Duration = Duration::from_secs(2 * 60);

/// An act, or an observed change, by everything that tells it from another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Act {
    Registered { target: TargetAddress, task: String },
    Deregistered { target: TargetAddress },
    Health { target: TargetAddress, state: String },
    Marked { reason: String },
    Unmarked,
    TeardownStarted,
    LoadBalancerDeleted { arn: String },
    TargetGroupDeleted { name: String },
    TeardownCompleted,
    StopAnnounced,
    StopWithdrawn { reason: String },
    ServiceStopped,
    Finding { name: String, subject: String, state: String, detail: String },
}

/// Drops the lines that report an act that an earlier line has reported, and returns how many there are.
///
/// A report is a repetition if the same act was reported at most [`WINDOW`] earlier and nothing has undone it since.
pub fn without_repetitions(lines: &[Line]) -> (Vec<&Line>, usize) {
    let mut reported: HashMap<Act, Timestamp> = HashMap::new();
    let first_reports = lines.iter().filter(|line| {
        let Some(act) = Act::of(&line.event) else { return true };
        reported.retain(|_, at| line.at.duration_since(*at).unsigned_abs() <= WINDOW);
        if reported.contains_key(&act) {
            return false;
        }
        reported.retain(|earlier, _| !act.undoes(earlier));
        reported.insert(act, line.at);
        true
    });
    let first_reports: Vec<&Line> = first_reports.collect();
    let repetitions = lines.len() - first_reports.len();
    (first_reports, repetitions)
}

impl Act {
    fn of(event: &LoggedEvent) -> Option<Self> {
        Some(match event {
            LoggedEvent::TargetRegistered { target, .. } => {
                Self::Registered { target: target.address(), task: target.owner().to_owned() }
            }
            LoggedEvent::TargetDeregistered { target } => Self::Deregistered { target: target.address() },
            LoggedEvent::TargetHealthChanged { target, to, .. } => {
                Self::Health { target: target.address(), state: to.clone() }
            }
            LoggedEvent::IdleMarked { reason } => Self::Marked { reason: reason.clone() },
            LoggedEvent::IdleUnmarked => Self::Unmarked,
            LoggedEvent::TeardownStarted => Self::TeardownStarted,
            LoggedEvent::LoadBalancerDeleted { load_balancer_arn, .. } => {
                Self::LoadBalancerDeleted { arn: load_balancer_arn.clone() }
            }
            LoggedEvent::TargetGroupDeleted { target_group } => Self::TargetGroupDeleted { name: target_group.clone() },
            LoggedEvent::TeardownCompleted => Self::TeardownCompleted,
            LoggedEvent::StopAnnounced { .. } => Self::StopAnnounced,
            LoggedEvent::StopWithdrawn { reason } => Self::StopWithdrawn { reason: reason.clone() },
            LoggedEvent::ServiceStopped => Self::ServiceStopped,
            // The repetitions of a finding show that it is still open.
            LoggedEvent::Finding { finding, state, subject, detail, .. } if state != "repeated" => Self::Finding {
                name: finding.clone(),
                subject: subject.clone(),
                state: state.clone(),
                detail: detail.clone(),
            },
            _ => return None,
        })
    }

    /// Returns whether the earlier act may happen again after this one.
    fn undoes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (
                Self::Registered { target, .. } | Self::Deregistered { target },
                Self::Registered { target: other, .. }
                | Self::Deregistered { target: other }
                | Self::Health { target: other, .. },
            )
            | (Self::Health { target, .. }, Self::Health { target: other, .. }) => target == other,
            (
                Self::Marked { .. },
                Self::Unmarked | Self::TeardownStarted | Self::TargetGroupDeleted { .. } | Self::TeardownCompleted,
            )
            | (Self::Unmarked | Self::TeardownCompleted, Self::Marked { .. })
            | (Self::StopAnnounced, Self::StopWithdrawn { .. })
            | (Self::StopWithdrawn { .. } | Self::ServiceStopped, Self::StopAnnounced) => true,
            (Self::Finding { name, subject, .. }, Self::Finding { name: other_name, subject: other_subject, .. }) => {
                (name, subject) == (other_name, other_subject)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
