//! The worker as a function that is called: an invocation brings messages or a tick, the same look and repair follow,
//! and the answer says which messages are to come again. To receive and to delete them is the caller's part.
//!
//! What is remembered lives from invocation to invocation. Between two of them the process is frozen, or gone: nothing
//! here goes on beside an invocation, and what must not be lost is in the balancer's tags.

use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{AwsError, ErrorKind, Message, Platform, Queue, Receipt, Redrive};
use crate::clock::{Moment, SharedClock};
use crate::controller::reconcile::{Hints, Outcome, Progress, Reconciler};
use crate::controller::worker::{
    Batch, FailedAttempt, Inbox, LAST_RECEIVE, SETTINGS_VALID_FOR, attempt, until_next_look,
};
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure, Log};

/// An invocation's answer is on its way so long before the deadline.
const MARGIN: Duration = Duration::from_secs(1);

/// A further look isn't begun with less time left than one takes on a slow day.
const TIME_FOR_A_LOOK: Duration = Duration::from_secs(3);

/// How long the queue may take to say what it is set to.
const TIME_FOR_SETTINGS: Duration = Duration::from_secs(5);

/// What an invocation brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Messages from the queue.
    Messages(Vec<Message>),
    /// The schedule's order to look.
    Tick,
}

/// What came of an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The ids of the messages that are to come again; all others may be deleted.
    pub failed: Vec<String>,
}

/// Keeps one service true, invocation by invocation.
pub struct Function<Q, P> {
    /// Asked for its settings only.
    queue: Q,
    /// The queue's redrive, and when it was read.
    redrive: Option<(Redrive, Moment)>,
    reconciler: Reconciler<P>,
    inbox: Inbox,
    log: Log,
    clock: SharedClock,
}

impl<Q: Queue, P: Platform> Function<Q, P> {
    /// A function that hasn't looked yet.
    pub fn new(queue: Q, reconciler: Reconciler<P>, inbox: Inbox, log: Log, clock: SharedClock) -> Self {
        Self { queue, redrive: None, reconciler, inbox, log, clock }
    }

    /// Does the work, and answers in time. The looks go on while a teardown is under way, until the deadline is near.
    ///
    /// # Errors
    ///
    /// When the look that a tick orders has failed. Messages that no look has followed are in the answer instead.
    pub async fn invoke(&mut self, work: Work, deadline: Instant) -> Result<Answer, AwsError> {
        let deadline = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        match work {
            Work::Messages(messages) => Ok(self.take(messages, deadline).await),
            Work::Tick => {
                self.settle(Hints::default(), deadline).await?;
                Ok(Answer::default())
            }
        }
    }

    async fn take(&mut self, messages: Vec<Message>, deadline: Instant) -> Answer {
        // Before that receive the redrive makes no difference.
        let redrive = match messages.iter().any(|message| message.receive_count >= LAST_RECEIVE) {
            true => self.redrive(deadline).await,
            false => Redrive::ToDeadLetterQueue,
        };
        let mut batch = Batch::default();
        for message in messages {
            self.inbox.sort(message, redrive, &mut batch);
        }
        self.reconciler.count_messages(batch.relevant.len(), batch.foreign);
        let mut failed = batch.left;
        if !batch.relevant.is_empty() && self.settle(batch.hints, deadline).await.is_err() {
            failed.extend(batch.relevant);
        }
        Answer { failed: failed.into_iter().map(|Receipt { message_id, .. }| message_id).collect() }
    }

    /// What becomes of messages that nobody deletes. While the queue doesn't tell, nothing is deleted.
    async fn redrive(&mut self, deadline: Instant) -> Redrive {
        if let Some((redrive, read)) = self.redrive
            && read.elapsed(&*self.clock) < SETTINGS_VALID_FOR
        {
            return redrive;
        }
        let limit = deadline.min(Instant::now() + TIME_FOR_SETTINGS);
        match tokio::time::timeout_at(limit, self.queue.settings()).await {
            Ok(Ok(settings)) => {
                self.redrive = Some((settings.redrive, Moment::now(&*self.clock)));
                settings.redrive
            }
            Ok(Err(error)) => {
                self.log.emit(&Event::PollFailed { failure: Failure::new(&error, 1, Duration::ZERO) });
                Redrive::ToDeadLetterQueue
            }
            Err(_) => Redrive::ToDeadLetterQueue,
        }
    }

    /// Reconciles until it succeeds, and then until nothing more can be done at once; as far as the time goes.
    ///
    /// # Errors
    ///
    /// When no look has succeeded.
    async fn settle(&mut self, mut hints: Hints, deadline: Instant) -> Result<(), AwsError> {
        let mut retry = Retry::default();
        let mut settled = false;
        loop {
            let (wait, failure) = match self.attempt_by(deadline, &hints, &mut retry).await {
                Ok(outcome) if outcome.progress == Progress::Settled => return Ok(()),
                Ok(outcome) => {
                    settled = true;
                    hints = Hints::default();
                    (until_next_look(&outcome, &self.clock), None)
                }
                Err(FailedAttempt { error, wait }) => (wait, Some(error)),
            };
            if Instant::now() + wait + TIME_FOR_A_LOOK > deadline {
                return match failure {
                    Some(error) if !settled => Err(error),
                    // What is left is the next tick's.
                    _ => Ok(()),
                };
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// One try, which the deadline ends.
    async fn attempt_by(
        &mut self,
        deadline: Instant,
        hints: &Hints,
        retry: &mut Retry,
    ) -> Result<Outcome, FailedAttempt> {
        if Instant::now() < deadline {
            let tried = attempt(&mut self.reconciler, hints, self.queue.calls(), retry, &self.log);
            if let Ok(ended) = tokio::time::timeout_at(deadline, tried).await {
                return ended;
            }
        }
        let error = out_of_time();
        let (attempt, wait) = retry.failed(error.kind);
        self.log.emit(&Event::ReconcileFailed { failure: Failure::new(&error, attempt, wait) });
        Err(FailedAttempt { error, wait })
    }
}

/// The deadline came before the look, or an act of it, had ended.
fn out_of_time() -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        service: "lambda",
        operation: "InvokeFunction",
        resource: "the function".to_owned(),
        code: None,
        message: "its time was nearly over, so the look was given up; the next invocation looks again, and if this \
                  goes on, give the function a longer timeout"
            .to_owned(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests;
