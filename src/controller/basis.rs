//! What a write rests on, as the log tells it: enough to judge by the log alone whether the write was right.

use jiff::Timestamp;

use crate::telemetry::log::{DeletionFields, rfc3339_millis};
use jvb_watcher_rules::hold::Hold;
use jvb_watcher_rules::model::{LastStatus, Observation, Service, TargetKey, TaskId};
use jvb_watcher_rules::plan::{OwnerTag, groups_of_others, targets_of_others};

/// The observations that the writes of a plan rest on. What it tells comes from AWS's answers, not from the plan: a plan
/// that was wrong shows.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// The observation.
    pub observation: &'a Observation,
    /// Its id.
    pub id: &'a str,
    /// The id of the observation before it that led to the same dangerous write.
    pub first_id: Option<&'a str>,
    /// The tag that marks a load balancer as the watcher's to delete.
    pub owner_tag: &'a OwnerTag,
    /// The time of the plan.
    pub planned_at: Timestamp,
}

impl Basis<'_> {
    /// Returns the evidence for the deletion of the load balancer, which has this mark.
    pub(super) fn of_deletion(&self, idle_since: Timestamp) -> DeletionFields {
        let Self { observation, owner_tag, planned_at, .. } = *self;
        let groups: usize = groups_of_others(observation).map(|group| group.healthy_others).sum();
        let is_owned = observation.load_balancer.as_ref().is_some_and(|found| owner_tag.is_among(&found.tags));
        DeletionFields {
            idle_since: rfc3339_millis(idle_since),
            desired: match observation.service {
                Service::Found(counts) => Some(counts.desired),
                Service::Missing => None,
            },
            live_tasks: observation.tasks.iter().filter(|task| task.last_status != LastStatus::Stopped).count(),
            healthy_others: targets_of_others(observation, planned_at).count() + groups,
            owned: is_owned,
            held: self.is_held(),
            first_observation: self.first_id(),
            observation: self.id(),
        }
    }

    /// Returns whether a hold is in force.
    pub(super) fn is_held(&self) -> bool {
        let hold = self.observation.load_balancer.as_ref().and_then(|found| Hold::of(&found.tags));
        hold.is_some_and(|hold| hold.is_in_force(self.planned_at))
    }

    /// Returns the time since which no task had a target's address.
    pub(super) fn unmatched_since(&self, target: &TargetKey) -> Option<String> {
        self.observation.unmatched_since.get(target).copied().map(rfc3339_millis)
    }

    /// Returns the time at which a task started.
    pub(super) fn started_at(&self, task: &TaskId) -> Option<Timestamp> {
        self.observation.tasks.iter().find(|known| known.id == *task)?.started_at
    }

    /// Returns the observation's id as a field.
    pub(super) fn id(&self) -> String {
        self.id.to_owned()
    }

    /// Returns the id of the observation before as a field.
    pub(super) fn first_id(&self) -> Option<String> {
        self.first_id.map(str::to_owned)
    }
}
