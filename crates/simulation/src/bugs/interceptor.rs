//! The bugs of the platform and the queue.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::Bug;
use crate::intercept::{Interceptor, Operation};
use jvb_watcher::aws::{AwsError, Deadline, ErrorKind, Message, Receipt};
use jvb_watcher::clock::{Moment, SharedClock};

/// The interceptor of a worker with a bug, or without one.
pub struct BugInterceptor {
    bug: Option<Bug>,
    clock: SharedClock,
    /// The beginning of the `group` of the service's tasks.
    group: String,
    /// True if a call has failed.
    has_failed: AtomicBool,
    /// The ids of the foreign messages that were received.
    foreign: Mutex<BTreeSet<String>>,
}

impl BugInterceptor {
    /// The interceptor of a worker for this service, whose clock this is.
    pub fn new(bug: Option<Bug>, service: &str, clock: SharedClock) -> Self {
        let group = format!("service:{service}");
        Self { bug, clock, group, has_failed: AtomicBool::new(false), foreign: Mutex::default() }
    }
}

/// A kind of message, as the worker distinguishes them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Relevant,
    Foreign,
    Malformed,
}

impl Interceptor for BugInterceptor {
    async fn before(&self, _: Operation) {
        if self.bug == Some(Bug::StopAfterFailure) && self.has_failed.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    fn failed(&self, error: &AwsError) {
        let kinds = [ErrorKind::Unavailable, ErrorKind::Throttled, ErrorKind::AccessDenied];
        if kinds.contains(&error.kind) {
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }

    fn hides_failed_writes(&self) -> bool {
        self.bug == Some(Bug::IgnoreFailedWrites)
    }

    fn hides_leases(&self) -> bool {
        self.bug == Some(Bug::IgnoreLease)
    }

    fn deadline(&self, deadline: &Deadline) -> Deadline {
        match self.bug {
            Some(Bug::IgnoreDeadlines) => {
                Deadline::new(Moment::now(&*self.clock), Duration::from_secs(60), self.clock.clone())
            }
            _ => deadline.clone(),
        }
    }

    fn delete_at_once(&self, messages: &[Message]) -> Vec<Receipt> {
        let deleted = match self.bug {
            Some(Bug::DeleteMessagesBeforeReconciling) => Kind::Relevant,
            Some(Bug::DeleteMalformedMessages) => Kind::Malformed,
            Some(Bug::KeepForeignMessages) => {
                let foreign = messages.iter().filter(|message| self.kind(&message.body) == Kind::Foreign);
                let ids = foreign.map(|message| message.receipt.message_id.clone());
                self.foreign.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        let messages = messages.iter().filter(|message| self.kind(&message.body) == deleted);
        messages.map(|message| message.receipt.clone()).collect()
    }

    fn may_delete(&self, receipt: &Receipt) -> bool {
        !self.foreign.lock().unwrap_or_else(PoisonError::into_inner).contains(&receipt.message_id)
    }
}

impl BugInterceptor {
    fn kind(&self, body: &str) -> Kind {
        match serde_json::from_str::<Value>(body) {
            Ok(event) if event["detail"]["group"] == self.group.as_str() => Kind::Relevant,
            Ok(_) => Kind::Foreign,
            Err(_) => Kind::Malformed,
        }
    }
}
