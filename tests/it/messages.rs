//! Messages: events, foreign and malformed ones, and all of them while AWS fails.

use std::time::Duration;

use serde_json::{Value, json};

use crate::platform::{LoadBalancer, Platform, Queue, Started};
use crate::proxy::Call;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::{Launch, Line, Watcher};

on_moto_and_sandbox!(
    deletes_and_counts_foreign_messages_without_reconciling,
    logs_malformed_messages_and_leaves_them_to_the_redrive_policy,
    deletes_a_malformed_message_at_the_fifth_receive_without_a_redrive_policy,
    uses_an_event_without_a_group,
    uses_an_event_without_a_version,
    uses_an_event_without_attachments,
    uses_an_event_with_only_a_cluster_and_a_task,
    ignores_unknown_fields,
    deletes_a_message_only_after_a_reconciliation_that_began_after_it_arrived,
    receives_nothing_more_while_the_reconciliation_fails,
    handles_each_message_of_a_batch_by_itself,
    ignores_what_a_late_event_says,
    ignores_what_a_forged_event_says,
    waits_until_ecs_shows_the_version_of_the_event,
    logs_a_version_that_ecs_never_shows_and_acts_on_what_it_shows,
    retries_an_entry_that_could_not_be_deleted,
    reconciles_again_for_an_event_that_arrives_during_a_reconciliation,
);

/// A platform with a load balancer, and a worker that has reconciled once and polls the queue.
async fn listening(aws: Aws, queue: Queue) -> (Platform, LoadBalancer, Watcher) {
    let platform = Platform::with_queue(aws, queue).await;
    let load_balancer = platform.create_load_balancer().await;
    let watcher = Launch::run(&platform).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    (platform, load_balancer, watcher)
}

/// The ids of the entries of a batch call.
fn entries(call: &Call) -> usize {
    let body: Value = serde_json::from_str(&call.body).expect("SQS speaks JSON");
    body["Entries"].as_array().map_or(0, Vec::len)
}

fn deletions(platform: &Platform) -> usize {
    platform.proxy.calls_of("sqs:DeleteMessageBatch").iter().filter(|call| call.succeeded()).map(entries).sum()
}

async fn deletes_and_counts_foreign_messages_without_reconciling(aws: Aws) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    let before = platform.proxy.count("ecs:DescribeServices");
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut foreign = event.clone();
        change(&mut foreign);
        foreign.to_string()
    };
    let other_cluster = platform.cluster_arn().replace("-cluster", "-other");
    let foreign = [
        with(&|event| event["detail"]["clusterArn"] = json!(other_cluster)),
        with(&|event| event["detail"]["group"] = json!("service:another")),
        with(&|event| event["detail"]["group"] = json!("family:migration")),
        with(&|event| event["detail-type"] = json!("ECS Deployment State Change")),
        with(&|event| event["source"] = json!("aws.ec2")),
    ];
    platform.send_all(&foreign).await;
    platform.wait_until_queue_empty().await;
    assert_eq!(deletions(&platform), foreign.len());
    assert_eq!(platform.proxy.count("ecs:DescribeServices"), before, "none of them causes a reconciliation");

    platform.send(&event).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
    let counted = eventually("the foreign messages are counted", async || {
        let counted: i64 = watcher.events("reconciled").iter().map(|line| line.number("foreign")).sum();
        (counted > 0).then_some(counted)
    })
    .await;
    assert_eq!(counted, 5);
    watcher.assert_no_trouble();
}

async fn logs_malformed_messages_and_leaves_them_to_the_redrive_policy(aws: Aws) {
    let queue = Queue { dead_letter_after: Some(2), visibility_seconds: 3 };
    let (platform, load_balancer, watcher) = listening(aws, queue).await;
    let long = format!("{{\"endless\": \"{}\"", "x".repeat(5000));
    let malformed = [
        "not json".to_owned(),
        "[]".to_owned(),
        r#"{"hello": 1}"#.to_owned(),
        json!({ "source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": {} }).to_string(),
        long.clone(),
    ];
    platform.send_all(&malformed).await;
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;

    // They don't prevent the handling of the others.
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    eventually("the malformed ones are dead letters", async || {
        (platform.dead_letters().await == malformed.len()).then_some(())
    })
    .await;
    platform.wait_until_queue_empty().await;
    assert_eq!(deletions(&platform), 1, "only the event is deleted");

    for body in &malformed {
        let line = watcher.wait_for_that("message_rejected", |line| body.starts_with(line.text("body"))).await;
        assert_eq!(line["deleted"], false);
        assert!(!line.text("reason").is_empty());
        assert!(!line.text("message_id").is_empty());
        assert!(line.text("body").len() <= 2048, "the body is cut to 2 KiB");
    }
    let line = watcher.wait_for_that("message_rejected", |line| line.text("body").starts_with("{\"endless")).await;
    assert_eq!(line.text("body").len(), 2048);
}

async fn deletes_a_malformed_message_at_the_fifth_receive_without_a_redrive_policy(aws: Aws) {
    let queue = Queue { dead_letter_after: None, visibility_seconds: 1 };
    let (platform, _, watcher) = listening(aws, queue).await;
    let body = format!("so much {}", "y".repeat(3000));
    platform.send_text(&body).await;
    let last = watcher.wait_for_that("message_rejected", |line| line["deleted"] == true).await;
    assert_eq!(last.number("receive_count"), 5);
    assert_eq!(last.text("body"), body, "a deleted message is logged whole");
    platform.wait_until_queue_empty().await;
    let earlier: Vec<Line> = watcher.events("message_rejected");
    assert!(earlier.iter().filter(|line| line["deleted"] == true).count() == 1);
}

/// Removes fields from an event; the task must still be registered, and the message deleted.
async fn is_used_without(aws: Aws, strip: impl Fn(&mut Value)) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    let task = platform.scale_to_one().await;
    let mut event = platform.event_for(&task).await;
    strip(&mut event);
    platform.send(&event).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
    watcher.assert_no_trouble();
}

fn without(event: &mut Value, field: &str) {
    event["detail"].as_object_mut().expect("a detail").remove(field).expect("the field was there");
}

async fn uses_an_event_without_a_group(aws: Aws) {
    is_used_without(aws, |event| without(event, "group")).await;
}

async fn uses_an_event_without_a_version(aws: Aws) {
    is_used_without(aws, |event| without(event, "version")).await;
}

async fn uses_an_event_without_attachments(aws: Aws) {
    is_used_without(aws, |event| without(event, "attachments")).await;
}

async fn uses_an_event_with_only_a_cluster_and_a_task(aws: Aws) {
    is_used_without(aws, |event| {
        let detail = json!({ "clusterArn": event["detail"]["clusterArn"], "taskArn": event["detail"]["taskArn"] });
        *event = json!({ "source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail });
    })
    .await;
}

async fn ignores_unknown_fields(aws: Aws) {
    is_used_without(aws, |event| {
        event["tomorrow"] = json!({ "deep": [1, null, { "er": true }] });
        event["detail"]["tomorrow"] = json!([[], {}]);
        event["detail"]["attachments"][0]["details"][0]["value"] = json!(null);
        event["detail"]["attachments"].as_array_mut().expect("attachments").push(json!({
            "id": "1", "type": "Service Connect", "status": "ATTACHED",
            "details": [{ "name": "ContainerName", "value": "ecs-service-connect" }],
        }));
    })
    .await;
}

async fn deletes_a_message_only_after_a_reconciliation_that_began_after_it_arrived(aws: Aws) {
    // Long enough for the worker to extend it in time, at half of it.
    let queue = Queue { visibility_seconds: 12, ..Queue::default() };
    let (platform, load_balancer, mut watcher) = listening(aws, queue).await;
    let fault = platform.proxy.on("ecs:DescribeServices").error(500, "ServerException", "internal");
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;

    watcher.wait_for_that("reconcile_failed", |line| line.number("attempt") >= 2).await;
    platform.proxy.wait_for_calls("sqs:ChangeMessageVisibilityBatch", 1).await;
    assert_eq!(deletions(&platform), 0, "no reconciliation has succeeded");
    assert_eq!(platform.visible_messages().await, 0, "the message stays invisible meanwhile");
    assert_eq!(platform.queue_depth().await, 1);
    assert!(watcher.is_running());

    fault.lift();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
    let calls = platform.proxy.calls();
    let deleted = calls.iter().position(|call| call.name == "sqs:DeleteMessageBatch").expect("it was deleted");
    let received = calls.iter().position(|call| call.name == "sqs:ReceiveMessage" && call.succeeded());
    let succeeded = calls
        .iter()
        .rposition(|call| call.name == "ecs:DescribeServices" && call.succeeded() && call.at < calls[deleted].at);
    let succeeded = succeeded.expect("a reconciliation succeeded");
    assert!(Some(succeeded) > received);
    assert!(calls[succeeded].answered.expect("an answer") <= calls[deleted].at);
    // While the reconciliation fails, the worker keeps to its batch.
    let failing = watcher.events("reconcile_failed");
    assert!(!failing[0].text("error_operation").is_empty());
    assert!(!failing[0].text("error_service").is_empty());
    assert!(failing[0].number("retry_in_ms") > 0);
}

async fn receives_nothing_more_while_the_reconciliation_fails(aws: Aws) {
    let queue = Queue { visibility_seconds: 10, ..Queue::default() };
    let (platform, _, watcher) = listening(aws, queue).await;
    let fault = platform.proxy.on("ecs:DescribeServices").error(500, "ServerException", "internal");
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    watcher.wait_for("reconcile_failed").await;
    let received = platform.proxy.count("sqs:ReceiveMessage");
    platform.send_event_for(&task).await;
    watcher.wait_for_that("reconcile_failed", |line| line.number("attempt") >= 2).await;
    assert_eq!(platform.proxy.count("sqs:ReceiveMessage"), received);
    fault.lift();
    platform.wait_until_queue_empty().await;
}

async fn handles_each_message_of_a_batch_by_itself(aws: Aws) {
    let queue = Queue { dead_letter_after: Some(2), visibility_seconds: 4 };
    let (platform, load_balancer, watcher) = listening(aws, queue).await;
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    // Two events, a foreign one and a malformed one, all there before the worker polls again.
    watcher.signal("STOP");
    let mut bodies = Vec::new();
    for task in &tasks {
        bodies.push(platform.event_for(task).await.to_string());
    }
    let mut foreign = platform.event_for(&tasks[0]).await;
    foreign["detail"]["group"] = json!("service:another");
    bodies.push(foreign.to_string());
    bodies.push("nonsense".to_owned());
    platform.send_all(&bodies).await;
    watcher.signal("CONT");

    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    eventually("the malformed one is a dead letter", async || (platform.dead_letters().await == 1).then_some(())).await;
    platform.wait_until_queue_empty().await;
    assert_eq!(watcher.events("reconcile_failed").len(), 0);
}

async fn ignores_what_a_late_event_says(aws: Aws) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    let old = platform.scale_to_one().await;
    let running = platform.event_for(&old).await;
    platform.stop_task(&old).await;
    let new = platform.run_task().await;
    platform.send_event_for(&old).await;
    platform.send(&running).await;
    platform.wait_for_targets(&load_balancer, &[&new.ip]).await;
    platform.wait_until_queue_empty().await;
    assert!(watcher.events("target_registered").iter().all(|line| line.text("ip") == new.ip));
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn reconciles_once_for_stale_events_and_an_urgent_one() {
    let (platform, load_balancer, watcher) = listening(Aws::Moto, Queue::default()).await;
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    platform.send_event_for(&tasks[0]).await;
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    platform.wait_until_queue_empty().await;

    // All there before the worker polls again.
    watcher.signal("STOP");
    let before = platform.proxy.count("ecs:DescribeServices");
    let stale = platform.event_for(&tasks[0]).await.to_string();
    platform.send_all(&vec![stale; 300]).await;
    platform.set_desired(1).await;
    platform.stop_task(&tasks[0]).await;
    platform.send_event_for(&tasks[0]).await;
    watcher.signal("CONT");

    platform.wait_for_targets(&load_balancer, &[&tasks[1].ip]).await;
    platform.wait_until_queue_empty().await;
    let taken = platform.proxy.count("ecs:DescribeServices") - before;
    assert!(taken <= 10, "{taken} reconciliations for 301 messages");
    watcher.assert_no_trouble();
}

async fn ignores_what_a_forged_event_says(aws: Aws) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;

    // A task that ECS never had, and a false statement about one that it has.
    let mut invented = platform.event_for(&task).await;
    let arn = task.arn.replace(&task.id, "00000000000000000000000000000000");
    invented["detail"]["taskArn"] = json!(arn);
    invented["detail"]["attachments"][0]["details"][4]["value"] = json!("10.6.6.6");
    invented["time"] = json!("2020-01-01T00:00:00Z");
    let mut lie = platform.event_for(&task).await;
    lie["detail"]["lastStatus"] = json!("STOPPED");
    lie["detail"]["desiredStatus"] = json!("STOPPED");
    platform.send(&invented).await;
    platform.send(&lie).await;
    platform.wait_until_queue_empty().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert!(watcher.events("target_deregistered").is_empty());
    watcher.assert_no_trouble();
}

/// Makes DescribeTasks show the task as it was before it ran, for so many calls. Returns the version that its event
/// announces; DescribeTasks shows the one before.
async fn lag(platform: &Platform, task: &Started, calls: usize) -> i64 {
    let version = platform.event_for(task).await["detail"]["version"].as_i64().expect("a version");
    let arn = task.arn.clone();
    let mut left = calls;
    platform.proxy.on("ecs:DescribeTasks").rewrite_json(move |answer| {
        for task in answer["tasks"].as_array_mut().expect("tasks") {
            if task["taskArn"] != arn.as_str() {
                continue;
            }
            task["version"] = json!(version);
            if left > 0 {
                left -= 1;
                task["version"] = json!(version - 1);
                task["lastStatus"] = json!("PENDING");
            }
        }
    });
    version
}

async fn waits_until_ecs_shows_the_version_of_the_event(aws: Aws) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await;
    lag(&platform, &task, 2).await;
    let described = platform.proxy.count("ecs:DescribeTasks");
    platform.send(&event).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert!(platform.proxy.count("ecs:DescribeTasks") >= described + 3);
    assert!(watcher.events("task_version_behind").is_empty());
    platform.wait_until_queue_empty().await;
    watcher.assert_no_trouble();
}

async fn logs_a_version_that_ecs_never_shows_and_acts_on_what_it_shows(aws: Aws) {
    let (platform, _, watcher) = listening(aws, Queue::default()).await;
    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await;
    let version = lag(&platform, &task, usize::MAX).await;
    platform.send(&event).await;
    let line = watcher.wait_for("task_version_behind").await;
    assert_eq!(line.text("task_id"), task.id);
    assert_eq!(line.number("event_version"), version);
    assert_eq!(line.number("seen_version"), version - 1);
    // The event says that the task runs; ECS, that it starts.
    assert_eq!(watcher.wait_for("target_registered").await.text("reason"), "task_starting");
    platform.wait_until_queue_empty().await;
    watcher.assert_no_trouble();
}

async fn retries_an_entry_that_could_not_be_deleted(aws: Aws) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    // The call succeeds, and each of its entries fails.
    let fault = platform.proxy.on("sqs:DeleteMessageBatch").times(1).rewrite_json(|answer| {
        let failed: Vec<Value> = answer["Successful"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| json!({ "Id": entry["Id"], "SenderFault": false, "Code": "InternalError", "Message": "no" }))
            .collect();
        *answer = json!({ "Successful": [], "Failed": failed });
    });
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    fault.wait_for_hits(1).await;
    let calls = platform.proxy.wait_for_calls("sqs:DeleteMessageBatch", 2).await;
    assert_eq!(entries(&calls[1]), entries(&calls[0]));
    assert!(watcher.events("message_rejected").is_empty());
}

async fn reconciles_again_for_an_event_that_arrives_during_a_reconciliation(aws: Aws) {
    let (platform, load_balancer, watcher) = listening(aws, Queue::default()).await;
    let first = platform.scale_to_one().await;
    // The reconciliation for the first task is slow to read the load balancer, after it has read the tasks.
    let slow = platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").times(1).delay(Duration::from_secs(3));
    platform.send_event_for(&first).await;
    slow.wait_for_hits(1).await;
    platform.set_desired(2).await;
    let second = platform.run_task().await;
    platform.send_event_for(&second).await;
    platform.wait_for_targets(&load_balancer, &[&first.ip, &second.ip]).await;
    platform.wait_until_queue_empty().await;
    watcher.assert_no_trouble();
}
