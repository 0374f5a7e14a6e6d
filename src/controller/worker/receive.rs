//! Receiving: polls the queue until the next reconciliation is due, and drains what is there.

use std::time::Duration;

use tokio::time::Instant;

use super::{Lifetime, SETTINGS_VALID_FOR, Worker};
use crate::aws::{AwsError, ControllerPlatform, Queue, QueueSettings};
use crate::controller::inbox::Batch;
use crate::controller::liveness::Activity;
use crate::retry::{Jitter, Retry};
use crate::telemetry::log::{Event, Failure};

/// The wait for a message when the worker is to stop once there is none: long enough for SQS to ask all of its servers,
/// which a wait of 0 does not.
const LAST_POLL: Duration = Duration::from_secs(1);

/// The most messages in a batch: their receipts stay in memory while AWS fails.
const BATCH_MESSAGES: usize = 2_000;

/// The longest time of draining the queue, so that a steady stream of events can't postpone the reconciliation.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The state of polling.
pub(super) struct Polling {
    settings: QueueSettings,
    /// The time of the next read of the settings.
    settings_due: Instant,
    retry: Retry,
    /// After a failed poll, when to poll again.
    not_before: Instant,
}

impl Polling {
    /// Polling that begins now.
    pub(super) fn new(settings: Option<QueueSettings>, jitter: Jitter) -> Self {
        let now = Instant::now();
        Self {
            settings: settings.unwrap_or_default(),
            settings_due: settings.map_or(now, |_| now + SETTINGS_VALID_FOR),
            retry: Retry::new(jitter),
            not_before: now,
        }
    }

    /// The queue's visibility timeout.
    pub(super) fn visibility_timeout(&self) -> Duration {
        self.settings.visibility_timeout
    }
}

/// The part of the queue that was received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Everything that SQS showed.
    All,
    /// A part: the batch is large enough, or the shutdown was ordered.
    Some,
    /// The queue couldn't be read.
    Failed,
}

impl<Q: Queue, P: ControllerPlatform> Worker<Q, P> {
    /// Receives messages until the next reconciliation is due, and deletes those that need none.
    pub(super) async fn receive(&mut self) -> (Batch, Received) {
        if self.polling.not_before > Instant::now() {
            // A queue that can't be read doesn't delay the reconciliation.
            self.sleep_until(self.polling.not_before.min(self.requeue_at)).await;
            return (Batch::default(), Received::Failed);
        }
        let mut batch = Batch::default();
        let received = match self.drain(&mut batch).await {
            Ok(received) => {
                self.polling.retry.succeeded();
                received
            }
            Err(error) => {
                let (attempt, wait) = self.polling.retry.failed(error.kind);
                self.polling.not_before = Instant::now() + wait;
                self.context.log.emit(&Event::PollFailed { failure: Failure::new(&error, attempt, wait) });
                Received::Failed
            }
        };
        self.context.totals.set_queue_calls(self.queue.calls());
        self.delete(std::mem::take(&mut batch.deletable)).await;
        (batch, received)
    }

    /// Receives until the queue shows no message, or the batch is large enough.
    async fn drain(&mut self, batch: &mut Batch) -> Result<Received, AwsError> {
        self.read_settings().await?;
        let until_requeue = self.requeue_at.saturating_duration_since(Instant::now());
        let mut wait = match self.lifetime {
            // Rounded up to whole seconds: a poll that ends just before the time would be followed by many empty ones.
            Lifetime::UntilStopped => {
                self.timing.longest_poll.min(Duration::from_secs(until_requeue.as_secs_f64().ceil() as u64))
            }
            Lifetime::UntilEmpty => LAST_POLL,
        };
        let mut drain_until = None;
        loop {
            self.liveness.begin(Activity::Receiving(wait));
            let messages = tokio::select! {
                biased;
                // A poll that is cancelled may have received messages; they reappear after the visibility timeout.
                _ = self.shutdown.begun() => return Ok(Received::Some),
                received = self.queue.receive(wait) => received?,
            };
            if messages.is_empty() {
                return Ok(Received::All);
            }
            for message in messages {
                self.inbox.add(message, self.polling.settings.redrive, batch);
            }
            let drain_until = *drain_until.get_or_insert_with(|| Instant::now() + DRAIN_TIME);
            if batch.len() >= BATCH_MESSAGES || Instant::now() >= drain_until {
                return Ok(Received::Some);
            }
            wait = Duration::ZERO;
        }
    }

    async fn read_settings(&mut self) -> Result<(), AwsError> {
        if Instant::now() >= self.polling.settings_due {
            self.liveness.begin(Activity::Receiving(Duration::ZERO));
            self.polling.settings = tokio::select! {
                biased;
                _ = self.shutdown.begun() => return Ok(()),
                settings = self.queue.settings() => settings?,
            };
            self.polling.settings_due = Instant::now() + SETTINGS_VALID_FOR;
        }
        Ok(())
    }

    async fn sleep_until(&self, deadline: Instant) {
        self.liveness.begin(Activity::Waiting(deadline.saturating_duration_since(Instant::now())));
        tokio::select! {
            biased;
            _ = self.shutdown.begun() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}
