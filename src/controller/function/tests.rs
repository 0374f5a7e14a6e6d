//! Invocations, on an AWS in memory and on virtual time.

use std::sync::Arc;

use super::*;
use crate::aws::fake::{FakeAws, FakeClock, Lines, noon};
use crate::controller::reconcile::Scope;
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::samples::{
    balancer, counts, idle, marked_balancer, minutes, observation, policy, running, seconds,
};

struct Bench {
    cloud: FakeAws,
    lines: Lines,
    clock: Arc<FakeClock>,
    function: Function<FakeAws, FakeAws>,
}

fn bench(seen: Observation) -> Bench {
    let cloud = FakeAws::new(seen);
    let lines = Lines::default();
    let clock = FakeClock::noon();
    let log = lines.log(clock.clone());
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let reconciler = Reconciler::new(cloud.clone(), scope.clone(), policy(), log.clone(), clock.clone());
    let inbox = Inbox::new(scope, log.clone());
    let function = Function::new(cloud.clone(), reconciler, inbox, log, clock.clone());
    Bench { cloud, lines, clock, function }
}

impl Bench {
    /// An invocation with a minute to go; returns what came of it, and how long it took.
    async fn invoke(&mut self, work: Work) -> (Result<Answer, AwsError>, Duration) {
        let began = Instant::now();
        let answer = self.function.invoke(work, began + minutes(1)).await;
        (answer, began.elapsed())
    }

    async fn messages(&mut self, messages: &[Message]) -> Vec<String> {
        self.invoke(Work::Messages(messages.to_vec())).await.0.expect("messages are answered for one by one").failed
    }
}

fn in_use() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[])))
}

fn message(id: &str, body: &str, receive_count: u32) -> Message {
    let receipt = Receipt { message_id: id.to_owned(), handle: format!("handle of {id}") };
    Message { receipt, body: body.to_owned(), receive_count, sent_at: None }
}

fn event() -> Message {
    let task = running(1).id;
    let body = format!(
        r#"{{"source":"aws.ecs","detail-type":"ECS Task State Change","time":"{}","detail":{{
            "clusterArn":"arn:aws:ecs:eu-west-1:111122223333:cluster/p-cluster",
            "taskArn":"arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{task}","version":4}}}}"#,
        noon()
    );
    message("event", &body, 1)
}

fn foreign() -> Message {
    message("foreign", r#"{"source":"aws.ec2","detail-type":"x"}"#, 1)
}

fn malformed(receive_count: u32) -> Message {
    message("malformed", "{", receive_count)
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_service_are_done_once_a_look_has_followed_them() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[event(), foreign(), event()]).await, [""; 0]);
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    assert_eq!(bench.lines.of("target_registered")[0]["latency_ms"], 0);
    assert_eq!(bench.cloud.count("DescribeServices"), 1);
    let line = &bench.lines.of("reconciled")[0];
    assert_eq!((&line["messages"], &line["foreign"]), (&2.into(), &1.into()));
    assert_eq!(bench.cloud.calls_of(&["ReceiveMessage", "DeleteMessageBatch", "Hide"]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_comes_again_and_the_others_do_not() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[event(), malformed(1), foreign()]).await, ["malformed"]);
    assert_eq!(bench.lines.of("message_rejected").len(), 1);
    assert_eq!(bench.cloud.count("GetQueueAttributes"), 0, "it comes again in any case");
}

#[tokio::test(start_paused = true)]
async fn messages_of_others_take_no_look() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[foreign(), malformed(1)]).await, ["malformed"]);
    assert_eq!(bench.cloud.count("DescribeServices"), 0);
}

#[tokio::test(start_paused = true)]
async fn on_a_queue_without_a_redrive_policy_a_malformed_message_is_done_with_at_the_fifth_receive() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[malformed(5)]).await, [""; 0]);
    assert_eq!(bench.lines.of("message_rejected")[0]["deleted"], true);
    bench.messages(&[malformed(6)]).await;
    assert_eq!(bench.cloud.count("GetQueueAttributes"), 1, "once an hour is enough");
    bench.clock.freeze(minutes(60));
    bench.messages(&[malformed(5)]).await;
    assert_eq!(bench.cloud.count("GetQueueAttributes"), 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_queue_does_not_tell_its_redrive_policy_a_malformed_message_comes_again() {
    let mut bench = bench(in_use());
    bench.cloud.fail("GetQueueAttributes", ErrorKind::AccessDenied, 1);
    assert_eq!(bench.messages(&[malformed(5)]).await, ["malformed"]);
    assert_eq!(bench.lines.of("poll_failed").len(), 1);
    bench.cloud.delay("GetQueueAttributes", minutes(5));
    let (answer, took) = bench.invoke(Work::Messages(vec![malformed(5)])).await;
    assert_eq!((answer.expect("an answer").failed.len(), took), (1, TIME_FOR_SETTINGS));
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_within_the_invocation() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::Throttled, 3);
    assert_eq!(bench.messages(&[event()]).await, [""; 0]);
    assert_eq!(bench.lines.of("reconcile_failed").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_left_to_the_next_invocation_at_once() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::AccessDenied, 10);
    let (answer, took) = bench.invoke(Work::Messages(vec![event(), foreign(), malformed(1)])).await;
    assert_eq!(answer.expect("an answer").failed, ["malformed", "event"]);
    assert_eq!(took, Duration::ZERO, "nobody pays for waiting");
    assert_eq!(bench.lines.of("reconcile_failed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_whose_look_fails_to_the_end_come_again_in_time() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::Unavailable, 10_000);
    let (answer, took) = bench.invoke(Work::Messages(vec![event()])).await;
    assert_eq!(answer.expect("an answer").failed, ["event"]);
    assert!(took <= minutes(1) - MARGIN, "{took:?}");
    assert!(bench.lines.of("reconcile_failed").len() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_would_outlast_the_invocation_is_given_up_in_time() {
    let mut bench = bench(in_use());
    bench.cloud.delay("DescribeTags", minutes(10));
    let (answer, took) = bench.invoke(Work::Messages(vec![event()])).await;
    assert_eq!(answer.expect("an answer").failed, ["event"]);
    assert_eq!(took, minutes(1) - MARGIN);
    let line = &bench.lines.of("reconcile_failed")[0];
    assert!(line["error"].as_str().expect("a text").contains("timeout"), "{line}");

    bench.cloud.delay("DescribeTags", Duration::ZERO);
    assert_eq!(bench.messages(&[event()]).await, [""; 0], "the next one does it");
}

#[tokio::test(start_paused = true)]
async fn an_invocation_whose_time_is_over_begins_nothing() {
    let mut bench = bench(in_use());
    let answer = bench.function.invoke(Work::Messages(vec![event()]), Instant::now()).await;
    assert_eq!(answer.expect("an answer").failed, ["event"]);
    assert_eq!(bench.cloud.world().calls, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_whose_look_fails_is_an_error_that_says_what_failed() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::AccessDenied, 1);
    let error = bench.invoke(Work::Tick).await.0.expect_err("the look failed");
    assert_eq!((error.kind, error.operation), (ErrorKind::AccessDenied, "DescribeServices"));
    assert_eq!(bench.invoke(Work::Tick).await.0, Ok(Answer::default()));
}

#[tokio::test(start_paused = true)]
async fn ticks_alone_mark_and_tear_down() {
    let mut bench = bench(idle(balancer(&[])));
    let (_, took) = bench.invoke(Work::Tick).await;
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
    assert_eq!(took, Duration::ZERO, "the grace isn't waited for");
    tokio::time::sleep(minutes(1)).await;
    let (_, took) = bench.invoke(Work::Tick).await;
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
    assert!(took < seconds(10), "{took:?}");
    let deletions = bench.cloud.calls_of(&["DeleteLoadBalancer", "DeleteTargetGroup"]);
    assert_eq!(deletions, ["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteTargetGroup"]);
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_takes_longer_is_left_to_the_next_tick_and_the_messages_are_done() {
    let mut bench = bench(idle(marked_balancer(&[], noon() - minutes(5))));
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::ResourceInUse, 10_000);
    let (answer, took) = bench.invoke(Work::Messages(vec![event()])).await;
    assert_eq!(answer, Ok(Answer::default()), "a look has followed them");
    assert!((seconds(45)..=minutes(1) - MARGIN).contains(&took), "{took:?}");
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_a_look_that_succeeded_does_not_bring_the_messages_back() {
    let mut bench = bench(idle(marked_balancer(&[], noon() - minutes(5))));
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::AccessDenied, 10_000);
    assert_eq!(bench.messages(&[event()]).await, [""; 0]);
    assert_eq!(bench.lines.of("reconcile_failed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_between_the_look_that_confirms_and_the_deletion_lets_nothing_be_deleted_on_it() {
    let mut bench = bench(idle(marked_balancer(&[], noon() - minutes(5))));
    let clock = bench.clock.clone();
    bench.cloud.before("DescribeServices", 2, move |_| clock.freeze(seconds(11)));
    bench.invoke(Work::Tick).await.0.expect("the next look is fresh");
    let first = &bench.lines.of("reconcile_failed")[0];
    assert!(first["error"].as_str().expect("a text").contains("began more than 10s ago"), "{first}");
    assert_eq!(bench.cloud.count("DescribeServices"), 6, "two looks before each deletion, and two after it");
}
