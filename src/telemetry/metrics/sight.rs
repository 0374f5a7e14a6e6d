//! What one look counted.

use jvb_watcher_rules::model::{Counts, LoadBalancerState, Observation, Service, TargetState};

/// What one look counted: two looks that counted alike have shown no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The service's counts; all zero when it is missing.
    pub counts: Counts,
    /// Tasks that serve.
    pub serving: usize,
    /// Targets, draining ones not counted.
    pub registered: usize,
    /// Those of them that are healthy.
    pub healthy: usize,
    /// Those of them that are unhealthy.
    pub unhealthy: usize,
    /// The balancer's state, if there is one.
    pub load_balancer_state: Option<LoadBalancerState>,
}

impl Sight {
    /// Counts what was observed.
    pub fn of(observation: &Observation) -> Self {
        let targets =
            |wanted: fn(TargetState) -> bool| observation.targets().filter(|(_, target)| wanted(target.state)).count();
        Self {
            counts: match observation.service {
                Service::Found(counts) => counts,
                Service::Missing => Counts::default(),
            },
            serving: observation.serving().count(),
            registered: targets(|state| state != TargetState::Draining),
            healthy: targets(|state| state == TargetState::Healthy),
            unhealthy: targets(|state| state == TargetState::Unhealthy),
            load_balancer_state: observation.load_balancer.as_ref().map(|balancer| balancer.state),
        }
    }
}
