//! The command `down`, call by call (`src/operations/down.rs`, `run.rs`), of an operator who knows that there is no call.

use super::{Move, Outcome, Pending};
use crate::aws::{Aws, HeldBy, Holder, Lease, Status};
use crate::decision::{Context, Decider, is_idle};
use crate::reading::Answers;
use crate::reconciler::Reconciler;
use crate::time::{DEADLINE, Instant};
use crate::write::Effect;

/// The command `down`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Down {
    /// The next step.
    pub step: Step,
    /// The write that it is about to make before that.
    pub pending: Option<Pending>,
    /// The part that deletes by the watcher's own rules, without a grace period.
    pub teardown: Reconciler,
    /// The time of its lease.
    pub lease_begun_at: Instant,
    /// The holder of the lease before it, and whether that was running.
    pub previous: Option<(Holder, bool)>,
}

/// A step of `down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Not started.
    Waiting,
    /// Set the desired count to zero.
    Scale,
    /// Verify that nothing has scaled up, before the tasks have stopped.
    Stopped,
    /// Reconcile, before the tasks have stopped.
    ReconcileStopped,
    /// Verify that nothing has scaled up, before the deletion.
    Delete,
    /// Reconcile: the deletion.
    ReconcileDelete,
    /// Release the lease.
    ReleaseLease(Outcome),
    /// Over.
    Ended(Outcome),
}

impl Default for Down {
    fn default() -> Self {
        Self::new()
    }
}

impl Down {
    /// The command before its start.
    pub fn new() -> Self {
        Self {
            step: Step::Waiting,
            pending: None,
            teardown: Reconciler::new(u8::MAX),
            lease_begun_at: 0,
            previous: None,
        }
    }

    /// Returns whether it has been started and has not ended.
    pub fn is_running(&self) -> bool {
        !matches!(self.step, Step::Waiting | Step::Ended(_))
    }

    /// Returns whether its teardown observes.
    pub fn reconciles(&self) -> bool {
        matches!(self.step, Step::ReconcileStopped | Step::ReconcileDelete) && self.pending.is_none()
    }

    /// Goes on after a reconciliation that was finished with these answers.
    pub fn reconciled(&mut self, answers: &Answers, aws: &Aws, now: Instant) {
        let context = Context::of(Decider::Down, aws, now, Default::default(), None);
        self.step = match self.step {
            Step::ReconcileStopped if !is_idle(answers, &context) => Step::Stopped,
            _ => Step::Delete,
        };
    }

    /// Returns the possible next calls; the reconciliations are not among them.
    pub fn moves(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        if let Some(pending) = self.pending {
            let next = Self { pending: None, ..self.clone() };
            return vec![match pending.effect {
                _ if now >= pending.deadline() => {
                    Move::read("`down` has waited too long for a write, and reads again", next)
                }
                Effect::Scale(_) => Move::write("`down` sets the desired count to 0", next, pending.effect),
                Effect::Release { .. } => Move::write("`down` releases the hold of `up`", next, pending.effect),
                _ => Move::write("`down` writes its lease again", next, pending.effect),
            }];
        }
        if !self.teardown.writes.is_empty() {
            return Vec::new();
        }
        match self.step {
            Step::Waiting => vec![self.take_lease(aws, now)],
            Step::Scale => self.leased(aws, now, |down| down.scale(aws, now)),
            Step::Stopped => self.leased(aws, now, |down| down.verified(aws, now, Step::ReconcileStopped)),
            Step::Delete => self.leased(aws, now, |down| down.delete(aws, now)),
            Step::ReconcileStopped | Step::ReconcileDelete | Step::Ended(_) => Vec::new(),
            Step::ReleaseLease(outcome) => {
                let next = Self { step: Step::Ended(outcome), ..Self::new() };
                // The lease stays where another operation was superseded, and still has to find it.
                let effect = match self.previous {
                    Some((_, true)) => Effect::Lease(Lease { is_active: false, ..self.lease() }),
                    _ => Effect::ReleaseLease,
                };
                vec![match aws.lease {
                    Some(Lease { holder: Holder::Down, .. }) => {
                        Move::write("`down` ends, and releases its lease", next, effect)
                    }
                    _ => Move::read("`down` ends", next),
                }]
            }
        }
    }

    /// Kills it; returns the write that may still take effect.
    pub fn kill(&mut self) -> Option<Pending> {
        let pending = self.pending.take();
        let writes = std::mem::take(&mut self.teardown.writes);
        *self = Self { step: Step::Ended(Outcome::Killed), ..Self::new() };
        self.teardown.writes = writes;
        pending
    }

    fn at(&self, step: Step) -> Self {
        Self { step, pending: None, ..self.clone() }
    }

    fn about_to(&self, effect: Effect, now: Instant) -> Self {
        Self { pending: Some(Pending { effect, read_at: now }), ..self.clone() }
    }

    fn lease(&self) -> Lease {
        Lease { holder: Holder::Down, begun_at: Some(self.lease_begun_at), is_active: true }
    }

    fn is_held_by_hand(aws: &Aws, now: Instant) -> bool {
        let hold = aws.load_balancer.and_then(|found| found.hold);
        hold.is_some_and(|hold| hold.by == HeldBy::Hand && hold.until > now)
    }

    fn take_lease(&self, aws: &Aws, now: Instant) -> Move<Self> {
        if Self::is_held_by_hand(aws, now) {
            return Move::read("`down` is refused: the load balancer is held", self.at(Step::Ended(Outcome::Failed)));
        }
        let previous = aws.lease.map(|lease| (lease.holder, lease.is_active));
        let next = Self { lease_begun_at: now, previous, ..self.at(Step::Scale) };
        let lease = next.lease();
        Move::write("`down` takes the lease", next, Effect::Lease(lease))
    }

    fn leased(&self, aws: &Aws, now: Instant, then: impl Fn(&Self) -> Vec<Move<Self>>) -> Vec<Move<Self>> {
        match aws.lease {
            Some(found) if found.holder == Holder::Down => then(self),
            Some(found) if Some(found.holder) != self.previous.map(|(holder, _)| holder) => {
                let superseded = Self { step: Step::Ended(Outcome::Superseded), ..Self::new() };
                vec![Move::read("`down` finds a later lease, and ends: superseded", superseded)]
            }
            _ => vec![Move::read("`down` finds its lease gone", self.about_to(Effect::Lease(self.lease()), now))],
        }
    }

    fn scale(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let step = |ecs: crate::aws::Ecs| match ecs.desired {
            true => Move::read("`down` finds the desired count at 1", self.about_to(Effect::Scale(false), now)),
            false => Move::read("`down` finds the desired count at 0", self.at(Step::Stopped)),
        };
        aws.visible().map(step).collect()
    }

    /// Fails if the service was scaled up during the operation; reverts what a superseded `up` still had in progress.
    fn verified(&self, aws: &Aws, now: Instant, next: Step) -> Vec<Move<Self>> {
        let is_recent = matches!(self.previous, Some((_, true))) && now < self.lease_begun_at + 2 * DEADLINE;
        let step = |ecs: crate::aws::Ecs| match (ecs.desired, is_recent) {
            (false, _) => Move::read("`down` verifies its lease", self.at(next)),
            (true, true) => {
                Move::read("`down` finds what `up` had in progress", self.about_to(Effect::Scale(false), now))
            }
            (true, false) => Move::read(
                "`down` finds the service scaled up, and fails",
                self.at(Step::ReleaseLease(Outcome::Failed)),
            ),
        };
        aws.visible().map(step).collect()
    }

    fn delete(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let is_left = aws.load_balancer.is_some() || aws.group.is_some_and(|group| group.mark.is_some());
        if !is_left {
            let end = self.at(Step::ReleaseLease(Outcome::Succeeded));
            return vec![Move::read("`down` finds nothing left", end)];
        }
        if Self::is_held_by_hand(aws, now) {
            let end = self.at(Step::ReleaseLease(Outcome::Failed));
            return vec![Move::read("`down` finds the load balancer held, and fails", end)];
        }
        let is_held_by_up = |hold: crate::aws::Hold| hold.by == HeldBy::Up;
        if let Some(found) = aws.load_balancer.filter(|found| found.hold.is_some_and(is_held_by_up)) {
            let effect = Effect::Release { load_balancer: found.number };
            return vec![Move::read("`down` finds the hold of `up`", self.about_to(effect, now))];
        }
        let context = Context::of(Decider::Down, aws, now, Default::default(), None);
        let is_in_use = aws.visible().all(|ecs| !is_idle(&Answers::at_once(aws, &ecs), &context));
        if is_in_use && aws.ecs.tasks.iter().flatten().any(|task| task.status == Status::Stopping) {
            return vec![Move::read("`down` finds a task that is stopping, and waits for it", self.at(Step::Stopped))];
        }
        if is_in_use && !aws.ecs.desired {
            let end = self.at(Step::ReleaseLease(Outcome::Failed));
            return vec![Move::read("`down` finds the load balancer in use again, and fails", end)];
        }
        self.verified(aws, now, Step::ReconcileDelete)
    }
}
