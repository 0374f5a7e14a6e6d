//! Invocations, on an AWS in memory and on virtual time.

use std::sync::Arc;

use super::*;
use crate::aws::fake::{FakeAws, FakeClock, noon};
use crate::controller::context::Context;
use crate::controller::reconciler::ReconcilerParts;
use crate::controller::scope::Scope;
use crate::telemetry::log::fake::LogLines;
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::samples::{
    counts, idle, load_balancer, marked_load_balancer, minutes, observation, policy, running, seconds,
};

struct Bench {
    cloud: FakeAws,
    lines: LogLines,
    clock: Arc<FakeClock>,
    function: Function<FakeAws, FakeAws>,
}

fn bench(observed: Observation) -> Bench {
    let cloud = FakeAws::new(observed);
    let lines = LogLines::default();
    let clock = FakeClock::noon();
    let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
    let context = Context::new(scope, lines.log(clock.clone()), clock.clone());
    let reconciler = Reconciler::new(ReconcilerParts::new(cloud.clone(), context.clone(), policy()));
    let function = Function::new(cloud.clone(), vec![reconciler], QueueContext::from(&context));
    Bench { cloud, lines, clock, function }
}

impl Bench {
    /// Invokes the function with a minute to go, and returns the response and how long it took.
    async fn invoke(&mut self, request: Request) -> (Result<Response, AwsError>, Duration) {
        let began = Instant::now();
        let response = self.function.invoke(request, began + minutes(1)).await;
        (response, began.elapsed())
    }

    async fn messages(&mut self, messages: &[Message]) -> Vec<String> {
        self.invoke(Request::Messages(messages.to_vec())).await.0.expect("a response").failed
    }
}

fn in_use() -> Observation {
    observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[])))
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
async fn acknowledges_messages_after_a_reconciliation() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[event(), foreign(), event()]).await, [""; 0]);
    assert_eq!(bench.lines.of("target_registered").len(), 2);
    assert_eq!(bench.lines.of("target_registered")[0]["latency_ms"], 0);
    assert_eq!(bench.cloud.count("DescribeServices"), 1);
    let line = &bench.lines.of("reconciled")[0];
    assert_eq!((&line["messages"], &line["foreign"]), (&2.into(), &1.into()));
    assert_eq!(bench.cloud.calls_of(&["ReceiveMessage", "DeleteMessageBatch", "ExtendVisibility"]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn serves_the_services_that_a_change_leaves() {
    let mut bench = bench(in_use());
    let scope = |cluster: &str| Scope { cluster: cluster.into(), service: "p-service".into() };
    let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/p-cluster";
    bench.function.change(ServiceChanges { removed: vec![scope(arn)], added: Vec::new() });
    bench.messages(&[event()]).await;
    assert_eq!(bench.lines.of("reconciled").len(), 0, "its messages are foreign");
    let added = ["other-cluster", "p-cluster", arn].map(|cluster| {
        let context = Context::new(scope(cluster), bench.lines.log(bench.clock.clone()), bench.clock.clone());
        Reconciler::new(ReconcilerParts::new(bench.cloud.clone(), context, policy()))
    });
    for reconciler in added {
        bench.function.change(ServiceChanges { removed: Vec::new(), added: vec![reconciler] });
    }
    assert_eq!(bench.function.reconcilers.len(), 2, "the last one has replaced the one of the same cluster");
    bench.messages(&[event()]).await;
    assert_eq!(bench.lines.of("reconciled").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fails_only_the_malformed_message() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[event(), malformed(1), foreign()]).await, ["malformed"]);
    assert_eq!(bench.lines.of("message_rejected").len(), 1);
    assert_eq!(bench.cloud.count("GetQueueAttributes"), 0, "it reappears in any case");
}

#[tokio::test(start_paused = true)]
async fn does_not_reconcile_for_foreign_messages() {
    let mut bench = bench(in_use());
    assert_eq!(bench.messages(&[foreign(), malformed(1)]).await, ["malformed"]);
    assert_eq!(bench.cloud.count("DescribeServices"), 0);
}

#[tokio::test(start_paused = true)]
async fn acknowledges_a_malformed_message_at_the_fifth_receive_without_a_redrive_policy() {
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
async fn fails_a_malformed_message_while_the_redrive_policy_is_unknown() {
    let mut bench = bench(in_use());
    bench.cloud.fail("GetQueueAttributes", ErrorKind::AccessDenied, 1);
    assert_eq!(bench.messages(&[malformed(5)]).await, ["malformed"]);
    assert_eq!(bench.lines.of("poll_failed").len(), 1);
    bench.cloud.delay("GetQueueAttributes", minutes(5));
    let (response, took) = bench.invoke(Request::Messages(vec![malformed(5)])).await;
    assert_eq!((response.expect("a response").failed.len(), took), (1, TIME_FOR_SETTINGS));
}

#[tokio::test(start_paused = true)]
async fn retries_a_transient_error_within_the_invocation() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::Throttled, 3);
    assert_eq!(bench.messages(&[event()]).await, [""; 0]);
    assert_eq!(bench.lines.of("reconcile_failed").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn leaves_a_permanent_error_to_the_next_invocation_at_once() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::AccessDenied, 10);
    let (response, took) = bench.invoke(Request::Messages(vec![event(), foreign(), malformed(1)])).await;
    assert_eq!(response.expect("a response").failed, ["malformed", "event"]);
    assert_eq!(took, Duration::ZERO, "no time is billed for waiting");
    assert_eq!(bench.lines.of("reconcile_failed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fails_messages_before_the_deadline_when_every_attempt_fails() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::Unavailable, 10_000);
    let (response, took) = bench.invoke(Request::Messages(vec![event()])).await;
    assert_eq!(response.expect("a response").failed, ["event"]);
    assert!(took <= minutes(1) - MARGIN, "{took:?}");
    assert!(bench.lines.of("reconcile_failed").len() > 3);
}

#[tokio::test(start_paused = true)]
async fn cancels_a_reconciliation_before_the_deadline() {
    let mut bench = bench(in_use());
    bench.cloud.delay("DescribeTags", minutes(10));
    let (response, took) = bench.invoke(Request::Messages(vec![event()])).await;
    assert_eq!(response.expect("a response").failed, ["event"]);
    assert_eq!(took, minutes(1) - MARGIN);
    let line = &bench.lines.of("reconcile_failed")[0];
    assert!(line["error"].as_str().expect("a text").contains("timeout"), "{line}");

    bench.cloud.delay("DescribeTags", Duration::ZERO);
    assert_eq!(bench.messages(&[event()]).await, [""; 0], "the next invocation succeeds");
}

#[tokio::test(start_paused = true)]
async fn calls_nothing_after_the_deadline() {
    let mut bench = bench(in_use());
    let response = bench.function.invoke(Request::Messages(vec![event()]), Instant::now()).await;
    assert_eq!(response.expect("a response").failed, ["event"]);
    assert_eq!(bench.cloud.world().calls, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn fails_a_tick_with_the_error_of_its_reconciliation() {
    let mut bench = bench(in_use());
    bench.cloud.fail("DescribeServices", ErrorKind::AccessDenied, 1);
    let error = bench.invoke(Request::Tick).await.0.expect_err("the reconciliation failed");
    assert_eq!((error.kind, error.operation), (ErrorKind::AccessDenied, "DescribeServices"));
    assert_eq!(bench.invoke(Request::Tick).await.0, Ok(Response::default()));
}

#[tokio::test(start_paused = true)]
async fn marks_and_tears_down_by_ticks_alone() {
    let mut bench = bench(idle(load_balancer(&[])));
    let (_, took) = bench.invoke(Request::Tick).await;
    assert_eq!(bench.lines.of("idle_marked").len(), 1);
    assert_eq!(took, Duration::ZERO, "the grace period isn't waited for");
    tokio::time::sleep(minutes(1)).await;
    let (_, took) = bench.invoke(Request::Tick).await;
    assert_eq!(bench.lines.of("teardown_completed").len(), 1);
    assert!((seconds(10)..seconds(20)).contains(&took), "the lag of ECS, and the teardown: {took:?}");
    let deletions = bench.cloud.calls_of(&["DeleteLoadBalancer", "DeleteTargetGroup"]);
    assert_eq!(deletions, ["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteTargetGroup"]);
}

#[tokio::test(start_paused = true)]
async fn leaves_a_long_teardown_to_the_next_tick_and_acknowledges_the_messages() {
    let mut bench = bench(idle(marked_load_balancer(&[], noon() - minutes(5))));
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::ResourceInUse, 10_000);
    let (response, took) = bench.invoke(Request::Messages(vec![event()])).await;
    assert_eq!(response, Ok(Response::default()), "a reconciliation has succeeded");
    assert!((seconds(45)..=minutes(1) - MARGIN).contains(&took), "{took:?}");
    assert_eq!(bench.lines.of("load_balancer_deleted").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn acknowledges_messages_when_a_later_reconciliation_fails() {
    let mut bench = bench(idle(marked_load_balancer(&[], noon() - minutes(5))));
    bench.cloud.fail("DeleteTargetGroup", ErrorKind::AccessDenied, 10_000);
    assert_eq!(bench.messages(&[event()]).await, [""; 0]);
    assert_eq!(bench.lines.of("reconcile_failed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn does_not_delete_on_an_observation_from_before_a_freeze() {
    let mut bench = bench(idle(marked_load_balancer(&[], noon() - minutes(5))));
    let clock = bench.clock.clone();
    bench.cloud.before("DescribeServices", 2, move |_| clock.freeze(seconds(11)));
    bench.invoke(Request::Tick).await.0.expect("the next observation is fresh");
    let first = &bench.lines.of("reconcile_failed")[0];
    assert!(first["error"].as_str().expect("a text").contains("began more than 10s ago"), "{first}");
    assert_eq!(bench.cloud.count("DescribeServices"), 6, "two observations before each deletion, and two after it");
}

/// Three services, each with an AWS of its own.
struct Fleet {
    clouds: Vec<FakeAws>,
    lines: LogLines,
    function: Function<FakeAws, FakeAws>,
}

fn fleet(services: usize) -> Fleet {
    let lines = LogLines::default();
    let clock = FakeClock::noon();
    let clouds: Vec<_> = (0..services).map(|_| FakeAws::new(in_use())).collect();
    let context = |number: usize| {
        let scope = Scope { cluster: "p-cluster".into(), service: format!("service-{number}") };
        Context::new(scope, lines.log(clock.clone()), clock.clone())
    };
    let reconciler = |(number, cloud): (usize, &FakeAws)| {
        Reconciler::new(ReconcilerParts::new(cloud.clone(), context(number), policy()))
    };
    let reconcilers = clouds.iter().enumerate().map(reconciler).collect();
    let function = Function::new(FakeAws::new(in_use()), reconcilers, QueueContext::from(&context(0)));
    Fleet { clouds, lines, function }
}

impl Fleet {
    async fn invoke(&mut self, request: Request) -> (Result<Response, AwsError>, Duration) {
        let began = Instant::now();
        let response = self.function.invoke(request, began + minutes(1)).await;
        (response, began.elapsed())
    }

    fn reconciliations(&self) -> Vec<usize> {
        self.clouds.iter().map(|cloud| cloud.count("DescribeServices")).collect()
    }
}

fn event_of(number: usize, id: &str) -> Message {
    let Message { body, .. } = event();
    let body = body.replace("\"version\"", &format!("\"group\":\"service:service-{number}\",\"version\""));
    message(id, &body, 1)
}

#[tokio::test(start_paused = true)]
async fn reconciles_the_services_of_the_messages_side_by_side() {
    let mut fleet = fleet(4);
    fleet.clouds.iter().for_each(|cloud| cloud.delay("DescribeServices", seconds(5)));
    fleet.clouds[2].fail("DescribeServices", ErrorKind::AccessDenied, 1);
    let messages = [(0, "a"), (2, "b"), (3, "c"), (2, "d"), (9, "e")];
    let messages = messages.map(|(number, id)| event_of(number, id)).into_iter().chain([event(), malformed(1)]);
    let (response, took) = fleet.invoke(Request::Messages(messages.collect())).await;
    assert_eq!(response.expect("a response").failed, ["malformed", "b", "d"]);
    assert_eq!(fleet.reconciliations(), [1, 0, 1, 1], "that without a group may be about any of them");
    assert_eq!(took, seconds(5));
}

#[tokio::test(start_paused = true)]
async fn fails_the_messages_of_services_for_which_no_time_is_left() {
    let mut fleet = fleet(CONCURRENCY + 1);
    fleet.clouds.iter().for_each(|cloud| cloud.delay("DescribeServices", minutes(10)));
    let messages = (0..=CONCURRENCY).map(|number| event_of(number, &format!("{number}"))).collect();
    let (response, took) = fleet.invoke(Request::Messages(messages)).await;
    assert_eq!(response.expect("a response").failed.len(), CONCURRENCY + 1);
    assert_eq!(took, minutes(1) - MARGIN);
}

#[tokio::test(start_paused = true)]
async fn a_tick_reconciles_every_service_and_fails_only_if_all_fail() {
    let mut fleet = fleet(3);
    fleet.clouds[0].fail("DescribeServices", ErrorKind::AccessDenied, 2);
    assert_eq!(fleet.invoke(Request::Tick).await.0, Ok(Response::default()));
    assert_eq!(fleet.reconciliations(), [1; 3]);
    assert_eq!(fleet.lines.of("reconcile_failed").len(), 1);
    fleet.clouds[1..].iter().for_each(|cloud| cloud.fail("DescribeServices", ErrorKind::AccessDenied, 1));
    assert_eq!(fleet.invoke(Request::Tick).await.0.expect_err("all failed").kind, ErrorKind::AccessDenied);
}

#[tokio::test(start_paused = true)]
async fn the_next_tick_continues_with_the_services_that_were_left() {
    let mut fleet = fleet(3 * CONCURRENCY);
    // Within a minute there is time for two rounds, and for a beginning of the third one.
    fleet.clouds.iter().for_each(|cloud| cloud.delay("DescribeServices", seconds(28)));
    let all = |number: usize| vec![number; CONCURRENCY];
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    assert_eq!(fleet.reconciliations(), [all(1), all(1), all(0)].concat());
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    assert_eq!(fleet.reconciliations(), [all(2), all(1), all(1)].concat());
    // Without time for a beginning.
    fleet.clouds.iter().for_each(|cloud| cloud.delay("DescribeServices", seconds(29)));
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    assert_eq!(fleet.reconciliations(), [all(2), all(2), all(2)].concat());
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    assert_eq!(fleet.reconciliations(), [all(3), all(3), all(2)].concat());
}

#[tokio::test(start_paused = true)]
async fn a_change_keeps_the_order_of_the_services_that_stay() {
    let mut fleet = fleet(3 * CONCURRENCY);
    fleet.clouds.iter().for_each(|cloud| cloud.delay("DescribeServices", seconds(28)));
    let all = |number: usize| vec![number; CONCURRENCY];
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    assert_eq!(fleet.reconciliations(), [all(1), all(1), all(0)].concat());
    fleet.function.change(ServiceChanges::default());
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    assert_eq!(fleet.reconciliations(), [all(2), all(1), all(1)].concat());
    // Of the next ones, the first is removed, and the second is replaced.
    let scope = |number: usize| Scope { cluster: "p-cluster".into(), service: format!("service-{number}") };
    let (gone, replaced) = (CONCURRENCY, CONCURRENCY + 1);
    let clock = FakeClock::noon();
    let context = Context::new(scope(replaced), fleet.lines.log(clock.clone()), clock);
    let replacement = Reconciler::new(ReconcilerParts::new(fleet.clouds[replaced].clone(), context, policy()));
    fleet.function.change(ServiceChanges { removed: vec![scope(gone)], added: vec![replacement] });
    fleet.invoke(Request::Tick).await.0.expect("most succeed");
    let mut expected = [all(2), all(2), all(2)].concat();
    // One place of the second round is free for the service that was reconciled longest ago.
    (expected[gone], expected[0]) = (1, 3);
    assert_eq!(fleet.reconciliations(), expected);
}
