//! The controller as a function: each invocation brings messages or a tick, and its response says which messages failed.
//! The caller receives and deletes them.
//!
//! Memory lasts from one invocation to the next. In between the process is frozen, or gone: nothing runs beside an
//! invocation, and what must not be lost is in the load balancer's tags.

use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{AwsError, ControllerPlatform, ErrorKind, Message, Queue, Receipt, Redrive};
use crate::clock::Moment;
use crate::controller::context::Context;
use crate::controller::error_policy;
use crate::controller::inbox::{Batch, Inbox, LAST_RECEIVE};
use crate::controller::message::Hints;
use crate::controller::reconciler::{Outcome, Progress, Reconciler};
use crate::controller::worker::{SETTINGS_VALID_FOR, until_requeue};
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure};

/// The time before its deadline at which an invocation responds.
const MARGIN: Duration = Duration::from_secs(1);

/// The time that must be left for another reconciliation: what one takes on a slow day.
const TIME_TO_RECONCILE: Duration = Duration::from_secs(3);

/// The time for reading the queue's settings.
const TIME_FOR_SETTINGS: Duration = Duration::from_secs(5);

/// The payload of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Messages of the queue.
    Messages(Vec<Message>),
    /// A schedule's tick: reconcile.
    Tick,
}

/// The response to an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The ids of the messages that must reappear; all others may be deleted.
    pub failed: Vec<String>,
}

/// Reconciles one service, invocation by invocation.
pub struct Function<Q, P> {
    /// Only its settings are read.
    queue: Q,
    /// The queue's redrive policy, and when it was read.
    redrive: Option<(Redrive, Moment)>,
    reconciler: Reconciler<P>,
    inbox: Inbox,
    context: Context,
}

impl<Q: Queue, P: ControllerPlatform> Function<Q, P> {
    /// A function that has not reconciled yet.
    pub fn new(queue: Q, reconciler: Reconciler<P>) -> Self {
        let context = reconciler.context().clone();
        Self { queue, redrive: None, reconciler, inbox: Inbox::new(context.clone()), context }
    }

    /// Handles an invocation, and responds before its deadline. It goes on while a teardown is under way and time is left.
    ///
    /// # Errors
    ///
    /// Returns an error if the reconciliation of a tick failed. Messages whose reconciliation failed are in the response
    /// instead.
    pub async fn invoke(&mut self, request: Request, deadline: Instant) -> Result<Response, AwsError> {
        let deadline = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let response = match request {
            Request::Messages(messages) => Ok(self.handle(messages, deadline).await),
            Request::Tick => self.reconcile(Hints::default(), deadline).await.map(|()| Response::default()),
        };
        self.context.totals.set_queue_calls(self.queue.calls());
        response
    }

    async fn handle(&mut self, messages: Vec<Message>, deadline: Instant) -> Response {
        // Before that receive the redrive policy makes no difference.
        let redrive = match messages.iter().any(|message| message.receive_count >= LAST_RECEIVE) {
            true => self.redrive(deadline).await,
            false => Redrive::ToDeadLetterQueue,
        };
        let mut batch = Batch::default();
        for message in messages {
            self.inbox.add(message, redrive, &mut batch);
        }
        let mut failed = batch.malformed;
        if !batch.relevant.is_empty() && self.reconcile(batch.hints, deadline).await.is_err() {
            failed.extend(batch.relevant);
        }
        Response { failed: failed.into_iter().map(|Receipt { message_id, .. }| message_id).collect() }
    }

    /// Reads the queue's redrive policy. If that fails, malformed messages stay on the queue as if it had one.
    async fn redrive(&mut self, deadline: Instant) -> Redrive {
        if let Some((redrive, read_at)) = self.redrive
            && read_at.elapsed(&*self.context.clock) < SETTINGS_VALID_FOR
        {
            return redrive;
        }
        let limit = deadline.min(Instant::now() + TIME_FOR_SETTINGS);
        match tokio::time::timeout_at(limit, self.queue.settings()).await {
            Ok(Ok(settings)) => {
                self.redrive = Some((settings.redrive, Moment::now(&*self.context.clock)));
                settings.redrive
            }
            Ok(Err(error)) => {
                self.context.log.emit(&Event::PollFailed { failure: Failure::new(&error, 1, Duration::ZERO) });
                Redrive::ToDeadLetterQueue
            }
            Err(_) => Redrive::ToDeadLetterQueue,
        }
    }

    /// Reconciles until it succeeds, and until no teardown is under way, as far as the time allows.
    ///
    /// # Errors
    ///
    /// The last error, when no reconciliation has succeeded.
    async fn reconcile(&mut self, mut hints: Hints, deadline: Instant) -> Result<(), AwsError> {
        let mut retry = Retry::default();
        let mut has_succeeded = false;
        loop {
            let (wait, failure) = match self.reconcile_by(deadline, &hints).await {
                Ok(outcome) if outcome.progress == Progress::Settled => return Ok(()),
                Ok(outcome) => {
                    has_succeeded = true;
                    retry.succeeded();
                    hints = Hints::default();
                    (until_requeue(&outcome, &self.context), None)
                }
                Err(error) => (error_policy::requeue_after(&error, &mut retry, &self.context.log), Some(error)),
            };
            if Instant::now() + wait + TIME_TO_RECONCILE > deadline {
                return match failure {
                    Some(error) if !has_succeeded => Err(error),
                    // The next tick continues.
                    _ => Ok(()),
                };
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Reconciles once, until the deadline.
    async fn reconcile_by(&mut self, deadline: Instant, hints: &Hints) -> Result<Outcome, AwsError> {
        if Instant::now() >= deadline {
            return Err(out_of_time());
        }
        let reconciled = tokio::time::timeout_at(deadline, self.reconciler.reconcile(hints)).await;
        reconciled.unwrap_or_else(|_| Err(out_of_time()))
    }
}

/// The error of a reconciliation that the deadline ended.
fn out_of_time() -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        service: "lambda",
        operation: "InvokeFunction",
        resource: "the function".to_owned(),
        code: None,
        message: "the invocation's time was nearly over, so the reconciliation was cancelled; the next invocation \
                  retries. If this repeats, give the function a longer timeout"
            .to_owned(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests;
