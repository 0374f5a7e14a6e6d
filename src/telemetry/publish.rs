//! Publishes events on an EventBridge bus, for `--publish-events`. docs/events.md documents them.
//!
//! The published events are events of the log; [`Event::detail_type`] defines which. They wait in a buffer that `sender`
//! empties concurrently with the work, which never waits for it: while the bus doesn't respond, the oldest events are dropped
//! and reconciliations continue.
//!
//! Delivery is at least once while the process runs. Buffered events are lost when the process is killed; the next process
//! raises active findings again, and whichever worker completes a teardown publishes that.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::aws::event_bus::Entry;
use crate::telemetry::log::{Event, Subscriber};

mod sender;

/// The size of the buffer. An evening has some dozens of events.
const MAX_BUFFERED: usize = 1_000;

/// The maximum number of entries in a PutEvents call (see its API reference).
const ENTRIES_PER_CALL: usize = 10;

/// The maximum size of a PutEvents call (see "Calculating PutEvents event entry size" in EventBridge's user guide).
const BYTES_PER_CALL: usize = 256 * 1024;

/// A subscriber of the log that publishes events. Clones share the buffer.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

struct Shared {
    buffer: Mutex<Buffer>,
    /// Notified when an event is buffered.
    buffered: Notify,
    /// Notified when the process ends, and there is no time to wait before a retry.
    ending: Notify,
    /// Notified after each call.
    sent: Notify,
    /// The prefix of this process's event IDs.
    process: u64,
}

#[derive(Default)]
struct Buffer {
    entries: VecDeque<Entry>,
    /// The number of entries in the current call.
    in_flight: usize,
    /// The number of events since the process started.
    count: u64,
    /// The number of events dropped: rejected permanently, or in excess of the buffer.
    dropped: u64,
}

impl Default for Publisher {
    fn default() -> Self {
        let process = RandomState::new().hash_one(std::process::id());
        let [buffered, ending, sent] = [const { Notify::const_new() }; 3];
        Self { shared: Arc::new(Shared { buffer: Mutex::default(), buffered, ending, sent, process }) }
    }
}

impl Subscriber for Publisher {
    fn receive(&self, event: &Event, at: Timestamp, line: &dyn Fn() -> Map<String, Value>) {
        let Some(detail_type) = event.detail_type() else { return };
        let mut detail = line();
        let mut buffer = self.lock();
        buffer.count += 1;
        let id = format!("{:016x}-{}", self.shared.process, buffer.count);
        detail.insert("id".to_owned(), id.into());
        buffer.entries.push_back(Entry { detail_type, time: at, detail: Value::Object(detail).to_string() });
        buffer.truncate();
        drop(buffer);
        self.shared.buffered.notify_one();
    }
}

impl Publisher {
    /// Sends all buffered events, for `limit` at most.
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
        self.shared.ending.notify_one();
        let _ = tokio::time::timeout(limit, all_sent).await;
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.shared.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.in_flight == 0
    }

    /// Removes the oldest entries, as many as one call takes.
    fn take(&mut self) -> Vec<Entry> {
        let mut bytes = 0;
        let mut fits = |entry: &Entry| {
            bytes += entry.bytes();
            bytes <= BYTES_PER_CALL
        };
        let count = self.entries.iter().take(ENTRIES_PER_CALL).take_while(|entry| fits(entry)).count();
        // An entry that is too large is sent alone, and the bus rejects it.
        let count = count.max(1).min(self.entries.len());
        self.in_flight = count;
        self.entries.drain(..count).collect()
    }

    /// Ends a call, and puts back the entries to retry.
    fn put_back(&mut self, entries: Vec<Entry>) {
        self.in_flight = 0;
        for entry in entries.into_iter().rev() {
            self.entries.push_front(entry);
        }
        self.truncate();
    }

    /// Drops the oldest entries in excess of the buffer's size.
    fn truncate(&mut self) {
        while self.entries.len() > MAX_BUFFERED {
            self.entries.pop_front();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
