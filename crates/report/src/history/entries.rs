//! The entries of the event list.

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent};

/// An entry of the event list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The time of the event.
    pub at: Timestamp,
    /// The kind of event.
    pub kind: EntryKind,
    /// The event as a sentence.
    pub text: String,
}

/// The kinds of events that the list tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A target was registered.
    Registered,
    /// A target became healthy.
    Healthy,
    /// A target became unhealthy.
    Unhealthy,
    /// A target was deregistered.
    Deregistered,
    /// The idle mark or a hold was placed or removed.
    Mark,
    /// A stop of the unused service was announced, withdrawn or made.
    Stop,
    /// A step of a teardown.
    Teardown,
    /// A finding was raised, changed or cleared.
    Finding,
    /// A call failed, or a message was rejected.
    Failure,
    /// Any other event, such as the start of the watcher.
    Other,
}

impl Entry {
    /// Returns the entry of a line. Reconciliations, metrics and repetitions have none.
    pub fn of(line: &Line) -> Option<Self> {
        let kind = match &line.event {
            LoggedEvent::TargetRegistered { .. } => EntryKind::Registered,
            LoggedEvent::TargetDeregistered { .. } => EntryKind::Deregistered,
            LoggedEvent::TargetHealthChanged { to, .. } => match to.as_str() {
                "healthy" => EntryKind::Healthy,
                "unhealthy" => EntryKind::Unhealthy,
                _ => EntryKind::Other,
            },
            LoggedEvent::IdleMarked { .. }
            | LoggedEvent::IdleUnmarked
            | LoggedEvent::HoldPlaced
            | LoggedEvent::HoldReleased => EntryKind::Mark,
            LoggedEvent::StopAnnounced { .. } | LoggedEvent::StopWithdrawn { .. } | LoggedEvent::ServiceStopped => {
                EntryKind::Stop
            }
            LoggedEvent::TeardownStarted
            | LoggedEvent::LoadBalancerDeleted { .. }
            | LoggedEvent::TargetGroupDeleted { .. }
            | LoggedEvent::TeardownCompleted => EntryKind::Teardown,
            LoggedEvent::Finding { state, .. } if state == "repeated" => return None,
            LoggedEvent::Finding { .. } => EntryKind::Finding,
            LoggedEvent::PollFailed { .. }
            | LoggedEvent::ReconcileFailed { .. }
            | LoggedEvent::FeedCheckFailed { .. }
            | LoggedEvent::FindingCheckFailed { .. }
            | LoggedEvent::PublishFailed { .. }
            | LoggedEvent::DiscoveryFailed { .. }
            | LoggedEvent::ConfigRejected { .. }
            | LoggedEvent::MessageRejected { .. }
            | LoggedEvent::InvocationRejected { .. }
            | LoggedEvent::OperationFailed
            | LoggedEvent::LinesDropped { .. } => EntryKind::Failure,
            LoggedEvent::WatcherStarted { .. }
            | LoggedEvent::WatcherStopped
            | LoggedEvent::ServiceAdded { .. }
            | LoggedEvent::ServiceReplaced { .. }
            | LoggedEvent::ServiceRemoved
            | LoggedEvent::ConfigReloaded
            | LoggedEvent::ExportFailed
            | LoggedEvent::ExportRecovered
            | LoggedEvent::Listening
            | LoggedEvent::PhaseCompleted
            | LoggedEvent::OperationCompleted
            | LoggedEvent::TaskVersionBehind
            | LoggedEvent::Planned
            | LoggedEvent::TargetsHealthy
            | LoggedEvent::Diagnostic => EntryKind::Other,
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

impl EntryKind {
    /// Returns the kind's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Deregistered => "deregistered",
            Self::Mark => "mark",
            Self::Stop => "stop",
            Self::Teardown => "teardown",
            Self::Finding => "finding",
            Self::Failure => "failure",
            Self::Other => "other",
        }
    }
}
