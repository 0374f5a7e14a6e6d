//! Detects changes that no event announced.
//!
//! Without events the worker still reconciles at every resync interval, so nothing else shows that its event source is
//! broken.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{Observation, Phase, TaskId};

/// The time within which the event of a change must arrive. EventBridge usually takes less than a second.
const EVENT_MAY_TAKE: Duration = Duration::from_secs(2 * 60);

/// The changes that observations found while no event arrived.
#[derive(Debug, Default)]
pub struct MissedEvents {
    /// The tasks' phases at the last observation; `None` before the first, which may find changes of any age.
    phases: Option<BTreeMap<TaskId, Phase>>,
    /// True if an event has arrived since the last observation.
    event_arrived: bool,
    /// The times of the first and the second observation that found an unannounced change.
    unannounced: (Option<Timestamp>, Option<Timestamp>),
}

impl MissedEvents {
    /// Records that an event of the service has arrived: the event source works.
    pub fn event_arrived(&mut self) {
        self.event_arrived = true;
        self.unannounced = (None, None);
    }

    /// Forgets the observations. Their age makes it uncertain whether the changes since then were announced.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Compares an observation with the one before.
    pub fn observe(&mut self, observation: &Observation, now: Timestamp) {
        let phases: BTreeMap<_, _> = observation.tasks.iter().map(|task| (task.id.clone(), task.phase())).collect();
        let has_changed = self.phases.replace(phases.clone()).is_some_and(|before| {
            // A task that ECS no longer shows stopped an hour ago.
            phases.iter().any(|(task, phase)| before.get(task) != Some(phase))
        });
        let event_arrived = std::mem::take(&mut self.event_arrived);
        if has_changed && !event_arrived {
            match &mut self.unannounced {
                (first @ None, _) => *first = Some(now),
                (_, second @ None) => *second = Some(now),
                _ => {}
            }
        }
    }

    /// Returns the finding that events are missing, once two observations found changes and no event arrived before,
    /// between or after them.
    ///
    /// One observation isn't enough: several workers share the queue, and another may have received the event. A task
    /// that starts takes half a dozen events; it is unlikely that other workers receive all of two tasks'.
    pub fn finding(&self, service: &str, now: Timestamp) -> Option<Finding> {
        let (Some(first), Some(second)) = self.unannounced else { return None };
        (now >= second + EVENT_MAY_TAKE).then(|| Finding {
            name: FindingName::EventsMissing,
            subject: service.to_owned(),
            detail: format!("tasks have started or stopped since {first:.0}, and no event announced it"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jvb_watcher_rules::model::Task;
    use jvb_watcher_rules::plan::samples::{counts, minutes, noon, observation, running, seconds, stopped};

    fn observe(missed_events: &mut MissedEvents, tasks: Vec<Task>, at: Timestamp) -> Option<FindingName> {
        missed_events.observe(&observation(counts(1, 1, 0), tasks, None), at);
        missed_events.finding("p-service", at).map(|finding| finding.name)
    }

    const FOUND: Option<FindingName> = Some(FindingName::EventsMissing);

    #[test]
    fn finds_two_unannounced_changes_once_their_events_are_overdue() {
        let mut missed_events = MissedEvents::default();
        assert_eq!(observe(&mut missed_events, vec![], noon()), None);
        assert_eq!(observe(&mut missed_events, vec![running(1)], noon() + minutes(1)), None);
        assert_eq!(observe(&mut missed_events, vec![stopped(1)], noon() + minutes(10)), None);
        assert_eq!(observe(&mut missed_events, vec![stopped(1)], noon() + minutes(12) - seconds(1)), None);
        assert_eq!(observe(&mut missed_events, vec![stopped(1)], noon() + minutes(12)), FOUND);
    }

    #[test]
    fn clears_the_finding_when_an_event_arrives() {
        let mut missed_events = MissedEvents::default();
        for (minute, tasks) in [(0, vec![]), (1, vec![running(1)]), (2, vec![stopped(1)])] {
            observe(&mut missed_events, tasks, noon() + minutes(minute));
        }
        assert_eq!(observe(&mut missed_events, vec![stopped(1)], noon() + minutes(5)), FOUND);
        missed_events.event_arrived();
        assert_eq!(observe(&mut missed_events, vec![stopped(1)], noon() + minutes(6)), None);
    }

    #[test]
    fn ignores_a_change_whose_event_arrives_before_or_after_it() {
        let mut missed_events = MissedEvents::default();
        observe(&mut missed_events, vec![], noon());
        missed_events.event_arrived();
        observe(&mut missed_events, vec![running(1)], noon() + minutes(1));
        observe(&mut missed_events, vec![running(1), running(2)], noon() + minutes(2));
        missed_events.event_arrived();
        observe(&mut missed_events, vec![running(1), stopped(2)], noon() + minutes(3));
        assert_eq!(observe(&mut missed_events, vec![running(1), stopped(2)], noon() + minutes(20)), None);
    }

    #[test]
    fn ignores_changes_before_the_first_observation_and_tasks_that_expire() {
        let mut missed_events = MissedEvents::default();
        for (minute, tasks) in [(0, vec![running(1), stopped(2)]), (1, vec![running(1)]), (2, vec![])] {
            observe(&mut missed_events, tasks, noon() + minutes(minute));
        }
        assert_eq!(observe(&mut missed_events, vec![], noon() + minutes(20)), None);
    }

    #[test]
    fn ignores_changes_across_a_reset() {
        let mut missed_events = MissedEvents::default();
        observe(&mut missed_events, vec![], noon());
        observe(&mut missed_events, vec![running(1)], noon() + minutes(1));
        missed_events.reset();
        observe(&mut missed_events, vec![stopped(1)], noon() + minutes(30));
        assert_eq!(observe(&mut missed_events, vec![stopped(1)], noon() + minutes(60)), None);
    }
}
