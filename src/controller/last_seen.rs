//! What the last observation found, as far as it saves calls and round trips of the next one.
//!
//! It decides only what is read, and when: an answer counts only if it belongs to what AWS shows now.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::aws::{ServiceDescription, TargetGroupDescription};
use crate::clock::{Clock, Moment};
use jvb_watcher_rules::model::{LastStatus, Observation, Service, TaskId};

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

/// A service at rest: it is idle, and there is neither a load balancer nor anything left of one.
#[derive(Clone)]
struct Rest {
    service: ServiceDescription,
    since: Moment,
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

    /// Returns the service if the last observation of everything, at most this long ago, found it at rest.
    pub fn at_rest(&self, max_age: Duration, clock: &dyn Clock) -> Option<ServiceDescription> {
        let seen = self.lock();
        let rest = seen.rest.as_ref().filter(|rest| rest.since.elapsed(clock) < max_age)?;
        Some(rest.service.clone())
    }

    /// Remembers an observation of everything, which began then.
    pub fn remember(&self, observation: &Observation, service: ServiceDescription, began: Moment) {
        let has_stopped = || observation.tasks.iter().all(|task| task.last_status == LastStatus::Stopped);
        let is_idle = matches!(observation.service, Service::Found(counts)
            if (counts.desired, counts.running, counts.pending) == (0, 0, 0));
        let nothing_is_left = observation.load_balancer.is_none() && observation.orphaned_target_groups.is_empty();
        let mut seen = self.lock();
        seen.tasks = observation.tasks.iter().map(|task| task.id.clone()).collect();
        seen.rest = (is_idle && nothing_is_left && has_stopped()).then_some(Rest { service, since: began });
    }

    /// Forgets everything: the next observation reads as the first one does.
    pub fn forget(&self) {
        *self.lock() = Seen::default();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
