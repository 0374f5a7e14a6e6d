//! The queue loop: receive, sort, have the service reconciled, delete; and look by the clock when nothing comes.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::SharedClock;
use crate::cloud::{CloudError, FailedEntry, Platform, Queue, QueueSettings, Receipt};
use crate::log::{Event, Failure, Log, StopReason};
use crate::reconcile::{Outcome, Progress, Reconciler};
use crate::retry::Retry;
use crate::shutdown::{GRACE, Shutdown};

mod inbox;

pub use inbox::{Batch, Inbox};

/// ReceiveMessage waits at most so long for a first message (see the SQS API reference).
const LONGEST_POLL: Duration = Duration::from_secs(20);

/// The wait for a first message when the worker is to stop once there is none: long enough for SQS to ask all of its
/// servers, which a wait of 0 does not.
const LAST_POLL: Duration = Duration::from_secs(1);

/// A batch takes in no more than this: its receipts stay in memory while AWS fails.
const BATCH_MESSAGES: usize = 2_000;

/// Draining ends after this time, so that a steady stream of events can't put off the look.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The batch calls of SQS take at most ten entries.
const ENTRIES_PER_CALL: usize = 10;

/// How often to ask for deletion in all, before a message is left to come again.
const DELETE_TRIES: u32 = 3;

/// While a batch is in hand its messages are hidden for this long at a time, and again at half of it.
const HIDE_FOR: Duration = Duration::from_secs(60);

/// The queue's settings are read this often: an operator may give it a redrive policy at any time.
const SETTINGS_GOOD_FOR: Duration = Duration::from_secs(60 * 60);

/// When the worker stops by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Never: only when told to.
    UntilStopped,
    /// Once the queue is empty and nothing is left to do.
    UntilEmpty,
}

/// Keeps one service true by what its queue says.
pub struct Worker<Q, P> {
    queue: Q,
    reconciler: Reconciler<P>,
    inbox: Inbox,
    lifetime: Lifetime,
    shutdown: Shutdown,
    log: Log,
    clock: SharedClock,
    poll: Poll,
}

/// Where the polling stands.
struct Poll {
    settings: QueueSettings,
    settings_read_at: Instant,
    retry: Retry,
    /// After a failed poll, when to poll again.
    not_before: Instant,
}

impl<Q: Queue, P: Platform> Worker<Q, P> {
    /// A worker that hasn't looked yet, on a queue and its settings as just read.
    pub fn new(
        (queue, settings): (Q, QueueSettings),
        reconciler: Reconciler<P>,
        inbox: Inbox,
        lifetime: Lifetime,
        shutdown: Shutdown,
        log: Log,
        clock: SharedClock,
    ) -> Self {
        let now = Instant::now();
        let poll = Poll { settings, settings_read_at: now, retry: Retry::default(), not_before: now };
        Self { queue, reconciler, inbox, lifetime, shutdown, log, clock, poll }
    }

    /// Works until told to stop; see [`Lifetime`] for when it stops by itself. Whatever fails is tried again.
    pub async fn run(mut self) -> StopReason {
        // What happened while no worker ran is repaired before the first message.
        let Some(mut outcome) = self.settle(Batch::default()).await else {
            return self.shutdown.begun().await;
        };
        loop {
            let batch = self.receive(outcome.look_again_at).await;
            let polled = batch.is_some();
            let batch = batch.unwrap_or_default();
            if let Some(reason) = self.shutdown.ordered() {
                self.hide(&batch.relevant, Duration::ZERO).await;
                return reason;
            }
            let empty = batch.is_empty();
            if !batch.relevant.is_empty() || self.clock.now() >= outcome.look_again_at {
                match self.settle(batch).await {
                    Some(settled) => outcome = settled,
                    None => return self.shutdown.begun().await,
                }
            }
            if self.lifetime == Lifetime::UntilEmpty && polled && empty && outcome.progress == Progress::Settled {
                return StopReason::QueueEmpty;
            }
        }
    }

    // ---- receiving ----

    /// Waits for messages until the next look is due, and takes in what is there. `None` when the queue couldn't be read.
    async fn receive(&mut self, look_again_at: Timestamp) -> Option<Batch> {
        let until_look = Duration::try_from(look_again_at.duration_since(self.clock.now())).unwrap_or_default();
        let until_poll = self.poll.not_before.saturating_duration_since(Instant::now());
        if !until_poll.is_zero() {
            // A queue that can't be read doesn't keep the clock from having its looks.
            self.sleep(until_poll.min(until_look)).await;
            return None;
        }
        self.refresh_settings().await;
        let longest = match self.lifetime {
            Lifetime::UntilStopped => LONGEST_POLL,
            Lifetime::UntilEmpty => LAST_POLL,
        };
        let mut batch = Batch::default();
        let began = Instant::now();
        // Whole seconds, upwards: a poll that ended just before the look would be followed by a rush of empty ones.
        let mut wait = longest.min(Duration::from_secs(until_look.as_secs_f64().ceil() as u64));
        let result = loop {
            let received = tokio::select! {
                biased;
                // A poll that is let go of may have taken messages; they come back after the visibility timeout.
                _ = self.shutdown.begun() => break Ok(()),
                received = self.queue.receive(wait) => received,
            };
            let messages = match received {
                Ok(messages) => messages,
                Err(error) => break Err(error),
            };
            let drained = messages.is_empty();
            for message in messages {
                self.inbox.sort(message, self.poll.settings.redrive, &mut batch);
            }
            if drained || batch.len() >= BATCH_MESSAGES || began.elapsed() >= DRAIN_TIME + wait {
                break Ok(());
            }
            wait = Duration::ZERO;
        };
        self.reconciler.count_messages(batch.relevant.len(), batch.foreign);
        self.delete(std::mem::take(&mut batch.done)).await;
        match result {
            Ok(()) => self.poll.retry.succeeded(),
            Err(error) => self.poll_failed(&error),
        }
        Some(batch)
    }

    async fn refresh_settings(&mut self) {
        if self.poll.settings_read_at.elapsed() < SETTINGS_GOOD_FOR {
            return;
        }
        self.poll.settings_read_at = Instant::now();
        match self.queue.settings().await {
            Ok(settings) => self.poll.settings = settings,
            // The old ones serve for another while.
            Err(error) => self.log_poll_failed(&error, 1, SETTINGS_GOOD_FOR),
        }
    }

    fn poll_failed(&mut self, error: &CloudError) {
        let (attempt, wait) = self.poll.retry.failed(error.kind);
        self.poll.not_before = Instant::now() + wait;
        self.log_poll_failed(error, attempt, wait);
    }

    fn log_poll_failed(&self, error: &CloudError, attempt: u32, retry_in: Duration) {
        self.log.emit(&Event::PollFailed { failure: Failure::new(error, attempt, retry_in) });
    }

    async fn sleep(&self, duration: Duration) {
        tokio::select! {
            _ = self.shutdown.begun() => {}
            () = tokio::time::sleep(duration) => {}
        }
    }

    // ---- settling ----

    /// Reconciles until it succeeds, keeps the batch hidden meanwhile, and deletes it then. `None` when the shutdown
    /// came first: then the batch is visible again.
    async fn settle(&mut self, batch: Batch) -> Option<Outcome> {
        let outcome = {
            let Self { queue, reconciler, shutdown, log, poll, .. } = self;
            let keep_hidden = keep_hidden(queue, &batch.relevant, poll.settings.visibility_timeout, log);
            tokio::select! {
                biased;
                outcome = reconcile_until_done(reconciler, &batch, || queue.calls(), shutdown, log) => outcome,
                () = shutdown.grace_over() => None,
                never = keep_hidden => match never {},
            }
        };
        let receipts = batch.relevant;
        let finish = async {
            match outcome {
                Some(_) => self.delete(receipts).await,
                None => self.hide(&receipts, Duration::ZERO).await,
            }
        };
        if self.shutdown.ordered().is_some() {
            // What isn't deleted in time comes again, and does no harm.
            let _ = tokio::time::timeout(GRACE, finish).await;
        } else {
            finish.await;
        }
        outcome
    }

    /// Deletes messages. What can't be deleted comes again.
    async fn delete(&self, mut receipts: Vec<Receipt>) {
        for attempt in 1..=DELETE_TRIES {
            let mut left = Vec::new();
            for entries in receipts.chunks(ENTRIES_PER_CALL) {
                match self.queue.delete(entries).await {
                    Ok(failed) => left.extend(failed.into_iter().map(|entry: FailedEntry| entry.receipt)),
                    Err(error) => {
                        self.log_poll_failed(&error, attempt, Duration::ZERO);
                        left.extend_from_slice(entries);
                    }
                }
            }
            receipts = left;
            if receipts.is_empty() {
                return;
            }
        }
    }

    async fn hide(&self, receipts: &[Receipt], visibility_timeout: Duration) {
        hide(&self.queue, receipts, visibility_timeout, &self.log).await;
    }
}

/// Reconciles until it succeeds; `None` when it hasn't, and the shutdown was ordered.
async fn reconcile_until_done<P: Platform>(
    reconciler: &mut Reconciler<P>,
    batch: &Batch,
    queue_calls: impl Fn() -> u64,
    shutdown: &Shutdown,
    log: &Log,
) -> Option<Outcome> {
    let mut retry = Retry::default();
    loop {
        let error = match reconciler.reconcile(&batch.hints, queue_calls()).await {
            Ok(outcome) => return Some(outcome),
            Err(error) => error,
        };
        let (attempt, wait) = retry.failed(error.kind);
        log.emit(&Event::ReconcileFailed { failure: Failure::new(&error, attempt, wait) });
        tokio::select! {
            biased;
            _ = shutdown.begun() => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Keeps messages hidden for as long as it is polled.
async fn keep_hidden<Q: Queue>(
    queue: &Q,
    receipts: &[Receipt],
    visibility_timeout: Duration,
    log: &Log,
) -> std::convert::Infallible {
    let mut hidden_for = visibility_timeout;
    loop {
        tokio::time::sleep(hidden_for / 2).await;
        hide(queue, receipts, HIDE_FOR, log).await;
        hidden_for = HIDE_FOR;
    }
}

/// Hides messages for so long, or, with zero, shows them. What fails comes back earlier or later, and does no harm.
async fn hide<Q: Queue>(queue: &Q, receipts: &[Receipt], visibility_timeout: Duration, log: &Log) {
    for entries in receipts.chunks(ENTRIES_PER_CALL) {
        if let Err(error) = queue.hide(entries, visibility_timeout).await {
            log.emit(&Event::PollFailed { failure: Failure::new(&error, 1, HIDE_FOR / 2) });
        }
    }
}

#[cfg(test)]
mod tests;
