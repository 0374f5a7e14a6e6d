//! The watcher's next actions and the time of its next reconciliation.

use jiff::Timestamp;
use serde::Serialize;

use super::{seconds_between, whole_seconds};
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::{
    LifecycleAction, MarkReason, Plan, Policy, StopAction, StopObstacle, TargetChange, TargetReason, Teardown,
    UnmarkReason, expected_stop, marked_since, stop_announced_for,
};

/// The watcher's next actions.
#[derive(Debug, Serialize)]
pub struct Next {
    /// The actions that it would take now.
    pub intents: Vec<Intent>,
    /// The time at which the load balancer is deleted if it stays idle; `None` if it isn't marked, or the time has passed.
    #[serde(serialize_with = "whole_seconds_if_any")]
    pub teardown_due_at: Option<Timestamp>,
    /// The time at which the service is scaled to zero if it stays unused; `None` if it isn't stopped when unused, while its use
    /// is unknown, or while something else forbids it, e.g. a hold.
    #[serde(serialize_with = "whole_seconds_if_any")]
    pub stop_due_at: Option<Timestamp>,
    /// True if that time is announced.
    pub stop_announced: bool,
    /// The latest time of the next reconciliation.
    #[serde(serialize_with = "whole_seconds")]
    pub requeue_at: Timestamp,
    /// The time until then, in seconds.
    pub look_again_in_seconds: u64,
}

/// An action that the watcher would take.
#[derive(Debug, Serialize)]
pub struct Intent {
    /// The kind of action.
    pub act: IntentKind,
    /// The resource.
    pub subject: String,
    /// The action and its reason, as a clause.
    pub text: String,
}

/// The kinds of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentKind {
    /// RegisterTargets.
    Register,
    /// DeregisterTargets.
    Deregister,
    /// Write the mark.
    Mark,
    /// Remove the mark.
    Unmark,
    /// DeleteLoadBalancer.
    DeleteLoadBalancer,
    /// DeleteTargetGroup.
    DeleteTargetGroup,
    /// Announce that the service is scaled to zero.
    AnnounceStop,
    /// Withdraw the announcement.
    WithdrawStop,
    /// Set the desired count to zero.
    ScaleToZero,
}

impl Next {
    pub(super) fn new(observation: &Observation, plan: &Plan, policy: &Policy, now: Timestamp) -> Self {
        let is_waiting = plan.lifecycle == LifecycleAction::Keep && policy.teardown != Teardown::Off;
        let load_balancer = observation.load_balancer.as_ref().filter(|_| is_waiting);
        let grace_ends_at = load_balancer
            .zip(marked_since(observation, now))
            .map(|(load_balancer, idle_since)| policy.grace_ends_at(load_balancer.created_at, idle_since));
        Self {
            intents: intents(plan, policy),
            teardown_due_at: grace_ends_at.filter(|due| *due > now),
            stop_due_at: expected_stop(observation, policy, now).filter(|due| *due > now),
            stop_announced: stop_announced_for(observation, policy, now).is_some(),
            requeue_at: plan.requeue_at,
            look_again_in_seconds: seconds_between(now, plan.requeue_at),
        }
    }
}

pub(super) fn whole_seconds_if_any<S: serde::Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => whole_seconds(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// Returns what a plan does.
pub(super) fn intents(plan: &Plan, policy: &Policy) -> Vec<Intent> {
    let mut intents = Vec::new();
    for group in &plan.registrations {
        let mut change = |act, verb: &str, change: &TargetChange| {
            let (key, name) = (&change.key, &group.target_group);
            let why = match change.reason {
                TargetReason::TaskRunning => "its task serves",
                TargetReason::TaskStarting => "its task starts, and no target is healthy",
                TargetReason::TaskStopping => "its task is stopping or has stopped",
                TargetReason::NoTask => "no task has this address",
            };
            let text = format!("{verb} {} port {} in {name}: {why}", key.ip, key.port);
            intents.push(Intent { act, subject: name.clone(), text });
        };
        group.register.iter().for_each(|of| change(IntentKind::Register, "register", of));
        group.deregister.iter().for_each(|of| change(IntentKind::Deregister, "deregister", of));
    }
    let name = &policy.load_balancer;
    let mut lifecycle = |act, subject: &str, text| intents.push(Intent { act, subject: subject.to_owned(), text });
    match &plan.lifecycle {
        LifecycleAction::Keep => {}
        LifecycleAction::Mark { idle_since, reason, .. } => {
            let why = match reason {
                MarkReason::Idle => "the service is idle",
                MarkReason::Unused => "it has never served and its unused grace is over",
                MarkReason::Incomplete => "a target group lacks the mark",
            };
            lifecycle(IntentKind::Mark, name, format!("mark {name} as idle since {idle_since:.0}: {why}"));
        }
        LifecycleAction::Unmark { reason, .. } => {
            let why = match reason {
                UnmarkReason::InUse => "the service is in use",
                UnmarkReason::ServiceMissing => "the service doesn't exist",
                UnmarkReason::Held => "a hold is in force",
            };
            lifecycle(IntentKind::Unmark, name, format!("remove the mark of {name}: {why}"));
        }
        LifecycleAction::DeleteLoadBalancer { idle_since, .. } => {
            let text = format!("delete {name}, idle since {idle_since:.0}, if a second observation agrees");
            lifecycle(IntentKind::DeleteLoadBalancer, name, text);
        }
        LifecycleAction::DeleteTargetGroups { target_groups } => {
            for group in target_groups {
                let text = format!("delete target group {}: its load balancer is deleted", group.name);
                lifecycle(IntentKind::DeleteTargetGroup, &group.name, text);
            }
        }
    }
    let service = &policy.service;
    let mut stop = |act, text| intents.push(Intent { act, subject: service.clone(), text });
    match &plan.stop {
        StopAction::None => {}
        StopAction::Announce { stop_at, unused_since, .. } => {
            let text =
                format!("announce that {service}, unused since {unused_since:.0}, is scaled to zero at {stop_at:.0}");
            stop(IntentKind::AnnounceStop, text);
        }
        StopAction::Withdraw { reason, .. } => {
            let why = match reason {
                StopObstacle::Held => "a hold is in force, or was",
                StopObstacle::Operation => "`up`, `down` or a stop is running, or was",
                StopObstacle::NotServing => "it doesn't serve, or didn't for the whole time",
                StopObstacle::InUse => "it is in use",
                StopObstacle::AwaitingFirstCall => "its first call is awaited",
                StopObstacle::UsageUnknown => "its use is unknown",
            };
            stop(IntentKind::WithdrawStop, format!("withdraw the announced stop of {service}: {why}"));
        }
        StopAction::ScaleToZero { unused_since, .. } => {
            let text =
                format!("scale {service}, unused since {unused_since:.0}, to zero, if a second observation agrees");
            stop(IntentKind::ScaleToZero, text);
        }
    }
    intents
}
