//! `status`: what it shows of the platform, its verdict, and that it changes nothing.

use std::time::Duration;

use serde_json::Value;

use crate::platform::{LoadBalancerSpec, Platform};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::{Finished, Launch};

on_moto_and_sandbox! {
    a_platform_in_use_is_shown_and_is_well,
    a_platform_at_rest_is_well,
    findings_come_first_and_give_exit_status_3,
    a_disabled_rule_is_a_finding,
    registering_a_new_task_is_the_next_action,
    without_permission_for_the_queue_the_rest_is_shown,
}

async fn status(platform: &Platform, arguments: &[&str]) -> Finished {
    Launch::new(platform, "status").args(arguments.iter().copied()).finish().await
}

async fn json(platform: &Platform) -> (Option<i32>, Value) {
    let finished = status(platform, &["--output", "json"]).await;
    let value = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:#?}"));
    (finished.code, value)
}

fn assert_read_only(platform: &Platform) {
    assert!(platform.proxy.writes().is_empty(), "{:?}", platform.proxy.writes());
    assert_eq!(platform.proxy.count("sqs:ReceiveMessage"), 0, "receiving a message would count as a receive");
}

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!text.contains('\x1b') && !text.contains('✓'), "colours and symbols are for terminals: {text}");
}

async fn a_platform_in_use_is_shown_and_is_well(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    let (code, status) = eventually("every target shows", async || {
        let (code, status) = json(&platform).await;
        let has_target = |group: &Value| group["targets"].as_array().is_some_and(|targets| targets.len() == 1);
        let groups = status["target_groups"].as_array()?;
        (groups.len() == 2 && groups.iter().all(has_target)).then_some((code, status))
    })
    .await;
    assert_eq!((code, &status["well"]), (Some(0), &Value::Bool(true)), "{status:#}");
    assert_eq!(status["service"]["service"], platform.service());
    assert_eq!(status["service"]["desired"], 1);
    let tasks = status["tasks"].as_array().expect("tasks");
    let shown = tasks.iter().find(|shown| shown["task_id"] == task.id.as_str()).expect("the task");
    assert_eq!((&shown["state"], &shown["addresses"][0]), (&"serving".into(), &task.ip.as_str().into()));
    assert_eq!(status["load_balancer"]["tags"]["Lifecycle"], "on-demand");
    assert!(status["load_balancer"]["cost_usd"].as_f64().expect("a number") >= 0.0);
    assert_eq!(status["target_groups"][0]["targets"][0]["task_id"], task.id);
    assert_eq!(status["queue"]["name"], platform.queue_name());
    assert!(status["dead_letter_queue"]["name"].is_string());
    assert_eq!(status["unread"], serde_json::json!([]));
    assert_read_only(&platform);

    let table = self::status(&platform, &[]).await;
    assert_eq!(table.code, Some(0), "{table:#?}");
    for part in [
        "Well: no findings",
        &task.id,
        &task.ip,
        &load_balancer.name,
        &load_balancer.groups[0].name,
        "reconcile again within",
    ] {
        assert!(table.stdout.contains(part), "{part} is not in:\n{}", table.stdout);
    }
    assert_fits(&table.stdout);
}

async fn a_platform_at_rest_is_well(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    let table = status(&platform, &[]).await;
    assert_eq!(table.code, Some(0), "{table:#?}");
    assert!(table.stdout.contains("0 desired, 0 running, 0 pending"), "{}", table.stdout);
    assert!(table.stdout.contains("no action now"), "{}", table.stdout);
    assert_eq!(table.stderr, "");
}

async fn findings_come_first_and_give_exit_status_3(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    platform.create_load_balancer_as(LoadBalancerSpec { tags: Vec::new(), ..LoadBalancerSpec::default() }).await;
    let table = status(&platform, &[]).await;
    assert_eq!(table.code, Some(3), "{table:#?}");
    assert!(table.stdout.starts_with("Not well: 1 finding\n  load_balancer_not_owned: "), "{}", table.stdout);
    assert_eq!(table.stderr, "", "the verdict is on standard output");
    assert_fits(&table.stdout);
    let (code, status) = json(&platform).await;
    assert_eq!((code, &status["well"]), (Some(3), &Value::Bool(false)));
    assert_eq!(status["findings"][0]["finding"], "load_balancer_not_owned");
    assert!(status["findings"][0]["advice"].as_str().expect("advice").contains("owner tag"));
    assert_read_only(&platform);
}

async fn a_disabled_rule_is_a_finding(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    platform.events.disable_rule().name(format!("{}-tasks", platform.project)).send().await.expect("a rule");
    let (code, status) = json(&platform).await;
    assert_eq!(code, Some(3));
    assert_eq!(status["findings"][0]["finding"], "rule_disabled");
    assert_eq!(status["findings"][0]["subject"], format!("{}-tasks", platform.project));
}

async fn registering_a_new_task_is_the_next_action(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let (code, status) = json(&platform).await;
    assert_eq!(code, Some(0), "{status:#}");
    let intents = status["next"]["intents"].as_array().expect("intents");
    assert_eq!(intents.len(), load_balancer.groups.len(), "{status:#}");
    for intent in intents {
        assert_eq!(intent["act"], "register");
        assert!(intent["text"].as_str().expect("a sentence").contains(&task.ip));
    }
    assert_read_only(&platform);
}

async fn without_permission_for_the_queue_the_rest_is_shown(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.proxy.on("sqs:*").error(403, "AccessDenied", "no");
    let table = status(&platform, &[]).await;
    assert_eq!(table.code, Some(0), "{table:#?}");
    assert!(table.stdout.starts_with("Well, as far as it could be read"), "{}", table.stdout);
    assert!(!table.stdout.contains("none\nDead-letter"), "an unread queue is not a missing one: {}", table.stdout);
    assert!(table.stdout.contains("\nNot read\n"), "{}", table.stdout);
    assert!(table.stdout.contains("allow the action"), "{}", table.stdout);
    assert!(table.stdout.contains("0 desired"), "{}", table.stdout);
    assert_fits(&table.stdout);
}

#[tokio::test]
async fn a_missing_service_is_a_finding() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let finished = Launch::new(&platform, "status").global(["--service", "no-such-service"]).finish().await;
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    assert!(finished.stdout.contains("service_missing: no-such-service"), "{}", finished.stdout);
    assert!(finished.stdout.contains("doesn't exist"), "{}", finished.stdout);
}

#[tokio::test]
async fn a_failed_observation_is_a_failure_with_its_reason() {
    let platform = Platform::new().await;
    platform.proxy.on("ecs:DescribeServices").error(400, "AccessDeniedException", "no");
    let finished = status(&platform, &[]).await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("ecs:DescribeServices"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_refused_connection_names_its_url() {
    // Nothing listens on port 1 of the loopback.
    let finished = Launch::bare("status")
        .env("JITSI_PROJECT", "p")
        .env("JITSI_AWS_REGION", "eu-west-1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .finish()
        .await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("no connection to http://127.0.0.1:1: "), "{}", finished.stderr);
    assert!(finished.stderr.contains("Connection refused"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_profile_that_is_not_defined_is_named() {
    for (launch, option) in [
        (Launch::bare("status").global(["--profile", "nope"]), "--profile"),
        (Launch::bare("status").without_env("AWS_ACCESS_KEY_ID").env("AWS_PROFILE", "nope"), "AWS_PROFILE"),
    ] {
        let launch = launch.env("JITSI_PROJECT", "p");
        std::fs::create_dir(launch.home().join(".aws")).expect("a directory");
        std::fs::write(launch.home().join(".aws/config"), "[profile jitsi]\nregion = eu-west-1\n").expect("a file");
        let finished = launch.finish().await;
        assert_eq!(finished.code, Some(2), "{option}: {finished:#?}");
        assert!(finished.stderr.contains("no profile \"nope\""), "{option}: {}", finished.stderr);
        assert!(finished.stderr.contains("they define jitsi"), "{option}: {}", finished.stderr);
    }
}

#[tokio::test]
async fn watching_refreshes_until_a_signal_ends_it_without_an_error() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let mut watcher = Launch::new(&platform, "status").args(["--watch", "--output", "json"]).start();
    eventually("a second observation", async || (platform.proxy.count("ecs:DescribeServices") >= 2).then_some(()))
        .await;
    watcher.signal("INT");
    let status = watcher.wait_exit_within(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(130));
    assert_eq!(watcher.stderr(), "");
}

#[cfg(feature = "sandbox")]
mod on_a_terminal;
#[cfg(feature = "sandbox")]
mod overdue;
