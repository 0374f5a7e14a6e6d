//! The port to the SQS queue that delivers the service's events.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use super::{AwsError, Calls};

/// Receives, deletes and delays the messages of one queue.
pub trait Queue: Send + Sync {
    /// Reads the queue's visibility timeout and redrive policy.
    fn settings(&self) -> impl Future<Output = Result<QueueSettings, AwsError>> + Send;

    /// Receives at most ten messages. Waits for the first one, whole seconds and at most twenty (long polling).
    fn receive(&self, wait: Duration) -> impl Future<Output = Result<Vec<Message>, AwsError>> + Send;

    /// Deletes at most ten messages, and returns those that SQS did not delete.
    fn delete(&self, messages: &[Receipt]) -> impl Future<Output = Result<Vec<FailedEntry>, AwsError>> + Send;

    /// Sets the visibility timeout of at most ten messages, counted from now, and returns those for which it failed.
    fn change_visibility(
        &self,
        messages: &[Receipt],
        visibility_timeout: Duration,
    ) -> impl Future<Output = Result<Vec<FailedEntry>, AwsError>> + Send;

    /// Returns the requests sent so far.
    fn calls(&self) -> Calls;
}

/// The attributes of a queue that the worker depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The time for which a received message is invisible to other receivers.
    pub visibility_timeout: Duration,
    /// The queue's redrive policy.
    pub redrive: Redrive,
}

impl Default for QueueSettings {
    /// Returns SQS's default timeout and a redrive policy, with which the worker deletes no message that it can't parse.
    fn default() -> Self {
        Self { visibility_timeout: Duration::from_secs(30), redrive: Redrive::ToDeadLetterQueue }
    }
}

/// The destination of messages that were received too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// SQS moves them to a dead-letter queue.
    ToDeadLetterQueue,
    /// SQS delivers them again until the retention period ends.
    None,
}

/// A received message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The handle for deleting the message or changing its visibility.
    pub receipt: Receipt,
    /// The body.
    pub body: String,
    /// The number of receives so far, this one included (ApproximateReceiveCount).
    pub receive_count: u32,
    /// The time at which it was sent to the queue (SentTimestamp).
    pub sent_at: Option<Timestamp>,
}

/// The identity of one receive of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id.
    pub message_id: String,
    /// The receipt handle, which differs with each receive.
    pub handle: String,
}

/// A message for which a batch call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEntry {
    /// The message.
    pub receipt: Receipt,
    /// SQS's error code.
    pub code: String,
    /// SQS's error message.
    pub message: String,
}
