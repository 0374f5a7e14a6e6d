//! Reconciliations against an AWS in memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::aws::fake::{FakeAws, FakeClock};
use crate::aws::{ErrorKind, Platform};
use crate::clock::Clock;
use crate::controller::latest::{LatestReconciliations, Subject};
use crate::controller::message::{Hint, TaskChange, TaskHint};
use crate::controller::scope::Scope;
use crate::controller::teardown::{IN_USE_PASSES_WITHIN, ProcessId, Teardown, takeover_after};
use crate::telemetry::emf;
use crate::telemetry::log::Identity;
use crate::telemetry::log::fake::LogLines;
use crate::telemetry::metrics::Metrics;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{
    DesiredStatus, IDLE_SINCE_TAG, LastStatus, LoadBalancer, LoadBalancerAddresses, PinnedAddress, SchedulerMessage,
    ServiceEvent, ServiceEventName, TargetState, Task, TaskId,
};
use jvb_watcher_rules::plan::samples::{
    counts, idle, load_balancer, marked_load_balancer, minutes, noon, observation, policy, running, seconds, stopped,
    target, task,
};

mod calls;
#[cfg(feature = "sandbox")]
mod calls_on_sandbox;
mod stop;
mod usage;

struct Bench {
    cloud: FakeAws,
    lines: LogLines,
    clock: Arc<FakeClock>,
    reconciler: Reconciler<FakeAws>,
}

fn bench(observed: Observation) -> Bench {
    bench_on(FakeAws::new(observed), |parts| parts)
}

/// A reconciler on this AWS, with its parts changed.
fn bench_on(cloud: FakeAws, change: impl FnOnce(ReconcilerParts<FakeAws>) -> ReconcilerParts<FakeAws>) -> Bench {
    let lines = LogLines::default();
    let clock = FakeClock::noon();
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let context = Context::new(scope, lines.log(clock.clone()), clock.clone());
    let reconciler = Reconciler::new(change(ReconcilerParts::new(cloud.clone(), context, policy())));
    Bench { cloud, lines, clock, reconciler }
}

/// A reconciler that events lead, with these findings about the event source.
fn bench_with_event_source(observed: Observation, standing: StandingFindings) -> Bench {
    bench_on(FakeAws::new(observed), |parts| ReconcilerParts { event_source_findings: Some(standing), ..parts })
}

impl Bench {
    async fn reconcile(&mut self) -> Result<Outcome, AwsError> {
        self.reconciler.reconcile(&Hints::default()).await
    }

    async fn observe(&self) -> Observed {
        self.reconciler.observe(&Hints::default()).await.expect("an observation")
    }

    fn gauges(&self, observed: &Observed) -> Snapshot {
        self.reconciler.snapshot(observed, Summary::of(&observed.observation))
    }

    /// Reconciles until nothing can be done at once any more.
    async fn reconcile_to_the_end(&mut self) {
        for _ in 0..20 {
            if self.reconcile().await.is_ok_and(|outcome| outcome.progress == Progress::Settled) {
                return;
            }
            tokio::time::sleep(seconds(1)).await;
        }
        panic!("no end after twenty rounds");
    }
}

/// Idle for longer than the grace period, by another process's mark.
fn overdue() -> Observation {
    idle(marked_load_balancer(&[], noon() - minutes(5)))
}

// ---- teardown ----

#[tokio::test(start_paused = true)]
async fn deletes_the_load_balancer_then_its_target_groups_and_verifies_that_nothing_is_left() {
    let mut bench = bench(overdue());
    bench.reconcile_to_the_end().await;
    let writes = bench.cloud.calls_of(&["DeleteLoadBalancer", "DeleteTargetGroup"]);
    assert_eq!(writes, ["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteTargetGroup"]);
    for (event, times) in
        [("teardown_started", 1), ("load_balancer_deleted", 1), ("target_group_deleted", 2), ("teardown_completed", 1)]
    {
        assert_eq!(bench.lines.of(event).len(), times, "{event}");
    }
    assert_eq!(bench.lines.of("load_balancer_deleted")[0]["uptime_seconds"], 3610);
    assert_eq!(bench.lines.of("teardown_started")[0]["resumed"], false);
}

#[tokio::test(start_paused = true)]
async fn an_event_and_an_idle_load_balancer_are_urgent() {
    use Urgency::{Resync, Urgent};

    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    bench.reconcile().await.expect("a reconciliation");
    bench.reconciler.reconcile(&hints(&running(1), 0, noon())).await.expect("a reconciliation");
    bench.reconcile().await.expect("a reconciliation");
    bench.cloud.world().observed.service = counts(0, 0, 0);
    bench.cloud.world().observed.tasks.clear();
    bench.reconcile().await.expect("one that finds it idle");
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.world().urgencies, [Resync, Urgent, Resync, Resync, Urgent]);
}

#[tokio::test(start_paused = true)]
async fn deletes_nothing_once_its_gate_is_closed_and_reports_no_finding() {
    let gate = Gate::default();
    let mut bench = bench_on(FakeAws::new(overdue()), |parts| ReconcilerParts { gate: gate.clone(), ..parts });
    bench.cloud.delay("DescribeServices", seconds(1));
    let close = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        gate.close().await;
    };
    let (outcome, ()) = tokio::join!(bench.reconcile(), close);
    outcome.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DescribeServices"), 2, "it was about to delete");
    assert_eq!(bench.cloud.calls_of(&["DeleteLoadBalancer", "DeleteTargetGroup"]), [""; 0]);
    assert!(bench.lines.of("teardown_started").is_empty());
    bench.cloud.world().observed.load_balancer.as_mut().expect("it is still there").tags.clear();
    bench.reconcile().await.expect("a reconciliation");
    assert!(bench.lines.of("finding").is_empty(), "nothing would clear it");
}

#[tokio::test(start_paused = true)]
async fn the_gate_closes_after_the_deletion_in_progress_and_before_the_next_one() {
    let gate = Gate::default();
    let mut bench = bench_on(FakeAws::new(overdue()), |parts| ReconcilerParts { gate: gate.clone(), ..parts });
    bench.cloud.delay("DeleteLoadBalancer", seconds(4));
    let (lines, cloud) = (bench.lines.clone(), bench.cloud.clone());
    let close = async {
        tokio::time::sleep(ECS_LAG + seconds(1)).await;
        gate.close().await;
        assert_eq!(lines.of("load_balancer_deleted").len(), 1, "it had begun");
        assert_eq!(cloud.count("DeleteLoadBalancer"), 1);
    };
    let (outcome, ()) = tokio::join!(bench.reconcile(), close);
    outcome.expect("a reconciliation");
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeleteTargetGroup"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_that_replaces_another_has_its_findings() {
    let findings = CurrentFindings::default();
    let mut observed = idle(load_balancer(&[]));
    observed.load_balancer.as_mut().expect("a load balancer").tags.clear();
    let with_findings = |parts: ReconcilerParts<FakeAws>| ReconcilerParts { findings: findings.clone(), ..parts };
    let mut first = bench_on(FakeAws::new(observed), with_findings);
    first.reconcile().await.expect("a reconciliation");
    assert_eq!(first.lines.of("finding")[0]["state"], "raised");
    let mut second = bench_on(first.cloud.clone(), with_findings);
    second.reconcile().await.expect("a reconciliation");
    assert!(second.lines.of("finding").is_empty(), "it is raised already");
    second.cloud.world().observed.load_balancer = None;
    second.reconcile().await.expect("a reconciliation");
    assert_eq!(second.lines.of("finding")[0]["state"], "cleared");
}

#[tokio::test(start_paused = true)]
async fn does_not_delete_after_a_scale_up_between_the_two_observations() {
    let mut bench = bench(overdue());
    bench.cloud.before("DescribeServices", 2, |world| world.observed.service = counts(1, 0, 0));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DescribeServices"), 2);
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    assert_eq!(bench.lines.of("teardown_started").len(), 0);
    assert_eq!(bench.lines.of("idle_unmarked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn does_not_delete_when_the_mark_vanishes_between_the_two_observations() {
    let mut bench = bench(overdue());
    bench.cloud.before("DescribeTags", 2, |world| {
        let load_balancer = world.observed.load_balancer.as_mut().expect("a load balancer");
        load_balancer.tags.remove(IDLE_SINCE_TAG);
    });
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn does_not_delete_on_a_second_observation_that_took_too_long() {
    let mut bench = bench(overdue());
    bench.cloud.delay("DescribeTags", OBSERVATION_VALID_FOR);
    let error = bench.reconcile().await.expect_err("too late");
    assert_eq!((error.operation, error.kind), ("DeleteLoadBalancer", ErrorKind::StaleObservation));
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);

    bench.cloud.delay("DescribeTags", OBSERVATION_VALID_FOR - Duration::from_millis(1));
    bench.reconcile().await.expect("just in time");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 1);
}

/// Adds a task that is stopping, and that ListTasks leaves out for nearly as long as ECS may lag.
fn leave_out(cloud: FakeAws) -> impl Future<Output = ()> {
    let stopping = Task { stopping_at: Some(noon()), ..task(7, LastStatus::Stopping, DesiredStatus::Stopped) };
    cloud.world().unlisted.push(stopping.id.clone());
    cloud.world().observed.tasks.push(stopping);
    async move {
        tokio::time::sleep(ECS_LAG - Duration::from_millis(1)).await;
        cloud.world().unlisted.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn does_not_delete_while_a_stopping_task_can_be_missing_from_both_lists() {
    let mut bench = bench(overdue());
    let left_out = leave_out(bench.cloud.clone());
    let (outcome, ()) = tokio::join!(bench.reconcile(), left_out);
    assert_eq!(
        outcome.expect("a reconciliation").observed.observation.tasks.len(),
        2,
        "the second observation shows it"
    );
    assert_eq!(bench.cloud.count("ListTasks"), 2);
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    assert_eq!(bench.lines.of("idle_unmarked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn deletes_without_a_wait_after_an_observation_that_is_recent_and_older_than_the_lag() {
    for (age, waits_for) in [(9, 1), (10, 0), (20, 0), (21, 10)] {
        let mut bench = bench(overdue());
        bench.observe().await;
        tokio::time::sleep(seconds(age)).await;
        let began = Instant::now();
        bench.reconcile().await.expect("a reconciliation");
        assert_eq!(
            (began.elapsed(), bench.cloud.count("DeleteLoadBalancer")),
            (seconds(waits_for), 1),
            "after {age} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_target_groups_by_a_second_observation_unless_an_earlier_one_is_recent() {
    let mut left = observation(counts(0, 0, 0), vec![], None);
    left.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(5)).target_groups;
    let mut first = bench(left.clone());
    let left_out = leave_out(first.cloud.clone());
    let (outcome, ()) = tokio::join!(first.reconcile(), left_out);
    outcome.expect("a reconciliation");
    assert_eq!((first.cloud.count("ListTasks"), first.cloud.count("DeleteTargetGroup")), (2, 0));

    let mut second = bench(left);
    second.observe().await;
    tokio::time::sleep(ECS_LAG).await;
    second.reconcile().await.expect("a reconciliation");
    assert_eq!((second.cloud.count("ListTasks"), second.cloud.count("DeleteTargetGroup")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn reports_deletion_protection_and_logs_the_teardown_once() {
    let mut bench = bench(overdue());
    bench.cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 3);
    for _ in 0..3 {
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(seconds(60)).await;
    }
    assert_eq!(bench.lines.of("finding").len(), 1);
    assert_eq!(bench.lines.of("finding")[0]["finding"], "deletion_protected");
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("teardown_started").len(), 1);
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    assert_eq!(bench.lines.of("finding").last().expect("a line")["state"], "cleared");
}

#[tokio::test(start_paused = true)]
async fn logs_a_deletion_once_when_aws_still_shows_the_load_balancer() {
    let mut bench = bench(overdue());
    let shown = bench.cloud.world().observed.load_balancer.clone();
    // Two observations precede the first deletion; at the third AWS still shows the load load_balancer.
    bench.cloud.before("DescribeLoadBalancers", 3, move |world| {
        world.observed.load_balancer = shown;
        world.observed.orphaned_target_groups.clear();
    });
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 2);
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn resumes_a_teardown_that_another_worker_left() {
    let mut left = observation(counts(0, 0, 0), vec![], None);
    left.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(5)).target_groups;
    let mut bench = bench(left);
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("teardown_started")[0]["resumed"], true);
    assert_eq!(bench.lines.of("target_group_deleted").len(), 2);
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 0);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_a_target_group_that_is_still_in_use() {
    let mut bench = bench(overdue());
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::ResourceInUse, 4);
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.cloud.count("DeleteTargetGroup"), 6);
    assert_eq!(bench.lines.of("target_group_deleted").len(), 2);
    assert_eq!(bench.lines.of("finding").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn reports_a_target_group_that_stays_in_use() {
    let mut bench = bench(overdue());
    bench.reconcile().await.expect("the load balancer is deleted");
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::ResourceInUse, 1000);
    for _ in 0..=IN_USE_PASSES_WITHIN.as_secs() {
        assert_eq!(bench.lines.of("finding").len(), 0);
        bench.reconcile().await.expect("not a failure");
        tokio::time::sleep(seconds(1)).await;
    }
    bench.reconcile().await.expect("not a failure");
    let reported: Vec<_> = bench.lines.of("finding").iter().map(|line| line["finding"].clone()).collect();
    assert_eq!(reported, ["target_group_in_use", "target_group_in_use"]);
}

#[tokio::test(start_paused = true)]
async fn does_not_take_a_target_group_deleted_meanwhile_for_a_load_balancer_deleted() {
    let bench = bench(overdue());
    bench.cloud.fail("DescribeTargetHealth", ErrorKind::NotFound, 2);
    let observed = bench.reconciler.observe(&Hints::default()).await.expect("a second read within the observation");
    assert!(observed.observation.load_balancer.is_some());
    bench.cloud.fail("DescribeTargetHealth", ErrorKind::NotFound, 12);
    bench.reconciler.observe(&Hints::default()).await.expect_err("a load balancer that changes all the time");
}

#[tokio::test(start_paused = true)]
async fn logs_a_deletion_whose_answer_was_lost_once_the_load_balancer_is_gone() {
    let mut bench = bench(overdue());
    let cloud = bench.cloud.clone();
    bench.cloud.fail("DeleteLoadBalancer", ErrorKind::Unavailable, 1);
    bench.reconcile().await.expect_err("no answer");
    let load_balancer = cloud.world().observed.load_balancer.take().expect("a load balancer");
    cloud.world().observed.orphaned_target_groups = load_balancer.target_groups;
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn does_not_log_a_deletion_that_aws_refused_it_and_another_made() {
    let mut bench = bench(overdue());
    bench.cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 1);
    bench.reconcile().await.expect("a reconciliation");
    let load_balancer = bench.cloud.world().observed.load_balancer.take().expect("a load balancer");
    bench.cloud.world().observed.orphaned_target_groups = load_balancer.target_groups;
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 0);
    assert_eq!(bench.lines.of("target_group_deleted").len(), 2);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_a_finding_but_not_one_that_alarms() {
    let cloud = FakeAws::new(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    let mut bench = bench_beside(&cloud, 1);
    let set = |tags: &dyn Fn(&mut LoadBalancer)| tags(cloud.world().observed.load_balancer.as_mut().expect("one"));
    let hold = Hold { until: noon() + minutes(30), holder: Holder::Hand };
    set(&|found| found.tags.extend(hold.tags()));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("finding")[0]["finding"], "hold_active");
    assert_eq!(metric(&bench, "jvb_watcher_findings"), 0.0);
    set(&|found| found.tags.clear());
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(metric(&bench, "jvb_watcher_findings"), 1.0, "it isn't owned");
}

// ---- several workers ----

/// A number in a bench's metrics.
fn metric(bench: &Bench, name: &str) -> f64 {
    let text = bench.reconciler.context.metrics.exposition();
    let line = text.lines().find(|line| line.starts_with(name)).expect("a metric");
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no number in {line}"))
}

/// The number of teardowns that a bench's metrics have counted.
fn teardowns(bench: &Bench) -> u64 {
    metric(bench, "jvb_watcher_teardowns_total") as u64
}

/// A worker with metrics beside others on the same AWS.
fn bench_beside(cloud: &FakeAws, number: u32) -> Bench {
    bench_on(cloud.clone(), |parts| {
        let scope = emf::Scope {
            namespace: "jvb-watcher".into(),
            project: "p".into(),
            cluster: "p-cluster".into(),
            service: "p-service".into(),
        };
        let metrics = Metrics::unpublished(scope, parts.context.clock.clone());
        ReconcilerParts { process: ProcessId::new(number), context: Context { metrics, ..parts.context }, ..parts }
    })
}

/// Lets workers reconcile side by side, as often as their plans ask for it.
async fn reconcile_together(benches: &mut [Bench], time: Duration) {
    let until = Instant::now() + time;
    let work = benches.iter_mut().map(|bench| async move {
        while Instant::now() < until {
            let outcome = bench.reconcile().await.expect("a reconciliation");
            let wait = outcome.requeue_at.duration_since(bench.clock.now());
            tokio::time::sleep(Duration::try_from(wait).unwrap_or_default().max(seconds(1))).await;
        }
    });
    futures_util::future::join_all(work).await;
}

fn lines_of(benches: &[Bench], event: &str) -> Vec<serde_json::Value> {
    benches.iter().flat_map(|bench| bench.lines.of(event)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_of_several_workers_reports_the_teardown_and_counts_it() {
    let cloud = FakeAws::new(idle(load_balancer(&[])));
    // Each write takes as long as on AWS, so that the workers' calls overlap.
    for operation in ["AddTags", "DescribeTags", "DeleteLoadBalancer", "DeleteTargetGroup"] {
        cloud.delay(operation, Duration::from_millis(300));
    }
    let mut benches = [1, 2, 3].map(|number| bench_beside(&cloud, number));
    reconcile_together(&mut benches, minutes(3)).await;
    assert!(cloud.world().observed.load_balancer.is_none());
    for (event, times) in
        [("teardown_started", 1), ("load_balancer_deleted", 1), ("target_group_deleted", 2), ("teardown_completed", 1)]
    {
        assert_eq!(lines_of(&benches, event).len(), times, "{event}");
    }
    assert_eq!(benches.iter().map(teardowns).sum::<u64>(), 1);
    assert_eq!(cloud.count("DeleteLoadBalancer"), 1);
    // The query in docs/logs.md sums these up: an hour before noon, the grace period after it, and the lag of ECS.
    let uptime = lines_of(&benches, "load_balancer_deleted")[0]["uptime_seconds"].as_u64().expect("a number");
    assert!((3670..3680).contains(&uptime), "{uptime}");
    for bench in &benches {
        let last = bench.lines.of("reconciled").pop().expect("a line");
        assert_eq!(last["load_balancer_state"], "absent", "each worker says that it is gone");
    }
}

#[tokio::test(start_paused = true)]
async fn takes_over_the_teardown_of_a_worker_that_has_stopped() {
    let mut bench = bench(idle(marked_load_balancer(&[], noon())));
    tokio::time::sleep(policy().idle_grace).await;
    let outcome = bench.reconcile().await.expect("a reconciliation");
    assert_eq!(outcome.requeue_at, noon() + policy().idle_grace + seconds(15));
    assert_eq!(outcome.progress, Progress::Settled, "nothing can be done now");
    tokio::time::sleep(seconds(15) - Duration::from_millis(1)).await;
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    tokio::time::sleep(Duration::from_millis(1)).await;
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn takes_over_at_the_end_of_a_grace_period_that_extends_to_the_paid_hour() {
    let until_paid_hour = Policy { until_paid_hour: true, resync_interval: minutes(90), ..policy() };
    let mut load_balancer = marked_load_balancer(&[], noon());
    load_balancer.created_at = noon() - minutes(20);
    let mut bench =
        bench_on(FakeAws::new(idle(load_balancer)), |parts| ReconcilerParts { policy: until_paid_hour, ..parts });
    let grace_ends_at = noon() + minutes(37);
    assert_eq!(bench.reconcile().await.expect("a reconciliation").requeue_at, grace_ends_at);
    tokio::time::sleep(minutes(37)).await;
    let outcome = bench.reconcile().await.expect("a reconciliation");
    assert_eq!(outcome.requeue_at, grace_ends_at + seconds(15), "it is the turn of the worker whose mark stands");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    tokio::time::sleep(seconds(15)).await;
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("load_balancer_deleted")[0]["uptime_seconds"], 57 * 60 + 15);
}

#[tokio::test(start_paused = true)]
async fn takes_over_the_target_groups_of_a_worker_that_has_stopped() {
    let mut left = observation(counts(0, 0, 0), vec![], None);
    left.orphaned_target_groups = marked_load_balancer(&[], noon() - policy().idle_grace).target_groups;
    let mut bench = bench(left);
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeleteTargetGroup"), 0);
    tokio::time::sleep(seconds(15)).await;
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.cloud.count("DeleteTargetGroup"), 2);
}

#[tokio::test(start_paused = true)]
async fn claims_a_mark_whose_answer_was_lost() {
    let mut bench = bench(idle(load_balancer(&[])));
    bench.cloud.fail("AddTags", ErrorKind::Unavailable, 1);
    bench.reconcile().await.expect_err("no answer");
    let mut marked = marked_load_balancer(&[], noon());
    let groups = marked.target_groups.iter_mut().map(|group| &mut group.tags);
    for tags in std::iter::once(&mut marked.tags).chain(groups) {
        tags.insert(IDLE_SINCE_TAG.into(), "2026-11-20T12:00:00.000000000Z".into());
    }
    bench.cloud.world().observed.load_balancer = Some(marked);
    tokio::time::sleep(policy().idle_grace).await;
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 1);
}

#[test]
fn spreads_takeovers_over_at_most_twice_the_grace_period() {
    let of_last = Teardown::new(ProcessId::new(999_999), takeover_after(minutes(2)));
    let of_first = Teardown::new(ProcessId::new(0), takeover_after(minutes(2)));
    let deletion = observation(counts(0, 0, 0), vec![stopped(1)], Some(marked_load_balancer(&[], noon())));
    for (teardown, least, most) in [(of_first, seconds(15), seconds(15)), (of_last, seconds(29), seconds(30))] {
        let now = noon() + policy().idle_grace;
        let mut plan = plan::plan(&deletion, &policy(), now);
        teardown.wait_for_turn(&deletion, &mut plan, &policy(), now);
        assert!((now + least..=now + most).contains(&plan.requeue_at), "{}", plan.requeue_at);
    }
    assert_eq!(takeover_after(seconds(4)), seconds(4));
    assert_eq!(takeover_after(Duration::ZERO), Duration::ZERO);
}

#[test]
fn writes_the_process_id_below_the_millisecond() {
    let mut teardown = Teardown::new(ProcessId::new(104_733), seconds(15));
    let idle_since = noon() + Duration::from_micros(1_999);
    assert_eq!(teardown.new_mark(idle_since), "2026-11-20T12:00:00.001104733Z");
}

// ---- targets ----

/// The load balancer with all of its targets unhealthy.
fn unhealthy(mut load_balancer: LoadBalancer) -> LoadBalancer {
    for target in load_balancer.target_groups.iter_mut().flat_map(|group| &mut group.targets) {
        target.state = TargetState::Unhealthy;
    }
    load_balancer
}

fn one_in_one_out() -> Observation {
    let just_now = Some(noon() - minutes(1));
    let gone = Task { stopping_at: just_now, stopped_at: just_now, ..stopped(1) };
    observation(counts(1, 1, 0), vec![gone, running(2)], Some(load_balancer(&[1])))
}

#[tokio::test(start_paused = true)]
async fn registers_new_targets_before_it_deregisters_old_ones() {
    let mut bench = bench(one_in_one_out());
    bench.reconcile().await.expect("a reconciliation");
    let writes = bench.cloud.calls_of(&["RegisterTargets", "DeregisterTargets"]);
    assert_eq!(writes, ["RegisterTargets", "DeregisterTargets", "RegisterTargets", "DeregisterTargets"]);
}

#[tokio::test(start_paused = true)]
async fn deregisters_old_targets_first_in_a_full_group() {
    let mut bench = bench(one_in_one_out());
    bench.cloud.fail("RegisterTargets", ErrorKind::TooManyTargets, 1);
    let outcome = bench.reconcile().await.expect("there is room");
    let writes = bench.cloud.calls_of(&["RegisterTargets", "DeregisterTargets"]);
    assert_eq!(writes[..3], ["RegisterTargets", "DeregisterTargets", "RegisterTargets"]);
    assert_eq!(outcome.findings, []);
    assert_eq!(bench.lines.of("target_registered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn reports_a_full_group_without_stale_targets() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(2)], Some(load_balancer(&[]))));
    bench.cloud.fail("RegisterTargets", ErrorKind::TooManyTargets, 2);
    bench.reconcile().await.expect("nothing else failed");
    assert_eq!(bench.lines.of("finding").len(), 2);
    assert_eq!(bench.lines.of("finding")[0]["finding"], "target_group_full");
}

#[tokio::test(start_paused = true)]
async fn changes_the_other_groups_when_one_fails() {
    let mut bench = bench(one_in_one_out());
    bench.cloud.fail("RegisterTargets", ErrorKind::AccessDenied, 1);
    let error = bench.reconcile().await.expect_err("one call failed");
    assert_eq!(error.operation, "RegisterTargets");
    assert_eq!(bench.lines.of("target_registered").len(), 1);
    assert_eq!(bench.lines.of("target_deregistered").len(), 2);
    assert_eq!(bench.lines.of("reconciled").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn registers_the_other_targets_when_aws_rejects_one() {
    let mut bench = bench(observation(counts(2, 2, 0), vec![running(1), running(2)], Some(load_balancer(&[]))));
    // The first group's call of two, and the first of its calls of one.
    bench.cloud.fail("RegisterTargets", ErrorKind::InvalidTarget, 2);
    let error = bench.reconcile().await.expect_err("one target is rejected");
    assert_eq!(error.kind, ErrorKind::InvalidTarget);
    assert_eq!(bench.lines.of("target_registered").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn ignores_hints_that_ecs_rejects() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    bench.cloud.fail("DescribeTasks", ErrorKind::Rejected, 1);
    bench.reconciler.reconcile(&hints(&running(9), 4, noon() - minutes(5))).await.expect("a reconciliation");
    assert_eq!(bench.lines.of("target_registered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn registers_a_thousand_targets_in_calls_of_two_hundred() {
    let tasks = (0..500u32).map(|number| {
        let arn = format!("arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{number:032x}");
        let id = TaskId::from_arn(&arn).expect("a task's ARN");
        Task { id, ipv4: Some((0x0a00_0000 + number).into()), ..running(1) }
    });
    let mut bench = bench(observation(counts(500, 500, 0), tasks.collect(), Some(load_balancer(&[]))));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("RegisterTargets"), 6);
    assert_eq!(bench.lines.of("target_registered").len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn deregisters_an_unmatched_target_after_thirty_seconds() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(unhealthy(load_balancer(&[1, 7])))));
    bench.reconcile().await.expect("a reconciliation");
    tokio::time::sleep(seconds(29)).await;
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeregisterTargets"), 0);
    tokio::time::sleep(seconds(1)).await;
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("target_deregistered").len(), 2);
    assert_eq!(bench.lines.of("target_deregistered")[0]["reason"], "no_task");
}

#[tokio::test(start_paused = true)]
async fn restarts_the_thirty_seconds_when_the_targets_task_appears() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(unhealthy(load_balancer(&[1, 7])))));
    for tasks in [vec![running(1)], vec![running(1), running(7)], vec![running(1)]] {
        bench.cloud.world().observed.tasks = tasks;
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(seconds(20)).await;
    }
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeregisterTargets"), 0);
}

#[tokio::test(start_paused = true)]
async fn ignores_observations_from_before_a_long_freeze() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(unhealthy(load_balancer(&[1, 7])))));
    bench.reconcile().await.expect("a reconciliation");
    bench.clock.freeze(minutes(5) + seconds(1));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DeregisterTargets"), 0, "nothing was observed for five minutes");
    bench.clock.freeze(seconds(30));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("target_deregistered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn logs_once_a_minute_in_a_process_that_is_frozen_in_between() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    for _ in 0..10 {
        bench.reconcile().await.expect("a reconciliation");
        bench.clock.freeze(seconds(58));
    }
    assert_eq!(bench.lines.of("reconciled").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn logs_a_change_of_health_with_the_tasks_age() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("target_health_changed").len(), 0, "the first observation has nothing to compare with");
    let set = |bench: &Bench, state| {
        let mut world = bench.cloud.world();
        world.observed.load_balancer.as_mut().expect("a load balancer").target_groups[0].targets[0].state = state;
    };
    set(&bench, TargetState::Unhealthy);
    bench.reconcile().await.expect("a reconciliation");
    let line = &bench.lines.of("target_health_changed")[0];
    assert_eq!((&line["from"], &line["to"], &line["level"]), (&"healthy".into(), &"unhealthy".into(), &"WARN".into()));
    assert_eq!(line["since_start_ms"], 50 * 60 * 1000);
}

#[tokio::test(start_paused = true)]
async fn a_registered_target_is_followed_from_initial() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    bench.reconcile().await.expect("a reconciliation");
    {
        let mut world = bench.cloud.world();
        for group in &mut world.observed.load_balancer.as_mut().expect("a load balancer").target_groups {
            group.targets = vec![target(1, if group.name == "p-jvb-udp" { 10000 } else { 4443 })];
        }
    }
    bench.reconcile().await.expect("a reconciliation");
    let lines = bench.lines.of("target_health_changed");
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["from"], &lines[0]["to"]), (&"initial".into(), &"healthy".into()));
}

// ---- freshness ----

fn hints(task: &Task, version: i64, time: Timestamp) -> Hints {
    let mut hints = Hints::default();
    hints.add(Hint::Task(TaskChange { task: task.id.clone(), version: Some(version), time: Some(time) }));
    hints
}

#[tokio::test(start_paused = true)]
async fn waits_until_ecs_shows_the_version_of_the_event() {
    let old = Task { version: Some(3), ..task(1, LastStatus::Starting, DesiredStatus::Running) };
    let mut bench = bench(observation(counts(1, 1, 0), vec![old], Some(load_balancer(&[]))));
    bench.cloud.before("DescribeTasks", 3, |world| world.observed.tasks = vec![running(1)]);
    let began = Instant::now();
    bench.reconciler.reconcile(&hints(&running(1), 4, noon())).await.expect("a reconciliation");
    assert_eq!(began.elapsed(), seconds(2));
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    assert_eq!(bench.lines.of("target_registered")[0]["latency_ms"], 2000);
    assert_eq!(bench.lines.of("task_version_behind").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn waits_at_most_five_seconds_for_a_version_and_logs_it() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    let began = Instant::now();
    bench.reconciler.reconcile(&hints(&running(1), 9, noon())).await.expect("a reconciliation");
    assert_eq!(began.elapsed(), seconds(5));
    assert_eq!(bench.lines.of("target_registered").len(), 2, "ECS decides");
    let line = &bench.lines.of("task_version_behind")[0];
    assert_eq!((&line["event_version"], &line["seen_version"]), (&9.into(), &4.into()));
}

#[tokio::test(start_paused = true)]
async fn waits_for_an_unknown_task_only_while_its_event_is_young() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], None));
    for (age, waits) in [(minutes(90), seconds(0)), (seconds(1), seconds(5))] {
        let began = Instant::now();
        bench.reconciler.reconcile(&hints(&running(1), 4, noon() - age)).await.expect("a reconciliation");
        assert_eq!(began.elapsed(), waits, "an event {age:?} old");
    }
}

#[tokio::test(start_paused = true)]
async fn tolerates_extreme_event_times() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], None));
    for time in [Timestamp::MIN, Timestamp::MAX] {
        bench.reconciler.reconcile(&hints(&running(1), i64::MAX, time)).await.expect("a reconciliation");
    }
}

#[tokio::test(start_paused = true)]
async fn ignores_a_task_of_another_service_that_an_event_names() {
    let other = Task { group: Some("service:q-service".into()), ..running(1) };
    let mut bench = bench(observation(counts(0, 0, 0), vec![other.clone()], Some(load_balancer(&[]))));
    bench.reconciler.reconcile(&hints(&other, 4, noon())).await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("RegisterTargets"), 0);
}

// ---- the log ----

#[tokio::test(start_paused = true)]
async fn reports_the_state_after_its_own_writes() {
    let mut bench = bench(one_in_one_out());
    bench.reconcile().await.expect("a reconciliation");
    let line = &bench.lines.of("reconciled")[0];
    assert_eq!((&line["changes"], &line["registered"], &line["healthy"]), (&4.into(), &2.into(), &0.into()));
    assert_eq!(line["load_balancer_age_seconds"], 3600);
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("RegisterTargets"), 2, "and AWS agrees");
    assert_eq!(bench.lines.of("target_health_changed").len(), 0);

    let mut bench = self::bench(overdue());
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    let line = &bench.lines.of("reconciled")[0];
    assert_eq!((&line["load_balancer_state"], line.get("load_balancer_age_seconds")), (&"absent".into(), None));
}

#[tokio::test(start_paused = true)]
async fn reports_the_state_before_writes_that_failed() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(2)], Some(load_balancer(&[]))));
    bench.cloud.fail("RegisterTargets", ErrorKind::TooManyTargets, 2);
    bench.reconcile().await.expect("nothing else failed");
    let line = &bench.lines.of("reconciled")[0];
    assert_eq!((&line["changes"], &line["registered"]), (&0.into(), &0.into()));
}

#[tokio::test(start_paused = true)]
async fn logs_a_load_balancer_that_another_has_deleted_or_created() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    for load_balancer in [Some(load_balancer(&[1])), None, Some(load_balancer(&[1]))] {
        bench.cloud.world().observed.load_balancer = load_balancer;
        bench.reconcile().await.expect("a reconciliation");
    }
    let states = bench.lines.of("reconciled").into_iter().map(|line| line["load_balancer_state"].clone());
    assert_eq!(states.collect::<Vec<_>>(), ["active", "absent", "active"]);
}

#[tokio::test(start_paused = true)]
async fn does_not_advise_on_the_teardown_when_it_only_registers() {
    let mut bench =
        bench_on(FakeAws::new(overdue()), |parts| ReconcilerParts { planner: Arc::new(registrations_only), ..parts });
    let outcome = bench.reconcile().await.expect("a reconciliation");
    assert_eq!(outcome.findings, []);
    assert_eq!(bench.cloud.calls_of(&["AddTags", "RemoveTags", "DeleteLoadBalancer"]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn logs_reconciliations_without_changes_once_a_minute() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    for _ in 0..=2 * HEARTBEAT.as_secs() {
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(seconds(1)).await;
    }
    let lines = bench.lines.of("reconciled");
    assert_eq!(lines.len(), 3);
    let logged: u64 = lines.iter().map(|line| line["aws_calls"].as_u64().expect("a count")).sum();
    assert_eq!(logged, Platform::calls(&bench.cloud).sent, "each call is counted once");
}

#[tokio::test(start_paused = true)]
async fn counts_messages_once() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    for _ in 0..3 {
        bench.reconciler.context.totals.count_message();
    }
    for _ in 0..2 {
        bench.reconciler.context.totals.count_foreign();
    }
    bench.reconcile().await.expect("a reconciliation");
    bench.cloud.world().observed.load_balancer = None;
    bench.reconcile().await.expect("a reconciliation");
    let lines = bench.lines.of("reconciled");
    assert_eq!((&lines[0]["messages"], &lines[0]["foreign"]), (&3.into(), &2.into()));
    assert_eq!((&lines[1]["messages"], &lines[1]["foreign"]), (&0.into(), &0.into()));
    assert_eq!(lines[1]["load_balancer_state"], "absent");
}

#[tokio::test(start_paused = true)]
async fn reconciles_correctly_beside_another_worker() {
    let mut first = bench(overdue());
    let mut second = bench_on(first.cloud.clone(), |parts| parts);
    first.cloud.delay("DescribeTags", seconds(1));
    for _ in 0..3 {
        let (one, other) = tokio::join!(first.reconcile(), second.reconcile());
        one.and(other).expect("neither fails");
    }
    assert!(first.cloud.world().observed.load_balancer.is_none());
    assert_eq!(first.cloud.world().observed.orphaned_target_groups, []);
}

// ---- the gauges ----

#[tokio::test(start_paused = true)]
async fn measures_idleness_from_the_mark_or_else_from_the_first_observation() {
    let mut bench = bench(idle(marked_load_balancer(&[], noon() - seconds(20))));
    let observed = bench.observe().await;
    bench.reconciler.remember(&observed);
    assert_eq!(bench.gauges(&observed).idle_since, Some(noon() - seconds(20)));

    // Never used, and younger than the unused grace.
    let mut unmarked = idle(load_balancer(&[]));
    unmarked.tasks.clear();
    unmarked.load_balancer.as_mut().expect("a load balancer").created_at = noon();
    let mut bench = self::bench(unmarked);
    for _ in 0..3 {
        let observed = bench.observe().await;
        bench.reconciler.remember(&observed);
        assert_eq!(observed.plan.lifecycle, LifecycleAction::Keep);
        assert_eq!(bench.gauges(&observed).idle_since, Some(noon()));
        tokio::time::sleep(seconds(30)).await;
    }

    // A load balancer that is younger than the memory is another one.
    let mut observed = bench.observe().await;
    let created_at = noon() + seconds(80);
    observed.observation.load_balancer.as_mut().expect("a load balancer").created_at = created_at;
    assert_eq!(bench.gauges(&observed).idle_since, Some(created_at));

    // A use in between restarts it.
    let used = observation(counts(1, 0, 0), Vec::new(), Some(load_balancer(&[])));
    let observed = Observed { observation: used, ..bench.observe().await };
    bench.reconciler.remember(&observed);
    assert_eq!(bench.gauges(&observed).idle_since, None);
    let observed = bench.observe().await;
    bench.reconciler.remember(&observed);
    assert_eq!(bench.gauges(&observed).idle_since, Some(noon() + seconds(90)));
}

#[tokio::test(start_paused = true)]
async fn is_in_use_until_the_teardown_is_complete() {
    let usage = async |seen: Observation| {
        let bench = bench(seen);
        let observed = bench.observe().await;
        bench.gauges(&observed).usage
    };
    let nothing = Observation { load_balancer: None, ..idle(load_balancer(&[])) };
    assert_eq!(usage(nothing.clone()).await, Usage::Idle);
    assert_eq!(usage(idle(load_balancer(&[]))).await, Usage::InUse, "a load balancer exists");
    assert_eq!(usage(Observation { service: counts(0, 0, 1), ..nothing.clone() }).await, Usage::InUse);
    assert_eq!(usage(Observation { service: Service::Missing, ..nothing }).await, Usage::Idle);

    let mut bench = bench(overdue());
    bench.reconcile().await.expect("the load balancer is deleted");
    let observed = bench.observe().await;
    assert!(observed.observation.load_balancer.is_none());
    assert_eq!(bench.gauges(&observed).usage, Usage::InUse, "its target groups are left");
    bench.reconcile_to_the_end().await;
    let observed = bench.observe().await;
    assert_eq!(bench.gauges(&observed).usage, Usage::Idle);
}

// ---- the event source ----

/// Reconciles after each of so many minutes.
async fn reconcile_for(bench: &mut Bench, minutes: u64) {
    for _ in 0..minutes {
        tokio::time::sleep(seconds(60)).await;
        bench.reconcile().await.expect("a reconciliation");
    }
}

fn states_of(bench: &Bench, name: &str) -> Vec<String> {
    let findings = bench.lines.of("finding").into_iter().filter(|line| line["finding"] == name);
    findings.map(|line| line["state"].as_str().expect("a state").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn reports_missing_events_until_one_arrives() {
    let seen = observation(counts(0, 0, 0), vec![], Some(load_balancer(&[])));
    let mut bench = bench_with_event_source(seen, StandingFindings::default());
    reconcile_for(&mut bench, 2).await;
    bench.cloud.world().observed.tasks = vec![running(1)];
    bench.cloud.world().observed.service = counts(1, 1, 0);
    reconcile_for(&mut bench, 5).await;
    assert_eq!(states_of(&bench, "events_missing"), Vec::<String>::new(), "the event may still arrive");
    bench.cloud.world().observed.tasks = vec![running(1), running(2)];
    reconcile_for(&mut bench, 3).await;
    assert_eq!(states_of(&bench, "events_missing"), ["raised"]);
    let task = running(2).id;
    let hints = Hints { tasks: [(task, TaskHint::default())].into(), ..Hints::default() };
    bench.reconciler.reconcile(&hints).await.expect("a reconciliation");
    assert_eq!(states_of(&bench, "events_missing"), ["raised", "cleared"]);
}

#[tokio::test(start_paused = true)]
async fn does_not_report_missing_events_without_an_event_source() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], Some(load_balancer(&[]))));
    reconcile_for(&mut bench, 2).await;
    for tasks in [vec![running(1)], vec![running(1), running(2)]] {
        bench.cloud.world().observed.tasks = tasks;
        reconcile_for(&mut bench, 5).await;
    }
    assert_eq!(states_of(&bench, "events_missing"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn reports_the_findings_about_the_event_source_with_its_own() {
    let standing = StandingFindings::default();
    let seen = observation(counts(1, 1, 0), vec![running(1)], None);
    let mut bench = bench_with_event_source(seen, standing.clone());
    let disabled = Finding {
        name: FindingName::RuleDisabled,
        subject: "p-jvb-watcher".to_owned(),
        detail: "it is disabled".to_owned(),
    };
    standing.set(vec![disabled]);
    let outcome = bench.reconcile().await.expect("a reconciliation");
    assert_eq!(outcome.findings.len(), 2, "{:?}", outcome.findings);
    assert_eq!(bench.lines.of("reconciled")[0]["findings"], 2);
    standing.set(Vec::new());
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(states_of(&bench, "rule_disabled"), ["raised", "cleared"]);
}

// ---- what the service runs ----

fn finding_lines(bench: &Bench, finding: FindingName) -> Vec<serde_json::Value> {
    let name = finding.to_string();
    bench.lines.of("finding").into_iter().filter(|line| line["finding"] == name).collect()
}

/// A serving task whose definition pins this address, behind a load load_balancer.
fn pinning(address: IpAddr) -> Observation {
    let mut seen = observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])));
    let (task_definition, container) = ("p-jvb:3".to_owned(), "jvb".to_owned());
    seen.advertised.pinned = vec![PinnedAddress { task_definition, container, address }];
    seen
}

fn public(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

#[tokio::test(start_paused = true)]
async fn reads_each_revision_of_the_task_definition_once() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1), stopped(2)], Some(load_balancer(&[1]))));
    for _ in 0..3 {
        bench.reconcile().await.expect("a reconciliation");
    }
    assert_eq!(bench.cloud.count("DescribeTaskDefinition"), 1);
    assert_eq!(bench.cloud.count("resolve"), 0, "nothing is pinned");
    let next = Some("arn:aws:ecs:eu-west-1:111122223333:task-definition/p-jvb:4".to_owned());
    bench.cloud.world().observed.tasks.push(Task { task_definition: next, ..running(3) });
    bench.reconcile().await.expect("a reconciliation");
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DescribeTaskDefinition"), 2);
}

#[tokio::test(start_paused = true)]
async fn reads_no_task_definition_of_an_idle_service() {
    let mut bench = bench(idle(load_balancer(&[])));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("DescribeTaskDefinition"), 0);
}

#[tokio::test(start_paused = true)]
async fn compares_pinned_addresses_with_those_that_the_load_balancer_shows() {
    let mut seen = pinning(public(9));
    let ipv4 = Some([public(1)].into());
    seen.advertised.load_balancer = LoadBalancerAddresses { ipv4, ipv6: Some(Default::default()) };
    let mut bench = bench(seen);
    bench.reconcile().await.expect("a reconciliation");
    let lines = finding_lines(&bench, FindingName::AdvertisedAddressMismatched);
    assert_eq!((lines[0]["state"].as_str(), lines[0]["subject"].as_str()), (Some("raised"), Some("p-jvb:3")));
    assert_eq!(bench.cloud.count("resolve"), 0);
    // Another load balancer has the address.
    bench.cloud.world().observed.advertised.load_balancer.ipv4 = Some([public(9)].into());
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(finding_lines(&bench, FindingName::AdvertisedAddressMismatched)[1]["state"], "cleared");
}

#[tokio::test(start_paused = true)]
async fn resolves_addresses_that_aws_assigned_until_the_answer_is_complete() {
    let mut bench = bench(pinning(public(9)));
    let found = |bench: &Bench| finding_lines(bench, FindingName::AdvertisedAddressMismatched).len();
    // No answer, and one with more addresses than the load balancer has zones.
    for answer in [vec![], vec![public(1), public(2)]] {
        bench.cloud.world().resolved = answer;
        bench.reconcile().await.expect("a reconciliation");
        assert_eq!(found(&bench), 0);
    }
    bench.cloud.world().resolved = vec![public(1), "2001:db8::1".parse().expect("an address")];
    for _ in 0..3 {
        bench.reconcile().await.expect("a reconciliation");
    }
    assert_eq!(found(&bench), 1);
    assert_eq!(bench.cloud.count("resolve"), 3, "the addresses of a load balancer don't change");
    // Another load balancer has others.
    let other = Some(load_balancer(&[1])).map(|found| LoadBalancer { arn: found.arn.replace("0a1b", "9z8y"), ..found });
    bench.cloud.world().observed.load_balancer = other;
    bench.cloud.world().resolved = vec![public(9)];
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("resolve"), 4);
    assert_eq!(
        finding_lines(&bench, FindingName::AdvertisedAddressMismatched).last().expect("a line")["state"],
        "cleared"
    );
}

#[tokio::test(start_paused = true)]
async fn a_denied_task_definition_is_logged_once_and_hinders_nothing() {
    let mut seen = pinning(public(9));
    seen.load_balancer = Some(load_balancer(&[]));
    seen.advertised.load_balancer.ipv4 = Some([public(1)].into());
    let mut bench = bench(seen);
    bench.cloud.fail("DescribeTaskDefinition", ErrorKind::AccessDenied, 2);
    for _ in 0..16 {
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(minutes(1)).await;
    }
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    let failed = bench.lines.of("finding_check_failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((&failed[0]["finding"], &failed[0]["level"]), (&"advertised_address_mismatched".into(), &"WARN".into()));
    assert_eq!(bench.cloud.count("DescribeTaskDefinition"), 2, "a quarter of an hour lies between two tries");
    tokio::time::sleep(minutes(15)).await;
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(finding_lines(&bench, FindingName::AdvertisedAddressMismatched).len(), 1);
    assert_eq!(bench.lines.of("finding_check_failed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_task_definition_delays_no_registration() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    bench.cloud.delay("DescribeTaskDefinition", minutes(10));
    let began = Instant::now();
    bench.reconcile().await.expect("a reconciliation");
    assert!(began.elapsed() <= seconds(3), "{:?}", began.elapsed());
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    assert!(bench.lines.of("finding_check_failed")[0]["error"].as_str().is_some_and(|error| error.contains("3s")));
}

fn placement_failure(time: Timestamp) -> Hints {
    let mut hints = Hints::default();
    hints.add(Hint::Service(ServiceEvent {
        name: ServiceEventName::TaskPlacementFailure,
        reason: Some("RESOURCE:FARGATE".to_owned()),
        time: Some(time),
    }));
    hints
}

#[tokio::test(start_paused = true)]
async fn an_event_alone_is_no_finding_and_explains_a_later_one() {
    let mut bench = bench(observation(counts(1, 0, 0), vec![], Some(load_balancer(&[]))));
    bench.reconciler.reconcile(&placement_failure(noon())).await.expect("a reconciliation");
    // An older one that arrives late.
    bench.reconciler.reconcile(&placement_failure(noon() - minutes(1))).await.expect("a reconciliation");
    assert_eq!(finding_lines(&bench, FindingName::TasksNotStarting).len(), 0);
    let text =
        "(service p-service) was unable to place a task. Reason: Capacity is unavailable at this time.".to_owned();
    bench.cloud.world().observed.startup.message = Some(SchedulerMessage { at: noon(), text });
    bench.reconcile().await.expect("a reconciliation");
    let lines = finding_lines(&bench, FindingName::TasksNotStarting);
    let detail = lines[0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("ECS reports SERVICE_TASK_PLACEMENT_FAILURE: RESOURCE:FARGATE"), "{detail}");
    bench.cloud.world().observed.service = counts(1, 1, 0);
    bench.cloud.world().observed.tasks = vec![running(1)];
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(finding_lines(&bench, FindingName::TasksNotStarting)[1]["state"], "cleared");
}

#[tokio::test(start_paused = true)]
async fn finds_a_service_that_is_short_of_tasks_for_ten_minutes() {
    let mut bench = bench(observation(counts(1, 0, 1), vec![], Some(load_balancer(&[]))));
    for minute in 0..=10 {
        assert_eq!(finding_lines(&bench, FindingName::TasksNotStarting).len(), 0, "after {minute} minutes");
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(minutes(1)).await;
    }
    assert_eq!(finding_lines(&bench, FindingName::TasksNotStarting).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn does_not_count_the_time_before_the_service_had_its_tasks() {
    let mut bench = bench(observation(counts(1, 0, 1), vec![], Some(load_balancer(&[]))));
    for _ in 0..30 {
        for service in [counts(1, 0, 1), counts(1, 1, 0)] {
            bench.cloud.world().observed.service = service;
            bench.reconcile().await.expect("a reconciliation");
            tokio::time::sleep(minutes(1)).await;
        }
    }
    assert_eq!(finding_lines(&bench, FindingName::TasksNotStarting).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn reports_several_bridges_unless_they_are_allowed() {
    let two = || observation(counts(2, 2, 0), vec![running(1), running(2)], Some(load_balancer(&[1, 2])));
    let mut found = bench(two());
    found.reconcile().await.expect("a reconciliation");
    assert_eq!(finding_lines(&found, FindingName::SeveralBridges).len(), 1);
    let allowed = |parts: ReconcilerParts<FakeAws>| ReconcilerParts {
        policy: Policy { allow_several_bridges: true, ..policy() },
        ..parts
    };
    let mut allowed = bench_on(FakeAws::new(two()), allowed);
    allowed.reconcile().await.expect("a reconciliation");
    assert_eq!(allowed.lines.of("finding").len(), 0);
}

// ---- the latest reconciliation ----

#[tokio::test(start_paused = true)]
async fn keeps_the_latest_reconciliation_as_its_writes_leave_it() {
    let kept = LatestReconciliations::default();
    let identity = Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() };
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let latest = kept.of(Subject { identity, scope, policy: policy() });
    let observed = observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[])));
    let mut bench = bench_on(FakeAws::new(observed), |parts| ReconcilerParts { latest, ..parts });
    let known = || kept.all().pop().expect("the service").1;
    assert!(known().reconciliation.is_none() && known().failure.is_none());

    bench.cloud.fail("RegisterTargets", ErrorKind::Unavailable, 1);
    bench.reconcile().await.expect_err("a group whose targets could not be registered");
    assert_eq!(known().failure.expect("a failure").0.operation, "RegisterTargets");
    let first = known().reconciliation.expect("an observation");
    assert_eq!((first.is_complete, first.observation.targets().count()), (false, 1), "the other group has its target");

    bench.reconcile().await.expect("a reconciliation");
    assert!(known().failure.is_none());
    let second = known().reconciliation.expect("an observation");
    assert_eq!((second.is_complete, second.observation.targets().count()), (true, 2));

    bench.cloud.fail("DescribeServices", ErrorKind::Unavailable, 1);
    bench.reconcile().await.expect_err("no observation");
    assert_eq!(known().failure.expect("a failure").0.operation, "DescribeServices");
    assert_eq!(known().reconciliation.expect("the one before").at, second.at);
    drop(bench);
    assert!(kept.all().is_empty(), "the service is no longer watched");
}
