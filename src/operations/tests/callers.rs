//! `down` while the load balancer is in use, or may be.

use super::*;
use jvb_watcher_rules::lease::LeaseHolder;
use jvb_watcher_rules::model::{MINUTE, MinuteFlows};
use jvb_watcher_rules::plan::samples::{counts, noon, running};

/// The delay of CloudWatch's data points.
const DELAY: Duration = Duration::from_secs(120);

const WRITES: [&str; 8] = [
    "TagResource",
    "UntagResource",
    "UpdateService",
    "AddTags",
    "RemoveTags",
    "DeregisterTargets",
    "DeleteLoadBalancer",
    "DeleteTargetGroup",
];

/// A service that has served for 50 minutes, over which CloudWatch reports two flows in each minute that begins before an
/// instant, and none later. A minute that the test has changed stays as it is.
fn used_until(end: Timestamp) -> Platform {
    let platform = Platform::new(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    let (cloud, clock) = (platform.cloud.clone(), platform.clock.clone());
    report(&mut cloud.world(), noon(), end);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            report(&mut cloud.world(), crate::clock::Clock::now(&*clock), end);
        }
    });
    platform
}

fn report(world: &mut World, now: Timestamp, end: Timestamp) {
    let history = world.observed.flows.get_or_insert_default();
    let mut start = noon() - minutes(50);
    while start + MINUTE + DELAY <= now {
        let flows = if start < end { 2 } else { 0 };
        history.minutes.entry(start).or_insert(MinuteFlows { flows, healthy: Some(1) });
        start += MINUTE;
    }
}

fn unused() -> Platform {
    used_until(noon() - minutes(20))
}

/// Lets CloudWatch report a call in the newest known minute.
fn call_in_newest_minute(world: &mut World) {
    let flows = world.observed.flows.as_mut().expect("flows");
    flows.minutes.last_entry().expect("a minute").get_mut().flows = 7;
}

fn far() -> Timestamp {
    noon() + minutes(24 * 60)
}

fn phases_of(completed: &[CompletedPhase]) -> Vec<Phase> {
    completed.iter().map(|phase| phase.phase).collect()
}

impl Platform {
    fn writes(&self) -> Vec<&'static str> {
        self.cloud.calls_of(&WRITES)
    }

    async fn refused(&self, call_policy: CallPolicy) -> Failure {
        failed(execute(&mut self.careful_down("d", call_policy)).await)
    }
}

#[tokio::test(start_paused = true)]
async fn down_fails_while_the_load_balancer_is_in_use_and_changes_nothing() {
    let platform = used_until(far());
    let failure = platform.refused(CallPolicy::Respect).await;
    assert_eq!(failure.phase, Phase::LoadBalancerUnused);
    let expected = "2 flow(s) in the minute 2026-11-20T11:57:00Z, in use since 2026-11-20T11:10:00Z";
    assert!(failure.reason.contains(expected), "{failure}");
    assert!(failure.advice.contains("down --when-unused") && failure.advice.contains("down --now"), "{failure}");
    assert_eq!(platform.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn down_fails_while_the_use_is_unknown_and_says_why() {
    let denied = unused();
    denied.cloud.fail("GetMetricData", ErrorKind::AccessDenied, 1);
    let failing = unused();
    failing.cloud.fail("GetMetricData", ErrorKind::Throttled, 1000);
    let missing = Platform::new(observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    for (platform, why, wait, advice) in [
        (denied, "AccessDenied", seconds(0), "the missing permission cloudwatch:GetMetricData"),
        (failing, "Throttled", seconds(30), "down --when-unused"),
        (missing, "CloudWatch has no data point", seconds(0), "down --when-unused"),
    ] {
        let began = Instant::now();
        let failure = platform.refused(CallPolicy::Respect).await;
        assert!(failure.advice.contains(advice) && failure.advice.contains("down --now"), "{failure}");
        assert!(failure.reason.contains("unknown") && failure.reason.contains(why), "{failure}");
        assert!((wait..=wait + seconds(12)).contains(&began.elapsed()), "{why}: {:?}", began.elapsed());
        assert_eq!(platform.writes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_is_not_asked_for_is_unknown() {
    let platform = unused();
    for call_policy in [CallPolicy::Respect, CallPolicy::AwaitEnd(minutes(60))] {
        let spec = down::Spec { call_policy, ..down_spec(HoldPolicy::Respect) };
        let failure = failed(execute(&mut Down::new(platform.context("d", None).0, spec)).await);
        assert!(failure.reason.contains("--no-usage") && failure.advice.contains("leave out --no-usage"), "{failure}");
    }
    assert_eq!((platform.cloud.count("GetMetricData"), platform.writes()), (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn down_completes_when_the_load_balancer_is_unused() {
    let platform = unused();
    // One failed read is repeated.
    platform.cloud.fail("GetMetricData", ErrorKind::Unavailable, 1);
    let completed = execute(&mut platform.careful_down("d", CallPolicy::Respect)).await;
    let completed = completed.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(phases_of(&completed)[..2], [Phase::LoadBalancerUnused, Phase::Claimed]);
    assert!(completed[0].detail.contains("unused since 2026-11-20T11:40:00Z"), "{completed:?}");
    platform.assert_down();
    let calls = platform.cloud.calls_of(&["GetMetricData", "TagResource", "UpdateService"]);
    let expected = ["GetMetricData", "GetMetricData", "TagResource", "GetMetricData", "UpdateService"];
    assert_eq!(calls, expected, "it asks again just before it scales");
}

#[tokio::test(start_paused = true)]
async fn down_goes_on_where_there_can_be_no_call() {
    let without_load_balancer = used_until(far());
    without_load_balancer.cloud.world().observed.load_balancer = None;
    let scaled_to_zero = used_until(far());
    scaled_to_zero.cloud.world().observed.service = counts(0, 1, 0);
    for platform in [without_load_balancer, scaled_to_zero] {
        let completed = execute(&mut platform.careful_down("d", CallPolicy::Respect)).await;
        let completed = completed.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(completed[0].skipped && completed[0].detail.contains("no call is possible"), "{completed:?}");
        platform.assert_down();
    }
}

#[tokio::test(start_paused = true)]
async fn down_waits_until_all_have_left() {
    let end = noon() + minutes(15);
    let platform = used_until(end);
    let scaled_at = Arc::new(Mutex::new(None));
    let (record, clock) = (scaled_at.clone(), platform.clock.clone());
    platform.cloud.before("UpdateService", 1, move |_| {
        *record.lock().expect("not poisoned") = Some(crate::clock::Clock::now(&*clock));
    });
    let leased_at = platform.cloud.clone();
    let mut down = platform.careful_down("d", CallPolicy::AwaitEnd(minutes(60)));
    let (completed, ()) = tokio::join!(execute(&mut down), async {
        tokio::time::sleep(minutes(14)).await;
        assert_eq!(leased_at.calls_of(&WRITES), [""; 0], "another operation may run meanwhile");
    });
    let completed = completed.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(completed[0].detail.contains("unused since 2026-11-20T12:15:00Z"), "{completed:?}");
    platform.assert_down();
    let scaled_at = scaled_at.lock().expect("not poisoned").expect("it was scaled");
    let known_at = end + 3 * MINUTE + DELAY;
    assert!((known_at..known_at + minutes(2)).contains(&scaled_at), "{scaled_at}");
    let asked = platform.cloud.count("GetMetricData");
    assert!(asked <= 24, "at most once a minute and twice at the end: {asked}");
    let waits = platform.log.of("phase_waiting");
    let detail = waits[0]["detail"].as_str().expect("a detail");
    assert!(waits[0]["phase"] == "load_balancer_unused" && detail.contains("2 flow(s) in the minute"), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn down_gives_up_waiting_after_its_time_and_changes_nothing() {
    let platform = used_until(far());
    let began = Instant::now();
    let failure = platform.refused(CallPolicy::AwaitEnd(minutes(10))).await;
    assert!(matches!(failure.error, OperationError::TimedOut { .. }), "{failure}");
    assert!(failure.reason.contains("timed out after 10m") && failure.reason.contains("in use"), "{failure}");
    assert!(failure.advice.contains("down --now"), "{failure}");
    assert!((minutes(10)..minutes(11)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(platform.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_usage_that_may_not_be_read_ends_at_once() {
    let platform = unused();
    platform.cloud.fail("GetMetricData", ErrorKind::AccessDenied, 1);
    let failure = platform.refused(CallPolicy::AwaitEnd(minutes(60))).await;
    assert!(failure.reason.contains("AccessDenied") && platform.writes().is_empty(), "{failure}");
    assert!(!failure.advice.contains("--when-unused"), "waiting changes nothing: {failure}");
    // An error that passes is waited for.
    platform.cloud.fail("GetMetricData", ErrorKind::Throttled, 20);
    let completed = execute(&mut platform.careful_down("d", CallPolicy::AwaitEnd(minutes(60)))).await;
    completed.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn an_up_that_starts_during_the_wait_wins() {
    for after in [seconds(1), minutes(3), minutes(19)] {
        let platform = used_until(noon() + minutes(15));
        let mut down = platform.careful_down("d", CallPolicy::AwaitEnd(minutes(60)));
        let up = async {
            tokio::time::sleep(after).await;
            execute(&mut platform.up("u")).await
        };
        let (down, up) = tokio::join!(execute(&mut down), up);
        up.unwrap_or_else(|failure| panic!("{after:?}: {failure}"));
        let failure = failed(down);
        let OperationError::Superseded(lease) = &failure.error else { panic!("{after:?}: {failure}") };
        assert_eq!((lease.holder, lease.id.as_str()), (LeaseHolder::Up, "u"));
        platform.assert_up();
        assert_eq!(platform.cloud.count("UpdateService"), 0, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_up_that_takes_the_lease_just_before_down_does_wins() {
    let platform = unused();
    let up = Lease { holder: LeaseHolder::Up, begun_at: noon(), id: "u".to_owned(), state: LeaseState::Active };
    // The first read of the service is that of the phase; then come those of the observation and of the lease.
    platform.cloud.before("DescribeServices", 3, move |world| {
        world.service_tags.insert(OPERATION_TAG.to_owned(), up.to_string());
    });
    let failure = platform.refused(CallPolicy::Respect).await;
    assert_eq!(failure.phase, Phase::Claimed);
    assert!(matches!(failure.error, OperationError::Superseded(_)), "{failure}");
    assert_eq!(platform.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_watcher_during_the_wait_is_completed() {
    let platform = used_until(far());
    let stop = Lease { holder: LeaseHolder::Stop, begun_at: noon(), id: "w".to_owned(), state: LeaseState::Active };
    let mut down = platform.careful_down("d", CallPolicy::AwaitEnd(minutes(60)));
    let stopping = async {
        tokio::time::sleep(minutes(5)).await;
        platform.cloud.world().service_tags.insert(OPERATION_TAG.to_owned(), stop.to_string());
        tokio::time::sleep(minutes(1)).await;
        platform.cloud.world().observed.service = counts(0, 1, 0);
    };
    let (completed, ()) = tokio::join!(execute(&mut down), stopping);
    completed.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn a_call_just_before_the_service_is_scaled_is_not_cut_off() {
    let platform = unused();
    platform.cloud.before("TagResource", 1, call_in_newest_minute);
    let failure = platform.refused(CallPolicy::Respect).await;
    assert_eq!(failure.phase, Phase::ServiceScaled);
    assert!(matches!(failure.error, OperationError::InUse(_)), "{failure}");
    assert!(failure.reason.contains("7 flow(s)"), "{failure}");
    assert_eq!(platform.cloud.count("UpdateService"), 0);
    assert_ended(&platform.cloud.world().service_tags);
}

#[tokio::test(start_paused = true)]
async fn a_wait_goes_on_after_a_call_just_before_the_service_is_scaled() {
    let platform = unused();
    platform.cloud.before("TagResource", 1, call_in_newest_minute);
    let mut down = platform.careful_down("d", CallPolicy::AwaitEnd(minutes(60)));
    let meanwhile = async {
        tokio::time::sleep(minutes(1)).await;
        assert_eq!(Lease::of(&platform.cloud.world().service_tags), None, "an `up` may run");
    };
    let (completed, ()) = tokio::join!(execute(&mut down), meanwhile);
    let completed = completed.unwrap_or_else(|failure| panic!("{failure}"));
    let (unused, claimed) = (Phase::LoadBalancerUnused, Phase::Claimed);
    assert_eq!(phases_of(&completed)[..5], [unused, claimed, unused, claimed, Phase::ServiceScaled]);
    platform.assert_down();
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_another_matter() {
    let platform = used_until(far());
    let hold = |world: &mut World| {
        let load_balancer = world.observed.load_balancer.as_mut().expect("a load balancer");
        load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), rfc3339_millis(noon() + minutes(60 * 8)));
    };
    hold(&mut platform.cloud.world());
    let failure = platform.refused(CallPolicy::AwaitEnd(minutes(60))).await;
    assert!(failure.reason.contains("held by hand"), "it isn't waited for: {failure}");
    let usage = UsagePolicy { observe: true, ..UsagePolicy::OFF };
    let forced = down::Spec { call_policy: CallPolicy::Respect, usage, ..down_spec(HoldPolicy::Release) };
    let failure = failed(execute(&mut Down::new(platform.context("d", None).0, forced)).await);
    assert!(matches!(failure.error, OperationError::InUse(_)), "{failure}");
    assert_eq!(platform.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_reports_the_use() {
    let (used, unused) = (used_until(far()), unused());
    let wait = CallPolicy::AwaitEnd(minutes(90));
    let steps = used.careful_down("d", wait).dry_run().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(steps[0].starts_with("wait until the load balancer is unused (limit 1h 30m)"), "{steps:?}");
    assert!(steps[0].contains("2 flow(s) in the minute"), "{steps:?}");
    let failure = used.careful_down("d", CallPolicy::Respect).dry_run().await.expect_err("it is in use");
    assert_eq!(failure.phase, Phase::LoadBalancerUnused);
    assert!(failure.reason.contains("2 flow(s) in the minute"), "{failure}");
    assert!(
        failure.steps[0].starts_with("verify that no call is cut off: load balancer p-jvb-nlb is in use"),
        "{failure:?}"
    );
    assert!(failure.steps[1].starts_with("acquire the lease") && failure.steps.len() == 6, "{failure:?}");
    let steps = unused.careful_down("d", CallPolicy::Respect).dry_run().await;
    let steps = steps.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(steps[0].contains("unused since 2026-11-20T11:40:00Z"), "{steps:?}");
    let steps = used.down("d").dry_run().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(steps[0].starts_with("acquire the lease"), "{steps:?}");
    assert_eq!((used.writes(), unused.writes()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn down_asks_by_the_protocols_and_the_threshold() {
    let platform = used_until(far());
    let usage = UsagePolicy { observe: true, threshold: 2, ..UsagePolicy::OFF };
    let spec = down::Spec { call_policy: CallPolicy::Respect, usage, ..down_spec(HoldPolicy::Respect) };
    let completed = execute(&mut Down::new(platform.context("d", None).0, spec)).await;
    completed.unwrap_or_else(|failure| panic!("{failure}"));
    platform.assert_down();
}
