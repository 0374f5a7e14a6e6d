//! Receiving: one long poll while the queue is empty, several receives at a time while it has a backlog.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::{Lifetime, SETTINGS_VALID_FOR, Timing};
use crate::aws::{AwsError, Message, Queue, QueueSettings, Redrive};
use crate::controller::context::QueueContext;
use crate::controller::liveness::{Activity, Liveness};
use crate::retry::Retry;
use crate::telemetry::log::{Event, Failure};

/// The most receives at a time. A receive takes a round trip for ten messages, in which the worker has nothing to do; four
/// at a time are enough to keep it busy, and as many connections as a consumer that only receives and deletes makes use of.
pub(super) const RECEIVES: usize = 4;

/// The most messages that a receive returns (see ReceiveMessage in the SQS API reference).
pub(super) const MESSAGES_PER_RECEIVE: usize = 10;

/// The wait for messages of a receive that is not the only one, and when the worker is to stop once there are none: long
/// enough for SQS to ask all of its servers, which a wait of 0 does not.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// Receives the messages of a queue.
pub(super) struct Receiver<'q, Q> {
    queue: &'q Q,
    context: QueueContext,
    liveness: Liveness,
    /// The wait of the only receive.
    longest_poll: Duration,
    settings: QueueSettings,
    /// The time of the next read of the settings.
    settings_due: Instant,
    retry: Retry,
    /// After a failure, when to receive again.
    not_before: Instant,
    /// The number of receives at a time.
    width: usize,
    /// The number of failures. What began before the last one and fails too, has failed for the same reason.
    failures: u64,
    calls: FuturesUnordered<BoxFuture<'q, Ended>>,
}

/// A call that has ended.
pub(super) struct Ended {
    /// The number of failures when it began.
    failures: u64,
    answer: Result<Answer, AwsError>,
}

enum Answer {
    Settings(QueueSettings),
    Messages(Vec<Message>),
}

/// The result of a receive.
pub(super) enum Received {
    /// As many messages as a receive returns: further ones probably follow.
    Full(Vec<Message>),
    /// Fewer.
    Rest(Vec<Message>),
    /// The queue can't be read.
    Failed,
    /// Nothing was received.
    Nothing,
}

impl<'q, Q: Queue> Receiver<'q, Q> {
    /// A receiver that begins now.
    pub(super) fn new(
        queue: &'q Q,
        settings: Option<QueueSettings>,
        context: QueueContext,
        liveness: Liveness,
        lifetime: Lifetime,
        timing: Timing,
    ) -> Self {
        let now = Instant::now();
        Self {
            queue,
            context,
            liveness,
            longest_poll: match lifetime {
                Lifetime::UntilStopped => timing.longest_poll,
                Lifetime::UntilEmpty => SHORT_POLL,
            },
            settings: settings.unwrap_or_default(),
            settings_due: settings.map_or(now, |_| now + SETTINGS_VALID_FOR),
            retry: Retry::new(timing.jitter),
            not_before: now,
            width: 1,
            failures: 0,
            calls: FuturesUnordered::new(),
        }
    }

    /// The queue's visibility timeout.
    pub(super) fn visibility_timeout(&self) -> Duration {
        self.settings.visibility_timeout
    }

    /// The queue's redrive policy.
    pub(super) fn redrive(&self) -> Redrive {
        self.settings.redrive
    }

    /// Starts as many receives as the backlog is worth; before that it reads the queue's settings, if they are due.
    pub(super) fn start(&mut self, now: Instant) {
        if now < self.not_before {
            return;
        }
        if now >= self.settings_due {
            if self.calls.is_empty() {
                self.read_settings();
            }
            return;
        }
        while self.calls.len() < self.width {
            let wait = if self.calls.is_empty() { self.longest_poll } else { SHORT_POLL };
            let (queue, failures) = (self.queue, self.failures);
            let activity = self.liveness.track(Activity::Receiving(wait));
            self.calls.push(Box::pin(async move {
                let answer = queue.receive(wait).await.map(Answer::Messages);
                drop(activity);
                Ended { failures, answer }
            }));
        }
    }

    fn read_settings(&mut self) {
        // Until the answer nothing is received.
        let (queue, failures) = (self.queue, self.failures);
        let activity = self.liveness.track(Activity::Receiving(Duration::ZERO));
        self.calls.push(Box::pin(async move {
            let answer = queue.settings().await.map(Answer::Settings);
            drop(activity);
            Ended { failures, answer }
        }));
    }

    /// Waits for the end of a call; `None` if none is in flight.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        self.calls.next().await
    }

    /// Takes the answer of a call.
    pub(super) fn received(&mut self, Ended { failures, answer }: Ended) -> Received {
        self.context.set_queue_calls(self.queue.calls());
        let messages = match answer {
            Ok(Answer::Settings(settings)) => {
                self.settings = settings;
                self.settings_due = Instant::now() + SETTINGS_VALID_FOR;
                return Received::Nothing;
            }
            Ok(Answer::Messages(messages)) => messages,
            Err(error) => {
                if failures == self.failures {
                    self.failures += 1;
                    let (attempt, wait) = self.retry.failed(error.kind);
                    self.not_before = Instant::now() + wait;
                    self.context.log.emit(&Event::PollFailed { failure: Failure::new(&error, attempt, wait) });
                }
                self.width = 1;
                return Received::Failed;
            }
        };
        self.retry.succeeded();
        if messages.len() >= MESSAGES_PER_RECEIVE {
            self.width = RECEIVES.min(self.width + 1);
            return Received::Full(messages);
        }
        self.width = 1;
        Received::Rest(messages)
    }

    /// Returns the time before which nothing is received.
    pub(super) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        Some(self.not_before).filter(|at| *at > now)
    }

    /// Cancels the receives. Messages that they would have returned reappear after their visibility timeout.
    pub(super) fn cancel(&mut self) {
        self.calls.clear();
        self.context.set_queue_calls(self.queue.calls());
    }
}
