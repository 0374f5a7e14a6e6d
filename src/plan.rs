//! The rules: from what was seen to what is to be done. No I/O, no clock, no log.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::{Finding, FindingName};
use crate::model::{
    AddressFamily, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LoadBalancer, LoadBalancerKind,
    LoadBalancerState, Observation, Phase, Service, Tags, TargetGroup, TargetKey, TargetKeys, TargetState, TargetType,
    Task, TaskId,
};

/// How long a target must have been without a task, seen by two looks at least, before it counts as stale.
///
/// One look may be incomplete: ListTasks is eventually consistent.
pub const UNCLAIMED_BEFORE_STALE: Duration = Duration::from_secs(30);

/// When to look again while nothing is desired and nothing serves, but the counts aren't zero yet.
pub const NEARLY_IDLE_LOOK: Duration = Duration::from_secs(5);

/// When to look again while a target's first health checks run (an NLB takes minutes, often about three).
pub const HEALTH_LOOK: Duration = Duration::from_secs(10);

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
    pub upkeep: Upkeep,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// The targets for which no task was seen, to be remembered until the next look.
    pub unclaimed: TargetKeys,
    /// When to look again at the latest.
    pub look_again_at: Timestamp,
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
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetReason {
    /// Its task serves.
    TaskRunning,
    /// Its task is stopping, or stopped.
    TaskStopping,
    /// No task has had its address for [`UNCLAIMED_BEFORE_STALE`].
    NoTask,
}

/// What to do about the balancer.
#[derive(Clone, Debug, PartialEq)]
pub enum Upkeep {
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
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MarkReason {
    /// The balancer has served, and the service is idle.
    Idle,
    /// The balancer has never served and is older than the unused grace.
    Unused,
    /// The balancer is marked, but not all of its groups are.
    Incomplete,
}

/// Why a mark is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnmarkReason {
    /// The service is no longer idle.
    InUse,
    /// The service can't be found.
    ServiceMissing,
}

/// Whether the service is idle: nothing desired, running or pending, and no task that is wanted.
///
/// A service that is missing is not idle: nobody knows what it does.
pub fn is_idle(observation: &Observation) -> bool {
    match observation.service {
        Service::Missing => false,
        Service::Found(counts) => {
            (counts.desired, counts.running, counts.pending) == (0, 0, 0)
                && observation.tasks.iter().all(|task| task.phase() == Phase::Leaving)
        }
    }
}

/// Decides. The same observation, policy and time always give the same plan, in whatever order AWS listed things.
pub fn plan(observation: &Observation, policy: &Policy, now: Timestamp) -> Plan {
    let mut draft =
        Draft { observation, policy, now, findings: Vec::new(), look_again_at: now + policy.resync_interval };
    let upkeep = draft.upkeep();
    let (registrations, unclaimed) = match upkeep {
        // The balancer is about to go, and its targets with it.
        Upkeep::DeleteLoadBalancer { .. } => Default::default(),
        _ => draft.registrations(),
    };
    let Draft { mut findings, look_again_at, .. } = draft;
    findings.sort();
    Plan { registrations, upkeep, findings, unclaimed, look_again_at: look_again_at.max(now) }
}

struct Draft<'a> {
    observation: &'a Observation,
    policy: &'a Policy,
    now: Timestamp,
    findings: Vec<Finding>,
    look_again_at: Timestamp,
}

impl Draft<'_> {
    fn find(&mut self, name: FindingName, subject: &str, detail: String) {
        self.findings.push(Finding { name, subject: subject.to_owned(), detail });
    }

    fn look_again_by(&mut self, at: Timestamp) {
        self.look_again_at = self.look_again_at.min(at);
    }

    // ---- targets ----

    fn registrations(&mut self) -> (Vec<GroupChange>, TargetKeys) {
        let observation = self.observation;
        let (mut changes, mut unclaimed) = (Vec::new(), TargetKeys::new());
        let serves = observation.serving().next().is_some();
        if observation.service == Service::Missing {
            // With a wrong service name every target would look like nobody's.
            return (changes, unclaimed);
        }
        let Some(balancer) = &observation.load_balancer else {
            if serves {
                let count = observation.serving().count();
                let detail = format!("{count} task(s) of the service run, and no load balancer of this name exists");
                self.find(FindingName::LoadBalancerMissing, &self.policy.load_balancer, detail);
            }
            return (changes, unclaimed);
        };
        if balancer.kind != LoadBalancerKind::Network {
            return (changes, unclaimed);
        }
        for group in &balancer.target_groups {
            match &group.target_type {
                TargetType::Ip { family, port } => {
                    changes.extend(self.group_change(group, *family, *port, &mut unclaimed));
                }
                TargetType::Other(kind) => {
                    let detail = format!("its target type is {kind}; only groups of type ip can take Fargate tasks");
                    self.find(FindingName::TargetGroupUnsupported, &group.name, detail);
                }
            }
        }
        let takes_addresses = |group: &TargetGroup| matches!(group.target_type, TargetType::Ip { .. });
        if serves && !balancer.target_groups.iter().any(takes_addresses) {
            let detail = "tasks of the service run, and no target group of type ip is behind it".to_owned();
            self.find(FindingName::TargetGroupMissing, &balancer.name, detail);
        }
        changes.sort_by(|a, b| a.target_group_arn.cmp(&b.target_group_arn));
        (changes, unclaimed)
    }

    /// Matches the serving tasks with the group's targets: missing ones to register, stale ones to deregister.
    fn group_change(
        &mut self,
        group: &TargetGroup,
        family: AddressFamily,
        port: u16,
        unclaimed: &mut TargetKeys,
    ) -> Option<GroupChange> {
        let observation = self.observation;
        let mut register = Vec::new();
        for task in observation.serving() {
            let Some(ip) = task.address(family) else {
                let detail = format!("it has no {family} address, which target group {} needs", group.name);
                self.find(FindingName::TaskWithoutAddress, task.id.as_str(), detail);
                continue;
            };
            let registered = |state| state != TargetState::Draining;
            if !group.targets.iter().any(|target| target.ip == ip && target.port == port && registered(target.state)) {
                let reason = TargetReason::TaskRunning;
                register.push(TargetChange { key: group.key(ip, port), task: Some(task.id.clone()), reason });
            }
        }
        let mut deregister = Vec::new();
        for target in &group.targets {
            match target.state {
                TargetState::Draining => continue,
                TargetState::Initial => self.look_again_by(self.now + HEALTH_LOOK),
                _ => {}
            }
            let key = group.key(target.ip, target.port);
            let holder = observation.task_with_address(target.ip);
            let reason = match holder.map(Task::phase) {
                Some(Phase::Serving | Phase::Coming) => continue,
                Some(Phase::Leaving) => TargetReason::TaskStopping,
                None => {
                    unclaimed.insert(key.clone());
                    let since = observation.unclaimed_since.get(&key).copied().unwrap_or(self.now);
                    let stale_at = since + UNCLAIMED_BEFORE_STALE;
                    if self.now < stale_at {
                        self.look_again_by(stale_at);
                        continue;
                    }
                    TargetReason::NoTask
                }
            };
            deregister.push(TargetChange { key, task: holder.map(|task| task.id.clone()), reason });
        }
        if !register.is_empty() {
            self.look_again_by(self.now + HEALTH_LOOK);
        }
        // Tasks that briefly share an address (the old one's is used again) must not register it twice.
        register.sort_by(|a, b| (&a.key, &a.task).cmp(&(&b.key, &b.task)));
        register.dedup_by(|a, b| a.key == b.key);
        deregister.sort_by(|a, b| a.key.cmp(&b.key));
        let change =
            GroupChange { target_group_arn: group.arn.clone(), target_group: group.name.clone(), register, deregister };
        (!change.register.is_empty() || !change.deregister.is_empty()).then_some(change)
    }

    // ---- the balancer ----

    fn upkeep(&mut self) -> Upkeep {
        if self.observation.service == Service::Missing {
            let detail = "DescribeServices reports the service, or its cluster, as missing".to_owned();
            self.find(FindingName::ServiceMissing, &self.policy.service, detail);
        }
        match &self.observation.load_balancer {
            Some(balancer) => self.upkeep_of(balancer),
            None => self.upkeep_of_orphans(),
        }
    }

    fn upkeep_of(&mut self, balancer: &LoadBalancer) -> Upkeep {
        let ours = self.is_ours(balancer);
        if balancer.state == LoadBalancerState::Failed {
            let detail = "its state is failed: it can't serve".to_owned();
            self.find(FindingName::LoadBalancerFailed, &balancer.name, detail);
        }
        let held = self.is_held(balancer);
        if !is_idle(self.observation) {
            self.watch_for_idleness();
            return self.unmark(balancer, ours);
        }
        if self.policy.teardown == Teardown::Off {
            let detail = "the service is idle, and the load balancer costs money for nobody".to_owned();
            self.find(FindingName::TeardownOff, &balancer.name, detail);
            return Upkeep::Keep;
        }
        if !ours || held {
            return Upkeep::Keep;
        }
        let Some(idle_since) = self.standing_mark(balancer) else {
            return self.first_mark(balancer);
        };
        let groups = if self.policy.teardown == Teardown::All { balancer.target_groups.as_slice() } else { &[] };
        let carries_mark =
            |group: &&TargetGroup| group_mark(group, self.now) == Some((balancer.arn.as_str(), idle_since));
        let unmarked: Vec<_> =
            groups.iter().filter(|group| !carries_mark(group)).map(|group| group.arn.clone()).collect();
        if !unmarked.is_empty() {
            // A group that isn't marked when its balancer goes would be left behind for good.
            self.look_again_by(self.now);
            return self.mark(balancer, idle_since, unmarked, MarkReason::Incomplete);
        }
        let due = idle_since + self.policy.idle_grace;
        if self.now < due {
            self.look_again_by(due);
            return Upkeep::Keep;
        }
        self.look_again_by(self.now + teardown_look(due, self.now));
        Upkeep::DeleteLoadBalancer {
            load_balancer_arn: balancer.arn.clone(),
            created_at: balancer.created_at,
            idle_since,
        }
    }

    /// Whether the watcher may delete the balancer: it is a network one and carries the owner tag.
    fn is_ours(&mut self, balancer: &LoadBalancer) -> bool {
        if let LoadBalancerKind::Other(kind) = &balancer.kind {
            let detail = format!("it is of type {kind}, not network; it is left alone");
            self.find(FindingName::LoadBalancerNotNetwork, &balancer.name, detail);
            return false;
        }
        let OwnerTag { key, value } = &self.policy.owner_tag;
        let owned = balancer.tags.get(key) == Some(value);
        if !owned && self.policy.teardown != Teardown::Off {
            let detail = match balancer.tags.get(key) {
                Some(other) => format!("its tag {key} is {other:?}, not {value:?}; it won't be torn down"),
                None => format!("it has no tag {key}={value}; it won't be torn down"),
            };
            self.find(FindingName::LoadBalancerNotOwned, &balancer.name, detail);
        }
        owned
    }

    fn is_held(&mut self, balancer: &LoadBalancer) -> bool {
        let Some(text) = balancer.tags.get(HOLD_UNTIL_TAG) else { return false };
        let Ok(until) = text.parse::<Timestamp>() else {
            let detail = format!("its tag {HOLD_UNTIL_TAG} is {text:?}, which is not an RFC 3339 instant");
            self.find(FindingName::HoldInvalid, &balancer.name, detail);
            return false;
        };
        if until > self.now + LONGEST_HOLD {
            let detail = format!("its tag {HOLD_UNTIL_TAG} is {text}, more than a day ahead");
            self.find(FindingName::HoldInvalid, &balancer.name, detail);
            return false;
        }
        let held = until > self.now;
        if held {
            let detail = format!("neither marked nor torn down until {text}");
            self.find(FindingName::HoldActive, &balancer.name, detail);
            self.look_again_by(until);
        }
        held
    }

    /// A service that is nearly idle gets there within seconds, and no event may come to tell.
    fn watch_for_idleness(&mut self) {
        if let Service::Found(counts) = self.observation.service
            && counts.desired == 0
            && self.observation.serving().next().is_none()
        {
            self.look_again_by(self.now + NEARLY_IDLE_LOOK);
        }
    }

    fn unmark(&self, balancer: &LoadBalancer, ours: bool) -> Upkeep {
        let marked = |tags: &Tags| tags.contains_key(IDLE_SINCE_TAG) || tags.contains_key(LOAD_BALANCER_TAG);
        let groups = balancer.target_groups.iter().map(|group| (&group.arn, &group.tags));
        let all = std::iter::once((&balancer.arn, &balancer.tags)).chain(groups);
        let mut resources: Vec<_> = all.filter(|(_, tags)| marked(tags)).map(|(arn, _)| arn.clone()).collect();
        if resources.is_empty() || !ours || self.policy.teardown == Teardown::Off {
            return Upkeep::Keep;
        }
        resources.sort();
        let reason = match self.observation.service {
            Service::Missing => UnmarkReason::ServiceMissing,
            Service::Found(_) => UnmarkReason::InUse,
        };
        Upkeep::Unmark { resources, idle_since: mark(&balancer.tags, self.now), reason }
    }

    /// The balancer's mark, unless the service was used after it: then no watcher saw it, and the grace begins anew.
    fn standing_mark(&self, balancer: &LoadBalancer) -> Option<Timestamp> {
        let since = mark(&balancer.tags, self.now)?;
        self.last_use().is_none_or(|last_use| last_use <= since).then_some(since)
    }

    /// When a task last came to run, or was told to stop. Times further ahead than clocks differ say nothing.
    fn last_use(&self) -> Option<Timestamp> {
        let times = self.observation.tasks.iter().flat_map(|task| [task.started_at, task.left_at()]).flatten();
        times.filter(|at| *at <= self.now + CLOCK_SKEW).max()
    }

    /// A balancer that has served is marked now; one that hasn't may belong to a scale-up in progress, and has time.
    fn first_mark(&mut self, balancer: &LoadBalancer) -> Upkeep {
        let reason = if self.has_served(balancer) {
            MarkReason::Idle
        } else {
            let unused_at = balancer.created_at + self.policy.unused_grace;
            if self.now < unused_at {
                self.look_again_by(unused_at);
                return Upkeep::Keep;
            }
            MarkReason::Unused
        };
        let mut resources = vec![balancer.arn.clone()];
        if self.policy.teardown == Teardown::All {
            resources.extend(balancer.target_groups.iter().map(|group| group.arn.clone()));
        }
        // AWS's clock may be ahead of this one; a mark before the last use would not stand.
        let idle_since = self.last_use().map_or(self.now, |last_use| last_use.max(self.now));
        self.look_again_by(idle_since + self.policy.idle_grace);
        self.mark(balancer, idle_since, resources, reason)
    }

    fn mark(
        &self,
        balancer: &LoadBalancer,
        idle_since: Timestamp,
        mut resources: Vec<String>,
        reason: MarkReason,
    ) -> Upkeep {
        resources.sort();
        Upkeep::Mark { load_balancer_arn: balancer.arn.clone(), idle_since, resources, reason }
    }

    /// Whether a call can have gone through the balancer: a target is or was registered, or a task was told to stop
    /// after the balancer was there. A task that was already stopping when the balancer came belongs to an earlier
    /// evening, and says nothing about this one.
    fn has_served(&self, balancer: &LoadBalancer) -> bool {
        let left_later = |task: &Task| task.left_at().is_some_and(|at| at > balancer.created_at);
        balancer.state != LoadBalancerState::Provisioning
            && (self.observation.targets().next().is_some() || self.observation.tasks.iter().any(left_later))
    }

    /// Finishes a teardown that was cut off after the balancer's deletion.
    fn upkeep_of_orphans(&mut self) -> Upkeep {
        if self.policy.teardown != Teardown::All || !is_idle(self.observation) {
            return Upkeep::Keep;
        }
        let mut due = Vec::new();
        for group in &self.observation.orphaned_target_groups {
            // Observed by its mark; one whose mark can't be read, or names another balancer, is not ours.
            let Some((arn, idle_since)) = group_mark(group, self.now) else { continue };
            if crate::model::load_balancer_name(arn) != Some(self.policy.load_balancer.as_str()) {
                continue;
            }
            let due_at = idle_since + self.policy.idle_grace;
            if self.now < due_at {
                self.look_again_by(due_at);
                continue;
            }
            self.look_again_by(self.now + teardown_look(due_at, self.now));
            due.push(OrphanedTargetGroup {
                arn: group.arn.clone(),
                name: group.name.clone(),
                load_balancer_arn: arn.to_owned(),
                idle_since,
            });
        }
        if due.is_empty() {
            return Upkeep::Keep;
        }
        due.sort_by(|a, b| a.arn.cmp(&b.arn));
        Upkeep::DeleteTargetGroups { target_groups: due }
    }
}

/// How long to wait between the looks of a teardown: the longer it has been due, the longer. One that AWS refuses must
/// not be tried every two seconds for ever.
fn teardown_look(due_at: Timestamp, now: Timestamp) -> Duration {
    let overdue = Duration::try_from(now.duration_since(due_at)).unwrap_or_default();
    TEARDOWN_LOOK.max(overdue / 10)
}

/// Since when the resource is marked idle. A mark that can't be read, or that lies further ahead than clocks differ,
/// counts as none, and is written anew.
fn mark(tags: &Tags, now: Timestamp) -> Option<Timestamp> {
    let since = tags.get(IDLE_SINCE_TAG)?.parse::<Timestamp>().ok()?;
    (since <= now + CLOCK_SKEW).then_some(since)
}

/// The balancer that a group's mark names, and since when.
fn group_mark(group: &TargetGroup, now: Timestamp) -> Option<(&str, Timestamp)> {
    Some((group.tags.get(LOAD_BALANCER_TAG)?, mark(&group.tags, now)?))
}

#[cfg(test)]
mod tests;
