//! The port to the event source: the queue's attributes, and the EventBridge rule that fills the queue. Read only.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use super::AwsError;

/// Reads the queue and the rules that have it as a target.
pub trait EventSource: Send + Sync {
    /// Describes the queue of that name or at that URL; `None` if there is none.
    fn queue(&self, name_or_url: &str) -> impl Future<Output = Result<Option<QueueDescription>, AwsError>> + Send;

    /// Lists the names of the default bus's rules with this ARN among their targets, disabled ones included.
    fn rules_with_target(&self, arn: &str) -> impl Future<Output = Result<Vec<String>, AwsError>> + Send;

    /// Describes the rule of that name on the default bus; `None` if there is none.
    fn rule(&self, name: &str) -> impl Future<Output = Result<Option<Rule>, AwsError>> + Send;

    /// Returns true if an event pattern matches an event (TestEventPattern).
    fn matches(&self, pattern: &str, event: &str) -> impl Future<Output = Result<bool, AwsError>> + Send;
}

/// A queue, as GetQueueAttributes returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDescription {
    /// The URL.
    pub url: String,
    /// The ARN.
    pub arn: String,
    /// The number of messages that can be received (ApproximateNumberOfMessages).
    pub waiting: u64,
    /// The number of messages received and not yet deleted (ApproximateNumberOfMessagesNotVisible).
    pub in_flight: u64,
    /// The number of messages that are delayed (ApproximateNumberOfMessagesDelayed).
    pub delayed: u64,
    /// The time after which SQS deletes a message (MessageRetentionPeriod).
    pub retention: Duration,
    /// The time of the queue's creation.
    pub created_at: Timestamp,
    /// The redrive policy, if the queue has one.
    pub redrive_policy: Option<RedrivePolicy>,
    /// The access policy, as text.
    pub policy: Option<String>,
}

impl QueueDescription {
    /// Returns the queue's name: the end of its ARN.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or(&self.arn)
    }

    /// Returns the number of all messages on the queue.
    pub fn depth(&self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}

/// A queue's redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The ARN of the dead-letter queue.
    pub dead_letter_queue_arn: String,
    /// The number of receives after which SQS moves a message there.
    pub max_receive_count: u64,
}

impl RedrivePolicy {
    /// Returns the dead-letter queue's name.
    pub fn dead_letter_queue_name(&self) -> &str {
        self.dead_letter_queue_arn.rsplit(':').next().unwrap_or(&self.dead_letter_queue_arn)
    }
}

/// An EventBridge rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// The state.
    pub state: RuleState,
    /// The event pattern; a scheduled rule has none.
    pub pattern: Option<String>,
}

/// The state of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// The rule sends matching events to its targets.
    Enabled,
    /// The rule sends nothing.
    Disabled,
}
