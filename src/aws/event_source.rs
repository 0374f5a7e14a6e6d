//! The port to what leads the events to the watcher, and to what else a person asks about it: read, never changed.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use super::AwsError;

/// What is read of the way from ECS to the watcher: rule, queue, service, credentials.
pub trait EventSource: Send + Sync {
    /// Whose the credentials are.
    fn caller(&self) -> impl Future<Output = Result<Caller, AwsError>> + Send;

    /// The queue of that name, or at that URL, if there is one.
    fn queue(&self, name_or_url: &str) -> impl Future<Output = Result<Option<QueueDescription>, AwsError>> + Send;

    /// The names of the default bus's rules that have this ARN among their targets, disabled ones included.
    fn rules_with_target(&self, arn: &str) -> impl Future<Output = Result<Vec<String>, AwsError>> + Send;

    /// The rule of that name on the default bus, if there is one.
    fn rule(&self, name: &str) -> impl Future<Output = Result<Option<Rule>, AwsError>> + Send;

    /// Where the rule sends what it matches.
    fn rule_targets(&self, name: &str) -> impl Future<Output = Result<Vec<RuleTarget>, AwsError>> + Send;

    /// Whether an event pattern matches an event (TestEventPattern).
    fn matches(&self, pattern: &str, event: &str) -> impl Future<Output = Result<bool, AwsError>> + Send;

    /// How the service's tasks are connected, if the service is there.
    fn task_network(
        &self,
        cluster: &str,
        service: &str,
    ) -> impl Future<Output = Result<Option<TaskNetwork>, AwsError>> + Send;

    /// Whether a load balancer is protected against deletion.
    fn deletion_protection(
        &self,
        load_balancer_arn: &str,
    ) -> impl Future<Output = Result<DeletionProtection, AwsError>> + Send;

    /// Makes a call that `run` makes, on something that isn't there, so that it has no effect: whatever AWS answers but
    /// a denial shows that it is allowed.
    fn attempt(&self, trial: &Trial) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// Whose the credentials are (GetCallerIdentity).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The ARN of the user or of the role's session.
    pub arn: String,
    /// The account.
    pub account: String,
}

/// A queue, as GetQueueAttributes shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDescription {
    /// Its URL.
    pub url: String,
    /// Its ARN.
    pub arn: String,
    /// ApproximateNumberOfMessages: those that wait to be received.
    pub waiting: u64,
    /// ApproximateNumberOfMessagesNotVisible: those received and not deleted yet.
    pub in_flight: u64,
    /// ApproximateNumberOfMessagesDelayed.
    pub delayed: u64,
    /// How long messages are kept.
    pub retention: Duration,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where messages go that were received too often, if anywhere.
    pub dead_letters: Option<DeadLetters>,
    /// Its access policy, as text.
    pub policy: Option<String>,
}

impl QueueDescription {
    /// The name at the end of its ARN.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or(&self.arn)
    }

    /// All that is on it.
    pub fn depth(&self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}

/// A redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// The ARN of the dead-letter queue.
    pub queue_arn: String,
    /// After how many receives a message moves there.
    pub max_receives: u64,
}

impl DeadLetters {
    /// The dead-letter queue's name.
    pub fn queue_name(&self) -> &str {
        self.queue_arn.rsplit(':').next().unwrap_or(&self.queue_arn)
    }
}

/// A rule of EventBridge's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it sends anything.
    pub state: RuleState,
    /// Which events it sends on; a schedule has none.
    pub pattern: Option<String>,
}

/// Whether a rule sends anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// It does.
    Enabled,
    /// It doesn't.
    Disabled,
}

/// Where a rule sends what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTarget {
    /// The target's ARN.
    pub arn: String,
    /// What it sends.
    pub sends: Sends,
}

/// What a rule sends to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// The event as it is.
    WholeEvents,
    /// What Input, InputPath or an InputTransformer makes of it.
    SomethingElse,
}

/// How a service's tasks are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskNetwork {
    /// Each has a network interface, and so an address, of its own.
    Awsvpc,
    /// They share the container instance's, so nothing of theirs can be registered by address.
    Other,
}

/// Whether a load balancer is protected against deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionProtection {
    /// AWS refuses to delete it.
    On,
    /// It can be deleted.
    Off,
}

/// A call that `run` makes, made on something that isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Deletes a message by a receipt handle that is none.
    DeleteMessage {
        /// The queue's URL.
        queue_url: String,
    },
    /// Hides a message by a receipt handle that is none.
    ChangeMessageVisibility {
        /// The queue's URL.
        queue_url: String,
    },
    /// Asks for the service's tasks.
    ListTasks {
        /// The cluster, by name or ARN.
        cluster: String,
        /// The service's name.
        service: String,
    },
    /// Asks for a task whose id nothing has.
    DescribeTasks {
        /// The cluster, by name or ARN.
        cluster: String,
    },
    /// Asks for a load balancer.
    DescribeLoadBalancers {
        /// Its name.
        name: String,
    },
    /// Asks for all target groups.
    DescribeTargetGroups,
    /// Asks for the health of a group that isn't there.
    DescribeTargetHealth {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Asks for the tags of a group that isn't there.
    DescribeTags {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Registers a target in a group that isn't there.
    RegisterTargets {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
    /// Deregisters a target from a group that isn't there.
    DeregisterTargets {
        /// The ARN that such a group would have.
        target_group_arn: String,
    },
}

impl Trial {
    /// The IAM action that it takes.
    pub fn action(&self) -> &'static str {
        match self {
            Self::DeleteMessage { .. } => "sqs:DeleteMessage",
            Self::ChangeMessageVisibility { .. } => "sqs:ChangeMessageVisibility",
            Self::ListTasks { .. } => "ecs:ListTasks",
            Self::DescribeTasks { .. } => "ecs:DescribeTasks",
            Self::DescribeLoadBalancers { .. } => "elasticloadbalancing:DescribeLoadBalancers",
            Self::DescribeTargetGroups => "elasticloadbalancing:DescribeTargetGroups",
            Self::DescribeTargetHealth { .. } => "elasticloadbalancing:DescribeTargetHealth",
            Self::DescribeTags { .. } => "elasticloadbalancing:DescribeTags",
            Self::RegisterTargets { .. } => "elasticloadbalancing:RegisterTargets",
            Self::DeregisterTargets { .. } => "elasticloadbalancing:DeregisterTargets",
        }
    }
}
