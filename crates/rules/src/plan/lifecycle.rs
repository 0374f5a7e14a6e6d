//! The lifecycle of the load balancer: mark, unmark, delete, or keep.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    LONGEST_HOLD, LifecycleAction, MarkReason, NEARLY_IDLE_REQUEUE, OrphanedTargetGroup, OwnerTag, Planner,
    STOPPING_LIMIT, TEARDOWN_REQUEUE, Teardown, UnmarkReason, is_idle,
};
use crate::finding::FindingName;
use crate::hold::Hold;
use crate::idle::has_stopped;
use crate::model::{
    HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer, LoadBalancerKind, LoadBalancerState,
    Service, Tags, TargetGroup, Task, load_balancer_name,
};

mod mark;

pub(crate) use mark::last_use;
pub use mark::marked_since;
use mark::{mark, target_group_mark};

impl Planner<'_> {
    /// Returns the change to the load balancer.
    pub(super) fn lifecycle(&mut self) -> LifecycleAction {
        if self.observation.service == Service::Missing {
            let detail = "DescribeServices reports the service, or its cluster, as missing or deleted".to_owned();
            self.find(FindingName::ServiceMissing, &self.policy.service, detail);
        }
        self.find_stuck_tasks();
        match &self.observation.load_balancer {
            Some(load_balancer) => self.lifecycle_of(load_balancer),
            None => self.delete_orphaned_target_groups(),
        }
    }

    fn lifecycle_of(&mut self, load_balancer: &LoadBalancer) -> LifecycleAction {
        let owned = self.is_owned(load_balancer);
        if load_balancer.state == LoadBalancerState::Failed {
            let detail = "its state is failed: it can't carry traffic".to_owned();
            self.find(FindingName::LoadBalancerFailed, &load_balancer.name, detail);
        }
        let held = self.is_held(load_balancer);
        if !is_idle(self.observation, self.now) {
            self.requeue_while_nearly_idle();
            let reason = match self.observation.service {
                Service::Missing => UnmarkReason::ServiceMissing,
                Service::Found(_) => UnmarkReason::InUse,
            };
            return self.unmark(load_balancer, owned, reason);
        }
        if self.policy.teardown == Teardown::Off {
            let detail = "the service is idle, and the load balancer keeps costing money".to_owned();
            self.find(FindingName::TeardownOff, &load_balancer.name, detail);
            return LifecycleAction::Keep;
        }
        if !owned {
            return LifecycleAction::Keep;
        }
        if held {
            return self.unmark(load_balancer, owned, UnmarkReason::Held);
        }
        let Some(idle_since) = self.valid_mark(load_balancer) else {
            return match self.reason_to_mark(load_balancer) {
                Some(reason) => self.start_grace_period(load_balancer, reason),
                None => LifecycleAction::Keep,
            };
        };
        if !self.marks_agree(load_balancer, idle_since) {
            // A target group without a mark would stay behind forever. And a mark that is gone from a target group shows
            // that `terraform apply` is in progress, which reaches the load balancer a moment later: a sign of use.
            return match self.reason_to_mark(load_balancer) {
                Some(_) => self.start_grace_period(load_balancer, MarkReason::Incomplete),
                None => LifecycleAction::Keep,
            };
        }
        let due_at = self.policy.grace_ends_at(load_balancer.created_at, idle_since);
        if self.now < due_at {
            self.requeue_by(due_at);
            return LifecycleAction::Keep;
        }
        self.requeue_by(self.now + self.teardown_requeue());
        LifecycleAction::DeleteLoadBalancer {
            load_balancer_arn: load_balancer.arn.clone(),
            created_at: load_balancer.created_at,
            idle_since,
        }
    }

    /// Returns whether the watcher may delete the load balancer: it is a network load balancer with the owner tag.
    fn is_owned(&mut self, load_balancer: &LoadBalancer) -> bool {
        if let LoadBalancerKind::Other(kind) = &load_balancer.kind {
            let detail = format!("its type is {kind}, not network; the watcher leaves it alone");
            self.find(FindingName::LoadBalancerNotNetwork, &load_balancer.name, detail);
            return false;
        }
        let OwnerTag { key, value } = &self.policy.owner_tag;
        let owned = self.policy.owner_tag.is_among(&load_balancer.tags);
        if !owned && self.policy.teardown != Teardown::Off {
            let detail = match load_balancer.tags.get(key) {
                Some(other) => format!("its tag {key} is {other:?}, not {value:?}; the watcher doesn't delete it"),
                None => format!("it has no tag {key}={value}; the watcher doesn't delete it"),
            };
            self.find(FindingName::LoadBalancerNotOwned, &load_balancer.name, detail);
        }
        owned
    }

    /// Returns whether a hold is in force.
    fn is_held(&mut self, load_balancer: &LoadBalancer) -> bool {
        let Some(text) = load_balancer.tags.get(HOLD_UNTIL_TAG) else { return false };
        let Ok(until) = text.parse::<Timestamp>() else {
            // The end of the year 9999 is one, but beyond what a timestamp can hold.
            let detail = format!(
                "its tag {HOLD_UNTIL_TAG} is {text:?}, which is no RFC 3339 instant at most a day ahead; it is ignored"
            );
            self.find(FindingName::HoldInvalid, &load_balancer.name, detail);
            return false;
        };
        if until > self.now + LONGEST_HOLD {
            let detail = format!("its tag {HOLD_UNTIL_TAG} is {text}, more than a day ahead; it is ignored");
            self.find(FindingName::HoldInvalid, &load_balancer.name, detail);
            return false;
        }
        let held = until > self.now;
        if held {
            let holder = Hold::of(&load_balancer.tags).map_or("", |hold| hold.holder.as_str());
            let detail = format!("neither marked nor deleted until {text}, held by {holder}");
            self.find(FindingName::HoldActive, &load_balancer.name, detail);
            self.requeue_by(until);
        }
        held
    }

    /// Finds tasks that don't get to stop: each keeps its load balancer.
    fn find_stuck_tasks(&mut self) {
        for task in &self.observation.tasks {
            let stopping_at = task.stopping_at.filter(|_| task.last_status != LastStatus::Stopped);
            if let Some(stopping_at) = stopping_at.filter(|at| *at + STOPPING_LIMIT < self.now) {
                let detail = format!("ECS began to stop it at {stopping_at}, and it has not stopped");
                self.find(FindingName::TaskNotStopping, task.id.as_str(), detail);
            }
        }
    }

    /// Requeues soon while only stopping tasks keep the service from being idle: they stop within seconds, and no event
    /// need come. What keeps the load balancer after that, e.g. another service's target, can stay for days.
    fn requeue_while_nearly_idle(&mut self) {
        if let Service::Found(counts) = self.observation.service
            && counts.desired == 0
            && self.observation.serving().next().is_none()
            && !has_stopped(self.observation, counts)
        {
            self.requeue_by(self.now + NEARLY_IDLE_REQUEUE);
        }
    }

    fn unmark(&self, load_balancer: &LoadBalancer, owned: bool, reason: UnmarkReason) -> LifecycleAction {
        let marked = |tags: &Tags| tags.contains_key(IDLE_SINCE_TAG) || tags.contains_key(LOAD_BALANCER_TAG);
        let groups = load_balancer.target_groups.iter().map(|group| (&group.arn, &group.tags));
        let all = std::iter::once((&load_balancer.arn, &load_balancer.tags)).chain(groups);
        let mut resources: Vec<_> = all.filter(|(_, tags)| marked(tags)).map(|(arn, _)| arn.clone()).collect();
        if resources.is_empty() || !owned || self.policy.teardown == Teardown::Off {
            return LifecycleAction::Keep;
        }
        resources.sort();
        LifecycleAction::Unmark { resources, idle_since: mark(&load_balancer.tags, self.now), reason }
    }

    /// Returns why an idle load balancer is to be marked now. One that has never served can belong to a scale-up in
    /// progress, and gets the unused grace first.
    fn reason_to_mark(&mut self, load_balancer: &LoadBalancer) -> Option<MarkReason> {
        if self.has_served(load_balancer) {
            return Some(MarkReason::Idle);
        }
        let unused_at = load_balancer.created_at + self.policy.unused_grace;
        if self.now < unused_at {
            self.requeue_by(unused_at);
            return None;
        }
        Some(MarkReason::Unused)
    }

    /// Returns whether a call can have gone through the load balancer: a task of the service got its order to stop after
    /// the load balancer's creation.
    ///
    /// A task that was already stopping at that time belongs to an earlier use, even where a target group that was kept
    /// still has its address as a target. A registered target counts only for a task whose times are not known.
    fn has_served(&self, load_balancer: &LoadBalancer) -> bool {
        let is_target = |task: &Task| self.observation.targets().any(|(_, target)| task.has_address(target.ip));
        let has_used_it = |task: &Task| match task.left_at() {
            Some(at) => at > load_balancer.created_at,
            None => is_target(task),
        };
        load_balancer.state != LoadBalancerState::Provisioning && self.observation.tasks.iter().any(has_used_it)
    }

    /// Marks the load balancer and its target groups idle from now on.
    fn start_grace_period(&mut self, load_balancer: &LoadBalancer, reason: MarkReason) -> LifecycleAction {
        let mut resources = vec![load_balancer.arn.clone()];
        if self.policy.teardown == Teardown::All {
            resources.extend(self.policy.owner_tag.owned_groups(load_balancer).map(|group| group.arn.clone()));
        }
        // AWS's clock can be ahead of this one; a mark before the last use or the creation would not be valid.
        let idle_since =
            self.last_use().into_iter().chain([self.now, self.creation_of(load_balancer)]).max().unwrap_or(self.now);
        self.requeue_by(self.policy.grace_ends_at(load_balancer.created_at, idle_since));
        resources.sort();
        LifecycleAction::Mark { load_balancer_arn: load_balancer.arn.clone(), idle_since, resources, reason }
    }

    /// Returns the requeue interval of a teardown, which grows with its age: a deletion that AWS refuses must not be
    /// tried every two seconds forever.
    fn teardown_requeue(&self) -> Duration {
        let begun_at = self.observation.teardown_begun_at.unwrap_or(self.now);
        let age = Duration::try_from(self.now.duration_since(begun_at)).unwrap_or_default();
        TEARDOWN_REQUEUE.max(age / 10)
    }

    /// Resumes a teardown after the load balancer's deletion.
    fn delete_orphaned_target_groups(&mut self) -> LifecycleAction {
        if self.policy.teardown != Teardown::All || !is_idle(self.observation, self.now) {
            return LifecycleAction::Keep;
        }
        let mut due = Vec::new();
        for group in &self.observation.orphaned_target_groups {
            // A target group whose mark is invalid, or names another load balancer, or which has no owner tag, is not the
            // watcher's to delete.
            let Some((arn, idle_since)) = target_group_mark(group, self.now) else { continue };
            if load_balancer_name(arn) != Some(self.policy.load_balancer.as_str())
                || !self.policy.owner_tag.is_among(&group.tags)
            {
                continue;
            }
            // The service may have run since, without a load balancer, while an operator creates the next one.
            let unused_since = self.last_use().map_or(idle_since, |last_use| last_use.max(idle_since));
            // Nothing of it is billed: the paid hour doesn't matter.
            let due_at = unused_since + self.policy.idle_grace;
            if self.now < due_at {
                self.requeue_by(due_at);
                continue;
            }
            self.requeue_by(self.now + self.teardown_requeue());
            due.push(OrphanedTargetGroup {
                arn: group.arn.clone(),
                name: group.name.clone(),
                load_balancer_arn: arn.to_owned(),
                idle_since,
            });
        }
        if due.is_empty() {
            return LifecycleAction::Keep;
        }
        due.sort_by(|a, b| a.arn.cmp(&b.arn));
        LifecycleAction::DeleteTargetGroups { target_groups: due }
    }

    /// Returns whether every target group that is to be deleted carries the load balancer's mark.
    fn marks_agree(&self, load_balancer: &LoadBalancer, idle_since: Timestamp) -> bool {
        let expected = Some((load_balancer.arn.as_str(), idle_since));
        let carries_mark = |group: &TargetGroup| target_group_mark(group, self.now) == expected;
        self.policy.teardown != Teardown::All || self.policy.owner_tag.owned_groups(load_balancer).all(carries_mark)
    }
}
