//! `--publish-events`: the events that a rule and a queue of a consumer receive, and a bus that rejects all events.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::platform::Platform;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::Launch;

on_moto_and_sandbox! {
    a_consumer_receives_the_events_of_an_evening,
    a_bus_that_rejects_events_blocks_nothing,
}

/// A consumer of the events that the watcher of a platform publishes: a rule and a queue.
struct Consumer<'a> {
    platform: &'a Platform,
    queue_url: String,
    /// The events received, by their IDs.
    received: BTreeMap<String, Value>,
}

impl<'a> Consumer<'a> {
    async fn of(platform: &'a Platform) -> Self {
        let name = format!("{}-consumer", platform.project);
        let created = platform.sqs.create_queue().queue_name(&name).send().await.expect("a queue");
        let queue_url = created.queue_url().expect("its URL").to_owned();
        let pattern = json!({ "source": ["jvb-watcher"], "detail": { "project": [platform.project] } });
        platform.route_to(&name, &pattern.to_string(), &name, &queue_url).await;
        Self { platform, queue_url, received: BTreeMap::new() }
    }

    async fn receive(&mut self) {
        let request = self.platform.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
        let response = request.send().await.expect("messages can be received");
        for message in response.messages() {
            let event: Value = serde_json::from_str(message.body().expect("a body")).expect("JSON");
            let id = event["detail"]["id"].as_str().expect("an id").to_owned();
            self.received.insert(id, event);
            let handle = message.receipt_handle().expect("a receipt");
            let request = self.platform.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
            request.send().await.expect("a message can be deleted");
        }
    }

    /// Receives until an event has this detail type and meets a condition.
    async fn wait_for(&mut self, detail_type: &str, condition: impl Fn(&Value) -> bool) {
        let limit = tokio::time::Instant::now() + Duration::from_secs(60);
        let matches = |event: &Value| event["detail-type"] == detail_type && condition(&event["detail"]);
        while !self.received.values().any(matches) {
            assert!(tokio::time::Instant::now() < limit, "no {detail_type} among {:#?}", self.received);
            self.receive().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn a_consumer_receives_the_events_of_an_evening(aws: Aws) {
    let platform = Platform::on(aws).await;
    let mut consumer = Consumer::of(&platform).await;
    let launch = Launch::quick(&platform).args(["--publish-events", "default", "--idle-grace", "6s"]);
    let watcher = launch.without_env("JVB_WATCHER_IDLE_GRACE").start();

    let task = platform.scale_to_one().await;
    let is_missing = |detail: &Value| detail["finding"] == "load_balancer_missing";
    consumer.wait_for("Finding Raised", is_missing).await;
    let load_balancer = platform.create_balancer().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    consumer.wait_for("Finding Cleared", is_missing).await;
    consumer.wait_for("Target Registered", |detail| detail["ip"] == task.ip).await;

    platform.scale_to_zero(&[&task]).await;
    watcher.wait_for("idle_marked").await;
    let again = platform.scale_to_one().await;
    consumer.wait_for("Target Deregistered", |detail| detail["ip"] == task.ip).await;
    consumer.wait_for("Teardown Cancelled", |detail| detail["reason"] == "in_use").await;

    platform.scale_to_zero(&[&again]).await;
    consumer.wait_for("Load Balancer Torn Down", |detail| detail["load_balancer"] == platform.balancer_name()).await;
    let lines = watcher.lines();
    assert_eq!(watcher.stop().await, Some(0));

    for event in consumer.received.values() {
        assert_eq!(event["source"], "jvb-watcher");
        let mut line = event["detail"].clone();
        line.as_object_mut().expect("an object").remove("id");
        assert!(lines.iter().any(|logged| logged.0 == line), "the log has no line like {event}");
    }
    let registered = lines.iter().filter(|line| line.event() == "target_registered").count();
    let published = consumer.received.values().filter(|event| event["detail-type"] == "Target Registered").count();
    assert_eq!(published, registered, "each has its own ID");
}

async fn a_bus_that_rejects_events_blocks_nothing(aws: Aws) {
    let platform = Platform::on(aws).await;
    let mut consumer = Consumer::of(&platform).await;
    platform.proxy.on("events:PutEvents").times(1).error(400, "AccessDeniedException", "no");
    let load_balancer = platform.create_balancer().await;
    let watcher = Launch::quick(&platform).args(["--publish-events", "default"]).start();
    let task = platform.scale_to_one().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    let failed = watcher.wait_for("publish_failed").await;
    assert_eq!(failed.text("level"), "ERROR");
    assert!(failed.text("error").contains("allow the action events:PutEvents"), "{}", failed.text("error"));
    assert!(failed.number("waiting") >= 1 && failed.number("dropped") == 0);
    assert!(consumer.received.is_empty());
    // The next attempt is due in a minute, but a stopping watcher sends buffered events at once.
    assert_eq!(watcher.stop().await, Some(0));
    consumer.wait_for("Target Registered", |detail| detail["ip"] == task.ip).await;
}
