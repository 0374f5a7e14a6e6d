//! Registers and deregisters targets.

use std::collections::VecDeque;

use crate::aws::{AwsError, ErrorKind, Platform, TARGETS_PER_CALL};
use crate::controller::target_health::millis_between;
use crate::controller::writes::{Applied, Writer};
use crate::telemetry::log::{Event, TargetFields};
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::TargetKey;
use jvb_watcher_rules::plan::{GroupChange, TargetChange, TargetReason};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Register,
    Deregister,
}

/// The targets that AWS accepted, and the first error.
#[derive(Default)]
struct Sent {
    targets: Vec<TargetKey>,
    error: Option<AwsError>,
}

impl<P: Platform> Writer<'_, P> {
    /// Changes the targets of one group. New targets come before old ones go, so that the group is never empty in between;
    /// in a full group old ones go first.
    pub(super) async fn change_registrations(&self, group: &GroupChange) -> Applied {
        let mut applied = Applied::default();
        let registered = self.send(group, Direction::Register).await;
        let deregistered = self.send(group, Direction::Deregister).await;
        applied.registered = registered.targets;
        applied.deregistered = deregistered.targets;
        applied.error = deregistered.error;
        let refused = match registered.error {
            Some(error) if error.is(ErrorKind::TooManyTargets) && !group.deregister.is_empty() => {
                let retried = self.send(group, Direction::Register).await;
                applied.registered.extend(retried.targets);
                retried.error
            }
            error => error,
        };
        match refused {
            Some(error) if error.is(ErrorKind::TooManyTargets) => applied.refusals.push(Finding {
                name: FindingName::TargetGroupFull,
                subject: group.target_group.clone(),
                detail: format!("it refuses {} target(s): {}", group.register.len(), error.message),
            }),
            error => applied.error = applied.error.or(error),
        }
        applied
    }

    /// Sends the changes of one direction in batches, and logs each target that AWS accepts.
    async fn send(&self, group: &GroupChange, direction: Direction) -> Sent {
        let changes = match direction {
            Direction::Register => &group.register,
            Direction::Deregister => &group.deregister,
        };
        let mut sent = Sent::default();
        // A late registration of a serving task does no harm. A starting one would be registered beside what serves by then.
        let is_early = |change: &TargetChange| change.reason == TargetReason::TaskStarting;
        let deadline = changes.iter().any(is_early).then_some(&self.deadline);
        let mut batches: VecDeque<&[TargetChange]> = changes.chunks(TARGETS_PER_CALL).collect();
        while let Some(batch) = batches.pop_front() {
            let keys: Vec<TargetKey> = batch.iter().map(|change| change.key.clone()).collect();
            let answer = match direction {
                Direction::Register => self.platform.register(&group.target_group_arn, &keys, deadline).await,
                Direction::Deregister => self.platform.deregister(&group.target_group_arn, &keys, &self.deadline).await,
            };
            match answer {
                Ok(()) => {
                    batch.iter().for_each(|change| self.log_change(group, change, direction));
                    sent.targets.extend(keys);
                }
                // The group was deleted meanwhile: nothing is left to change.
                Err(error) if error.is(ErrorKind::NotFound) => return Sent { error: None, ..sent },
                // One target that AWS rejects fails the whole call: send each by itself.
                Err(error) if error.is(ErrorKind::InvalidTarget) && batch.len() > 1 => {
                    batch.chunks(1).rev().for_each(|change| batches.push_front(change));
                }
                // A target that isn't registered needs no deregistration.
                Err(error) if error.is(ErrorKind::InvalidTarget) && direction == Direction::Deregister => {}
                Err(error) => sent.error = sent.error.or(Some(error)),
            }
        }
        sent
    }

    fn log_change(&self, group: &GroupChange, change: &TargetChange, direction: Direction) {
        let hint = change.task.as_ref().and_then(|task| self.hints.tasks.get(task));
        let event_time = hint.and_then(|hint| hint.time);
        let latency_ms = event_time.map(|time| millis_between(time, self.context.clock.now()));
        let target = TargetFields::new(&group.target_group, &change.key, change.task.as_ref());
        let reason = change.reason;
        let observation = self.basis.id();
        self.context.log.emit(&match direction {
            Direction::Register => {
                if let Some(latency_ms) = latency_ms {
                    self.context.metrics.registered(latency_ms);
                }
                let started_at = change.task.as_ref().and_then(|task| self.basis.started_at(task));
                let since_start_ms = started_at.map(|started_at| millis_between(started_at, self.context.clock.now()));
                Event::TargetRegistered { target, reason, latency_ms, since_start_ms, observation }
            }
            Direction::Deregister => {
                let unmatched_since = match reason {
                    TargetReason::NoTask => self.basis.unmatched_since(&change.key),
                    _ => None,
                };
                Event::TargetDeregistered { target, reason, latency_ms, unmatched_since, observation }
            }
        });
    }
}
