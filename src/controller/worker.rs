//! The queue loop: receive, reconcile, delete; without messages, reconcile at the requeue time.

use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{ControllerPlatform, Queue, QueueSettings};
use crate::controller::context::Context;
use crate::controller::error_policy;
use crate::controller::inbox::{Batch, Inbox};
use crate::controller::liveness::{Activity, Liveness};
use crate::controller::reconciler::{Outcome, Progress, Reconciler};
use crate::retry::{Jitter, Retry};
use crate::shutdown::Shutdown;
use crate::telemetry::log::StopReason;

mod messages;
mod receive;

use messages::extend_visibility;
use receive::{Polling, Received};

/// The longest wait for a message that ReceiveMessage accepts (see the SQS API reference).
pub const LONGEST_POLL: Duration = Duration::from_secs(20);

/// The shortest time between two reconciliations, whatever the plan asks for.
const SHORTEST_REQUEUE: Duration = Duration::from_secs(1);

/// The time for which the queue's settings are valid: an operator may add a redrive policy at any time.
pub(crate) const SETTINGS_VALID_FOR: Duration = Duration::from_secs(60 * 60);

/// The condition on which the worker stops by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Never.
    UntilStopped,
    /// Once the queue is empty and nothing is left to do.
    UntilEmpty,
}

/// The parts of a [`Worker`].
pub struct WorkerParts<Q, P> {
    /// The queue.
    pub queue: Q,
    /// The queue's settings, if they have been read.
    pub queue_settings: Option<QueueSettings>,
    /// The reconciler of the service.
    pub reconciler: Reconciler<P>,
    /// The condition on which the worker stops by itself.
    pub lifetime: Lifetime,
    /// The order to stop.
    pub shutdown: Shutdown,
    /// The state that probes read.
    pub liveness: Liveness,
    /// The worker's waits.
    pub timing: Timing,
}

/// The waits of a worker.
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

/// Reconciles one service by the messages of its queue.
pub struct Worker<Q, P> {
    queue: Q,
    reconciler: Reconciler<P>,
    inbox: Inbox,
    context: Context,
    lifetime: Lifetime,
    shutdown: Shutdown,
    liveness: Liveness,
    timing: Timing,
    polling: Polling,
    /// The time to reconcile although no message has arrived. An [`Instant`], which doesn't move when a clock is set.
    requeue_at: Instant,
    progress: Progress,
}

impl<Q: Queue, P: ControllerPlatform> Worker<Q, P> {
    /// A worker that has not reconciled yet.
    pub fn new(parts: WorkerParts<Q, P>) -> Self {
        let WorkerParts { queue, queue_settings, reconciler, lifetime, shutdown, liveness, timing } = parts;
        let context = reconciler.context().clone();
        Self {
            queue,
            reconciler,
            inbox: Inbox::new(context.clone()),
            context,
            lifetime,
            shutdown,
            liveness,
            timing,
            polling: Polling::new(queue_settings, timing.jitter),
            requeue_at: Instant::now(),
            progress: Progress::Underway,
        }
    }

    /// Works until the shutdown is ordered, or as [`Lifetime`] says. Every failure is retried.
    pub async fn run(mut self) -> StopReason {
        // The first reconciliation, before any message, covers what happened while no worker ran.
        let (mut batch, mut received) = (Batch::default(), Received::Some);
        loop {
            let was_empty = batch.is_empty() && received == Received::All;
            if !batch.relevant.is_empty() || Instant::now() >= self.requeue_at {
                let Some(outcome) = self.reconcile(&batch).await else {
                    self.make_visible(&batch.relevant).await;
                    return self.shutdown.begun().await;
                };
                self.requeue(&outcome);
                self.delete(batch.relevant).await;
            }
            if self.lifetime == Lifetime::UntilEmpty && was_empty && self.progress == Progress::Settled {
                return StopReason::QueueEmpty;
            }
            (batch, received) = self.receive().await;
            if let Some(reason) = self.shutdown.ordered() {
                self.make_visible(&batch.relevant).await;
                return reason;
            }
        }
    }

    /// Reconciles until it succeeds, and keeps the batch invisible meanwhile. `None` when the shutdown came first.
    async fn reconcile(&mut self, batch: &Batch) -> Option<Outcome> {
        let Self { queue, reconciler, context, shutdown, liveness, timing, polling, .. } = self;
        let reconcile = async {
            let mut retry = Retry::new(timing.jitter);
            loop {
                liveness.begin(Activity::Reconciling);
                let error = match reconciler.reconcile(&batch.hints).await {
                    Ok(outcome) => return Some(outcome),
                    Err(error) => error,
                };
                liveness.failed(&error);
                let wait = error_policy::requeue_after(&error, &mut retry, &context.log);
                liveness.begin(Activity::Waiting(wait));
                tokio::select! {
                    biased;
                    _ = shutdown.begun() => return None,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        };
        let outcome = tokio::select! {
            biased;
            outcome = reconcile => outcome?,
            () = shutdown.grace_over() => return None,
            never = extend_visibility(&*queue, &batch.relevant, polling.visibility_timeout(), &context.log) => match never {},
        };
        liveness.succeeded();
        Some(outcome)
    }

    /// Sets when to reconcile next.
    fn requeue(&mut self, outcome: &Outcome) {
        self.requeue_at = Instant::now() + until_requeue(outcome, &self.context);
        self.progress = outcome.progress;
    }
}

/// Returns how long to wait before the next reconciliation.
pub(crate) fn until_requeue(outcome: &Outcome, context: &Context) -> Duration {
    let wait = outcome.requeue_at.duration_since(context.clock.now());
    Duration::try_from(wait).unwrap_or_default().max(SHORTEST_REQUEUE)
}

#[cfg(test)]
mod tests;
