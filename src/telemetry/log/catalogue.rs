//! The log's events. Everything that defines an event is here: fields, level, message, and detail type in EventBridge.
//!
//! The doc comments are documentation for users: `.ci/write-docs` generates docs/logs.md and docs/logs.schema.json from
//! them. Tests check their form:
//!
//! - An event's ends with `Level: ` and the level.
//! - A field's is a phrase without a full stop. docs/logs.md inserts the list of an enum's values before a `; `.
//!
//! A field's name ends with its unit (`_seconds`, `_ms`), and has one meaning and one type in all events. A field that can
//! lack a value is an `Option` with `skip_serializing_if`: it is then absent from the line, never null.

use std::time::Duration;

use serde::Serialize;

use super::fields::short_id;
use super::{
    Act, DeletionFields, Failure, Form, Level, Phase, RemovalReason, ServiceFields, Signal, StopReason, TargetFields,
    Verb,
};
use crate::telemetry::emf::Document;
use jvb_watcher_rules::finding::{FindingName, FindingState};
use jvb_watcher_rules::plan::{MarkReason, StopObstacle, TargetReason, UnmarkReason};

/// Defines [`Event`].
///
/// Each entry has the event's fields, then:
/// - `level`: its level, [`Level::Info`] if omitted;
/// - `message`: its message for people;
/// - `detail_type`: the detail type under which `--publish-events` publishes it, if it does.
///
/// These are expressions that can use the fields.
macro_rules! events {
    ($(
        $(#[$attribute:meta])*
        $event:ident { $($(#[$field_attribute:meta])* $field:ident: $type:ty,)* } => {
            $(level: $level:expr,)?
            message: $message:expr,
            $(detail_type: $detail_type:expr,)?
        }
    )*) => {
        /// An event of the log.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(tag = "event", rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the fields of a flattened struct are documented there")]
        pub enum Event {
            $($(#[$attribute])* $event { $($(#[$field_attribute])* $field: $type,)* },)*
        }

        #[allow(unused_variables, reason = "an expression uses some of the fields")]
        impl Event {
            /// Returns the event's level.
            pub fn level(&self) -> Level {
                match self {
                    $(Self::$event { $($field,)* } => first!($($level,)? Level::Info),)*
                }
            }

            /// Returns the event's message for people.
            pub fn message(&self) -> String {
                match self {
                    $(Self::$event { $($field,)* } => $message,)*
                }
            }

            /// Returns the detail type under which the event is published on EventBridge, if it is.
            pub fn detail_type(&self) -> Option<&'static str> {
                match self {
                    $(Self::$event { $($field,)* } => first!($($detail_type,)? None),)*
                }
            }
        }
    };
}

macro_rules! first {
    ($first:expr $(, $other:expr)?) => {
        $first
    };
}

events! {
    // ---- the process ----

    /// Once for each process: when `run` has found credentials and its queue, or `lambda` has found credentials. With one
    /// service it has that service's settings; with a fleet it doesn't, and each service has a `service_added`. Level: INFO.
    WatcherStarted {
        /// The program's version
        version: String,
        /// The command
        form: Form,
        /// The AWS region
        region: String,
        /// The queue's name or URL
        queue: String,
        /// The number of services that are watched
        services: usize,
        #[serde(flatten)]
        settings: Option<ServiceFields>,
    } => {
        message: {
            let subject = match settings {
                Some(ServiceFields { load_balancer, .. }) => format!("load balancer {load_balancer}"),
                None => count(*services as u64, "service"),
            };
            format!("started jvb-watcher {version} for {subject}, receiving from {queue}")
        },
    }

    /// A service of a fleet is watched from now on: at the start, or because the configuration or a tag now names it. The
    /// identity fields name the service. Level: INFO.
    ServiceAdded {
        #[serde(flatten)]
        settings: ServiceFields,
    } => {
        message: format!("added the service; its load balancer is {}", settings.load_balancer),
    }

    /// A service of a fleet has other settings from now on. Level: INFO.
    ServiceReplaced {
        #[serde(flatten)]
        settings: ServiceFields,
    } => {
        message: format!("replaced the service's settings; its load balancer is {}", settings.load_balancer),
    }

    /// A service of a fleet is no longer watched. A load balancer that it still has stays: no deletion follows this line. Its
    /// findings were cleared before. Level: INFO, or WARN with `load_balancer_shared`.
    ServiceRemoved {
        /// The load balancer's name
        load_balancer: String,
        /// The reason; with `service_deleted` the load balancer is gone, too
        reason: RemovalReason,
    } => {
        level: if *reason == RemovalReason::LoadBalancerShared { Level::Warn } else { Level::Info },
        message: {
            let reason = match reason {
                RemovalReason::NotConfigured => {
                    "the configuration no longer lists it; the load balancer stays, and nothing deletes it"
                }
                RemovalReason::TagRemoved => {
                    "its tag jvb-watcher:load-balancer was removed; the load balancer stays, and nothing deletes it"
                }
                RemovalReason::ServiceDeleted => "it was deleted, and its load balancer is gone",
                RemovalReason::LoadBalancerShared => "another service has the same load balancer",
            };
            format!("removed the service with load balancer {load_balancer}: {reason}")
        },
    }

    /// The configuration was read again, at SIGHUP. Level: INFO.
    ConfigReloaded {
        /// The file's name
        file: String,
        /// The number of services that are watched
        services: usize,
        /// Services added
        added: usize,
        /// Services whose settings changed
        replaced: usize,
        /// Services removed
        removed: usize,
    } => {
        message: format!(
            "read {file} again: {}, {added} added, {replaced} replaced, {removed} removed",
            count(*services as u64, "service")
        ),
    }

    /// The configuration was read again, at SIGHUP, and is wrong or can't be read; the watcher goes on with the one before. Logged for each
    /// error. Level: ERROR.
    ConfigRejected {
        /// The file's name
        file: String,
        /// The line; absent when the file can't be read
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        /// The error
        error: String,
    } => {
        level: Level::Error,
        message: match line {
            Some(line) => format!("{file}:{line}: {error}; the configuration stays as it was"),
            None => format!("{file}: {error}; the configuration stays as it was"),
        },
    }

    /// A read of the services of a cluster, for `--discover`, failed, or was cut off because an invocation has no more time for
    /// it. It is repeated, and the services that it would have found stay as they were. Level: WARN, or ERROR when an operator
    /// must resolve the failure, e.g. because there is no such cluster.
    DiscoveryFailed {
        #[serde(flatten)]
        failure: Failure,
    } => {
        level: failure.level,
        message: format!("discovery of services failed: {}", failure.error),
    }

    /// `run --listen` accepts connections. Level: INFO.
    Listening {
        /// The address and the port
        address: String,
    } => {
        message: format!("listening on {address}"),
    }

    /// `run` has stopped. Level: INFO.
    WatcherStopped {
        /// The reason; `queue_empty` and `gave_up` occur with `--exit-when-empty`, which gives up after five minutes
        reason: StopReason,
        /// The time since the start, in seconds
        uptime_seconds: u64,
        /// Messages about this service, received since the start
        messages: u64,
        /// Messages about other resources, received and deleted since the start
        foreign: u64,
        /// Reconciliations that succeeded since the start
        reconciliations: u64,
        /// Requests to AWS since the start, including retries
        aws_calls: u64,
    } => {
        message: {
            let reason = match reason {
                StopReason::Sigterm => "by SIGTERM",
                StopReason::Sigint => "by SIGINT",
                StopReason::QueueEmpty => "with an empty queue",
                StopReason::GaveUp => "at the time limit, before the queue was empty",
            };
            let uptime = period(Duration::from_secs(*uptime_seconds));
            let counts = [
                count(*messages, "message"), count(*reconciliations, "reconciliation"), count(*aws_calls, "AWS call")
            ];
            format!("stopped {reason} after {uptime}: {}", counts.join(", "))
        },
    }

    // ---- reconciliation ----

    /// A reconciliation succeeded: logged when it changed something or found something new, and otherwise once a minute. If
    /// it is absent for several minutes, the watcher doesn't work. The values are those after the reconciliation's own
    /// actions. Level: INFO.
    Reconciled {
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
        /// The service's desiredCount
        desired: i32,
        /// The service's runningCount
        running: i32,
        /// The service's pendingCount
        pending: i32,
        /// Tasks whose lastStatus and desiredStatus are both RUNNING
        serving: usize,
        /// Targets in all target groups, without draining ones
        registered: usize,
        /// Registered targets that are healthy
        healthy: usize,
        /// `absent`, `provisioning`, `active`, `active_impaired`, `failed` or `unknown`
        load_balancer_state: String,
        /// The time since the load balancer's creation, in seconds; absent when there is no load balancer
        #[serde(skip_serializing_if = "Option::is_none")]
        load_balancer_age_seconds: Option<u64>,
        /// Flows over the load balancer in the newest minute that CloudWatch shows, of the protocols that count as use;
        /// absent when there is no load balancer with targets, and when no minute is known
        #[serde(skip_serializing_if = "Option::is_none")]
        flows: Option<u64>,
        /// The start of that minute (RFC 3339); absent when `flows` is
        #[serde(skip_serializing_if = "Option::is_none")]
        flows_minute: Option<String>,
        /// The start of the known minutes without use that end with that minute (RFC 3339); absent when it is in use
        #[serde(skip_serializing_if = "Option::is_none")]
        unused_since: Option<String>,
        /// Actions: targets registered and deregistered, marks written and removed, resources deleted, stops announced,
        /// withdrawn and made
        changes: usize,
        /// Active findings
        findings: usize,
        /// Messages about this service, since the last event of this kind
        messages: u64,
        /// Messages about other resources, which were deleted, since the last event of this kind
        foreign: u64,
        /// Requests to AWS since the last event of this kind, including retries
        aws_calls: u64,
        /// The duration of the reconciliation, in milliseconds
        duration_ms: u64,
    } => {
        message: format!(
            "reconciled: {desired} desired, {running} running, {pending} pending, {serving} serving; load balancer \
             {load_balancer_state}, {} registered, {healthy} healthy{}",
            count(*registered as u64, "target"),
            usage(*flows, flows_minute.as_deref(), unused_since.as_deref()),
        ),
    }

    /// A reconciliation failed. It is retried, on Lambda by a later invocation if this one has no time left, and its messages
    /// stay on the queue. Level: WARN, or ERROR when an operator must resolve the failure.
    ReconcileFailed {
        #[serde(flatten)]
        failure: Failure,
    } => {
        level: failure.level,
        message: format!("reconciliation failed: {}", failure.error),
    }

    /// An event has a newer version of a task than ECS returned in six observations, a second apart. The watcher uses
    /// what ECS returns. Level: WARN.
    TaskVersionBehind {
        /// The task
        task_id: String,
        /// The version in the event
        event_version: i64,
        /// The version that ECS returned; absent when ECS didn't return the task
        #[serde(skip_serializing_if = "Option::is_none")]
        seen_version: Option<i64>,
    } => {
        level: Level::Warn,
        message: {
            let observed = seen_version.map_or("not the task".to_owned(), |version| format!("version {version}"));
            let task = short_id(task_id);
            format!("event has version {event_version} of task {task}, ECS returns {observed}; using what ECS returns")
        },
    }

    /// A finding: a condition that an operator should know about. Logged when it is raised, changes or is cleared, and
    /// otherwise every fifteen minutes; on Lambda, by each execution environment. Level: WARN; INFO when it is cleared, and
    /// for `hold_active`.
    Finding {
        /// The kind of finding
        finding: FindingName,
        /// The state
        state: FindingState,
        /// The resource
        subject: String,
        /// The observed condition
        detail: String,
        /// The remedy
        advice: String,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        #[serde(skip_serializing_if = "Option::is_none")]
        observation: Option<String>,
    } => {
        level: match (state, finding) {
            (FindingState::Cleared, _) => Level::Info,
            (_, finding) if finding.is_informational() => Level::Info,
            _ => Level::Warn,
        },
        message: match state {
            FindingState::Cleared => format!("{subject}: cleared: {detail}"),
            _ => format!("{subject}: {detail}. {advice}"),
        },
        detail_type: match state {
            FindingState::Raised | FindingState::Changed => Some("Finding Raised"),
            FindingState::Cleared => Some("Finding Cleared"),
            // Logged again for readers of the end of the log.
            FindingState::Repeated => None,
        },
    }

    /// A read that only a finding needs failed. The reconciliation goes on; the finding is neither raised nor kept until a
    /// read succeeds. Logged at the first of several failures; read again every fifteen minutes. Level: WARN.
    FindingCheckFailed {
        /// The kind of finding
        finding: FindingName,
        #[serde(flatten)]
        failure: Failure,
    } => {
        level: Level::Warn,
        message: format!("check of the finding {finding} failed: {}", failure.error),
    }

    // ---- targets ----

    /// A target was registered. Level: INFO.
    TargetRegistered {
        #[serde(flatten)]
        target: TargetFields,
        /// The reason; `task_starting` means that no target is healthy yet, `task_stopping` includes tasks whose desiredStatus
        /// is STOPPED, and `no_task` means that two observations at least 30 s apart found no task with the address
        reason: TargetReason,
        /// The time from the event to the registration, in milliseconds, if an event named the task
        #[serde(skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
        /// The time since the task's start, in milliseconds
        #[serde(skip_serializing_if = "Option::is_none")]
        since_start_ms: Option<u64>,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: format!("registered {target}: {}", explain(*reason)),
        detail_type: Some("Target Registered"),
    }

    /// A target was deregistered. Level: INFO.
    TargetDeregistered {
        #[serde(flatten)]
        target: TargetFields,
        /// The reason; `task_starting` means that no target is healthy yet, `task_stopping` includes tasks whose desiredStatus
        /// is STOPPED, and `no_task` means that two observations at least 30 s apart found no task with the address
        reason: TargetReason,
        /// The time from the event to the deregistration, in milliseconds, if an event named the task
        #[serde(skip_serializing_if = "Option::is_none")]
        latency_ms: Option<u64>,
        /// The time since which each observation found no task with the address (RFC 3339)
        #[serde(skip_serializing_if = "Option::is_none")]
        unmatched_since: Option<String>,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: format!("deregistered {target}: {}", explain(*reason)),
        detail_type: Some("Target Deregistered"),
    }

    /// The state of a target's health differs from that in the observation before. Level: INFO, or WARN when the target
    /// became unhealthy.
    TargetHealthChanged {
        #[serde(flatten)]
        target: TargetFields,
        /// The previous state: `initial`, `healthy`, `unhealthy`, `draining`, `unused`, `unavailable` or `unknown`
        from: String,
        /// The new state
        to: String,
        /// AWS's reason code, if AWS gives one
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The time since the task's start, in milliseconds
        #[serde(skip_serializing_if = "Option::is_none")]
        since_start_ms: Option<u64>,
    } => {
        level: if to == "unhealthy" { Level::Warn } else { Level::Info },
        message: {
            let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let expected = if from == "initial" && to == "unhealthy" { "; expected while its task starts" } else { "" };
            format!("{target} changed from {from} to {to}{reason}{expected}")
        },
    }

    /// `reconcile --dry-run` would register or deregister a target. Level: INFO.
    Planned {
        /// The action
        act: Act,
        #[serde(flatten)]
        target: TargetFields,
        /// The reason; `task_starting` means that no target is healthy yet, `task_stopping` includes tasks whose desiredStatus
        /// is STOPPED, and `no_task` means that two observations at least 30 s apart found no task with the address
        reason: TargetReason,
    } => {
        message: {
            let verb = match act {
                Act::Register => "register",
                Act::Deregister => "deregister",
            };
            format!("would {verb} {target}: {}", explain(*reason))
        },
    }

    /// `reconcile --wait-healthy` found all desired tasks healthy in all target groups. Level: INFO.
    TargetsHealthy {
        /// The number of targets
        registered: usize,
        /// The time that it waited, in milliseconds
        waited_ms: u64,
    } => {
        message: {
            let targets = count(*registered as u64, "target");
            format!("{targets} healthy after {}", period(Duration::from_millis(*waited_ms)))
        },
    }

    // ---- teardown ----

    /// The mark `jvb-watcher:idle-since` was written. Level: INFO.
    IdleMarked {
        /// The load balancer's name
        load_balancer: String,
        /// The value of the mark (RFC 3339)
        idle_since: String,
        /// The reason: `idle` (it was used, and is no longer), `unused` (it was never used, and is older than the unused
        /// grace) or `incomplete` (a target group lacked the mark)
        reason: MarkReason,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: {
            let reason = match reason {
                MarkReason::Idle => "the service is no longer in use",
                MarkReason::Unused => "the service was never in use",
                MarkReason::Incomplete => "a target group lacked the mark",
            };
            format!("marked {load_balancer} as idle since {idle_since}: {reason}")
        },
    }

    /// The mark was removed: the pending teardown is cancelled. Level: INFO.
    IdleUnmarked {
        /// The load balancer's name
        load_balancer: String,
        /// The value of the mark (RFC 3339), if it was valid
        #[serde(skip_serializing_if = "Option::is_none")]
        idle_since: Option<String>,
        /// The reason
        reason: UnmarkReason,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: {
            let reason = match reason {
                UnmarkReason::InUse => "the service is in use",
                UnmarkReason::ServiceMissing => "the service was not found",
                UnmarkReason::Held => "the load balancer is held",
            };
            format!("removed the idle mark of {load_balancer}: {reason}")
        },
        detail_type: Some("Teardown Cancelled"),
    }

    /// A teardown starts, or resumes after an interruption. Level: INFO.
    TeardownStarted {
        /// The load balancer's name
        load_balancer: String,
        /// The value of the mark (RFC 3339)
        idle_since: String,
        /// True if the load balancer no longer exists, and only its target groups are left
        resumed: bool,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: {
            let verb = if *resumed { "resumed" } else { "started" };
            format!("{verb} the teardown of {load_balancer}, idle since {idle_since}")
        },
    }

    /// This process deleted the load balancer, and AWS its listeners. If several workers run, one of them logs it; the others
    /// log `reconciled` with the state `absent`. Level: INFO.
    LoadBalancerDeleted {
        /// The load balancer's name
        load_balancer: String,
        /// The load balancer's ARN
        load_balancer_arn: String,
        /// The time from its creation to its deletion, in seconds
        uptime_seconds: u64,
        #[serde(flatten)]
        evidence: DeletionFields,
    } => {
        message: {
            let uptime = period(Duration::from_secs(*uptime_seconds));
            format!("deleted load balancer {load_balancer} after {uptime}")
        },
    }

    /// A target group of the deleted load balancer was deleted. Level: INFO.
    TargetGroupDeleted {
        /// The target group's name
        target_group: String,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: format!("deleted target group {target_group}"),
    }

    /// An observation found neither the load balancer nor its target groups, which this process deleted. If several workers
    /// run, one of them logs it. Level: INFO.
    TeardownCompleted {
        /// The load balancer's name
        load_balancer: String,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: format!("completed the teardown of {load_balancer}"),
        detail_type: Some("Load Balancer Torn Down"),
    }

    // ---- the stop of an unused service ----

    /// The load balancer has been unused for the time of `--stop-when-unused`: the service will be scaled to zero, unless it
    /// is used before. Level: WARN.
    StopAnnounced {
        /// The time at which the service will be scaled to zero (RFC 3339)
        stop_at: String,
        /// The time since which the load balancer has been unused (RFC 3339)
        unused_since: String,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        level: Level::Warn,
        message: format!(
            "the service will be scaled to zero at {stop_at}: unused since {unused_since}; to keep it, run `jvb-watcher hold \
             1h`; a call that begins now may be seen too late"
        ),
        detail_type: Some("Stop Announced"),
    }

    /// An announced stop will not follow. Level: INFO.
    StopWithdrawn {
        /// The reason
        reason: StopObstacle,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: format!("the service will not be scaled to zero: {}", explain_obstacle(*reason)),
        detail_type: Some("Stop Withdrawn"),
    }

    /// The service was scaled to zero because it was unused. The teardown follows. Level: INFO.
    ServiceStopped {
        /// The desired count before
        desired_before: i32,
        /// The time since which the load balancer has been unused (RFC 3339)
        unused_since: String,
        /// Whether a hold was in force
        held: bool,
        /// The observation before it, on which the same decision rests
        #[serde(skip_serializing_if = "Option::is_none")]
        first_observation: Option<String>,
        /// The observation that this rests on, by the time at which it began (RFC 3339): the six digits below the
        /// milliseconds are the process's number, so that no other observation has the same; 000000 is a command
        observation: String,
    } => {
        message: format!("scaled the service from {desired_before} to 0: unused since {unused_since}"),
        detail_type: Some("Service Stopped"),
    }

    // ---- messages and events ----

    /// A message is malformed: it isn't an EventBridge envelope, or it is a task event without the task. The queue's redrive
    /// policy handles it; on a queue without one, the watcher deletes it at the fifth receive and logs the whole body.
    /// Level: WARN.
    MessageRejected {
        /// The message's ID in SQS
        message_id: String,
        /// The error
        reason: String,
        /// The body, truncated to 2 KiB unless the message was deleted
        body: String,
        /// The number of receives
        receive_count: u32,
        /// True if the watcher deleted the message
        deleted: bool,
    } => {
        level: Level::Warn,
        message: {
            let outcome = if *deleted { "deleted it" } else { "left it on the queue" };
            format!("rejected message {} ({reason}); {outcome}", short_id(message_id))
        },
    }

    /// `lambda` was invoked with a payload that is neither messages nor a scheduled event; the invocation fails. Level:
    /// ERROR.
    InvocationRejected {
        /// The error
        reason: String,
        /// The payload, truncated to 2 KiB
        body: String,
        /// The ID of the invocation, as in Lambda's own log lines
        request_id: String,
    } => {
        level: Level::Error,
        message: format!("rejected invocation {}: {reason}", short_id(request_id)),
    }

    /// A call to the queue failed. It is retried. Level: WARN, or ERROR when an operator must resolve the failure.
    PollFailed {
        #[serde(flatten)]
        failure: Failure,
    } => {
        level: failure.level,
        message: format!("queue call failed: {}", failure.error),
    }

    /// The check of the event source (queue, rule, permission) failed. The worker continues, and the findings of the last
    /// check stay active. Level: WARN.
    FeedCheckFailed {
        #[serde(flatten)]
        failure: Failure,
    } => {
        level: Level::Warn,
        message: format!("event source check failed: {}", failure.error),
    }

    /// Events ([events.md](events.md)) could not be published. They are retried, except those that the bus rejects
    /// permanently. Level: WARN, or ERROR when an operator must resolve the failure.
    PublishFailed {
        #[serde(flatten)]
        failure: Failure,
        /// Events that wait to be published
        waiting: usize,
        /// Events dropped since the process started: rejected permanently, or in excess of the buffer
        dropped: u64,
    } => {
        level: failure.level,
        message: format!("publishing events failed ({waiting} waiting, {dropped} dropped): {}", failure.error),
    }

    /// Traces or metrics could not be exported to OpenTelemetry's collector ([opentelemetry.md](opentelemetry.md)). The exporter
    /// continues; the spans of a failed export are lost, the counts of metrics are not. Logged for the first failure of a
    /// series, and at most once an hour. Level: WARN.
    ExportFailed {
        /// What could not be exported
        signal: Signal,
        /// The error
        error: String,
    } => {
        level: Level::Warn,
        message: format!(
            "exporting {} failed: {error}; check the collector and OTEL_EXPORTER_OTLP_ENDPOINT",
            signal.as_str(),
        ),
    }

    /// An export succeeded again after an `export_failed`. Level: INFO.
    ExportRecovered {
        /// What was exported
        signal: Signal,
        /// The time since the `export_failed`, in milliseconds
        duration_ms: u64,
    } => {
        message: format!(
            "exporting {} works again, {} after it failed",
            signal.as_str(),
            period(Duration::from_millis(*duration_ms)),
        ),
    }

    // ---- operations ----

    /// A phase of `up` or `down` starts. `up`, `down` and `hold` log to standard error; on a terminal they show the phases
    /// instead. Level: INFO.
    PhaseStarted {
        /// The command
        operation: Verb,
        /// The phase, named by its end condition
        phase: Phase,
        /// The time limit of the phase, in seconds
        limit_seconds: f64,
    } => {
        message: format!("{}: {}: started", operation.as_str(), phase.label()),
    }

    /// A phase waits for a condition; logged when the condition changes. Level: INFO.
    PhaseWaiting {
        /// The command
        operation: Verb,
        /// The phase, named by its end condition
        phase: Phase,
        /// The condition, for people
        detail: String,
    } => {
        message: format!("{}: {}: waiting: {detail}", operation.as_str(), phase.label()),
    }

    /// A phase of `up` or `down` completed. Level: INFO.
    PhaseCompleted {
        /// The command
        operation: Verb,
        /// The phase, named by its end condition
        phase: Phase,
        /// True if the end condition was met without an action
        skipped: bool,
        /// The result, for people
        detail: String,
        /// The duration of the phase, in milliseconds
        duration_ms: u64,
    } => {
        message: format!("{}: {}: completed: {detail}", operation.as_str(), phase.label()),
    }

    /// The load balancer command, usually Terraform, wrote a line. Level: INFO.
    CommandOutput {
        /// The command
        operation: Verb,
        /// The line
        text: String,
    } => {
        message: text.clone(),
    }

    /// `up` or `down` completed. Level: INFO.
    OperationCompleted {
        /// The command
        operation: Verb,
        /// The duration of the operation, in milliseconds
        duration_ms: u64,
    } => {
        message: format!("{}: completed after {}", operation.as_str(), period(Duration::from_millis(*duration_ms))),
    }

    /// `up` or `down` failed. Level: ERROR.
    OperationFailed {
        /// The command
        operation: Verb,
        /// The phase in which it failed
        phase: Phase,
        /// The error
        error: String,
        /// The state of the service and the load balancer
        state: String,
        /// The command that continues, or undoes, the operation
        advice: String,
        /// The duration of the operation, in milliseconds
        duration_ms: u64,
    } => {
        level: Level::Error,
        message: format!("{}: {}: failed: {error}. State: {state}. Next: {advice}", operation.as_str(), phase.label()),
    }

    /// `up` or `hold` placed a hold on the load balancer. Level: INFO.
    HoldPlaced {
        /// The load balancer's name
        load_balancer: String,
        /// The end of the hold (RFC 3339); until then no watcher marks or deletes the load balancer
        hold_until: String,
        /// The holder: `up` or `hand`
        held_by: String,
    } => {
        message: format!("placed a hold on {load_balancer} until {hold_until} (holder: {held_by})"),
    }

    /// `up`, `down` or `hold --release` released a hold. Level: INFO.
    HoldReleased {
        /// The load balancer's name
        load_balancer: String,
        /// The holder: `up` or `hand`
        held_by: String,
    } => {
        message: format!("released the hold on {load_balancer} (holder: {held_by})"),
    }

    // ---- the log itself ----

    /// Metrics for CloudWatch, in the embedded metric format: at most once a minute, and at each change. Each metric is a
    /// field, named as in [metrics.md](metrics.md). Only in JSON, at every log level, and not with `--metrics off`. Level:
    /// INFO.
    Metrics {
        #[serde(flatten)]
        document: Box<Document>,
    } => {
        message: format!("published {}", count(document.values.len() as u64, "metric")),
    }

    /// Lines were dropped, because the reader of the log was slow and more than ten thousand lines waited. Level: WARN.
    LinesDropped {
        /// Lines dropped since the last event of this kind
        lines: u64,
    } => {
        level: Level::Warn,
        message: format!("dropped {} because the reader of the log is slow", count(*lines, "line")),
    }

    /// A library, usually the AWS SDK, logged a message: warnings and errors, and at the log level `debug` more. Level: that
    /// of the library's message.
    Diagnostic {
        /// The message's level.
        #[serde(skip)]
        level: Level,
        /// The library's module
        target: String,
        /// The message.
        #[serde(skip)]
        text: String,
    } => {
        level: *level,
        message: text.clone(),
    }
}

/// Returns the reason for a registration or deregistration.
fn explain(reason: TargetReason) -> &'static str {
    match reason {
        TargetReason::TaskRunning => "the task is running",
        TargetReason::TaskStarting => "the task is starting, and no target is healthy yet",
        TargetReason::TaskStopping => "the task is stopping or stopped",
        TargetReason::NoTask => "no task has this address",
    }
}

/// Returns why an announced stop will not follow.
fn explain_obstacle(obstacle: StopObstacle) -> &'static str {
    match obstacle {
        StopObstacle::Held => "a hold is in force",
        StopObstacle::Operation => "up, down or a stop is running, or was",
        StopObstacle::NotServing => "it has not served for long enough",
        StopObstacle::InUse => "it is in use",
        StopObstacle::AwaitingFirstCall => "the first call may still come",
        StopObstacle::UsageUnknown => "its usage is unknown",
    }
}

/// Returns the use of the load balancer as the end of a message, e.g. "; 0 flows at 21:05 UTC, unused since 21:01".
fn usage(flows: Option<u64>, minute: Option<&str>, unused_since: Option<&str>) -> String {
    let time = |text: &str| text.get(11..16).unwrap_or(text).to_owned();
    let Some((flows, minute)) = flows.zip(minute) else { return String::new() };
    let unused = unused_since.map(|since| format!(", unused since {}", time(since))).unwrap_or_default();
    format!("; {} at {} UTC{unused}", count(flows, "flow"), time(minute))
}

/// Returns a number and its noun, e.g. "2 targets".
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Returns a duration in seconds, e.g. "2h 35m 41s"; below a minute in tenths, e.g. "2.3s".
fn period(duration: Duration) -> String {
    if duration < Duration::from_secs(60) {
        let tenths = duration.as_millis() / 100;
        return format!("{}s", tenths as f64 / 10.0);
    }
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}
