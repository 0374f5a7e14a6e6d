//! Decides which service is reconciled next, and keeps what waits for it. It knows neither AWS nor the queue.
//!
//! Like the work queues of Kubernetes' controllers (`util/workqueue` in kubernetes/client-go), it has each service at most
//! once in its queue, starts them in the order in which they became due, and bounds how many are in progress. A service that
//! becomes due while it is in progress is queued again at its end. In addition each service waits with its messages: they
//! are deleted after a reconciliation that began after their arrival has succeeded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::SHORTEST_REQUEUE;
use super::receive::{MESSAGES_PER_RECEIVE, RECEIVES};
use super::resync::{Resyncs, Slot};
use crate::aws::Receipt;
use crate::controller::inbox::Batch;
use crate::controller::message::{Hint, Hints};
use crate::controller::reconciler::Progress;
use crate::retry::{Jitter, Retry};

/// The most messages of a service that wait for its next reconciliation; a service reconciles once so many wait. As many may
/// belong to the reconciliation in progress, so that receiving goes on meanwhile. A receipt handle has at most 1,024
/// characters (see "Amazon SQS queue and message identifiers" in the SQS developer guide), so a service's messages take at
/// most 5 MB.
pub(super) const BATCH_MESSAGES: usize = 2_000;

/// The most messages of a service that are accepted while they wait: those that were being received when the batch was full
/// fit in.
const MOST_WAITING: usize = BATCH_MESSAGES + RECEIVES * MESSAGES_PER_RECEIVE;

/// The longest time that a service's messages wait for further ones while the queue has a backlog.
///
/// A reconciliation serves any number of messages, so a longer wait saves calls: a drain of 10,000 messages takes less than
/// a second at the rate of a local sandbox, and with this wait and [`BATCH_MESSAGES`] it has fewer than ten reconciliations.
/// A shorter wait registers a target sooner: half a second leaves as much for the reconciliation itself within the second
/// that a registration may take.
pub(super) const HOLD: Duration = Duration::from_millis(500);

/// The longest time for which receiving stops because a service's batch is full. Its reconciliation, which makes room, takes
/// less as a rule; the messages of other services must not wait longer for one that hangs.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The visibility timeout of a message while its service waits or is reconciled; it is renewed at half of it.
pub(super) const INVISIBLE_FOR: Duration = Duration::from_secs(60);

/// The place of a service in the schedule. None is used twice.
pub(super) type Key = u64;

/// The services of a worker, each with a reconciler `R`, and the order of their reconciliations.
pub(super) struct Schedule<R> {
    jitter: Jitter,
    most_in_progress: usize,
    entries: BTreeMap<Key, Entry<R>>,
    resyncs: Resyncs,
    /// The services that are due, in the order in which they became due.
    queue: VecDeque<Key>,
    /// The times at which services become due.
    timers: BTreeSet<(Instant, Key)>,
    /// The services whose messages must be kept invisible, by the time of the next extension.
    extensions: BTreeSet<(Instant, Key)>,
    /// The services whose messages wait for further ones, in the order of their arrival.
    held: Vec<Key>,
    /// The services whose batch is full, and until when receiving stops for it.
    full: Vec<(Key, Option<Instant>)>,
    /// The queue has a backlog: the last receive was full.
    has_backlog: bool,
    /// The number of reconciliations in progress.
    in_progress: usize,
    /// The key of the next service.
    next_key: Key,
    counts: Counts,
}

/// The services by their condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All.
    pub(super) all: usize,
    /// Those whose last reconciliation failed.
    pub(super) failing: usize,
    /// Those that have neither been reconciled nor failed.
    pub(super) untried: usize,
    /// Those for which something is left to do at once.
    pub(super) unsettled: usize,
}

/// A service.
struct Entry<R> {
    /// `None` while it is in progress.
    reconciler: Option<R>,
    state: State,
    slot: Slot,
    /// The messages that wait for the next reconciliation.
    waiting: Batch,
    /// The arrival of the first of them.
    waiting_since: Option<Instant>,
    /// The messages of the reconciliation in progress.
    in_progress: Vec<Receipt>,
    /// The next extension of the messages' visibility.
    extend_at: Option<Instant>,
    /// `None` unless the last reconciliation failed.
    retry: Option<Retry>,
    is_tried: bool,
    progress: Progress,
    change: Option<Change<R>>,
}

/// A change that awaits the end of the reconciliation in progress.
enum Change<R> {
    Replace(R),
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Becomes due at the time.
    Scheduled(Instant),
    /// Has messages and waits for further ones, at most until the time.
    Held(Instant),
    /// Has failed, and waits until the time.
    BackingOff(Instant),
    /// Is due.
    Queued,
    /// Is reconciled.
    InProgress,
}

impl State {
    /// The time at which the service becomes due; `None` if it is due, or is reconciled.
    fn due(self) -> Option<Instant> {
        match self {
            Self::Scheduled(at) | Self::Held(at) | Self::BackingOff(at) => Some(at),
            Self::Queued | Self::InProgress => None,
        }
    }
}

/// A reconciliation to start.
pub(super) struct Start<R> {
    pub(super) key: Key,
    pub(super) reconciler: R,
    pub(super) hints: Hints,
}

impl<R> Schedule<R> {
    /// A schedule without services.
    pub(super) fn new(most_in_progress: usize, jitter: Jitter) -> Self {
        Self {
            jitter,
            most_in_progress,
            entries: BTreeMap::new(),
            resyncs: Resyncs::default(),
            queue: VecDeque::new(),
            timers: BTreeSet::new(),
            extensions: BTreeSet::new(),
            held: Vec::new(),
            full: Vec::new(),
            has_backlog: false,
            in_progress: 0,
            next_key: 0,
            counts: Counts::default(),
        }
    }

    /// Returns the services by their condition.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    // ---- the services ----

    /// Adds a service. Unless the time of its first reconciliation is given, it is that of its group.
    pub(super) fn add(
        &mut self,
        reconciler: R,
        cluster: &str,
        resync_interval: Duration,
        first: Option<Instant>,
        now: Instant,
    ) -> Key {
        let (slot, first_of_group) = self.resyncs.join(cluster, resync_interval, now);
        let first = first.unwrap_or(first_of_group);
        let entry = Entry {
            reconciler: Some(reconciler),
            state: State::Queued,
            slot,
            waiting: Batch::default(),
            waiting_since: None,
            in_progress: Vec::new(),
            extend_at: None,
            retry: None,
            is_tried: false,
            progress: Progress::Underway,
            change: None,
        };
        let key = self.next_key;
        self.next_key += 1;
        self.counts.add(&entry);
        self.entries.insert(key, entry);
        self.set_state(key, State::Scheduled(first));
        key
    }

    /// Replaces a service's reconciler, at the end of the reconciliation in progress if there is one. The service is
    /// reconciled at once.
    pub(super) fn replace(&mut self, key: Key, reconciler: R, cluster: &str, resync_interval: Duration, now: Instant) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.resyncs.leave(entry.slot);
        (entry.slot, _) = self.resyncs.join(cluster, resync_interval, now);
        if entry.state == State::InProgress {
            entry.change = Some(Change::Replace(reconciler));
        } else {
            entry.reconciler = Some(reconciler);
            self.enqueue(key);
        }
    }

    /// Removes a service, at the end of the reconciliation in progress if there is one. Returns the messages that wait for it.
    pub(super) fn remove(&mut self, key: Key) -> Vec<Receipt> {
        let Some(entry) = self.entries.get_mut(&key) else { return Vec::new() };
        if entry.state == State::InProgress {
            entry.change = Some(Change::Remove);
            let waiting = std::mem::take(&mut entry.waiting).receipts;
            self.set_extension(key, None);
            return waiting;
        }
        self.drop_entry(key)
    }

    /// Removes a service that is not in progress. Returns its messages.
    fn drop_entry(&mut self, key: Key) -> Vec<Receipt> {
        self.set_state(key, State::Queued);
        self.set_extension(key, None);
        let Some(entry) = self.entries.remove(&key) else { return Vec::new() };
        self.queue.retain(|queued| *queued != key);
        self.held.retain(|held| *held != key);
        self.full.retain(|(full, _)| *full != key);
        self.resyncs.leave(entry.slot);
        self.counts.subtract(&entry);
        entry.waiting.receipts
    }

    // ---- messages ----

    /// Adds a message to a service's batch, which must be kept invisible after half of its visibility timeout. Returns the
    /// message if the batch is full.
    pub(super) fn deliver(
        &mut self,
        key: Key,
        hint: Hint,
        receipt: Receipt,
        visibility_timeout: Duration,
        now: Instant,
    ) -> Result<(), Receipt> {
        let Some(entry) = self.entries.get_mut(&key) else { return Err(receipt) };
        if entry.waiting.receipts.len() >= MOST_WAITING {
            return Err(receipt);
        }
        entry.waiting.hints.add(hint);
        entry.waiting.receipts.push(receipt);
        entry.waiting_since.get_or_insert(now);
        let is_full = entry.waiting.receipts.len() == BATCH_MESSAGES;
        let extend_at = now + visibility_timeout / 2;
        let extend_at = entry.extend_at.map_or(extend_at, |at| at.min(extend_at));
        let (state, is_failing) = (entry.state, entry.retry.is_some());
        self.set_extension(key, Some(extend_at));
        if is_full {
            self.full.push((key, (!is_failing).then_some(now + LONGEST_PAUSE)));
        }
        match state {
            State::Scheduled(_) | State::Held(_) if is_full => self.enqueue(key),
            State::Scheduled(at) => {
                self.set_state(key, State::Held(at.min(now + HOLD)));
                self.held.push(key);
            }
            State::Held(_) | State::BackingOff(_) | State::Queued | State::InProgress => {}
        }
        Ok(())
    }

    /// Notes that a receive was full, so that further messages probably wait on the queue.
    pub(super) fn more_messages_follow(&mut self) {
        self.has_backlog = true;
    }

    /// Returns a service that has neither been reconciled nor failed, if there is one.
    pub(super) fn first_untried(&self) -> Option<Key> {
        (self.counts.untried > 0).then(|| self.entries.iter().find(|(_, entry)| !entry.is_tried))?.map(|(key, _)| *key)
    }

    /// Notes that the queue was drained, or can't be read: the services whose messages waited for further ones become due.
    pub(super) fn no_messages_follow(&mut self) {
        self.has_backlog = false;
        for key in std::mem::take(&mut self.held) {
            if self.entries.get(&key).is_some_and(|entry| matches!(entry.state, State::Held(_))) {
                self.enqueue(key);
            }
        }
    }

    /// Returns whether receiving must stop, and until when if the clock ends that. It begins after the first reconciliation,
    /// which covers what happened while no worker ran. It stops while a batch is full, for a moment; and while every service
    /// fails or has a full batch: their messages are better left to other workers.
    pub(super) fn pauses_receiving(&self, now: Instant) -> Option<Pause> {
        let Counts { all, failing, untried, .. } = self.counts;
        if all > 0 && [failing, untried, self.full.len()].contains(&all) {
            return Some(Pause::UntilReconciled);
        }
        let until = self.full.iter().filter_map(|(_, until)| *until).filter(|until| *until > now).max();
        until.map(Pause::Until)
    }

    /// Returns the messages whose visibility must be extended now to [`INVISIBLE_FOR`].
    pub(super) fn take_due_extensions(&mut self, now: Instant) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        while let Some((at, key)) = self.extensions.first().copied().filter(|(at, _)| *at <= now) {
            self.extensions.remove(&(at, key));
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            receipts.extend(entry.in_progress.iter().chain(&entry.waiting.receipts).cloned());
            entry.extend_at = None;
            self.set_extension(key, Some(now + INVISIBLE_FOR / 2));
        }
        receipts
    }

    // ---- reconciliations ----

    /// Returns the next reconciliation to start, unless as many as may be are in progress.
    pub(super) fn start(&mut self, now: Instant) -> Option<Start<R>> {
        while let Some((_, key)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.enqueue(key);
        }
        if self.in_progress >= self.most_in_progress {
            return None;
        }
        let key = self.queue.pop_front()?;
        let entry = self.entries.get_mut(&key)?;
        let reconciler = entry.reconciler.take()?;
        let Batch { hints, receipts } = std::mem::take(&mut entry.waiting);
        entry.in_progress = receipts;
        entry.waiting_since = None;
        entry.state = State::InProgress;
        self.in_progress += 1;
        self.full.retain(|(full, _)| *full != key);
        Some(Start { key, reconciler, hints })
    }

    /// Ends a reconciliation that succeeded, and whose service must be reconciled again after so long. Returns the messages
    /// that may be deleted.
    pub(super) fn succeeded(
        &mut self,
        key: Key,
        reconciler: R,
        (wait, progress): (Duration, Progress),
        now: Instant,
    ) -> Vec<Receipt> {
        self.in_progress -= 1;
        let Some(entry) = self.entries.get_mut(&key) else { return Vec::new() };
        let mut receipts = std::mem::take(&mut entry.in_progress);
        self.counts.subtract(entry);
        (entry.is_tried, entry.progress, entry.retry) = (true, progress, None);
        self.counts.add(entry);
        let has_waiting = !entry.waiting.receipts.is_empty();
        if !has_waiting {
            self.set_extension(key, None);
        }
        match self.end(key, reconciler) {
            End::Removed(more) => receipts.extend(more),
            End::Replaced => self.enqueue(key),
            End::Unchanged => self.requeue(key, now + wait, now),
        }
        receipts
    }

    /// Schedules the next reconciliation.
    fn requeue(&mut self, key: Key, at: Instant, now: Instant) {
        let Some(entry) = self.entries.get(&key) else { return };
        // Not right after this one.
        let slot = self.resyncs.next(entry.slot, now + SHORTEST_REQUEUE);
        let at = slot.map_or(at, |slot| slot.min(at));
        match entry.waiting_since {
            None => self.set_state(key, State::Scheduled(at)),
            Some(_) if !self.has_backlog || entry.waiting.receipts.len() >= BATCH_MESSAGES => self.enqueue(key),
            Some(since) => {
                self.set_state(key, State::Held(at.min(since + HOLD)));
                self.held.push(key);
            }
        }
    }

    /// Returns the service's backoff, to choose the wait after a failure by.
    pub(super) fn retry(&mut self, key: Key) -> Option<&mut Retry> {
        let jitter = self.jitter;
        let entry = self.entries.get_mut(&key)?;
        self.counts.subtract(entry);
        entry.retry.get_or_insert_with(|| Retry::new(jitter));
        self.counts.add(entry);
        entry.retry.as_mut()
    }

    /// Ends a reconciliation that failed, and whose service must be reconciled again after so long, with the same messages.
    /// Returns the messages that may be deleted: those of a service that was removed.
    pub(super) fn failed(
        &mut self,
        key: Key,
        reconciler: R,
        hints: Hints,
        wait: Duration,
        now: Instant,
    ) -> Vec<Receipt> {
        self.in_progress -= 1;
        let Some(entry) = self.entries.get_mut(&key) else { return Vec::new() };
        self.counts.subtract(entry);
        entry.is_tried = true;
        self.counts.add(entry);
        let mut receipts = std::mem::take(&mut entry.in_progress);
        receipts.append(&mut entry.waiting.receipts);
        entry.waiting.receipts = receipts;
        let newer = std::mem::replace(&mut entry.waiting.hints, hints);
        entry.waiting.hints.merge(newer);
        let is_full = entry.waiting.receipts.len() >= BATCH_MESSAGES;
        if is_full && !self.full.iter().any(|(full, _)| *full == key) {
            self.full.push((key, None));
        }
        match self.end(key, reconciler) {
            End::Removed(receipts) => return receipts,
            End::Replaced => self.enqueue(key),
            End::Unchanged => self.set_state(key, State::BackingOff(now + wait)),
        }
        Vec::new()
    }

    /// Puts the reconciler back, or makes the change that awaited it.
    fn end(&mut self, key: Key, reconciler: R) -> End {
        let Some(entry) = self.entries.get_mut(&key) else { return End::Removed(Vec::new()) };
        match entry.change.take() {
            None => {
                entry.reconciler = Some(reconciler);
                End::Unchanged
            }
            Some(Change::Replace(replacement)) => {
                entry.reconciler = Some(replacement);
                End::Replaced
            }
            Some(Change::Remove) => End::Removed(self.drop_entry(key)),
        }
    }

    /// Returns whether nothing can be done at once: each service is settled, and no message waits.
    pub(super) fn is_settled(&self) -> bool {
        let Counts { failing, unsettled, .. } = self.counts;
        (failing, unsettled, self.in_progress) == (0, 0, 0) && self.queue.is_empty() && self.extensions.is_empty()
    }

    // ---- time and end ----

    /// Returns the next time at which the clock changes something.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let timer = self.timers.first().filter(|_| self.in_progress < self.most_in_progress);
        [timer, self.extensions.first()].into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Takes the messages of the services that are not in progress, and those that have arrived for the others since: no
    /// reconciliation will follow.
    pub(super) fn take_waiting(&mut self) -> Vec<Receipt> {
        let waiting = self.entries.values_mut().flat_map(|entry| std::mem::take(&mut entry.waiting).receipts);
        let waiting = waiting.collect();
        self.queue.clear();
        self.timers.clear();
        self.full.clear();
        self.extensions.retain(|(_, key)| self.entries.get(key).is_some_and(|entry| !entry.in_progress.is_empty()));
        waiting
    }

    /// Takes the messages of the reconciliations in progress, which end unfinished.
    pub(super) fn take_in_progress(&mut self) -> Vec<Receipt> {
        self.entries.values_mut().flat_map(|entry| std::mem::take(&mut entry.in_progress)).collect()
    }

    // ---- bookkeeping ----

    fn enqueue(&mut self, key: Key) {
        let Some(entry) = self.entries.get(&key) else { return };
        if !matches!(entry.state, State::Queued) {
            self.set_state(key, State::Queued);
            self.queue.push_back(key);
        }
    }

    fn set_state(&mut self, key: Key, state: State) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Some(at) = std::mem::replace(&mut entry.state, state).due() {
            self.timers.remove(&(at, key));
        }
        if let Some(at) = state.due() {
            self.timers.insert((at, key));
        }
    }

    fn set_extension(&mut self, key: Key, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Some(before) = std::mem::replace(&mut entry.extend_at, at) {
            self.extensions.remove(&(before, key));
        }
        if let Some(at) = at {
            self.extensions.insert((at, key));
        }
    }
}

/// The end of a reconciliation, by the change that awaited it.
enum End {
    Unchanged,
    Replaced,
    /// The service was removed with these messages.
    Removed(Vec<Receipt>),
}

/// An interruption of receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Until the time, or until there is room earlier.
    Until(Instant),
    /// Until a reconciliation ends, and makes the difference.
    UntilReconciled,
}

impl Counts {
    fn of<R>(entry: &Entry<R>) -> Self {
        Self {
            all: 1,
            failing: usize::from(entry.retry.is_some()),
            untried: usize::from(!entry.is_tried),
            unsettled: usize::from(entry.progress == Progress::Underway),
        }
    }

    fn add<R>(&mut self, entry: &Entry<R>) {
        let Self { all, failing, untried, unsettled } = Self::of(entry);
        self.all += all;
        self.failing += failing;
        self.untried += untried;
        self.unsettled += unsettled;
    }

    fn subtract<R>(&mut self, entry: &Entry<R>) {
        let Self { all, failing, untried, unsettled } = Self::of(entry);
        self.all -= all;
        self.failing -= failing;
        self.untried -= untried;
        self.unsettled -= unsettled;
    }
}

#[cfg(test)]
mod tests;
