//! Sends what waits, beside the work, for as long as the process lives.

use std::time::Duration;

use super::Publisher;
use crate::aws::event_bus::{Entry, EventBus};
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure, Log};

impl Publisher {
    /// Sends what waits and what comes, and says in the log what could not be sent.
    pub async fn keep_sending(self, bus: impl EventBus, log: Log) {
        let mut retry = Retry::default();
        loop {
            let entries = self.next().await;
            let wait = self.send(&bus, entries, &mut retry, &log).await;
            self.shared.sent.notify_waiters();
            if let Some(wait) = wait {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.shared.hurried.notified() => {}
                }
            }
        }
    }

    async fn next(&self) -> Vec<Entry> {
        loop {
            let stirred = self.shared.stirred.notified();
            let entries = self.lock().take();
            if !entries.is_empty() {
                return entries;
            }
            stirred.await;
        }
    }

    /// Sends one call's worth. What is left is to be tried again after so long.
    async fn send(&self, bus: &impl EventBus, entries: Vec<Entry>, retry: &mut Retry, log: &Log) -> Option<Duration> {
        let taken = entries.len();
        let (again, failed, error) = match bus.put(&entries).await {
            // For a person to mend, maybe, and then all can go.
            Err(error) => (entries, taken, Some(error)),
            // One that the bus itself refuses for good never will.
            Ok(refused) => {
                let transient = refused.iter().filter(|refused| refused.error.kind.is_transient());
                let again = transient.filter_map(|refused| entries.get(refused.index).cloned()).collect();
                (again, refused.len(), refused.into_iter().next().map(|refused| refused.error))
            }
        };
        let lost = failed - again.len();
        let (waiting, dropped) = {
            let mut queue = self.lock();
            queue.put_back(again);
            queue.dropped += lost as u64;
            (queue.entries.len(), queue.dropped)
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
