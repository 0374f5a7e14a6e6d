//! Scales an unused service to zero: announces it, withdraws the announcement, or does it.
//!
//! The announcement is a tag on the load balancer, so that it survives a restart and every worker sees it. As with the mark
//! of an idle load balancer, it names the process that wrote it, which acts first. The write goes through the lease by
//! which the later of two operations wins, so that it can't cross an `up`.

use std::time::Duration;

use jiff::Timestamp;

use crate::aws::{AwsError, Platform, ScalableService, Scaling};
use crate::controller::scope::Scope;
use crate::controller::teardown::ProcessId;
use crate::controller::writes::{Applied, Writer};
use crate::telemetry::log::{Event, rfc3339_millis};
use jvb_watcher_rules::lease::{Lease, LeaseHolder, LeaseState};
use jvb_watcher_rules::model::{OPERATION_TAG, Observation, STOP_AT_TAG, Tags};
use jvb_watcher_rules::plan::{Plan, StopAction};

/// The stop as far as this process carries it out. What must survive a restart is in the tags.
#[derive(Debug)]
pub struct Stop {
    process: ProcessId,
    takeover_after: Duration,
    /// The announcement that this process wrote last.
    own_announcement: Option<String>,
}

impl Stop {
    /// Returns the state without an announcement. `takeover_after` is the least delay before this process stops a service
    /// that another process announced to stop.
    pub fn new(process: ProcessId, takeover_after: Duration) -> Self {
        Self { process, takeover_after: process.spread(takeover_after), own_announcement: None }
    }

    /// Removes from a plan the stop that another process makes first.
    pub fn wait_for_turn(&self, observation: &Observation, plan: &mut Plan, now: Timestamp) {
        let StopAction::ScaleToZero { stop_at, .. } = plan.stop else { return };
        let tags = observation.load_balancer.as_ref().map(|load_balancer| &load_balancer.tags);
        let is_own = tags.and_then(|tags| tags.get(STOP_AT_TAG)) == self.own_announcement.as_ref();
        let turn = if is_own { stop_at } else { stop_at + self.takeover_after };
        if now < turn {
            plan.stop = StopAction::None;
            plan.requeue_at = plan.requeue_at.min(turn);
        }
    }

    /// Returns the id in the leases of this process.
    fn lease_id(&self) -> String {
        format!("worker-{:06}", self.process.number())
    }

    fn new_announcement(&mut self, stop_at: Timestamp) -> String {
        let announcement = self.process.mark(stop_at);
        self.own_announcement = Some(announcement.clone());
        announcement
    }
}

/// Returns whether the service has this lease. Leases are compared as they are written, to the millisecond.
fn is_held(service: &ScalableService, lease: &Lease) -> bool {
    service.tags.get(OPERATION_TAG) == Some(&lease.to_string())
}

impl<P: Platform + Scaling> Writer<'_, P> {
    /// Carries out what the plan has for an unused service.
    pub(super) async fn stop(&self, action: &StopAction, stop: &mut Stop) -> Applied {
        match action {
            StopAction::None => Applied::default(),
            StopAction::Announce { load_balancer_arn, stop_at, unused_since } => {
                let tags = Tags::from([(STOP_AT_TAG.to_owned(), stop.new_announcement(*stop_at))]);
                let answer = self.platform.add_tags(std::slice::from_ref(load_balancer_arn), &tags, &self.deadline);
                let (stop_at, unused_since) = (rfc3339_millis(*stop_at), rfc3339_millis(*unused_since));
                let event = Event::StopAnnounced { stop_at, unused_since, observation: self.basis.id() };
                self.tagged(answer.await, event, Applied { announcements: 1, ..Applied::default() })
            }
            StopAction::Withdraw { load_balancer_arn, reason } => {
                let resources = std::slice::from_ref(load_balancer_arn);
                let answer = self.platform.remove_tags(resources, &[STOP_AT_TAG], &self.deadline);
                let event = Event::StopWithdrawn { reason: *reason, observation: self.basis.id() };
                self.tagged(answer.await, event, Applied { announcements: 1, ..Applied::default() })
            }
            StopAction::ScaleToZero { unused_since, .. } => match self.scale_to_zero(stop, *unused_since).await {
                Ok(changed) => Applied { scaled_to_zero: changed, ..Applied::default() },
                Err(error) => Applied::failed(error),
            },
        }
    }

    /// Takes the lease, sets the desired count to zero, and releases the lease; returns whether it did.
    async fn scale_to_zero(&self, stop: &Stop, unused_since: Timestamp) -> Result<bool, AwsError> {
        let Scope { cluster, service } = &self.context.scope;
        let now = self.context.clock.now();
        let Some(found) = self.platform.scalable(cluster, service).await? else { return Ok(false) };
        if found.counts.desired == 0 || Lease::of(&found.tags).is_some_and(|lease| lease.is_running(now)) {
            return Ok(false);
        }
        let lease = Lease { holder: LeaseHolder::Stop, begun_at: now, id: stop.lease_id(), state: LeaseState::Active };
        let tags = Tags::from([(OPERATION_TAG.to_owned(), lease.to_string())]);
        let leased = self.platform.tag_service(&found.arn, &tags, &self.deadline).await;
        let stopped = match leased {
            Ok(()) => self.scale_to_zero_with(&lease, unused_since).await,
            Err(error) => Err(error),
        };
        // Also if the answer to the lease was lost. A lease that stays, e.g. because this process was killed, can have replaced
        // that of an `up`: the next stop comes a window later.
        let released = self.release(&lease).await;
        let stopped = stopped?;
        released.map(|()| stopped)
    }

    /// Sets the desired count to zero if this lease is still the latest.
    async fn scale_to_zero_with(&self, lease: &Lease, unused_since: Timestamp) -> Result<bool, AwsError> {
        let Scope { cluster, service } = &self.context.scope;
        let Some(found) = self.platform.scalable(cluster, service).await? else { return Ok(false) };
        if !is_held(&found, lease) || found.counts.desired == 0 {
            return Ok(false);
        }
        let Some(_permit) = self.gate.enter().await else { return Ok(false) };
        self.platform.scale(cluster, service, 0, &self.deadline).await?;
        self.context.metrics.stopped_for_disuse();
        self.context.log.emit(&Event::ServiceStopped {
            desired_before: found.counts.desired,
            unused_since: rfc3339_millis(unused_since),
            held: self.basis.is_held(),
            first_observation: self.basis.first_id(),
            observation: self.basis.id(),
        });
        Ok(true)
    }

    /// Releases the lease, within the time in which the stop's other writes can take effect: later, it could remove that of an
    /// `up` which has begun since.
    async fn release(&self, lease: &Lease) -> Result<(), AwsError> {
        let Scope { cluster, service } = &self.context.scope;
        let Some(found) = self.platform.scalable(cluster, service).await? else { return Ok(()) };
        if !is_held(&found, lease) {
            return Ok(());
        }
        self.platform.untag_service(&found.arn, &[OPERATION_TAG], &self.deadline).await
    }
}
