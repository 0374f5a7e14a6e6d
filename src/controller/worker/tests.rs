//! The queue loop, on an AWS in memory and on virtual time.
//!
//! - [`fleet`]: several services.

use tokio::task::JoinHandle;

use super::*;
use crate::aws::fake::{FakeAws, FakeClock, noon};
use crate::aws::{ErrorKind, LONGEST_CALL, Message, Receipt};
use crate::controller::liveness::Unhealthy;
use crate::controller::reconciler::ReconcilerParts;
use crate::controller::scope::Scope;
use crate::controller::totals::{Counts, Totals};
use crate::shutdown::{self, GRACE, ShutdownOrder};
use crate::telemetry::log::fake::LogLines;
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::samples::{
    counts, idle, load_balancer, marked_load_balancer, minutes, observation, policy, running, seconds,
};

mod fleet;

struct Bench {
    cloud: FakeAws,
    lines: LogLines,
    order: ShutdownOrder,
    liveness: Liveness,
    totals: Totals,
    worker: JoinHandle<StopReason>,
}

/// Starts a worker on this AWS.
fn start(cloud: FakeAws, lifetime: Lifetime) -> Bench {
    let settings = QueueSettings { visibility_timeout: seconds(30), redrive: crate::aws::Redrive::None };
    start_with(cloud, Some(settings), lifetime)
}

/// Starts one with these settings of its queue, or none that have been read.
fn start_with(cloud: FakeAws, settings: Option<QueueSettings>, lifetime: Lifetime) -> Bench {
    let lines = LogLines::default();
    let clock = FakeClock::noon();
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let context = Context::new(scope, lines.log(clock.clone()), clock);
    let totals = context.totals.clone();
    let reconciler = Reconciler::new(ReconcilerParts::new(cloud.clone(), context, policy()));
    let (order, shutdown) = shutdown::channel();
    let liveness = Liveness::new(policy().resync_interval);
    let worker = Worker::new(WorkerParts {
        queue_settings: settings,
        lifetime,
        ..WorkerParts::new(cloud.clone(), reconciler, shutdown, liveness.clone())
    });
    Bench { cloud, lines, order, liveness, totals, worker: tokio::spawn(worker.run()) }
}

impl Bench {
    /// Stops the worker, and returns how long that took.
    async fn stop(self) -> Duration {
        let began = Instant::now();
        self.order.stop(StopReason::Sigterm);
        assert_eq!(self.worker.await.expect("no panic"), StopReason::Sigterm);
        began.elapsed()
    }
}

/// A service in use, its task not registered yet.
fn in_use() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[])))
}

fn quiet() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])))
}

fn message(number: usize, body: &str) -> Message {
    let receipt = Receipt { message_id: format!("id-{number}"), handle: format!("handle-{number}") };
    Message { receipt, body: body.to_owned(), receive_count: 1, sent_at: None }
}

fn event(number: usize) -> Message {
    let task = running(1).id;
    let body = format!(
        r#"{{"source":"aws.ecs","detail-type":"ECS Task State Change","time":"{}","detail":{{
            "clusterArn":"arn:aws:ecs:eu-west-1:111122223333:cluster/p-cluster",
            "taskArn":"arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{task}","version":4}}}}"#,
        noon()
    );
    message(number, &body)
}

#[tokio::test(start_paused = true)]
async fn reconciles_before_the_first_message() {
    let cloud = FakeAws::new(in_use());
    cloud.delay("DescribeServices", seconds(2));
    let bench = start(cloud, Lifetime::UntilStopped);
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    let calls = bench.cloud.calls_of(&["RegisterTargets", "ReceiveMessage"]);
    assert_eq!(calls[..2], ["RegisterTargets", "RegisterTargets"]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reconciles_at_every_resync_and_polls_in_between() {
    let bench = start(FakeAws::new(quiet()), Lifetime::UntilStopped);
    tokio::time::sleep(minutes(10) + seconds(1)).await;
    assert_eq!(bench.cloud.count("DescribeServices"), 11);
    assert_eq!(bench.cloud.count("ReceiveMessage"), 31, "three polls a minute");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reconciles_at_its_time_while_it_polls() {
    let bench = start(FakeAws::new(idle(load_balancer(&[]))), Lifetime::UntilStopped);
    // The mark is written at once, the grace period lasts a minute, and the second observation follows after ten seconds.
    tokio::time::sleep(seconds(71)).await;
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reconciles_once_for_a_batch_and_then_deletes_it() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    let before = cloud.count("DescribeServices");
    cloud.world().messages.extend((0..95).map(event));
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(cloud.count("DescribeServices") - before, 1);
    assert_eq!(cloud.count("DeleteMessageBatch"), 10);
    let order = cloud.calls_of(&["DescribeServices", "DeleteMessageBatch"]);
    assert_eq!(order[before], "DescribeServices");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn extends_the_visibility_timeout_and_receives_nothing_while_the_reconciliation_fails() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.fail("DescribeServices", ErrorKind::AccessDenied, 5);
    cloud.world().messages.extend([event(1), event(2)]);
    tokio::time::sleep(seconds(25)).await;
    let received = cloud.count("ReceiveMessage");

    tokio::time::sleep(minutes(4)).await;
    assert_eq!(cloud.count("ReceiveMessage"), received);
    assert_eq!(cloud.count("DeleteMessageBatch"), 0);
    assert!(cloud.count("ExtendVisibility") >= 7, "extended {} times in four minutes", cloud.count("ExtendVisibility"));
    let failures = bench.lines.of("reconcile_failed");
    assert_eq!(failures.last().expect("a failure")["retry_in_ms"], 60_000);
    assert_eq!(failures.last().expect("a failure")["level"], "ERROR");

    tokio::time::sleep(minutes(2)).await;
    assert_eq!(bench.lines.of("reconcile_failed").len(), 5);
    assert_eq!(cloud.count("DeleteMessageBatch"), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn extends_the_visibility_timeout_during_a_long_reconciliation() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", seconds(50));
    cloud.world().messages.push_back(event(1));
    tokio::time::sleep(seconds(90)).await;
    assert_eq!(
        cloud.calls_of(&["ExtendVisibility", "DeleteMessageBatch"]),
        ["ExtendVisibility", "ExtendVisibility", "DeleteMessageBatch"]
    );
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reconciles_by_the_clock_when_the_queue_cannot_be_read() {
    let cloud = FakeAws::new(quiet());
    cloud.fail("ReceiveMessage", ErrorKind::Unavailable, 10_000);
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(minutes(30) + seconds(1)).await;
    assert_eq!(cloud.count("DescribeServices"), 31);
    let failures = bench.lines.of("poll_failed").len();
    assert!((30..60).contains(&failures), "{failures} failed polls in half an hour");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deletes_foreign_messages_while_the_reconciliation_fails() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.fail("DescribeServices", ErrorKind::Unavailable, 10_000);
    cloud.world().messages.extend([event(1), message(2, r#"{"source":"aws.ec2","detail-type":"x"}"#)]);
    tokio::time::sleep(seconds(25)).await;
    assert_eq!(cloud.count("DeleteMessageBatch"), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cancels_the_poll_at_shutdown() {
    let bench = start(FakeAws::new(quiet()), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(bench.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn finishes_the_reconciliation_and_deletes_its_batch_at_shutdown() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", seconds(6));
    cloud.world().messages.push_back(event(1));
    while cloud.count("DescribeTargetGroups") < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = bench.stop().await;
    assert!((seconds(5)..seconds(7)).contains(&took), "{took:?}");
    assert_eq!(cloud.calls_of(&["ResetVisibility", "DeleteMessageBatch"]), ["DeleteMessageBatch"]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_a_long_reconciliation_at_shutdown() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", minutes(5));
    cloud.world().messages.push_back(event(1));
    while cloud.count("DescribeTargetGroups") < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.stop().await, GRACE);
    assert_eq!(cloud.calls_of(&["ResetVisibility", "DeleteMessageBatch"]), ["ResetVisibility"]);
}

#[tokio::test(start_paused = true)]
async fn makes_the_batch_visible_and_stops_at_once_between_two_attempts() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.fail("DescribeServices", ErrorKind::AccessDenied, 10_000);
    cloud.world().messages.push_back(event(1));
    while bench.lines.of("reconcile_failed").is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.stop().await, Duration::ZERO);
    assert_eq!(cloud.calls_of(&["ResetVisibility", "DeleteMessageBatch"]), ["ResetVisibility"]);
}

#[tokio::test(start_paused = true)]
async fn until_empty_completes_the_teardown_that_is_due() {
    let cloud = FakeAws::new(idle(marked_load_balancer(&[], noon() - minutes(5))));
    cloud.world().messages.extend((0..25).map(event));
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
    assert!(cloud.world().messages.is_empty());
    assert_eq!(cloud.count("DeleteMessageBatch"), 3);
}

#[tokio::test(start_paused = true)]
async fn until_empty_does_not_wait_for_the_grace_period() {
    let cloud = FakeAws::new(idle(load_balancer(&[])));
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    let began = Instant::now();
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert!(began.elapsed() <= seconds(2), "{:?}", began.elapsed());
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reconciles_during_a_steady_stream_of_events() {
    let cloud = FakeAws::new(quiet());
    // Each receive takes a quarter of a second and returns ten messages.
    cloud.delay("ReceiveMessage", Duration::from_millis(250));
    cloud.world().messages.extend((0..100_000).map(event));
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(120)).await;
    assert!(cloud.count("DescribeServices") >= 5, "{} reconciliations in two minutes", cloud.count("DescribeServices"));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn until_empty_does_not_take_a_queue_that_cannot_be_read_for_an_empty_one() {
    let cloud = FakeAws::new(quiet());
    cloud.fail("ReceiveMessage", ErrorKind::AccessDenied, 2);
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    let began = Instant::now();
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert!(began.elapsed() >= minutes(2), "{:?}", began.elapsed());
    assert_eq!(cloud.count("ReceiveMessage"), 3);
}

#[tokio::test(start_paused = true)]
async fn until_empty_does_not_wait_for_a_teardown_that_aws_refuses() {
    let cloud = FakeAws::new(idle(marked_load_balancer(&[], noon() - minutes(5))));
    cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 10_000);
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert_eq!(bench.lines.of("finding")[0]["finding"], "deletion_protected");
}

#[tokio::test(start_paused = true)]
async fn reconciles_when_messages_cannot_be_deleted() {
    for (kind, latency) in [(Some(ErrorKind::Unavailable), Duration::ZERO), (None, minutes(10))] {
        let cloud = FakeAws::new(quiet());
        cloud.delay("DeleteMessageBatch", latency);
        if let Some(kind) = kind {
            cloud.fail("DeleteMessageBatch", kind, 10_000);
        }
        cloud.world().messages.extend((0..300).map(|number| message(number, r#"{"source":"a","detail-type":"b"}"#)));
        let bench = start(cloud.clone(), Lifetime::UntilStopped);
        tokio::time::sleep(minutes(5)).await;
        assert!(
            cloud.count("DescribeServices") >= 5,
            "{} reconciliations in five minutes",
            cloud.count("DescribeServices")
        );
        let failures = bench.lines.of("poll_failed").len();
        assert!(if kind.is_some() { (1..20).contains(&failures) } else { failures == 0 }, "{failures}");
        bench.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn stops_within_the_grace_period_while_it_deletes() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DeleteMessageBatch", minutes(10));
    cloud.world().messages.push_back(event(1));
    tokio::time::sleep(seconds(25)).await;
    assert!(bench.stop().await <= GRACE);
}

#[tokio::test(start_paused = true)]
async fn reconciles_without_the_queues_settings_and_reads_them_again() {
    let cloud = FakeAws::new(in_use());
    cloud.fail("GetQueueAttributes", ErrorKind::AccessDenied, 3);
    cloud.world().messages.push_back(message(1, "{"));
    let bench = start_with(cloud.clone(), None, Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    assert_eq!(cloud.count("ReceiveMessage"), 0);
    tokio::time::sleep(minutes(5)).await;
    assert_eq!(bench.lines.of("poll_failed").len(), 3);
    assert_eq!(bench.lines.of("message_rejected").len(), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn counts_everything_up_to_its_stop() {
    let cloud = FakeAws::new(quiet());
    let mut bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.world().messages.extend((0..500).map(event));
    cloud.world().messages.extend((500..530).map(|number| message(number, r#"{"source":"a","detail-type":"b"}"#)));
    // No `reconciled` is due after the first one.
    tokio::time::sleep(seconds(25)).await;
    assert_eq!(bench.lines.of("reconciled").len(), 1);
    let totals = bench.totals.clone();
    bench.order.stop(StopReason::Sigterm);
    (&mut bench.worker).await.expect("no panic");
    let Counts { messages, foreign, reconciliations, .. } = totals.get();
    assert_eq!((messages, foreign, reconciliations), (500, 30, 2));
}

#[tokio::test(start_paused = true)]
async fn is_live_whatever_fails_on_aws() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    for operation in ["ReceiveMessage", "DescribeServices", "DeleteMessageBatch", "GetQueueAttributes"] {
        // As slow as a call can be, and then failing.
        cloud.delay(operation, LONGEST_CALL);
        cloud.fail(operation, ErrorKind::Unavailable, 10_000);
    }
    cloud.world().messages.push_back(event(1));
    for second in (0..60 * 60).step_by(7) {
        tokio::time::sleep(seconds(7)).await;
        assert_eq!(bench.liveness.live(), Ok(()), "after {second} s");
    }
    assert!(bench.lines.of("reconcile_failed").len() > 10);
    let Unhealthy(why) = bench.liveness.ready().expect_err("nothing succeeds");
    assert!(why.contains("no reconciliation has succeeded for 3"), "{why}");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn is_live_and_ready_when_idle() {
    let bench = start(FakeAws::new(quiet()), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    for second in (0..60 * 60).step_by(7) {
        tokio::time::sleep(seconds(7)).await;
        assert_eq!((bench.liveness.live(), bench.liveness.ready()), (Ok(()), Ok(())), "after {second} s");
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn is_not_live_when_an_answer_never_comes() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", minutes(24 * 60));
    tokio::time::sleep(minutes(9)).await;
    assert_eq!(bench.liveness.live(), Ok(()));
    tokio::time::sleep(minutes(4)).await;
    let Unhealthy(why) = bench.liveness.live().expect_err("stuck");
    assert!(why.contains("reconciling"), "{why}");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn registers_the_task_of_a_lone_event_without_a_further_receive() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(5)).await;
    cloud.world().observed = in_use();
    let received = cloud.count("ReceiveMessage");
    cloud.delay("ReceiveMessage", seconds(60));
    cloud.send([event(1)]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(cloud.count("RegisterTargets"), 2);
    assert_eq!(cloud.count("ReceiveMessage"), received, "the next receive has no answer yet");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn drains_ten_thousand_events_with_two_thousand_one_hundred_calls() {
    let cloud = FakeAws::new(quiet());
    let millis = Duration::from_millis;
    // Slower and faster than a local sandbox: 100 to 2,000 receives a second on one connection.
    for (receive, read) in [(millis(10), millis(30)), (millis(1), millis(5)), (Duration::from_micros(500), millis(20))]
    {
        let cloud = FakeAws::new(cloud.world().observed.clone());
        for operation in ["ReceiveMessage", "DeleteMessageBatch"] {
            cloud.delay(operation, receive);
        }
        for operation in ["ListTasks", "DescribeTasks", "DescribeServices", "DescribeLoadBalancers"] {
            cloud.delay(operation, read);
        }
        cloud.world().messages.extend((0..10_000).map(event));
        let bench = start(cloud.clone(), Lifetime::UntilStopped);
        tokio::time::sleep(seconds(15)).await;
        let deleted: std::collections::BTreeSet<_> = cloud.world().deleted.iter().cloned().collect();
        assert_eq!(deleted.len(), 10_000);
        let calls = cloud.world().calls.len();
        assert!(calls <= 2_100, "{calls} calls, {} reconciliations", cloud.count("DescribeServices"));
        assert!(cloud.count("DescribeServices") <= 12, "{}", cloud.count("DescribeServices"));
        assert_eq!(cloud.count("ExtendVisibility"), 0, "no message was deferred");
        bench.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn receives_side_by_side_while_there_is_a_backlog() {
    let cloud = FakeAws::new(quiet());
    cloud.delay("ReceiveMessage", seconds(1));
    cloud.world().messages.extend((0..400).map(event));
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    // Forty receives of a second each: one, two, three, and then four at a time.
    tokio::time::sleep(seconds(14)).await;
    assert!(cloud.world().messages.is_empty(), "{} messages are left", cloud.world().messages.len());
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(cloud.world().deleted.len(), 400);
    let before = cloud.count("ReceiveMessage");
    tokio::time::sleep(minutes(7)).await;
    assert!((19..=22).contains(&(cloud.count("ReceiveMessage") - before)), "one long poll at a time");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reconciles_again_for_messages_that_arrive_during_a_reconciliation() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", seconds(5));
    let before = cloud.count("DescribeServices");
    cloud.send([event(1)]);
    tokio::time::sleep(seconds(1)).await;
    cloud.send([event(2)]);
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(cloud.world().deleted, ["id-1"]);
    assert_eq!(cloud.count("DescribeServices") - before, 2);
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(cloud.world().deleted, ["id-1", "id-2"]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn makes_messages_of_a_long_reconciliation_visible_with_those_that_arrived_later() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", minutes(5));
    cloud.send([event(1)]);
    tokio::time::sleep(seconds(1)).await;
    cloud.send([event(2)]);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(bench.stop().await, GRACE);
    assert_eq!(cloud.world().changed, [("id-2".to_owned(), Duration::ZERO), ("id-1".to_owned(), Duration::ZERO)]);
    assert_eq!(cloud.world().deleted, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn goes_on_after_an_entry_of_a_deletion_failed_and_tries_it_again() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.fail("DeleteMessageBatch", ErrorKind::Unavailable, 1);
    cloud.send([event(1)]);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(bench.lines.of("poll_failed").len(), 1);
    cloud.send([event(2)]);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(cloud.world().deleted, ["id-2"], "the first one reappears");
    bench.stop().await;
}
