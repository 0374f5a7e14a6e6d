//! The questions to CloudWatch.

use super::*;
use jvb_watcher_rules::model::{FlowHistory, LoadBalancerState, MINUTE, MinuteFlows, Target};
use jvb_watcher_rules::plan::UsagePolicy;

/// A policy that asks for the flows, and stops nothing.
pub(super) fn observing() -> Policy {
    Policy { usage: UsagePolicy { observe: true, ..UsagePolicy::OFF }, ..policy() }
}

pub(super) fn bench_with(observed: Observation, policy: Policy) -> Bench {
    bench_on(FakeAws::new(observed), |parts| ReconcilerParts { policy, ..parts })
}

/// A service that serves, with an hour of minutes before noon in which there were this many flows, up to the minute of
/// 11:57.
pub(super) fn serving(flows: u64) -> Observation {
    let minutes = (3..=60).map(|ago| (noon() - ago * MINUTE, MinuteFlows { flows, healthy: Some(1) })).collect();
    Observation {
        flows: Some(FlowHistory { minutes, problem: None }),
        ..observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])))
    }
}

#[tokio::test(start_paused = true)]
async fn asks_at_most_once_a_minute() {
    let mut bench = bench_with(serving(3), observing());
    for _ in 0..6 {
        bench.reconcile().await.expect("a reconciliation");
        tokio::time::sleep(seconds(10)).await;
    }
    assert_eq!(bench.cloud.count("GetMetricData"), 1);
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(bench.cloud.count("GetMetricData"), 2);
}

#[tokio::test(start_paused = true)]
async fn asks_only_while_a_load_balancer_can_carry_flows() {
    let with_state =
        |state| Observation { load_balancer: Some(LoadBalancer { state, ..load_balancer(&[1]) }), ..serving(3) };
    let without_target = Observation { load_balancer: Some(load_balancer(&[])), ..idle(load_balancer(&[])) };
    for (observed, policy, expected) in [
        (serving(3), observing(), 1),
        (with_state(LoadBalancerState::ActiveImpaired), observing(), 1),
        (with_state(LoadBalancerState::Provisioning), observing(), 0),
        (with_state(LoadBalancerState::Failed), observing(), 0),
        (without_target, observing(), 0),
        (Observation { load_balancer: None, ..serving(3) }, observing(), 0),
        (serving(3), policy(), 0),
    ] {
        let mut bench = bench_with(observed, policy);
        bench.reconcile().await.expect("a reconciliation");
        assert_eq!(bench.cloud.count("GetMetricData"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn logs_the_newest_minute() {
    let mut bench = bench_with(serving(3), observing());
    bench.reconcile().await.expect("a reconciliation");
    let line = &bench.lines.of("reconciled")[0];
    assert_eq!((&line["flows"], &line["flows_minute"]), (&3.into(), &"2026-11-20T11:57:00.000Z".into()));
}

#[tokio::test(start_paused = true)]
async fn usage_that_cannot_be_read_fails_nothing_and_is_a_finding_after_ten_minutes() {
    let mut bench = bench_with(serving(3), observing());
    bench.reconcile().await.expect("a reconciliation");
    bench.cloud.fail("GetMetricData", ErrorKind::AccessDenied, 100);
    let mut found_after = None;
    for minute in 1..=12 {
        tokio::time::sleep(minutes(1)).await;
        let outcome = bench.reconcile().await.expect("a reconciliation");
        let flows = outcome.observed.observation.flows.as_ref().expect("what is known");
        assert_eq!(flows.minutes.len(), 58, "the minutes that were read stay");
        if outcome.findings.iter().any(|finding| finding.name == FindingName::UsageUnknown) {
            found_after.get_or_insert(minute);
        }
        let shows_flows = bench.lines.of("reconciled").last().expect("a line").get("flows").is_some();
        assert_eq!(shows_flows, found_after.is_none(), "after {minute} minutes");
    }
    // The minute of 11:57 ended two minutes before noon.
    assert_eq!(found_after, Some(8));
    assert_eq!(bench.lines.of("finding_check_failed").len(), 1);
    assert!(bench.lines.of("finding")[0]["detail"].as_str().expect("a detail").contains("AccessDenied"));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_delays_a_reconciliation_by_three_seconds() {
    let mut bench = bench_with(serving(3), observing());
    bench.cloud.delay("GetMetricData", minutes(1));
    let began = Instant::now();
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(began.elapsed(), seconds(3));
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!(began.elapsed(), seconds(3), "it isn't asked again within the minute");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_does_not_ask_again() {
    let mut observed = overdue();
    let target = load_balancer(&[1]).target_groups.remove(0).targets.remove(0);
    let load_balancer = observed.load_balancer.as_mut().expect("a load balancer");
    load_balancer.target_groups[0].targets = vec![Target { state: TargetState::Unhealthy, ..target }];
    let mut bench = bench_with(observed, observing());
    bench.reconcile().await.expect("a reconciliation");
    assert_eq!((bench.cloud.count("DescribeLoadBalancers"), bench.cloud.count("GetMetricData")), (2, 1));
}
