//! `doctor`: the result of each check, for a correct installation and for each fault.

use aws_sdk_elasticloadbalancingv2::types::TargetTypeEnum;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::platform::{LoadBalancerSpec, Platform, TargetGroupSpec, udp, web};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::{Finished, Launch};

on_moto_and_sandbox! {
    a_correct_installation_passes,
    a_missing_queue_fails,
    a_missing_rule_fails,
    a_disabled_rule_fails,
    a_pattern_that_matches_another_service_fails,
    a_queue_without_a_policy_fails,
    messages_in_the_dead_letter_queue_are_a_warning,
    a_missing_service_fails,
    a_load_balancer_without_the_owner_tag_fails,
    a_target_group_without_the_owner_tag_is_a_warning,
    a_protected_load_balancer_fails,
    a_target_group_of_another_type_fails,
    a_denied_action_is_named,
}

async fn doctor(platform: &Platform, arguments: &[&str]) -> Finished {
    Launch::new(platform, "doctor").args(arguments.iter().copied()).finish().await
}

/// Returns the exit status and the checks.
async fn checks(platform: &Platform) -> (Option<i32>, Vec<Value>) {
    let finished = doctor(platform, &["--output", "json"]).await;
    let diagnosis: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:#?}"));
    (finished.code, diagnosis["checks"].as_array().expect("checks").clone())
}

/// Asserts that this check alone fails, with exit status 1.
async fn assert_fails(platform: &Platform, check: &str, says: &str) {
    let (code, checks) = checks(platform).await;
    let failed: Vec<_> = checks.iter().filter(|check| check["result"] == "failed").collect();
    assert_eq!(code, Some(1), "{checks:#?}");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["check"], check, "{failed:#?}");
    let detail = failed[0]["detail"].as_str().expect("a detail");
    assert!(detail.contains(says), "{says:?} is not in: {detail}");
    assert!(!failed[0]["advice"].as_str().expect("advice").is_empty());
}

/// Asserts that nothing was changed: the only writes were on resources that don't exist, and AWS rejected them.
fn assert_without_effect(platform: &Platform) {
    let tried = [
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:DeregisterTargets",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
    ];
    for call in platform.proxy.calls().iter().filter(|call| call.is_write()) {
        assert!(tried.contains(&call.name.as_str()), "{}", call.name);
        assert!(!call.succeeded(), "{}", call.text());
    }
    assert_eq!(platform.proxy.count("sqs:ReceiveMessage"), 0, "receiving a message would count as a receive");
}

/// Returns true if the table has a row with this result for this check.
fn has_row(finished: &Finished, result: &str, check: &str) -> bool {
    finished.stdout.lines().any(|line| line.split_whitespace().take(2).eq([result, check]))
}

async fn platform_with_rule(aws: Aws) -> Platform {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    platform
}

fn rule(platform: &Platform) -> String {
    format!("{}-tasks", platform.project)
}

async fn a_correct_installation_passes(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let (code, checks) = checks(&platform).await;
    assert_eq!(code, Some(0), "{checks:#?}");
    assert!(checks.iter().all(|check| check["result"] != "failed"), "{checks:#?}");
    for name in [
        "credentials",
        "clock",
        "queue",
        "redrive policy",
        "dead-letter queue",
        "queue policy",
        "rule",
        "event pattern",
        "rule target",
        "service",
        "task network",
        "load balancer",
        "owner tag",
        "deletion protection",
        "target groups",
        "permission",
    ] {
        assert!(checks.iter().any(|check| check["check"] == name), "{name} is not among {checks:#?}");
    }
    assert_without_effect(&platform);
    assert!(platform.is_whole(&load_balancer).await);

    let table = doctor(&platform, &[]).await;
    assert_eq!(table.code, Some(0), "{table:#?}");
    assert!(table.stdout.contains("No check failed: "), "{}", table.stdout);
    assert!(has_row(&table, "ok", "rule"), "{}", table.stdout);
    for line in table.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

async fn a_missing_queue_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let finished = Launch::new(&platform, "doctor").global(["--queue", "no-such-queue"]).finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(has_row(&finished, "failed", "queue"), "{}", finished.stdout);
    assert!(finished.stdout.contains("no-such-queue"), "{}", finished.stdout);
    assert_eq!(finished.stderr.trim(), "error: a check failed");
}

async fn a_missing_rule_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    platform.events.remove_targets().rule(rule(&platform)).ids("queue").send().await.expect("a target less");
    assert_fails(&platform, "rule", "no rule").await;
}

async fn a_disabled_rule_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    platform.events.disable_rule().name(rule(&platform)).send().await.expect("a rule");
    assert_fails(&platform, "rule", "is disabled").await;
}

async fn a_pattern_that_matches_another_service_fails(aws: Aws) {
    let platform = Platform::on(aws).await;
    let pattern = r#"{"source": ["aws.ecs"], "detail": {"group": ["service:no-such-service"]}}"#;
    platform.route_by(pattern).await;
    assert_fails(&platform, "event pattern", "of a task that reached RUNNING or a task that stopped").await;
}

async fn a_queue_without_a_policy_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let without_policy =
        platform.sqs.set_queue_attributes().queue_url(&platform.queue_url).attributes(QueueAttributeName::Policy, "");
    without_policy.send().await.expect("a queue without a policy");
    assert_fails(&platform, "queue policy", "doesn't allow").await;
}

async fn messages_in_the_dead_letter_queue_are_a_warning(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let dead = platform.dead_letter_url.clone().expect("a dead-letter queue");
    platform.sqs.send_message().queue_url(dead).message_body("unreadable").send().await.expect("a message");
    let (code, checks) = checks(&platform).await;
    assert_eq!(code, Some(0), "{checks:#?}");
    let check = checks.iter().find(|check| check["check"] == "dead-letter queue").expect("the check");
    assert_eq!(check["result"], "warning", "{check}");
    assert!(check["detail"].as_str().expect("a detail").contains("holds 1 message(s)"), "{check}");
}

async fn a_missing_service_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let finished = Launch::new(&platform, "doctor").global(["--service", "no-such-service"]).finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(has_row(&finished, "failed", "service"), "{}", finished.stdout);
}

async fn a_load_balancer_without_the_owner_tag_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    platform.create_load_balancer_as(LoadBalancerSpec { tags: Vec::new(), ..LoadBalancerSpec::default() }).await;
    assert_fails(&platform, "owner tag", "there is no tag Lifecycle=on-demand").await;
}

async fn a_target_group_without_the_owner_tag_is_a_warning(aws: Aws) {
    for (tags, expected) in [(udp().tags, "ok"), (Vec::new(), "warning")] {
        let platform = platform_with_rule(aws).await;
        let groups = vec![udp(), TargetGroupSpec { tags, ..web() }];
        platform.create_load_balancer_as(LoadBalancerSpec { groups, ..LoadBalancerSpec::default() }).await;
        let (code, checks) = checks(&platform).await;
        let check = checks.iter().find(|check| check["check"] == "owner tag").expect("the check");
        assert_eq!((code, &check["result"]), (Some(0), &Value::from(expected)), "{check}");
        let names_the_group = check["detail"].as_str().expect("a detail").contains("jvb-web has no tag");
        assert_eq!(names_the_group, expected == "warning", "{check}");
    }
}

async fn a_protected_load_balancer_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.protect(&load_balancer, true).await;
    assert_fails(&platform, "deletion protection", "can't be deleted").await;
}

async fn a_target_group_of_another_type_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let groups = vec![TargetGroupSpec { kind: TargetTypeEnum::Instance, ..udp() }];
    platform.create_load_balancer_as(LoadBalancerSpec { groups, ..LoadBalancerSpec::default() }).await;
    assert_fails(&platform, "target groups", "isn't of type ip").await;
}

async fn a_denied_action_is_named(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    platform.proxy.on("sqs:ChangeMessageVisibility").error(403, "AccessDenied", "no");
    assert_fails(&platform, "permission", "sqs:ChangeMessageVisibility is denied").await;
}

#[tokio::test]
async fn invalid_credentials_fail_without_a_panic() {
    let platform = platform_with_rule(Aws::Moto).await;
    platform.proxy.on("*").error(403, "InvalidClientTokenId", "The security token is invalid.");
    let finished = doctor(&platform, &[]).await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(has_row(&finished, "failed", "credentials"), "{}", finished.stdout);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[tokio::test]
async fn with_an_endpoint_that_refuses_connections_no_check_is_ok() {
    // Nothing listens on port 1 of the loopback.
    let launch = Launch::bare("doctor")
        .env("JITSI_PROJECT", "p")
        .env("JITSI_AWS_REGION", "eu-west-1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let finished = launch.finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    for check in ["clock", "rule", "task", "owner", "permission"] {
        assert!(has_row(&finished, "skipped", check), "{check}: {}", finished.stdout);
    }
    assert!(!finished.stdout.lines().any(|line| line.trim_start().starts_with("ok ")), "{}", finished.stdout);
    let summary = finished.stdout.lines().last().expect("a summary");
    assert!(summary.starts_with("4 checks failed: 0 ok, 0 warnings, "), "{summary}");
    let unwrapped = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains("no connection to http://127.0.0.1:1: "), "{unwrapped}");
}
