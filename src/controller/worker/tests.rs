//! The queue loop, on an AWS in memory and on virtual time.

use tokio::task::JoinHandle;

use super::*;
use crate::aws::fake::{FakeAws, FakeClock, Lines, noon};
use crate::aws::{LONGEST_CALL, Message};
use crate::controller::liveness::Trouble;
use crate::controller::reconcile::Scope;
use crate::shutdown::{self, ShutdownOrder};
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::samples::{
    balancer, counts, idle, marked_balancer, minutes, observation, policy, running, seconds,
};

struct Bench {
    cloud: FakeAws,
    lines: Lines,
    order: ShutdownOrder,
    liveness: Liveness,
    worker: JoinHandle<StopReason>,
}

/// A worker at work on this world.
fn start(cloud: FakeAws, lifetime: Lifetime) -> Bench {
    let settings = QueueSettings { visibility_timeout: seconds(30), redrive: crate::aws::Redrive::None };
    start_with(cloud, Some(settings), lifetime)
}

/// The same with these settings of its queue, or none that have been read.
fn start_with(cloud: FakeAws, settings: Option<QueueSettings>, lifetime: Lifetime) -> Bench {
    let lines = Lines::default();
    let clock = FakeClock::noon();
    let log = lines.log(clock.clone());
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let reconciler = Reconciler::new(cloud.clone(), scope.clone(), policy(), log.clone(), clock.clone());
    let (order, shutdown) = shutdown::channel();
    let inbox = Inbox::new(scope, log.clone());
    let liveness = Liveness::new(policy().resync_interval);
    let worker = Worker::new(WorkerParts {
        queue: cloud.clone(),
        queue_settings: settings,
        reconciler,
        inbox,
        lifetime,
        shutdown,
        log,
        clock,
        liveness: liveness.clone(),
        timing: Timing::default(),
    });
    Bench { cloud, lines, order, liveness, worker: tokio::spawn(worker.run()) }
}

impl Bench {
    /// Stops the worker, and returns what it took.
    async fn stop(self) -> Duration {
        let began = Instant::now();
        self.order.stop(StopReason::Sigterm);
        assert_eq!(self.worker.await.expect("no panic"), StopReason::Sigterm);
        began.elapsed()
    }
}

/// A service in use, its task not registered yet.
fn in_use() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[])))
}

fn quiet() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[1])))
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
async fn it_looks_before_the_first_message() {
    let bench = start(FakeAws::new(in_use()), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    let calls = bench.cloud.calls_of(&["RegisterTargets", "ReceiveMessage"]);
    assert_eq!(calls[..2], ["RegisterTargets", "RegisterTargets"]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_messages_it_looks_at_every_resync_and_polls_in_between() {
    let bench = start(FakeAws::new(quiet()), Lifetime::UntilStopped);
    tokio::time::sleep(minutes(10) + seconds(1)).await;
    assert_eq!(bench.cloud.count("DescribeServices"), 11);
    assert_eq!(bench.cloud.count("ReceiveMessage"), 31, "three polls a minute");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_due_sooner_shortens_the_poll() {
    let bench = start(FakeAws::new(idle(marked_balancer(&[], noon() - seconds(53)))), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(8)).await;
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_one_look_and_is_deleted_after_it() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    let looks = cloud.count("DescribeServices");
    cloud.world().messages.extend((0..95).map(event));
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(cloud.count("DescribeServices") - looks, 1);
    assert_eq!(cloud.count("DeleteMessageBatch"), 10);
    let order = cloud.calls_of(&["DescribeServices", "DeleteMessageBatch"]);
    assert_eq!(order[looks], "DescribeServices");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_reconcile_fails_the_batch_is_kept_hidden_and_no_more_is_received() {
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
    assert!(cloud.count("Hide") >= 7, "hidden {} times in four minutes", cloud.count("Hide"));
    let failures = bench.lines.of("reconcile_failed");
    assert_eq!(failures.last().expect("a failure")["retry_in_ms"], 60_000);
    assert_eq!(failures.last().expect("a failure")["level"], "ERROR");

    tokio::time::sleep(minutes(2)).await;
    assert_eq!(bench.lines.of("reconcile_failed").len(), 5);
    assert_eq!(cloud.count("DeleteMessageBatch"), 1);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_look_keeps_its_batch_hidden_too() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", seconds(50));
    cloud.world().messages.push_back(event(1));
    tokio::time::sleep(seconds(90)).await;
    assert_eq!(cloud.calls_of(&["Hide", "DeleteMessageBatch"]), ["Hide", "Hide", "DeleteMessageBatch"]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_read_does_not_stop_the_looks() {
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
async fn foreign_messages_are_deleted_even_while_the_reconcile_fails() {
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
async fn told_to_stop_it_leaves_the_poll_at_once() {
    let bench = start(FakeAws::new(quiet()), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(bench.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_finishes_the_reconcile_in_hand_and_deletes_its_batch() {
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
    assert_eq!(cloud.calls_of(&["Show", "DeleteMessageBatch"]), ["DeleteMessageBatch"]);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_lets_go_of_a_reconcile_that_takes_too_long() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", minutes(5));
    cloud.world().messages.push_back(event(1));
    while cloud.count("DescribeTargetGroups") < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.stop().await, GRACE);
    assert_eq!(cloud.calls_of(&["Show", "DeleteMessageBatch"]), ["Show"]);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_between_two_tries_it_shows_the_batch_and_goes_at_once() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.fail("DescribeServices", ErrorKind::AccessDenied, 10_000);
    cloud.world().messages.push_back(event(1));
    while bench.lines.of("reconcile_failed").is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.stop().await, Duration::ZERO);
    assert_eq!(cloud.calls_of(&["Show", "DeleteMessageBatch"]), ["Show"]);
}

#[tokio::test(start_paused = true)]
async fn until_empty_it_ends_once_the_teardown_that_is_due_is_done() {
    let cloud = FakeAws::new(idle(marked_balancer(&[], noon() - minutes(5))));
    cloud.world().messages.extend((0..25).map(event));
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
    assert!(cloud.world().messages.is_empty());
    assert_eq!(cloud.count("DeleteMessageBatch"), 3);
}

#[tokio::test(start_paused = true)]
async fn until_empty_it_does_not_wait_for_a_grace() {
    let cloud = FakeAws::new(idle(balancer(&[])));
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    let began = Instant::now();
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert!(began.elapsed() <= seconds(2), "{:?}", began.elapsed());
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_does_not_put_off_the_looks() {
    let cloud = FakeAws::new(quiet());
    // Ten messages wait whenever somebody asks, for a quarter of a second each time.
    cloud.delay("ReceiveMessage", Duration::from_millis(250));
    cloud.world().messages.extend((0..100_000).map(event));
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(120)).await;
    assert!(cloud.count("DescribeServices") >= 5, "{} looks in two minutes", cloud.count("DescribeServices"));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn until_empty_a_queue_that_cannot_be_read_is_not_an_empty_one() {
    let cloud = FakeAws::new(quiet());
    cloud.fail("ReceiveMessage", ErrorKind::AccessDenied, 2);
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    let began = Instant::now();
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert!(began.elapsed() >= minutes(2), "{:?}", began.elapsed());
    assert_eq!(cloud.count("ReceiveMessage"), 3);
}

#[tokio::test(start_paused = true)]
async fn until_empty_a_teardown_that_aws_refuses_is_not_waited_for() {
    let cloud = FakeAws::new(idle(marked_balancer(&[], noon() - minutes(5))));
    cloud.fail("DeleteLoadBalancer", ErrorKind::OperationNotPermitted, 10_000);
    let bench = start(cloud.clone(), Lifetime::UntilEmpty);
    assert_eq!(bench.worker.await.expect("no panic"), StopReason::QueueEmpty);
    assert_eq!(bench.lines.of("finding")[0]["finding"], "deletion_protected");
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_deleted_do_not_put_off_the_looks() {
    for (kind, latency) in [(Some(ErrorKind::Unavailable), Duration::ZERO), (None, minutes(10))] {
        let cloud = FakeAws::new(quiet());
        cloud.delay("DeleteMessageBatch", latency);
        if let Some(kind) = kind {
            cloud.fail("DeleteMessageBatch", kind, 10_000);
        }
        cloud.world().messages.extend((0..300).map(|number| message(number, r#"{"source":"a","detail-type":"b"}"#)));
        let bench = start(cloud.clone(), Lifetime::UntilStopped);
        tokio::time::sleep(minutes(5)).await;
        assert!(cloud.count("DescribeServices") >= 5, "{} looks in five minutes", cloud.count("DescribeServices"));
        assert_eq!(bench.lines.of("poll_failed").len(), usize::from(kind.is_some()));
        bench.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_it_deletes_it_goes_within_the_grace() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DeleteMessageBatch", minutes(10));
    cloud.world().messages.push_back(event(1));
    tokio::time::sleep(seconds(25)).await;
    assert!(bench.stop().await <= GRACE);
}

#[tokio::test(start_paused = true)]
async fn without_the_queues_settings_it_looks_all_the_same_and_asks_again() {
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
async fn whatever_fails_on_aws_the_worker_lives() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    for operation in ["ReceiveMessage", "DescribeServices", "DeleteMessageBatch", "GetQueueAttributes"] {
        // As slow as a call can be, and failing then.
        cloud.delay(operation, LONGEST_CALL);
        cloud.fail(operation, ErrorKind::Unavailable, 10_000);
    }
    cloud.world().messages.push_back(event(1));
    for second in (0..60 * 60).step_by(7) {
        tokio::time::sleep(seconds(7)).await;
        assert_eq!(bench.liveness.live(), Ok(()), "after {second} s");
    }
    assert!(bench.lines.of("reconcile_failed").len() > 10);
    let Trouble(why) = bench.liveness.ready().expect_err("nothing succeeds");
    assert!(why.contains("no look has succeeded for 3"), "{why}");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_at_rest_lives_and_is_ready() {
    let bench = start(FakeAws::new(quiet()), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    for second in (0..60 * 60).step_by(7) {
        tokio::time::sleep(seconds(7)).await;
        assert_eq!((bench.liveness.live(), bench.liveness.ready()), (Ok(()), Ok(())), "after {second} s");
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_for_an_answer_that_never_comes_does_not_live() {
    let cloud = FakeAws::new(quiet());
    let bench = start(cloud.clone(), Lifetime::UntilStopped);
    tokio::time::sleep(seconds(1)).await;
    cloud.delay("DescribeTags", minutes(24 * 60));
    tokio::time::sleep(minutes(9)).await;
    assert_eq!(bench.liveness.live(), Ok(()));
    tokio::time::sleep(minutes(4)).await;
    let Trouble(why) = bench.liveness.live().expect_err("stuck");
    assert!(why.contains("looking and repairing"), "{why}");
    bench.stop().await;
}
