//! Failures of AWS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::{LoadBalancer, MARK_SINCE, Platform, Started};
use crate::proxy::REQUEST_ID;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

on_moto_and_sandbox!(
    tolerates_one_throttling_of_each_call,
    tolerates_more_failures_of_each_call_than_the_sdk_retries,
    registers_after_a_connection_lost_before_registering,
    registers_despite_a_connection_lost_after_registering,
    logs_a_denied_action_as_an_error_and_recovers_once_it_is_allowed,
    recovers_from_an_outage_of_aws,
    logs_and_retries_a_failed_poll,
    retries_a_call_that_hangs,
    deletes_a_target_group_once_it_is_no_longer_in_use,
    tolerates_target_groups_that_another_deleted_meanwhile,
    tolerates_a_load_balancer_deleted_during_the_observation,
    deregisters_old_targets_first_in_a_full_group,
    reports_a_group_that_stays_full,
    changes_the_other_groups_when_one_fails,
    registers_new_targets_before_it_deregisters_old_ones,
);

/// All calls that a worker makes from a service's first task to the end of the teardown.
const OPERATIONS: [&str; 16] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessageBatch",
    "ecs:ListTasks",
    "ecs:DescribeTasks",
    "ecs:DescribeServices",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:RemoveTags",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "sqs:GetQueueUrl",
];

/// From the first task to the end of the teardown, whatever fails: a scale-up, a scale-down, a scale-up within the grace
/// period, and a scale-down.
pub async fn live_through_an_evening(platform: &Platform, load_balancer: &LoadBalancer) {
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    for task in &tasks {
        platform.send_event_for(task).await;
    }
    platform.wait_for_targets(load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;

    platform.scale_down_to(1, &[&tasks[0]]).await;
    platform.send_event_for(&tasks[0]).await;
    platform.wait_for_targets(load_balancer, &[&tasks[1].ip]).await;

    platform.scale_to_zero(&[&tasks[1]]).await;
    platform.send_event_for(&tasks[1]).await;
    eventually("the load balancer is marked", async || {
        platform.tags(&load_balancer.groups[1].arn).await.contains_key(MARK_SINCE).then_some(())
    })
    .await;
    let last = platform.scale_to_one().await;
    platform.send_event_for(&last).await;
    eventually("the mark is gone", async || {
        let tags = platform.tags(&load_balancer.groups[1].arn).await;
        let registered = platform.targets(&load_balancer.groups[1]).await;
        let is_marked = tags.contains_key(MARK_SINCE);
        (!is_marked && registered == [(last.ip.clone(), load_balancer.groups[1].port)].into()).then_some(())
    })
    .await;

    platform.scale_to_zero(&[&last]).await;
    platform.send_event_for(&last).await;
    eventually("everything is torn down", async || platform.is_torn_down(load_balancer).await.then_some(())).await;
    platform.wait_until_queue_empty().await;
}

/// Grace periods for `live_through_an_evening`: long enough for a scale-up within them, and short enough to wait for.
fn worker_for_an_evening(platform: &Platform) -> Watcher {
    Launch::quick(platform).args(["--idle-grace", "6s"]).start()
}

async fn tolerates_one_throttling_of_each_call(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let faults: Vec<_> =
        OPERATIONS.iter().map(|operation| (operation, platform.proxy.on(operation).times(1).throttle())).collect();
    let watcher = worker_for_an_evening(&platform);
    live_through_an_evening(&platform, &load_balancer).await;
    for (operation, fault) in faults {
        // The worker may know the queue's URL by now.
        assert!(fault.hits() == 1 || *operation == "sqs:GetQueueUrl", "{operation} was never called");
    }
    assert_eq!(watcher.stop().await, Some(0));
}

async fn tolerates_more_failures_of_each_call_than_the_sdk_retries(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let mut watcher = worker_for_an_evening(&platform);
    // Once it runs: at the start, a queue that can't be read is a usage error.
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    for operation in ["sqs:ReceiveMessage", "ecs:DescribeServices", "elasticloadbalancing:RegisterTargets"] {
        platform.proxy.on(operation).times(4).error(503, "ServiceUnavailable", "try again later");
    }
    for operation in ["elasticloadbalancing:AddTags", "elasticloadbalancing:DeleteLoadBalancer"] {
        platform.proxy.on(operation).times(4).error(500, "InternalFailure", "internal");
    }
    live_through_an_evening(&platform, &load_balancer).await;
    watcher.wait_for("poll_failed").await;
    for operation in ["DescribeServices", "RegisterTargets", "AddTags", "DeleteLoadBalancer"] {
        let line = watcher.wait_for_that("reconcile_failed", |line| line.text("error_operation") == operation).await;
        assert!(line.number("retry_in_ms") > 0);
        assert_eq!(line.text("request_id"), REQUEST_ID);
        assert!(!line.text("error_code").is_empty());
    }
    assert!(watcher.is_running());
}

/// Registers one task although the connections of RegisterTargets are cut.
async fn is_registered_although(aws: Aws, cut: impl Fn(&Platform)) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    cut(&platform);
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert!(platform.proxy.count("elasticloadbalancing:RegisterTargets") > load_balancer.groups.len());
    watcher.wait_for_reconciliations(&platform.proxy, 1).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
}

async fn registers_after_a_connection_lost_before_registering(aws: Aws) {
    is_registered_although(aws, |platform| {
        platform.proxy.on("elasticloadbalancing:RegisterTargets").times(2).drop_before();
    })
    .await;
}

async fn registers_despite_a_connection_lost_after_registering(aws: Aws) {
    is_registered_although(aws, |platform| {
        platform.proxy.on("elasticloadbalancing:RegisterTargets").times(2).drop_after();
    })
    .await;
}

async fn logs_a_denied_action_as_an_error_and_recovers_once_it_is_allowed(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let group = &load_balancer.groups[0];
    let message = format!(
        "User: arn:aws:sts::{:012}:assumed-role/jvb-watcher/x is not authorized to perform: \
         elasticloadbalancing:RegisterTargets on resource: {}",
        platform.account, group.arn
    );
    let fault = platform.proxy.on("elasticloadbalancing:RegisterTargets").error(403, "AccessDenied", &message);
    let task = platform.scale_to_one().await;
    let mut watcher = Launch::quick(&platform).start();

    let line = watcher.wait_for("reconcile_failed").await;
    assert_eq!(line.text("level"), "ERROR");
    assert_eq!(line.text("error_operation"), "RegisterTargets");
    assert_eq!(line.text("error_code"), "AccessDenied");
    assert!(line.text("error").contains("elasticloadbalancing:RegisterTargets"), "{}", line.text("error"));
    let named = [line.text("resource"), line.text("error")];
    assert!(
        load_balancer.groups.iter().any(|group| named.iter().any(|text| text.contains(&group.arn))),
        "the resource is not named: {}",
        line.0
    );
    assert!(line.number("retry_in_ms") > 20_000, "a retry soon would fail too: {}", line.0);
    assert!(watcher.is_running());

    fault.lift();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
}

async fn recovers_from_an_outage_of_aws(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let mut watcher = Launch::quick(&platform).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    platform.proxy.go_down().await;
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    let failed = |line: &crate::watcher::Line| line.number("attempt") >= 2;
    eventually("the failures are logged", async || {
        let failures = [watcher.events("poll_failed"), watcher.events("reconcile_failed")].concat();
        failures.iter().any(failed).then_some(())
    })
    .await;
    assert!(watcher.is_running());

    platform.proxy.come_back().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
    assert!(watcher.is_running());
}

async fn logs_and_retries_a_failed_poll(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.proxy.on("sqs:ReceiveMessage").times(6).error(503, "ServiceUnavailable", "try again later");
    let watcher = Launch::run(&platform).start();
    let line = watcher.wait_for("poll_failed").await;
    assert_eq!(line.text("error_operation"), "ReceiveMessage");
    assert!(line.number("retry_in_ms") > 0);
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
}

async fn retries_a_call_that_hangs(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let fault = platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").times(1).hang();
    let task = platform.scale_to_one().await;
    let watcher = Launch::run(&platform).start();
    fault.wait_for_hits(1).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert_eq!(watcher.stop().await, Some(0));
}

/// A load balancer past its grace period, which the first reconciliation tears down.
async fn about_to_be_torn_down(aws: Aws) -> (Platform, LoadBalancer, Started) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    platform.scale_to_zero(&[&task]).await;
    (platform, load_balancer, task)
}

async fn deletes_a_target_group_once_it_is_no_longer_in_use(aws: Aws) {
    let (platform, load_balancer, _) = about_to_be_torn_down(aws).await;
    let message = format!("Target group '{}' is currently in use by a listener or a rule", load_balancer.groups[0].arn);
    let fault = platform
        .proxy
        .on("elasticloadbalancing:DeleteTargetGroup")
        .containing(&load_balancer.groups[0].arn)
        .times(2)
        .error(400, "ResourceInUse", &message);
    let watcher = Launch::quick(&platform).start();
    platform.wait_until_torn_down(&load_balancer).await;
    assert_eq!(fault.hits(), 2);
    watcher.wait_for("teardown_completed").await;
    let deleted = watcher.events("target_group_deleted");
    assert_eq!(deleted.len(), load_balancer.groups.len());
}

async fn tolerates_target_groups_that_another_deleted_meanwhile(aws: Aws) {
    let (platform, load_balancer, _) = about_to_be_torn_down(aws).await;
    // Another worker was faster: AWS answers that it doesn't exist.
    let elb = |operation: &str| format!("elasticloadbalancing:{operation}");
    platform.proxy.on(&elb("DeleteLoadBalancer")).times(1).error_after(400, "LoadBalancerNotFound", "none");
    platform.proxy.on(&elb("DeleteTargetGroup")).times(2).error_after(400, "TargetGroupNotFound", "none");
    let watcher = Launch::quick(&platform).start();
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.wait_for("teardown_completed").await;
    watcher.assert_no_trouble();
}

async fn tolerates_a_load_balancer_deleted_during_the_observation(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.create_load_balancer().await;
    platform.scale_to_one().await;
    let gone = |operation: &str, code: &str| {
        let operation = format!("elasticloadbalancing:{operation}");
        platform.proxy.on(&operation).times(1).error(400, code, "One or more were not found")
    };
    let faults = [
        gone("DescribeTargetGroups", "LoadBalancerNotFound"),
        gone("DescribeTags", "LoadBalancerNotFound"),
        gone("DescribeTargetHealth", "TargetGroupNotFound"),
        gone("RegisterTargets", "TargetGroupNotFound"),
    ];
    let watcher = Launch::quick(&platform).start();
    for fault in &faults {
        fault.wait_for_hits(1).await;
    }
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    watcher.assert_no_trouble();
}

async fn deregisters_old_targets_first_in_a_full_group(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let (old, new) = platform.one_replaced_by_another().await;
    platform.register(&load_balancer, &old.ip).await;

    let group = load_balancer.groups[0].arn.clone();
    let room = Arc::new(AtomicBool::new(false));
    let full = Arc::clone(&room);
    let in_group = group.clone();
    platform
        .proxy
        .on("elasticloadbalancing:RegisterTargets")
        .matching(move |body| body.contains(&in_group) && !full.load(Ordering::SeqCst))
        .error(400, "TooManyTargets", "The maximum number of targets per target group is 1");
    platform.proxy.on("elasticloadbalancing:DeregisterTargets").containing(&group).rewrite(move |_, text| {
        room.store(true, Ordering::SeqCst);
        text
    });

    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&new.ip]).await;
    watcher.wait_for_that("target_registered", |line| line.text("target_group") == load_balancer.groups[0].name).await;
    watcher.assert_no_trouble();
}

async fn reports_a_group_that_stays_full(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let full = platform
        .proxy
        .on("elasticloadbalancing:RegisterTargets")
        .containing(&load_balancer.groups[0].arn)
        .error(400, "TooManyTargets", "The maximum number of targets per target group is 1000");
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("target_group_full", "raised").await;
    assert_eq!(finding.text("subject"), load_balancer.groups[0].name);
    full.lift();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_finding("target_group_full", "cleared").await;
}

async fn changes_the_other_groups_when_one_fails(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let (old, new) = platform.one_replaced_by_another().await;
    platform.register(&load_balancer, &old.ip).await;
    let failing = &load_balancer.groups[0];
    let fault = platform.proxy.on("elasticloadbalancing:RegisterTargets").containing(&failing.arn).error(
        400,
        "InvalidTarget",
        "The IP address is not within the VPC",
    );

    let watcher = Launch::quick(&platform).start();
    eventually("all but the failing call are made", async || {
        let good = platform.targets(&load_balancer.groups[1]).await;
        let bad = platform.targets(failing).await;
        (good == [(new.ip.clone(), load_balancer.groups[1].port)].into() && bad.is_empty()).then_some(())
    })
    .await;
    let line = watcher.wait_for("reconcile_failed").await;
    assert_eq!(line.text("error_code"), "InvalidTarget");
    fault.lift();
    platform.wait_for_targets(&load_balancer, &[&new.ip]).await;
}

async fn registers_new_targets_before_it_deregisters_old_ones(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let (old, new) = platform.one_replaced_by_another().await;
    platform.register(&load_balancer, &old.ip).await;
    let _watcher = Launch::run(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&new.ip]).await;
    let calls = platform.proxy.calls();
    for group in &load_balancer.groups {
        let call = |operation: &str| {
            let name = format!("elasticloadbalancing:{operation}");
            calls.iter().find(|call| call.name == name && call.text().contains(&group.arn)).expect("a call")
        };
        let registered = call("RegisterTargets").answered.expect("an answer");
        assert!(registered <= call("DeregisterTargets").at, "{} was empty for a while", group.name);
    }
}
