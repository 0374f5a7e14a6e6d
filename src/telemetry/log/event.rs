//! The events, their fields and their words.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::{Format, Phase, Verb};
use crate::aws::AwsError;
use crate::telemetry::metrics::emf::Document;
use jvb_watcher_rules::finding::{FindingName, FindingState};
use jvb_watcher_rules::model::{TargetKey, TaskId};
use jvb_watcher_rules::plan::{MarkReason, TargetReason, UnmarkReason};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/logs.md is the documentation of these fields, and a test holds the two together")]
pub enum Event {
    WatcherStarted {
        version: String,
        form: Form,
        region: String,
        queue: String,
        load_balancer: String,
        owner_tag: String,
        teardown: String,
        resync_interval_seconds: f64,
        idle_grace_seconds: f64,
        unused_grace_seconds: f64,
    },
    Listening {
        address: String,
    },
    Reconciled {
        desired: i32,
        running: i32,
        pending: i32,
        serving: usize,
        registered: usize,
        healthy: usize,
        load_balancer_state: String,
        changes: usize,
        findings: usize,
        messages: u64,
        foreign: u64,
        aws_calls: u64,
        duration_ms: u64,
    },
    TargetRegistered {
        #[serde(flatten)]
        target: TargetFields,
        reason: TargetReason,
        #[serde(skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
    },
    TargetDeregistered {
        #[serde(flatten)]
        target: TargetFields,
        reason: TargetReason,
        #[serde(skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
    },
    TargetHealthChanged {
        #[serde(flatten)]
        target: TargetFields,
        from: String,
        to: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        since_start_ms: Option<u64>,
    },
    IdleMarked {
        load_balancer: String,
        idle_since: String,
        reason: MarkReason,
    },
    IdleUnmarked {
        load_balancer: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        idle_since: Option<String>,
        reason: UnmarkReason,
    },
    TeardownStarted {
        load_balancer: String,
        idle_since: String,
        resumed: bool,
    },
    LoadBalancerDeleted {
        load_balancer: String,
        load_balancer_arn: String,
        uptime_seconds: u64,
    },
    TargetGroupDeleted {
        target_group: String,
    },
    TeardownCompleted {
        load_balancer: String,
    },
    MessageRejected {
        message_id: String,
        reason: String,
        body: String,
        receive_count: u32,
        deleted: bool,
    },
    InvocationRejected {
        reason: String,
        body: String,
        request_id: String,
    },
    Finding {
        finding: FindingName,
        state: FindingState,
        subject: String,
        detail: String,
        advice: String,
    },
    PollFailed {
        #[serde(flatten)]
        failure: Failure,
    },
    ReconcileFailed {
        #[serde(flatten)]
        failure: Failure,
    },
    FeedCheckFailed {
        #[serde(flatten)]
        failure: Failure,
    },
    PublishFailed {
        #[serde(flatten)]
        failure: Failure,
        waiting: usize,
        dropped: u64,
    },
    TaskVersionBehind {
        task_id: String,
        event_version: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        seen_version: Option<i64>,
    },
    Planned {
        act: Act,
        #[serde(flatten)]
        target: TargetFields,
        reason: TargetReason,
    },
    TargetsHealthy {
        registered: usize,
        waited_ms: u64,
    },
    PhaseStarted {
        operation: Verb,
        phase: Phase,
        limit_seconds: f64,
    },
    PhaseWaiting {
        operation: Verb,
        phase: Phase,
        detail: String,
    },
    PhaseCompleted {
        operation: Verb,
        phase: Phase,
        skipped: bool,
        detail: String,
        duration_ms: u64,
    },
    CommandOutput {
        operation: Verb,
        text: String,
    },
    OperationCompleted {
        operation: Verb,
        duration_ms: u64,
    },
    OperationFailed {
        operation: Verb,
        phase: Phase,
        error: String,
        state: String,
        advice: String,
        duration_ms: u64,
    },
    HoldPlaced {
        load_balancer: String,
        hold_until: String,
        held_by: String,
    },
    HoldReleased {
        load_balancer: String,
        held_by: String,
    },
    WatcherStopped {
        reason: StopReason,
        uptime_seconds: u64,
        messages: u64,
        foreign: u64,
        reconciliations: u64,
        aws_calls: u64,
    },
    Metrics {
        #[serde(flatten)]
        document: Box<Document>,
    },
    LinesDropped {
        lines: u64,
    },
    Diagnostic {
        #[serde(skip)]
        severity: Level,
        target: String,
        #[serde(skip)]
        text: String,
    },
}

/// The form in which the watcher works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A process that polls the queue.
    Run,
    /// A function on AWS Lambda, which is called.
    Lambda,
}

/// The fields by which every event about a target names it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[allow(missing_docs, reason = "see Event")]
pub struct TargetFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    pub ip: String,
    pub port: u16,
    pub target_group: String,
}

impl TargetFields {
    /// A target of the group of that name, and whose it is.
    pub fn new(target_group: &str, key: &TargetKey, task: Option<&TaskId>) -> Self {
        Self {
            task_id: task.map(ToString::to_string),
            ip: key.ip.to_string(),
            port: key.port,
            target_group: target_group.to_owned(),
        }
    }
}

/// What `reconcile --dry-run` would do to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// RegisterTargets.
    Register,
    /// DeregisterTargets.
    Deregister,
}

/// Why the worker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// SIGTERM came.
    Sigterm,
    /// SIGINT came.
    Sigint,
    /// `--exit-when-empty`, and nothing was left to do.
    QueueEmpty,
    /// `--exit-when-empty`, and it took too long to get there.
    GaveUp,
}

/// The fields by which every event about a failed call names it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[allow(missing_docs, reason = "see Event")]
pub struct Failure {
    pub attempt: u32,
    pub retry_in_ms: u64,
    pub error: String,
    pub error_service: String,
    pub error_operation: String,
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip)]
    pub severity: Level,
}

impl Failure {
    /// A failed call that is tried again after so long.
    pub fn new(error: &AwsError, attempt: u32, retry_in: Duration) -> Self {
        let severity = if error.kind.is_transient() { Level::Warn } else { Level::Error };
        Self {
            attempt,
            retry_in_ms: millis(retry_in),
            error: error.with_remedy(),
            error_service: error.service.to_owned(),
            error_operation: error.operation.to_owned(),
            resource: error.resource.clone(),
            error_code: error.code.as_deref().map(str::to_owned),
            request_id: error.request_id.as_deref().map(str::to_owned),
            severity,
        }
    }
}

/// A span of time in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How grave an event is; also how much of the log is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[cfg_attr(test, derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Something must be mended by a person.
    Error,
    /// Something went wrong that may pass, or that a person should know.
    Warn,
    /// What the watcher does.
    #[default]
    Info,
    /// What the AWS SDK says, too.
    Debug,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

impl Event {
    /// Whether a log of this format and level has it.
    pub fn is_wanted(&self, format: Format, level: Level) -> bool {
        match self {
            // Read by CloudWatch alone, and by it at any level.
            Self::Metrics { .. } => format == Format::Json,
            _ => self.level() <= level,
        }
    }

    /// How grave it is.
    pub fn level(&self) -> Level {
        match self {
            Self::PollFailed { failure } | Self::ReconcileFailed { failure } | Self::PublishFailed { failure, .. } => {
                failure.severity
            }
            // The worker works on without the check.
            Self::FeedCheckFailed { .. } => Level::Warn,
            Self::InvocationRejected { .. } | Self::OperationFailed { .. } => Level::Error,
            Self::MessageRejected { .. } | Self::TaskVersionBehind { .. } | Self::LinesDropped { .. } => Level::Warn,
            Self::TargetHealthChanged { to, .. } if to == "unhealthy" => Level::Warn,
            Self::Finding { state: FindingState::Cleared, .. } => Level::Info,
            Self::Finding { finding: FindingName::HoldActive, .. } => Level::Info,
            Self::Finding { .. } => Level::Warn,
            Self::Diagnostic { severity, .. } => *severity,
            _ => Level::Info,
        }
    }

    /// What happened, for a person.
    pub fn message(&self) -> String {
        match self {
            Self::WatcherStarted { version, queue, load_balancer, .. } => {
                format!("jvb-watcher {version} keeps {load_balancer} true, listening to {queue}")
            }
            Self::Listening { address } => format!("listening on {address}"),
            Self::Reconciled {
                desired, running, pending, serving, registered, healthy, load_balancer_state, ..
            } => {
                format!(
                    "{desired} desired, {running} running, {pending} pending, {serving} serving; \
                     load balancer {load_balancer_state}, {registered} target(s) registered, {healthy} healthy"
                )
            }
            Self::TargetRegistered { target, reason, .. } => {
                format!("registered {target}: {}", reason_text(*reason))
            }
            Self::TargetDeregistered { target, reason, .. } => {
                format!("deregistered {target}: {}", reason_text(*reason))
            }
            Self::TargetHealthChanged { target, from, to, reason, .. } => {
                let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!("{target} went from {from} to {to}{reason}")
            }
            Self::IdleMarked { load_balancer, idle_since, reason } => {
                let why = match reason {
                    MarkReason::Idle => "nobody calls any more",
                    MarkReason::Unused => "nobody ever called",
                    MarkReason::Incomplete => "the mark was missing on a target group",
                };
                format!("marked {load_balancer} as idle since {idle_since}: {why}")
            }
            Self::IdleUnmarked { load_balancer, reason, .. } => {
                let why = match reason {
                    UnmarkReason::InUse => "the service is in use",
                    UnmarkReason::ServiceMissing => "the service can't be found",
                    UnmarkReason::Held => "it is held",
                };
                format!("removed the idle mark of {load_balancer}: {why}")
            }
            Self::TeardownStarted { load_balancer, idle_since, resumed } => {
                let verb = if *resumed { "going on with" } else { "beginning" };
                format!("{verb} the teardown of {load_balancer}, idle since {idle_since}")
            }
            Self::LoadBalancerDeleted { load_balancer, uptime_seconds, .. } => {
                format!("deleted load balancer {load_balancer} after {uptime_seconds} s")
            }
            Self::TargetGroupDeleted { target_group } => format!("deleted target group {target_group}"),
            Self::TeardownCompleted { load_balancer } => format!("nothing is left of {load_balancer}"),
            Self::MessageRejected { message_id, reason, deleted, .. } => {
                let fate = if *deleted { "deleted it" } else { "left it on the queue" };
                format!("message {message_id} is malformed ({reason}); {fate}")
            }
            Self::InvocationRejected { reason, .. } => {
                format!("the function was called with what it can't take: {reason}")
            }
            Self::Finding { state: FindingState::Cleared, finding, subject, .. } => {
                format!("{subject}: no longer {}", words(finding))
            }
            Self::Finding { subject, detail, advice, .. } => format!("{subject}: {detail}. {advice}"),
            Self::PollFailed { failure } => format!("a call on the queue failed: {}", failure.error),
            Self::ReconcileFailed { failure } => format!("the look or its repair failed: {}", failure.error),
            Self::FeedCheckFailed { failure } => {
                format!("whether events can arrive could not be checked: {}", failure.error)
            }
            Self::PublishFailed { failure, waiting, dropped } => {
                let lost = if *dropped > 0 { format!(", and {dropped} are lost") } else { String::new() };
                format!("events for others could not be published ({waiting} wait{lost}): {}", failure.error)
            }
            Self::TaskVersionBehind { task_id, event_version, seen_version } => {
                let seen = seen_version.map_or("nothing".to_owned(), |version| format!("version {version}"));
                format!(
                    "an event told of version {event_version} of task {task_id}, ECS still shows {seen}; going by ECS"
                )
            }
            Self::Planned { act, target, reason } => {
                let verb = match act {
                    Act::Register => "register",
                    Act::Deregister => "deregister",
                };
                format!("would {verb} {target}: {}", reason_text(*reason))
            }
            Self::TargetsHealthy { registered, waited_ms } => {
                format!("all {registered} target(s) are healthy, after {waited_ms} ms")
            }
            Self::PhaseStarted { operation, phase, .. } => {
                format!("{}: {} is next", operation.as_str(), phase.label())
            }
            Self::PhaseWaiting { operation, phase, detail } => {
                format!("{}: {}: {detail}", operation.as_str(), phase.label())
            }
            Self::PhaseCompleted { operation, phase, detail, .. } => {
                format!("{}: {}: done: {detail}", operation.as_str(), phase.label())
            }
            Self::CommandOutput { text, .. } => text.clone(),
            Self::OperationCompleted { operation, duration_ms } => {
                format!("{}: done, after {duration_ms} ms", operation.as_str())
            }
            Self::OperationFailed { operation, phase, error, state, advice, .. } => {
                let verb = operation.as_str();
                format!("{verb}: {}: failed: {error}. As it stands: {state}. To go on: {advice}", phase.label())
            }
            Self::HoldPlaced { load_balancer, hold_until, held_by } => {
                format!("{load_balancer} is held by {held_by} until {hold_until}")
            }
            Self::HoldReleased { load_balancer, held_by } => {
                format!("{load_balancer} is no longer held by {held_by}")
            }
            Self::WatcherStopped { reason, .. } => match reason {
                StopReason::Sigterm => "stopped by SIGTERM".to_owned(),
                StopReason::Sigint => "stopped by SIGINT".to_owned(),
                StopReason::GaveUp => "gave up: the queue couldn't be emptied, or the work done, in time".to_owned(),
                StopReason::QueueEmpty => "the queue is empty and nothing is left to do".to_owned(),
            },
            Self::Metrics { document } => format!("{} metric(s) for CloudWatch", document.figures.len()),
            Self::LinesDropped { lines } => format!("{lines} line(s) of this log were dropped: nobody read them"),
            Self::Diagnostic { text, .. } => text.clone(),
        }
    }
}

impl std::fmt::Display for TargetFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { task_id, ip, port, target_group } = self;
        write!(f, "{ip} port {port} in {target_group}")?;
        task_id.iter().try_for_each(|task_id| write!(f, " (task {task_id})"))
    }
}

fn reason_text(reason: TargetReason) -> &'static str {
    match reason {
        TargetReason::TaskRunning => "its task runs",
        TargetReason::TaskStopping => "its task stops or has stopped",
        TargetReason::NoTask => "no task has this address",
    }
}

fn words(finding: &FindingName) -> String {
    match serde_json::to_value(finding) {
        Ok(serde_json::Value::String(name)) => name.replace('_', " "),
        _ => format!("{finding:?}"),
    }
}
