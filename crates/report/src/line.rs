//! One line of the log, as far as the page needs it.
//!
//! These types follow docs/logs.md and docs/logs.schema.json, not the product's own types: a page is also made of lines
//! that another version wrote, with findings and events that this version doesn't know.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A line that the watcher wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The time of the event.
    pub at: Timestamp,
    /// The service that it is about.
    pub service: ServiceName,
    /// The event as a sentence.
    pub message: String,
    /// The event.
    pub event: LoggedEvent,
    /// A hash of the timestamp, the event and all fields: equal where two logs contain the same line.
    pub identity: u64,
}

/// A line of the watcher before its event is known.
#[derive(Clone, Debug, PartialEq)]
pub struct RawLine {
    /// The time of the event.
    pub at: Timestamp,
    /// The service that it is about.
    pub service: ServiceName,
    /// The event's name.
    pub event: String,
    /// The event as a sentence.
    pub message: String,
    /// The whole line.
    pub fields: Value,
}

impl RawLine {
    /// Parses a line, with or without a prefix: log collectors put a time or a container's name before the JSON.
    ///
    /// # Errors
    ///
    /// Returns the reason why the line isn't one of the watcher.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let json = text.find('{').and_then(|start| text.get(start..)).ok_or(ParseError::Foreign)?;
        let fields: Value = match serde_json::from_str(json) {
            Ok(value) => value,
            Err(error) if error.is_eof() && json.contains("\"timestamp\"") => return Err(ParseError::Truncated),
            Err(_) => return Err(ParseError::Foreign),
        };
        let Ok(Envelope { timestamp, event, message, service }) = Envelope::deserialize(&fields) else {
            return Err(ParseError::Foreign);
        };
        Ok(Self { at: timestamp, service, event, message, fields })
    }

    /// Returns a hash of all fields: equal where two logs contain the same line. It is that of the JSON value, not of its
    /// text: prefixes, spaces and the order of fields differ between collectors.
    pub fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.fields.hash(&mut hasher);
        hasher.finish()
    }
}

/// The service that a line is about. Each service has a section of its own on the page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ServiceName {
    /// The project's name.
    pub project: String,
    /// The ECS cluster's name.
    pub cluster: String,
    /// The ECS service's name.
    pub service: String,
}

impl ServiceName {
    /// The cluster and the service in a line that is about no service in particular.
    const ANY: &str = "*";

    /// Returns whether the line is about no service in particular: a process that watches several writes such lines.
    pub fn is_of_process(&self) -> bool {
        self.service == Self::ANY
    }
}

/// The reason why a line isn't part of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Another program wrote it.
    Foreign,
    /// It ends before its JSON does.
    Truncated,
    /// This version doesn't know the event of this name.
    UnknownEvent(String),
    /// The event of this name lacks a field, or has one of another type.
    UnexpectedFields(String),
}

/// The event of a line. docs/logs.md documents the fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/logs.md documents the events and their fields")]
pub enum LoggedEvent {
    WatcherStarted {
        region: Option<String>,
        #[serde(flatten)]
        settings: LoggedSettings,
    },
    WatcherStopped,
    ServiceAdded {
        #[serde(flatten)]
        settings: LoggedSettings,
    },
    ServiceReplaced {
        #[serde(flatten)]
        settings: LoggedSettings,
    },
    ServiceRemoved,
    ConfigReloaded,
    ConfigRejected {
        file: String,
    },
    DiscoveryFailed {
        #[serde(flatten)]
        failure: LoggedFailure,
    },
    Listening,
    Reconciled {
        registered: u64,
        findings: u64,
        healthy: Option<u64>,
        load_balancer_state: String,
        flows: Option<u64>,
        flows_minute: Option<String>,
        unused_since: Option<String>,
        aws_calls: u64,
        duration_ms: u64,
    },
    TargetRegistered {
        #[serde(flatten)]
        target: LoggedTarget,
        latency_ms: Option<u64>,
    },
    TargetDeregistered {
        #[serde(flatten)]
        target: LoggedTarget,
    },
    TargetHealthChanged {
        #[serde(flatten)]
        target: LoggedTarget,
        to: String,
        since_start_ms: Option<u64>,
    },
    IdleMarked {
        reason: String,
    },
    IdleUnmarked,
    TeardownStarted,
    LoadBalancerDeleted {
        load_balancer_arn: String,
        uptime_seconds: u64,
    },
    TargetGroupDeleted {
        target_group: String,
    },
    TeardownCompleted,
    StopAnnounced {
        stop_at: String,
    },
    StopWithdrawn {
        reason: String,
    },
    ServiceStopped,
    MessageRejected {
        reason: String,
    },
    InvocationRejected {
        reason: String,
    },
    Finding {
        finding: String,
        state: String,
        subject: String,
        detail: String,
        advice: String,
    },
    PollFailed {
        #[serde(flatten)]
        failure: LoggedFailure,
    },
    ReconcileFailed {
        #[serde(flatten)]
        failure: LoggedFailure,
    },
    FeedCheckFailed {
        #[serde(flatten)]
        failure: LoggedFailure,
    },
    FindingCheckFailed {
        #[serde(flatten)]
        failure: LoggedFailure,
    },
    PublishFailed {
        #[serde(flatten)]
        failure: LoggedFailure,
    },
    PhaseStarted,
    PhaseWaiting,
    PhaseCompleted,
    CommandOutput,
    OperationCompleted,
    OperationFailed,
    HoldPlaced,
    HoldReleased,
    TaskVersionBehind,
    Planned,
    TargetsHealthy,
    Metrics,
    LinesDropped {
        lines: u64,
    },
    ExportFailed,
    ExportRecovered,
    Diagnostic,
    #[serde(other)]
    Unknown,
}

/// The settings of a service, as far as the page needs them; without any where several services are watched.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "docs/logs.md documents the fields")]
pub struct LoggedSettings {
    pub use_threshold: Option<u64>,
    pub idle_grace_seconds: Option<f64>,
    pub idle_grace_until_paid_hour: Option<bool>,
}

/// The target that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "docs/logs.md documents the fields")]
pub struct LoggedTarget {
    pub task_id: Option<String>,
    pub ip: String,
    pub port: u16,
    pub target_group: String,
}

/// The group, the address and the port of a target.
pub type TargetAddress = (String, String, u16);

/// The AWS call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "docs/logs.md documents the fields")]
pub struct LoggedFailure {
    pub error: String,
    pub error_service: String,
    pub error_operation: String,
    pub resource: String,
    pub error_code: Option<String>,
}

/// The fields that every line of the watcher has.
#[derive(Deserialize)]
struct Envelope {
    timestamp: Timestamp,
    event: String,
    message: String,
    #[serde(flatten)]
    service: ServiceName,
}

impl Line {
    /// Parses a line, with or without a prefix: log collectors put a time or a container's name before the JSON.
    ///
    /// # Errors
    ///
    /// Returns the reason why the line isn't part of the page.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let line = RawLine::parse(text)?;
        match LoggedEvent::deserialize(&line.fields) {
            Ok(LoggedEvent::Unknown) => Err(ParseError::UnknownEvent(line.event)),
            Ok(event) => {
                let identity = line.identity();
                Ok(Self { at: line.at, service: line.service, message: line.message, event, identity })
            }
            Err(_) => Err(ParseError::UnexpectedFields(line.event)),
        }
    }
}

impl LoggedTarget {
    /// Returns the name of the task that owns the target; the address where the task isn't known.
    pub fn owner(&self) -> &str {
        self.task_id.as_deref().unwrap_or(&self.ip)
    }

    /// Returns the target's group, address and port.
    pub fn address(&self) -> TargetAddress {
        (self.target_group.clone(), self.ip.clone(), self.port)
    }
}

#[cfg(test)]
mod tests;
