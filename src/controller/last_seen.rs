//! What the last observation found, as far as it saves calls and round trips of the next one; and when observations ended.
//!
//! It decides only what is read, and when: an answer counts only if it belongs to what AWS shows now.
//!
//! A task that stops can be in neither of ECS's lists for a moment: that of the tasks that are to run already shows that it
//! is to stop, while that of the tasks that are to stop still shows the state before. An observation that begins
//! [`ECS_LAG`] after the end of an earlier one doesn't miss it: a task that was to run was in the list of the earlier one, and
//! is remembered; one that was stopping already is in the list of the later one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::aws::{ServiceDescription, TargetGroupDescription};
use crate::clock::{Clock, Moment};
use jvb_watcher_rules::model::{Counts, LastStatus, Observation, Service, TaskId};

/// The longest time by which an answer of ECS is assumed to show an older state.
pub const ECS_LAG: Duration = Duration::from_secs(10);

/// How much longer than the lag ago an observation can have ended: a task that started after it has not run for long.
const EARLIER_VALID_FOR: Duration = Duration::from_secs(10);

/// What the last observation found.
#[derive(Default)]
pub struct LastSeen(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    tasks: BTreeSet<TaskId>,
    load_balancer: Option<SeenLoadBalancer>,
    rest: Option<Rest>,
    /// The ends of the observations since the tasks are remembered, the oldest first.
    ended: VecDeque<Moment>,
}

/// A load balancer with its target groups.
#[derive(Clone, Debug)]
pub struct SeenLoadBalancer {
    /// The ARN.
    pub arn: String,
    /// The target groups behind it.
    pub target_groups: Vec<TargetGroupDescription>,
}

/// Returns whether ECS counts no task of the service, and none is desired.
pub fn has_no_tasks(service: Service) -> bool {
    service == Service::Found(Counts::default())
}

/// A service at rest: it is idle, and there is neither a load balancer nor anything left of one.
#[derive(Clone)]
struct Rest {
    service: ServiceDescription,
    read_at: Moment,
}

impl LastSeen {
    /// Returns the tasks.
    pub fn tasks(&self) -> BTreeSet<TaskId> {
        self.lock().tasks.clone()
    }

    /// Returns the load balancer.
    pub fn load_balancer(&self) -> Option<SeenLoadBalancer> {
        self.lock().load_balancer.clone()
    }

    /// Remembers the load balancer, or that there is none.
    pub fn set_load_balancer(&self, load_balancer: Option<SeenLoadBalancer>) {
        self.lock().load_balancer = load_balancer;
    }

    /// Returns the service if the last observation of everything found it at rest, and the time since it was last read.
    pub fn at_rest(&self, clock: &dyn Clock) -> Option<(ServiceDescription, Duration)> {
        self.lock().rest.as_ref().map(|rest| (rest.service.clone(), rest.read_at.elapsed(clock)))
    }

    /// Remembers that the service, read again then, is still at rest.
    pub fn still_at_rest(&self, service: ServiceDescription, read_at: Moment) {
        self.lock().rest = Some(Rest { service, read_at });
    }

    /// Returns the time from now at which an observation can begin that misses no task: one that serves, or is stopping.
    /// `None` if no earlier observation is recent enough.
    pub fn shows_every_task_in(&self, lag: Duration, clock: &dyn Clock) -> Option<Duration> {
        let seen = self.lock();
        let ages = seen.ended.iter().map(|ended| ended.elapsed(clock));
        ages.filter(|age| *age <= lag + EARLIER_VALID_FOR).map(|age| lag.saturating_sub(age)).min()
    }

    /// Remembers an observation of everything, which began then and has ended.
    pub fn remember(&self, observation: &Observation, service: ServiceDescription, began: Moment, clock: &dyn Clock) {
        let has_stopped = || observation.tasks.iter().all(|task| task.last_status == LastStatus::Stopped);
        let nothing_is_left = observation.load_balancer.is_none() && observation.orphaned_target_groups.is_empty();
        let mut seen = self.lock();
        seen.tasks = observation.tasks.iter().map(|task| task.id.clone()).collect();
        let is_at_rest = has_no_tasks(observation.service) && nothing_is_left && has_stopped();
        seen.rest = is_at_rest.then_some(Rest { service, read_at: began });
        if observation.service == Service::Missing {
            // Its tasks were not remembered.
            seen.ended.clear();
            return;
        }
        seen.ended.retain(|ended| ended.elapsed(clock) <= ECS_LAG + EARLIER_VALID_FOR);
        seen.ended.push_back(Moment::now(clock));
    }

    /// Forgets everything: the next observation reads as the first one does.
    pub fn forget(&self) {
        *self.lock() = Seen::default();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
