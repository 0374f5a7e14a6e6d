//! What became of one service's balancer, tasks and findings, as its lines tell it.

use jiff::Timestamp;

use super::line::{Line, LoggedEvent, LoggedFailure};
use super::period::Period;
use balancer::Balancers;
use findings::Findings;
use tasks::Tasks;

pub mod balancer;
pub mod findings;
pub mod tasks;

pub use balancer::BalancerLife;
pub use findings::FindingLife;
pub use tasks::{TargetState, TaskLife};

/// All that the page tells of one service.
#[derive(Debug, PartialEq)]
pub struct History {
    /// From the first line to the last.
    pub period: Period,
    /// The balancers, in the order of their beginnings.
    pub balancers: Vec<BalancerLife>,
    /// The tasks, in the order of their beginnings.
    pub tasks: Vec<TaskLife>,
    /// The findings, in the order of their beginnings.
    pub findings: Vec<FindingLife>,
    /// What failed, in the order of time.
    pub failures: Vec<Failure>,
    /// What happened, in the order of time; without the looks, and what only repeats.
    pub moments: Vec<Moment>,
    /// Balancers that the watcher deleted.
    pub teardowns: usize,
    /// The requests to AWS.
    pub aws_calls: u64,
    /// From the event's time to the registration, of each target where an event named the task, in milliseconds.
    pub registered_after_ms: Vec<u64>,
    /// From the task's start to the target's first being healthy, in milliseconds.
    pub healthy_after_ms: Vec<u64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: MomentKind,
    /// What, as a sentence.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// A target was registered.
    Registered,
    /// A target became healthy.
    Healthy,
    /// A target became unhealthy.
    Unhealthy,
    /// A target was deregistered.
    Deregistered,
    /// The idle mark was written or removed.
    Mark,
    /// A step of a teardown.
    Teardown,
    /// A finding came, changed or went.
    Finding,
    /// Something failed.
    Failure,
    /// The watcher began or ended, or anything else that a person may want to know.
    Other,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What failed: of a call its name, and AWS's code where there is one.
    pub what: String,
    /// On which resource; empty where it is none.
    pub resource: String,
    /// As a sentence.
    pub text: String,
}

impl History {
    /// The history that these lines tell, which are in the order of their time; none if there are none.
    pub fn of(lines: &[Line]) -> Option<Self> {
        let period = Period::new(lines.first()?.at, lines.last()?.at);
        let mut balancers = Balancers::new(period);
        let mut tasks = Tasks::new(period);
        let mut findings = Findings::new(period);
        let mut aws_calls: u64 = 0;
        for line in lines {
            balancers.read(line);
            tasks.read(line);
            findings.read(line);
            if let LoggedEvent::Reconciled { aws_calls: calls, .. } = &line.event {
                aws_calls = aws_calls.saturating_add(*calls);
            }
        }
        let (balancers, teardowns) = balancers.finish();
        let (tasks, registered_after_ms, healthy_after_ms) = tasks.finish();
        Some(Self {
            period,
            balancers,
            tasks,
            findings: findings.finish(),
            failures: lines.iter().filter_map(Failure::of).collect(),
            moments: lines.iter().filter_map(Moment::of).collect(),
            teardowns,
            aws_calls,
            registered_after_ms,
            healthy_after_ms,
        })
    }
}

impl Moment {
    fn of(line: &Line) -> Option<Self> {
        let kind = match &line.event {
            LoggedEvent::TargetRegistered { .. } => MomentKind::Registered,
            LoggedEvent::TargetDeregistered { .. } => MomentKind::Deregistered,
            LoggedEvent::TargetHealthChanged { to, .. } => match to.as_str() {
                "healthy" => MomentKind::Healthy,
                "unhealthy" => MomentKind::Unhealthy,
                _ => MomentKind::Other,
            },
            LoggedEvent::IdleMarked { .. }
            | LoggedEvent::IdleUnmarked
            | LoggedEvent::HoldPlaced
            | LoggedEvent::HoldReleased => MomentKind::Mark,
            LoggedEvent::TeardownStarted
            | LoggedEvent::LoadBalancerDeleted { .. }
            | LoggedEvent::TargetGroupDeleted
            | LoggedEvent::TeardownCompleted => MomentKind::Teardown,
            LoggedEvent::Finding { state, .. } if state == "repeated" => return None,
            LoggedEvent::Finding { .. } => MomentKind::Finding,
            LoggedEvent::PollFailed { .. }
            | LoggedEvent::ReconcileFailed { .. }
            | LoggedEvent::FeedCheckFailed { .. }
            | LoggedEvent::PublishFailed { .. }
            | LoggedEvent::MessageRejected { .. }
            | LoggedEvent::InvocationRejected { .. }
            | LoggedEvent::OperationFailed
            | LoggedEvent::LinesDropped { .. } => MomentKind::Failure,
            LoggedEvent::WatcherStarted
            | LoggedEvent::WatcherStopped
            | LoggedEvent::Listening
            | LoggedEvent::PhaseCompleted
            | LoggedEvent::OperationCompleted
            | LoggedEvent::TaskVersionBehind
            | LoggedEvent::Planned
            | LoggedEvent::TargetsHealthy
            | LoggedEvent::Diagnostic => MomentKind::Other,
            LoggedEvent::PhaseStarted
            | LoggedEvent::PhaseWaiting
            | LoggedEvent::CommandOutput
            | LoggedEvent::Reconciled { .. }
            | LoggedEvent::Metrics
            | LoggedEvent::Unknown => return None,
        };
        Some(Self { at: line.at, kind, text: line.message.clone() })
    }
}

impl MomentKind {
    /// The kind in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Deregistered => "deregistered",
            Self::Mark => "idle mark",
            Self::Teardown => "teardown",
            Self::Finding => "finding",
            Self::Failure => "failure",
            Self::Other => "other",
        }
    }
}

impl Failure {
    fn of(line: &Line) -> Option<Self> {
        let (what, resource) = match &line.event {
            LoggedEvent::PollFailed { failure }
            | LoggedEvent::ReconcileFailed { failure }
            | LoggedEvent::FeedCheckFailed { failure }
            | LoggedEvent::PublishFailed { failure } => (failure.what(), failure.resource.clone()),
            LoggedEvent::MessageRejected { reason } => (format!("message rejected: {reason}"), String::new()),
            LoggedEvent::InvocationRejected { reason } => (format!("invocation rejected: {reason}"), String::new()),
            LoggedEvent::LinesDropped { .. } => ("log lines dropped".to_owned(), String::new()),
            _ => return None,
        };
        Some(Self { at: line.at, what, resource, text: line.message.clone() })
    }
}

impl LoggedFailure {
    fn what(&self) -> String {
        let code = self.error_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        format!("{}:{}{code}", self.error_service, self.error_operation)
    }
}

#[cfg(test)]
mod tests;
