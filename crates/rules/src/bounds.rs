//! The bounds within which the watcher promises to act (docs/guarantees.md), and what is overdue by them.

use std::time::Duration;

use jiff::Timestamp;

use crate::hold::Hold;
use crate::lease::{LeaseHolder, LeaseReading};
use crate::model::{LastStatus, Observation, Phase};
use crate::plan::{
    CLOUDWATCH_LAG, LifecycleAction, MARK_VALID_FOR, MarkReason, Plan, Policy, TargetReason, last_use, marked_since,
    stop_due_since,
};

/// The time that a registration or deregistration takes at most, beyond the resync interval: the longest interval between
/// two attempts (60 s), and the calls of one reconciliation (30 s).
pub const REGISTRATION_ALLOWANCE: Duration = Duration::from_secs(90);

/// The time that a teardown takes at most, beyond the resync interval and the grace period: the longest interval between
/// two attempts (60 s), and the calls of marking, of the second observation and of the deletion.
pub const TEARDOWN_ALLOWANCE: Duration = Duration::from_secs(120);

/// The time that the stop of an unused service takes at most, beyond the window, CloudWatch's delay, the notice and two
/// resync intervals: the minute that the window's start is rounded up by (60 s), the answer of CloudWatch that is still used
/// (55 s), and the longest interval between two attempts (60 s).
pub const STOP_ALLOWANCE: Duration = Duration::from_secs(180);

/// The longest time between two searches of a process for target groups that a teardown left behind, while nothing tells it
/// that there are any. It bounds how long those of a load balancer stay which this process never saw and whose own worker
/// has stopped. They cost nothing; a search can take dozens of calls.
pub const ORPHAN_SEARCH_INTERVAL: Duration = Duration::from_hours(6);

/// The promised bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From the time at which a task serves to its registration; from the time at which it stops to its deregistration;
    /// from the time at which a message is sent to the reconciliation that follows it.
    pub registration: Duration,
    /// From the time at which a load balancer is idle to its deletion. A load balancer that has never served is idle when
    /// its unused grace is over.
    pub teardown: Duration,
    /// From the time at which the last caller leaves to the scale-in to zero, while the use is known; `None` where an unused
    /// service isn't stopped.
    pub stop: Option<Duration>,
}

impl Bounds {
    /// Derives the bounds from the configuration.
    pub fn new(policy: &Policy) -> Self {
        Self {
            registration: policy.resync_interval + REGISTRATION_ALLOWANCE,
            teardown: policy.resync_interval + policy.longest_idle_grace() + TEARDOWN_ALLOWANCE,
            stop: policy.usage.stop.map(|rule| {
                // One interval passes before the announcement, and one before the stop.
                rule.after + CLOUDWATCH_LAG + rule.notice + 2 * policy.resync_interval + STOP_ALLOWANCE
            }),
        }
    }
}

/// Work that the watcher should have done by now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overdue {
    /// The kind of work.
    pub work: Work,
    /// The target group, the load balancer, the queue or the service.
    pub subject: String,
    /// The number of targets, resources, messages or services.
    pub count: u64,
    /// The time since which the work has been due: the earliest of several.
    pub since: Timestamp,
    /// The bound that it exceeds.
    pub bound: Duration,
}

/// The kinds of work with a promised bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Registering serving tasks.
    Registration,
    /// Deregistering stopped tasks.
    Deregistration,
    /// Deleting an idle load balancer, or the target groups of a deleted one.
    Teardown,
    /// Receiving messages from the queue, and deleting them after a reconciliation.
    Messages,
    /// Scaling an unused service to zero.
    Stop,
}

/// The messages on a queue that are due: those waiting, and those received and not yet deleted.
#[derive(Clone, Copy, Debug)]
pub struct Backlog<'a> {
    /// The queue's name.
    pub queue: &'a str,
    /// The number of messages.
    pub messages: u64,
}

/// Returns the work that exceeds its bound: what the plan of an observation would still have to do.
///
/// An observation doesn't show when a mark was removed or a hold was released. For one resync interval after that, an idle
/// load balancer counts as overdue although the watcher has only just become free to mark it.
pub fn overdue(
    observation: &Observation,
    plan: &Plan,
    policy: &Policy,
    backlog: Option<Backlog<'_>>,
    now: Timestamp,
) -> Vec<Overdue> {
    let bounds = Bounds::new(policy);
    let mut overdue = registrations(observation, plan, bounds.registration, now);
    overdue.extend(teardown(observation, plan, policy, bounds.teardown, now));
    overdue.extend(bounds.stop.and_then(|bound| stop(observation, policy, bound, now)));
    overdue.extend(backlog.and_then(|backlog| messages(observation, backlog, bounds.registration, now)));
    overdue.sort();
    overdue
}

fn registrations(observation: &Observation, plan: &Plan, bound: Duration, now: Timestamp) -> Vec<Overdue> {
    let created_at = observation.load_balancer.as_ref().map(|load_balancer| load_balancer.created_at);
    let mut overdue = Vec::new();
    for group in &plan.registrations {
        for (work, changes) in [(Work::Registration, &group.register), (Work::Deregistration, &group.deregister)] {
            let due_since = changes.iter().filter_map(|change| {
                let task = observation.tasks.iter().find(|task| Some(&task.id) == change.task.as_ref())?;
                match change.reason {
                    TargetReason::TaskRunning => task.started_at.max(created_at.filter(|_| task.started_at.is_some())),
                    TargetReason::TaskStopping => task.left_at(),
                    // The bound begins when the task serves.
                    TargetReason::TaskStarting => None,
                    // One observation doesn't tell since when the address has been without a task.
                    TargetReason::NoTask => None,
                }
            });
            let exceeding: Vec<_> = due_since.filter(|since| *since + bound < now).collect();
            if let Some(since) = exceeding.iter().min() {
                let (subject, count) = (group.target_group.clone(), exceeding.len() as u64);
                overdue.push(Overdue { work, subject, count, since: *since, bound });
            }
        }
    }
    overdue
}

fn teardown(
    observation: &Observation,
    plan: &Plan,
    policy: &Policy,
    bound: Duration,
    now: Timestamp,
) -> Option<Overdue> {
    let (since, count) = match &plan.lifecycle {
        LifecycleAction::Keep | LifecycleAction::Unmark { .. } => return None,
        LifecycleAction::Mark { reason, .. } => (idle_since(observation, policy, *reason, now)?, 1),
        LifecycleAction::DeleteLoadBalancer { idle_since, .. } => (*idle_since, 1),
        LifecycleAction::DeleteTargetGroups { target_groups } => {
            let since = target_groups.iter().map(|group| group.idle_since).min()?;
            // The service may have run since, without a load balancer.
            (last_use(observation, now).map_or(since, |last_use| last_use.max(since)), target_groups.len() as u64)
        }
    };
    let subject = policy.load_balancer.clone();
    (since + bound < now).then_some(Overdue { work: Work::Teardown, subject, count, since, bound })
}

/// Returns the time since which an unmarked load balancer has been idle, as far as the observation shows it.
fn idle_since(observation: &Observation, policy: &Policy, reason: MarkReason, now: Timestamp) -> Option<Timestamp> {
    let load_balancer = observation.load_balancer.as_ref()?;
    let held_until = Hold::of(&load_balancer.tags).filter(|hold| hold.until <= now).map(|hold| hold.until);
    let since = match reason {
        MarkReason::Idle => last_use(observation, now)?,
        MarkReason::Unused => load_balancer.created_at + policy.unused_grace,
        // A load balancer with this mark should have been deleted before its target groups lost theirs.
        MarkReason::Incomplete => marked_since(observation, now)?,
    };
    Some(since.max(load_balancer.created_at).max(held_until.unwrap_or(since)))
}

fn stop(observation: &Observation, policy: &Policy, bound: Duration, now: Timestamp) -> Option<Overdue> {
    let interrupted = observation.lease.found().filter(|lease| lease.holder == LeaseHolder::Stop);
    let since = match interrupted {
        // It comes a window later. One that is interrupted each time, e.g. because AWS doesn't answer, must not look well.
        Some(lease) => {
            let without_lease = Observation { lease: LeaseReading::Read(None), ..observation.clone() };
            let since = stop_due_since(&without_lease, policy, now)?;
            lease.last_operation_begun_by().min(since + bound).max(since)
        }
        None => stop_due_since(observation, policy, now)?,
    };
    let subject = policy.service.clone();
    (since + bound < now).then_some(Overdue { work: Work::Stop, subject, count: 1, since, bound })
}

/// Returns the messages as overdue if each of them must be older than the bound.
///
/// SQS doesn't tell how old a message is before it is received. But ECS sends events only when a task changes: while every
/// task is either serving or stopped, all messages are older than the latest change.
fn messages(observation: &Observation, backlog: Backlog<'_>, bound: Duration, now: Timestamp) -> Option<Overdue> {
    let is_changing = observation.tasks.iter().any(|task| match task.phase() {
        Phase::Serving => task.started_at.is_none(),
        Phase::Starting => true,
        Phase::Stopping => task.last_status != LastStatus::Stopped || task.stopped_at.is_none(),
    });
    if backlog.messages == 0 || is_changing {
        return None;
    }
    // ECS shows stopped tasks for about an hour, so without a task the latest change is longer ago.
    let since = last_use(observation, now).unwrap_or(now - MARK_VALID_FOR);
    let (subject, count) = (backlog.queue.to_owned(), backlog.messages);
    (since + bound < now).then_some(Overdue { work: Work::Messages, subject, count, since, bound })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Lease, LeaseState};
    use crate::model::{DesiredStatus, FlowHistory, HOLD_UNTIL_TAG, LoadBalancer, MinuteFlows, Task};
    use crate::plan::samples::{
        counts, idle, load_balancer, marked_load_balancer, minutes, noon, observation, owner_tags, policy, running,
        seconds, stopped, task,
    };
    use crate::plan::{StopWhenUnused, Teardown, UsagePolicy, plan};

    const QUEUE: &str = "p-jvb-watcher";

    /// Returns the overdue work of an observation at noon: its kind, subject, count, and age.
    fn found(observation: &Observation, messages: u64) -> Vec<(Work, String, u64, Duration)> {
        found_by(observation, messages, &policy())
    }

    fn found_by(observation: &Observation, messages: u64, policy: &Policy) -> Vec<(Work, String, u64, Duration)> {
        let plan = plan(observation, policy, noon());
        let backlog = Some(Backlog { queue: QUEUE, messages });
        let age = |since: Timestamp| Duration::try_from(noon().duration_since(since)).expect("in the past");
        let all = overdue(observation, &plan, policy, backlog, noon());
        all.into_iter().map(|of| (of.work, of.subject, of.count, age(of.since))).collect()
    }

    fn started(age: Duration, number: u8) -> Task {
        Task { started_at: Some(noon() - age), ..running(number) }
    }

    fn unregistered(tasks: Vec<Task>) -> Observation {
        observation(counts(1, 1, 0), tasks, Some(load_balancer(&[])))
    }

    #[test]
    fn the_bounds_are_those_of_the_guarantees() {
        let policy = Policy { resync_interval: seconds(30), idle_grace: seconds(45), ..policy() };
        assert_eq!(Bounds::new(&policy), Bounds { registration: seconds(120), teardown: seconds(195), stop: None });
        // Until three minutes before the end of a paid hour, which begins when the grace period ends at the worst.
        let policy = Policy { until_paid_hour: true, ..policy };
        let teardown = seconds(195) + minutes(57);
        assert_eq!(Bounds::new(&policy), Bounds { registration: seconds(120), teardown, stop: None });
        assert_eq!(Bounds::new(&stopping()).stop, Some(minutes(10 + 3 + 2 + 2 + 3)));
    }

    /// A policy that stops a service after ten minutes without use.
    fn stopping() -> Policy {
        let stop = StopWhenUnused { after: minutes(10), notice: minutes(2), first_call_grace: minutes(30) };
        Policy { usage: UsagePolicy { observe: true, stop: Some(stop), ..UsagePolicy::OFF }, ..policy() }
    }

    /// A service that has been unused since some minutes before noon; there was a call before.
    fn unused(minutes_ago: i64) -> Observation {
        let start = |ago: i64| noon() - minutes(ago);
        let of = |ago| MinuteFlows { flows: if ago > minutes_ago { 2 } else { 0 }, healthy: Some(1) };
        let known = (3..=50).map(|ago| (start(ago), of(ago)));
        let observed = observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])));
        let flows = FlowHistory { minutes: known.collect(), problem: None };
        Observation { flows: Some(flows), lease: LeaseReading::Read(None), ..observed }
    }

    fn stop_of(age: Duration) -> Vec<(Work, String, u64, Duration)> {
        vec![(Work::Stop, "p-service".to_owned(), 1, age)]
    }

    #[test]
    fn an_unused_service_is_overdue_when_it_was_not_stopped_within_the_bound() {
        let found = |observed: &Observation| found_by(observed, 0, &stopping());
        assert_eq!(found(&unused(20)), []);
        assert_eq!(found(&unused(21)), stop_of(minutes(21)));
        assert_eq!(found_by(&unused(40), 0, &policy()), [], "it isn't to be stopped");
    }

    #[test]
    fn a_stop_is_due_only_since_nothing_forbids_it() {
        let found = |observed: &Observation| found_by(observed, 0, &stopping());
        let tagged = |key: &str, value: Timestamp| {
            let mut observed = unused(40);
            let tags = &mut observed.load_balancer.as_mut().expect("a load balancer").tags;
            tags.insert(key.to_owned(), value.to_string());
            observed
        };
        assert_eq!(found(&tagged(HOLD_UNTIL_TAG, noon() + minutes(5))), [], "it is held");
        assert_eq!(found(&tagged(HOLD_UNTIL_TAG, noon() - minutes(20))), []);
        assert_eq!(found(&tagged(HOLD_UNTIL_TAG, noon() - minutes(21))), stop_of(minutes(21)));
        let mut unhealthy = unused(40);
        let flows = unhealthy.flows.as_mut().expect("flows");
        flows.minutes.get_mut(&(noon() - minutes(21))).expect("a minute").healthy = Some(0);
        assert_eq!(found(&unhealthy), [], "it has been healthy for twenty minutes");
        let mut unknown = unused(40);
        unknown.flows.as_mut().expect("flows").minutes.remove(&(noon() - minutes(5)));
        assert_eq!(found(&unknown), [], "unknown is in use");
    }

    #[test]
    fn a_stop_that_is_interrupted_each_time_is_overdue_after_a_second_bound() {
        let interrupted = |holder, unused_for: i64, lease_age: Duration| {
            let (begun_at, id) = (noon() - lease_age, "worker-000001".to_owned());
            let lease = Lease { holder, begun_at, id, state: LeaseState::Active };
            found_by(&Observation { lease: LeaseReading::Read(Some(lease)), ..unused(unused_for) }, 0, &stopping())
        };
        assert_eq!(interrupted(LeaseHolder::Stop, 40, minutes(5)), [], "its next time may still come");
        assert_eq!(interrupted(LeaseHolder::Stop, 41, minutes(5)), stop_of(minutes(21)));
        assert_eq!(interrupted(LeaseHolder::Stop, 41, seconds(5)), stop_of(minutes(21)), "the lease is being taken");
        assert_eq!(interrupted(LeaseHolder::Stop, 40, minutes(21) + seconds(10)), stop_of(minutes(21)));
        assert_eq!(interrupted(LeaseHolder::Up, 41, minutes(5)), [], "`up` is running");
    }

    #[test]
    fn a_stop_without_a_call_is_due_after_the_grace_for_the_first_one() {
        let started_ago = |age: Duration| {
            let mut observed = unused(50);
            observed.tasks[0].started_at = Some(noon() - age);
            found_by(&observed, 0, &stopping())
        };
        // The grace ends 30 minutes after the start; a window of ten minutes and the delay of three end with it.
        assert_eq!(started_ago(minutes(30 + 7)), []);
        assert_eq!(started_ago(minutes(30 + 8)), stop_of(minutes(21)));
    }

    #[test]
    fn a_task_is_overdue_when_it_has_served_unregistered_for_longer_than_the_bound() {
        assert_eq!(found(&unregistered(vec![started(seconds(150), 1)]), 0), []);
        let groups = ["p-jvb-tcp-tg", "p-jvb-udp"];
        let expected = groups.map(|name| (Work::Registration, name.to_owned(), 1, seconds(151)));
        assert_eq!(found(&unregistered(vec![started(seconds(151), 1)]), 0), expected);
    }

    #[test]
    fn the_oldest_of_several_counts() {
        let tasks = vec![started(minutes(3), 1), started(minutes(9), 2), started(seconds(5), 3)];
        let expected = ["p-jvb-tcp-tg", "p-jvb-udp"].map(|name| (Work::Registration, name.to_owned(), 2, minutes(9)));
        assert_eq!(found(&unregistered(tasks), 0), expected);
    }

    #[test]
    fn the_bound_starts_with_the_load_balancer() {
        let mut observed = unregistered(vec![started(minutes(50), 1)]);
        observed.load_balancer.as_mut().expect("a load balancer").created_at = noon() - minutes(2);
        assert_eq!(found(&observed, 0), []);
        observed.load_balancer.as_mut().expect("a load balancer").created_at = noon() - minutes(3);
        assert_eq!(found(&observed, 0).len(), 2);
    }

    #[test]
    fn a_task_without_a_start_time_is_not_overdue() {
        assert_eq!(found(&unregistered(vec![Task { started_at: None, ..running(1) }]), 0), []);
    }

    #[test]
    fn a_stopped_task_is_overdue_when_it_stays_registered_for_longer_than_the_bound() {
        let stopped_for = |age: Duration| {
            let at = Some(noon() - age);
            let stopped = Task { stopping_at: at, stopped_at: at, ..stopped(2) };
            observation(counts(1, 1, 0), vec![running(1), stopped], Some(load_balancer(&[1, 2])))
        };
        assert_eq!(found(&stopped_for(seconds(150)), 0), []);
        let groups = ["p-jvb-tcp-tg", "p-jvb-udp"];
        let expected = groups.map(|name| (Work::Deregistration, name.to_owned(), 1, seconds(151)));
        assert_eq!(found(&stopped_for(seconds(151)), 0), expected);
    }

    #[test]
    fn nothing_is_overdue_while_the_platform_is_as_planned() {
        assert_eq!(found(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))), 0), []);
        assert_eq!(found(&observation(counts(0, 0, 0), vec![], None), 0), []);
    }

    fn teardown_of(age: Duration) -> Vec<(Work, String, u64, Duration)> {
        vec![(Work::Teardown, "p-jvb-nlb".to_owned(), 1, age)]
    }

    /// A service whose last task stopped this long ago, with an unmarked load balancer.
    fn unmarked(age: Duration) -> Observation {
        let at = Some(noon() - age);
        let stopped = Task { stopping_at: at, stopped_at: at, ..stopped(1) };
        observation(counts(0, 0, 0), vec![stopped], Some(load_balancer(&[])))
    }

    #[test]
    fn an_unmarked_load_balancer_is_overdue_by_its_last_use() {
        assert_eq!(found(&unmarked(seconds(240)), 0), []);
        assert_eq!(found(&unmarked(seconds(241)), 0), teardown_of(seconds(241)));
    }

    #[test]
    fn a_marked_load_balancer_is_overdue_by_its_mark() {
        let marked = |age| idle(marked_load_balancer(&[], noon() - age));
        assert_eq!(found(&marked(seconds(30)), 0), [], "in its grace period");
        assert_eq!(found(&marked(seconds(240)), 0), []);
        assert_eq!(found(&marked(seconds(241)), 0), teardown_of(seconds(241)));
    }

    #[test]
    fn a_load_balancer_with_an_unmarked_target_group_is_overdue_by_its_mark() {
        let marked = |age| {
            let mut observed = idle(marked_load_balancer(&[], noon() - age));
            observed.load_balancer.as_mut().expect("a load balancer").target_groups[0].tags = owner_tags();
            observed
        };
        assert_eq!(found(&marked(seconds(240)), 0), []);
        assert_eq!(found(&marked(seconds(241)), 0), teardown_of(seconds(241)));
    }

    #[test]
    fn an_unused_load_balancer_is_overdue_after_its_unused_grace() {
        let unused = |age| {
            let load_balancer = LoadBalancer { created_at: noon() - age, ..load_balancer(&[]) };
            observation(counts(0, 0, 0), vec![], Some(load_balancer))
        };
        assert_eq!(found(&unused(minutes(15) + seconds(240)), 0), []);
        assert_eq!(found(&unused(minutes(15) + seconds(241)), 0), teardown_of(seconds(241)));
    }

    #[test]
    fn the_bound_starts_with_the_end_of_a_hold() {
        let held_until = |until: Timestamp| {
            let mut observed = unmarked(minutes(30));
            let tags = &mut observed.load_balancer.as_mut().expect("a load balancer").tags;
            tags.insert(HOLD_UNTIL_TAG.to_owned(), until.to_string());
            observed
        };
        assert_eq!(found(&held_until(noon() + minutes(5)), 0), [], "it is held");
        assert_eq!(found(&held_until(noon() - seconds(240)), 0), []);
        assert_eq!(found(&held_until(noon() - seconds(241)), 0), teardown_of(seconds(241)));
        assert_eq!(found(&held_until(noon() - minutes(45)), 0), teardown_of(minutes(30)));
    }

    #[test]
    fn the_target_groups_of_a_deleted_load_balancer_are_overdue_by_their_marks() {
        let orphaned = |age| {
            let marked = marked_load_balancer(&[], noon() - age);
            let observed = observation(counts(0, 0, 0), vec![], None);
            Observation { orphaned_target_groups: marked.target_groups, ..observed }
        };
        assert_eq!(found(&orphaned(seconds(240)), 0), []);
        let expected = [(Work::Teardown, "p-jvb-nlb".to_owned(), 2, seconds(241))];
        assert_eq!(found(&orphaned(seconds(241)), 0), expected);
        let used_since = |age| Observation { tasks: unmarked(age).tasks, ..orphaned(minutes(30)) };
        assert_eq!(found(&used_since(seconds(240)), 0), []);
        assert_eq!(found(&used_since(seconds(241)), 0), expected);
    }

    #[test]
    fn what_the_watcher_must_not_delete_is_not_overdue() {
        let off = Policy { teardown: Teardown::Off, ..policy() };
        assert_eq!(found_by(&unmarked(minutes(30)), 0, &off), []);
        let mut foreign = unmarked(minutes(30));
        foreign.load_balancer.as_mut().expect("a load balancer").tags.clear();
        assert_eq!(found(&foreign, 0), []);
        let in_use =
            observation(counts(1, 1, 0), vec![running(1)], Some(marked_load_balancer(&[1], noon() - minutes(30))));
        assert_eq!(found(&in_use, 0), [], "it is about to be unmarked");
    }

    #[test]
    fn messages_are_overdue_when_no_task_has_changed_for_longer_than_the_bound() {
        let serving = |age| observation(counts(1, 1, 0), vec![started(age, 1), stopped(2)], Some(load_balancer(&[1])));
        assert_eq!(found(&serving(seconds(150)), 323), []);
        assert_eq!(found(&serving(seconds(151)), 323), [(Work::Messages, QUEUE.to_owned(), 323, seconds(151))]);
        assert_eq!(found(&serving(seconds(151)), 0), [], "the queue is empty");
    }

    #[test]
    fn messages_of_a_changing_task_are_not_overdue() {
        let with = |task: Task| {
            let without_groups = LoadBalancer { target_groups: Vec::new(), ..load_balancer(&[]) };
            observation(counts(2, 1, 1), vec![running(1), task], Some(without_groups))
        };
        let kinds = |task| found(&with(task), 3).into_iter().map(|(work, ..)| work).collect::<Vec<_>>();
        let stopping =
            Task { stopping_at: Some(noon() - minutes(9)), ..task(2, LastStatus::Running, DesiredStatus::Stopped) };
        for changing in [
            task(2, LastStatus::Starting, DesiredStatus::Running),
            stopping,
            Task { started_at: None, ..running(2) },
            Task { stopped_at: None, ..stopped(2) },
        ] {
            assert_eq!(kinds(changing.clone()), [], "{changing:?}");
        }
        assert_eq!(kinds(stopped(2)), [Work::Messages]);
    }

    #[test]
    fn messages_are_overdue_when_no_task_has_been_visible_for_an_hour() {
        let at_rest = observation(counts(0, 0, 0), vec![], None);
        assert_eq!(found(&at_rest, 1), [(Work::Messages, QUEUE.to_owned(), 1, minutes(50))]);
    }
}
