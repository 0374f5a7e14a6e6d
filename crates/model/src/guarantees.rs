//! The guarantees (docs/guarantees.md), checked at every write that takes effect.
//!
//! The check knows AWS itself and the instants at which signs of use began. It reads no marks, observations or plans. A sign
//! counts from the instant at which every observation that is still valid shows it; before that, a write falls into a
//! documented window.

use std::fmt;

use crate::aws::{Aws, Status};
use crate::time::{DEADLINE, GRACE, Instant, LAG, UNUSED_GRACE};
use crate::write::{Author, Effect, Registration};

/// The age of a sign of use from which no valid observation misses it: it began before the observation, and ECS's answers
/// have caught up.
pub const SEEN: Instant = DEADLINE + LAG - 1;

/// What a write that took effect has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// It has broken a guarantee.
    Violation(Violation),
    /// It fell into a documented window.
    Window(Window),
}

/// The violation of a guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Violation {
    /// 1: deleted while tasks were desired.
    Desired,
    /// 1: deleted while a task served or stopped.
    TaskRuns,
    /// 1: deleted within the grace period after a task's stop.
    TaskJustStopped,
    /// 1: deleted while held.
    Held,
    /// 1: deleted within the grace period after a hold.
    JustHeld,
    /// 1: deleted within the grace period after a scale-up touched it.
    Touched,
    /// 1: deleted although it was new and never used.
    New,
    /// 1: deleted while the service was missing.
    ServiceMissing,
    /// 1: deleted while a target of another owner was healthy.
    UsedByOthers,
    /// 3: deregistered a task that serves.
    Deregistered,
    /// 5: wrote to a load balancer without the owner tag.
    NotOwned,
    /// 5: deleted a target group of another platform.
    OfOthers,
    /// 6: stopped a service that was held.
    StoppedWhileHeld,
    /// 6: stopped a service while `up` or `down` was running.
    StoppedDuringOperation,
    /// 6: stopped a service although an `up` had succeeded meanwhile.
    StoppedAfterUp,
}

impl Violation {
    /// Returns the number of the guarantee.
    pub fn guarantee(self) -> u8 {
        match self {
            Self::Desired
            | Self::TaskRuns
            | Self::TaskJustStopped
            | Self::Held
            | Self::JustHeld
            | Self::Touched
            | Self::New
            | Self::ServiceMissing
            | Self::UsedByOthers => 1,
            Self::Deregistered => 3,
            Self::NotOwned | Self::OfOthers => 5,
            Self::StoppedWhileHeld | Self::StoppedDuringOperation | Self::StoppedAfterUp => 6,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Desired => "it is deleted while tasks are desired",
            Self::TaskRuns => "it is deleted while a task serves or stops",
            Self::TaskJustStopped => "it is deleted within the grace period after a task's stop",
            Self::Held => "it is deleted while it is held",
            Self::JustHeld => "it is deleted within the grace period after a hold",
            Self::Touched => "it is deleted within the grace period after a scale-up touched it",
            Self::New => "it is deleted although it is new and was never used",
            Self::ServiceMissing => "it is deleted while the service is missing",
            Self::UsedByOthers => "it is deleted while another owner's target is healthy",
            Self::Deregistered => "a serving task is deregistered",
            Self::NotOwned => "a load balancer without the owner tag is written to",
            Self::OfOthers => "a target group of another platform is deleted",
            Self::StoppedWhileHeld => "a service is stopped while it is held",
            Self::StoppedDuringOperation => "a service is stopped while an operation runs",
            Self::StoppedAfterUp => "a service is stopped although `up` has succeeded",
        })
    }
}

/// A documented window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// A deletion missed what began this long before.
    BetweenObservationAndDeletion(Instant),
    /// A deletion came this long before the end of the grace period that began with a scale-up's touch.
    BetweenObservationAndMark(Instant),
    /// A target group was deleted without its grace period, after its load balancer was deleted by hand.
    AfterDeletionByHand,
}

/// Returns what a write shows that is about to take effect.
pub fn judge(effect: &Effect, by: Author, aws: &Aws, now: Instant) -> Option<Event> {
    match (effect, by) {
        (Effect::DeleteLoadBalancer { load_balancer }, Author::Watcher | Author::Down) => {
            aws.load_balancer.filter(|found| found.number == *load_balancer)?;
            judge_owner(aws, now).or_else(|| Check { by, aws, now, windows: Vec::new() }.deletion(true))
        }
        (Effect::DeleteGroup { is_foreign: true }, _) => {
            aws.has_foreign_group.then_some(Event::Violation(Violation::OfOthers))
        }
        (Effect::DeleteGroup { is_foreign: false }, Author::Watcher | Author::Down) => {
            let is_deleted = aws.group.is_some() && !aws.is_attached();
            is_deleted.then(|| Check { by, aws, now, windows: Vec::new() }.deletion(false)).flatten()
        }
        (
            Effect::Mark { load_balancer, .. } | Effect::Unmark { load_balancer: Some(load_balancer), .. },
            Author::Watcher,
        ) => {
            aws.load_balancer.filter(|found| found.number == *load_balancer)?;
            judge_owner(aws, now)
        }
        (Effect::Target { registration: Registration::Deregister, task }, Author::Watcher | Author::Down) => {
            let serves = aws.ecs.tasks[*task].is_some_and(|task| task.status == Status::Running);
            let is_target = aws.group.is_some_and(|group| group.targets[*task]);
            (serves && is_target).then_some(Event::Violation(Violation::Deregistered))
        }
        (Effect::Scale(false), Author::Watcher) => judge_stop(aws, now),
        _ => None,
    }
}

fn judge_owner(aws: &Aws, now: Instant) -> Option<Event> {
    let since = aws.load_balancer?.not_owned_since?;
    (now >= since + SEEN).then_some(Event::Violation(Violation::NotOwned))
}

/// Judges the stop of an unused service.
fn judge_stop(aws: &Aws, now: Instant) -> Option<Event> {
    let found = aws.load_balancer?;
    if found.hold.is_some_and(|hold| hold.until > now && now >= hold.placed_at + SEEN) {
        return Some(Event::Violation(Violation::StoppedWhileHeld));
    }
    let running = aws.lease.filter(|lease| lease.is_active && lease.holder != crate::aws::Holder::Stop);
    running
        .is_some_and(|lease| lease.begun_at.is_none_or(|at| now >= at + SEEN))
        .then_some(Event::Violation(Violation::StoppedDuringOperation))
}

/// The check of one deletion.
struct Check<'a> {
    by: Author,
    aws: &'a Aws,
    now: Instant,
    windows: Vec<Window>,
}

impl Check<'_> {
    /// Checks the deletion of the load balancer, or of the target group that is left of one.
    fn deletion(mut self, is_load_balancer: bool) -> Option<Event> {
        // A deletion within a window goes on with the target group.
        if !is_load_balancer && self.aws.group.is_some_and(|group| group.is_lost) {
            return None;
        }
        let violation = self.use_of_service();
        let violation = violation.or_else(|| if is_load_balancer { self.load_balancer() } else { self.group() });
        match violation {
            Some(violation) => Some(Event::Violation(violation)),
            None => self.windows.into_iter().max().map(Event::Window),
        }
    }

    fn age(&self, since: Instant) -> Instant {
        self.now - since
    }

    /// Returns the violation if a sign of use of this age must have been seen, and otherwise notes the window.
    fn missed(&mut self, since: Instant, seen: Instant, violation: Violation) -> Option<Violation> {
        let age = self.age(since);
        if age >= seen {
            return Some(violation);
        }
        self.windows.push(Window::BetweenObservationAndDeletion(age));
        None
    }

    fn use_of_service(&mut self) -> Option<Violation> {
        let aws = self.aws;
        if let Some(since) = aws.desired_since
            && let Some(violation) = self.missed(since, SEEN, Violation::Desired)
        {
            return Some(violation);
        }
        if let Some(since) = aws.missing_since
            && let Some(violation) = self.missed(since, SEEN, Violation::ServiceMissing)
        {
            return Some(violation);
        }
        if let Some(since) = aws.others_since
            && let Some(violation) = self.missed(since, SEEN, Violation::UsedByOthers)
        {
            return Some(violation);
        }
        for task in aws.ecs.tasks.iter().flatten() {
            let Some(started_at) = task.started_at else { continue };
            let is_young = self.age(started_at) < SEEN;
            let violation = match task.stopped_at {
                None => Some(Violation::TaskRuns),
                Some(at) if self.by == Author::Watcher && self.age(at) < GRACE => Some(Violation::TaskJustStopped),
                Some(_) => None,
            };
            if violation.is_some() && !is_young {
                return violation;
            }
            if violation.is_some() {
                self.windows.push(Window::BetweenObservationAndDeletion(self.age(started_at)));
            }
        }
        None
    }

    fn load_balancer(&mut self) -> Option<Violation> {
        let found = self.aws.load_balancer?;
        // `down` releases the hold of an `up`, and doesn't wait for grace periods.
        if let Some(hold) = found.hold
            && hold.until > self.now
            && let Some(violation) = self.missed(hold.placed_at, SEEN, Violation::Held)
        {
            return Some(violation);
        }
        if self.by == Author::Down {
            return None;
        }
        let expired = found.hold.filter(|hold| hold.until <= self.now).map(|hold| (hold.placed_at, hold.until));
        let released = found.released.map(|hold| (hold.placed_at, hold.ended_at));
        for (placed_at, ended_at) in expired.into_iter().chain(released) {
            if let Some(violation) = self.sign_of_use(placed_at, ended_at, Violation::JustHeld) {
                return Some(violation);
            }
        }
        let has_served = |at: Instant| at > found.created_at;
        let is_used = self.aws.ecs.tasks.iter().flatten().any(|task| task.stopping_at.is_some_and(has_served));
        if !is_used && self.age(found.created_at) < UNUSED_GRACE {
            return Some(Violation::New);
        }
        let group = self.aws.group.filter(|_| found.is_complete);
        let touched_at = found.touched_at.max(group.and_then(|group| group.touched_at));
        touched_at.and_then(|at| self.sign_of_use(at, at, Violation::Touched))
    }

    fn group(&mut self) -> Option<Violation> {
        if self.by == Author::Down {
            return None;
        }
        let touched_at = self.aws.group?.touched_at?;
        if self.aws.deleted_by_hand {
            if self.age(touched_at) < GRACE {
                self.windows.push(Window::AfterDeletionByHand);
            }
            return None;
        }
        self.sign_of_use(touched_at, touched_at, Violation::Touched)
    }

    /// Checks the grace period after a sign of use that an observation shows only as long as it lasts. The grace period may
    /// have begun up to a deadline before its end, with a mark that follows from an earlier observation.
    fn sign_of_use(&mut self, began: Instant, ended: Instant, violation: Violation) -> Option<Violation> {
        let age = self.age(ended);
        if age >= GRACE {
            return None;
        }
        if age + DEADLINE > GRACE {
            self.windows.push(Window::BetweenObservationAndMark(GRACE - age));
            return None;
        }
        self.missed(began, SEEN, violation)
    }
}
