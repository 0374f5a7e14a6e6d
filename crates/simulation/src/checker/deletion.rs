//! The first guarantee: nothing in use, or used just before, is deleted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{CLOCK_ERROR, Checker, Guarantee, exists};
use crate::coverage::Coverage;
use crate::environment::Actor;
use jvb_watcher_sandbox::world::{TaskView, World};

impl Checker {
    /// Checks the deletion of a load balancer or a target group.
    pub(super) fn check_deletion(
        &mut self,
        actor: Actor,
        arn: &str,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        self.check_project(actor, [arn], now);
        if !exists(world, arn) && !world.groups().iter().any(|group| group.arn == arn) {
            // Another process was faster: the call has no effect.
            coverage.moment("a deletion found nothing to delete");
            return;
        }
        self.check_no_use(actor, arn, now, coverage);
        // `down` doesn't wait for the grace period, and `up` completes a teardown that has begun.
        let grace = match actor {
            Actor::Command(_) => SignedDuration::ZERO,
            Actor::Worker(_) | Actor::Operator => self.grace(),
        };
        self.check_tasks(actor, arn, grace, world, now, coverage);
        if let Actor::Worker(_) = actor {
            self.check_scale_up(actor, arn, world, now, coverage);
        }
        if self.is_held(world, now) {
            self.violate_use(actor, now, format!("deletes {arn}, which is held"));
        }
        if let Actor::Worker(_) = actor {
            self.check_ended_hold(actor, arn, world, now);
            self.check_unused(actor, arn, world, now);
            self.check_paid_hour(actor, arn, world, now, coverage);
        }
    }

    fn violate_use(&mut self, actor: Actor, now: Timestamp, what: String) {
        self.violate(Guarantee::NothingInUseIsDeleted, now, actor, what);
    }

    /// The idle grace, less the error of a clock.
    fn grace(&self) -> SignedDuration {
        signed(self.bounds.idle_grace.saturating_sub(CLOCK_ERROR))
    }

    /// Checks that the service exists and desires no task, and that no other owner uses the load balancer.
    fn check_no_use(&mut self, actor: Actor, arn: &str, now: Timestamp, coverage: &mut Coverage) {
        if self.is_due(self.missing_since, now) {
            let what = format!("deletes {arn} although the service is missing since {:?}", self.missing_since);
            self.violate_use(actor, now, what);
        }
        if self.is_due(self.others_since, now) {
            let what =
                format!("deletes {arn} although another owner's target is healthy since {:?}", self.others_since);
            self.violate_use(actor, now, what);
        }
        if self.is_due(self.desired_since, now) {
            let what = format!("deletes {arn} while tasks are desired since {:?}", self.desired_since);
            self.violate_use(actor, now, what);
        } else {
            measure_window(self.desired_since, now, coverage);
        }
    }

    /// Checks that the service's tasks stopped before the grace period.
    fn check_tasks(
        &mut self,
        actor: Actor,
        arn: &str,
        grace: SignedDuration,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        let group = self.group();
        for task in world.tasks().iter().filter(|task| task.group == group && task.started_at.is_some()) {
            match (task.last_status, task.stopped_at) {
                ("STOPPED", Some(at)) if now.duration_since(at) >= grace => {}
                ("STOPPED", stopped_at) => {
                    let what = format!("deletes {arn} within the grace period: {} stopped {stopped_at:?}", task.id);
                    self.violate_use(actor, now, what);
                }
                (status, _) if self.is_due(task.started_at, now) => {
                    self.violate_use(actor, now, format!("deletes {arn} while task {} is {status}", task.id));
                }
                _ => coverage.moment("a deletion took effect just after a task's start"),
            }
        }
    }

    /// Checks that no scale-up touched the load balancer or a target group within the grace period. `down` doesn't wait
    /// for a scale-up by hand; that of a command it detects by the lease and the hold.
    fn check_scale_up(&mut self, actor: Actor, arn: &str, world: &World, now: Timestamp, coverage: &mut Coverage) {
        let Some(touched_at) = self.scale_ups.touched_at(world) else { return };
        if !self.is_due(Some(touched_at), now) {
            measure_window(Some(touched_at), now, coverage);
        } else if now.duration_since(touched_at) < self.grace() - signed(self.bounds.window) {
            let what = format!("deletes {arn} within the grace period after a scale-up touched it at {touched_at}");
            self.violate_use(actor, now, what);
        }
    }

    /// Checks that the grace period has passed since a hold ended.
    fn check_ended_hold(&mut self, actor: Actor, arn: &str, world: &World, now: Timestamp) {
        let hold = self.scale_ups.hold.as_ref().filter(|hold| exists(world, &hold.load_balancer_arn));
        let known = hold.filter(|hold| self.is_due(Some(hold.placed_at), now));
        let expired_at = known.map(|hold| hold.until).filter(|until| *until <= now);
        let Some(ended_at) = expired_at.max(self.scale_ups.released_at) else { return };
        if now.duration_since(ended_at) < self.grace() && self.is_due(Some(ended_at), now) {
            let what = format!("deletes {arn} within the grace period after its hold ended at {ended_at}");
            self.violate_use(actor, now, what);
        }
    }

    /// Checks the age of a load balancer that no task has used: it may belong to a scale-up in progress, unless an operator
    /// has run `down`.
    fn check_unused(&mut self, actor: Actor, arn: &str, world: &World, now: Timestamp) {
        if let Some(Actor::Command(_)) = self.marked_by.get(arn) {
            return;
        }
        let grace = signed(self.bounds.unused_grace.saturating_sub(CLOCK_ERROR));
        let Some(load_balancer) = world.load_balancers().into_iter().find(|found| found.arn == arn) else { return };
        let group = self.group();
        let has_used =
            |task: &TaskView| task.group == group && task.stopped_at.is_some_and(|at| at > load_balancer.created_at);
        if !world.tasks().iter().any(has_used) && now.duration_since(load_balancer.created_at) < grace {
            let what = format!("deletes {arn}, created {} and never used", load_balancer.created_at);
            self.violate_use(actor, now, what);
        }
    }

    /// Checks that the hour in which the grace period ended is nearly over, if the load balancer is kept for all of it.
    fn check_paid_hour(&mut self, actor: Actor, arn: &str, world: &World, now: Timestamp, coverage: &mut Coverage) {
        let found = world.load_balancers().into_iter().find(|found| found.arn == arn);
        let Some(load_balancer) = found.filter(|_| self.bounds.until_paid_hour) else { return };
        let (created_at, group) = (load_balancer.created_at, self.group());
        let tasks = world.tasks();
        let stopped = tasks.iter().filter(|task| task.group == group && task.started_at.is_some());
        let idle_since = stopped.filter_map(|task| task.stopped_at).chain([created_at]).max().unwrap_or(created_at);
        // A worker's clock may have been behind when it wrote the mark.
        let grace_ended_at = idle_since - signed(CLOCK_ERROR) + self.grace();
        let hours = grace_ended_at.duration_since(created_at).max(SignedDuration::ZERO).as_hours() + 1;
        let paid_until = created_at + SignedDuration::from_hours(hours);
        if now < paid_until - PAID_HOUR_MARGIN - signed(CLOCK_ERROR) {
            self.violate_use(actor, now, format!("deletes {arn}, idle since {idle_since} and paid until {paid_until}"));
        } else if now < paid_until {
            coverage.moment("a load balancer was deleted just before the end of its paid hour");
        }
    }
}

/// How long before the end of its paid hour a load balancer may be deleted.
const PAID_HOUR_MARGIN: SignedDuration = SignedDuration::from_mins(3);

/// Measures how long before a deletion something began that it missed.
fn measure_window(since: Option<Timestamp>, now: Timestamp, coverage: &mut Coverage) {
    if let Some(since) = since {
        coverage.moment("a deletion took effect within the window that AWS leaves");
        let window = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        coverage.longest_window = coverage.longest_window.max(window);
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or_default()
}
