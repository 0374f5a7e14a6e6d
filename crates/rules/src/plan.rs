//! The rules: from what was seen to what is to be done. No I/O, no clock, no log.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::{Finding, FindingName};
use crate::model::{
    Counts, LastStatus, Observation, Service, Tags, Target, TargetGroup, TargetKey, TargetKeys, TargetState, Task,
    TaskId,
};

mod lifecycle;
mod registrations;

pub use lifecycle::marked_since;

/// How long a target must have been without a task, seen by two looks at least, before it counts as stale.
///
/// One look may be incomplete: ListTasks is eventually consistent.
pub const UNMATCHED_BEFORE_STALE: Duration = Duration::from_secs(30);

/// When to look again while nothing is desired and nothing serves, but the counts aren't zero yet.
pub const NEARLY_IDLE_REQUEUE: Duration = Duration::from_secs(5);

/// When to look again while a target's first health checks run (an NLB takes minutes, often about three).
pub const HEALTH_REQUEUE: Duration = Duration::from_secs(10);

/// When to look again at the soonest while a teardown is under way: AWS takes some seconds to let go of a balancer's
/// groups.
pub const TEARDOWN_LOOK: Duration = Duration::from_secs(2);

/// The longest hold that is obeyed. A balancer held for longer, by a slip in the year say, would run unseen.
pub const LONGEST_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// How far ahead of this clock a mark may lie and still be believed; the clocks of workers differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// What the operator has settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The service's name.
    pub service: String,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The tag without which a balancer is never deleted.
    pub owner_tag: OwnerTag,
    /// How much of an idle balancer is deleted.
    pub teardown: Teardown,
    /// How long a service must have been idle before its balancer is deleted.
    pub idle_grace: Duration,
    /// How old a balancer must be to count as idle when it has never served.
    pub unused_grace: Duration,
    /// The longest time between two looks.
    pub resync_interval: Duration,
}

/// The tag that makes a load balancer the watcher's to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerTag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl OwnerTag {
    /// Whether it is among these.
    pub fn is_among(&self, tags: &Tags) -> bool {
        tags.get(&self.key) == Some(&self.value)
    }
}

impl fmt::Display for OwnerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// How much of an idle balancer is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// The balancer, its listeners and its target groups.
    All,
    /// The balancer and its listeners; the target groups stay.
    LoadBalancer,
    /// Nothing: neither marked nor deleted, only reported.
    Off,
}

/// What is to be done, what a person should know, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What to register and deregister, group by group; only groups with something to do.
    pub registrations: Vec<GroupChange>,
    /// What to do about the balancer.
    pub lifecycle: LifecycleAction,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// The targets for which no task was seen, to be remembered until the next look.
    pub unmatched: TargetKeys,
    /// When to look again at the latest.
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
    /// The task that has the address, if one is known.
    pub task: Option<TaskId>,
    /// Why.
    pub reason: TargetReason,
}

/// Why a target is registered or deregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetReason {
    /// Its task serves.
    TaskRunning,
    /// Its task is stopping, or stopped.
    TaskStopping,
    /// No task has had its address for [`UNMATCHED_BEFORE_STALE`].
    NoTask,
}

/// What to do about the balancer.
#[derive(Clone, Debug, PartialEq)]
pub enum LifecycleAction {
    /// Nothing.
    Keep,
    /// Write the mark.
    Mark {
        /// The balancer that the mark speaks of.
        load_balancer_arn: String,
        /// Since when the service has been idle.
        idle_since: Timestamp,
        /// The ARNs of what lacks the mark: the balancer, its groups, or both.
        resources: Vec<String>,
        /// Why.
        reason: MarkReason,
    },
    /// Remove the mark.
    Unmark {
        /// The ARNs of what carries the mark.
        resources: Vec<String>,
        /// What the mark said, where it could be read.
        idle_since: Option<Timestamp>,
        /// Why.
        reason: UnmarkReason,
    },
    /// Delete the balancer, if a second look agrees.
    DeleteLoadBalancer {
        /// Its ARN.
        load_balancer_arn: String,
        /// When it was created.
        created_at: Timestamp,
        /// What its mark says.
        idle_since: Timestamp,
    },
    /// Delete the marked groups of a balancer that is gone.
    DeleteTargetGroups {
        /// The groups.
        target_groups: Vec<OrphanedTargetGroup>,
    },
}

/// A marked group of a balancer that is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct OrphanedTargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The balancer that its mark names.
    pub load_balancer_arn: String,
    /// What its mark says.
    pub idle_since: Timestamp,
}

/// Why a balancer is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MarkReason {
    /// The balancer has served, and the service is idle.
    Idle,
    /// The balancer has never served and is older than the unused grace.
    Unused,
    /// The balancer is marked, but not all of its groups are: the grace begins anew.
    Incomplete,
}

/// Why a mark is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnmarkReason {
    /// The service is no longer idle.
    InUse,
    /// The service can't be found.
    ServiceMissing,
    /// A hold is in force; the grace begins anew when it ends.
    Held,
}

/// How long a task may take to stop before a person should know. Fargate lets one take two minutes after SIGTERM.
pub const STOPPING_PASSES_WITHIN: Duration = Duration::from_secs(10 * 60);

/// How long a mark stands beyond the idle grace. ECS shows stopped tasks for about an hour; whatever an older mark has
/// missed, nothing could tell any more.
pub const MARK_VALID_FOR: Duration = Duration::from_secs(50 * 60);

/// How long after its stop a task still counts as the one behind its address, for a target that answers there. Its own
/// target, deregistered by then, or else unhealthy, doesn't; and VPCs give addresses out again.
pub const ADDRESS_KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// Whether the service is idle: nothing desired, running or pending, every task stopped, and no target that answers
/// though no task of the service has its address.
///
/// ECS doesn't count a task that stops, which may take minutes: a JVB that has got SIGTERM goes on with its calls. And a
/// healthy target of somebody else's says that the balancer is in use, whatever this service does. A service that is
/// missing is not idle: nobody knows what it does.
pub fn is_idle(observation: &Observation, now: Timestamp) -> bool {
    match observation.service {
        Service::Missing => false,
        Service::Found(counts) => {
            counts.desired == 0 && has_stopped(observation, counts) && !is_used_by_others(observation, now)
        }
    }
}

/// Whether nothing of the service runs any more, nor is about to, nor stops.
fn has_stopped(observation: &Observation, counts: Counts) -> bool {
    let stopped = |task: &Task| task.last_status == LastStatus::Stopped;
    (counts.running, counts.pending) == (0, 0) && observation.tasks.iter().all(stopped)
}

fn is_used_by_others(observation: &Observation, now: Timestamp) -> bool {
    targets_of_others(observation, now).next().is_some() || groups_of_others(observation).next().is_some()
}

/// The healthy targets that no task of the service has the address of.
///
/// What is left over from a task that has gone fails its health checks within seconds; what answers is somebody's.
pub fn targets_of_others(observation: &Observation, now: Timestamp) -> impl Iterator<Item = (&TargetGroup, &Target)> {
    observation
        .targets()
        .filter(move |(_, target)| target.state == TargetState::Healthy && holder(observation, target, now).is_none())
}

/// The groups in which something answers that no task of the service can be: instances, say.
pub fn groups_of_others(observation: &Observation) -> impl Iterator<Item = &TargetGroup> {
    let groups = observation.load_balancer.iter().flat_map(|balancer| &balancer.target_groups);
    groups.filter(|group| group.healthy_others > 0)
}

/// The task behind a target.
fn holder<'a>(observation: &'a Observation, target: &Target, now: Timestamp) -> Option<&'a Task> {
    let has_gone = |task: &Task| task.stopped_at.is_some_and(|at| at + ADDRESS_KEPT_FOR < now);
    observation.task_with_address(target.ip).filter(|task| target.state != TargetState::Healthy || !has_gone(task))
}

/// Decides. The same observation, policy and time always give the same plan, in whatever order AWS listed things.
pub fn plan(observation: &Observation, policy: &Policy, now: Timestamp) -> Plan {
    let mut draft = Draft { observation, policy, now, findings: Vec::new(), requeue_at: now + policy.resync_interval };
    let lifecycle = draft.lifecycle();
    let (registrations, unmatched) = match (&lifecycle, policy.teardown) {
        // The groups are about to go, and their targets with them.
        (LifecycleAction::DeleteLoadBalancer { .. }, Teardown::All) => Default::default(),
        _ => draft.registrations(),
    };
    let Draft { mut findings, requeue_at, .. } = draft;
    findings.sort();
    Plan { registrations, lifecycle, findings, unmatched, requeue_at: requeue_at.max(now) }
}

/// A plan in the making.
struct Draft<'a> {
    observation: &'a Observation,
    policy: &'a Policy,
    now: Timestamp,
    findings: Vec<Finding>,
    requeue_at: Timestamp,
}

impl Draft<'_> {
    fn find(&mut self, name: FindingName, subject: &str, detail: String) {
        self.findings.push(Finding { name, subject: subject.to_owned(), detail });
    }

    fn requeue_by(&mut self, at: Timestamp) {
        self.requeue_at = self.requeue_at.min(at);
    }
}

#[cfg(any(test, feature = "testing"))]
#[allow(missing_docs, reason = "their names say it")]
pub mod samples;
#[cfg(test)]
mod tests;
