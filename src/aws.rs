//! The port to AWS: one trait for each part of AWS that the product depends on, free of any SDK type.
//!
//! - [`Platform`]: the ECS service and its tasks, the load balancer and its target groups.
//! - [`Queue`]: the SQS queue that delivers the events.
//! - [`Scaling`]: the ECS service's desired count, and the lease on it.
//! - [`usage::Usage`]: the use of the load balancer, from CloudWatch.
//! - [`event_source::EventSource`]: the queue's attributes and the rule that fills it.
//! - [`directory::ServiceDirectory`]: the services of clusters and their tags.
//! - [`diagnostics::Diagnostics`]: the reads and permission probes that only `doctor` makes.
//! - [`event_bus::EventBus`]: the bus that the product publishes its own events on.
//!
//! [`answers::Answers`] remembers what a command has asked. [`client`] is the adapter: it implements the traits with the AWS SDK.

use std::time::Duration;

pub mod answers;
pub mod client;
mod deadline;
pub mod diagnostics;
pub mod directory;
mod error;
pub mod event_bus;
pub mod event_source;
#[cfg(test)]
pub mod fake;
pub mod operation;
mod platform;
mod queue;
mod scaling;
pub mod usage;

pub use deadline::Deadline;
pub use error::{AwsError, ErrorKind};
pub use platform::{
    LoadBalancerDescription, Platform, ServiceDescription, TARGETS_PER_CALL, TargetGroupDescription, Urgency,
};
pub use queue::{FailedEntry, Message, Queue, QueueSettings, Receipt, Redrive};
pub use scaling::{ScalableService, Scaling};

/// The ports that a controller works with.
pub trait ControllerPlatform: Platform + Scaling + usage::Usage {}

impl<P: Platform + Scaling + usage::Usage> ControllerPlatform for P {}

/// The time limit of a call, with its retries. A call that polls for messages takes its wait time in addition.
pub const LONGEST_CALL: Duration = Duration::from_secs(30);

/// Counts of the requests sent to AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests sent, retries included.
    pub sent: u64,
    /// Requests that AWS answered with a throttling error.
    pub throttled: u64,
}

impl std::ops::Add for Calls {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sent: self.sent + other.sent, throttled: self.throttled + other.throttled }
    }
}
