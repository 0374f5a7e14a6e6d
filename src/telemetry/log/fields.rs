//! The types of the events' fields.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Level;
use crate::aws::AwsError;
use jvb_watcher_rules::model::{TargetKey, TaskId};
use jvb_watcher_rules::plan::{Policy, Teardown};

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

/// A kind of telemetry that is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Spans of reconciliations and calls.
    Traces,
    /// The metrics.
    Metrics,
}

impl Signal {
    /// Returns the name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
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

/// The reason why a service of a fleet is no longer watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RemovalReason {
    /// The configuration no longer lists it.
    NotConfigured,
    /// It no longer has the tag that `--discover` looks for.
    TagRemoved,
    /// It was deleted, and its load balancer with it.
    ServiceDeleted,
    /// Another service has the same load balancer.
    LoadBalancerShared,
}

/// The settings of a service: the fields of every event that tells them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceFields {
    /// The load balancer's name
    pub load_balancer: String,
    /// The tag, `key=value`, that marks a load balancer as the watcher's to delete
    pub owner_tag: String,
    /// `all`, `load-balancer` or `off`
    pub teardown: String,
    /// The maximum time between two reconciliations, in seconds
    pub resync_interval_seconds: f64,
    /// The idle time before a load balancer is torn down, at least, in seconds
    pub idle_grace_seconds: f64,
    /// Whether the grace period extends to just before the end of the load balancer's paid hour
    pub idle_grace_until_paid_hour: bool,
    /// The age from which an unused load balancer counts as idle, in seconds
    pub unused_grace_seconds: f64,
    /// The time without use after which the service is scaled to zero, in seconds; absent when it never is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_when_unused_seconds: Option<f64>,
    /// The time between the announcement of a stop for disuse and the stop, in seconds; absent when nothing is stopped
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_notice_seconds: Option<f64>,
    /// The number of flows that a minute must exceed to count as used; absent when CloudWatch isn't asked for the usage
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_threshold: Option<u64>,
}

impl ServiceFields {
    /// Returns the fields of a service with these rules.
    pub fn new(policy: &Policy) -> Self {
        Self {
            load_balancer: policy.load_balancer.clone(),
            owner_tag: policy.owner_tag.to_string(),
            teardown: match policy.teardown {
                Teardown::All => "all",
                Teardown::LoadBalancer => "load-balancer",
                Teardown::Off => "off",
            }
            .to_owned(),
            resync_interval_seconds: policy.resync_interval.as_secs_f64(),
            idle_grace_seconds: policy.idle_grace.as_secs_f64(),
            idle_grace_until_paid_hour: policy.until_paid_hour,
            unused_grace_seconds: policy.unused_grace.as_secs_f64(),
            stop_when_unused_seconds: policy.usage.stop.map(|stop| stop.after.as_secs_f64()),
            stop_notice_seconds: policy.usage.stop.map(|stop| stop.notice.as_secs_f64()),
            use_threshold: policy.usage.observe.then_some(policy.usage.threshold),
        }
    }
}

/// What the deletion of a load balancer rests on: the second of the two observations, as AWS's answers showed it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeletionFields {
    /// The value of the mark (RFC 3339)
    pub idle_since: String,
    /// The service's desiredCount; absent when the service wasn't found
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// The number of tasks that had not stopped
    pub live_tasks: usize,
    /// The number of healthy targets that were no task of the service
    pub healthy_others: usize,
    /// Whether the load balancer had the owner tag
    pub owned: bool,
    /// Whether a hold was in force
    pub held: bool,
    /// The observation before it, on which the same decision rests
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_observation: Option<String>,
    /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the milliseconds
    /// are the process's number, so that no other observation has the same; 000000 is a command
    pub observation: String,
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
