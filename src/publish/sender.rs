//! Sends what waits, beside the work, for as long as the process lives.

use std::time::Duration;

use super::{Entry, EventBus, Publisher, Refused};
use crate::log::{Event, Failure, Log};
use crate::retry::{Prospect, Retry, prospect};

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
        let (refused, whole_call) = match bus.put(&entries).await {
            Ok(refused) => (refused, false),
            Err(error) => ((0..entries.len()).map(|index| Refused { index, error: error.clone() }).collect(), true),
        };
        let Some(Refused { error, .. }) = refused.first() else {
            self.lock().put_back(Vec::new());
            retry.succeeded();
            return None;
        };
        // A call that fails may be for a person to mend, and then its events can go. An event that the bus itself refuses
        // for good never will.
        let goes_again = |refused: &Refused| whole_call || prospect(refused.error.kind) == Prospect::Passing;
        let (attempt, wait) = retry.failed(error.kind);
        let again: Vec<_> = refused.iter().filter(|refused| goes_again(refused)).map(|refused| refused.index).collect();
        let lost = refused.len() - again.len();
        let (waiting, dropped) = {
            let mut queue = self.lock();
            queue.put_back(again.into_iter().filter_map(|index| entries.get(index).cloned()).collect());
            queue.dropped += lost as u64;
            (queue.entries.len(), queue.dropped)
        };
        let wait = if waiting == 0 { Duration::ZERO } else { wait };
        log.emit(&Event::PublishFailed { failure: Failure::new(error, attempt, wait), waiting, dropped });
        Some(wait)
    }
}
