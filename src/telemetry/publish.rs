//! The watcher's own events for others, on an EventBridge bus. docs/events.md lists them.
//!
//! Which they are follows from the log's events, so that the two can't tell different things. They wait here, and are sent
//! (`sender`) beside the work, which never waits for them: a bus that hangs costs the oldest of what waits, and no look.
//!
//! An event comes at least once while the process lives. What waits when it is killed is lost; but findings that stand are
//! raised anew by the next process, and a teardown is completed by whoever completes it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::aws::event_bus::Entry;
use crate::telemetry::log::{Event, Subscriber};
use jvb_watcher_rules::finding::FindingState;

mod sender;

/// So many wait at most; an evening has some dozens.
const LONGEST_QUEUE: usize = 1_000;

/// PutEvents takes ten entries a call (see its API reference).
const ENTRIES_PER_CALL: usize = 10;

/// PutEvents takes 256 KB a call (see "Calculating PutEvents event entry size" in EventBridge's user guide).
const BYTES_PER_CALL: usize = 256 * 1024;

/// The kind of event that an event of the log is to others; `None` if it is the watcher's own business.
fn detail_type(event: &Event) -> Option<&'static str> {
    match event {
        Event::TargetRegistered { .. } => Some("Target Registered"),
        Event::TargetDeregistered { .. } => Some("Target Deregistered"),
        Event::TeardownCompleted { .. } => Some("Load Balancer Torn Down"),
        Event::IdleUnmarked { .. } => Some("Teardown Cancelled"),
        Event::Finding { state, .. } => match state {
            FindingState::Raised | FindingState::Changed => Some("Finding Raised"),
            FindingState::Cleared => Some("Finding Cleared"),
            // Said again for readers of the log, who may not look far back.
            FindingState::Repeated => None,
        },
        _ => None,
    }
}

/// Where events wait until they are sent. Clones are of the same queue.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Waiting>,
    /// Something waits.
    stirred: Notify,
    /// There is no time left to wait between two tries.
    hurried: Notify,
    /// Something was sent.
    sent: Notify,
    /// What tells this process's events from another's.
    process: u64,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// In a call under way.
    in_hand: usize,
    /// So many have been made.
    made: u64,
    /// So many had to go, for want of room or because the bus refused them for good.
    dropped: u64,
}

impl Default for Publisher {
    fn default() -> Self {
        let process = RandomState::new().hash_one(std::process::id());
        let [stirred, hurried, sent] = [const { Notify::const_new() }; 3];
        let shared = Shared { queue: Mutex::default(), stirred, hurried, sent, process };
        Self { shared: Arc::new(shared) }
    }
}

impl Subscriber for Publisher {
    fn receive(&self, event: &Event, at: Timestamp, line: &dyn Fn() -> Map<String, Value>) {
        self.offer(event, at, line);
    }
}

impl Publisher {
    /// Queues an event of the log, if it is one to publish, with its line.
    fn offer(&self, event: &Event, at: Timestamp, line: &dyn Fn() -> Map<String, Value>) {
        let Some(detail_type) = detail_type(event) else { return };
        let mut detail = line();
        let mut queue = self.lock();
        queue.made += 1;
        let id = format!("{:016x}-{}", self.shared.process, queue.made);
        detail.insert("id".to_owned(), id.into());
        queue.entries.push_back(Entry { detail_type, time: at, detail: Value::Object(detail).to_string() });
        queue.make_room();
        drop(queue);
        self.shared.stirred.notify_one();
    }

    /// Waits until all is sent, but no longer than this.
    pub async fn flush(&self, limit: Duration) {
        let all_sent = async {
            loop {
                let sent = self.shared.sent.notified();
                if self.lock().is_empty() {
                    return;
                }
                sent.await;
            }
        };
        self.shared.hurried.notify_one();
        let _ = tokio::time::timeout(limit, all_sent).await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.in_hand == 0
    }

    /// What one call takes of the oldest.
    fn take(&mut self) -> Vec<Entry> {
        let mut bytes = 0;
        let mut fits = |entry: &Entry| {
            bytes += entry.bytes();
            bytes <= BYTES_PER_CALL
        };
        let count = self.entries.iter().take(ENTRIES_PER_CALL).take_while(|entry| fits(entry)).count();
        // One that is too large alone is for the bus to refuse.
        let count = count.max(1).min(self.entries.len());
        self.in_hand = count;
        self.entries.drain(..count).collect()
    }

    /// Takes back what is to be sent once more.
    fn put_back(&mut self, entries: Vec<Entry>) {
        self.in_hand = 0;
        for entry in entries.into_iter().rev() {
            self.entries.push_front(entry);
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.entries.len() > LONGEST_QUEUE {
            self.entries.pop_front();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
