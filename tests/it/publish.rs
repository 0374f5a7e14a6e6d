//! `--publish-events`: what others hear of an evening, by a rule and a queue of their own; and that a bus that takes nothing
//! is in nobody's way.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::platform::Platform;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::Launch;

on_moto_and_sandbox! {
    others_hear_of_an_evening,
    a_bus_that_takes_nothing_is_in_nobodys_way,
}

/// A queue that hears what the watcher of a platform publishes.
struct Ears<'a> {
    platform: &'a Platform,
    queue_url: String,
    /// What came, by its own id.
    heard: BTreeMap<String, Value>,
}

impl<'a> Ears<'a> {
    async fn of(platform: &'a Platform) -> Self {
        let name = format!("{}-ears", platform.project);
        let created = platform.sqs.create_queue().queue_name(&name).send().await.expect("a queue");
        let queue_url = created.queue_url().expect("its URL").to_owned();
        let pattern = json!({ "source": ["jvb-watcher"], "detail": { "project": [platform.project] } });
        platform.route_to(&name, &pattern.to_string(), &name, &queue_url).await;
        Self { platform, queue_url, heard: BTreeMap::new() }
    }

    async fn listen(&mut self) {
        let request = self.platform.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
        let received = request.send().await.expect("the queue gives messages");
        for message in received.messages() {
            let event: Value = serde_json::from_str(message.body().expect("a body")).expect("JSON");
            let id = event["detail"]["id"].as_str().expect("an id").to_owned();
            self.heard.insert(id, event);
            let handle = message.receipt_handle().expect("a receipt");
            let request = self.platform.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
            request.send().await.expect("a message can be deleted");
        }
    }

    /// Listens until an event of this kind that is as wanted has come.
    async fn wait_for(&mut self, detail_type: &str, wanted: impl Fn(&Value) -> bool) {
        let limit = tokio::time::Instant::now() + crate::wait::PATIENCE;
        let is_there = |event: &Value| event["detail-type"] == detail_type && wanted(&event["detail"]);
        while !self.heard.values().any(is_there) {
            assert!(tokio::time::Instant::now() < limit, "no {detail_type} among {:#?}", self.heard);
            self.listen().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn others_hear_of_an_evening(aws: Aws) {
    let platform = Platform::on(aws).await;
    let mut ears = Ears::of(&platform).await;
    let launch = Launch::quick(&platform).args(["--publish-events", "default", "--idle-grace", "6s"]);
    let watcher = launch.without_env("JVB_WATCHER_IDLE_GRACE").start();

    let task = platform.scale_to_one().await;
    let is_missing = |detail: &Value| detail["finding"] == "load_balancer_missing";
    ears.wait_for("Finding Raised", is_missing).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    ears.wait_for("Finding Cleared", is_missing).await;
    ears.wait_for("Target Registered", |detail| detail["ip"] == task.ip).await;

    platform.scale_to_zero(&[&task]).await;
    watcher.wait_for("idle_marked").await;
    let again = platform.scale_to_one().await;
    ears.wait_for("Target Deregistered", |detail| detail["ip"] == task.ip).await;
    ears.wait_for("Teardown Cancelled", |detail| detail["reason"] == "in_use").await;

    platform.scale_to_zero(&[&again]).await;
    ears.wait_for("Load Balancer Torn Down", |detail| detail["load_balancer"] == platform.load_balancer_name()).await;
    let lines = watcher.lines();
    assert_eq!(watcher.stop().await, Some(0));

    for event in ears.heard.values() {
        assert_eq!(event["source"], "jvb-watcher");
        let mut line = event["detail"].clone();
        line.as_object_mut().expect("an object").remove("id");
        assert!(lines.iter().any(|logged| logged.0 == line), "the log has no line like {event}");
    }
    let registered = lines.iter().filter(|line| line.event() == "target_registered").count();
    let told = ears.heard.values().filter(|event| event["detail-type"] == "Target Registered").count();
    assert_eq!(told, registered, "each by an id of its own");
}

async fn a_bus_that_takes_nothing_is_in_nobodys_way(aws: Aws) {
    let platform = Platform::on(aws).await;
    let mut ears = Ears::of(&platform).await;
    platform.proxy.on("events:PutEvents").times(1).error(400, "AccessDeniedException", "no");
    let load_balancer = platform.create_load_balancer().await;
    let watcher = Launch::quick(&platform).args(["--publish-events", "default"]).start();
    let task = platform.scale_to_one().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    let failed = watcher.wait_for("publish_failed").await;
    assert_eq!(failed.text("level"), "ERROR");
    assert!(failed.text("error").contains("allow the action events:PutEvents"), "{}", failed.text("error"));
    assert!(failed.number("waiting") >= 1 && failed.number("dropped") == 0);
    assert!(ears.heard.is_empty());
    // The next try is a minute off; but what waits goes before the watcher does.
    assert_eq!(watcher.stop().await, Some(0));
    ears.wait_for("Target Registered", |detail| detail["ip"] == task.ip).await;
}
