//! Deletes received messages and changes their visibility.

use std::convert::Infallible;
use std::time::Duration;

use super::Worker;
use crate::aws::{AwsError, ControllerPlatform, ErrorKind, FailedEntry, Queue, Receipt};
use crate::controller::liveness::Activity;
use crate::shutdown::GRACE;
use crate::telemetry::log::{Event, Failure, Log};

/// The entries that a batch call of SQS accepts.
const ENTRIES_PER_CALL: usize = 10;

/// The number of attempts for an entry that fails within a batch call, before its message is left to reappear.
const DELETE_ATTEMPTS: u32 = 2;

/// The longest time of deleting a batch: two hundred calls take some seconds. A message that is left reappears, which
/// does no harm; a reconciliation that is delayed does.
const DELETE_TIME: Duration = Duration::from_secs(20);

/// The visibility timeout of a batch while it is reconciled; it is renewed at half of it.
const INVISIBLE_FOR: Duration = Duration::from_secs(60);

impl<Q: Queue, P: ControllerPlatform> Worker<Q, P> {
    /// Deletes messages. Those that can't be deleted in time reappear.
    pub(super) async fn delete(&self, receipts: Vec<Receipt>) {
        self.liveness.begin(Activity::Deleting(DELETE_TIME));
        tokio::select! {
            biased;
            () = self.delete_all(receipts) => {}
            () = self.shutdown.grace_over() => {}
            () = tokio::time::sleep(DELETE_TIME) => {}
        }
        self.context.totals.set_queue_calls(self.queue.calls());
    }

    async fn delete_all(&self, mut receipts: Vec<Receipt>) {
        let log_failure = |error: &AwsError, attempt| {
            self.context.log.emit(&Event::PollFailed { failure: Failure::new(error, attempt, Duration::ZERO) });
        };
        for attempt in 1..=DELETE_ATTEMPTS {
            let mut failed = Vec::new();
            for entries in receipts.chunks(ENTRIES_PER_CALL) {
                match self.queue.delete(entries).await {
                    Ok(entries) => failed.extend(entries),
                    // The SDK has tried three times; the rest would fail too.
                    Err(error) => return log_failure(&error, attempt),
                }
            }
            let Some(first) = failed.first() else { return };
            if attempt == DELETE_ATTEMPTS {
                log_failure(&not_deleted(first, failed.len()), attempt);
            }
            receipts = failed.into_iter().map(|entry| entry.receipt).collect();
        }
    }

    /// Makes messages visible to other workers at once, as far as the shutdown's grace period allows.
    pub(super) async fn make_visible(&self, receipts: &[Receipt]) {
        let change = change_visibility(&self.queue, receipts, Duration::ZERO, &self.context.log);
        // Those that are left reappear after their visibility timeout.
        let _ = tokio::time::timeout(GRACE, change).await;
        self.context.totals.set_queue_calls(self.queue.calls());
    }
}

/// Keeps messages invisible for as long as it is polled.
pub(super) async fn extend_visibility<Q: Queue>(
    queue: &Q,
    receipts: &[Receipt],
    visibility_timeout: Duration,
    log: &Log,
) -> Infallible {
    let mut invisible_for = visibility_timeout;
    loop {
        tokio::time::sleep(invisible_for / 2).await;
        change_visibility(queue, receipts, INVISIBLE_FOR, log).await;
        invisible_for = INVISIBLE_FOR;
    }
}

/// Changes the messages' visibility timeouts. A failure only makes them reappear earlier or later.
async fn change_visibility<Q: Queue>(queue: &Q, receipts: &[Receipt], timeout: Duration, log: &Log) {
    for entries in receipts.chunks(ENTRIES_PER_CALL) {
        if let Err(error) = queue.change_visibility(entries, timeout).await {
            log.emit(&Event::PollFailed { failure: Failure::new(&error, 1, INVISIBLE_FOR / 2) });
        }
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
