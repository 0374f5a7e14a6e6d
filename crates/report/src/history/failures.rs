//! Failed calls and rejected messages.

use jiff::Timestamp;

use crate::line::{Line, LoggedEvent, LoggedFailure};

/// A failed call or a rejected message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The time of the failure.
    pub at: Timestamp,
    /// The failed call, with AWS's error code if it answered; otherwise the kind of failure.
    pub what: String,
    /// The resource; empty if there is none.
    pub resource: String,
    /// The failure as a sentence.
    pub text: String,
}

impl Failure {
    /// Returns the failure that a line reports.
    pub fn of(line: &Line) -> Option<Self> {
        let (what, resource) = match &line.event {
            LoggedEvent::PollFailed { failure }
            | LoggedEvent::ReconcileFailed { failure }
            | LoggedEvent::FeedCheckFailed { failure }
            | LoggedEvent::FindingCheckFailed { failure }
            | LoggedEvent::PublishFailed { failure }
            | LoggedEvent::DiscoveryFailed { failure } => (failed_call(failure), failure.resource.clone()),
            LoggedEvent::MessageRejected { reason } => (format!("message rejected: {reason}"), String::new()),
            LoggedEvent::InvocationRejected { reason } => (format!("invocation rejected: {reason}"), String::new()),
            LoggedEvent::ConfigRejected { file } => ("configuration rejected".to_owned(), file.clone()),
            LoggedEvent::LinesDropped { .. } => ("log lines dropped".to_owned(), String::new()),
            _ => return None,
        };
        Some(Self { at: line.at, what, resource, text: line.message.clone() })
    }
}

fn failed_call(failure: &LoggedFailure) -> String {
    let code = failure.error_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{}:{}{code}", failure.error_service, failure.error_operation)
}
