//! `doctor`, as a person meets it: what it says of a watcher that is wired up, and of each thing that isn't.

use aws_sdk_elasticloadbalancingv2::types::TargetTypeEnum;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::platform::{LoadBalancerSpec, Platform, TargetGroupSpec, udp};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::{Finished, Launch};

on_moto_and_sandbox! {
    a_platform_that_is_wired_up_passes,
    a_queue_that_is_not_there_fails,
    a_queue_that_no_rule_fills_fails,
    a_disabled_rule_fails,
    a_pattern_that_matches_another_service_fails,
    a_queue_that_lets_nobody_send_fails,
    messages_in_the_dead_letter_queue_are_a_warning,
    a_service_that_is_not_there_fails,
    a_balancer_without_the_owner_tag_fails,
    a_protected_balancer_fails,
    a_group_of_another_type_fails,
    a_denied_action_is_named,
}

async fn doctor(platform: &Platform, arguments: &[&str]) -> Finished {
    Launch::new(platform, "doctor").args(arguments.iter().copied()).finish().await
}

/// The exit status, and the checks.
async fn checks(platform: &Platform) -> (Option<i32>, Vec<Value>) {
    let finished = doctor(platform, &["--output", "json"]).await;
    let diagnosis: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:#?}"));
    (finished.code, diagnosis["checks"].as_array().expect("checks").clone())
}

/// The one check of this name and result fails, with exit status 1.
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

/// Nothing was changed: the only writes were on things that aren't there, which AWS refused.
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
    assert_eq!(platform.proxy.count("sqs:ReceiveMessage"), 0, "a message that is looked at counts as received");
}

/// Whether the table has a row of this result for this check.
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

async fn a_platform_that_is_wired_up_passes(aws: Aws) {
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
    assert!(table.stdout.contains("It is wired up"), "{}", table.stdout);
    assert!(has_row(&table, "ok", "rule"), "{}", table.stdout);
    for line in table.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

async fn a_queue_that_is_not_there_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let finished = Launch::new(&platform, "doctor").global(["--queue", "no-such-queue"]).finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(has_row(&finished, "failed", "queue"), "{}", finished.stdout);
    assert!(finished.stdout.contains("no-such-queue"), "{}", finished.stdout);
    assert_eq!(finished.stderr.trim(), "error: a check failed");
}

async fn a_queue_that_no_rule_fills_fails(aws: Aws) {
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
    let pattern = r#"{"source": ["aws.ecs"], "detail": {"group": ["service:nobodys"]}}"#;
    platform.route_by(pattern).await;
    assert_fails(&platform, "event pattern", "has come to run, nor of one that has stopped").await;
}

async fn a_queue_that_lets_nobody_send_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let without_policy =
        platform.sqs.set_queue_attributes().queue_url(&platform.queue_url).attributes(QueueAttributeName::Policy, "");
    without_policy.send().await.expect("a queue without a policy");
    assert_fails(&platform, "queue policy", "doesn't let").await;
}

async fn messages_in_the_dead_letter_queue_are_a_warning(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let dead = platform.dead_letter_url.clone().expect("a dead-letter queue");
    platform.sqs.send_message().queue_url(dead).message_body("unreadable").send().await.expect("a message");
    let (code, checks) = checks(&platform).await;
    assert_eq!(code, Some(0), "{checks:#?}");
    let check = checks.iter().find(|check| check["check"] == "dead-letter queue").expect("the check");
    assert_eq!(check["result"], "warning", "{check}");
    assert!(check["detail"].as_str().expect("a detail").starts_with("1 message(s)"), "{check}");
}

async fn a_service_that_is_not_there_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let finished = Launch::new(&platform, "doctor").global(["--service", "nobodys"]).finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(has_row(&finished, "failed", "service"), "{}", finished.stdout);
}

async fn a_balancer_without_the_owner_tag_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    platform.create_load_balancer_as(LoadBalancerSpec { tags: Vec::new(), ..LoadBalancerSpec::default() }).await;
    assert_fails(&platform, "owner tag", "there is no tag Lifecycle=on-demand").await;
}

async fn a_protected_balancer_fails(aws: Aws) {
    let platform = platform_with_rule(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.protect(&load_balancer, true).await;
    assert_fails(&platform, "deletion protection", "can't be torn down").await;
}

async fn a_group_of_another_type_fails(aws: Aws) {
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
async fn without_credentials_that_work_every_check_says_so_and_nothing_panics() {
    let platform = platform_with_rule(Aws::Moto).await;
    platform.proxy.on("*").error(403, "InvalidClientTokenId", "The security token is invalid.");
    let finished = doctor(&platform, &[]).await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(has_row(&finished, "failed", "credentials"), "{}", finished.stdout);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}
