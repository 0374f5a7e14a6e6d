//! A reconciler: a watcher, or the part of `down` that deletes by the watcher's rules.

use std::hash::{Hash, Hasher};

use crate::aws::{Aws, Holder, Lease};
use crate::bug::Bug;
use crate::decision::{Context, Decider, Unmatched, decide};
use crate::reading::{Answers, Reading};
use crate::time::{DEADLINE, Instant, OTHER_STOP_ENDS_WITHIN};
use crate::write::{Author, Effect, Write};

/// How long a write can take effect if deadlines are ignored.
const IGNORED_DEADLINE: Instant = 6;

/// A reconciler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reconciler {
    /// What it has read and AWS doesn't show any more.
    pub reading: Reading,
    /// The time of the first of these calls; else unused.
    pub began: Instant,
    /// Since when it has found targets without a task.
    pub unmatched: Unmatched,
    /// The writes that it has sent and that have not taken effect. It begins no observation before their end.
    pub writes: Vec<Write>,
    /// The stop of an unused service that it carries out.
    pub stop: Option<Stop>,
    /// The name in stories.
    pub name: Name,
}

/// The stop of an unused service, call by call (`src/controller/stop.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stop {
    /// The next call.
    pub step: StopStep,
    /// The instant at which no write takes effect any more.
    pub deadline: Instant,
    /// The time at which the lease was taken.
    pub lease_begun_at: Instant,
}

/// A call of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopStep {
    /// Read the lease.
    Read,
    /// Take the lease.
    TakeLease,
    /// Read the lease again.
    Verify,
    /// Set the desired count to zero.
    Scale,
    /// Read the lease once more.
    ReadAgain,
    /// Release the lease.
    Release,
}

/// A name, which doesn't distinguish states: two watchers can change places.
#[derive(Clone, Copy, Debug)]
pub struct Name(pub u8);

impl PartialEq for Name {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Reconciler {
    /// A reconciler that has observed nothing.
    pub fn new(name: u8) -> Self {
        Self {
            reading: Reading::default(),
            began: 0,
            unmatched: Unmatched::default(),
            writes: Vec::new(),
            stop: None,
            name: Name(name),
        }
    }

    /// Returns whether it observes, or can begin to.
    pub fn observes(&self) -> bool {
        self.writes.is_empty() && self.stop.is_none()
    }

    /// Takes another reading, right before a step at this time.
    pub fn read(&mut self, reading: Reading, now: Instant) {
        if self.reading.is_empty() && !reading.is_empty() {
            self.began = now;
        }
        self.reading = reading;
        if reading.is_empty() {
            self.began = 0;
        }
    }

    /// Forgets the observation: the process restarts.
    pub fn restart(&mut self) {
        *self = Self { writes: std::mem::take(&mut self.writes), ..Self::new(self.name.0) };
    }

    /// Forgets the observation if no write can follow from it any more.
    pub fn expire(&mut self, now: Instant) {
        if !self.reading.is_empty() && now >= self.began + DEADLINE {
            (self.reading, self.began) = (Reading::default(), 0);
        }
    }

    /// Finishes the observation, and sends the writes that follow from it.
    ///
    /// A dangerous write rests on two observations. The first one only decides whether there is a second one, and the second
    /// one must agree; so this is the second one, whatever the first one was.
    pub fn finish(&mut self, answers: &Answers, decider: Decider, aws: &Aws, now: Instant, bug: Option<Bug>) {
        let bug = bug.filter(|_| decider != Decider::Down);
        let began = if self.reading.is_empty() { now } else { self.began };
        let decision = decide(answers, &Context::of(decider, aws, now, self.unmatched, bug));
        let deadline = match bug {
            Some(Bug::IgnoreDeadlines) => now + IGNORED_DEADLINE,
            // This is the first observation, and the second one begins now.
            Some(Bug::DeleteAfterOneObservation) if decision.deletes() => now + DEADLINE,
            Some(Bug::StopAfterOneObservation) if decision.stops => now + DEADLINE,
            _ => began + DEADLINE,
        };
        (self.reading, self.began) = (Reading::default(), 0);
        self.unmatched = decision.unmatched;
        if now >= deadline {
            return;
        }
        let by = if decider == Decider::Down { Author::Down } else { Author::Watcher };
        self.writes = decision.writes.into_iter().map(|effect| Write { effect, deadline, by }).collect();
        self.writes.sort();
        self.stop = decision.stops.then_some(Stop { step: StopStep::Read, deadline, lease_begun_at: 0 });
    }

    /// Returns the stop after its next call, and the call's effect; `None` while none is possible.
    pub fn next_of_stop(&self, aws: &Aws, now: Instant, bug: Option<Bug>) -> Option<(Option<Stop>, Option<Effect>)> {
        let stop = self.stop.filter(|_| self.writes.is_empty())?;
        let lease = Lease { holder: Holder::Stop, begun_at: Some(stop.lease_begun_at), is_active: true };
        let ignores_leases = bug == Some(Bug::IgnoreLease);
        let is_held = aws.lease == Some(lease) || ignores_leases;
        let next = |step| Some(Stop { step, ..stop });
        let is_over = now >= stop.deadline;
        Some(match stop.step {
            StopStep::Read
                if !aws.ecs.desired || !ignores_leases && aws.lease.is_some_and(|other| must_wait(&other, now)) =>
            {
                (None, None)
            }
            StopStep::Read => (next(StopStep::TakeLease), None),
            // What was not sent in time ends the stop; only the lease is released.
            StopStep::TakeLease if is_over => (None, None),
            StopStep::TakeLease => (
                Some(Stop { step: StopStep::Verify, lease_begun_at: now, ..stop }),
                Some(Effect::Lease(Lease { begun_at: Some(now), ..lease })),
            ),
            StopStep::Verify if is_held && aws.ecs.desired => (next(StopStep::Scale), None),
            StopStep::Verify => (next(StopStep::ReadAgain), None),
            StopStep::Scale if is_over => (next(StopStep::ReadAgain), None),
            StopStep::Scale => (next(StopStep::ReadAgain), Some(Effect::Scale(false))),
            StopStep::ReadAgain if aws.lease == Some(lease) => (next(StopStep::Release), None),
            StopStep::ReadAgain => (None, None),
            StopStep::Release if is_over => (None, None),
            StopStep::Release => (None, Some(Effect::ReleaseLease)),
        })
    }
}

/// Returns whether a stop waits for the holder of a lease. One watcher stops at a time, so the lease of a stop is its own.
fn must_wait(lease: &Lease, now: Instant) -> bool {
    match lease.holder {
        Holder::Up | Holder::Down => lease.is_active,
        Holder::Stop => lease.begun_at.is_some_and(|at| now < at + OTHER_STOP_ENDS_WITHIN),
    }
}
