//! The normal form of a state: what no later step can tell apart becomes the same state.
//!
//! - Of an instant that is older than everything that is added to it, only its order among the others matters. Then the
//!   number of states is finite although time goes on.
//! - Instants that only a check reads are forgotten when it can't be interested in them any more.
//! - Watchers that differ only in their names change places.

use crate::aws::{Aws, Group, HeldBy, Holder, LoadBalancer, Status, Task};
use crate::guarantees::SEEN;
use crate::model::State;
use crate::operator::Outcome;
use crate::operator::down::Step as DownStep;
use crate::operator::up::{Step as UpStep, Up};
use crate::reading::{Reading, ServiceCalls};
use crate::reconciler::Reconciler;
use crate::time::{
    BEGINNING, DEADLINE, GRACE, HOLD, Instant, LAG, LONG_AGO, OTHER_STOP_ENDS_WITHIN, STALE, UNUSED_GRACE,
};
use crate::write::{Effect, Write};

/// More than the instants that lie between the oldest one of a state and the last one.
const INSTANTS: usize = 64;

impl State {
    /// Brings the state into its normal form. How `up` ended matters only where watchers stop the service.
    pub fn normalize(&mut self, watchers_stop: bool) {
        self.forget(watchers_stop);
        let mut known = [None; INSTANTS];
        self.visit(&mut |at, matters_for| {
            let longest: &mut Option<Instant> = &mut known[usize::from(*at)];
            *longest = (*longest).max(Some(matters_for));
        });
        known[usize::from(LONG_AGO)] = None;
        let shifted = shifted(&known, self.now);
        self.visit(&mut |at, _| *at = shifted[usize::from(*at)]);
        self.watchers.sort();
        self.adrift.sort();
    }

    fn forget(&mut self, watchers_stop: bool) {
        let now = self.now;
        let is_recent = move |at: &Instant| now < *at + GRACE;
        let settle = move |at: &mut Instant| {
            if now >= *at + SEEN {
                *at = LONG_AGO;
            }
        };
        if let Some(found) = &mut self.aws.load_balancer {
            found.touched_at = found.touched_at.filter(is_recent);
            found.released = found.released.filter(|hold| is_recent(&hold.ended_at));
            found.hold.iter_mut().for_each(|hold| settle(&mut hold.placed_at));
            found.released.iter_mut().for_each(|hold| settle(&mut hold.placed_at));
            found.not_owned_since.iter_mut().for_each(settle);
        }
        if let Some(group) = &mut self.aws.group {
            group.touched_at = group.touched_at.filter(is_recent);
        }
        let aws = &mut self.aws;
        let since = [&mut aws.desired_since, &mut aws.missing_since, &mut aws.others_since];
        since.into_iter().flatten().for_each(settle);
        if let Some(lease) = aws.lease.as_mut().filter(|lease| lease.holder != Holder::Stop) {
            lease.begun_at = lease.begun_at.filter(|at| now < at + SEEN);
        }
        self.forget_times_of_tasks();
        self.forget_times_of_commands(watchers_stop);
        self.renew_hold_of_up();
    }

    /// Forgets what commands no longer ask for: whether an instant that is over has come, and how they ended, unless it is the
    /// success of `up`, which a stop must respect.
    fn forget_times_of_commands(&mut self, watchers_stop: bool) {
        let now = self.now;
        let is_over = |at: Instant, lasts: Instant| now >= at + lasts;
        if let Some(up) = &mut self.up {
            up.settled_at = up.settled_at.map(|at| if is_over(at, 0) { LONG_AGO } else { at });
            if let UpStep::Ended(outcome) = up.step {
                let outcome = if watchers_stop { outcome } else { Outcome::Failed };
                *up = Up { step: UpStep::Ended(outcome), ..Up::new() };
            }
        }
        if let Some(down) = &mut self.down {
            let has_superseded = matches!(down.previous, Some((_, true)));
            if !has_superseded || is_over(down.lease_begun_at, 2 * DEADLINE) {
                down.lease_begun_at = LONG_AGO;
            }
            if let DownStep::Ended(_) = down.step {
                down.step = DownStep::Ended(Outcome::Failed);
            }
        }
        for stop in self.watchers.iter_mut().filter_map(|watcher| watcher.stop.as_mut()) {
            if is_over(stop.deadline, 0) {
                stop.deadline = LONG_AGO;
            }
        }
    }

    /// Forgets what no rule can tell apart of the times of tasks and load balancers.
    ///
    /// A task's last use is its stop. Whether it has served behind a load balancer follows from the order of its stop and the
    /// load balancer's creation; whether a mark is valid, by the order of its last use and the mark.
    fn forget_times_of_tasks(&mut self) {
        let now = self.now;
        let (mut created, mut marked, mut stopping) = (Vec::new(), Vec::new(), Vec::new());
        // A list can still show what was before.
        let lags = self.aws.outdated.is_some();
        self.visit_load_balancers(&mut |found| created.push(found.created_at));
        self.visit_marks(&mut |since| marked.push(*since));
        self.visit_tasks(&mut |task| {
            if let (Some(stopping_at), Some(stopped_at)) = (task.stopping_at, task.stopped_at) {
                let is_between = |created_at: &Instant| (stopping_at..stopped_at).contains(created_at);
                if !created.iter().any(is_between) {
                    task.stopping_at = task.stopped_at;
                }
                // A mark is written after it.
                let is_ordered = |since: &Instant| *since < stopped_at;
                if now >= stopped_at + GRACE
                    && !marked.iter().any(is_ordered)
                    && created.iter().all(|created_at| *created_at == LONG_AGO)
                    && task.stopping_at == task.stopped_at
                {
                    (task.stopping_at, task.stopped_at) = (Some(BEGINNING), Some(BEGINNING));
                }
                task.started_at =
                    Some(LONG_AGO).filter(|_| task.started_at.is_some_and(|at| now >= at + SEEN)).or(task.started_at);
            }
            if task.status == Status::Stopping && !lags && created.iter().all(|created_at| *created_at == LONG_AGO) {
                task.stopping_at = Some(BEGINNING);
            }
            if task.can_run(now) {
                task.created_at = None;
            }
            let is_ordered = |since: &Instant| task.started_at.is_some_and(|at| *since < at);
            if task.started_at.is_some_and(|at| now >= at + SEEN) && !marked.iter().any(is_ordered) {
                task.started_at = Some(LONG_AGO);
            }
            stopping.extend(task.stopping_at);
        });
        self.visit_load_balancers(&mut |found| {
            let is_old = now >= found.created_at + UNUSED_GRACE;
            if is_old && stopping.iter().all(|stopping_at| *stopping_at > found.created_at) {
                found.created_at = LONG_AGO;
            }
        });
    }

    /// Lets the hold of a running `up` last: it ends after the last of the time limits of `up`. When `up` is killed, its end
    /// comes nearer.
    fn renew_hold_of_up(&mut self) {
        if !self.up.as_ref().is_some_and(Up::is_running) {
            return;
        }
        let until = self.now + HOLD;
        self.visit_load_balancers(&mut |found| {
            if let Some(hold) = found.hold.as_mut().filter(|hold| hold.by == HeldBy::Up) {
                hold.until = until;
            }
        });
        let pending = self.up.as_mut().and_then(|up| up.pending.as_mut());
        if let Some(Effect::Hold { hold, .. }) = pending.map(|pending| &mut pending.effect) {
            hold.until = until;
        }
    }

    /// Visits every load balancer, also those in answers.
    fn visit_load_balancers(&mut self, f: &mut impl FnMut(&mut LoadBalancer)) {
        let teardown = self.down.as_mut().map(|down| &mut down.teardown);
        let answers = self.watchers.iter_mut().chain(teardown).map(|of| &mut of.reading);
        let answers = answers.flat_map(|reading| {
            let described = reading.load_balancer.iter_mut().flatten();
            described.chain(reading.tags.iter_mut().filter_map(|tags| tags.load_balancer.as_mut()))
        });
        self.aws.load_balancer.iter_mut().chain(answers).for_each(f);
    }

    /// Visits the instant of every mark, also those in answers and on their way.
    fn visit_marks(&mut self, f: &mut impl FnMut(&mut Instant)) {
        self.visit_load_balancers(&mut |found| found.mark.iter_mut().for_each(|mark| f(&mut mark.since)));
        let teardown = self.down.as_mut().map(|down| &mut down.teardown);
        for of in self.watchers.iter_mut().chain(teardown) {
            let group = of.reading.tags.as_mut().and_then(|tags| tags.group.as_mut());
            group.and_then(|group| group.mark.as_mut()).into_iter().for_each(|mark| f(&mut mark.since));
            of.writes.iter_mut().for_each(|write| visit_mark(&mut write.effect, f));
        }
        self.aws.group.iter_mut().filter_map(|group| group.mark.as_mut()).for_each(|mark| f(&mut mark.since));
        self.adrift.iter_mut().for_each(|write| visit_mark(&mut write.effect, f));
    }

    /// Visits every task, also those in answers.
    fn visit_tasks(&mut self, f: &mut impl FnMut(&mut Task)) {
        let ecs = std::iter::once(&mut self.aws.ecs).chain(self.aws.outdated.as_mut().map(|(ecs, _)| ecs));
        let teardown = self.down.as_mut().map(|down| &mut down.teardown);
        let answers = self.watchers.iter_mut().chain(teardown).filter_map(|of| match &mut of.reading.service {
            ServiceCalls::None | ServiceCalls::Listed(_) => None,
            ServiceCalls::Described(described) | ServiceCalls::Counted(described, _) => Some(&mut described.tasks),
        });
        ecs.map(|ecs| &mut ecs.tasks).chain(answers).flatten().flatten().for_each(f);
    }

    /// Visits every instant, each with the longest time after it that matters.
    fn visit(&mut self, f: &mut impl FnMut(&mut Instant, Instant)) {
        f(&mut self.now, 0);
        visit_aws(&mut self.aws, f);
        for watcher in &mut self.watchers {
            visit_reconciler(watcher, f);
        }
        for write in &mut self.adrift {
            visit_write(write, f);
        }
        if let Some(up) = &mut self.up {
            up.settled_at.iter_mut().for_each(|at| f(at, 0));
            if let Some(pending) = &mut up.pending {
                f(&mut pending.read_at, DEADLINE);
                visit_effect(&mut pending.effect, f);
            }
        }
        if let Some(down) = &mut self.down {
            if down.is_running() {
                f(&mut down.lease_begun_at, 2 * DEADLINE);
            }
            if let Some(pending) = &mut down.pending {
                f(&mut pending.read_at, DEADLINE);
                visit_effect(&mut pending.effect, f);
            }
            visit_reconciler(&mut down.teardown, f);
        }
        if let Some((at, _)) = &mut self.hand.placed {
            f(at, DEADLINE);
        }
    }
}

/// Returns what each instant becomes. One that is older than what matters becomes as young as it can be while the order stays,
/// and the oldest becomes the beginning.
fn shifted(known: &[Option<Instant>; INSTANTS], now: Instant) -> [Instant; INSTANTS] {
    let mut ages = [None; INSTANTS];
    let mut newer: Option<i16> = None;
    for at in (0..INSTANTS).rev() {
        let Some(matters_for) = known[at].map(i16::from) else { continue };
        let age = i16::from(now) - i16::try_from(at).unwrap_or_default();
        let kept = if age < matters_for || age <= 0 {
            age
        } else {
            newer.map_or(matters_for, |newer| matters_for.max(newer + 1))
        };
        newer = Some(kept);
        ages[at] = Some(kept);
    }
    let oldest = newer.unwrap_or_default();
    let shifted = |age: Option<i16>| age.and_then(|age| Instant::try_from(oldest - age).ok()).map(|at| at + BEGINNING);
    ages.map(|age| shifted(age).unwrap_or(LONG_AGO))
}

fn visit_mark(effect: &mut Effect, f: &mut impl FnMut(&mut Instant)) {
    if let Effect::Mark { since, .. } = effect {
        f(since);
    }
}

fn visit_aws(aws: &mut Aws, f: &mut impl FnMut(&mut Instant, Instant)) {
    visit_tasks(&mut aws.ecs.tasks, f);
    if let Some((ecs, since)) = &mut aws.outdated {
        visit_tasks(&mut ecs.tasks, f);
        f(since, LAG);
    }
    if let Some(lease) = &mut aws.lease {
        lease.begun_at.iter_mut().for_each(|at| f(at, OTHER_STOP_ENDS_WITHIN));
    }
    aws.load_balancer.iter_mut().for_each(|found| visit_load_balancer(found, f));
    aws.group.iter_mut().for_each(|group| visit_group(group, f));
    let since = [&mut aws.desired_since, &mut aws.missing_since, &mut aws.others_since];
    since.into_iter().flatten().for_each(|at| f(at, SEEN));
}

fn visit_tasks(tasks: &mut [Option<Task>], f: &mut impl FnMut(&mut Instant, Instant)) {
    for task in tasks.iter_mut().flatten() {
        task.created_at.iter_mut().for_each(|at| f(at, DEADLINE));
        task.started_at.iter_mut().for_each(|at| f(at, SEEN));
        task.stopping_at.iter_mut().for_each(|at| f(at, 0));
        task.stopped_at.iter_mut().for_each(|at| f(at, GRACE));
    }
}

fn visit_load_balancer(found: &mut LoadBalancer, f: &mut impl FnMut(&mut Instant, Instant)) {
    f(&mut found.created_at, UNUSED_GRACE);
    found.not_owned_since.iter_mut().for_each(|at| f(at, SEEN));
    found.stop_at.iter_mut().for_each(|at| f(at, 0));
    found.touched_at.iter_mut().for_each(|at| f(at, GRACE));
    found.mark.iter_mut().for_each(|mark| f(&mut mark.since, GRACE));
    if let Some(hold) = &mut found.hold {
        f(&mut hold.until, GRACE);
        f(&mut hold.placed_at, SEEN);
    }
    if let Some(released) = &mut found.released {
        f(&mut released.placed_at, SEEN);
        f(&mut released.ended_at, GRACE);
    }
}

fn visit_group(group: &mut Group, f: &mut impl FnMut(&mut Instant, Instant)) {
    group.mark.iter_mut().for_each(|mark| f(&mut mark.since, GRACE));
    group.touched_at.iter_mut().for_each(|at| f(at, GRACE));
}

fn visit_reading(reading: &mut Reading, f: &mut impl FnMut(&mut Instant, Instant)) {
    match &mut reading.service {
        ServiceCalls::None | ServiceCalls::Listed(_) => {}
        ServiceCalls::Described(described) | ServiceCalls::Counted(described, _) => {
            visit_tasks(&mut described.tasks, f)
        }
    }
    reading.load_balancer.iter_mut().flatten().for_each(|found| visit_load_balancer(found, f));
    if let Some(tags) = &mut reading.tags {
        tags.load_balancer.iter_mut().for_each(|found| visit_load_balancer(found, f));
        tags.group.iter_mut().for_each(|group| visit_group(group, f));
    }
}

fn visit_reconciler(reconciler: &mut Reconciler, f: &mut impl FnMut(&mut Instant, Instant)) {
    if !reconciler.reading.is_empty() {
        f(&mut reconciler.began, DEADLINE);
    }
    visit_reading(&mut reconciler.reading, f);
    reconciler.unmatched.iter_mut().flatten().for_each(|at| f(at, STALE));
    reconciler.writes.iter_mut().for_each(|write| visit_write(write, f));
    if let Some(stop) = &mut reconciler.stop {
        f(&mut stop.deadline, 0);
        f(&mut stop.lease_begun_at, OTHER_STOP_ENDS_WITHIN);
    }
}

fn visit_write(write: &mut Write, f: &mut impl FnMut(&mut Instant, Instant)) {
    f(&mut write.deadline, 0);
    visit_effect(&mut write.effect, f);
}

fn visit_effect(effect: &mut Effect, f: &mut impl FnMut(&mut Instant, Instant)) {
    match effect {
        Effect::Mark { since, .. } => f(since, GRACE),
        Effect::Announce { stop_at, .. } => stop_at.iter_mut().for_each(|at| f(at, 0)),
        Effect::Hold { hold, .. } => f(&mut hold.until, GRACE),
        Effect::Lease(lease) => lease.begun_at.iter_mut().for_each(|at| f(at, OTHER_STOP_ENDS_WITHIN)),
        _ => {}
    }
}
