//! The mark: the tags that record since when a load balancer has been idle, and whether they are still valid.

use jiff::Timestamp;

use super::super::{CLOCK_SKEW, MARK_VALID_FOR, Planner};
use crate::finding::FindingName;
use crate::hold::Hold;
use crate::model::{IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LoadBalancer, Observation, Tags, TargetGroup};

/// Returns the instant that the load balancer's mark names, whether or not the mark is valid for its deletion.
pub fn marked_since(observation: &Observation, now: Timestamp) -> Option<Timestamp> {
    observation.load_balancer.as_ref().and_then(|load_balancer| mark(&load_balancer.tags, now))
}

/// Parses the mark among tags. One that can't be parsed, or that lies further ahead than clocks differ, counts as none.
pub(super) fn mark(tags: &Tags, now: Timestamp) -> Option<Timestamp> {
    let since = tags.get(IDLE_SINCE_TAG)?.parse::<Timestamp>().ok()?;
    // The watcher writes milliseconds; a finer mark of an operator's would never agree with those of the target groups.
    let since = Timestamp::from_millisecond(since.as_millisecond()).ok()?;
    (since <= now + CLOCK_SKEW).then_some(since)
}

/// Parses the mark of a target group: the load balancer's ARN, and the instant.
pub(super) fn target_group_mark(group: &TargetGroup, now: Timestamp) -> Option<(&str, Timestamp)> {
    Some((group.tags.get(LOAD_BALANCER_TAG)?, mark(&group.tags, now)?))
}

impl Planner<'_> {
    /// Returns the load balancer's mark, if it is valid; otherwise the grace period restarts.
    ///
    /// The mark must be this load balancer's, not copied from another nor older than it. No task can have run, and no
    /// hold been in force, after it. And it must not be so old that a use could have passed unseen.
    pub(super) fn valid_mark(&mut self, load_balancer: &LoadBalancer) -> Option<Timestamp> {
        let since = mark(&load_balancer.tags, self.now)?;
        let own = load_balancer.tags.get(LOAD_BALANCER_TAG) == Some(&load_balancer.arn)
            && since >= self.creation_of(load_balancer);
        let unused_since = self.last_use().is_none_or(|last_use| last_use <= since);
        // A hold in force was valid before, too; one that ends further ahead is invalid.
        let is_over = |hold: &Hold| hold.until <= self.now;
        let held_until = Hold::of(&load_balancer.tags).filter(is_over).map(|hold| hold.until);
        let unheld_since = held_until.is_none_or(|until| until <= since);
        if !(own && unused_since && unheld_since) {
            return None;
        }
        if self.now <= self.policy.grace_ends_at(load_balancer.created_at, since) + MARK_VALID_FOR {
            return Some(since);
        }
        // The mark of a load balancer that AWS refuses to delete grows old too, but this process has observed it since.
        if self.observation.teardown_begun_at.is_none() {
            let detail = format!("its mark of {since} is too old to be valid; the grace period restarts");
            self.find(FindingName::MarkExpired, &load_balancer.name, detail);
        }
        None
    }

    /// Returns the time of the load balancer's creation, but no later than clocks differ from now.
    pub(super) fn creation_of(&self, load_balancer: &LoadBalancer) -> Timestamp {
        load_balancer.created_at.min(self.now + CLOCK_SKEW)
    }

    pub(super) fn last_use(&self) -> Option<Timestamp> {
        last_use(self.observation, self.now)
    }
}

/// Returns the latest time at which a task started, began to stop, or had stopped. Times further ahead than clocks differ
/// are ignored. AWS shows them to the millisecond, as the mark is written.
pub(crate) fn last_use(observation: &Observation, now: Timestamp) -> Option<Timestamp> {
    let times = observation.tasks.iter().flat_map(|task| [task.started_at, task.stopping_at, task.stopped_at]);
    times.flatten().filter(|at| *at <= now + CLOCK_SKEW).max()
}
