//! One line of the log, as far as the page needs it.
//!
//! The log's own type isn't read back: a page is also made of lines that another version wrote, with findings and
//! events that this one doesn't know.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A line that the watcher wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it happened.
    pub at: Timestamp,
    /// Which service it is about.
    pub service: ServiceName,
    /// What happened, as a sentence.
    pub message: String,
    /// What happened.
    pub event: LoggedEvent,
}

/// Which service a line is about; two of these in one log are two sections of the page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ServiceName {
    /// The project's name.
    pub project: String,
    /// The ECS cluster's name.
    pub cluster: String,
    /// The ECS service's name.
    pub service: String,
}

/// Why a line isn't one of the watcher's that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Another program wrote it.
    Foreign,
    /// It ends in the middle.
    CutOff,
    /// An event of this name isn't known: a later version wrote it.
    UnknownEvent(String),
    /// The event is known, but its fields aren't those that it has.
    WrongFields(String),
}

/// What happened. docs/logs.md has the meaning of each field.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/logs.md is the documentation of these fields")]
pub enum LoggedEvent {
    WatcherStarted,
    WatcherStopped,
    Listening,
    Reconciled {
        registered: u64,
        findings: u64,
        load_balancer_state: String,
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
    TargetGroupDeleted,
    TeardownCompleted,
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
    Diagnostic,
    #[serde(other)]
    Unknown,
}

/// The target that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "docs/logs.md is the documentation of these fields")]
pub struct LoggedTarget {
    pub task_id: Option<String>,
    pub ip: String,
    pub port: u16,
    pub target_group: String,
}

/// The call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "docs/logs.md is the documentation of these fields")]
pub struct LoggedFailure {
    pub error: String,
    pub error_service: String,
    pub error_operation: String,
    pub resource: String,
    pub error_code: Option<String>,
}

/// What every line of the watcher's has.
#[derive(Deserialize)]
struct Envelope {
    timestamp: Timestamp,
    event: String,
    message: String,
    #[serde(flatten)]
    service: ServiceName,
}

impl Line {
    /// Reads one line. Something may stand before its JSON: what collects logs puts the time or a container's name there.
    ///
    /// # Errors
    ///
    /// Why it can't be read.
    pub fn read(text: &str) -> Result<Self, Unread> {
        let json = text.find('{').and_then(|begin| text.get(begin..)).ok_or(Unread::Foreign)?;
        let value: Value = match serde_json::from_str(json) {
            Ok(value) => value,
            Err(error) if error.is_eof() && json.contains("\"timestamp\"") => return Err(Unread::CutOff),
            Err(_) => return Err(Unread::Foreign),
        };
        let Ok(Envelope { timestamp, event: name, message, service }) = Envelope::deserialize(&value) else {
            return Err(Unread::Foreign);
        };
        match LoggedEvent::deserialize(&value) {
            Ok(LoggedEvent::Unknown) => Err(Unread::UnknownEvent(name)),
            Ok(event) => Ok(Self { at: timestamp, service, message, event }),
            Err(_) => Err(Unread::WrongFields(name)),
        }
    }
}

impl LoggedTarget {
    /// Whose bar it belongs to: the task's, or where nobody knows the task, the address's.
    pub fn owner(&self) -> &str {
        self.task_id.as_deref().unwrap_or(&self.ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-11-20T18:00:54.780Z","level":"INFO","event":"target_group_deleted","target_group":"g","message":"deleted","project":"p","cluster":"c","service":"s"}"#;

    #[test]
    fn every_event_of_the_documentation_can_be_read() {
        let documentation = include_str!("../../../docs/logs.md");
        let examples: Vec<&str> = documentation.lines().filter(|line| line.starts_with('{')).collect();
        assert!(examples.len() > 20, "the documentation has its examples");
        for example in examples {
            assert!(Line::read(example).is_ok(), "{:?}: {example}", Line::read(example));
        }
    }

    #[test]
    fn what_collects_logs_may_put_something_before_the_line() {
        let line = Line::read(LINE).expect("a line");
        assert_eq!(Line::read(&format!("2026-11-20T18:00:55Z worker-1 {LINE}\r")), Ok(line));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let with = |from: &str, to: &str| Line::read(&LINE.replace(from, to));
        assert_eq!(Line::read(""), Err(Unread::Foreign));
        assert_eq!(Line::read("START RequestId: 8476a536 Version: $LATEST"), Err(Unread::Foreign));
        assert_eq!(Line::read(r#"{"msg":"another program's"}"#), Err(Unread::Foreign));
        assert_eq!(with("2026-11-20T", "yesterday "), Err(Unread::Foreign));
        assert_eq!(Line::read(&LINE[..90]), Err(Unread::CutOff));
        assert_eq!(with("target_group_deleted", "made_tea"), Err(Unread::UnknownEvent("made_tea".to_owned())));
        let wrong = with("target_group_deleted", "lines_dropped");
        assert_eq!(wrong, Err(Unread::WrongFields("lines_dropped".to_owned())));
        let deep = format!("{}{}", "{\"a\":".repeat(500), "}".repeat(500));
        assert_eq!(Line::read(&deep), Err(Unread::Foreign));
    }
}
