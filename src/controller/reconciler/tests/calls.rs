//! How many calls an observation takes, and how many round trips one after the other.

use super::*;
use jvb_watcher_rules::bounds::ORPHAN_SEARCH_INTERVAL;

/// The latency of each read.
const ROUND_TRIP: Duration = Duration::from_millis(100);

const READS: [&str; 7] = [
    "ListTasks",
    "DescribeTasks",
    "DescribeServices",
    "DescribeLoadBalancers",
    "DescribeTargetGroups",
    "DescribeTags",
    "DescribeTargetHealth",
];

/// Reconciles with the event of a task that has just begun to serve, and returns the round trips before its registration.
async fn round_trips_to_register(bench: &mut Bench) -> u32 {
    for operation in READS {
        bench.cloud.delay(operation, ROUND_TRIP);
    }
    let began = Instant::now();
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.cloud.before("RegisterTargets", 1, move |_| sender.send(began.elapsed()).expect("a receiver"));
    bench.reconciler.reconcile(&hints(&running(1), 1, noon())).await.expect("a reconciliation");
    let elapsed = receiver.recv().expect("a registration");
    u32::try_from(elapsed.as_millis() / ROUND_TRIP.as_millis()).expect("a small number")
}

fn without_targets() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[])))
}

#[tokio::test(start_paused = true)]
async fn registers_a_task_two_round_trips_after_its_event() {
    let mut bench = bench(Observation { tasks: vec![], ..without_targets() });
    bench.reconcile().await.expect("a reconciliation");
    bench.cloud.world().observed.tasks = vec![running(1)];
    assert_eq!(round_trips_to_register(&mut bench).await, 2);
}

#[tokio::test(start_paused = true)]
async fn registers_a_task_three_round_trips_after_its_event_behind_a_new_load_balancer() {
    let mut bench = bench(Observation { load_balancer: None, tasks: vec![], ..without_targets() });
    bench.reconcile().await.expect("a reconciliation");
    bench.cloud.world().observed = without_targets();
    assert_eq!(round_trips_to_register(&mut bench).await, 3);
}

#[tokio::test(start_paused = true)]
async fn registers_in_a_target_group_that_was_added_since() {
    let mut bench = bench(without_targets());
    let added = bench.cloud.world().observed.load_balancer.as_mut().and_then(|found| found.target_groups.pop());
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("target_registered").len(), 1);
    bench.cloud.world().observed.load_balancer.as_mut().expect("a load balancer").target_groups.extend(added);
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("target_registered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_belonged_to_an_earlier_load_balancer_counts_for_nothing() {
    let mut bench = bench(overdue());
    bench.observe().await;
    let other = load_balancer(&[]);
    let other = LoadBalancer { arn: other.arn.replace("0a1b", "9z8y"), ..other };
    bench.cloud.world().observed.load_balancer = Some(other.clone());
    let observed = bench.observe().await.observation.load_balancer.expect("a load balancer");
    assert_eq!((&observed.arn, observed.tags.get(IDLE_SINCE_TAG)), (&other.arn, None));
    bench.cloud.world().observed.load_balancer = None;
    assert_eq!(bench.observe().await.observation.load_balancer, None);
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
}

// ---- at rest ----

/// Idle, without a load balancer.
fn at_rest() -> Bench {
    bench(observation(counts(0, 0, 0), vec![stopped(1)], None))
}

/// Reconciles once a minute; returns the calls.
async fn reconcile_for(bench: &mut Bench, minutes_long: i64) -> Vec<&'static str> {
    let before = bench.cloud.world().calls.len();
    for _ in 0..minutes_long {
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(minutes(1)).await;
    }
    bench.cloud.world().calls[before..].to_vec()
}

fn count(calls: &[&'static str], operation: &str) -> usize {
    calls.iter().filter(|call| **call == operation).count()
}

#[tokio::test(start_paused = true)]
async fn a_service_at_rest_takes_one_call_a_minute_and_another_every_five() {
    let mut bench = at_rest();
    let first = reconcile_for(&mut bench, 1).await;
    assert_eq!((count(&first, "ListTasks"), count(&first, "DescribeTargetGroups")), (1, 1), "{first:?}");
    let hour = reconcile_for(&mut bench, 60).await;
    assert_eq!((count(&hour, "DescribeLoadBalancers"), count(&hour, "DescribeServices")), (60, 12));
    assert_eq!(hour.len(), 72, "{hour:?}");
    assert_eq!(bench.lines.of("reconciled").len(), 61, "it is seen to work");
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_target_groups_stay_rests_without_a_search() {
    for teardown in [plan::Teardown::LoadBalancer, plan::Teardown::Off] {
        let aws = FakeAws::new(observation(counts(0, 0, 0), vec![stopped(1)], None));
        let mut bench = bench_on(aws, |parts| ReconcilerParts { policy: Policy { teardown, ..policy() }, ..parts });
        reconcile_for(&mut bench, 1).await;
        assert_eq!(reconcile_for(&mut bench, 60).await.len(), 72);
        assert_eq!(bench.cloud.count("DescribeTargetGroups"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_ends_the_rest_at_once() {
    let mut bench = at_rest();
    reconcile_for(&mut bench, 2).await;
    bench.cloud.world().observed.load_balancer = Some(load_balancer(&[]));
    let calls = reconcile_for(&mut bench, 1).await;
    assert_eq!((count(&calls, "ListTasks"), count(&calls, "DescribeServices")), (1, 1), "{calls:?}");
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_the_rest_at_once_and_its_loss_within_five_minutes() {
    for loses_event in [false, true] {
        let mut bench = at_rest();
        reconcile_for(&mut bench, 2).await;
        bench.cloud.world().observed = observation(counts(1, 1, 0), vec![running(1)], None);
        if loses_event {
            reconcile_for(&mut bench, 5).await;
        } else {
            bench.reconciler.reconcile(&hints(&running(1), 1, noon())).await.expect("a reconciliation");
        }
        assert_eq!(bench.lines.of("finding")[0]["finding"], "load_balancer_missing", "{loses_event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_still_stops_is_no_rest() {
    let mut bench = at_rest();
    bench.cloud.world().observed.tasks = vec![Task { last_status: LastStatus::Stopping, ..stopped(1) }];
    let calls = reconcile_for(&mut bench, 5).await;
    assert_eq!((count(&calls, "ListTasks"), count(&calls, "DescribeServices")), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn tasks_that_were_not_read_are_no_missed_events() {
    let mut bench = bench_with_event_source(
        observation(counts(0, 0, 0), vec![stopped(1), stopped(2)], None),
        StandingFindings::default(),
    );
    reconcile_for(&mut bench, 10).await;
    // Twice everything is read, with tasks that stopped long ago.
    for _ in 0..2 {
        bench.observe().await;
        bench.cloud.world().observed.load_balancer = Some(load_balancer(&[]));
        reconcile_for(&mut bench, 1).await;
        bench.cloud.world().observed.load_balancer = None;
        reconcile_for(&mut bench, 5).await;
    }
    assert_eq!(finding_lines(&bench, FindingName::EventsMissing).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn finds_what_a_teardown_left_unseen_within_the_interval_of_the_search() {
    let mut bench = at_rest();
    reconcile_for(&mut bench, 2).await;
    let left = marked_load_balancer(&[], noon() - minutes(5)).target_groups;
    bench.cloud.world().observed.orphaned_target_groups = left;
    let minutes_long = i64::try_from(ORPHAN_SEARCH_INTERVAL.as_secs() / 60).expect("a number");
    reconcile_for(&mut bench, minutes_long).await;
    assert_eq!(bench.lines.of("target_group_deleted").len(), 2);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn forgets_the_rest_after_a_long_freeze() {
    let mut bench = at_rest();
    reconcile_for(&mut bench, 2).await;
    bench.clock.freeze(minutes(5) + seconds(1));
    let calls = reconcile_for(&mut bench, 1).await;
    assert_eq!((count(&calls, "ListTasks"), count(&calls, "DescribeTargetGroups")), (1, 1), "{calls:?}");
}
