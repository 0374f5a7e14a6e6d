//! The types of the events' fields.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Level;
use crate::aws::AwsError;
use jvb_watcher_rules::model::{TargetKey, TaskId};

/// The command that watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A process that polls the queue.
    Run,
    /// A function on AWS Lambda.
    Lambda,
}

/// The fields of every event about a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetFields {
    /// The task that has the address
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The target's address
    pub ip: String,
    /// The target's port
    pub port: u16,
    /// The target group's name
    pub target_group: String,
}

impl TargetFields {
    /// Creates the fields of a target in the group of that name.
    pub fn new(target_group: &str, key: &TargetKey, task: Option<&TaskId>) -> Self {
        Self {
            task_id: task.map(ToString::to_string),
            ip: key.ip.to_string(),
            port: key.port,
            target_group: target_group.to_owned(),
        }
    }
}

impl fmt::Display for TargetFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task_id, ip, port, target_group } = self;
        let (open, close) = if ip.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "target {open}{ip}{close}:{port} in {target_group}")?;
        task_id.iter().try_for_each(|task_id| write!(f, " (task {})", short_id(task_id)))
    }
}

/// A write of `reconcile --dry-run` to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// RegisterTargets.
    Register,
    /// DeregisterTargets.
    Deregister,
}

/// The reason why the worker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// SIGTERM.
    Sigterm,
    /// SIGINT.
    Sigint,
    /// The queue is empty (`--exit-when-empty`).
    QueueEmpty,
    /// The queue wasn't empty within the time limit (`--exit-when-empty`).
    GaveUp,
}

/// The fields of every event about a failed call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// The number of failures in a row
    pub attempt: u32,
    /// The time until the next attempt, in milliseconds; 0 when it follows at once, or when there is nothing to retry
    pub retry_in_ms: u64,
    /// The operation, its resource, the error and a remedy
    pub error: String,
    /// The AWS service, as in IAM actions
    pub error_service: String,
    /// The API operation
    pub error_operation: String,
    /// The resource, by name or ARN
    pub resource: String,
    /// AWS's error code, if AWS responded
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// AWS's request ID, if AWS responded
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The event's level.
    #[serde(skip)]
    pub level: Level,
}

impl Failure {
    /// Creates the fields of a failed call that is retried after `retry_in`.
    pub fn new(error: &AwsError, attempt: u32, retry_in: Duration) -> Self {
        let level = if error.kind.is_transient() { Level::Warn } else { Level::Error };
        Self {
            attempt,
            retry_in_ms: millis(retry_in),
            error: error.with_remedy(),
            error_service: error.service.to_owned(),
            error_operation: error.operation.to_owned(),
            resource: error.resource.clone(),
            error_code: error.code.as_deref().map(str::to_owned),
            request_id: error.request_id.as_deref().map(str::to_owned),
            level,
        }
    }
}

/// Returns a duration in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the beginning of an ID, enough to recognise it in a message. The whole ID is a field of the event.
pub(super) fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
