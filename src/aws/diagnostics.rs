//! The port to the reads and permission probes that only `doctor` makes.

use std::future::Future;

use super::AwsError;
use super::operation::ApiOperation;

/// Reads what no other command needs, and probes permissions without effect.
pub trait Diagnostics: Send + Sync {
    /// Returns the identity of the credentials.
    fn caller(&self) -> impl Future<Output = Result<Caller, AwsError>> + Send;

    /// Lists the targets of the rule of that name on the default bus.
    fn rule_targets(&self, rule: &str) -> impl Future<Output = Result<Vec<RuleTarget>, AwsError>> + Send;

    /// Returns the network mode of the service's tasks; `None` if there is no such service.
    fn task_network(
        &self,
        cluster: &str,
        service: &str,
    ) -> impl Future<Output = Result<Option<TaskNetwork>, AwsError>> + Send;

    /// Returns a load balancer's deletion protection.
    fn deletion_protection(
        &self,
        load_balancer_arn: &str,
    ) -> impl Future<Output = Result<DeletionProtection, AwsError>> + Send;

    /// Makes one of the worker's calls on a resource that doesn't exist, so that it has no effect. Any answer but a
    /// denial shows that the call is allowed.
    fn probe(&self, probe: &PermissionProbe) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// The identity of the credentials (GetCallerIdentity).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The ARN of the user or of the assumed role's session.
    pub arn: String,
    /// The account id.
    pub account: String,
}

/// A target of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTarget {
    /// The target's ARN.
    pub arn: String,
    /// The input that the rule sends to it.
    pub input: TargetInput,
}

/// The input that a rule sends to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetInput {
    /// The matched event, unchanged.
    MatchedEvent,
    /// The output of Input, InputPath or an InputTransformer.
    Transformed,
}

/// The network mode of a service's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskNetwork {
    /// `awsvpc`: each task has a network interface with an address of its own.
    Awsvpc,
    /// Any other: the tasks share the container instance's interface and can't be registered by address.
    Other,
}

/// A load balancer's deletion protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionProtection {
    /// AWS refuses to delete the load balancer.
    On,
    /// The load balancer can be deleted.
    Off,
}

/// One of the worker's calls, on a resource that doesn't exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PermissionProbe {
    /// Deletes a message by an invalid receipt handle.
    DeleteMessage {
        /// The queue's URL.
        queue_url: String,
    },
    /// Changes the visibility of a message by an invalid receipt handle.
    ChangeMessageVisibility {
        /// The queue's URL.
        queue_url: String,
    },
    /// Lists the service's tasks.
    ListTasks {
        /// The cluster, by name or ARN.
        cluster: String,
        /// The service's name.
        service: String,
    },
    /// Describes a task with an id that no task has.
    DescribeTasks {
        /// The cluster, by name or ARN.
        cluster: String,
    },
    /// Describes a task definition that doesn't exist.
    DescribeTaskDefinition,
    /// Describes a load balancer.
    DescribeLoadBalancers {
        /// The load balancer's name.
        name: String,
    },
    /// Describes all target groups.
    DescribeTargetGroups,
    /// Reads the health of a target group that doesn't exist.
    DescribeTargetHealth {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Reads the tags of a target group that doesn't exist.
    DescribeTags {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Registers a target in a target group that doesn't exist.
    RegisterTargets {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Deregisters a target from a target group that doesn't exist.
    DeregisterTargets {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Reads the flows over a load balancer that doesn't exist.
    GetMetricData,
}

impl PermissionProbe {
    /// Returns the operation that the probe calls.
    pub fn operation(&self) -> ApiOperation {
        match self {
            Self::DeleteMessage { .. } => ApiOperation::DeleteMessage,
            Self::ChangeMessageVisibility { .. } => ApiOperation::ChangeMessageVisibility,
            Self::GetMetricData => ApiOperation::GetMetricData,
            Self::ListTasks { .. } => ApiOperation::ListTasks,
            Self::DescribeTasks { .. } => ApiOperation::DescribeTasks,
            Self::DescribeTaskDefinition => ApiOperation::DescribeTaskDefinition,
            Self::DescribeLoadBalancers { .. } => ApiOperation::DescribeLoadBalancers,
            Self::DescribeTargetGroups => ApiOperation::DescribeTargetGroups,
            Self::DescribeTargetHealth { .. } => ApiOperation::DescribeTargetHealth,
            Self::DescribeTags { .. } => ApiOperation::DescribeTags,
            Self::RegisterTargets { .. } => ApiOperation::RegisterTargets,
            Self::DeregisterTargets { .. } => ApiOperation::DeregisterTargets,
        }
    }
}
