//! The controller as a function: each invocation brings messages or a tick, and its response says which messages failed.
//! The caller receives and deletes them.
//!
//! Memory lasts from one invocation to the next. In between the process is frozen, or gone: nothing runs beside an
//! invocation, and what must not be lost is in the load balancer's tags.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::aws::{AwsError, ControllerPlatform, ErrorKind, Message, Queue, Receipt, Redrive};
use crate::clock::Moment;
use crate::controller::context::QueueContext;
use crate::controller::error_policy;
use crate::controller::inbox::{Batch, Inbox, LAST_RECEIVE, Sorted};
use crate::controller::message::Hints;
use crate::controller::reconciler::{Outcome, Progress, Reconciler};
use crate::controller::routes::Routes;
use crate::controller::scope::Scope;
use crate::controller::worker::{CONCURRENCY, SETTINGS_VALID_FOR, ServiceChanges, until_requeue};
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

/// Reconciles services, invocation by invocation.
pub struct Function<Q, P> {
    /// Only its settings are read.
    queue: Q,
    /// The queue's redrive policy, and when it was read.
    redrive: Option<(Redrive, Moment)>,
    reconcilers: Vec<Reconciler<P>>,
    /// The places of the services in `reconcilers`.
    routes: Routes<usize>,
    /// The places of the services in the order in which the next tick reconciles them.
    turns: Vec<usize>,
    inbox: Inbox,
    context: QueueContext,
}

impl<Q: Queue, P: ControllerPlatform> Function<Q, P> {
    /// A function that has not reconciled yet, and that logs and counts in this context what belongs to no service. Of two
    /// reconcilers of the same service, the first one gets its messages.
    pub fn new(queue: Q, reconcilers: Vec<Reconciler<P>>, context: QueueContext) -> Self {
        let routes = places(&reconcilers);
        let turns = (0..reconcilers.len()).collect();
        Self { queue, redrive: None, reconcilers, routes, turns, inbox: Inbox::new(context.clone()), context }
    }

    /// Changes the services. The next tick begins with those that are new; the others keep their order.
    pub fn change(&mut self, changes: ServiceChanges<P>) {
        let ServiceChanges { removed, added } = changes;
        let replaced: Vec<_> = added.iter().map(|reconciler| reconciler.context().scope.clone()).collect();
        let is_gone = |scope: &Scope| removed.iter().chain(&replaced).any(|gone| gone.is_same_service(scope));
        let is_kept: Vec<_> = self.reconcilers.iter().map(|of| !is_gone(&of.context().scope)).collect();
        let place_after = |place: usize| is_kept[place].then(|| is_kept[..place].iter().filter(|kept| **kept).count());
        let turns: Vec<_> = self.turns.iter().filter_map(|place| place_after(*place)).collect();
        let mut is_kept = is_kept.iter();
        self.reconcilers.retain(|_| is_kept.next() == Some(&true));
        let kept = self.reconcilers.len();
        self.reconcilers.extend(added);
        self.routes = places(&self.reconcilers);
        self.turns = (kept..self.reconcilers.len()).chain(turns).collect();
    }

    /// Handles an invocation, and responds before its deadline. It goes on while a teardown is under way and time is left.
    ///
    /// A tick reconciles all services, as many at a time as a worker does. If the time is over before, the next tick begins
    /// with those that are left, and with those that failed.
    ///
    /// # Errors
    ///
    /// Returns an error if all reconciliations of a tick failed: Lambda repeats such a tick, which isn't worth it for one
    /// service of many. Messages whose reconciliation failed are in the response instead.
    pub async fn invoke(&mut self, request: Request, deadline: Instant) -> Result<Response, AwsError> {
        let deadline = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let response = match request {
            Request::Messages(messages) => Ok(self.handle(messages, deadline).await),
            Request::Tick => self.tick(deadline).await.map(|()| Response::default()),
        };
        self.context.set_queue_calls(self.queue.calls());
        response
    }

    async fn handle(&mut self, messages: Vec<Message>, deadline: Instant) -> Response {
        // Before that receive the redrive policy makes no difference.
        let redrive = match messages.iter().any(|message| message.receive_count >= LAST_RECEIVE) {
            true => self.redrive(deadline).await,
            false => Redrive::ToDeadLetterQueue,
        };
        let mut failed = Vec::new();
        let mut batches: BTreeMap<usize, Batch> = BTreeMap::new();
        for message in messages {
            match self.inbox.sort(message, redrive, &self.routes) {
                Sorted::Relevant { service, hint, receipt, sent_at } => {
                    self.reconcilers[service].context().count_message(sent_at);
                    let batch = batches.entry(service).or_default();
                    batch.hints.add(hint);
                    batch.receipts.push(receipt);
                }
                Sorted::Deletable(_) => {}
                Sorted::Malformed(receipt) => failed.push(receipt),
            }
        }
        let mut receipts = Vec::new();
        let with_batch = self.reconcilers.iter_mut().enumerate().filter_map(|(place, reconciler)| {
            let Batch { hints, receipts: of_service } = batches.remove(&place)?;
            receipts.push(of_service);
            Some((reconciler, hints))
        });
        let work = with_batch.collect();
        for (place, result) in side_by_side(work, deadline).await {
            if result.is_ok() {
                receipts[place].clear();
            }
        }
        // Those of a service for which no time was left, too.
        failed.extend(receipts.into_iter().flatten());
        Response { failed: failed.into_iter().map(|Receipt { message_id, .. }| message_id).collect() }
    }

    async fn tick(&mut self, deadline: Instant) -> Result<(), AwsError> {
        let turns = std::mem::take(&mut self.turns);
        let mut reconcilers: Vec<_> = self.reconcilers.iter_mut().map(Some).collect();
        let work = turns.iter().filter_map(|place| Some((reconcilers[*place].take()?, Hints::default()))).collect();
        let mut results: Vec<_> = side_by_side(work, deadline).await;
        // A service that fails is cut short at the deadline at worst, and takes one place of many.
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        results.sort_by_key(|(turn, _)| *turn);
        for (turn, result) in &results {
            if result.is_ok() { &mut succeeded } else { &mut failed }.push(turns[*turn]);
        }
        // The first that have begun are those that have ended.
        self.turns = turns[results.len()..].iter().copied().chain(failed).chain(succeeded.iter().copied()).collect();
        match results.pop() {
            Some((_, Err(error))) if succeeded.is_empty() => Err(error),
            _ => Ok(()),
        }
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
}

/// Returns the places of services. Of two reconcilers of the same service, the first one counts.
fn places<P: ControllerPlatform>(reconcilers: &[Reconciler<P>]) -> Routes<usize> {
    let mut routes = Routes::default();
    for (place, reconciler) in reconcilers.iter().enumerate().rev() {
        routes.insert(&reconciler.context().scope, place);
    }
    routes
}

/// Reconciles services side by side, in their order, and no further ones once too little time is left: those have no result.
async fn side_by_side<P: ControllerPlatform>(
    work: Vec<(&mut Reconciler<P>, Hints)>,
    deadline: Instant,
) -> Vec<(usize, Result<(), AwsError>)> {
    let mut left = work.into_iter().enumerate();
    let mut in_progress = FuturesUnordered::new();
    let mut results = Vec::new();
    loop {
        while in_progress.len() < CONCURRENCY
            // The first one is always tried, so that a failure is logged.
            && (in_progress.is_empty() && results.is_empty() || Instant::now() + TIME_TO_RECONCILE <= deadline)
            && let Some((place, (reconciler, hints))) = left.next()
        {
            in_progress.push(async move { (place, reconcile(reconciler, hints, deadline).await) });
        }
        match in_progress.next().await {
            Some(result) => results.push(result),
            None => return results,
        }
    }
}

/// Reconciles a service until it succeeds, and until no teardown is under way, as far as the time allows.
///
/// # Errors
///
/// The last error, when no reconciliation has succeeded.
async fn reconcile<P: ControllerPlatform>(
    reconciler: &mut Reconciler<P>,
    mut hints: Hints,
    deadline: Instant,
) -> Result<(), AwsError> {
    let context = reconciler.context().clone();
    let mut retry = Retry::default();
    let mut has_succeeded = false;
    loop {
        let (wait, failure) = match reconcile_by(reconciler, deadline, &hints).await {
            Ok(outcome) if outcome.progress == Progress::Settled => return Ok(()),
            Ok(outcome) => {
                has_succeeded = true;
                retry.succeeded();
                hints = Hints::default();
                (until_requeue(&outcome, &context), None)
            }
            Err(error) => (error_policy::requeue_after(&error, &mut retry, &context.log), Some(error)),
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
async fn reconcile_by<P: ControllerPlatform>(
    reconciler: &mut Reconciler<P>,
    deadline: Instant,
    hints: &Hints,
) -> Result<Outcome, AwsError> {
    if Instant::now() >= deadline {
        return Err(out_of_time());
    }
    let reconciled = tokio::time::timeout_at(deadline, reconciler.reconcile(hints)).await;
    reconciled.unwrap_or_else(|_| Err(out_of_time()))
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
