//! What to do about the balancer: mark, unmark, tear down, or nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    CLOCK_SKEW, Draft, LONGEST_HOLD, LifecycleAction, MARK_VALID_FOR, MarkReason, NEARLY_IDLE_REQUEUE,
    OrphanedTargetGroup, OwnerTag, STOPPING_PASSES_WITHIN, TEARDOWN_LOOK, Teardown, UnmarkReason, has_stopped, is_idle,
};
use crate::finding::FindingName;
use crate::hold::Hold;
use crate::model::{
    HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer, LoadBalancerKind, LoadBalancerState,
    Observation, Service, Tags, TargetGroup, Task, load_balancer_name,
};

impl Draft<'_> {
    pub(super) fn lifecycle(&mut self) -> LifecycleAction {
        if self.observation.service == Service::Missing {
            let detail = "DescribeServices reports the service, or its cluster, as missing or deleted".to_owned();
            self.find(FindingName::ServiceMissing, &self.policy.service, detail);
        }
        self.find_stuck_tasks();
        match &self.observation.load_balancer {
            Some(balancer) => self.upkeep_of(balancer),
            None => self.upkeep_of_orphans(),
        }
    }

    fn upkeep_of(&mut self, balancer: &LoadBalancer) -> LifecycleAction {
        let ours = self.is_ours(balancer);
        if balancer.state == LoadBalancerState::Failed {
            let detail = "its state is failed: it can't serve".to_owned();
            self.find(FindingName::LoadBalancerFailed, &balancer.name, detail);
        }
        let held = self.is_held(balancer);
        if !is_idle(self.observation, self.now) {
            self.watch_for_idleness();
            let reason = match self.observation.service {
                Service::Missing => UnmarkReason::ServiceMissing,
                Service::Found(_) => UnmarkReason::InUse,
            };
            return self.unmark(balancer, ours, reason);
        }
        if self.policy.teardown == Teardown::Off {
            let detail = "the service is idle, and the load balancer costs money for nobody".to_owned();
            self.find(FindingName::TeardownOff, &balancer.name, detail);
            return LifecycleAction::Keep;
        }
        if !ours {
            return LifecycleAction::Keep;
        }
        if held {
            return self.unmark(balancer, ours, UnmarkReason::Held);
        }
        let Some(idle_since) = self.standing_mark(balancer) else {
            return match self.ripe(balancer) {
                Some(reason) => self.mark_anew(balancer, reason),
                None => LifecycleAction::Keep,
            };
        };
        let with_groups = self.policy.teardown == Teardown::All;
        let groups = if with_groups { balancer.target_groups.as_slice() } else { &[] };
        let carries_mark =
            |group: &TargetGroup| group_mark(group, self.now) == Some((balancer.arn.as_str(), idle_since));
        if !groups.iter().all(carries_mark) {
            // A group that isn't marked when its balancer goes would be left behind for good. And a mark that has gone
            // from a group says that terraform is at work, which comes to the balancer a moment later: a sign of use.
            return match self.ripe(balancer) {
                Some(_) => self.mark_anew(balancer, MarkReason::Incomplete),
                None => LifecycleAction::Keep,
            };
        }
        let due = idle_since + self.policy.idle_grace;
        if self.now < due {
            self.requeue_by(due);
            return LifecycleAction::Keep;
        }
        self.requeue_by(self.now + self.teardown_look());
        LifecycleAction::DeleteLoadBalancer {
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
        let owned = self.policy.owner_tag.is_among(&balancer.tags);
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
            let by = Hold::of(&balancer.tags).map_or("", |hold| hold.holder.words());
            let detail = format!("neither marked nor torn down until {text}, held by {by}");
            self.find(FindingName::HoldActive, &balancer.name, detail);
            self.requeue_by(until);
        }
        held
    }

    /// A task that doesn't get to stop keeps its balancer, and nobody may notice.
    fn find_stuck_tasks(&mut self) {
        for task in &self.observation.tasks {
            let told_at = task.stopping_at.filter(|_| task.last_status != LastStatus::Stopped);
            if let Some(told_at) = told_at.filter(|told_at| *told_at + STOPPING_PASSES_WITHIN < self.now) {
                let detail = format!("it was told to stop at {told_at}, and hasn't stopped yet");
                self.find(FindingName::TaskNotStopping, task.id.as_str(), detail);
            }
        }
    }

    /// A service that is nearly idle gets there within seconds, and no event may come to tell. What keeps the balancer
    /// once its tasks have stopped, a target of somebody else's, may stay for days.
    fn watch_for_idleness(&mut self) {
        if let Service::Found(counts) = self.observation.service
            && counts.desired == 0
            && self.observation.serving().next().is_none()
            && !has_stopped(self.observation, counts)
        {
            self.requeue_by(self.now + NEARLY_IDLE_REQUEUE);
        }
    }

    fn unmark(&self, balancer: &LoadBalancer, ours: bool, reason: UnmarkReason) -> LifecycleAction {
        let marked = |tags: &Tags| tags.contains_key(IDLE_SINCE_TAG) || tags.contains_key(LOAD_BALANCER_TAG);
        let groups = balancer.target_groups.iter().map(|group| (&group.arn, &group.tags));
        let all = std::iter::once((&balancer.arn, &balancer.tags)).chain(groups);
        let mut resources: Vec<_> = all.filter(|(_, tags)| marked(tags)).map(|(arn, _)| arn.clone()).collect();
        if resources.is_empty() || !ours || self.policy.teardown == Teardown::Off {
            return LifecycleAction::Keep;
        }
        resources.sort();
        LifecycleAction::Unmark { resources, idle_since: mark(&balancer.tags, self.now), reason }
    }

    /// The balancer's mark, unless it can't be trusted; then the grace begins anew. It must be of this balancer, not
    /// copied from another or from before it was made; the service must not have been used after it, unseen by any
    /// watcher, nor the balancer held; and it must not be so old that nobody could tell.
    fn standing_mark(&mut self, balancer: &LoadBalancer) -> Option<Timestamp> {
        let since = mark(&balancer.tags, self.now)?;
        let own = balancer.tags.get(LOAD_BALANCER_TAG) == Some(&balancer.arn) && since >= self.made_at(balancer);
        let unused_since = self.last_use().is_none_or(|last_use| last_use <= since);
        // In force it would have been obeyed before; one that lies further ahead counts for nothing.
        let is_over = |hold: &Hold| hold.until <= self.now;
        let held_until = Hold::of(&balancer.tags).filter(is_over).map(|hold| hold.until);
        let unheld_since = held_until.is_none_or(|until| until <= since);
        if !(own && unused_since && unheld_since) {
            return None;
        }
        if self.now.duration_since(since) <= SignedDuration::try_from(self.policy.idle_grace + MARK_VALID_FOR).ok()? {
            return Some(since);
        }
        // The mark of a balancer that AWS refuses to delete grows old too, but under somebody's eyes.
        if self.observation.teardown_begun_at.is_none() {
            let detail = format!("its mark of {since} is too old to be believed: the grace begins anew");
            self.find(FindingName::MarkExpired, &balancer.name, detail);
        }
        None
    }

    /// When the balancer was made, or, when that lies further ahead than clocks differ, as far as they do.
    fn made_at(&self, balancer: &LoadBalancer) -> Timestamp {
        balancer.created_at.min(self.now + CLOCK_SKEW)
    }

    /// When a task last came to run, was told to stop, or had stopped. Times further ahead than clocks differ say nothing.
    fn last_use(&self) -> Option<Timestamp> {
        let times = self.observation.tasks.iter().flat_map(|task| [task.started_at, task.stopping_at, task.stopped_at]);
        let times = times.flatten();
        // AWS gives them to the millisecond, as the mark is written.
        times.filter(|at| *at <= self.now + CLOCK_SKEW).max()
    }

    /// Why an idle balancer may be marked now: one that has served, at once; one that hasn't may belong to a scale-up in
    /// progress, and has time.
    fn ripe(&mut self, balancer: &LoadBalancer) -> Option<MarkReason> {
        if self.has_served(balancer) {
            return Some(MarkReason::Idle);
        }
        let unused_at = balancer.created_at + self.policy.unused_grace;
        if self.now < unused_at {
            self.requeue_by(unused_at);
            return None;
        }
        Some(MarkReason::Unused)
    }

    /// The grace begins now.
    fn mark_anew(&mut self, balancer: &LoadBalancer, reason: MarkReason) -> LifecycleAction {
        let mut resources = vec![balancer.arn.clone()];
        if self.policy.teardown == Teardown::All {
            resources.extend(balancer.target_groups.iter().map(|group| group.arn.clone()));
        }
        // AWS's clock may be ahead of this one; a mark before the last use, or the balancer's making, would not stand.
        let idle_since =
            self.last_use().into_iter().chain([self.now, self.made_at(balancer)]).max().unwrap_or(self.now);
        self.requeue_by(idle_since + self.policy.idle_grace);
        resources.sort();
        LifecycleAction::Mark { load_balancer_arn: balancer.arn.clone(), idle_since, resources, reason }
    }

    /// Whether a call can have gone through the balancer: a task of the service was told to stop after the balancer was
    /// there. A task that was already stopping when the balancer came belongs to an earlier evening, and says nothing
    /// about this one, even where a group that was kept still has it as a target; that tells only of one whose times are
    /// not known.
    fn has_served(&self, balancer: &LoadBalancer) -> bool {
        let is_target = |task: &Task| self.observation.targets().any(|(_, target)| task.has_address(target.ip));
        let has_used_it = |task: &Task| match task.left_at() {
            Some(at) => at > balancer.created_at,
            None => is_target(task),
        };
        balancer.state != LoadBalancerState::Provisioning && self.observation.tasks.iter().any(has_used_it)
    }

    /// How long to wait between the looks of a teardown: the longer it takes, the longer. One that AWS refuses must not be
    /// tried every two seconds for ever.
    fn teardown_look(&self) -> Duration {
        let begun_at = self.observation.teardown_begun_at.unwrap_or(self.now);
        let taken = Duration::try_from(self.now.duration_since(begun_at)).unwrap_or_default();
        TEARDOWN_LOOK.max(taken / 10)
    }

    /// Finishes a teardown that was cut off after the balancer's deletion.
    fn upkeep_of_orphans(&mut self) -> LifecycleAction {
        if self.policy.teardown != Teardown::All || !is_idle(self.observation, self.now) {
            return LifecycleAction::Keep;
        }
        let mut due = Vec::new();
        for group in &self.observation.orphaned_target_groups {
            // Observed by its mark; one whose mark can't be read, or names another balancer, is not ours.
            let Some((arn, idle_since)) = group_mark(group, self.now) else { continue };
            if load_balancer_name(arn) != Some(self.policy.load_balancer.as_str()) {
                continue;
            }
            // The service may have been in use since, without a balancer; whoever scaled it up may be making one.
            let unused_since = self.last_use().map_or(idle_since, |last_use| last_use.max(idle_since));
            let due_at = unused_since + self.policy.idle_grace;
            if self.now < due_at {
                self.requeue_by(due_at);
                continue;
            }
            self.requeue_by(self.now + self.teardown_look());
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
}

/// Since when the balancer is marked idle, whether or not the mark is to be trusted with its deletion.
pub fn marked_since(observation: &Observation, now: Timestamp) -> Option<Timestamp> {
    observation.load_balancer.as_ref().and_then(|balancer| mark(&balancer.tags, now))
}

/// Since when the resource is marked idle. A mark that can't be read, or that lies further ahead than clocks differ,
/// counts as none, and is written anew.
fn mark(tags: &Tags, now: Timestamp) -> Option<Timestamp> {
    let since = tags.get(IDLE_SINCE_TAG)?.parse::<Timestamp>().ok()?;
    // What this program writes has milliseconds; a finer mark could never be written alike on the groups.
    let since = Timestamp::from_millisecond(since.as_millisecond()).ok()?;
    (since <= now + CLOCK_SKEW).then_some(since)
}

/// The balancer that a group's mark names, and since when.
fn group_mark(group: &TargetGroup, now: Timestamp) -> Option<(&str, Timestamp)> {
    Some((group.tags.get(LOAD_BALANCER_TAG)?, mark(&group.tags, now)?))
}
