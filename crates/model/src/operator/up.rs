//! The command `up`, call by call (`src/operations/up.rs`, `run.rs`).
//!
//! Its phases read in one step what they decide on; every write is a step of its own, which can come until ten seconds after
//! that read. Terraform runs in it as three calls that create what is missing.

use super::{Move, Outcome, Pending};
use crate::aws::{Aws, Ecs, HeldBy, Hold, Holder, Lease, Status};
use crate::decision::{Context, Decider, decide, is_idle};
use crate::reading::Answers;
use crate::time::{DEADLINE, HOLD, Instant};
use crate::write::Effect;

/// The number of load balancers after which a scenario ends: how `up` creates one is a scenario of its own.
const MOST_LOAD_BALANCERS: u8 = 2;

/// The command `up`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Up {
    /// The next step.
    pub step: Step,
    /// The write that it is about to make before that.
    pub pending: Option<Pending>,
    /// The time from which no observation from before the hold is valid.
    pub settled_at: Option<Instant>,
    /// Whether it has raised the desired count ahead of its phase.
    pub is_ahead: bool,
    /// Whether its Terraform has created the load balancer.
    pub has_created: bool,
    /// The holder of the lease before it, and whether that was running.
    pub previous: Option<(Holder, bool)>,
}

/// A step of `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Not started.
    Waiting,
    /// Create and hold the load balancer.
    LoadBalancer,
    /// Remove an idle mark from before the hold.
    Unmark,
    /// Terraform: the target group.
    CreateGroup,
    /// Terraform: the load balancer.
    CreateLoadBalancer,
    /// Terraform: the listener.
    CreateListener,
    /// Verify that the load balancer exists.
    Active,
    /// Set the desired count.
    Scale,
    /// Wait for the task.
    Serving,
    /// Release the hold.
    Release(Outcome),
    /// Release the lease.
    ReleaseLease(Outcome),
    /// Over.
    Ended(Outcome),
}

impl Default for Up {
    fn default() -> Self {
        Self::new()
    }
}

impl Up {
    /// The command before its start.
    pub fn new() -> Self {
        Self {
            step: Step::Waiting,
            pending: None,
            settled_at: None,
            is_ahead: false,
            has_created: false,
            previous: None,
        }
    }

    /// Returns whether it has been started and has not ended.
    pub fn is_running(&self) -> bool {
        !matches!(self.step, Step::Waiting | Step::Ended(_))
    }

    /// Returns the possible next calls.
    pub fn moves(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        if let Some(pending) = self.pending {
            return self.write_pending(pending, aws, now);
        }
        match self.step {
            Step::Waiting => vec![self.take_lease(aws, now)],
            Step::LoadBalancer => self.leased(aws, now, |up| up.load_balancer(aws, now)),
            Step::Unmark => self.unmark(aws, now),
            Step::CreateGroup => {
                let next = self.at(Step::CreateLoadBalancer);
                vec![match aws.group {
                    Some(_) => {
                        Move::write("Terraform adopts the target group, and removes its tags", next, Effect::ResetGroup)
                    }
                    None => Move::write("Terraform creates the target group", next, Effect::CreateGroup),
                }]
            }
            Step::CreateLoadBalancer => match aws.load_balancer {
                None if aws.created >= MOST_LOAD_BALANCERS => Vec::new(),
                None => {
                    let next = self.at(Step::CreateListener);
                    vec![Move::write("Terraform creates the load balancer", next, Effect::CreateLoadBalancer)]
                }
                Some(_) => vec![Move::read("Terraform finds the load balancer", self.at(Step::CreateListener))],
            },
            Step::CreateListener => {
                let next = Self { has_created: true, ..self.at(Step::LoadBalancer) };
                vec![Move::write("Terraform creates the listener", next, Effect::CreateListener)]
            }
            Step::Active => self.leased(aws, now, |up| up.active(aws, now)),
            Step::Scale => self.leased(aws, now, |up| up.scale(aws, now)),
            Step::Serving => self.leased(aws, now, |up| up.serving(aws)),
            Step::Release(outcome) => {
                let held = aws.load_balancer.filter(|found| found.hold.is_some_and(|hold| hold.by == HeldBy::Up));
                let next = self.at(Step::ReleaseLease(outcome));
                vec![match held {
                    Some(found) => {
                        let effect = Effect::Release { load_balancer: found.number };
                        Move::write("`up` releases its hold", next, effect)
                    }
                    None => Move::read("`up` finds no hold of its own", next),
                }]
            }
            Step::ReleaseLease(outcome) => {
                let next = Self { previous: None, ..self.at(Step::Ended(outcome)) };
                let ended = Lease { is_active: false, ..lease(now) };
                vec![match (aws.lease, outcome) {
                    (Some(Lease { holder: Holder::Up, .. }), Outcome::Succeeded) => {
                        Move::write("`up` succeeds, and releases its lease", next, Effect::Lease(ended))
                    }
                    (Some(Lease { holder: Holder::Up, .. }), _) => {
                        Move::write("`up` fails, and releases its lease", next, Effect::Lease(ended))
                    }
                    (_, Outcome::Succeeded) => Move::read("`up` succeeds", next),
                    _ => Move::read("`up` fails", next),
                }]
            }
            Step::Ended(_) => Vec::new(),
        }
    }

    /// Kills it; returns the write that may still take effect.
    pub fn kill(&mut self) -> Option<Pending> {
        let pending = self.pending.take();
        *self = Self { step: Step::Ended(Outcome::Killed), ..Self::new() };
        pending
    }

    fn at(&self, step: Step) -> Self {
        Self { step, pending: None, ..self.clone() }
    }

    fn fail(&self, what: &'static str, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let failed =
            Self { settled_at: None, is_ahead: false, has_created: false, ..self.at(Step::Release(Outcome::Failed)) };
        let is_reachable = aws.load_balancer.is_some() && is_running(&aws.ecs);
        if self.is_ahead && !is_reachable && aws.ecs.desired && matches!(self.step, Step::LoadBalancer | Step::Active) {
            return vec![Move::read(what, failed.about_to(Effect::Scale(false), now))];
        }
        vec![Move::read(what, failed)]
    }

    fn about_to(&self, effect: Effect, now: Instant) -> Self {
        Self { pending: Some(Pending { effect, read_at: now }), ..self.clone() }
    }

    fn take_lease(&self, aws: &Aws, now: Instant) -> Move<Self> {
        let previous = aws.lease.map(|lease| (lease.holder, lease.is_active));
        let next = Self { previous, ..self.at(Step::LoadBalancer) };
        Move::write("`up` takes the lease", next, Effect::Lease(lease(now)))
    }

    /// Makes a write; if AWS didn't answer in time, the phase begins again.
    fn write_pending(&self, pending: Pending, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let next = Self { pending: None, ..self.clone() };
        if now >= pending.deadline() {
            return vec![Move::read("`up` has waited too long for a write, and reads again", next)];
        }
        let (what, next) = match pending.effect {
            Effect::Hold { load_balancer, .. } => {
                if aws.load_balancer.is_none_or(|found| found.number != load_balancer) {
                    return next.fail("`up` can't place its hold: the load balancer has gone", aws, now);
                }
                let settled_at = self.settled_at.or(Some(now + DEADLINE)).filter(|_| self.step == Step::LoadBalancer);
                ("`up` places its hold", Self { settled_at, ..next })
            }
            Effect::Scale(true) => ("`up` sets the desired count to 1", next),
            Effect::Scale(false) => ("`up` sets the desired count back to 0", next),
            Effect::Lease(_) => ("`up` writes its lease again", next),
            Effect::DeleteGroup { .. } => ("`up` deletes the target group that a teardown left", next),
            Effect::Unmark { .. } => ("`up` removes the mark from before its hold", next),
            _ => ("`up` writes", next),
        };
        vec![Move::write(what, next, pending.effect)]
    }

    /// Verifies the lease, then goes on.
    fn leased(&self, aws: &Aws, now: Instant, then: impl Fn(&Self) -> Vec<Move<Self>>) -> Vec<Move<Self>> {
        match aws.lease {
            Some(found) if found.holder == Holder::Up => then(self),
            Some(found) if Some(found.holder) != self.previous.map(|(holder, _)| holder) => {
                let superseded = Self { step: Step::Ended(Outcome::Superseded), ..Self::new() };
                vec![Move::read("`up` finds a later lease, and ends: superseded", superseded)]
            }
            _ => vec![Move::read("`up` finds its lease gone", self.about_to(Effect::Lease(lease(now)), now))],
        }
    }

    fn load_balancer(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        aws.visible().flat_map(|ecs| self.load_balancer_by(&ecs, aws, now)).collect()
    }

    fn load_balancer_by(&self, ecs: &Ecs, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let Some(found) = aws.load_balancer else { return self.without_load_balancer(ecs, aws, now) };
        let is_owned = found.not_owned_since.is_none();
        if is_owned && found.hold.is_none_or(|hold| hold.until <= now) {
            let hold = Hold { until: now + HOLD, by: HeldBy::Up, placed_at: now };
            let effect = Effect::Hold { load_balancer: found.number, hold };
            return vec![Move::read("`up` finds the load balancer", self.about_to(effect, now))];
        }
        if self.has_created {
            return vec![Move::read("`up` finds the load balancer that it has created", self.at(Step::Active))];
        }
        let decision = self.decision(ecs, aws, now);
        if decision.iter().any(|effect| matches!(effect, Effect::Unmark { .. })) {
            return vec![Move::read("`up` finds a mark from before its hold", self.at(Step::Unmark))];
        }
        let settled_at = self.settled_at.unwrap_or(now + DEADLINE);
        // What it has superseded may be about to set the desired count; so may a watcher that has announced a stop.
        let may_be_stopped = found.stop_at.is_some() || matches!(self.previous, Some((_, true)));
        let is_in_use = ecs.desired && is_running(ecs) && !may_be_stopped;
        if is_in_use || now >= settled_at {
            let next = if found.is_complete { Step::Active } else { Step::CreateGroup };
            return vec![Move::read("`up` has waited until no earlier observation is valid", self.at(next))];
        }
        let is_at_rest = !ecs.desired && !ecs.tasks.iter().flatten().any(|task| task.is_wanted());
        if found.is_complete && !self.is_ahead && is_at_rest {
            let ahead = Self { is_ahead: true, settled_at: Some(settled_at), ..self.clone() };
            return vec![Move::read(
                "`up` finds nothing running, and starts tasks ahead",
                ahead.about_to(Effect::Scale(true), now),
            )];
        }
        if self.settled_at.is_none() {
            let waiting = Self { settled_at: Some(settled_at), ..self.clone() };
            return vec![Move::read("`up` waits until no earlier observation is valid", waiting)];
        }
        Vec::new()
    }

    fn without_load_balancer(&self, ecs: &Ecs, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let gone = Self { settled_at: None, ..self.clone() };
        if self.is_ahead {
            let back = Self { is_ahead: false, ..gone };
            let next = if ecs.desired { back.about_to(Effect::Scale(false), now) } else { back };
            return vec![Move::read("`up` finds that the load balancer has gone", next)];
        }
        if self.has_created {
            return self.fail("`up` fails: its new load balancer has gone", aws, now);
        }
        let deletion =
            self.decision(ecs, aws, now).into_iter().find(|effect| matches!(effect, Effect::DeleteGroup { .. }));
        if let Some(effect) = deletion {
            return vec![Move::read("`up` finds a target group that a teardown left", gone.about_to(effect, now))];
        }
        let is_marked = aws.group.is_some_and(|group| group.mark.is_some());
        if is_marked && is_idle(&Answers::at_once(aws, ecs), &self.context(aws, now)) {
            // It waits until the group's grace period is over.
            return Vec::new();
        }
        if aws.created >= MOST_LOAD_BALANCERS {
            let end = Self { step: Step::Ended(Outcome::Failed), ..Self::new() };
            return vec![Move::read("`up` finds no load balancer, and would create another", end)];
        }
        vec![Move::read("`up` finds no load balancer, and runs Terraform", Self { step: Step::CreateGroup, ..gone })]
    }

    fn context(&self, aws: &Aws, now: Instant) -> Context {
        Context::of(Decider::Watcher, aws, now, Default::default(), None)
    }

    fn decision(&self, ecs: &Ecs, aws: &Aws, now: Instant) -> Vec<Effect> {
        decide(&Answers::at_once(aws, ecs), &self.context(aws, now)).writes
    }

    fn unmark(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let next = self.at(Step::LoadBalancer);
        let unmark =
            self.decision(&aws.ecs, aws, now).into_iter().find(|effect| matches!(effect, Effect::Unmark { .. }));
        vec![Move::read(
            "`up` observes once more",
            match unmark {
                Some(effect) => next.about_to(effect, now),
                None => next,
            },
        )]
    }

    fn active(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let Some(found) = aws.load_balancer else {
            let again = Self { settled_at: None, has_created: false, ..self.at(Step::LoadBalancer) };
            return vec![Move::read("`up` finds that the load balancer has gone, and begins again", again)];
        };
        let is_held = found.hold.is_some_and(|hold| hold.until > now) || found.not_owned_since.is_some();
        if !is_held {
            let hold = Hold { until: now + HOLD, by: HeldBy::Up, placed_at: now };
            let effect = Effect::Hold { load_balancer: found.number, hold };
            return vec![Move::read("`up` finds its hold gone", self.about_to(effect, now))];
        }
        vec![Move::read("`up` finds the load balancer active", Self { settled_at: None, ..self.at(Step::Scale) })]
    }

    fn scale(&self, aws: &Aws, now: Instant) -> Vec<Move<Self>> {
        let step = |ecs: Ecs| match ecs.desired {
            true => Move::read("`up` finds the desired count at 1", Self { is_ahead: false, ..self.at(Step::Serving) }),
            false => Move::read("`up` finds the desired count at 0", self.about_to(Effect::Scale(true), now)),
        };
        aws.visible().map(step).collect()
    }

    fn serving(&self, aws: &Aws) -> Vec<Move<Self>> {
        let failed = self.at(Step::Release(Outcome::Failed));
        let step = |ecs: Ecs| match (ecs.desired, aws.load_balancer, is_running(&ecs)) {
            (false, ..) => {
                Some(Move::read("`up` finds that the desired count was set to 0, and fails", failed.clone()))
            }
            (true, None, _) => {
                Some(Move::read("`up` finds that the load balancer was deleted, and fails", failed.clone()))
            }
            (true, Some(_), true) => {
                Some(Move::read("`up` finds the task serving", self.at(Step::Release(Outcome::Succeeded))))
            }
            (true, Some(_), false) => None,
        };
        aws.visible().filter_map(step).collect()
    }
}

fn lease(now: Instant) -> Lease {
    Lease { holder: Holder::Up, begun_at: Some(now), is_active: true }
}

fn is_running(ecs: &Ecs) -> bool {
    ecs.tasks.iter().flatten().any(|task| task.status == Status::Running)
}
