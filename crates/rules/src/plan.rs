//! The decision: from an observation to what to register, deregister, mark and delete.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::{Finding, FindingName};
use crate::model::{Observation, TargetKey, TargetKeys, TaskId, TasksByAddress};

mod lifecycle;
mod registrations;
mod service;
mod stop;

pub use crate::idle::{groups_of_others, is_idle, targets_of_others};
pub use crate::policy::{OwnerTag, PAID_HOUR_MARGIN, Policy, StopWhenUnused, Teardown, UsagePolicy};
pub(crate) use lifecycle::last_use;
pub use lifecycle::marked_since;
pub use stop::{
    ANNOUNCEMENT_VALID_FOR, CLOUDWATCH_LAG, StopAction, StopObstacle, USAGE_UNKNOWN_FOR, expected_stop,
    stop_announced_for, stop_due_since,
};

/// The time without a task, in at least two observations, after which a target counts as stale.
///
/// One observation can be incomplete: ListTasks is eventually consistent.
pub const UNMATCHED_BEFORE_STALE: Duration = Duration::from_secs(30);

/// The requeue interval while nothing is desired and nothing serves, but tasks have not all stopped.
pub const NEARLY_IDLE_REQUEUE: Duration = Duration::from_secs(5);

/// The requeue interval while a target's first health checks are in progress (an NLB takes minutes, often about three).
pub const HEALTH_REQUEUE: Duration = Duration::from_secs(10);

/// The shortest requeue interval of a teardown: after a load balancer's deletion, DeleteTargetGroup fails with
/// ResourceInUse for some seconds.
pub const TEARDOWN_REQUEUE: Duration = Duration::from_secs(2);

/// The longest valid hold. One that ends later, e.g. because of a wrong year, would keep a load balancer unnoticed.
pub const LONGEST_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// The most that a valid mark can be ahead of this clock; the clocks of workers differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// The time after which a stopping task is a finding. Fargate's `stopTimeout` is at most two minutes.
pub const STOPPING_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The time beyond the grace period for which a mark is valid. ECS shows stopped tasks for about an hour; a use that an
/// older mark has missed would be invisible.
pub const MARK_VALID_FOR: Duration = Duration::from_secs(50 * 60);

/// A decision: the changes, the findings, and the time of the next reconciliation.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The targets to register and deregister, by target group; only groups with a change.
    pub registrations: Vec<GroupChange>,
    /// The change to the load balancer itself.
    pub lifecycle: LifecycleAction,
    /// What to do about an unused service.
    pub stop: StopAction,
    /// The findings, sorted.
    pub findings: Vec<Finding>,
    /// The targets without a task, to be remembered until the next observation.
    pub unmatched: TargetKeys,
    /// The latest time of the next reconciliation.
    pub requeue_at: Timestamp,
}

/// The changes to one target group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupChange {
    /// The target group's ARN.
    pub target_group_arn: String,
    /// The target group's name.
    pub target_group: String,
    /// The targets to register.
    pub register: Vec<TargetChange>,
    /// The targets to deregister.
    pub deregister: Vec<TargetChange>,
}

/// One target to register or deregister.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetChange {
    /// The target.
    pub key: TargetKey,
    /// The task at the target's address, if one is known.
    pub task: Option<TaskId>,
    /// The reason for the change.
    pub reason: TargetReason,
}

/// The reason for registering or deregistering a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetReason {
    /// The target's task serves.
    TaskRunning,
    /// The target's task starts, and no target is healthy yet: its health checks begin earlier.
    TaskStarting,
    /// The target's task is stopping or has stopped.
    TaskStopping,
    /// No task has had the target's address for [`UNMATCHED_BEFORE_STALE`].
    NoTask,
}

/// The change to the load balancer.
#[derive(Clone, Debug, PartialEq)]
pub enum LifecycleAction {
    /// No change.
    Keep,
    /// Write the mark; the grace period starts.
    Mark {
        /// The ARN of the load balancer that the mark belongs to.
        load_balancer_arn: String,
        /// The instant since which the service has been idle.
        idle_since: Timestamp,
        /// The ARNs of the load balancer and the target groups to mark, sorted.
        resources: Vec<String>,
        /// The reason for the mark.
        reason: MarkReason,
    },
    /// Remove the mark.
    Unmark {
        /// The ARNs of the marked load balancer and target groups, sorted.
        resources: Vec<String>,
        /// The load balancer's mark, if it is valid.
        idle_since: Option<Timestamp>,
        /// The reason for the removal.
        reason: UnmarkReason,
    },
    /// Delete the load balancer, if a second observation agrees.
    DeleteLoadBalancer {
        /// The load balancer's ARN.
        load_balancer_arn: String,
        /// The time of its creation.
        created_at: Timestamp,
        /// The instant that its mark names.
        idle_since: Timestamp,
    },
    /// Delete the marked target groups of a deleted load balancer.
    DeleteTargetGroups {
        /// The target groups, sorted by ARN.
        target_groups: Vec<OrphanedTargetGroup>,
    },
}

/// A marked target group of a deleted load balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct OrphanedTargetGroup {
    /// The target group's ARN.
    pub arn: String,
    /// The target group's name.
    pub name: String,
    /// The ARN of the load balancer that the mark names.
    pub load_balancer_arn: String,
    /// The instant that the mark names.
    pub idle_since: Timestamp,
}

/// The reason for marking a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MarkReason {
    /// The load balancer has served, and the service is idle.
    Idle,
    /// The load balancer has never served and is older than the unused grace.
    Unused,
    /// The load balancer is marked, and a target group is not: the grace period restarts.
    Incomplete,
}

/// The reason for removing a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnmarkReason {
    /// The service is no longer idle.
    InUse,
    /// The service can't be found.
    ServiceMissing,
    /// A hold is in force; the grace period restarts when it ends.
    Held,
}

/// Decides what to do. The same observation, policy and time always give the same plan, in whatever order AWS listed
/// its resources.
pub fn plan(observation: &Observation, policy: &Policy, now: Timestamp) -> Plan {
    let mut planner = Planner {
        observation,
        tasks: observation.tasks_by_address(),
        policy,
        now,
        findings: Vec::new(),
        requeue_at: now + policy.resync_interval,
    };
    let lifecycle = planner.lifecycle();
    let (registrations, unmatched) = match (&lifecycle, policy.teardown) {
        // The target groups are about to be deleted, and their targets with them.
        (LifecycleAction::DeleteLoadBalancer { .. }, Teardown::All) => Default::default(),
        _ => planner.registrations(),
    };
    let stop = planner.stop();
    planner.find_unknown_usage();
    planner.find_tasks_not_starting();
    planner.find_several_bridges();
    planner.find_mismatched_addresses();
    let Planner { mut findings, requeue_at, .. } = planner;
    findings.sort();
    Plan { registrations, lifecycle, stop, findings, unmatched, requeue_at: requeue_at.max(now) }
}

/// The inputs of a decision, and what its parts add up to.
struct Planner<'a> {
    observation: &'a Observation,
    tasks: TasksByAddress<'a>,
    policy: &'a Policy,
    now: Timestamp,
    findings: Vec<Finding>,
    requeue_at: Timestamp,
}

impl Planner<'_> {
    fn find(&mut self, name: FindingName, subject: &str, detail: String) {
        self.findings.push(Finding { name, subject: subject.to_owned(), detail });
    }

    fn requeue_by(&mut self, at: Timestamp) {
        self.requeue_at = self.requeue_at.min(at);
    }
}

#[cfg(any(test, feature = "testing"))]
#[allow(missing_docs, reason = "the names of the samples describe them")]
pub mod samples;
#[cfg(test)]
mod tests;
