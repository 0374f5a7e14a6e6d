//! The queue loop: receive, sort, have the service reconciled, delete; and look by the clock when nothing comes.

use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{AwsError, Calls, ErrorKind, FailedEntry, Platform, Queue, QueueSettings, Receipt};
use crate::clock::SharedClock;
use crate::controller::liveness::{Activity, Liveness};
use crate::controller::reconcile::{Outcome, Progress, Reconciler};
use crate::retry::{Jitter, Retry};
use crate::shutdown::{GRACE, Shutdown};
use crate::telemetry::log::{Event, Failure, Log, StopReason};

mod attempt;
mod inbox;

pub use attempt::{FailedAttempt, attempt};
pub use inbox::{Batch, Inbox};
#[cfg(feature = "lambda")]
pub(crate) use inbox::{LAST_RECEIVE, LOGGED_BODY, cut};

/// ReceiveMessage waits at most so long for a first message (see the SQS API reference).
pub const LONGEST_POLL: Duration = Duration::from_secs(20);

/// The wait for a first message when the worker is to stop once there is none: long enough for SQS to ask all of its
/// servers, which a wait of 0 does not.
const LAST_POLL: Duration = Duration::from_secs(1);

/// A batch takes in no more than this: its receipts stay in memory while AWS fails.
const BATCH_MESSAGES: usize = 2_000;

/// Draining ends after this time, so that a steady stream of events can't put off the look.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The batch calls of SQS take at most ten entries.
const ENTRIES_PER_CALL: usize = 10;

/// How often an entry that fails within a batch call is tried in all, before its message is left to come again.
const DELETE_TRIES: u32 = 2;

/// How long deleting a batch may take: two hundred calls take some seconds. What is left then comes again, and does no
/// harm; a look that is put off does.
const DELETE_TIME: Duration = Duration::from_secs(20);

/// No look follows another sooner, whatever the plan asks for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// While a batch is in hand its messages are hidden for this long at a time, and again at half of it.
const HIDE_FOR: Duration = Duration::from_secs(60);

/// The queue's settings are read this often: an operator may give it a redrive policy at any time.
pub(crate) const SETTINGS_VALID_FOR: Duration = Duration::from_secs(60 * 60);

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
    liveness: Liveness,
    timing: Timing,
    poll: Poll,
}

/// What a worker is made of.
pub struct WorkerParts<Q, P> {
    /// The queue.
    pub queue: Q,
    /// The queue's settings, if they have been read.
    pub queue_settings: Option<QueueSettings>,
    /// The reconciler of the service.
    pub reconciler: Reconciler<P>,
    /// The parser of messages.
    pub inbox: Inbox,
    /// When the worker stops by itself.
    pub lifetime: Lifetime,
    /// The order to stop.
    pub shutdown: Shutdown,
    /// The log.
    pub log: Log,
    /// The clock, corrected by AWS's.
    pub clock: SharedClock,
    /// What `/healthz` and `/readyz` report.
    pub liveness: Liveness,
    /// How long the worker waits.
    pub timing: Timing,
}

/// How long a worker waits.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The wait for a first message; [`LONGEST_POLL`] is what SQS accepts.
    pub longest_poll: Duration,
    /// The variation of waits between retries.
    pub jitter: Jitter,
}

impl Default for Timing {
    fn default() -> Self {
        Self { longest_poll: LONGEST_POLL, jitter: Jitter::default() }
    }
}

/// Where the polling stands.
struct Poll {
    settings: QueueSettings,
    /// When to read the settings (again).
    settings_due: Instant,
    retry: Retry,
    /// After a failed poll, when to poll again.
    not_before: Instant,
}

/// How a round of receiving ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    /// Nothing was left on the queue, as far as it shows.
    All,
    /// There may be more: the round was long enough, or the shutdown came.
    Some,
    /// The queue couldn't be read.
    Failed,
}

/// What a settled batch came to.
struct Settled {
    progress: Progress,
    /// When to look again. An [`Instant`], so that a clock that is set doesn't put it off.
    requeue_at: Instant,
}

impl<Q: Queue, P: Platform> Worker<Q, P> {
    /// A worker that has not reconciled yet.
    pub fn new(parts: WorkerParts<Q, P>) -> Self {
        let WorkerParts { queue, queue_settings, reconciler, inbox, lifetime, shutdown, log, clock, liveness, timing } =
            parts;
        let now = Instant::now();
        let poll = Poll {
            settings: queue_settings.unwrap_or_default(),
            settings_due: queue_settings.map_or(now, |_| now + SETTINGS_VALID_FOR),
            retry: Retry::new(timing.jitter),
            not_before: now,
        };
        Self { queue, reconciler, inbox, lifetime, shutdown, log, clock, liveness, timing, poll }
    }

    /// Works until told to stop; see [`Lifetime`] for when it stops by itself. Whatever fails is tried again.
    pub async fn run(mut self) -> StopReason {
        // What happened while no worker ran is repaired before the first message.
        let Some(mut settled) = self.settle(Batch::default()).await else {
            return self.shutdown.begun().await;
        };
        loop {
            let (batch, received) = self.receive(settled.requeue_at).await;
            if let Some(reason) = self.shutdown.ordered() {
                self.give_back(&batch.relevant).await;
                return reason;
            }
            let empty = batch.is_empty() && received == Received::All;
            if !batch.relevant.is_empty() || Instant::now() >= settled.requeue_at {
                match self.settle(batch).await {
                    Some(now_settled) => settled = now_settled,
                    None => return self.shutdown.begun().await,
                }
            }
            if self.lifetime == Lifetime::UntilEmpty && empty && settled.progress == Progress::Settled {
                return StopReason::QueueEmpty;
            }
        }
    }

    // ---- receiving ----

    /// Waits for messages until the next look is due, and takes in what is there.
    async fn receive(&mut self, requeue_at: Instant) -> (Batch, Received) {
        if self.poll.not_before > Instant::now() {
            // A queue that can't be read doesn't keep the clock from having its looks.
            self.sleep_until(self.poll.not_before.min(requeue_at)).await;
            return (Batch::default(), Received::Failed);
        }
        let mut batch = Batch::default();
        let received = match self.drain(requeue_at, &mut batch).await {
            Ok(received) => {
                self.poll.retry.succeeded();
                received
            }
            Err(error) => {
                let (attempt, wait) = self.poll.retry.failed(error.kind);
                self.poll.not_before = Instant::now() + wait;
                self.log.emit(&Event::PollFailed { failure: Failure::new(&error, attempt, wait) });
                Received::Failed
            }
        };
        self.reconciler.count_messages(batch.relevant.len(), batch.foreign);
        self.delete(std::mem::take(&mut batch.done)).await;
        (batch, received)
    }

    /// Takes messages until there are none, or enough.
    async fn drain(&mut self, requeue_at: Instant, batch: &mut Batch) -> Result<Received, AwsError> {
        self.read_settings().await?;
        let until_look = requeue_at.saturating_duration_since(Instant::now());
        let mut wait = match self.lifetime {
            // Whole seconds, upwards: a poll that ended just before the look would be followed by a rush of empty ones.
            Lifetime::UntilStopped => {
                self.timing.longest_poll.min(Duration::from_secs(until_look.as_secs_f64().ceil() as u64))
            }
            Lifetime::UntilEmpty => LAST_POLL,
        };
        let mut enough_at = None;
        loop {
            self.liveness.begin(Activity::Receiving(wait));
            let messages = tokio::select! {
                biased;
                // A poll that is let go of may have taken messages; they come back after the visibility timeout.
                _ = self.shutdown.begun() => return Ok(Received::Some),
                received = self.queue.receive(wait) => received?,
            };
            if messages.is_empty() {
                return Ok(Received::All);
            }
            for message in messages {
                self.inbox.sort(message, self.poll.settings.redrive, batch);
            }
            let enough_at = *enough_at.get_or_insert_with(|| Instant::now() + DRAIN_TIME);
            if batch.len() >= BATCH_MESSAGES || Instant::now() >= enough_at {
                return Ok(Received::Some);
            }
            wait = Duration::ZERO;
        }
    }

    async fn read_settings(&mut self) -> Result<(), AwsError> {
        if Instant::now() >= self.poll.settings_due {
            self.liveness.begin(Activity::Receiving(Duration::ZERO));
            self.poll.settings = tokio::select! {
                biased;
                _ = self.shutdown.begun() => return Ok(()),
                settings = self.queue.settings() => settings?,
            };
            self.poll.settings_due = Instant::now() + SETTINGS_VALID_FOR;
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

    // ---- settling ----

    /// Reconciles until it succeeds, keeps the batch hidden meanwhile, and deletes it then. `None` when the shutdown
    /// came first: then the batch is visible again.
    async fn settle(&mut self, batch: Batch) -> Option<Settled> {
        let outcome = {
            let Self { queue, reconciler, shutdown, log, liveness, timing, poll, .. } = self;
            let keep_hidden = keep_hidden(queue, &batch.relevant, poll.settings.visibility_timeout, log);
            tokio::select! {
                biased;
                outcome = reconcile_until_done(reconciler, &batch, || queue.calls(), (shutdown, liveness), timing.jitter, log) => outcome,
                () = shutdown.grace_over() => None,
                never = keep_hidden => match never {},
            }
        };
        let Some(outcome) = outcome else {
            self.give_back(&batch.relevant).await;
            return None;
        };
        let requeue_at = Instant::now() + until_next_look(&outcome, &self.clock);
        self.delete(batch.relevant).await;
        Some(Settled { progress: outcome.progress, requeue_at })
    }

    /// Deletes messages. What can't be deleted in time comes again.
    async fn delete(&self, receipts: Vec<Receipt>) {
        self.liveness.begin(Activity::Deleting(DELETE_TIME));
        tokio::select! {
            biased;
            () = self.delete_all(receipts) => {}
            () = self.shutdown.grace_over() => {}
            () = tokio::time::sleep(DELETE_TIME) => {}
        }
    }

    async fn delete_all(&self, mut receipts: Vec<Receipt>) {
        for attempt in 1..=DELETE_TRIES {
            let mut left = Vec::new();
            for entries in receipts.chunks(ENTRIES_PER_CALL) {
                match self.queue.delete(entries).await {
                    Ok(failed) => left.extend(failed),
                    Err(error) => {
                        // The SDK has tried three times; the rest would fare no better.
                        self.log.emit(&Event::PollFailed { failure: Failure::new(&error, attempt, Duration::ZERO) });
                        return;
                    }
                }
            }
            let Some(first) = left.first() else { return };
            if attempt == DELETE_TRIES {
                let error = not_deleted(first, left.len());
                self.log.emit(&Event::PollFailed { failure: Failure::new(&error, attempt, Duration::ZERO) });
            }
            receipts = left.into_iter().map(|entry| entry.receipt).collect();
        }
    }

    /// Makes messages visible again, as far as that goes within the shutdown's grace.
    async fn give_back(&self, receipts: &[Receipt]) {
        let hide = hide(&self.queue, receipts, Duration::ZERO, &self.log);
        let _ = tokio::time::timeout(GRACE, hide).await;
    }
}

fn not_deleted(entry: &FailedEntry, count: usize) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        service: "sqs",
        operation: "DeleteMessage",
        resource: entry.receipt.message_id.clone(),
        code: Some(entry.code.as_str().into()),
        message: format!("{}: {} ({count} message(s) in all; they come again)", entry.code, entry.message),
        request_id: None,
    }
}

/// Reconciles until it succeeds; `None` when it hasn't, and the shutdown was ordered.
async fn reconcile_until_done<P: Platform>(
    reconciler: &mut Reconciler<P>,
    batch: &Batch,
    queue_calls: impl Fn() -> Calls,
    (shutdown, liveness): (&Shutdown, &Liveness),
    jitter: Jitter,
    log: &Log,
) -> Option<Outcome> {
    let mut retry = Retry::new(jitter);
    loop {
        liveness.begin(Activity::Looking);
        let wait = match attempt(reconciler, &batch.hints, queue_calls(), &mut retry, log).await {
            Ok(outcome) => {
                liveness.succeeded();
                return Some(outcome);
            }
            Err(FailedAttempt { error, wait }) => {
                liveness.failed(&error);
                wait
            }
        };
        liveness.begin(Activity::Waiting(wait));
        tokio::select! {
            biased;
            _ = shutdown.begun() => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// How long to wait before the next look.
pub(crate) fn until_next_look(outcome: &Outcome, clock: &SharedClock) -> Duration {
    let wait = outcome.requeue_at.duration_since(clock.now());
    Duration::try_from(wait).unwrap_or_default().max(SHORTEST_WAIT)
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
        if let Err(error) = queue.change_visibility(entries, visibility_timeout).await {
            log.emit(&Event::PollFailed { failure: Failure::new(&error, 1, HIDE_FOR / 2) });
        }
    }
}

#[cfg(test)]
mod tests;
