//! Deletes received messages and changes their visibility: ten in a call, and several calls at a time.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::aws::{AwsError, ErrorKind, FailedEntry, LONGEST_CALL, Queue, Receipt};
use crate::controller::context::QueueContext;
use crate::controller::liveness::{Activity, Liveness};
use crate::retry::{Jitter, Retry};
use crate::telemetry::log::{Event, Failure};

/// The entries that a batch call of SQS accepts (see DeleteMessageBatch in the SQS API reference).
const ENTRIES_PER_CALL: usize = 10;

/// The most deletions at a time: they keep up with as many receives.
const DELETIONS: usize = super::receive::RECEIVES;

/// The most changes of visibility at a time, beside the deletions. Four extend 2,000 messages well within the 30 seconds that
/// are left for it.
const VISIBILITY_CHANGES: usize = 4;

/// The number of attempts for an entry that fails within a batch call, before its message is left to reappear.
const DELETE_ATTEMPTS: u32 = 2;

/// The longest wait of a deletion for others to share its call with. Nothing depends on a deletion, and with a hundred
/// services' events a second it saves nine calls of ten.
const LINGER: Duration = Duration::from_millis(200);

/// The messages to delete, and those whose visibility to change.
pub(super) struct Outbox<'q, Q> {
    queue: &'q Q,
    context: QueueContext,
    liveness: Liveness,
    deletions: VecDeque<Deletion>,
    /// The time until which the deletions wait for others.
    lingers_until: Option<Instant>,
    changes: VecDeque<(Receipt, Duration)>,
    deleting: usize,
    changing: usize,
    /// After a failed deletion, when to delete again.
    not_before: Instant,
    retry: Retry,
    /// The numbers of failures. What began before the last one and fails too, has failed for the same reason.
    failed_deletions: u64,
    failed_changes: u64,
    calls: FuturesUnordered<BoxFuture<'q, Ended>>,
}

pub(super) struct Deletion {
    receipt: Receipt,
    attempt: u32,
}

/// A call that has ended.
pub(super) enum Ended {
    Deletion { deletions: Vec<Deletion>, failures: u64, answer: Result<Vec<FailedEntry>, AwsError> },
    Change { timeout: Duration, failures: u64, answer: Result<Vec<FailedEntry>, AwsError> },
}

impl<'q, Q: Queue> Outbox<'q, Q> {
    /// An empty outbox.
    pub(super) fn new(queue: &'q Q, context: QueueContext, liveness: Liveness, jitter: Jitter) -> Self {
        Self {
            queue,
            context,
            liveness,
            deletions: VecDeque::new(),
            lingers_until: None,
            changes: VecDeque::new(),
            deleting: 0,
            changing: 0,
            not_before: Instant::now(),
            retry: Retry::new(jitter),
            failed_deletions: 0,
            failed_changes: 0,
            calls: FuturesUnordered::new(),
        }
    }

    /// Deletes messages. Those that can't be deleted reappear.
    pub(super) fn delete(&mut self, receipts: impl IntoIterator<Item = Receipt>, now: Instant) {
        self.deletions.extend(receipts.into_iter().map(|receipt| Deletion { receipt, attempt: 1 }));
        if !self.deletions.is_empty() {
            self.lingers_until.get_or_insert(now + LINGER);
        }
    }

    /// Changes the messages' visibility timeouts, counted from now. A failure only makes them reappear earlier or later.
    pub(super) fn change_visibility(&mut self, receipts: impl IntoIterator<Item = Receipt>, timeout: Duration) {
        self.changes.extend(receipts.into_iter().map(|receipt| (receipt, timeout)));
    }

    /// Ends the wait of deletions for others.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.lingers_until = self.lingers_until.map(|until| until.min(now));
    }

    /// Gives up the changes of visibility that have not begun.
    pub(super) fn forget_changes(&mut self) {
        self.changes.clear();
    }

    /// Gives up what has not ended.
    pub(super) fn give_up(&mut self) {
        self.deletions.clear();
        self.changes.clear();
        self.calls.clear();
        (self.deleting, self.changing) = (0, 0);
    }

    /// Returns whether nothing is left to do.
    pub(super) fn is_empty(&self) -> bool {
        self.deletions.is_empty() && self.changes.is_empty() && self.calls.is_empty()
    }

    /// Starts the calls that are due.
    pub(super) fn start(&mut self, now: Instant) {
        while self.changing < VISIBILITY_CHANGES
            && let Some((_, timeout)) = self.changes.front()
        {
            let timeout = *timeout;
            let count = self.changes.iter().take(ENTRIES_PER_CALL).take_while(|(_, of)| *of == timeout).count();
            let receipts: Vec<_> = self.changes.drain(..count).map(|(receipt, _)| receipt).collect();
            self.changing += 1;
            let (queue, failures) = (self.queue, self.failed_changes);
            self.calls.push(Box::pin(async move {
                Ended::Change { timeout, failures, answer: queue.change_visibility(&receipts, timeout).await }
            }));
        }
        while self.deleting < DELETIONS && self.deletions_due().is_some_and(|at| at <= now) {
            let count = self.deletions.len().min(ENTRIES_PER_CALL);
            let deletions: Vec<_> = self.deletions.drain(..count).collect();
            if self.deletions.is_empty() {
                self.lingers_until = None;
            }
            self.deleting += 1;
            let (queue, failures) = (self.queue, self.failed_deletions);
            let activity = self.liveness.track(Activity::Deleting(LONGEST_CALL));
            self.calls.push(Box::pin(async move {
                let receipts: Vec<_> = deletions.iter().map(|deletion| deletion.receipt.clone()).collect();
                let answer = queue.delete(&receipts).await;
                drop(activity);
                Ended::Deletion { deletions, failures, answer }
            }));
        }
    }

    /// The time of the next call that deletes, if there is something to delete.
    fn deletions_due(&self) -> Option<Instant> {
        let lingers_until = self.lingers_until.filter(|_| self.deletions.len() < ENTRIES_PER_CALL);
        (!self.deletions.is_empty()).then(|| lingers_until.map_or(self.not_before, |at| at.max(self.not_before)))
    }

    /// Waits for the end of a call; `None` if none is in flight.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        self.calls.next().await
    }

    /// Takes the answer of a call.
    pub(super) fn ended(&mut self, ended: Ended) {
        self.context.set_queue_calls(self.queue.calls());
        match ended {
            Ended::Deletion { deletions, failures, answer } => {
                self.deleting -= 1;
                match answer {
                    Ok(entries) => self.deleted(deletions, &entries),
                    Err(error) if failures == self.failed_deletions => {
                        self.failed_deletions += 1;
                        let (attempt, wait) = self.retry.failed(error.kind);
                        self.not_before = Instant::now() + wait;
                        // The SDK has tried three times; the rest would fail too, and reappears.
                        self.deletions.clear();
                        self.lingers_until = None;
                        self.log_failure(&error, attempt, wait);
                    }
                    Err(_) => {}
                }
            }
            Ended::Change { timeout, failures, answer } => {
                self.changing -= 1;
                if let Err(error) = answer
                    && failures == self.failed_changes
                {
                    self.failed_changes += 1;
                    // The rest would fail too.
                    self.changes.clear();
                    self.log_failure(&error, 1, timeout / 2);
                }
            }
        }
    }

    fn deleted(&mut self, deletions: Vec<Deletion>, failed: &[FailedEntry]) {
        self.retry.succeeded();
        let mut last = None;
        for entry in failed {
            let attempt =
                deletions.iter().find(|deletion| deletion.receipt == entry.receipt).map_or(1, |of| of.attempt);
            if attempt < DELETE_ATTEMPTS {
                self.deletions.push_back(Deletion { receipt: entry.receipt.clone(), attempt: attempt + 1 });
                self.lingers_until.get_or_insert(Instant::now());
            } else {
                last = Some(entry);
            }
        }
        if let Some(entry) = last {
            self.log_failure(&not_deleted(entry, failed.len()), DELETE_ATTEMPTS, Duration::ZERO);
        }
    }

    fn log_failure(&self, error: &AwsError, attempt: u32, wait: Duration) {
        self.context.log.emit(&Event::PollFailed { failure: Failure::new(error, attempt, wait) });
    }

    /// Returns the time at which the clock makes a call due.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.deletions_due().filter(|_| self.deleting < DELETIONS)
    }
}

fn not_deleted(entry: &FailedEntry, count: usize) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        service: "sqs",
        operation: "DeleteMessage",
        resource: entry.receipt.message_id.clone(),
        code: Some(entry.code.as_str().into()),
        message: format!("{}: {} ({count} message(s) in all, which reappear)", entry.code, entry.message),
        request_id: None,
    }
}
