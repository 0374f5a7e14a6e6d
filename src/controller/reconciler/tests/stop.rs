//! The stop of an unused service.

use super::usage::{bench_with, observing, serving};
use super::*;
use crate::aws::fake::World;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::lease::{Lease, LeaseHolder, LeaseState};
use jvb_watcher_rules::model::{MINUTE, MinuteFlows, OPERATION_TAG, STOP_AT_TAG, minute_of};
use jvb_watcher_rules::plan::{StopWhenUnused, UsagePolicy};

fn stopping() -> Policy {
    let stop = StopWhenUnused { after: minutes(10), notice: minutes(2), first_call_grace: minutes(30) };
    Policy { usage: UsagePolicy { stop: Some(stop), ..observing().usage }, ..policy() }
}

fn unused() -> Bench {
    bench_with(serving(0), stopping())
}

fn desired(bench: &Bench) -> i32 {
    match bench.cloud.world().observed.service {
        Service::Found(counts) => counts.desired,
        Service::Missing => panic!("no service"),
    }
}

fn tags(world: &mut World) -> &mut jvb_watcher_rules::model::Tags {
    &mut world.observed.load_balancer.as_mut().expect("a load balancer").tags
}

fn announcement(bench: &Bench) -> Option<String> {
    tags(&mut bench.cloud.world()).get(STOP_AT_TAG).cloned()
}

/// Makes CloudWatch know the minutes up to three ago, with this many flows in the newest one.
fn report_minutes(world: &mut World, now: Timestamp, flows_in_newest: u64) {
    let known = &mut world.observed.flows.as_mut().expect("flows").minutes;
    let newest = minute_of(now - 3 * MINUTE) - MINUTE;
    let mut minute = noon() - 10 * MINUTE;
    while minute <= newest {
        let flows = if minute == newest { flows_in_newest } else { 0 };
        known.entry(minute).or_insert(MinuteFlows { flows, healthy: Some(1) });
        minute += MINUTE;
    }
}

impl Bench {
    /// Passes a minute, in which CloudWatch reports, and reconciles.
    async fn next_minute(&mut self, flows: u64) -> Outcome {
        tokio::time::sleep(minutes(1)).await;
        let now = self.clock.now();
        report_minutes(&mut self.cloud.world(), now, flows);
        self.reconcile().await.expect("a reconciliation")
    }

    fn logged(&self, event: &str) -> usize {
        self.lines.of(event).len()
    }
}

#[tokio::test(start_paused = true)]
async fn announces_a_stop_and_scales_to_zero_after_the_notice() {
    let mut bench = unused();
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("stop_announced")[0]["stop_at"], "2026-11-20T12:02:00.000Z");
    assert_eq!(bench.lines.of("stop_announced")[0]["unused_since"], "2026-11-20T11:00:00.000Z");
    bench.next_minute(0).await;
    assert_eq!((desired(&bench), bench.logged("service_stopped")), (1, 0));
    bench.next_minute(0).await;
    assert_eq!((desired(&bench), bench.logged("service_stopped")), (0, 1));
    assert_eq!(bench.lines.of("service_stopped")[0]["desired_before"], 1);
    assert_eq!(bench.lines.of("reconciled").last().expect("a line")["desired"], 0);
    let writes = bench.cloud.calls_of(&["AddTags", "TagResource", "UpdateService", "UntagResource"]);
    assert_eq!(writes, ["AddTags", "TagResource", "UpdateService", "UntagResource"]);
    assert_eq!(bench.cloud.world().service_tags.get(OPERATION_TAG), None, "the lease is released");
    bench.next_minute(0).await;
    assert_eq!(bench.cloud.count("UpdateService"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flow_a_hold_or_an_up_within_the_notice_withdraws_the_stop() {
    let flow = |world: &mut World| {
        let minute = MinuteFlows { flows: 2, healthy: Some(1) };
        world.observed.flows.as_mut().expect("flows").minutes.insert(noon() - MINUTE, minute);
    };
    let hold = |world: &mut World| {
        let hold = Hold { until: noon() + minutes(30), holder: Holder::Hand };
        tags(world).extend(hold.tags());
    };
    let up = |world: &mut World| {
        let (holder, begun_at, id) = (LeaseHolder::Up, noon(), "1f2e".to_owned());
        let lease = Lease { holder, begun_at, id, state: LeaseState::Ended };
        world.service_tags.insert(OPERATION_TAG.to_owned(), lease.to_string());
    };
    type Change = fn(&mut World);
    for (change, reason) in [(flow as Change, "in_use"), (hold, "held"), (up, "operation")] {
        let mut bench = unused();
        bench.reconcile().await.expect("a reconciliation");
        assert!(announcement(&bench).is_some());
        change(&mut bench.cloud.world());
        bench.next_minute(0).await;
        assert_eq!(announcement(&bench), None, "{reason}");
        assert_eq!(bench.lines.of("stop_withdrawn")[0]["reason"], reason);
        bench.next_minute(0).await;
        assert_eq!((desired(&bench), bench.logged("service_stopped")), (1, 0), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_observation_asks_again_and_decides() {
    for (operation, change) in [
        ("GetMetricData", (|world: &mut World| report_minutes(world, noon() + 2 * MINUTE, 2)) as fn(&mut World)),
        ("DescribeTags", |world| {
            let hold = Hold { until: noon() + minutes(30), holder: Holder::Hand };
            tags(world).extend(hold.tags());
        }),
        ("ListTasks", |world| world.observed.tasks.push(Task { started_at: Some(noon()), ..running(2) })),
    ] {
        let mut bench = unused();
        bench.reconcile().await.expect("a reconciliation");
        bench.next_minute(0).await;
        // The stop is due with the next reconciliation; the change comes between its two observations.
        bench.cloud.before(operation, 2, change);
        tokio::time::sleep(minutes(1)).await;
        if operation != "GetMetricData" {
            report_minutes(&mut bench.cloud.world(), noon() + 2 * MINUTE, 0);
        }
        bench.reconcile().await.expect("a reconciliation");
        assert_eq!((desired(&bench), bench.logged("service_stopped")), (1, 0), "{operation}");
        assert_eq!(bench.cloud.count("UpdateService"), 0, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn does_not_stop_when_an_operation_takes_the_lease_before_the_write() {
    let up = || {
        let (holder, begun_at, id) = (LeaseHolder::Up, noon() + 2 * MINUTE, "1f2e".to_owned());
        Lease { holder, begun_at, id, state: LeaseState::Active }.to_string()
    };
    let take = move |world: &mut World| drop(world.service_tags.insert(OPERATION_TAG.to_owned(), up()));
    // DescribeServices reads the service in each of two observations, then before and after the worker's own lease.
    for (operation, nth) in [("DescribeServices", 3), ("DescribeServices", 4)] {
        let mut bench = unused();
        bench.reconcile().await.expect("a reconciliation");
        bench.next_minute(0).await;
        bench.cloud.before(operation, nth, take);
        bench.next_minute(0).await;
        assert_eq!(bench.cloud.count("UpdateService"), 0, "{operation} {nth}");
        assert_eq!(desired(&bench), 1);
        let lease = Lease::of(&bench.cloud.world().service_tags).expect("the lease of up");
        assert_eq!(lease.holder, LeaseHolder::Up, "it stays");
    }
}

#[tokio::test(start_paused = true)]
async fn does_not_stop_on_an_observation_that_took_too_long() {
    let mut bench = unused();
    bench.reconcile().await.expect("a reconciliation");
    bench.next_minute(0).await;
    let clock = bench.clock.clone();
    // The process is frozen after it has taken the lease.
    bench.cloud.before("TagResource", 1, move |_| clock.freeze(OBSERVATION_VALID_FOR));
    tokio::time::sleep(minutes(1)).await;
    report_minutes(&mut bench.cloud.world(), noon() + 2 * MINUTE, 0);
    let error = bench.reconcile().await.expect_err("too late");
    assert_eq!((error.operation, desired(&bench)), ("UpdateService", 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_tried_again_and_the_lease_is_released() {
    for operation in ["AddTags", "TagResource", "UpdateService", "UntagResource"] {
        let mut bench = unused();
        bench.cloud.fail(operation, ErrorKind::Unavailable, 1);
        let mut failed = bench.reconcile().await.is_err();
        for _ in 0..6 {
            tokio::time::sleep(minutes(1)).await;
            let now = bench.clock.now();
            report_minutes(&mut bench.cloud.world(), now, 0);
            failed |= bench.reconcile().await.is_err();
        }
        assert!(failed, "{operation}");
        assert_eq!(desired(&bench), 0, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_the_one_that_announced_the_stop_makes_it() {
    let cloud = FakeAws::new(serving(0));
    let worker = |number| {
        let process = ProcessId::new(number);
        bench_on(cloud.clone(), |parts| ReconcilerParts { policy: stopping(), process, ..parts })
    };
    let (mut first, mut second) = (worker(1), worker(2));
    first.reconcile().await.expect("a reconciliation");
    second.reconcile().await.expect("a reconciliation");
    assert_eq!((first.logged("stop_announced"), second.logged("stop_announced")), (1, 0));
    tokio::time::sleep(minutes(2)).await;
    report_minutes(&mut cloud.world(), noon() + 2 * MINUTE, 0);
    let waiting = second.reconcile().await.expect("a reconciliation");
    assert!(waiting.requeue_at <= noon() + minutes(2) + seconds(30), "it takes over soon");
    assert_eq!(desired(&second), 1);
    first.reconcile().await.expect("a reconciliation");
    assert_eq!((first.logged("service_stopped"), second.logged("service_stopped")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn another_worker_makes_the_stop_of_one_that_was_killed_a_window_later() {
    let cloud = FakeAws::new(serving(0));
    let worker = |number| {
        let process = ProcessId::new(number);
        bench_on(cloud.clone(), |parts| ReconcilerParts { policy: stopping(), process, ..parts })
    };
    worker(1).reconcile().await.expect("a reconciliation");
    // It was killed with its lease on the service.
    let (begun_at, id) = (noon() + minutes(2), "worker-000001".to_owned());
    let lease = Lease { holder: LeaseHolder::Stop, begun_at, id, state: LeaseState::Active };
    cloud.world().service_tags.insert(OPERATION_TAG.to_owned(), lease.to_string());
    let mut second = worker(2);
    tokio::time::sleep(minutes(2) + seconds(29)).await;
    report_minutes(&mut cloud.world(), noon() + 2 * MINUTE, 0);
    let waiting = second.reconcile().await.expect("a reconciliation");
    assert_eq!(waiting.requeue_at, begun_at + seconds(30));
    assert_eq!(second.logged("stop_withdrawn"), 0, "the other one may still be at it");
    tokio::time::sleep(seconds(1)).await;
    second.reconcile().await.expect("a reconciliation");
    assert_eq!(second.logged("stop_withdrawn"), 1, "its lease can have replaced that of an up");
    for minute in 3..=18 {
        tokio::time::sleep(minutes(1)).await;
        report_minutes(&mut cloud.world(), noon() + minute * MINUTE, 0);
        second.reconcile().await.expect("a reconciliation");
        // Ten minutes, begun with a full one ten seconds after the lease, and the three minutes of CloudWatch's lag.
        assert_eq!(second.logged("stop_announced"), usize::from(minute >= 16), "after {minute} minutes");
        assert_eq!(desired(&second), i32::from(minute < 18), "after {minute} minutes");
    }
}
