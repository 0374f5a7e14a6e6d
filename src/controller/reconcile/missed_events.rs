//! Whether events announce what looks find. When they don't, the worker still works, by the clock; and nobody would
//! notice that its feed is cut.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{Observation, Phase, TaskId};

/// How long after a change its event may come. EventBridge takes less than a second as a rule.
const EVENT_MAY_TAKE: Duration = Duration::from_secs(2 * 60);

/// What looks found while no event came.
#[derive(Debug, Default)]
pub struct MissedEvents {
    /// The tasks' phases at the last look; `None` before the first, which finds whatever happened before it.
    seen: Option<BTreeMap<TaskId, Phase>>,
    /// Whether an event has come since the last look.
    heard: bool,
    /// When the first and the second look found a change that no event had announced.
    unannounced: (Option<Timestamp>, Option<Timestamp>),
}

impl MissedEvents {
    /// An event of the service has come: the feed is not cut.
    pub fn heard(&mut self) {
        self.heard = true;
        self.unannounced = (None, None);
    }

    /// What happens from here on until the next look is nobody's to tell.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes what a look found.
    pub fn looked(&mut self, observation: &Observation, now: Timestamp) {
        let phases: BTreeMap<_, _> = observation.tasks.iter().map(|task| (task.id.clone(), task.phase())).collect();
        let has_changed = self.seen.replace(phases.clone()).is_some_and(|before| {
            // A task that ECS no longer shows has stopped long ago.
            phases.iter().any(|(task, phase)| before.get(task) != Some(phase))
        });
        let heard = std::mem::take(&mut self.heard);
        if has_changed && !heard {
            match &mut self.unannounced {
                (first @ None, _) => *first = Some(now),
                (_, second @ None) => *second = Some(now),
                _ => {}
            }
        }
    }

    /// That events are missing, once two looks found changes and no event has come before, between or after them.
    ///
    /// One look isn't enough: several workers share the queue, and what one finds by the clock may have been announced
    /// to another. A task that starts takes half a dozen events; that all of two tasks' go to the others is unlikely.
    pub fn finding(&self, service: &str, now: Timestamp) -> Option<Finding> {
        let (Some(first), Some(second)) = self.unannounced else { return None };
        (now >= second + EVENT_MAY_TAKE).then(|| Finding {
            name: FindingName::EventsMissing,
            subject: service.to_owned(),
            detail: format!(
                "looks have found tasks that started or stopped since {first:.0}, and no event told of them"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jvb_watcher_rules::model::Task;
    use jvb_watcher_rules::plan::samples::{counts, minutes, noon, observation, running, seconds, stopped};

    fn look(missed_events: &mut MissedEvents, tasks: Vec<Task>, at: Timestamp) -> Option<FindingName> {
        missed_events.looked(&observation(counts(1, 1, 0), tasks, None), at);
        missed_events.finding("p-service", at).map(|finding| finding.name)
    }

    const FOUND: Option<FindingName> = Some(FindingName::EventsMissing);

    #[test]
    fn two_changes_that_no_event_announced_are_a_finding_once_the_events_are_overdue() {
        let mut missed_events = MissedEvents::default();
        assert_eq!(look(&mut missed_events, vec![], noon()), None);
        assert_eq!(look(&mut missed_events, vec![running(1)], noon() + minutes(1)), None);
        assert_eq!(look(&mut missed_events, vec![stopped(1)], noon() + minutes(10)), None);
        assert_eq!(look(&mut missed_events, vec![stopped(1)], noon() + minutes(12) - seconds(1)), None);
        assert_eq!(look(&mut missed_events, vec![stopped(1)], noon() + minutes(12)), FOUND);
    }

    #[test]
    fn an_event_ends_the_finding() {
        let mut missed_events = MissedEvents::default();
        for (minute, tasks) in [(0, vec![]), (1, vec![running(1)]), (2, vec![stopped(1)])] {
            look(&mut missed_events, tasks, noon() + minutes(minute));
        }
        assert_eq!(look(&mut missed_events, vec![stopped(1)], noon() + minutes(5)), FOUND);
        missed_events.heard();
        assert_eq!(look(&mut missed_events, vec![stopped(1)], noon() + minutes(6)), None);
    }

    #[test]
    fn a_change_that_an_event_announced_is_none_and_neither_is_one_whose_event_comes_late() {
        let mut missed_events = MissedEvents::default();
        look(&mut missed_events, vec![], noon());
        missed_events.heard();
        look(&mut missed_events, vec![running(1)], noon() + minutes(1));
        look(&mut missed_events, vec![running(1), running(2)], noon() + minutes(2));
        missed_events.heard();
        look(&mut missed_events, vec![running(1), stopped(2)], noon() + minutes(3));
        assert_eq!(look(&mut missed_events, vec![running(1), stopped(2)], noon() + minutes(20)), None);
    }

    #[test]
    fn what_happened_before_the_first_look_and_what_ecs_no_longer_shows_is_no_change() {
        let mut missed_events = MissedEvents::default();
        for (minute, tasks) in [(0, vec![running(1), stopped(2)]), (1, vec![running(1)]), (2, vec![])] {
            look(&mut missed_events, tasks, noon() + minutes(minute));
        }
        assert_eq!(look(&mut missed_events, vec![], noon() + minutes(20)), None);
    }

    #[test]
    fn what_went_on_while_nobody_looked_is_forgotten() {
        let mut missed_events = MissedEvents::default();
        look(&mut missed_events, vec![], noon());
        look(&mut missed_events, vec![running(1)], noon() + minutes(1));
        missed_events.forget();
        look(&mut missed_events, vec![stopped(1)], noon() + minutes(30));
        assert_eq!(look(&mut missed_events, vec![stopped(1)], noon() + minutes(60)), None);
    }
}
