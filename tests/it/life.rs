//! The lifecycle of a service's load balancer: registration, idleness, teardown, and what must not happen.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetGroupIpAddressTypeEnum, TargetTypeEnum};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::platform::{
    HOLD, LoadBalancer, LoadBalancerSpec, MARK_LOAD_BALANCER, MARK_SINCE, Platform, REGION, TargetGroupSpec, udp, web,
};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::{Launch, Line, listing};

on_moto_and_sandbox!(
    registers_a_starting_task_in_every_group_with_the_groups_port,
    deregisters_a_stopping_task_and_keeps_the_others,
    deregisters_a_task_with_desired_status_stopped_while_it_runs,
    marks_an_idle_load_balancer_and_then_tears_it_down,
    reconciles_at_the_start_without_a_message,
    uses_the_mark_of_a_worker_that_was_killed_within_the_grace_period,
    resumes_the_teardown_of_a_worker_that_was_killed,
    two_workers_reconcile_together_and_one_reports_the_teardown,
    registers_running_tasks_with_a_new_load_balancer,
    removes_the_mark_at_a_scale_up_within_the_grace_period,
    does_not_delete_after_a_scale_up_between_the_two_observations,
    restarts_the_grace_period_when_terraform_removes_the_mark,
    deletes_the_target_groups_that_a_teardown_left,
    keeps_the_target_groups_that_another_projects_teardown_left,
    keeps_the_target_groups_with_teardown_load_balancer,
    only_reports_an_idle_load_balancer_with_teardown_off,
    waits_for_the_unused_grace_of_a_load_balancer_that_never_served,
    keeps_an_idle_load_balancer_until_its_hold_is_released,
    stops_the_teardown_at_a_hold_within_the_grace_period,
    reports_and_ignores_an_invalid_hold,
    reports_a_load_balancer_without_the_owner_tag_and_keeps_it,
    accepts_another_owner_tag,
    keeps_a_target_group_without_the_owner_tag,
    reports_an_application_load_balancer_and_keeps_it,
    reports_deletion_protection_and_continues_once_it_is_off,
    reports_a_missing_service_and_keeps_its_load_balancer,
    reports_a_missing_cluster_and_keeps_the_load_balancer,
    reports_a_deleted_service_as_missing,
    deregisters_an_unmatched_target_after_half_a_minute,
    reports_a_healthy_target_of_others_and_keeps_the_load_balancer,
    deregisters_nothing_when_ecs_lists_no_tasks_for_a_moment,
    registers_the_ipv6_address_in_an_ipv6_group,
    reports_a_group_of_another_target_type_and_registers_in_the_others,
    keeps_the_load_balancer_for_healthy_targets_of_another_type,
    reports_a_load_balancer_without_groups_until_it_has_one,
    reports_a_failed_load_balancer,
    logs_a_change_of_health_with_its_reason_and_the_tasks_age,
    logs_nothing_while_nothing_happens,
);

/// The events of a teardown, in their order.
const TEARDOWN: [&str; 6] = [
    "idle_marked",
    "teardown_started",
    "load_balancer_deleted",
    "target_group_deleted",
    "target_group_deleted",
    "teardown_completed",
];

fn instant(line: &Line, field: &str) -> Timestamp {
    line.text(field).parse().unwrap_or_else(|error| panic!("{field} of {}: {error}", line.0))
}

/// A load balancer's ARN as AWS writes it; moto's own say `app` for a network load balancer.
fn network_arn(platform: &Platform, name: &str) -> String {
    let account = platform.account;
    format!("arn:aws:elasticloadbalancing:{REGION}:{account}:loadbalancer/net/{name}/50dc6c495c0c9188")
}

async fn assert_unmarked(platform: &Platform, load_balancer: &LoadBalancer) {
    for arn in load_balancer.arns() {
        let tags = platform.tags(arn).await;
        assert!(!tags.contains_key(MARK_SINCE) && !tags.contains_key(MARK_LOAD_BALANCER), "{arn} is marked: {tags:?}");
    }
}

/// An idle platform whose one task was registered and has stopped.
async fn served_and_idle(aws: Aws) -> (Platform, LoadBalancer) {
    served_and_idle_as(aws, LoadBalancerSpec::default()).await
}

async fn served_and_idle_as(aws: Aws, plan: LoadBalancerSpec) -> (Platform, LoadBalancer) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer_as(plan).await;
    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    platform.scale_to_zero(&[&task]).await;
    (platform, load_balancer)
}

async fn registers_a_starting_task_in_every_group_with_the_groups_port(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    let watcher = Launch::run(&platform).start();
    watcher.wait_for("watcher_started").await;
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;

    let task = platform.scale_to_one().await;
    let event = platform.event_for(&task).await;
    platform.put_event(&event).await;

    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
    for group in &load_balancer.groups {
        let line = watcher.wait_for_that("target_registered", |line| line.text("target_group") == group.name).await;
        assert_eq!(line.text("task_id"), task.id);
        assert_eq!(line.text("ip"), task.ip);
        assert_eq!(line.number("port"), i64::from(group.port));
        assert!(line.number("latency_ms") >= 0);
    }
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

async fn deregisters_a_stopping_task_and_keeps_the_others(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    let watcher = Launch::run(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;

    platform.scale_down_to(1, &[&tasks[0]]).await;
    platform.send_event_for(&tasks[0]).await;

    platform.wait_for_targets(&load_balancer, &[&tasks[1].ip]).await;
    let line = watcher.wait_for("target_deregistered").await;
    assert_eq!(line.text("task_id"), tasks[0].id);
    assert_eq!(line.text("reason"), "task_stopping");
    platform.wait_until_queue_empty().await;
    watcher.assert_no_trouble();
}

async fn deregisters_a_task_with_desired_status_stopped_while_it_runs(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    let watcher = Launch::run(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;

    // A Spot termination notice: two minutes of RUNNING are left.
    let leaving = tasks[0].arn.clone();
    platform.proxy.on("ecs:DescribeTasks").rewrite_json(move |answer| {
        for task in answer["tasks"].as_array_mut().expect("tasks") {
            if task["taskArn"] == leaving.as_str() {
                task["desiredStatus"] = json!("STOPPED");
                task["stopCode"] = json!("TerminationNotice");
            }
        }
    });
    let mut event = platform.event_for(&tasks[0]).await;
    event["detail"]["desiredStatus"] = json!("STOPPED");
    event["detail"]["stopCode"] = json!("TerminationNotice");
    platform.send(&event).await;

    platform.wait_for_targets(&load_balancer, &[&tasks[1].ip]).await;
    watcher.assert_no_trouble();
}

async fn marks_an_idle_load_balancer_and_then_tears_it_down(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).args(["--idle-grace", "5s"]).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;

    platform.scale_to_zero(&[&task]).await;
    platform.send_event_for(&task).await;

    let marked = watcher.wait_for("idle_marked").await;
    assert_eq!(marked.text("load_balancer"), load_balancer.name);
    // The tags are read from the call: they may be gone before a slow test reads them from AWS.
    let tagging = &platform.proxy.calls_of("elasticloadbalancing:AddTags")[0];
    let tagging = tagging.text();
    for arn in load_balancer.arns() {
        assert!(tagging.contains(&format!("={arn}")), "{arn} is not in {tagging}");
    }
    // Behind the milliseconds a mark has the id of its process.
    let to_the_millisecond = marked.text("idle_since").trim_end_matches('Z');
    assert!(tagging.contains(MARK_SINCE) && tagging.contains(to_the_millisecond), "{tagging}");
    assert!(tagging.contains(MARK_LOAD_BALANCER), "{tagging}");
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.wait_for("teardown_completed").await;

    assert_eq!(watcher.order_of(&TEARDOWN), TEARDOWN, "{}", listing(&watcher.lines()));
    let started = watcher.wait_for("teardown_started").await;
    assert_eq!(started.text("idle_since"), marked.text("idle_since"));
    assert_eq!(started["resumed"], false);
    let waited = instant(&started, "timestamp").duration_since(instant(&marked, "idle_since"));
    assert!(waited >= SignedDuration::from_secs(5), "torn down after {waited}");
    let deleted = watcher.wait_for("load_balancer_deleted").await;
    assert_eq!(deleted.text("load_balancer_arn"), load_balancer.arn);
    assert!(deleted.number("uptime_seconds") >= 5);
    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
}

async fn reconciles_at_the_start_without_a_message(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let (old, new) = platform.one_replaced_by_another().await;
    platform.register(&load_balancer, &old.ip).await;

    let watcher = Launch::run(&platform).start();

    platform.wait_for_targets(&load_balancer, &[&new.ip]).await;
    assert_eq!(platform.proxy.count("sqs:DeleteMessageBatch"), 0, "there was no message");
    watcher.assert_no_trouble();
}

async fn uses_the_mark_of_a_worker_that_was_killed_within_the_grace_period(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let first = Launch::quick(&platform).args(["--idle-grace", "6s"]).start();
    let marked = first.wait_for("idle_marked").await;
    first.kill().await;

    let second = Launch::quick(&platform).args(["--idle-grace", "6s"]).start();
    platform.wait_until_torn_down(&load_balancer).await;
    second.wait_for("teardown_completed").await;
    assert!(second.events("idle_marked").is_empty(), "the mark was there already");
    assert_eq!(second.wait_for("teardown_started").await.text("idle_since"), marked.text("idle_since"));
    second.assert_no_trouble();
}

async fn resumes_the_teardown_of_a_worker_that_was_killed(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let fault = platform.proxy.on("elasticloadbalancing:DeleteTargetGroup").hang();
    let first = Launch::quick(&platform).start();
    fault.wait_for_hits(1).await;
    first.kill().await;
    fault.lift();
    assert!(!platform.load_balancer_exists().await);

    let second = Launch::quick(&platform).start();
    platform.wait_until_torn_down(&load_balancer).await;
    second.wait_for("teardown_completed").await;
    assert_eq!(second.wait_for("teardown_started").await["resumed"], true);
    second.assert_no_trouble();
}

async fn two_workers_reconcile_together_and_one_reports_the_teardown(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let other_way = platform.another_proxy().await;
    // The grace period is so long that the worker that wrote the mark is never late by as much as the takeover's delay.
    let launch = || Launch::quick(&platform).args(["--idle-grace", "15s"]);
    let mut workers = [launch().start(), launch().endpoint(&other_way).start()];
    for worker in &workers {
        worker.wait_for("watcher_started").await;
    }

    platform.set_desired(3).await;
    let tasks = platform.run_tasks(3).await;
    for task in &tasks {
        platform.send_event_for(task).await;
        platform.send_event_for(task).await;
    }
    let addresses: Vec<&str> = tasks.iter().map(|task| task.ip.as_str()).collect();
    platform.wait_for_targets(&load_balancer, &addresses).await;

    platform.scale_to_zero(&tasks.iter().collect::<Vec<_>>()).await;
    for task in &tasks {
        platform.send_event_for(task).await;
    }
    platform.wait_until_torn_down(&load_balancer).await;
    platform.wait_until_queue_empty().await;
    eventually("each worker has found the load balancer absent", async || {
        let is_absent = |line: &Line| line.text("load_balancer_state") == "absent";
        workers.iter().all(|worker| worker.events("reconciled").iter().any(is_absent)).then_some(())
    })
    .await;
    eventually("one worker has completed the teardown", async || {
        workers.iter().any(|worker| !worker.events("teardown_completed").is_empty()).then_some(())
    })
    .await;
    for worker in &mut workers {
        worker.assert_no_trouble();
        worker.signal("TERM");
        assert_eq!(worker.wait_exit().await.code(), Some(0));
    }
    for event in ["teardown_started", "load_balancer_deleted", "teardown_completed"] {
        let lines: Vec<Line> = workers.iter().flat_map(|worker| worker.events(event)).collect();
        assert_eq!(lines.len(), 1, "{}", listing(&lines));
    }
    let teardowns = workers.iter().flat_map(|worker| worker.events("metrics"));
    assert_eq!(teardowns.filter_map(|line| line["Teardowns"].as_u64()).sum::<u64>(), 1);
}

async fn registers_running_tasks_with_a_new_load_balancer(aws: Aws) {
    let platform = Platform::on(aws).await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("load_balancer_missing", "raised").await;
    assert_eq!(finding.text("subject"), platform.load_balancer_name());
    assert!(!finding.text("advice").is_empty());

    let load_balancer = platform.create_load_balancer().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_finding("load_balancer_missing", "cleared").await;
    watcher.assert_no_trouble();
}

async fn removes_the_mark_at_a_scale_up_within_the_grace_period(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--idle-grace", "60s"]).start();
    let marked = watcher.wait_for("idle_marked").await;

    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    let unmarked = watcher.wait_for("idle_unmarked").await;
    assert_eq!(unmarked.text("idle_since"), marked.text("idle_since"));
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert_unmarked(&platform, &load_balancer).await;
    watcher.assert_no_trouble();
}

async fn does_not_delete_after_a_scale_up_between_the_two_observations(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    // The grace period is over, and the service is scaled up between two reads of its counts.
    let since = (Timestamp::now() - SignedDuration::from_secs(3600)).to_string();
    platform.add_tag(&load_balancer.arns(), MARK_SINCE, &since).await;
    platform.add_tag(&load_balancer.arns(), MARK_LOAD_BALANCER, &load_balancer.arn).await;
    let idle = platform.proxy.on("ecs:DescribeServices").times(1).rewrite_json(|answer| {
        answer["services"][0]["desiredCount"] = json!(0);
        answer["services"][0]["runningCount"] = json!(0);
    });
    platform.set_desired(1).await;

    let watcher = Launch::quick(&platform).start();
    idle.wait_for_hits(1).await;
    watcher.wait_for("idle_unmarked").await;
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_eq!(platform.proxy.count("elasticloadbalancing:DeleteLoadBalancer"), 0);
    watcher.assert_no_trouble();
}

async fn restarts_the_grace_period_when_terraform_removes_the_mark(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--idle-grace", "4s"]).start();
    let first = watcher.wait_for("idle_marked").await;
    platform.remove_tag(&load_balancer.arns(), MARK_SINCE).await;
    platform.remove_tag(&load_balancer.arns(), MARK_LOAD_BALANCER).await;

    let wiped = |line: &Line| line.text("idle_since") != first.text("idle_since");
    let second = watcher.wait_for_that("idle_marked", wiped).await;
    platform.wait_until_torn_down(&load_balancer).await;
    let started = watcher.wait_for("teardown_started").await;
    let waited = instant(&started, "timestamp").duration_since(instant(&second, "idle_since"));
    assert!(waited >= SignedDuration::from_secs(4), "torn down {waited} after the second mark");
}

async fn deletes_the_target_groups_that_a_teardown_left(aws: Aws) {
    let platform = Platform::on(aws).await;
    let groups = [platform.create_unused_target_group(udp()).await, platform.create_unused_target_group(web()).await];
    let arn = network_arn(&platform, &platform.load_balancer_name());
    let since = (Timestamp::now() - SignedDuration::from_mins(3)).to_string();
    for group in &groups {
        platform.add_tag(&[&group.arn], MARK_SINCE, &since).await;
        platform.add_tag(&[&group.arn], MARK_LOAD_BALANCER, &arn).await;
    }

    let watcher = Launch::quick(&platform).start();
    watcher.wait_for("teardown_completed").await;
    for group in &groups {
        assert!(!platform.target_group_exists(group).await, "{} is left", group.name);
    }
    assert_eq!(watcher.wait_for("teardown_started").await["resumed"], true);
    watcher.assert_no_trouble();
}

async fn keeps_the_target_groups_that_another_projects_teardown_left(aws: Aws) {
    let platform = Platform::on(aws).await;
    let ours = platform.create_unused_target_group(udp()).await;
    let theirs = [
        (TargetGroupSpec { suffix: "one", ..udp() }, format!("{}2", platform.load_balancer_name())),
        (TargetGroupSpec { suffix: "two", ..udp() }, format!("x{}", platform.load_balancer_name())),
        (TargetGroupSpec { suffix: "three", ..udp() }, "other-jvb-nlb".to_owned()),
    ];
    let mut left = Vec::new();
    for (plan, name) in theirs {
        let group = platform.create_unused_target_group(plan).await;
        platform.add_tag(&[&group.arn], MARK_SINCE, "2026-01-01T00:00:00Z").await;
        platform.add_tag(&[&group.arn], MARK_LOAD_BALANCER, &network_arn(&platform, &name)).await;
        left.push(group);
    }
    // No mark at all, and a mark that names no load balancer.
    left.push(platform.create_unused_target_group(TargetGroupSpec { suffix: "four", ..udp() }).await);
    let half = platform.create_unused_target_group(TargetGroupSpec { suffix: "five", ..udp() }).await;
    platform.add_tag(&[&half.arn], MARK_SINCE, "2026-01-01T00:00:00Z").await;
    left.push(half);
    platform.add_tag(&[&ours.arn], MARK_SINCE, "2026-01-01T00:00:00Z").await;
    let arn = network_arn(&platform, &platform.load_balancer_name());
    platform.add_tag(&[&ours.arn], MARK_LOAD_BALANCER, &arn).await;

    let watcher = Launch::quick(&platform).start();
    watcher.wait_for("teardown_completed").await;
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    assert!(!platform.target_group_exists(&ours).await);
    for group in &left {
        assert!(platform.target_group_exists(group).await, "{} is gone", group.name);
    }
    watcher.assert_no_trouble();
}

async fn keeps_the_target_groups_with_teardown_load_balancer(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--teardown", "load-balancer"]).start();
    watcher.wait_for("load_balancer_deleted").await;
    watcher.wait_for_reconciliations(&platform.proxy, 3).await;
    assert!(!platform.load_balancer_exists().await);
    for group in &load_balancer.groups {
        assert!(platform.target_group_exists(group).await, "{} is gone", group.name);
        let tags = platform.tags(&group.arn).await;
        assert!(!tags.contains_key(MARK_SINCE), "{} is marked for a worker with another setting", group.name);
    }
    watcher.assert_no_trouble();
}

async fn only_reports_an_idle_load_balancer_with_teardown_off(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--teardown", "off"]).start();
    watcher.wait_for_finding("teardown_off", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;
    watcher.assert_no_trouble();
}

async fn waits_for_the_unused_grace_of_a_load_balancer_that_never_served(aws: Aws) {
    let platform = Platform::on(aws).await;
    let created = Timestamp::now();
    let load_balancer = platform.create_load_balancer().await;
    let watcher = Launch::quick(&platform).args(["--unused-grace", "6s"]).start();
    let marked = watcher.wait_for("idle_marked").await;
    assert_eq!(marked.text("reason"), "unused");
    let waited = instant(&marked, "timestamp").duration_since(created);
    assert!(waited >= SignedDuration::from_secs(6), "marked after {waited}");
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.assert_no_trouble();
}

async fn keeps_an_idle_load_balancer_until_its_hold_is_released(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    platform.add_tag(&[&load_balancer.arn], HOLD, &until).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("hold_active", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;

    platform.remove_tag(&[&load_balancer.arn], HOLD).await;
    watcher.wait_for_finding("hold_active", "cleared").await;
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.assert_no_trouble();
}

async fn stops_the_teardown_at_a_hold_within_the_grace_period(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--idle-grace", "4s"]).start();
    watcher.wait_for("idle_marked").await;
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    platform.add_tag(&[&load_balancer.arn], HOLD, &until).await;
    watcher.wait_for_finding("hold_active", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 6).await;
    assert!(platform.is_whole(&load_balancer).await);
}

async fn reports_and_ignores_an_invalid_hold(aws: Aws) {
    for hold in ["tomorrow".to_owned(), (Timestamp::now() + SignedDuration::from_hours(48)).to_string()] {
        let (platform, load_balancer) = served_and_idle(aws).await;
        platform.add_tag(&[&load_balancer.arn], HOLD, &hold).await;
        let watcher = Launch::quick(&platform).start();
        watcher.wait_for_finding("hold_invalid", "raised").await;
        platform.wait_until_torn_down(&load_balancer).await;
    }
}

async fn reports_a_load_balancer_without_the_owner_tag_and_keeps_it(aws: Aws) {
    let plan = LoadBalancerSpec { tags: vec![("Lifecycle", "permanent".to_owned())], ..LoadBalancerSpec::default() };
    let (platform, load_balancer) = served_and_idle_as(aws, plan).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("load_balancer_not_owned", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;

    // Its targets are still reconciled.
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.assert_no_trouble();
}

async fn accepts_another_owner_tag(aws: Aws) {
    let tags = || vec![("Team", "video=calls".to_owned())];
    let groups = [udp(), web()].map(|group| TargetGroupSpec { tags: tags(), ..group }).into();
    let plan = LoadBalancerSpec { tags: tags(), groups, ..LoadBalancerSpec::default() };
    let (platform, load_balancer) = served_and_idle_as(aws, plan).await;
    let watcher = Launch::quick(&platform).args(["--owner-tag", "Team=video=calls"]).start();
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.assert_no_trouble();
}

async fn keeps_a_target_group_without_the_owner_tag(aws: Aws) {
    let groups = vec![udp(), TargetGroupSpec { tags: Vec::new(), ..web() }];
    let (platform, load_balancer) = served_and_idle_as(aws, LoadBalancerSpec { groups, ..Default::default() }).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for("teardown_completed").await;
    assert!(!platform.load_balancer_exists().await);
    let [owned, kept] = load_balancer.groups.as_slice() else { panic!("two groups") };
    assert!(!platform.target_group_exists(owned).await && platform.target_group_exists(kept).await);
    assert_eq!(platform.tags(&kept.arn).await.len(), 0, "it has no mark");
    watcher.assert_no_trouble();
}

async fn reports_an_application_load_balancer_and_keeps_it(aws: Aws) {
    let plan = LoadBalancerSpec {
        application: true,
        groups: vec![TargetGroupSpec { suffix: "web", protocol: ProtocolEnum::Http, port: 80, ..udp() }],
        ..LoadBalancerSpec::default()
    };
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer_as(plan).await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("load_balancer_not_network", "raised").await;
    platform.scale_to_zero(&[&task]).await;
    watcher.wait_for_reconciliations(&platform.proxy, 5).await;
    assert!(platform.is_whole(&load_balancer).await);
    let writes = platform.proxy.writes();
    assert!(writes.iter().all(|call| !call.starts_with("elasticloadbalancing:")), "{writes:?}");
}

async fn reports_deletion_protection_and_continues_once_it_is_off(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    platform.protect(&load_balancer, true).await;
    // moto deletes a protected load balancer; AWS answers like this. So does the sandbox by itself.
    let message =
        format!("Load balancer '{}' cannot be deleted because deletion protection is enabled", load_balancer.arn);
    let refusal = (aws == Aws::Moto).then(|| {
        platform.proxy.on("elasticloadbalancing:DeleteLoadBalancer").error(400, "OperationNotPermitted", &message)
    });
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("deletion_protected", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 3).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert!(watcher.events("load_balancer_deleted").is_empty());
    assert_eq!(watcher.events("finding").len(), 1, "it is logged once, not at every reconciliation");

    platform.protect(&load_balancer, false).await;
    if let Some(refusal) = refusal {
        refusal.lift();
    }
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.wait_for_finding("deletion_protected", "cleared").await;
}

async fn reports_a_missing_service_and_keeps_its_load_balancer(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let since = (Timestamp::now() - SignedDuration::from_secs(3600)).to_string();
    platform.add_tag(&load_balancer.arns(), MARK_SINCE, &since).await;
    platform.add_tag(&load_balancer.arns(), MARK_LOAD_BALANCER, &load_balancer.arn).await;
    let before = platform.targets(&load_balancer.groups[0]).await;

    let watcher = Launch::quick(&platform).global(["--service", "no-such-service"]).start();
    watcher.wait_for_finding("service_missing", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 5).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_eq!(
        platform.targets(&load_balancer.groups[0]).await,
        before,
        "nothing is known, so nothing is deregistered"
    );
}

async fn reports_a_missing_cluster_and_keeps_the_load_balancer(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).global(["--cluster", "no-such-cluster"]).start();
    watcher.wait_for_finding("service_missing", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
}

async fn reports_a_deleted_service_as_missing(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let deleted = platform.ecs.delete_service().cluster(platform.cluster()).service(platform.service()).send().await;
    deleted.expect("an idle service can be deleted");
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("service_missing", "raised").await;
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
}

async fn deregisters_an_unmatched_target_after_half_a_minute(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let stranger = "10.99.99.99";
    platform.register(&load_balancer, stranger).await;
    // The target of a task that has gone is unhealthy; on moto every target is healthy.
    platform
        .proxy
        .on("elasticloadbalancing:DescribeTargetHealth")
        .rewrite(|_, text| text.replace("<State>healthy</State>", "<State>unhealthy</State>"));
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[stranger, &task.ip]).await;
    let started = watcher.wait_for("watcher_started").await;

    let gone = watcher.wait_for("target_deregistered").await;
    let waited = instant(&gone, "timestamp").duration_since(instant(&started, "timestamp"));
    assert!(waited >= SignedDuration::from_secs(30), "deregistered after {waited}");
    assert_eq!(gone.text("reason"), "no_task");
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    assert!(watcher.events("target_deregistered").iter().all(|line| line.text("ip") == stranger));
    watcher.assert_no_trouble();
}

async fn reports_a_healthy_target_of_others_and_keeps_the_load_balancer(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let stranger = "10.99.99.98";
    platform.register(&load_balancer, stranger).await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("target_of_others", "raised").await;
    assert!(finding.text("detail").contains(stranger));
    watcher.wait_for_reconciliations(&platform.proxy, 5).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;

    platform.deregister(&load_balancer, stranger).await;
    watcher.wait_for("teardown_completed").await;
    assert!(platform.is_torn_down(&load_balancer).await);
}

async fn deregisters_nothing_when_ecs_lists_no_tasks_for_a_moment(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;

    // Lists lag behind: for some observations, ECS lists no task.
    let empty = platform.proxy.on("ecs:ListTasks").times(6).rewrite_json(|answer| answer["taskArns"] = json!([]));
    empty.wait_for_hits(6).await;
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    assert!(watcher.events("target_deregistered").is_empty());
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    watcher.assert_no_trouble();
}

async fn registers_the_ipv6_address_in_an_ipv6_group(aws: Aws) {
    let platform = Platform::on(aws).await;
    let six = TargetGroupSpec { family: TargetGroupIpAddressTypeEnum::Ipv6, ..web() };
    let plan = LoadBalancerSpec { groups: vec![udp(), six], ..LoadBalancerSpec::default() };
    let load_balancer = platform.create_load_balancer_as(plan).await;
    // moto's tasks have no such address; AWS shows it beside the other one.
    let dual_stack = platform.proxy.on("ecs:DescribeTasks").rewrite_json(|answer| {
        for task in answer["tasks"].as_array_mut().expect("tasks") {
            let details = task["attachments"][0]["details"].as_array_mut().expect("details");
            details.push(json!({ "name": "ipv6Address", "value": "2a05:d014:1c:4f00::5" }));
        }
    });
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    eventually("each group has the address of its family", async || {
        let four = platform.targets(&load_balancer.groups[0]).await;
        let six = platform.targets(&load_balancer.groups[1]).await;
        (four == [(task.ip.clone(), 10000)].into() && six == [("2a05:d014:1c:4f00::5".to_owned(), 8000)].into())
            .then_some(())
    })
    .await;
    watcher.assert_no_trouble();

    // A task without the address can't be registered in the group.
    dual_stack.lift();
    platform.set_desired(2).await;
    let other = platform.run_task().await;
    let finding = watcher.wait_for_that("finding", |line| line.text("subject").contains(&other.id)).await;
    assert_eq!(finding.text("finding"), "task_without_address");
}

async fn reports_a_group_of_another_target_type_and_registers_in_the_others(aws: Aws) {
    let platform = Platform::on(aws).await;
    let instances = TargetGroupSpec { kind: TargetTypeEnum::Instance, ..web() };
    let plan = LoadBalancerSpec { groups: vec![udp(), instances], ..LoadBalancerSpec::default() };
    let load_balancer = platform.create_load_balancer_as(plan).await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("target_group_unsupported", "raised").await;
    assert_eq!(finding.text("subject"), load_balancer.groups[1].name);
    eventually("the other group has the task", async || {
        (platform.targets(&load_balancer.groups[0]).await == [(task.ip.clone(), 10000)].into()).then_some(())
    })
    .await;
    assert!(platform.targets(&load_balancer.groups[1]).await.is_empty());
    watcher.assert_no_trouble();
}

async fn keeps_the_load_balancer_for_healthy_targets_of_another_type(aws: Aws) {
    let platform = Platform::on(aws).await;
    let instances = TargetGroupSpec { kind: TargetTypeEnum::Instance, ..web() };
    let plan = LoadBalancerSpec { groups: vec![udp(), instances], ..LoadBalancerSpec::default() };
    let load_balancer = platform.create_load_balancer_as(plan).await;
    let group = load_balancer.groups[1].arn.clone();
    // Neither moto nor the sandbox has instances.
    let answering = platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").rewrite(move |request, text| {
        let (list, end) = ("<TargetHealthDescriptions", "</DescribeTargetHealthResult>");
        match (text.find(list), text.find(end)) {
            (Some(from), Some(to)) if request.contains(&group) => {
                let instance = "<TargetHealthDescriptions><member><Target><Id>i-0a1b2c3d4e5f60718</Id><Port>8000</Port>\
                                </Target><TargetHealth><State>healthy</State></TargetHealth></member>\
                                </TargetHealthDescriptions>";
                format!("{}{instance}{}", &text[..from], &text[to..])
            }
            _ => text,
        }
    });
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    eventually("the group of type ip has the task", async || {
        (platform.targets(&load_balancer.groups[0]).await == [(task.ip.clone(), 10000)].into()).then_some(())
    })
    .await;
    platform.scale_to_zero(&[&task]).await;
    let finding = watcher.wait_for_finding("target_of_others", "raised").await;
    assert_eq!(finding.text("subject"), load_balancer.groups[1].name);
    // Longer than the grace period.
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    assert!(watcher.events("idle_marked").is_empty(), "an instance is healthy behind it");
    assert!(platform.load_balancer_exists().await);

    answering.lift();
    watcher.wait_for("teardown_completed").await;
    watcher.assert_no_trouble();
}

async fn reports_a_load_balancer_without_groups_until_it_has_one(aws: Aws) {
    let platform = Platform::on(aws).await;
    let plan = LoadBalancerSpec { groups: Vec::new(), ..LoadBalancerSpec::default() };
    let mut load_balancer = platform.create_load_balancer_as(plan).await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("target_group_missing", "raised").await;
    load_balancer.groups.push(platform.create_target_group(&load_balancer.arn, udp()).await);
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_finding("target_group_missing", "cleared").await;
    watcher.assert_no_trouble();
}

async fn reports_a_failed_load_balancer(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.create_load_balancer().await;
    platform
        .proxy
        .on("elasticloadbalancing:DescribeLoadBalancers")
        .rewrite(|_, text| text.replace("<Code>active</Code>", "<Code>failed</Code>"));
    platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("load_balancer_failed", "raised").await;
}

async fn logs_a_change_of_health_with_its_reason_and_the_tasks_age(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let initial = platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").rewrite(|_, text| {
        text.replace("<State>healthy</State>", "<State>initial</State><Reason>Elb.RegistrationInProgress</Reason>")
    });
    let started = Timestamp::now() - SignedDuration::from_secs(20);
    platform.proxy.on("ecs:DescribeTasks").rewrite_json(move |answer| {
        for task in answer["tasks"].as_array_mut().expect("tasks") {
            task["startedAt"] = json!(started.as_second());
        }
    });
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_reconciliations(&platform.proxy, 1).await;

    let unhealthy = {
        initial.lift();
        platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").rewrite(|_, text| {
            text.replace("<State>healthy</State>", "<State>unhealthy</State><Reason>Target.FailedHealthChecks</Reason>")
        })
    };
    let ill = watcher.wait_for_that("target_health_changed", |line| line.text("to") == "unhealthy").await;
    assert_eq!(ill.text("from"), "initial");
    assert_eq!(ill.text("reason"), "Target.FailedHealthChecks");
    unhealthy.lift();
    let well = watcher.wait_for_that("target_health_changed", |line| line.text("to") == "healthy").await;
    assert_eq!(well.text("task_id"), task.id);
    assert!(well.number("since_start_ms") >= 20_000);
    assert!(watcher.events("target_deregistered").is_empty(), "an unhealthy task is still a task");
    watcher.assert_no_trouble();
}

async fn logs_nothing_while_nothing_happens(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    let quiet_from = watcher.position();
    watcher.wait_for_reconciliations(&platform.proxy, 4).await;
    let said = watcher.lines().split_off(quiet_from);
    // The first reconciliation of each minute publishes metrics, whatever happens.
    let (figures, said): (Vec<_>, Vec<_>) = said.into_iter().partition(|line| line.text("event") == "metrics");
    assert!(said.is_empty(), "{}", listing(&said));
    assert!(figures.len() <= 1, "{}", listing(&figures));
}
