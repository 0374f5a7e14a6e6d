//! The repair: what the plan says, done, and each act logged.

use std::time::Duration;

use jiff::Timestamp;

use super::{Hints, Look, OBSERVATION_VALID_FOR, Reconciler, Teardown, millis_between};
use crate::aws::{AwsError, Deadline, ErrorKind, Platform, TARGETS_PER_CALL};
use crate::telemetry::log::{Event, TargetFields, rfc3339_millis};
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{IDLE_SINCE_TAG, LOAD_BALANCER_TAG, Tags, TargetKey, TargetState};
use jvb_watcher_rules::plan::{GroupChange, LifecycleAction, OrphanedTargetGroup, TargetChange};

/// A group still in use this long after its teardown began is held by something else.
pub(super) const IN_USE_PASSES_WITHIN: Duration = Duration::from_secs(120);

/// What came of the acts.
#[derive(Debug, Default)]
pub(super) struct Acted {
    /// How many changes were made.
    pub(super) changes: usize,
    /// What AWS refused for a reason that a person must know.
    pub(super) findings: Vec<Finding>,
    /// The first call that failed.
    pub(super) error: Option<AwsError>,
}

impl Acted {
    fn failed(&mut self, error: AwsError) {
        self.error.get_or_insert(error);
    }
}

/// Registering and deregistering differ in the call and the line, and in nothing else. A target that is registered on old
/// knowledge does no harm until the next look; one that is deregistered on it may have got a new task meanwhile.
#[derive(Clone, Copy)]
enum Direction<'a> {
    Register,
    Deregister(&'a Deadline),
}

impl<P: Platform> Reconciler<P> {
    /// Does all that the plan says; a failure of one thing does not keep the others from being done.
    pub(super) async fn act(&mut self, look: &Look, hints: &Hints) -> Acted {
        let mut acted = Acted::default();
        // The process may have been frozen since the look began, and AWS may be slow.
        let deadline = Deadline::new(look.began, OBSERVATION_VALID_FOR, self.clock.clone());
        for change in &look.plan.registrations {
            self.change_group(change, hints, &deadline, &mut acted).await;
        }
        match &look.plan.lifecycle {
            LifecycleAction::Keep | LifecycleAction::Unmark { .. } | LifecycleAction::Mark { .. } => {
                self.keep_marks(look, &deadline, &mut acted).await;
            }
            LifecycleAction::DeleteLoadBalancer { load_balancer_arn, created_at, idle_since } => {
                self.delete_load_balancer(load_balancer_arn, *created_at, *idle_since, &deadline, &mut acted).await;
            }
            LifecycleAction::DeleteTargetGroups { target_groups } => {
                self.delete_target_groups(target_groups, &deadline, &mut acted).await;
            }
        }
        acted
    }

    /// New targets before old ones, so that the group is never empty in between; the other way round when it is full.
    async fn change_group(&mut self, change: &GroupChange, hints: &Hints, deadline: &Deadline, acted: &mut Acted) {
        let (register, deregister) = (Direction::Register, Direction::Deregister(deadline));
        let registered = self.change_targets(change, &change.register, register, hints, acted).await;
        let deregistered = self.change_targets(change, &change.deregister, deregister, hints, acted).await;
        if let Err(error) = deregistered {
            acted.failed(error);
        }
        let Err(error) = registered else { return };
        if !error.is(ErrorKind::TooManyTargets) {
            acted.failed(error);
            return;
        }
        let retried = match change.deregister.is_empty() {
            true => Err(error),
            false => self.change_targets(change, &change.register, register, hints, acted).await,
        };
        match retried {
            Err(error) if error.is(ErrorKind::TooManyTargets) => acted.findings.push(Finding {
                name: FindingName::TargetGroupFull,
                subject: change.target_group.clone(),
                detail: format!("it refuses {} target(s): {}", change.register.len(), error.message),
            }),
            Err(error) => acted.failed(error),
            Ok(()) => {}
        }
    }

    async fn change_targets(
        &mut self,
        group: &GroupChange,
        targets: &[TargetChange],
        direction: Direction<'_>,
        hints: &Hints,
        acted: &mut Acted,
    ) -> Result<(), AwsError> {
        let mut failed = None;
        for batch in targets.chunks(TARGETS_PER_CALL) {
            match self.change_batch(group, batch, direction, hints, acted).await {
                Ok(()) => {}
                // Somebody deleted the group meanwhile: nothing is left to do here.
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(()),
                // One target that AWS won't take fails the whole call.
                Err(error) if error.is(ErrorKind::InvalidTarget) && batch.len() > 1 => {
                    for one in batch.chunks(1) {
                        if let Err(error) = self.change_batch(group, one, direction, hints, acted).await {
                            failed.get_or_insert(error);
                        }
                    }
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        // Deregistering what isn't registered is done already.
        match failed {
            Some(error) if error.is(ErrorKind::InvalidTarget) && matches!(direction, Direction::Deregister(_)) => {
                Ok(())
            }
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn change_batch(
        &mut self,
        group: &GroupChange,
        batch: &[TargetChange],
        direction: Direction<'_>,
        hints: &Hints,
        acted: &mut Acted,
    ) -> Result<(), AwsError> {
        let keys: Vec<TargetKey> = batch.iter().map(|target| target.key.clone()).collect();
        match direction {
            Direction::Register => self.platform.register(&group.target_group_arn, &keys).await?,
            Direction::Deregister(deadline) => {
                self.platform.deregister(&group.target_group_arn, &keys, deadline).await?;
            }
        }
        acted.changes += batch.len();
        for target in batch {
            self.tell_target(group, target, direction, hints);
        }
        Ok(())
    }

    fn tell_target(&mut self, group: &GroupChange, change: &TargetChange, direction: Direction<'_>, hints: &Hints) {
        let hint = change.task.as_ref().and_then(|task| hints.tasks.get(task));
        let event_time = hint.and_then(|hint| hint.time);
        let latency_ms = event_time.map(|time| millis_between(time, self.clock.now()));
        let target = TargetFields::new(&group.target_group, &change.key, change.task.as_ref());
        let reason = change.reason;
        self.log.emit(&match direction {
            Direction::Register => {
                self.memory.health.insert(change.key.clone(), TargetState::Initial);
                latency_ms.into_iter().for_each(|latency_ms| self.metrics.registered(latency_ms));
                Event::TargetRegistered { target, reason, latency_ms }
            }
            Direction::Deregister(_) => {
                self.memory.health.remove(&change.key);
                Event::TargetDeregistered { target, reason, latency_ms }
            }
        });
    }

    async fn keep_marks(&mut self, look: &Look, deadline: &Deadline, acted: &mut Acted) {
        let load_balancer = self.policy.load_balancer.clone();
        let (event, result) = match &look.plan.lifecycle {
            LifecycleAction::Mark { load_balancer_arn, idle_since, resources, reason } => {
                let tags = Tags::from([
                    (IDLE_SINCE_TAG.to_owned(), rfc3339_millis(*idle_since)),
                    (LOAD_BALANCER_TAG.to_owned(), load_balancer_arn.clone()),
                ]);
                let event =
                    Event::IdleMarked { load_balancer, idle_since: rfc3339_millis(*idle_since), reason: *reason };
                (event, self.platform.add_tags(resources, &tags, deadline).await)
            }
            LifecycleAction::Unmark { resources, idle_since, reason } => {
                let idle_since = idle_since.map(rfc3339_millis);
                let event = Event::IdleUnmarked { load_balancer, idle_since, reason: *reason };
                (event, self.platform.remove_tags(resources, &[IDLE_SINCE_TAG, LOAD_BALANCER_TAG], deadline).await)
            }
            _ => return self.note_teardown_end(look),
        };
        match result {
            Ok(()) => {
                acted.changes += 1;
                self.log.emit(&event);
            }
            // The balancer or a group went meanwhile; the next look sees what is left.
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) => acted.failed(error),
        }
    }

    /// A teardown ends when a look finds neither the balancer nor a group of it.
    fn note_teardown_end(&mut self, look: &Look) {
        let observation = &look.observation;
        if observation.load_balancer.is_some() {
            // Made anew, or in use again before it was deleted.
            self.memory.teardown = None;
            return;
        }
        self.note_deleted();
        if observation.orphaned_target_groups.is_empty() && self.memory.teardown.take().is_some() {
            self.metrics.teardown_completed();
            self.log.emit(&Event::TeardownCompleted { load_balancer: self.policy.load_balancer.clone() });
        }
    }

    /// Says that a teardown begins, once a balancer, however often it must be tried.
    fn begin_teardown(&mut self, load_balancer_arn: &str, idle_since: Timestamp, created_at: Option<Timestamp>) {
        if self.memory.teardown.as_ref().is_some_and(|teardown| teardown.load_balancer_arn == load_balancer_arn) {
            return;
        }
        self.log.emit(&Event::TeardownStarted {
            load_balancer: self.policy.load_balancer.clone(),
            idle_since: rfc3339_millis(idle_since),
            resumed: created_at.is_none(),
        });
        self.memory.teardown =
            Some(Teardown { load_balancer_arn: load_balancer_arn.to_owned(), begun_at: self.clock.now(), created_at });
    }

    async fn delete_load_balancer(
        &mut self,
        arn: &str,
        created_at: Timestamp,
        idle_since: Timestamp,
        deadline: &Deadline,
        acted: &mut Acted,
    ) {
        self.begin_teardown(arn, idle_since, Some(created_at));
        match self.platform.delete_load_balancer(arn, deadline).await {
            Ok(()) => {
                acted.changes += 1;
                self.note_deleted();
            }
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) if matches!(error.kind, ErrorKind::OperationNotPermitted | ErrorKind::ResourceInUse) => {
                acted.findings.push(Finding {
                    name: FindingName::DeletionProtected,
                    subject: self.policy.load_balancer.clone(),
                    detail: format!("AWS refuses to delete it: {}", error.message),
                })
            }
            Err(error) => acted.failed(error),
        }
    }

    /// Says that the balancer is deleted, once: DescribeLoadBalancers may go on to show it for a moment, and the answer
    /// to the deletion may have been lost.
    fn note_deleted(&mut self) {
        let Some(teardown) = &mut self.memory.teardown else { return };
        let Some(created_at) = teardown.created_at.take() else { return };
        self.log.emit(&Event::LoadBalancerDeleted {
            load_balancer: self.policy.load_balancer.clone(),
            load_balancer_arn: teardown.load_balancer_arn.clone(),
            uptime_seconds: millis_between(created_at, self.clock.now()) / 1000,
        });
    }

    async fn delete_target_groups(&mut self, groups: &[OrphanedTargetGroup], deadline: &Deadline, acted: &mut Acted) {
        self.note_deleted();
        for group in groups {
            self.begin_teardown(&group.load_balancer_arn, group.idle_since, None);
            match self.platform.delete_target_group(&group.arn, deadline).await {
                Ok(()) => {
                    acted.changes += 1;
                    self.log.emit(&Event::TargetGroupDeleted { target_group: group.name.clone() });
                }
                // Another worker was faster.
                Err(error) if error.is(ErrorKind::NotFound) => {}
                // AWS still sees a listener on it, as it does for some seconds after the balancer's deletion.
                Err(error) if error.is(ErrorKind::ResourceInUse) => {
                    let begun_at = self.memory.teardown.as_ref().map(|teardown| teardown.begun_at);
                    if begun_at.is_some_and(|begun_at| self.clock.now() > begun_at + IN_USE_PASSES_WITHIN) {
                        acted.findings.push(Finding {
                            name: FindingName::TargetGroupInUse,
                            subject: group.name.clone(),
                            detail: format!("AWS refuses to delete it: {}", error.message),
                        });
                    }
                }
                Err(error) => acted.failed(error),
            }
        }
    }
}
