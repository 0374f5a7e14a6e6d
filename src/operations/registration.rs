//! The registrations that the serving tasks need, compared with those that exist.

use std::collections::BTreeMap;

use jvb_watcher_rules::model::{Observation, TargetState, TargetType};

/// The registrations that the serving tasks need, compared with those that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    /// One for each serving task and target group of type ip.
    pub wanted: usize,
    /// The number of them that exist and aren't draining.
    pub registered: usize,
    /// The number of those in each state, with AWS's reason where there is one.
    pub states: BTreeMap<String, usize>,
}

impl Registrations {
    /// Counts the registrations of an observation.
    pub fn of(observation: &Observation) -> Self {
        let mut registrations = Self::default();
        for group in observation.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups) {
            let TargetType::Ip { family, port } = group.target_type else { continue };
            for task in observation.serving() {
                registrations.wanted += 1;
                let address = task.address(family);
                let mut targets = group.targets.iter();
                let target = targets.find(|target| Some(target.ip) == address && target.port == port);
                if let Some(target) = target.filter(|target| target.state != TargetState::Draining) {
                    registrations.registered += 1;
                    let reason = target.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                    *registrations.states.entry(format!("{}{reason}", target.state.as_str())).or_default() += 1;
                }
            }
        }
        registrations
    }

    /// Returns true if every wanted registration exists.
    pub fn is_complete(&self) -> bool {
        self.wanted > 0 && self.registered == self.wanted
    }

    /// Returns the states as text: `2 healthy, 1 unhealthy (Target.FailedHealthChecks)`.
    pub fn summary(&self) -> String {
        let states: Vec<_> = self.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        states.join(", ")
    }
}
