//! The inputs of every write, and the outcome of a plan's writes.

use crate::aws::{AwsError, Deadline, ErrorKind};
use crate::controller::basis::Basis;
use crate::controller::context::Context;
use crate::controller::gate::Gate;
use crate::controller::message::Hints;
use crate::telemetry::log::Event;
use jvb_watcher_rules::finding::Finding;
use jvb_watcher_rules::model::{Observation, Service, Target, TargetKey, TargetState};

/// Makes the writes of one plan; the modules `registrations`, `marks` and `teardown` have the methods.
pub struct Writer<'a, P> {
    /// AWS.
    pub platform: &'a P,
    /// The log, the metrics and the clock.
    pub context: &'a Context,
    /// The load balancer's name.
    pub load_balancer: &'a str,
    /// The hints that led to the plan, for the latency of registrations.
    pub hints: &'a Hints,
    /// What the writes rest on, for the log.
    pub basis: Basis<'a>,
    /// The gate that every deletion and every stop passes.
    pub gate: &'a Gate,
    /// The end of the observation's validity. The process may have been frozen since, and AWS may be slow.
    pub deadline: Deadline,
}

impl<P> Writer<'_, P> {
    /// Logs a change of tags and returns what it adds to the writes, if it was made.
    pub(super) fn tagged(&self, answer: Result<(), AwsError>, event: Event, done: Applied) -> Applied {
        match answer {
            Ok(()) => {
                self.context.log.emit(&event);
                done
            }
            // The load balancer or a group was deleted meanwhile; the next observation shows what is left.
            Err(error) if error.is(ErrorKind::NotFound) => Applied::default(),
            Err(error) => Applied::failed(error),
        }
    }
}

/// The writes that succeeded, what AWS refused, and the first error.
#[derive(Debug, Default)]
pub struct Applied {
    /// The targets that were registered.
    pub registered: Vec<TargetKey>,
    /// The targets that were deregistered.
    pub deregistered: Vec<TargetKey>,
    /// The number of calls that wrote or removed a mark.
    pub marks: usize,
    /// True if the load balancer was deleted.
    pub load_balancer_deleted: bool,
    /// The number of calls that announced a stop, or withdrew one.
    pub announcements: usize,
    /// True if the service was scaled to zero because it was unused.
    pub scaled_to_zero: bool,
    /// The number of target groups that were deleted.
    pub target_groups_deleted: usize,
    /// Writes that AWS refuses until an operator acts.
    pub refusals: Vec<Finding>,
    /// The first call that failed.
    pub error: Option<AwsError>,
}

impl Applied {
    /// The result of a call that failed.
    pub fn failed(error: AwsError) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// Adds the writes that followed.
    pub fn merge(&mut self, next: Self) {
        self.registered.extend(next.registered);
        self.deregistered.extend(next.deregistered);
        self.marks += next.marks;
        self.load_balancer_deleted |= next.load_balancer_deleted;
        self.announcements += next.announcements;
        self.scaled_to_zero |= next.scaled_to_zero;
        self.target_groups_deleted += next.target_groups_deleted;
        self.refusals.extend(next.refusals);
        self.error = self.error.take().or(next.error);
    }

    /// Returns the number of changes that were made.
    pub fn changes(&self) -> usize {
        let deleted = usize::from(self.load_balancer_deleted) + self.target_groups_deleted;
        let stops = self.announcements + usize::from(self.scaled_to_zero);
        self.registered.len() + self.deregistered.len() + self.marks + deleted + stops
    }

    /// Returns what the observation would show after these writes.
    pub fn after(&self, observation: &Observation) -> Observation {
        let mut after = observation.clone();
        if let (true, Service::Found(counts)) = (self.scaled_to_zero, &mut after.service) {
            counts.desired = 0;
        }
        if self.load_balancer_deleted {
            after.load_balancer = None;
        }
        for group in after.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups) {
            let of_group = |keys: &[TargetKey]| {
                keys.iter().filter(|key| key.target_group_arn == group.arn).cloned().collect::<Vec<_>>()
            };
            let (registered, deregistered) = (of_group(&self.registered), of_group(&self.deregistered));
            let is_among = |keys: &[TargetKey], target: &Target| {
                keys.iter().any(|key| (key.ip, key.port) == (target.ip, target.port))
            };
            group.targets.retain(|target| !is_among(&registered, target) && !is_among(&deregistered, target));
            let initial =
                |key: TargetKey| Target { ip: key.ip, port: key.port, state: TargetState::Initial, reason: None };
            group.targets.extend(registered.into_iter().map(initial));
        }
        after
    }
}
