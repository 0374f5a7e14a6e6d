//! Tears the load balancer down: deletes it, then its target groups, and verifies that nothing is left.
//!
//! Any number of workers may run, without a leader, and DeleteLoadBalancer succeeds also when nothing exists: no answer
//! shows which worker deleted the load balancer. Therefore a mark also names the process that wrote it. That process deletes
//! first; the others delete a while later, in case it has stopped. One worker therefore logs a teardown and counts it. Two
//! may do so when a takeover coincides with a late call of the process that wrote the mark.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;

use crate::aws::{AwsError, ErrorKind, Platform};
use crate::controller::context::Context;
use crate::controller::target_health::millis_between;
use crate::controller::writes::{Applied, Writer};
use crate::telemetry::log::{DeletionFields, Event, rfc3339_millis};
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{IDLE_SINCE_TAG, Observation, Tags};
use jvb_watcher_rules::plan::{LifecycleAction, OrphanedTargetGroup, Plan, Policy};

/// The time after the grace period at which a worker deletes a load balancer that another worker marked, unless the grace
/// period is shorter: enough for two observations and the lag between them.
const TAKEOVER_AFTER: Duration = Duration::from_secs(15);

/// A group still in use this long after its teardown began is in use by something else.
pub(super) const IN_USE_PASSES_WITHIN: Duration = Duration::from_secs(120);

/// Identifies a process in the marks that it writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessId(u32);

impl ProcessId {
    /// The number of ids: a mark's time has milliseconds, and the id is in the six digits that follow them.
    const COUNT: u32 = 1_000_000;

    /// The id of a process with this number.
    pub fn new(number: u32) -> Self {
        Self(number % Self::COUNT)
    }

    /// Returns the number.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// Draws an id. 0, the default, is that of every command: no mark of another process depends on it.
    pub fn random() -> Self {
        Self(1 + RandomState::new().hash_one("process") as u32 % (Self::COUNT - 1))
    }

    /// The mark of this process for a time. It is an RFC 3339 instant, of which readers use the milliseconds.
    pub(super) fn mark(self, idle_since: Timestamp) -> String {
        let to_the_millisecond = Timestamp::from_millisecond(idle_since.as_millisecond()).unwrap_or(idle_since);
        format!("{:.9}", to_the_millisecond + Duration::from_nanos(self.0.into()))
    }

    /// Spreads the takeovers of several processes over as long again as the delay.
    pub(super) fn spread(self, delay: Duration) -> Duration {
        delay + delay.mul_f64(f64::from(self.0) / f64::from(Self::COUNT))
    }
}

/// Returns the delay of takeovers for a grace period.
pub fn takeover_after(idle_grace: Duration) -> Duration {
    TAKEOVER_AFTER.min(idle_grace)
}

/// The teardown as far as this process carries it out. What must survive a restart is in the tags.
#[derive(Debug)]
pub struct Teardown {
    process: ProcessId,
    takeover_after: Duration,
    /// The mark that this process wrote last.
    own_mark: Option<String>,
    current: Option<Current>,
}

/// A teardown that this process has begun or resumed.
#[derive(Debug)]
struct Current {
    load_balancer_arn: String,
    begun_at: Timestamp,
    deletion: Deletion,
}

/// What the beginning of a teardown is logged with.
#[derive(Clone, Copy)]
struct Starting<'a> {
    load_balancer: &'a str,
    observation: &'a str,
    context: &'a Context,
}

/// The state of this process's own request to delete the load balancer.
#[derive(Clone, Debug, PartialEq)]
enum Deletion {
    /// None was sent, or AWS refused it.
    NotRequested,
    /// One was sent, and its answer was lost.
    Unconfirmed {
        /// The time of the load balancer's creation.
        created_at: Timestamp,
        /// What the deletion rests on.
        evidence: DeletionFields,
    },
    /// One succeeded, and is logged.
    Logged,
}

impl Teardown {
    /// Returns the state without a teardown. `takeover_after` is the least delay before this process deletes what another
    /// process marked.
    pub fn new(process: ProcessId, takeover_after: Duration) -> Self {
        Self { process, takeover_after: process.spread(takeover_after), own_mark: None, current: None }
    }

    /// Returns the time at which this process began or resumed the teardown.
    pub fn begun_at(&self) -> Option<Timestamp> {
        self.current.as_ref().map(|current| current.begun_at)
    }

    /// Returns the mark that this process is about to write, and remembers it: if a later observation shows this mark, this
    /// process deletes first, even if the call's answer was lost.
    pub fn new_mark(&mut self, idle_since: Timestamp) -> String {
        let mark = self.process.mark(idle_since);
        self.own_mark = Some(mark.clone());
        mark
    }

    /// Removes from a plan the deletions that another process makes first.
    pub fn wait_for_turn(&self, observation: &Observation, plan: &mut Plan, policy: &Policy, now: Timestamp) {
        let turn = |tags: Option<&Tags>, grace_ends_at: Timestamp| {
            let mark = tags.and_then(|tags| tags.get(IDLE_SINCE_TAG));
            let is_own = mark.is_some() && mark == self.own_mark.as_ref();
            if is_own { now } else { grace_ends_at + self.takeover_after }
        };
        let next = match &mut plan.lifecycle {
            LifecycleAction::DeleteLoadBalancer { created_at, idle_since, .. } => {
                let tags = observation.load_balancer.as_ref().map(|load_balancer| &load_balancer.tags);
                Some(turn(tags, policy.grace_ends_at(*created_at, *idle_since))).filter(|turn| now < *turn)
            }
            LifecycleAction::DeleteTargetGroups { target_groups } => {
                let turn = |group: &OrphanedTargetGroup| {
                    let mut orphans = observation.orphaned_target_groups.iter();
                    let tags = orphans.find(|orphan| orphan.arn == group.arn).map(|orphan| &orphan.tags);
                    turn(tags, group.idle_since + policy.idle_grace)
                };
                let next = target_groups.iter().map(turn).min();
                target_groups.retain(|group| turn(group) <= now);
                next.filter(|_| target_groups.is_empty())
            }
            LifecycleAction::Keep | LifecycleAction::Mark { .. } | LifecycleAction::Unmark { .. } => None,
        };
        if let Some(next) = next {
            plan.lifecycle = LifecycleAction::Keep;
            plan.requeue_at = next.min(now + policy.resync_interval);
        }
    }

    /// Ends the teardown when an observation finds nothing left of it. For a plan that deletes nothing.
    pub fn conclude(&mut self, observation: &Observation, id: &str, load_balancer: &str, context: &Context) {
        if observation.load_balancer.is_some() {
            // It is in use again, or another one was created.
            self.current = None;
            return;
        }
        self.confirm_deletion(load_balancer, context);
        if observation.orphaned_target_groups.is_empty() && self.current.take().is_some() {
            context.metrics.teardown_completed();
            context.log.emit(&Event::TeardownCompleted {
                load_balancer: load_balancer.to_owned(),
                observation: id.to_owned(),
            });
        }
    }

    /// Logs the beginning of a load balancer's teardown, once however often it is retried.
    fn begin(
        &mut self,
        load_balancer_arn: &str,
        idle_since: Timestamp,
        resumed: bool,
        Starting { load_balancer, observation, context }: Starting<'_>,
    ) -> &mut Current {
        let is_current = |current: &Current| current.load_balancer_arn == load_balancer_arn;
        if !self.current.as_ref().is_some_and(is_current) {
            let idle_since = rfc3339_millis(idle_since);
            let (load_balancer, observation) = (load_balancer.to_owned(), observation.to_owned());
            context.log.emit(&Event::TeardownStarted { load_balancer, idle_since, resumed, observation });
            self.current = None;
        }
        self.current.get_or_insert_with(|| Current {
            load_balancer_arn: load_balancer_arn.to_owned(),
            begun_at: context.clock.now(),
            deletion: Deletion::NotRequested,
        })
    }

    /// Logs the deletion whose answer was lost, once the load balancer is gone.
    fn confirm_deletion(&mut self, load_balancer: &str, context: &Context) {
        if let Some(current) = &mut self.current
            && let Deletion::Unconfirmed { created_at, evidence } = &current.deletion
        {
            let (created_at, evidence) = (*created_at, evidence.clone());
            current.log_deletion(created_at, evidence, load_balancer, context);
        }
    }
}

impl Current {
    /// Logs the load balancer's deletion, once: DescribeLoadBalancers may still show it for a moment.
    fn log_deletion(
        &mut self,
        created_at: Timestamp,
        evidence: DeletionFields,
        load_balancer: &str,
        context: &Context,
    ) {
        if self.deletion == Deletion::Logged {
            return;
        }
        self.deletion = Deletion::Logged;
        context.log.emit(&Event::LoadBalancerDeleted {
            load_balancer: load_balancer.to_owned(),
            load_balancer_arn: self.load_balancer_arn.clone(),
            uptime_seconds: millis_between(created_at, context.clock.now()) / 1000,
            evidence,
        });
    }
}

impl<P: Platform> Writer<'_, P> {
    fn starting(&self) -> Starting<'_> {
        Starting { load_balancer: self.load_balancer, observation: self.basis.id, context: self.context }
    }

    /// Deletes the load balancer and its listeners.
    pub(super) async fn delete_load_balancer(
        &self,
        teardown: &mut Teardown,
        arn: &str,
        created_at: Timestamp,
        idle_since: Timestamp,
    ) -> Applied {
        let Some(_permit) = self.gate.enter().await else { return Applied::default() };
        let current = teardown.begin(arn, idle_since, false, self.starting());
        let evidence = self.basis.of_deletion(idle_since);
        let is_sent = !self.deadline.left().is_zero();
        let error = match self.platform.delete_load_balancer(arn, &self.deadline).await {
            Ok(()) => {
                current.log_deletion(created_at, evidence, self.load_balancer, self.context);
                return Applied { load_balancer_deleted: true, ..Applied::default() };
            }
            Err(error) => error,
        };
        match error.kind {
            ErrorKind::NotFound => Applied::default(),
            ErrorKind::OperationNotPermitted | ErrorKind::ResourceInUse => {
                if let Deletion::Unconfirmed { .. } = current.deletion {
                    current.deletion = Deletion::NotRequested;
                }
                let finding = self.refused(FindingName::DeletionProtected, self.load_balancer, &error);
                Applied { refusals: vec![finding], ..Applied::default() }
            }
            kind => {
                if kind == ErrorKind::Unavailable && is_sent && current.deletion == Deletion::NotRequested {
                    current.deletion = Deletion::Unconfirmed { created_at, evidence };
                }
                Applied::failed(error)
            }
        }
    }

    /// Deletes the target groups of a load balancer that is gone.
    pub(super) async fn delete_target_groups(
        &self,
        teardown: &mut Teardown,
        groups: &[OrphanedTargetGroup],
    ) -> Applied {
        teardown.confirm_deletion(self.load_balancer, self.context);
        let mut applied = Applied::default();
        for group in groups {
            let Some(_permit) = self.gate.enter().await else { break };
            let current = teardown.begin(&group.load_balancer_arn, group.idle_since, true, self.starting());
            let in_use_until = current.begun_at + IN_USE_PASSES_WITHIN;
            match self.platform.delete_target_group(&group.arn, &self.deadline).await {
                Ok(()) => {
                    applied.target_groups_deleted += 1;
                    self.context.log.emit(&Event::TargetGroupDeleted {
                        target_group: group.name.clone(),
                        observation: self.basis.id(),
                    });
                }
                // Another worker has deleted it.
                Err(error) if error.is(ErrorKind::NotFound) => {}
                // AWS counts the listeners for some seconds after the load balancer's deletion.
                Err(error) if error.is(ErrorKind::ResourceInUse) => {
                    if self.context.clock.now() > in_use_until {
                        applied.refusals.push(self.refused(FindingName::TargetGroupInUse, &group.name, &error));
                    }
                }
                Err(error) => applied.merge(Applied::failed(error)),
            }
        }
        applied
    }

    fn refused(&self, name: FindingName, subject: &str, error: &AwsError) -> Finding {
        Finding { name, subject: subject.to_owned(), detail: format!("AWS refuses to delete it: {}", error.message) }
    }
}
