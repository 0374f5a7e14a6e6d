//! The surroundings of an operation: AWS, names, log, clock and shutdown.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::command::LoadBalancerCommand;
use super::progress::Progress;
use crate::aws::{ControllerPlatform, Deadline};
use crate::clock::{Moment, SharedClock};
use crate::controller::context::Context as ControllerContext;
use crate::controller::reconciler::{ECS_LAG, OBSERVATION_VALID_FOR, Reconciler, ReconcilerParts};
use crate::controller::scope::Scope;
use crate::retry::Jitter;
use crate::shutdown::Shutdown;
use crate::telemetry::log::Log;
use jvb_watcher_rules::plan::{OwnerTag, Policy, Teardown, UsagePolicy};

/// The resources and the tools of an operation.
pub struct Context<P> {
    /// AWS.
    pub platform: P,
    /// The cluster and the service.
    pub scope: Scope,
    /// The project's name.
    pub project: String,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The tag without which a load balancer is neither held nor deleted.
    pub owner_tag: OwnerTag,
    /// Whether several bridges behind one UDP listener are right for the service.
    pub allow_several_bridges: bool,
    /// The command that creates or destroys the load balancer.
    pub command: Option<Arc<dyn LoadBalancerCommand>>,
    /// Receives the events of registrations, deletions and holds.
    pub log: Log,
    /// Receives the phases.
    pub progress: Arc<dyn Progress>,
    /// AWS's time.
    pub clock: SharedClock,
    /// Ends the operation early.
    pub shutdown: Shutdown,
    /// The operation's unique id, which its lease carries.
    pub id: String,
    /// The variation of the waits between retries.
    pub jitter: Jitter,
}

/// The two durations that an idle load balancer is kept for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grace {
    /// One that has been used.
    pub(super) idle: Duration,
    /// One that has never been used.
    pub(super) unused: Duration,
}

impl<P> Context<P> {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the deadline of writes that rest on an observation that begins now.
    pub(super) fn deadline(&self) -> Deadline {
        let clock = self.clock.clone();
        Deadline::new(Moment::now(&*clock), OBSERVATION_VALID_FOR, clock)
    }
}

impl<P: ControllerPlatform + Clone> Context<P> {
    /// Returns the watcher's own reconciler for this service, with these rules for teardowns and for its use.
    pub(super) fn reconciler(&self, teardown: Teardown, grace: Grace, usage: UsagePolicy) -> Reconciler<P> {
        let policy = Policy {
            service: self.scope.service.clone(),
            load_balancer: self.load_balancer.clone(),
            owner_tag: self.owner_tag.clone(),
            teardown,
            idle_grace: grace.idle,
            until_paid_hour: false,
            unused_grace: grace.unused,
            resync_interval: super::POLL_INTERVAL,
            allow_several_bridges: self.allow_several_bridges,
            usage,
        };
        let context = ControllerContext::new(self.scope.clone(), self.log.clone(), self.clock.clone());
        // The operator has decided: nothing waits for the worker that has marked the load balancer.
        let takeover_after = Duration::ZERO;
        Reconciler::new(ReconcilerParts {
            takeover_after,
            // `down` has no grace period, which would bridge the lag.
            ecs_lag: ECS_LAG,
            ..ReconcilerParts::new(self.platform.clone(), context, policy)
        })
    }
}
