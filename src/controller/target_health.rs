//! Logs changes of target health from one reconciliation to the next.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::telemetry::log::{Event, Log, TargetFields};
use jvb_watcher_rules::model::{Observation, TargetKey, TargetState};

/// The targets' states as the last reconciliation left them.
#[derive(Debug, Default)]
pub struct TargetHealth {
    states: BTreeMap<TargetKey, TargetState>,
}

impl TargetHealth {
    /// Logs each target whose state has changed, and returns how many did.
    pub fn log_changes(&self, observation: &Observation, now: Timestamp, log: &Log) -> usize {
        let mut changes = 0;
        let mut tasks = None;
        for (group, target) in observation.targets() {
            let key = group.key(target.ip, target.port);
            let Some(from) = self.states.get(&key).filter(|from| **from != target.state) else { continue };
            changes += 1;
            let task = tasks.get_or_insert_with(|| observation.tasks_by_address()).get(target.ip);
            let started_at = task.and_then(|task| task.started_at);
            log.emit(&Event::TargetHealthChanged {
                target: TargetFields::new(&group.name, &key, task.map(|task| &task.id)),
                from: from.as_str().to_owned(),
                to: target.state.as_str().to_owned(),
                reason: target.reason.clone(),
                since_start_ms: started_at.map(|started_at| millis_between(started_at, now)),
            });
        }
        changes
    }

    /// Remembers the states after a reconciliation's own changes.
    pub fn remember(&mut self, observation: &Observation) {
        let states = observation.targets().map(|(group, target)| (group.key(target.ip, target.port), target.state));
        self.states = states.collect();
    }
}

/// The milliseconds from one instant to a later one; 0 when the clocks disagree about which is later.
pub fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}
