//! What the watcher would do now, and when it would look again.

use jiff::Timestamp;
use serde::Serialize;

use super::seconds_between;
use crate::telemetry::log::rfc3339_millis;
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::{
    LifecycleAction, MarkReason, Plan, Policy, TargetChange, TargetReason, Teardown, UnmarkReason, marked_since,
};

/// What the watcher would do.
#[derive(Debug, Serialize)]
pub struct Next {
    /// What it would do at once.
    pub intents: Vec<Intent>,
    /// When the teardown is due, if the balancer is marked and stays unused.
    pub teardown_due_at: Option<Timestamp>,
    /// When it would look again at the latest.
    pub requeue_at: Timestamp,
    /// The same, from now on.
    pub look_again_in_seconds: u64,
}

/// One thing that the watcher would do.
#[derive(Debug, Serialize)]
pub struct Intent {
    /// What.
    pub act: IntentKind,
    /// To which resource.
    pub subject: String,
    /// The same as a sentence, with the reason.
    pub text: String,
}

/// What the watcher can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentKind {
    /// RegisterTargets.
    Register,
    /// DeregisterTargets.
    Deregister,
    /// Write the idle mark.
    Mark,
    /// Remove the idle mark.
    Unmark,
    /// DeleteLoadBalancer.
    DeleteLoadBalancer,
    /// DeleteTargetGroup.
    DeleteTargetGroup,
}

impl Next {
    pub(super) fn new(observation: &Observation, plan: &Plan, policy: &Policy, now: Timestamp) -> Self {
        let waits = plan.lifecycle == LifecycleAction::Keep && policy.teardown != Teardown::Off;
        let marked_since = marked_since(observation, now).filter(|_| waits);
        Self {
            intents: intents(plan, policy),
            teardown_due_at: marked_since.map(|since| since + policy.idle_grace).filter(|due| *due > now),
            requeue_at: plan.requeue_at,
            look_again_in_seconds: seconds_between(now, plan.requeue_at),
        }
    }
}

fn intents(plan: &Plan, policy: &Policy) -> Vec<Intent> {
    let mut intents = Vec::new();
    for group in &plan.registrations {
        let mut change = |act, verb: &str, change: &TargetChange| {
            let (key, name) = (&change.key, &group.target_group);
            let why = match change.reason {
                TargetReason::TaskRunning => "its task runs",
                TargetReason::TaskStopping => "its task stops or has stopped",
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
                MarkReason::Idle => "nobody calls any more",
                MarkReason::Unused => "nobody ever called",
                MarkReason::Incomplete => "the mark is missing on a target group",
            };
            lifecycle(
                IntentKind::Mark,
                name,
                format!("mark {name} as idle since {}: {why}", rfc3339_millis(*idle_since)),
            );
        }
        LifecycleAction::Unmark { reason, .. } => {
            let why = match reason {
                UnmarkReason::InUse => "the service is in use",
                UnmarkReason::ServiceMissing => "the service can't be found",
                UnmarkReason::Held => "it is held",
            };
            lifecycle(IntentKind::Unmark, name, format!("remove the idle mark of {name}: {why}"));
        }
        LifecycleAction::DeleteLoadBalancer { idle_since, .. } => {
            let text = format!("delete {name}, idle since {}, if a second look agrees", rfc3339_millis(*idle_since));
            lifecycle(IntentKind::DeleteLoadBalancer, name, text);
        }
        LifecycleAction::DeleteTargetGroups { target_groups } => {
            for group in target_groups {
                let text = format!("delete target group {}: its load balancer is gone", group.name);
                lifecycle(IntentKind::DeleteTargetGroup, &group.name, text);
            }
        }
    }
    intents
}
