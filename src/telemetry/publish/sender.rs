//! Sends buffered events.

use std::time::Duration;

use super::Publisher;
use crate::aws::event_bus::{Entry, EventBus};
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure, Log};

impl Publisher {
    /// Sends events to a bus until the process ends, and logs failures.
    pub async fn keep_sending(self, bus: impl EventBus, log: Log) {
        let mut retry = Retry::default();
        loop {
            let entries = self.next().await;
            let wait = self.send(&bus, entries, &mut retry, &log).await;
            self.shared.sent.notify_waiters();
            if let Some(wait) = wait {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.shared.ending.notified() => {}
                }
            }
        }
    }

    /// Waits for events, and takes as many as one call takes.
    async fn next(&self) -> Vec<Entry> {
        loop {
            let buffered = self.shared.buffered.notified();
            let entries = self.lock().take();
            if !entries.is_empty() {
                return entries;
            }
            buffered.await;
        }
    }

    /// Makes one call. Returns the time to wait before the next one if it failed.
    async fn send(&self, bus: &impl EventBus, entries: Vec<Entry>, retry: &mut Retry, log: &Log) -> Option<Duration> {
        let count = entries.len();
        let (to_retry, failed, error) = match bus.put(&entries).await {
            // Also a permanent error is retried: an operator may resolve it.
            Err(error) => (entries, count, Some(error)),
            // An entry that the bus rejects permanently isn't: its content won't change.
            Ok(rejected) => {
                let transient = rejected.iter().filter(|entry| entry.error.kind.is_transient());
                let to_retry = transient.filter_map(|entry| entries.get(entry.index).cloned()).collect();
                (to_retry, rejected.len(), rejected.into_iter().next().map(|entry| entry.error))
            }
        };
        let dropped = failed - to_retry.len();
        let (waiting, dropped) = {
            let mut buffer = self.lock();
            buffer.put_back(to_retry);
            buffer.dropped += dropped as u64;
            (buffer.entries.len(), buffer.dropped)
        };
        let Some(error) = error else {
            retry.succeeded();
            return None;
        };
        let (attempt, wait) = retry.failed(error.kind);
        let wait = if waiting == 0 { Duration::ZERO } else { wait };
        log.emit(&Event::PublishFailed { failure: Failure::new(&error, attempt, wait), waiting, dropped });
        Some(wait)
    }
}
