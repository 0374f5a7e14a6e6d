//! The port to ECS and Elastic Load Balancing, as the controller uses them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;

use jiff::Timestamp;
use jvb_watcher_rules::model::{
    Deployment, LoadBalancerAddresses, LoadBalancerKind, LoadBalancerState, PinnedAddress, Protocol, SchedulerMessage,
    Service, Tags, Target, TargetKey, TargetType, Task, TaskId,
};

use super::{AwsError, Calls, Deadline};

/// The most targets in one call of RegisterTargets or DeregisterTargets. The API reference states no limit; the
/// Kubernetes AWS Load Balancer Controller sends 200.
pub const TARGETS_PER_CALL: usize = 200;

/// Reads and writes the service's tasks, the load balancer and its target groups.
///
/// The adapter paginates reads and splits them to the APIs' limits. A write with a [`Deadline`] is neither sent nor
/// awaited nor retried after it.
pub trait Platform: Send + Sync {
    /// Waits until the account's API quotas leave room for another observation. An adapter for one service has no need
    /// to wait.
    fn ready(&self, _: Urgency) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Describes the service, with its tags if asked for.
    fn service(
        &self,
        cluster: &str,
        service: &str,
        with_tags: bool,
    ) -> impl Future<Output = Result<ServiceDescription, AwsError>> + Send;

    /// Lists the ids of the service's tasks: those with desiredStatus RUNNING, and those that stopped within about the
    /// last hour. The list may contain tasks of other services.
    fn list_tasks(&self, cluster: &str, service: &str) -> impl Future<Output = Result<Vec<TaskId>, AwsError>> + Send;

    /// Describes the tasks with these ids. Tasks that no longer exist are left out.
    fn describe_tasks(
        &self,
        cluster: &str,
        tasks: &[TaskId],
    ) -> impl Future<Output = Result<Vec<Task>, AwsError>> + Send;

    /// Reads the addresses for media that a task definition pins. A value that comes from elsewhere, or that the
    /// container sets at its start, pins none.
    fn pinned_addresses(
        &self,
        task_definition_arn: &str,
    ) -> impl Future<Output = Result<Vec<PinnedAddress>, AwsError>> + Send;

    /// Resolves a load balancer's DNS name; returns no address if there is no answer. This is no call to AWS's APIs.
    fn resolve(&self, dns_name: &str) -> impl Future<Output = Vec<IpAddr>> + Send;

    /// Describes the load balancer of that name; `None` if there is none.
    fn load_balancer(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<LoadBalancerDescription>, AwsError>> + Send;

    /// Describes the target groups behind a load balancer, or, without an ARN, all of the account's in the region.
    fn target_groups(
        &self,
        load_balancer_arn: Option<&str>,
    ) -> impl Future<Output = Result<Vec<TargetGroupDescription>, AwsError>> + Send;

    /// Reads the tags of load balancers and target groups, by ARN. Resources that no longer exist are left out.
    fn tags(&self, arns: &[String]) -> impl Future<Output = Result<BTreeMap<String, Tags>, AwsError>> + Send;

    /// Reads the targets of a group of type `ip`, with their health.
    fn target_health(&self, target_group_arn: &str) -> impl Future<Output = Result<Vec<Target>, AwsError>> + Send;

    /// Counts the healthy targets of a group of any type.
    fn healthy_targets(&self, target_group_arn: &str) -> impl Future<Output = Result<usize, AwsError>> + Send;

    /// Registers at most [`TARGETS_PER_CALL`] targets. Without a deadline, a late registration still lets calls in while
    /// AWS is slow, and the next reconciliation reverts one that is wrong.
    fn register(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: Option<&Deadline>,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Deregisters at most [`TARGETS_PER_CALL`] targets.
    fn deregister(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Writes tags on several load balancers and target groups.
    fn add_tags(
        &self,
        arns: &[String],
        tags: &Tags,
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Removes tags from several load balancers and target groups.
    fn remove_tags(
        &self,
        arns: &[String],
        keys: &[&str],
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Deletes a load balancer with its listeners, in a single attempt.
    fn delete_load_balancer(&self, arn: &str, deadline: &Deadline)
    -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Deletes a target group.
    fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Returns the requests sent so far. A platform that several services share counts the requests for all of them: a
    /// request for one resource of each belongs to no single one. So its counts are to be reported once for the process.
    fn calls(&self) -> Calls;
}

/// How soon an observation is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// An event has announced a change, or a load balancer is idle and to be deleted.
    Urgent,
    /// The time for a reconciliation has come.
    Resync,
}

/// A service, as DescribeServices returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceDescription {
    /// The service's state and its task counts.
    pub service: Service,
    /// The primary deployment.
    pub deployment: Option<Deployment>,
    /// The latest message of the scheduler.
    pub message: Option<SchedulerMessage>,
    /// The tags, if they were asked for.
    pub tags: Tags,
}

impl ServiceDescription {
    /// The description of a service that doesn't exist.
    pub fn missing() -> Self {
        Self { service: Service::Missing, deployment: None, message: None, tags: Tags::new() }
    }
}

/// A load balancer, as DescribeLoadBalancers returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancerDescription {
    /// The ARN.
    pub arn: String,
    /// The name.
    pub name: String,
    /// The type.
    pub kind: LoadBalancerKind,
    /// The state.
    pub state: LoadBalancerState,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The DNS name that clients resolve.
    pub dns_name: Option<String>,
    /// The number of zones, in each of which a network load balancer has one address of each family.
    pub zones: usize,
    /// The addresses that the description shows: Elastic IP addresses, and others that were chosen. It doesn't show those
    /// that AWS assigned.
    pub addresses: LoadBalancerAddresses,
}

/// A target group, as DescribeTargetGroups returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroupDescription {
    /// The ARN.
    pub arn: String,
    /// The name.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The type of its targets.
    pub target_type: TargetType,
    /// The ARNs of the load balancers that route to it.
    pub load_balancer_arns: Vec<String>,
}
