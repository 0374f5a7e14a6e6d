//! The function on AWS Lambda: the built program, invoked through the Runtime API.

use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::platform::{MARK_SINCE, Platform, Queue};
use crate::runtime_api::{Outcome, RuntimeApi};
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

/// Enough time for everything.
const MINUTE: Duration = Duration::from_secs(60);

/// Time for one reconciliation and not for a second one: the function requeues a teardown after two seconds, begins no
/// reconciliation with less than three seconds left, and responds one second before the deadline.
const ONE_RECONCILIATION: Duration = Duration::from_millis(5900);

/// The program as Lambda starts it: without any argument.
pub fn launch(platform: &Platform, api: &RuntimeApi) -> Launch {
    Launch::new(platform, "")
        .env("JVB_WATCHER_IDLE_GRACE", "1s")
        .env("JVB_WATCHER_UNUSED_GRACE", "1s")
        .env("AWS_LAMBDA_RUNTIME_API", &api.address())
        .env("AWS_LAMBDA_FUNCTION_NAME", "jvb-watcher")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
}

/// The event of a rule with a rate.
pub fn tick() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "111122223333",
        "time": "2026-11-20T18:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:111122223333:rule/jitsi-jvb-watcher-tick"],
        "detail": {},
    })
}

/// A message as the event source mapping passes it.
fn record(id: &str, body: &str, receive_count: &str) -> Value {
    json!({
        "messageId": id,
        "receiptHandle": format!("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a {id}"),
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": receive_count,
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:jitsi-jvb-watcher",
        "awsRegion": "eu-central-1",
    })
}

fn batch(records: &[Value]) -> Value {
    json!({ "Records": records })
}

const FOREIGN: &str = r#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{}}"#;

/// Lambda's event source mapping, once: receives, invokes, and deletes the messages that the response doesn't fail.
/// Returns the number of messages.
async fn map_once(platform: &Platform, api: &RuntimeApi) -> usize {
    let received = platform
        .sqs
        .receive_message()
        .queue_url(&platform.queue_url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
        .send()
        .await
        .expect("an answer of the queue");
    let messages = received.messages();
    if messages.is_empty() {
        return 0;
    }
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            let count =
                &message.attributes().expect("attributes")[&MessageSystemAttributeName::ApproximateReceiveCount];
            record(message.message_id().expect("an id"), message.body().unwrap_or_default(), count)
        })
        .collect();
    let outcome = api.invoke(&batch(&records), MINUTE).await;
    for message in messages {
        if !outcome.failures().contains(&message.message_id().expect("an id")) {
            let delete = platform.sqs.delete_message().queue_url(&platform.queue_url);
            delete.receipt_handle(message.receipt_handle().expect("a handle")).send().await.expect("deleted");
        }
    }
    messages.len()
}

/// The function itself receives and deletes nothing.
fn assert_leaves_the_queue_alone(platform: &Platform) {
    let calls: Vec<String> = platform.proxy.calls().into_iter().map(|call| call.name).collect();
    assert!(!calls.iter().any(|name| name.starts_with("sqs:")), "{calls:?}");
}

#[tokio::test]
async fn registers_tasks_for_the_queues_messages() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let load_balancer = platform.create_load_balancer().await;
    let watcher = launch(&platform, &api).start();
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.send_text(FOREIGN).await;
    while platform.queue_depth().await > 0 {
        map_once(&platform, &api).await;
    }
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started.text("form"), "lambda");
    let registered = watcher.wait_for("target_registered").await;
    assert_eq!(registered.text("task_id"), task.id);
    registered.number("latency_ms");
    let reconciled = watcher.wait_for_that("reconciled", |line| line.number("changes") > 0).await;
    assert_eq!(reconciled.number("messages"), 1);
    let figures = watcher.wait_for_that("metrics", |line| line["EventsReceived"] == 1).await;
    // The record was sent in December of 2018.
    assert!(figures["QueueAge"].as_f64().is_some_and(|age| age > 2e8), "{}", figures.0);
    assert_leaves_the_queue_alone(&platform);
    watcher.assert_no_trouble();
}

/// Starts a process for so many invocations, and kills it after its last response.
async fn one_process(platform: &Platform, api: &RuntimeApi, idle_grace: &str, ticks: usize) -> Vec<String> {
    let mut watcher: Watcher = launch(platform, api).env("JVB_WATCHER_IDLE_GRACE", idle_grace).start();
    for _ in 0..ticks {
        assert_eq!(
            api.invoke(&tick(), ONE_RECONCILIATION).await,
            Outcome::Response(json!({ "batchItemFailures": [] }))
        );
    }
    // After its response a process is frozen, or gone.
    watcher.signal("KILL");
    watcher.wait_exit().await;
    watcher.assert_no_trouble();
    watcher.lines().iter().map(|line| line.event().to_owned()).collect()
}

#[tokio::test]
async fn tears_down_by_ticks_in_one_process_each() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    platform.scale_to_zero(&[&task]).await;

    // A grace period that cannot end within this process.
    let events = one_process(&platform, &api, "1h", 2).await;
    assert!(events.contains(&"idle_marked".to_owned()), "{events:?}");
    assert!(platform.is_whole(&load_balancer).await);
    for arn in load_balancer.arns() {
        assert!(platform.tags(arn).await.contains_key(MARK_SINCE));
    }

    let deleted = eventually("the load balancer is deleted after the grace period", async || {
        let events = one_process(&platform, &api, "1s", 1).await;
        (!platform.load_balancer_exists().await).then_some(events)
    })
    .await;
    assert!(deleted.contains(&"teardown_started".to_owned()), "{deleted:?}");
    assert!(deleted.contains(&"load_balancer_deleted".to_owned()), "{deleted:?}");
    assert!(platform.target_group_exists(&load_balancer.groups[0]).await, "the time was for one reconciliation");

    // The turn of any process comes by then: after the grace period, and at most twice the delay of takeovers, which is as long.
    let mark = platform.tags(load_balancer.arns().last().expect("a group")).await.remove(MARK_SINCE).expect("a mark");
    let turn = mark.parse::<Timestamp>().expect("a time") + Duration::from_secs(3);
    eventually("the turn of every process has come", async || (Timestamp::now() >= turn).then_some(())).await;
    let events = one_process(&platform, &api, "1s", 2).await;
    assert!(platform.is_torn_down(&load_balancer).await);
    let logged: Vec<_> = events.iter().filter(|event| event.contains("teardown") || event.contains("group")).collect();
    let expected = ["teardown_started", "target_group_deleted", "target_group_deleted", "teardown_completed"];
    assert_eq!(logged, expected);
    assert_leaves_the_queue_alone(&platform);
}

#[tokio::test]
async fn completes_a_teardown_in_one_invocation_with_enough_time() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let load_balancer = platform.create_load_balancer().await;
    let watcher = launch(&platform, &api).start();
    eventually("nothing is left", async || {
        api.invoke(&json!({}), MINUTE).await;
        platform.is_torn_down(&load_balancer).await.then_some(())
    })
    .await;
    let order = ["idle_marked", "load_balancer_deleted", "target_group_deleted", "teardown_completed"];
    assert_eq!(
        watcher.order_of(&order),
        ["idle_marked", "load_balancer_deleted", "target_group_deleted", "target_group_deleted", "teardown_completed"]
    );
    assert_eq!(watcher.events("watcher_started").len(), 1);
}

#[tokio::test]
async fn fails_only_malformed_messages() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    platform.create_load_balancer().await;
    let watcher = launch(&platform, &api).start();
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await.to_string();
    let records =
        [record("own", &event, "1"), record("foreign", FOREIGN, "1"), record("a", "{", "1"), record("b", "", "2")];
    assert_eq!(api.invoke(&batch(&records), MINUTE).await.failures(), ["a", "b"]);
    let rejected = watcher.events("message_rejected");
    let ids: Vec<_> = rejected.iter().map(|line| line.text("message_id")).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn sends_malformed_messages_to_the_dead_letter_queue() {
    let queue = Queue { dead_letter_after: Some(2), visibility_seconds: 1 };
    let (platform, api) = (Platform::with_queue(Aws::Moto, queue).await, RuntimeApi::start().await);
    let watcher = launch(&platform, &api).start();
    platform.send_text("not JSON").await;
    eventually("it is a dead letter", async || {
        map_once(&platform, &api).await;
        (platform.dead_letters().await == 1).then_some(())
    })
    .await;
    assert_eq!(watcher.events("message_rejected").len(), 2);
}

#[tokio::test]
async fn acknowledges_a_malformed_message_at_the_fifth_receive_without_a_redrive_policy() {
    let queue = Queue { dead_letter_after: None, visibility_seconds: 30 };
    let (platform, api) = (Platform::with_queue(Aws::Moto, queue).await, RuntimeApi::start().await);
    let watcher = launch(&platform, &api).start();
    assert_eq!(api.invoke(&batch(&[record("a", "{", "4")]), MINUTE).await.failures(), ["a"]);
    assert_eq!(api.invoke(&batch(&[record("a", "{", "5")]), MINUTE).await.failures(), [""; 0]);
    let line = watcher.wait_for_that("message_rejected", |line| line["deleted"] == true).await;
    assert_eq!(line.number("receive_count"), 5);
    assert_eq!(platform.proxy.count("sqs:DeleteMessageBatch"), 0, "the mapping deletes it");
}

#[tokio::test]
async fn fails_messages_and_ticks_while_aws_denies_a_call() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let load_balancer = platform.create_load_balancer().await;
    let watcher = launch(&platform, &api).start();
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await.to_string();
    let records = [record("own", &event, "1"), record("foreign", FOREIGN, "1"), record("malformed", "{", "1")];

    let fault = platform.proxy.on("ecs:DescribeServices").error(400, "AccessDeniedException", "not authorized");
    let mut failures = api.invoke(&batch(&records), MINUTE).await.failures().join(" ");
    assert_eq!(failures, "malformed own");
    let failed = watcher.wait_for("reconcile_failed").await;
    assert!(failed.text("error").contains("allow the action ecs:DescribeServices"), "{failed:?}");
    let Outcome::Error(error) = api.invoke(&tick(), MINUTE).await else { panic!("the tick's reconciliation failed") };
    assert_eq!(error["errorType"], "LookFailed");
    assert!(error["errorMessage"].as_str().expect("a text").contains("ecs:DescribeServices"), "{error}");
    assert!(watcher.events("diagnostic").is_empty(), "the failure is logged once");

    fault.lift();
    failures = api.invoke(&batch(&records), MINUTE).await.failures().join(" ");
    assert_eq!(failures, "malformed");
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
}

#[tokio::test]
async fn retries_a_transient_error_within_the_invocation() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let load_balancer = platform.create_load_balancer().await;
    let watcher = launch(&platform, &api).start();
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await.to_string();
    // The SDK tries three times, then the function retries.
    platform.proxy.on("ecs:DescribeServices").times(4).error(500, "ServerException", "try again");
    assert_eq!(api.invoke(&batch(&[record("own", &event, "1")]), MINUTE).await.failures(), [""; 0]);
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert_eq!(watcher.events("reconcile_failed").len(), 1);
}

#[tokio::test]
async fn cancels_a_reconciliation_before_the_deadline() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let load_balancer = platform.create_load_balancer().await;
    let watcher = launch(&platform, &api).start();
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await.to_string();
    let records = batch(&[record("own", &event, "1")]);
    let fault = platform.proxy.on("ecs:DescribeServices").hang();
    assert_eq!(api.invoke(&records, Duration::from_secs(3)).await.failures(), ["own"]);
    let failed = watcher.wait_for("reconcile_failed").await;
    assert!(failed.text("error").contains("a longer timeout"), "{failed:?}");

    fault.lift();
    assert_eq!(api.invoke(&records, MINUTE).await.failures(), [""; 0]);
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
}

#[tokio::test]
async fn fails_an_unknown_event_and_handles_the_next_one() {
    let (platform, api) = (Platform::new().await, RuntimeApi::start().await);
    let watcher = launch(&platform, &api).start();
    let unknown = json!({ "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification" });
    let Outcome::Error(error) = api.invoke(&unknown, MINUTE).await else { panic!("it can't be taken") };
    assert_eq!(error["errorType"], "UnknownEvent");
    assert!(error["errorMessage"].as_str().expect("a text").contains("messages of an SQS queue"), "{error}");
    let rejected = watcher.wait_for("invocation_rejected").await;
    assert!(rejected.text("body").contains("aws.ec2"), "{rejected:?}");
    assert_eq!(api.invoke(&tick(), MINUTE).await.failures(), [""; 0]);
    watcher.wait_for("reconciled").await;
}

#[tokio::test]
async fn fails_the_init_with_the_reason_when_the_configuration_is_wrong() {
    let platform = Platform::new().await;
    let api = RuntimeApi::start().await;
    let cases = [
        (launch(&platform, &api).without_env("JITSI_PROJECT"), "--project"),
        (launch(&platform, &api).env("JVB_WATCHER_IDLE_GRACE", "soon"), "--idle-grace"),
        (launch(&platform, &api).without_env("JITSI_AWS_REGION"), "--region"),
        (launch(&platform, &api).without_env("AWS_ACCESS_KEY_ID"), "credentials"),
        (launch(&platform, &api).env("JVB_WATCHER_LOAD_BALANCER", "internal-x"), "--load-balancer"),
        (launch(&platform, &api).without_env("AWS_LAMBDA_FUNCTION_VERSION"), "AWS_LAMBDA_FUNCTION_VERSION"),
    ];
    for (number, (launch, says)) in cases.into_iter().enumerate() {
        let finished = launch.finish().await;
        assert_eq!(finished.code, Some(2), "{says}");
        assert!(finished.stderr.contains(says), "{}", finished.stderr);
        let errors = api.init_errors();
        assert_eq!(errors.len(), number + 1, "{says}");
        let error = &errors[number];
        assert!(error["errorMessage"].as_str().expect("a text").contains(says), "{error}");
        assert_eq!((&error["errorType"], &error["header"]), (&json!("Runtime.ConfigInvalid"), &error["errorType"]));
    }
}

#[tokio::test]
async fn refuses_to_run_outside_of_lambda() {
    let platform = Platform::new().await;
    let finished = Launch::new(&platform, "lambda").finish().await;
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("AWS_LAMBDA_RUNTIME_API"), "{}", finished.stderr);
    let finished = Launch::new(&platform, "").finish().await;
    assert_eq!(finished.code, Some(2), "without a command");
}
