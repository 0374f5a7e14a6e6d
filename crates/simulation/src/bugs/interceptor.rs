//! The bugs of the platform and the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::Bug;
use crate::intercept::{Interceptor, Operation};
use jvb_watcher::aws::{AwsError, Deadline, ErrorKind, Message, Receipt, TargetGroupDescription};
use jvb_watcher::clock::{Moment, SharedClock};

/// The interceptors of one worker with a bug, or without one.
pub struct BugInterceptors {
    bug: Option<Bug>,
    clock: SharedClock,
    listing: Arc<Mutex<Option<Listing>>>,
}

/// The target groups of the region, as one service's search has read them.
struct Listing {
    group: String,
    groups: Vec<TargetGroupDescription>,
}

impl BugInterceptors {
    /// The interceptors of a worker whose clock this is.
    pub fn new(bug: Option<Bug>, clock: SharedClock) -> Self {
        Self { bug, clock, listing: Arc::default() }
    }

    /// Returns an interceptor for the calls about a service, or of the queue of a worker that watches it alone.
    pub fn of(&self, service: &str) -> BugInterceptor {
        BugInterceptor {
            bug: self.bug,
            clock: self.clock.clone(),
            group: format!("{SERVICE}{service}"),
            has_failed: AtomicBool::new(false),
            foreign: Mutex::default(),
            received: Mutex::default(),
            listing: self.listing.clone(),
        }
    }
}

/// The beginning of the `group` of a service's tasks.
const SERVICE: &str = "service:";

/// An interceptor of a worker with a bug, or without one.
pub struct BugInterceptor {
    bug: Option<Bug>,
    clock: SharedClock,
    /// The `group` of the service's tasks.
    group: String,
    /// True if a call has failed.
    has_failed: AtomicBool,
    /// The ids of the foreign messages that were received.
    foreign: Mutex<BTreeSet<String>>,
    /// The received messages about any service, by their ids.
    received: Mutex<BTreeMap<String, (String, Receipt)>>,
    /// What the worker's interceptors share.
    listing: Arc<Mutex<Option<Listing>>>,
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
                lock(&self.foreign).extend(ids);
                return Vec::new();
            }
            Some(Bug::DeleteMessagesOfOtherServices) => {
                let mut received = lock(&self.received);
                for message in messages {
                    if let Some(group) = group_of(&message.body).filter(|group| group.starts_with(SERVICE)) {
                        received.insert(message.receipt.message_id.clone(), (group, message.receipt.clone()));
                    }
                }
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        let messages = messages.iter().filter(|message| self.kind(&message.body) == deleted);
        messages.map(|message| message.receipt.clone()).collect()
    }

    fn deleted_with(&self, receipts: &[Receipt]) -> Vec<Receipt> {
        let foreign = lock(&self.foreign);
        let mut deleted: Vec<_> =
            receipts.iter().filter(|receipt| !foreign.contains(&receipt.message_id)).cloned().collect();
        if self.bug == Some(Bug::DeleteMessagesOfOtherServices) {
            let mut received = lock(&self.received);
            let own: BTreeSet<String> = receipts
                .iter()
                .filter_map(|receipt| received.remove(&receipt.message_id))
                .map(|(group, _)| group)
                .collect();
            let others = received.extract_if(.., |_, (group, _)| !own.contains(group));
            deleted.extend(others.map(|(_, (_, receipt))| receipt));
        }
        deleted
    }

    fn listed_groups(&self) -> Option<Vec<TargetGroupDescription>> {
        let listing = lock(&self.listing);
        let of_other = listing.as_ref().filter(|listing| listing.group != self.group);
        of_other.filter(|_| self.bug == Some(Bug::TrustSearchOfOtherServices)).map(|listing| listing.groups.clone())
    }

    fn read_groups(&self, groups: &[TargetGroupDescription]) {
        if self.bug == Some(Bug::TrustSearchOfOtherServices) {
            *lock(&self.listing) = Some(Listing { group: self.group.clone(), groups: groups.to_vec() });
        }
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

/// Returns the `group` of the task that a message is about.
fn group_of(body: &str) -> Option<String> {
    let event = serde_json::from_str::<Value>(body).ok()?;
    event["detail"]["group"].as_str().map(str::to_owned)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
