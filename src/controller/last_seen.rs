//! What the last observation found, as far as it saves calls and round trips of the next one.
//!
//! It decides only what is read, and when: an answer counts only if it belongs to what AWS shows now.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::aws::{ServiceDescription, TargetGroupDescription};
use crate::clock::{Clock, Moment};
use jvb_watcher_rules::model::{Counts, LastStatus, Observation, Service, TaskId};

/// What the last observation found.
#[derive(Default)]
pub struct LastSeen(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    tasks: BTreeSet<TaskId>,
    load_balancer: Option<SeenLoadBalancer>,
    rest: Option<Rest>,
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

    /// Remembers an observation of everything, which began then.
    pub fn remember(&self, observation: &Observation, service: ServiceDescription, began: Moment) {
        let has_stopped = || observation.tasks.iter().all(|task| task.last_status == LastStatus::Stopped);
        let nothing_is_left = observation.load_balancer.is_none() && observation.orphaned_target_groups.is_empty();
        let mut seen = self.lock();
        seen.tasks = observation.tasks.iter().map(|task| task.id.clone()).collect();
        let is_at_rest = has_no_tasks(observation.service) && nothing_is_left && has_stopped();
        seen.rest = is_at_rest.then_some(Rest { service, read_at: began });
    }

    /// Forgets everything: the next observation reads as the first one does.
    pub fn forget(&self) {
        *self.lock() = Seen::default();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
