//! The state of the service and its load balancer, in numbers.

use jiff::Timestamp;

use jvb_watcher_rules::model::{Counts, LoadBalancerState, MINUTE, Observation, Service, TargetState};
use jvb_watcher_rules::plan::USAGE_UNKNOWN_FOR;

/// The counts of an observation. Two observations with equal summaries show no change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The service's counts; all zero when it is missing.
    pub counts: Counts,
    /// The number of serving tasks.
    pub serving: usize,
    /// The number of targets that aren't draining.
    pub registered: usize,
    /// The number of healthy targets.
    pub healthy: usize,
    /// The number of unhealthy targets.
    pub unhealthy: usize,
    /// The load balancer's state, if it exists.
    pub load_balancer_state: Option<LoadBalancerState>,
    /// The time of the load balancer's creation, if it exists.
    pub load_balancer_created_at: Option<Timestamp>,
}

impl Summary {
    /// Summarizes an observation.
    pub fn of(observation: &Observation) -> Self {
        let targets =
            |wanted: fn(TargetState) -> bool| observation.targets().filter(|(_, target)| wanted(target.state)).count();
        let load_balancer = observation.load_balancer.as_ref();
        Self {
            counts: match observation.service {
                Service::Found(counts) => counts,
                Service::Missing => Counts::default(),
            },
            serving: observation.serving().count(),
            registered: targets(|state| state != TargetState::Draining),
            healthy: targets(|state| state == TargetState::Healthy),
            unhealthy: targets(|state| state == TargetState::Unhealthy),
            load_balancer_state: load_balancer.map(|load_balancer| load_balancer.state),
            load_balancer_created_at: load_balancer.map(|load_balancer| load_balancer.created_at),
        }
    }
}

/// The result of an observation, as the metrics show it.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    /// The observation's counts.
    pub summary: Summary,
    /// The time since which the load balancer is idle, if it is.
    pub idle_since: Option<Timestamp>,
    /// The use of the platform.
    pub usage: Usage,
    /// The flows over the load balancer, if they were asked for and any minute is known.
    pub flows: Option<Flows>,
}

/// The flows over the load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flows {
    /// The flows in the newest known minute.
    pub newest: u64,
    /// The start of the newest known minute.
    pub minute: Timestamp,
    /// The time since which no minute with use is known, if the newest one is without use.
    pub unused_since: Option<Timestamp>,
}

impl Flows {
    /// Summarizes the flows that an observation shows; `None` if usage is unknown, as by [`USAGE_UNKNOWN_FOR`].
    pub fn of(observation: &Observation, threshold: u64, now: Timestamp) -> Option<Self> {
        let history = observation.flows.as_ref()?;
        let (minute, newest) = history.newest().filter(|(start, _)| now < *start + MINUTE + USAGE_UNKNOWN_FOR)?;
        Some(Self { newest: newest.flows, minute, unused_since: history.unused_since(threshold) })
    }
}

impl Snapshot {
    /// Returns for how many seconds the load balancer has been unused; 0 if it is used. `None` if that is unknown.
    pub fn unused_seconds(&self, now: Timestamp) -> Option<u64> {
        let unused_for = self.flows?.unused_since.map(|since| now.duration_since(since).as_secs());
        u64::try_from(unused_for.unwrap_or_default()).ok()
    }

    /// Returns for how many seconds the load balancer has been idle; 0 if it isn't.
    pub fn idle_seconds(&self, now: Timestamp) -> u64 {
        let idle_for = self.idle_since.map(|since| now.duration_since(since).as_secs());
        // Negative when the clock of the worker that marked it is ahead.
        u64::try_from(idle_for.unwrap_or_default()).unwrap_or_default()
    }
}

/// The use of the platform: whether there is anything to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The service is in use, a load balancer exists, or a teardown is in progress.
    InUse,
    /// Nothing that the watcher manages costs anything.
    Idle,
}
