//! The idle condition, on which every teardown depends.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Counts, LastStatus, Observation, Service, Target, TargetGroup, TargetState, Task, TasksByAddress};

/// The time after its stop for which a task counts as the one at its address, for a target that is healthy there.
///
/// The task's own target is deregistered by then, or unhealthy; and VPCs assign addresses again.
pub const ADDRESS_RETENTION: Duration = Duration::from_secs(5 * 60);

/// Returns whether the service is idle: nothing is desired, running or pending, every task is STOPPED, and no target
/// is healthy without a task of the service at its address.
///
/// ECS doesn't count a task that is stopping, which can take minutes. A healthy target of another service shows that the
/// load balancer is in use, whatever this service does. A service that is missing is not idle: its state is unknown.
pub fn is_idle(observation: &Observation, now: Timestamp) -> bool {
    match observation.service {
        Service::Missing => false,
        Service::Found(counts) => {
            counts.desired == 0 && has_stopped(observation, counts) && !is_used_by_others(observation, now)
        }
    }
}

/// Returns whether no task of the service runs, is about to run, or is stopping.
pub(crate) fn has_stopped(observation: &Observation, counts: Counts) -> bool {
    let stopped = |task: &Task| task.last_status == LastStatus::Stopped;
    (counts.running, counts.pending) == (0, 0) && observation.tasks.iter().all(stopped)
}

fn is_used_by_others(observation: &Observation, now: Timestamp) -> bool {
    targets_of_others(observation, now).next().is_some() || groups_of_others(observation).next().is_some()
}

/// Returns the healthy targets whose address no task of the service has.
///
/// The target of a task that has stopped fails its health checks within seconds; a healthy one is another service's.
pub fn targets_of_others(observation: &Observation, now: Timestamp) -> impl Iterator<Item = (&TargetGroup, &Target)> {
    let tasks = observation.tasks_by_address();
    observation.targets().filter(move |(_, target)| {
        target.state == TargetState::Healthy && task_of_target(&tasks, target, now).is_none()
    })
}

/// Returns the target groups with healthy targets that can't be tasks of the service, e.g. instances.
pub fn groups_of_others(observation: &Observation) -> impl Iterator<Item = &TargetGroup> {
    observation.target_groups().filter(|group| group.healthy_others > 0)
}

/// Returns the task behind a target.
pub(crate) fn task_of_target<'a>(tasks: &TasksByAddress<'a>, target: &Target, now: Timestamp) -> Option<&'a Task> {
    let has_gone = |task: &Task| task.stopped_at.is_some_and(|at| at + ADDRESS_RETENTION < now);
    tasks.get(target.ip).filter(|task| target.state != TargetState::Healthy || !has_gone(task))
}
