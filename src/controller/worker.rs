//! The queue loop: receive, reconcile, delete; without messages, reconcile at the requeue time.
//!
//! - [`schedule`]: which service is reconciled next, and what waits for it.
//! - [`resync`]: when services are resynced together.
//! - [`receive`]: receives messages.
//! - [`messages`]: deletes messages, and changes their visibility.
//!
//! One loop owns everything: it spawns no task, and whatever is in progress ends when it is dropped.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::aws::{AwsError, ControllerPlatform, Message, Queue, QueueSettings};
use crate::controller::context::{Context, QueueContext};
use crate::controller::error_policy;
use crate::controller::inbox::{Inbox, Sorted};
use crate::controller::liveness::{Activity, Liveness, Services};
use crate::controller::message::Hints;
use crate::controller::reconciler::{Outcome, Progress, Reconciler};
use crate::controller::routes::Routes;
use crate::controller::scope::Scope;
use crate::retry::Jitter;
use crate::shutdown::{GRACE, Shutdown};
use crate::telemetry::log::StopReason;

mod messages;
mod receive;
mod resync;
mod schedule;

use messages::Outbox;
use receive::{Received, Receiver};
use schedule::{Counts, INVISIBLE_FOR, Key, Pause, Schedule, Start};

/// The longest wait for a message that ReceiveMessage accepts (see the SQS API reference).
pub const LONGEST_POLL: Duration = Duration::from_secs(20);

/// The shortest time between two reconciliations, whatever the plan asks for.
const SHORTEST_REQUEUE: Duration = Duration::from_secs(1);

/// The visibility timeout of a message whose service has as many waiting messages as the worker keeps. It bounds how often
/// the queue's redrive policy counts a receive: with a `maxReceiveCount` of 5, such a message moves to the dead-letter queue
/// after an hour and a quarter in which its service was never reconciled. That loses a hint, and no change: the service's
/// next reconciliation reads everything.
const DEFERRED_FOR: Duration = Duration::from_secs(15 * 60);

/// The default of [`WorkerParts::concurrency`].
pub const CONCURRENCY: usize = 32;

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
    /// The context of what belongs to no service.
    pub context: QueueContext,
    /// The reconcilers of the services, one for each.
    pub reconcilers: Vec<Reconciler<P>>,
    /// Changes of the services while the worker runs.
    pub changes: Option<mpsc::Receiver<ServiceChanges<P>>>,
    /// The most reconciliations in progress at a time. More wait for their turn, in the order in which they became due.
    pub concurrency: usize,
    /// The condition on which the worker stops by itself.
    pub lifetime: Lifetime,
    /// The order to stop.
    pub shutdown: Shutdown,
    /// The state that probes read.
    pub liveness: Liveness,
    /// The worker's waits.
    pub timing: Timing,
}

impl<Q, P: ControllerPlatform> WorkerParts<Q, P> {
    /// The parts of a worker for one service, which runs until it is stopped.
    pub fn new(queue: Q, reconciler: Reconciler<P>, shutdown: Shutdown, liveness: Liveness) -> Self {
        Self {
            queue,
            queue_settings: None,
            context: reconciler.context().into(),
            reconcilers: vec![reconciler],
            changes: None,
            concurrency: CONCURRENCY,
            lifetime: Lifetime::UntilStopped,
            shutdown,
            liveness,
            timing: Timing::default(),
        }
    }
}

/// Changes of a worker's services. The others keep what they remember.
pub struct ServiceChanges<P> {
    /// The services to remove, unless they are added, too. Their reconciliations in progress end first; messages about them
    /// become foreign.
    pub removed: Vec<Scope>,
    /// The reconcilers of services to add, or to replace: then the service is reconciled at once, with its waiting messages.
    pub added: Vec<Reconciler<P>>,
}

impl<P> Default for ServiceChanges<P> {
    fn default() -> Self {
        Self { removed: Vec::new(), added: Vec::new() }
    }
}

impl<P> ServiceChanges<P> {
    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
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

/// Reconciles services by the messages of one queue.
///
/// A service is reconciled when messages about it arrive, and at the time that its last plan set. Services are independent:
/// one whose reconciliation fails is retried after its own backoff, and keeps its messages; one that hangs takes one of
/// [`WorkerParts::concurrency`] places.
pub struct Worker<Q, P>(WorkerParts<Q, P>);

impl<Q: Queue, P: ControllerPlatform + 'static> Worker<Q, P> {
    /// A worker that has not reconciled yet.
    pub fn new(parts: WorkerParts<Q, P>) -> Self {
        Self(parts)
    }

    /// Works until the shutdown is ordered, or as [`Lifetime`] says. Every failure is retried.
    pub async fn run(self) -> StopReason {
        let WorkerParts { queue, queue_settings, context, lifetime, shutdown, liveness, timing, .. } = self.0;
        let mut worker = Running {
            inbox: Inbox::new(context.clone()),
            receiver: Receiver::new(&queue, queue_settings, context.clone(), liveness.clone(), lifetime, timing),
            outbox: Outbox::new(&queue, context, liveness.clone(), timing.jitter),
            schedule: Schedule::new(self.0.concurrency.max(1), timing.jitter),
            routes: Routes::default(),
            services: HashMap::new(),
            reconciliations: FuturesUnordered::new(),
            changes: self.0.changes,
            lifetime,
            liveness,
            queue_is_empty: false,
        };
        worker.add(self.0.reconcilers);
        tokio::select! {
            biased;
            reason = shutdown.begun() => {
                worker.stop().await;
                reason
            }
            reason = worker.work() => reason,
        }
    }
}

/// A worker that runs.
struct Running<'q, Q, P> {
    inbox: Inbox,
    receiver: Receiver<'q, Q>,
    outbox: Outbox<'q, Q>,
    schedule: Schedule<Box<Reconciler<P>>>,
    routes: Routes<Key>,
    services: HashMap<Key, Service>,
    reconciliations: FuturesUnordered<BoxFuture<'static, Reconciled<P>>>,
    changes: Option<mpsc::Receiver<ServiceChanges<P>>>,
    lifetime: Lifetime,
    liveness: Liveness,
    /// The last receive returned no message.
    queue_is_empty: bool,
}

/// What the worker needs of a service while its reconciler is at work.
struct Service {
    context: Context,
    resync_interval: Duration,
}

/// A reconciliation that has ended.
struct Reconciled<P> {
    key: Key,
    reconciler: Box<Reconciler<P>>,
    hints: Hints,
    /// How long to wait before the next one.
    result: Result<(Duration, Progress), AwsError>,
}

/// Something that has happened.
enum Happened<P> {
    Reconciled(Reconciled<P>),
    Sent(messages::Ended),
    Received(receive::Ended),
    Changed(Option<ServiceChanges<P>>),
    TimePassed,
}

impl<Q: Queue, P: ControllerPlatform + 'static> Running<'_, Q, P> {
    /// Works until nothing is left to do, if the [`Lifetime`] ends then.
    async fn work(&mut self) -> StopReason {
        loop {
            if self.is_done() {
                return StopReason::QueueEmpty;
            }
            self.start();
            match self.next().await {
                Happened::Reconciled(reconciled) => self.reconciled(reconciled),
                Happened::Sent(ended) => self.outbox.ended(ended),
                Happened::Received(ended) => self.received(ended),
                Happened::Changed(Some(ServiceChanges { removed, added })) => {
                    self.remove(&removed, &added);
                    self.add(added);
                }
                Happened::Changed(None) => self.changes = None,
                Happened::TimePassed => {}
            }
        }
    }

    /// Starts everything that is due.
    fn start(&mut self) {
        let now = Instant::now();
        self.outbox.change_visibility(self.schedule.take_due_extensions(now), INVISIBLE_FOR);
        while let Some(Start { key, mut reconciler, hints }) = self.schedule.start(now) {
            let activity = self.liveness.track(Activity::Reconciling(reconciler.context().scope.service.clone()));
            self.reconciliations.push(Box::pin(async move {
                let outcome = reconciler.reconcile(&hints).await;
                drop(activity);
                let result = outcome.map(|outcome| (until_requeue(&outcome, reconciler.context()), outcome.progress));
                Reconciled { key, reconciler, hints, result }
            }));
        }
        if self.schedule.pauses_receiving(now).is_none() {
            self.receiver.start(now);
        }
        self.outbox.start(now);
    }

    /// Waits for the next thing that happens.
    async fn next(&mut self) -> Happened<P> {
        let now = Instant::now();
        let wakes_at = self.wakes_at(now);
        self.liveness.begin(Activity::Waiting(wakes_at.saturating_duration_since(now)));
        tokio::select! {
            biased;
            Some(reconciled) = self.reconciliations.next() => Happened::Reconciled(reconciled),
            Some(ended) = self.outbox.next() => Happened::Sent(ended),
            Some(ended) = self.receiver.next() => Happened::Received(ended),
            changes = next_changes(&mut self.changes) => Happened::Changed(changes),
            () = tokio::time::sleep_until(wakes_at) => Happened::TimePassed,
        }
    }

    /// Returns the next time at which a service, a call or the end of a pause is due.
    fn wakes_at(&self, now: Instant) -> Instant {
        let pause_ends = match self.schedule.pauses_receiving(now) {
            Some(Pause::Until(until)) => Some(until),
            Some(Pause::UntilReconciled) | None => None,
        };
        let times = [self.schedule.wakes_at(), self.outbox.wakes_at(), self.receiver.wakes_at(now), pause_ends];
        times.into_iter().flatten().min().unwrap_or(now + LONGEST_POLL)
    }

    /// Returns whether the worker's lifetime is over.
    fn is_done(&self) -> bool {
        self.lifetime == Lifetime::UntilEmpty
            && self.queue_is_empty
            && self.schedule.is_settled()
            && self.outbox.is_empty()
    }

    // ---- messages ----

    fn received(&mut self, ended: receive::Ended) {
        let (messages, is_full) = match self.receiver.received(ended) {
            Received::Full(messages) => (messages, true),
            Received::Rest(messages) => (messages, false),
            Received::Failed => {
                self.queue_is_empty = false;
                return self.schedule.no_messages_follow();
            }
            Received::Nothing => return,
        };
        self.queue_is_empty = messages.is_empty();
        let now = Instant::now();
        messages.into_iter().for_each(|message| self.sort(message, now));
        match is_full {
            true => self.schedule.more_messages_follow(),
            false => self.schedule.no_messages_follow(),
        }
    }

    fn sort(&mut self, message: Message, now: Instant) {
        let (service, hint, receipt, sent_at) = match self.inbox.sort(message, self.receiver.redrive(), &self.routes) {
            Sorted::Relevant { service, hint, receipt, sent_at } => (service, hint, receipt, sent_at),
            Sorted::Deletable(receipt) => return self.outbox.delete([receipt], now),
            Sorted::Malformed(_) => return,
        };
        match self.schedule.deliver(service, hint, receipt, self.receiver.visibility_timeout(), now) {
            Ok(()) => {
                if let Some(Service { context, .. }) = self.services.get(&service) {
                    context.count_message(sent_at);
                }
            }
            // It is received again later, and counted then.
            Err(receipt) => self.outbox.change_visibility([receipt], DEFERRED_FOR),
        }
    }

    // ---- reconciliations ----

    fn reconciled(&mut self, Reconciled { key, reconciler, hints, result }: Reconciled<P>) {
        let now = Instant::now();
        let receipts = match result {
            Ok(next) => {
                self.liveness.succeeded();
                self.schedule.succeeded(key, reconciler, next, now)
            }
            Err(error) => {
                self.liveness.failed(&error);
                let log = &reconciler.context().log;
                let retry = self.schedule.retry(key);
                let wait = retry.map(|retry| error_policy::requeue_after(&error, retry, log)).unwrap_or_default();
                self.schedule.failed(key, reconciler, hints, wait, now)
            }
        };
        self.outbox.delete(receipts, now);
        self.report_services();
    }

    // ---- services ----

    fn add(&mut self, reconcilers: Vec<Reconciler<P>>) {
        let now = Instant::now();
        for reconciler in reconcilers {
            let context = reconciler.context().clone();
            let cluster = context.scope.cluster_name().to_owned();
            let resync_interval = reconciler.resync_interval();
            let reconciler = Box::new(reconciler);
            let key = match self.routes.get(&context.scope) {
                Some(key) => {
                    self.schedule.replace(key, reconciler, &cluster, resync_interval, now);
                    key
                }
                None => {
                    let first = match self.lifetime {
                        Lifetime::UntilStopped => None,
                        // Spreading would only prolong the run.
                        Lifetime::UntilEmpty => Some(now),
                    };
                    let key = self.schedule.add(reconciler, &cluster, resync_interval, first, now);
                    self.routes.insert(&context.scope, key);
                    key
                }
            };
            self.services.insert(key, Service { context, resync_interval });
        }
        self.services_changed();
    }

    /// Removes services, except those that are replaced.
    fn remove(&mut self, removed: &[Scope], added: &[Reconciler<P>]) {
        let is_same = |scope: &Scope, reconciler: &Reconciler<P>| {
            let other = &reconciler.context().scope;
            (scope.cluster_name(), &scope.service) == (other.cluster_name(), &other.service)
        };
        for scope in removed.iter().filter(|scope| !added.iter().any(|reconciler| is_same(scope, reconciler))) {
            if let Some(key) = self.routes.remove(scope) {
                self.services.remove(&key);
                let receipts = self.schedule.remove(key);
                self.outbox.delete(receipts, Instant::now());
            }
        }
        self.services_changed();
    }

    fn services_changed(&self) {
        if let Some(longest) = self.services.values().map(|service| service.resync_interval).max() {
            self.liveness.set_resync_interval(longest);
        }
        self.report_services();
    }

    fn report_services(&self) {
        let Counts { all, untried, .. } = self.schedule.counts();
        let untried_service = self.schedule.first_untried().and_then(|key| self.services.get(&key));
        let first_untried = untried_service.map(|service| service.context.scope.service.clone());
        self.liveness.set_services(Services { all, untried, first_untried });
    }

    // ---- the end ----

    /// Stops: reconciliations in progress may end within the grace period, and all messages that are not deleted then become
    /// visible to other workers, as far as a second grace period allows.
    async fn stop(&mut self) {
        self.receiver.cancel();
        let now = Instant::now();
        self.outbox.hurry(now);
        self.outbox.forget_changes();
        self.outbox.change_visibility(self.schedule.take_waiting(), Duration::ZERO);
        let _ = tokio::time::timeout(GRACE, self.finish()).await;
        self.reconciliations.clear();
        let receipts = self.schedule.take_in_progress();
        self.outbox.give_up();
        self.outbox.change_visibility(receipts, Duration::ZERO);
        // Those that are left reappear after their visibility timeout.
        let _ = tokio::time::timeout(GRACE, self.finish()).await;
    }

    /// Waits for what is in progress.
    async fn finish(&mut self) {
        loop {
            let now = Instant::now();
            self.outbox.change_visibility(self.schedule.take_due_extensions(now), INVISIBLE_FOR);
            self.outbox.start(now);
            if self.reconciliations.is_empty() && self.outbox.is_empty() {
                return;
            }
            let wakes_at = self.wakes_at(now);
            tokio::select! {
                biased;
                Some(reconciled) = self.reconciliations.next() => {
                    self.reconciled(reconciled);
                    self.outbox.hurry(Instant::now());
                    self.outbox.change_visibility(self.schedule.take_waiting(), Duration::ZERO);
                }
                Some(ended) = self.outbox.next() => self.outbox.ended(ended),
                () = tokio::time::sleep_until(wakes_at) => {}
            }
        }
    }
}

/// Waits for changes of the services; forever, if none can come. `None` if no further ones can.
async fn next_changes<P>(changes: &mut Option<mpsc::Receiver<ServiceChanges<P>>>) -> Option<ServiceChanges<P>> {
    match changes {
        Some(changes) => changes.recv().await,
        None => std::future::pending().await,
    }
}

/// Returns how long to wait before the next reconciliation.
pub(crate) fn until_requeue(outcome: &Outcome, context: &Context) -> Duration {
    let wait = outcome.requeue_at.duration_since(context.clock.now());
    Duration::try_from(wait).unwrap_or_default().max(SHORTEST_REQUEUE)
}

#[cfg(test)]
mod tests;
