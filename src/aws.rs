//! The port: what the watcher needs from AWS, as traits. [`client`] is the adapter that speaks to AWS.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use jvb_watcher_rules::model::{
    Counts, LoadBalancerKind, LoadBalancerState, Service, Tags, Target, TargetKey, TargetType, Task, TaskId,
};

pub mod client;
mod deadline;
pub mod event_bus;
pub mod event_source;
#[cfg(test)]
pub mod fake;

pub use deadline::Deadline;

/// No call takes longer, retries included; one that waits for messages takes its wait beside.
pub const LONGEST_CALL: Duration = Duration::from_secs(30);

/// How many requests there have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Those sent, retries included.
    pub sent: u64,
    /// Those of them that AWS answered with a throttling error.
    pub throttled: u64,
}

impl std::ops::Add for Calls {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sent: self.sent + other.sent, throttled: self.throttled + other.throttled }
    }
}

/// What the watcher does with its queue.
pub trait Queue: Send + Sync {
    /// What the queue itself is set to.
    fn settings(&self) -> impl Future<Output = Result<QueueSettings, AwsError>> + Send;

    /// Takes up to ten messages, waiting for the first for so long (whole seconds, twenty at most).
    fn receive(&self, wait: Duration) -> impl Future<Output = Result<Vec<Message>, AwsError>> + Send;

    /// Deletes messages, ten at most; returns those that could not be deleted.
    fn delete(&self, messages: &[Receipt]) -> impl Future<Output = Result<Vec<FailedEntry>, AwsError>> + Send;

    /// Hides messages, ten at most, for so long from now on; returns those for which it failed.
    fn change_visibility(
        &self,
        messages: &[Receipt],
        visibility_timeout: Duration,
    ) -> impl Future<Output = Result<Vec<FailedEntry>, AwsError>> + Send;

    /// The requests so far.
    fn calls(&self) -> Calls;
}

/// What a queue is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a received message stays hidden.
    pub visibility_timeout: Duration,
    /// What becomes of messages that nobody deletes.
    pub redrive: Redrive,
}

impl Default for QueueSettings {
    /// SQS's own default, and the redrive that deletes nothing.
    fn default() -> Self {
        Self { visibility_timeout: Duration::from_secs(30), redrive: Redrive::ToDeadLetterQueue }
    }
}

/// What becomes of messages that nobody deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// They move to a dead-letter queue.
    ToDeadLetterQueue,
    /// They come again until the retention period ends.
    None,
}

/// A received message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What to delete or hide it by.
    pub receipt: Receipt,
    /// Its body.
    pub body: String,
    /// How often it has been received (ApproximateReceiveCount), this time included.
    pub receive_count: u32,
    /// When it was sent to the queue (SentTimestamp).
    pub sent_at: Option<Timestamp>,
}

/// The hold that one receive gives on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id.
    pub message_id: String,
    /// The handle of this receive.
    pub handle: String,
}

/// One message for which a batch call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEntry {
    /// The message.
    pub receipt: Receipt,
    /// SQS's error code for it.
    pub code: String,
    /// SQS's message for it.
    pub message: String,
}

/// What the watcher reads and writes in ECS and Elastic Load Balancing.
///
/// Reads are paginated and batched to the APIs' limits by the adapter. A write with a [`Deadline`] is neither sent nor
/// waited for after it, and its retries neither.
pub trait Platform: Send + Sync {
    /// The service and its counts.
    fn service(&self, cluster: &str, service: &str) -> impl Future<Output = Result<Service, AwsError>> + Send;

    /// The ids of the service's tasks: those that are wanted, and those that stopped within the last hour or so.
    /// Tasks of others may be among them.
    fn list_tasks(&self, cluster: &str, service: &str) -> impl Future<Output = Result<Vec<TaskId>, AwsError>> + Send;

    /// The tasks of these ids; what no longer exists is left out.
    fn describe_tasks(
        &self,
        cluster: &str,
        tasks: &[TaskId],
    ) -> impl Future<Output = Result<Vec<Task>, AwsError>> + Send;

    /// The load balancer of that name, if there is one.
    fn load_balancer(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<LoadBalancerDescription>, AwsError>> + Send;

    /// The target groups behind a load balancer, or, without one, all of the account's in the region.
    fn target_groups(
        &self,
        load_balancer_arn: Option<&str>,
    ) -> impl Future<Output = Result<Vec<TargetGroupDescription>, AwsError>> + Send;

    /// The tags of load balancers and target groups, by ARN; what is gone is left out.
    fn tags(&self, arns: &[String]) -> impl Future<Output = Result<BTreeMap<String, Tags>, AwsError>> + Send;

    /// The health of a group's targets.
    fn target_health(&self, target_group_arn: &str) -> impl Future<Output = Result<Vec<Target>, AwsError>> + Send;

    /// How many of a group's targets are healthy, of whatever type they are.
    fn healthy_targets(&self, target_group_arn: &str) -> impl Future<Output = Result<usize, AwsError>> + Send;

    /// Registers targets in a group, [`TARGETS_PER_CALL`] at most. Without a deadline: while AWS is slow a late
    /// registration still lets calls come, and the next look takes back what was wrong.
    fn register(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Deregisters targets from a group, [`TARGETS_PER_CALL`] at most.
    fn deregister(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Writes tags on several resources.
    fn add_tags(
        &self,
        arns: &[String],
        tags: &Tags,
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Removes tags from several resources.
    fn remove_tags(
        &self,
        arns: &[String],
        keys: &[&str],
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Deletes a load balancer and its listeners, in a single attempt.
    fn delete_load_balancer(&self, arn: &str, deadline: &Deadline)
    -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Deletes a target group.
    fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// The requests so far.
    fn calls(&self) -> Calls;
}

/// What `up` and `down` do with the ECS service, beside what the watcher does. The watcher never scales.
pub trait Scaling: Send + Sync {
    /// The service, if it exists and isn't being deleted.
    fn scalable(
        &self,
        cluster: &str,
        service: &str,
    ) -> impl Future<Output = Result<Option<ScalableService>, AwsError>> + Send;

    /// Sets the service's desired count.
    fn scale(
        &self,
        cluster: &str,
        service: &str,
        desired: i32,
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Writes tags on the service of that ARN.
    fn tag_service(
        &self,
        arn: &str,
        tags: &Tags,
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Removes tags from the service of that ARN.
    fn untag_service(&self, arn: &str, keys: &[&str]) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// An ECS service that can be scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalableService {
    /// Its ARN.
    pub arn: String,
    /// Its counts.
    pub counts: Counts,
    /// Its tags.
    pub tags: Tags,
}

/// A load balancer, as DescribeLoadBalancers shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancerDescription {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: LoadBalancerKind,
    /// Its state.
    pub state: LoadBalancerState,
    /// When it was created.
    pub created_at: Timestamp,
    /// The name by which clients find it.
    pub dns_name: Option<String>,
}

/// A target group, as DescribeTargetGroups shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroupDescription {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// What it takes as targets.
    pub target_type: TargetType,
    /// The load balancers that it is behind.
    pub load_balancer_arns: Vec<String>,
}

/// RegisterTargets and DeregisterTargets take many targets a call; 200 is what the Kubernetes AWS Load Balancer
/// Controller sends.
pub const TARGETS_PER_CALL: usize = 200;

/// What kind of failure a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource doesn't exist (any more).
    NotFound,
    /// A target group is still referred to (ResourceInUse).
    ResourceInUse,
    /// A load balancer is protected against deletion (OperationNotPermitted).
    OperationNotPermitted,
    /// A target group is full (TooManyTargets).
    TooManyTargets,
    /// A target isn't registered, or can't be (InvalidTarget).
    InvalidTarget,
    /// Too many requests.
    Throttled,
    /// 5xx, a time-out, or no connection.
    Unavailable,
    /// The credentials don't allow it.
    AccessDenied,
    /// There are no credentials any more, or they have expired.
    Unauthenticated,
    /// AWS found the request wrong.
    Rejected,
}

/// A failed call: what failed, on which resource, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service}:{operation} on {resource} failed: {message}")]
pub struct AwsError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// The service, by its prefix in IAM policies (`sqs`, `ecs`, `elasticloadbalancing`).
    pub service: &'static str,
    /// The operation; with the service, the name of the IAM action that it takes.
    pub operation: &'static str,
    /// The resource that it was about, by name or ARN.
    pub resource: String,
    /// AWS's error code, if AWS answered.
    pub code: Option<Box<str>>,
    /// AWS's message, or why there was no answer.
    pub message: String,
    /// AWS's id of the request, if AWS answered.
    pub request_id: Option<Box<str>>,
}

impl AwsError {
    /// What failed, and, where only a person can mend it, how.
    pub fn with_remedy(&self) -> String {
        match self.kind {
            ErrorKind::AccessDenied => format!("{self}; allow the action {}:{} on it", self.service, self.operation),
            ErrorKind::Unauthenticated => format!("{self}; renew the credentials (aws sso login), or mend --profile"),
            _ => self.to_string(),
        }
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind
    }
}
