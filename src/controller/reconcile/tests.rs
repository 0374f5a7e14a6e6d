//! What the reconciler makes of a plan, on an AWS in memory.

use std::sync::Arc;
use std::time::Duration;

use super::act::IN_USE_PASSES_WITHIN;
use super::*;
use crate::aws::ErrorKind;
use crate::aws::fake::{FakeAws, FakeClock, Lines};
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::model::{DesiredStatus, IDLE_SINCE_TAG, LastStatus, LoadBalancer, Task};
use jvb_watcher_rules::plan::samples::{
    balancer, counts, idle, marked_balancer, minutes, noon, observation, policy, running, seconds, stopped, target,
    task,
};

struct Bench {
    cloud: FakeAws,
    lines: Lines,
    clock: Arc<FakeClock>,
    reconciler: Reconciler<FakeAws>,
}

fn bench(seen: Observation) -> Bench {
    let cloud = FakeAws::new(seen);
    let lines = Lines::default();
    let clock = FakeClock::noon();
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let log = lines.log(clock.clone());
    let reconciler = Reconciler::new(cloud.clone(), scope, policy(), log, clock.clone());
    Bench { cloud, lines, clock, reconciler }
}

impl Bench {
    async fn reconcile(&mut self) -> Result<Outcome, AwsError> {
        self.reconciler.reconcile(&Hints::default(), Calls::default()).await
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

/// Idle for longer than the grace.
fn overdue() -> Observation {
    idle(marked_balancer(&[], noon() - minutes(5)))
}

// ---- teardown ----

#[tokio::test(start_paused = true)]
async fn a_teardown_deletes_the_balancer_then_its_groups_and_looks_that_nothing_is_left() {
    let mut bench = bench(overdue());
    bench.reconcile_to_the_end().await;
    let writes = bench.cloud.calls_of(&["DeleteLoadBalancer", "DeleteTargetGroup"]);
    assert_eq!(writes, ["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteTargetGroup"]);
    for (event, times) in
        [("teardown_started", 1), ("load_balancer_deleted", 1), ("target_group_deleted", 2), ("teardown_completed", 1)]
    {
        assert_eq!(bench.lines.of(event).len(), times, "{event}");
    }
    assert_eq!(bench.lines.of("load_balancer_deleted")[0]["uptime_seconds"], 3600);
    assert_eq!(bench.lines.of("teardown_started")[0]["resumed"], false);
}

#[tokio::test(start_paused = true)]
async fn a_scale_up_between_the_two_looks_stops_the_deletion() {
    let mut bench = bench(overdue());
    bench.cloud.before("DescribeServices", 2, |world| world.seen.service = counts(1, 0, 0));
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.cloud.count("DescribeServices"), 2);
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    assert_eq!(bench.lines.of("teardown_started").len(), 0);
    assert_eq!(bench.lines.of("idle_unmarked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mark_wiped_between_the_two_looks_stops_the_deletion() {
    let mut bench = bench(overdue());
    bench.cloud.before("DescribeTags", 2, |world| {
        let balancer = world.seen.load_balancer.as_mut().expect("a balancer");
        balancer.tags.remove(IDLE_SINCE_TAG);
    });
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_on_a_second_look_that_took_too_long() {
    let mut bench = bench(overdue());
    bench.cloud.delay("DescribeTags", OBSERVATION_VALID_FOR);
    let error = bench.reconcile().await.expect_err("too late");
    assert_eq!((error.operation, error.kind), ("DeleteLoadBalancer", ErrorKind::Unavailable));
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 0);

    bench.cloud.delay("DescribeTags", OBSERVATION_VALID_FOR - Duration::from_millis(1));
    bench.reconcile().await.expect("just in time");
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_protected_balancer_is_a_finding_and_its_teardown_is_announced_once() {
    let mut bench = bench(overdue());
    bench.cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 3);
    for _ in 0..3 {
        bench.reconcile().await.expect("a look");
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
async fn a_balancer_that_shows_on_after_its_deletion_is_reported_deleted_once() {
    let mut bench = bench(overdue());
    let shown = bench.cloud.world().seen.load_balancer.clone();
    // Two looks before the first deletion; at the third AWS still shows it.
    bench.cloud.before("DescribeLoadBalancers", 3, move |world| {
        world.seen.load_balancer = shown;
        world.seen.orphaned_target_groups.clear();
    });
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.cloud.count("DeleteLoadBalancer"), 2);
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn groups_that_another_workers_teardown_left_are_finished_off() {
    let mut left = observation(counts(0, 0, 0), vec![], None);
    left.orphaned_target_groups = marked_balancer(&[], noon() - minutes(5)).target_groups;
    let mut bench = bench(left);
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("teardown_started")[0]["resumed"], true);
    assert_eq!(bench.lines.of("target_group_deleted").len(), 2);
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 0);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_still_in_use_is_tried_again() {
    let mut bench = bench(overdue());
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::ResourceInUse, 4);
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.cloud.count("DeleteTargetGroup"), 6);
    assert_eq!(bench.lines.of("target_group_deleted").len(), 2);
    assert_eq!(bench.lines.of("finding").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_stays_in_use_is_reported() {
    let mut bench = bench(overdue());
    bench.reconcile().await.expect("the balancer goes");
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::ResourceInUse, 1000);
    for _ in 0..=IN_USE_PASSES_WITHIN.as_secs() {
        assert_eq!(bench.lines.of("finding").len(), 0);
        bench.reconcile().await.expect("not a failure");
        tokio::time::sleep(seconds(1)).await;
    }
    bench.reconcile().await.expect("not a failure");
    let told: Vec<_> = bench.lines.of("finding").iter().map(|line| line["finding"].clone()).collect();
    assert_eq!(told, ["target_group_in_use", "target_group_in_use"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_goes_during_the_look_does_not_pass_for_the_balancers_end() {
    let bench = bench(overdue());
    bench.cloud.fail("DescribeTargetHealth", ErrorKind::NotFound, 2);
    let look = bench.reconciler.look(&Hints::default()).await.expect("a second try within the look");
    assert!(look.observation.load_balancer.is_some());
    bench.cloud.fail("DescribeTargetHealth", ErrorKind::NotFound, 12);
    bench.reconciler.look(&Hints::default()).await.expect_err("a balancer that changes all the time");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_answer_was_lost_is_told_of_when_it_shows() {
    let mut bench = bench(overdue());
    let cloud = bench.cloud.clone();
    bench.cloud.fail("DeleteLoadBalancer", ErrorKind::Unavailable, 1);
    bench.reconcile().await.expect_err("no answer");
    let balancer = cloud.world().seen.load_balancer.take().expect("a balancer");
    cloud.world().seen.orphaned_target_groups = balancer.target_groups;
    bench.reconcile_to_the_end().await;
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
}

// ---- targets ----

/// The balancer with all of its targets failing their health checks.
fn unhealthy(mut balancer: LoadBalancer) -> LoadBalancer {
    for target in balancer.target_groups.iter_mut().flat_map(|group| &mut group.targets) {
        target.state = TargetState::Unhealthy;
    }
    balancer
}

fn one_in_one_out() -> Observation {
    let just_now = Some(noon() - minutes(1));
    let gone = Task { stopping_at: just_now, stopped_at: just_now, ..stopped(1) };
    observation(counts(1, 1, 0), vec![gone, running(2)], Some(balancer(&[1])))
}

#[tokio::test(start_paused = true)]
async fn new_targets_come_before_old_ones_go() {
    let mut bench = bench(one_in_one_out());
    bench.reconcile().await.expect("a look");
    let writes = bench.cloud.calls_of(&["RegisterTargets", "DeregisterTargets"]);
    assert_eq!(writes, ["RegisterTargets", "DeregisterTargets", "RegisterTargets", "DeregisterTargets"]);
}

#[tokio::test(start_paused = true)]
async fn in_a_full_group_old_targets_go_first() {
    let mut bench = bench(one_in_one_out());
    bench.cloud.fail("RegisterTargets", ErrorKind::TooManyTargets, 1);
    let outcome = bench.reconcile().await.expect("room was made");
    let writes = bench.cloud.calls_of(&["RegisterTargets", "DeregisterTargets"]);
    assert_eq!(writes[..3], ["RegisterTargets", "DeregisterTargets", "RegisterTargets"]);
    assert_eq!(outcome.findings, []);
    assert_eq!(bench.lines.of("target_registered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_no_room_to_make_is_a_finding() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(2)], Some(balancer(&[]))));
    bench.cloud.fail("RegisterTargets", ErrorKind::TooManyTargets, 2);
    bench.reconcile().await.expect("nothing else failed");
    assert_eq!(bench.lines.of("finding").len(), 2);
    assert_eq!(bench.lines.of("finding")[0]["finding"], "target_group_full");
}

#[tokio::test(start_paused = true)]
async fn a_failing_group_does_not_keep_the_rest_from_being_done() {
    let mut bench = bench(one_in_one_out());
    bench.cloud.fail("RegisterTargets", ErrorKind::AccessDenied, 1);
    let error = bench.reconcile().await.expect_err("one call failed");
    assert_eq!(error.operation, "RegisterTargets");
    assert_eq!(bench.lines.of("target_registered").len(), 1);
    assert_eq!(bench.lines.of("target_deregistered").len(), 2);
    assert_eq!(bench.lines.of("reconciled").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_target_that_aws_does_not_take_keeps_no_other_out() {
    let mut bench = bench(observation(counts(2, 2, 0), vec![running(1), running(2)], Some(balancer(&[]))));
    // The first group's call of two, and then the first of its single ones.
    bench.cloud.fail("RegisterTargets", ErrorKind::InvalidTarget, 2);
    let error = bench.reconcile().await.expect_err("one target is refused");
    assert_eq!(error.kind, ErrorKind::InvalidTarget);
    assert_eq!(bench.lines.of("target_registered").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn hints_that_ecs_does_not_take_are_let_go() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[]))));
    bench.cloud.fail("DescribeTasks", ErrorKind::Rejected, 1);
    bench.reconciler.reconcile(&hints(&running(9), 4, noon() - minutes(5)), Calls::default()).await.expect("a look");
    assert_eq!(bench.lines.of("target_registered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_targets_go_in_calls_of_two_hundred() {
    let tasks = (0..500u32).map(|number| {
        let arn = format!("arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{number:032x}");
        let id = TaskId::from_arn(&arn).expect("a task's ARN");
        Task { id, ipv4: Some((0x0a00_0000 + number).into()), ..running(1) }
    });
    let mut bench = bench(observation(counts(500, 500, 0), tasks.collect(), Some(balancer(&[]))));
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.cloud.count("RegisterTargets"), 6);
    assert_eq!(bench.lines.of("target_registered").len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn an_unclaimed_target_is_remembered_from_look_to_look() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(unhealthy(balancer(&[1, 7])))));
    bench.reconcile().await.expect("a look");
    tokio::time::sleep(seconds(29)).await;
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.cloud.count("DeregisterTargets"), 0);
    tokio::time::sleep(seconds(1)).await;
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.lines.of("target_deregistered").len(), 2);
    assert_eq!(bench.lines.of("target_deregistered")[0]["reason"], "no_task");
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_task_shows_up_in_between_starts_again() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(unhealthy(balancer(&[1, 7])))));
    for tasks in [vec![running(1)], vec![running(1), running(7)], vec![running(1)]] {
        bench.cloud.world().seen.tasks = tasks;
        bench.reconcile().await.expect("a look");
        tokio::time::sleep(seconds(20)).await;
    }
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.cloud.count("DeregisterTargets"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_before_a_long_freeze_is_no_second_look() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(unhealthy(balancer(&[1, 7])))));
    bench.reconcile().await.expect("a look");
    bench.clock.freeze(minutes(5) + seconds(1));
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.cloud.count("DeregisterTargets"), 0, "nobody looked for five minutes");
    bench.clock.freeze(seconds(30));
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.lines.of("target_deregistered").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_frozen_between_its_looks_is_heard_of_once_a_minute_all_the_same() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[1]))));
    for _ in 0..10 {
        bench.reconcile().await.expect("a look");
        bench.clock.freeze(seconds(58));
    }
    assert_eq!(bench.lines.of("reconciled").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_health_is_told_with_its_age() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[1]))));
    bench.reconcile().await.expect("a look");
    assert_eq!(bench.lines.of("target_health_changed").len(), 0, "the first look has nothing to compare with");
    let set = |bench: &Bench, state| {
        let mut world = bench.cloud.world();
        world.seen.load_balancer.as_mut().expect("a balancer").target_groups[0].targets[0].state = state;
    };
    set(&bench, TargetState::Unhealthy);
    bench.reconcile().await.expect("a look");
    let line = &bench.lines.of("target_health_changed")[0];
    assert_eq!((&line["from"], &line["to"], &line["level"]), (&"healthy".into(), &"unhealthy".into(), &"WARN".into()));
    assert_eq!(line["since_start_ms"], 50 * 60 * 1000);
}

#[tokio::test(start_paused = true)]
async fn a_registered_target_is_followed_from_initial() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[]))));
    bench.reconcile().await.expect("a look");
    {
        let mut world = bench.cloud.world();
        for group in &mut world.seen.load_balancer.as_mut().expect("a balancer").target_groups {
            group.targets = vec![target(1, if group.name == "p-jvb-udp" { 10000 } else { 4443 })];
        }
    }
    bench.reconcile().await.expect("a look");
    let lines = bench.lines.of("target_health_changed");
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["from"], &lines[0]["to"]), (&"initial".into(), &"healthy".into()));
}

// ---- freshness ----

fn hints(task: &Task, version: i64, time: Timestamp) -> Hints {
    let mut hints = Hints::default();
    hints.add(Hint { task: task.id.clone(), version: Some(version), time: Some(time) });
    hints
}

#[tokio::test(start_paused = true)]
async fn a_look_waits_until_ecs_shows_the_version_of_the_event() {
    let old = Task { version: Some(3), ..task(1, LastStatus::Starting, DesiredStatus::Running) };
    let mut bench = bench(observation(counts(1, 1, 0), vec![old], Some(balancer(&[]))));
    bench.cloud.before("DescribeTasks", 3, |world| world.seen.tasks = vec![running(1)]);
    let began = Instant::now();
    bench.reconciler.reconcile(&hints(&running(1), 4, noon()), Calls::default()).await.expect("a look");
    assert_eq!(began.elapsed(), seconds(2));
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    assert_eq!(bench.lines.of("target_registered")[0]["latency_ms"], 2000);
    assert_eq!(bench.lines.of("task_version_behind").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_never_comes_is_waited_for_five_seconds_and_told() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[]))));
    let began = Instant::now();
    bench.reconciler.reconcile(&hints(&running(1), 9, noon()), Calls::default()).await.expect("a look");
    assert_eq!(began.elapsed(), seconds(5));
    assert_eq!(bench.lines.of("target_registered").len(), 2, "decided by what ECS shows");
    let line = &bench.lines.of("task_version_behind")[0];
    assert_eq!((&line["event_version"], &line["seen_version"]), (&9.into(), &4.into()));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ecs_no_longer_knows_is_waited_for_only_when_its_event_is_young() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], None));
    for (age, waits) in [(minutes(90), seconds(0)), (seconds(1), seconds(5))] {
        let began = Instant::now();
        bench.reconciler.reconcile(&hints(&running(1), 4, noon() - age), Calls::default()).await.expect("a look");
        assert_eq!(began.elapsed(), waits, "an event {age:?} old");
    }
}

#[tokio::test(start_paused = true)]
async fn times_that_no_clock_shows_do_no_harm() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], None));
    for time in [Timestamp::MIN, Timestamp::MAX] {
        bench.reconciler.reconcile(&hints(&running(1), i64::MAX, time), Calls::default()).await.expect("a look");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_another_service_is_nobody_here_whatever_named_it() {
    let other = Task { group: Some("service:q-service".into()), ..running(1) };
    let mut bench = bench(observation(counts(0, 0, 0), vec![other.clone()], Some(balancer(&[]))));
    bench.reconciler.reconcile(&hints(&other, 4, noon()), Calls::default()).await.expect("a look");
    assert_eq!(bench.cloud.count("RegisterTargets"), 0);
}

// ---- the log ----

#[tokio::test(start_paused = true)]
async fn quiet_looks_are_told_once_a_minute() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[1]))));
    for _ in 0..=2 * HEARTBEAT.as_secs() {
        bench.reconcile().await.expect("a look");
        tokio::time::sleep(seconds(1)).await;
    }
    let lines = bench.lines.of("reconciled");
    assert_eq!(lines.len(), 3);
    let told: u64 = lines.iter().map(|line| line["aws_calls"].as_u64().expect("a count")).sum();
    assert_eq!(told, Platform::calls(&bench.cloud).sent, "every call is told of once");
}

#[tokio::test(start_paused = true)]
async fn messages_are_told_of_once() {
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[]))));
    bench.reconciler.count_messages(3, 2);
    bench.reconcile().await.expect("a look");
    bench.cloud.world().seen.load_balancer = None;
    bench.reconcile().await.expect("a look");
    let lines = bench.lines.of("reconciled");
    assert_eq!((&lines[0]["messages"], &lines[0]["foreign"]), (&3.into(), &2.into()));
    assert_eq!((&lines[1]["messages"], &lines[1]["foreign"]), (&0.into(), &0.into()));
    assert_eq!(lines[1]["load_balancer_state"], "absent");
}

#[tokio::test(start_paused = true)]
async fn two_workers_at_once_do_no_harm() {
    let mut first = bench(overdue());
    let mut second = bench(observation(counts(0, 0, 0), vec![], None::<LoadBalancer>));
    second.reconciler.platform = first.cloud.clone();
    first.cloud.delay("DescribeTags", seconds(1));
    for _ in 0..3 {
        let (one, other) = tokio::join!(first.reconcile(), second.reconcile());
        one.and(other).expect("neither fails");
    }
    assert!(first.cloud.world().seen.load_balancer.is_none());
    assert_eq!(first.cloud.world().seen.orphaned_target_groups, []);
}

// ---- what a look tells of how the balancer is used ----

#[tokio::test(start_paused = true)]
async fn idleness_counts_from_the_mark_and_before_it_from_the_first_look() {
    let mut bench = bench(idle(marked_balancer(&[], noon() - seconds(20))));
    let look = bench.reconciler.look(&Hints::default()).await.expect("a look");
    bench.reconciler.remember(&look);
    assert_eq!(bench.reconciler.seen(&look).idle_since, Some(noon() - seconds(20)));

    // Never used, and too young to be marked.
    let mut unmarked = idle(balancer(&[]));
    unmarked.tasks.clear();
    unmarked.load_balancer.as_mut().expect("a balancer").created_at = noon();
    let mut bench = self::bench(unmarked);
    for _ in 0..3 {
        let look = bench.reconciler.look(&Hints::default()).await.expect("a look");
        bench.reconciler.remember(&look);
        assert_eq!(look.plan.lifecycle, LifecycleAction::Keep);
        assert_eq!(bench.reconciler.seen(&look).idle_since, Some(noon()));
        tokio::time::sleep(seconds(30)).await;
    }

    // A balancer that is younger than what is remembered is another.
    let mut look = bench.reconciler.look(&Hints::default()).await.expect("a look");
    let created_at = noon() + seconds(80);
    look.observation.load_balancer.as_mut().expect("a balancer").created_at = created_at;
    assert_eq!(bench.reconciler.seen(&look).idle_since, Some(created_at));

    // A use in between begins it anew.
    let used = observation(counts(1, 0, 0), Vec::new(), Some(balancer(&[])));
    let look = Look { observation: used, ..bench.reconciler.look(&Hints::default()).await.expect("a look") };
    bench.reconciler.remember(&look);
    assert_eq!(bench.reconciler.seen(&look).idle_since, None);
    let look = bench.reconciler.look(&Hints::default()).await.expect("a look");
    bench.reconciler.remember(&look);
    assert_eq!(bench.reconciler.seen(&look).idle_since, Some(noon() + seconds(90)));
}

#[tokio::test(start_paused = true)]
async fn it_is_in_use_until_nothing_is_left_that_costs() {
    let usage = async |seen: Observation| {
        let bench = bench(seen);
        let look = bench.reconciler.look(&Hints::default()).await.expect("a look");
        bench.reconciler.seen(&look).usage
    };
    let nothing = Observation { load_balancer: None, ..idle(balancer(&[])) };
    assert_eq!(usage(nothing.clone()).await, Usage::Idle);
    assert_eq!(usage(idle(balancer(&[]))).await, Usage::InUse, "a balancer stands");
    assert_eq!(usage(Observation { service: counts(0, 0, 1), ..nothing.clone() }).await, Usage::InUse);
    assert_eq!(usage(Observation { service: Service::Missing, ..nothing }).await, Usage::Idle);

    let mut bench = bench(overdue());
    bench.reconcile().await.expect("the balancer goes");
    let look = bench.reconciler.look(&Hints::default()).await.expect("a look");
    assert!(look.observation.load_balancer.is_none());
    assert_eq!(bench.reconciler.seen(&look).usage, Usage::InUse, "its groups are still to go");
    bench.reconcile_to_the_end().await;
    let look = bench.reconciler.look(&Hints::default()).await.expect("a look");
    assert_eq!(bench.reconciler.seen(&look).usage, Usage::Idle);
}

// ---- the feed ----

/// A minute passes, and then somebody looks.
async fn looks_for(bench: &mut Bench, minutes: u64) {
    for _ in 0..minutes {
        tokio::time::sleep(seconds(60)).await;
        bench.reconcile().await.expect("a look");
    }
}

fn states_of(bench: &Bench, name: &str) -> Vec<String> {
    let findings = bench.lines.of("finding").into_iter().filter(|line| line["finding"] == name);
    findings.map(|line| line["state"].as_str().expect("a state").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn changes_that_no_event_announces_are_a_finding_until_an_event_comes() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], Some(balancer(&[]))));
    bench.reconciler = bench.reconciler.with_feed(StandingFindings::default());
    looks_for(&mut bench, 2).await;
    bench.cloud.world().seen.tasks = vec![running(1)];
    bench.cloud.world().seen.service = counts(1, 1, 0);
    looks_for(&mut bench, 5).await;
    assert_eq!(states_of(&bench, "events_missing"), Vec::<String>::new(), "one look may be ahead of its event");
    bench.cloud.world().seen.tasks = vec![running(1), running(2)];
    looks_for(&mut bench, 3).await;
    assert_eq!(states_of(&bench, "events_missing"), ["raised"]);
    let task = running(2).id;
    let hints = Hints { tasks: [(task, TaskHint::default())].into() };
    bench.reconciler.reconcile(&hints, Calls::default()).await.expect("a look");
    assert_eq!(states_of(&bench, "events_missing"), ["raised", "cleared"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_feed_nobody_misses_events() {
    let mut bench = bench(observation(counts(0, 0, 0), vec![], Some(balancer(&[]))));
    looks_for(&mut bench, 2).await;
    for tasks in [vec![running(1)], vec![running(1), running(2)]] {
        bench.cloud.world().seen.tasks = tasks;
        looks_for(&mut bench, 5).await;
    }
    assert_eq!(states_of(&bench, "events_missing"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_feed_is_told_and_counted_with_what_the_look_found() {
    let standing = StandingFindings::default();
    let mut bench = bench(observation(counts(1, 1, 0), vec![running(1)], None));
    bench.reconciler = bench.reconciler.with_feed(standing.clone());
    let disabled = Finding {
        name: FindingName::RuleDisabled,
        subject: "p-jvb-watcher".to_owned(),
        detail: "it is disabled".to_owned(),
    };
    standing.set(vec![disabled]);
    let outcome = bench.reconcile().await.expect("a look");
    assert_eq!(outcome.findings.len(), 2, "{:?}", outcome.findings);
    assert_eq!(bench.lines.of("reconciled")[0]["findings"], 2);
    standing.set(Vec::new());
    bench.reconcile().await.expect("a look");
    assert_eq!(states_of(&bench, "rule_disabled"), ["raised", "cleared"]);
}
