//! A service's life: up, down, away; and what must not happen on the way.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetGroupIpAddressTypeEnum, TargetTypeEnum};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::platform::{
    HOLD, LoadBalancer, LoadBalancerSpec, MARK_LOAD_BALANCER, MARK_SINCE, Platform, REGION, TargetGroupSpec, tcp, udp,
};
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::wait::eventually;
use crate::watcher::{Launch, Line, listing};

on_moto_and_sandbox!(
    a_starting_task_is_registered_in_every_group_with_the_groups_port,
    a_stopping_task_is_deregistered_and_the_others_stay,
    a_task_that_is_told_to_stop_is_deregistered_while_it_still_runs,
    when_the_service_is_idle_everything_is_marked_then_torn_down,
    the_first_look_repairs_what_happened_while_nobody_watched,
    a_worker_killed_within_the_grace_is_followed_by_one_that_goes_on_from_the_mark,
    a_worker_killed_in_the_middle_of_the_teardown_is_followed_by_one_that_finishes_it,
    two_workers_at_once_come_to_one_end_and_neither_is_troubled,
    a_balancer_that_comes_after_the_tasks_gets_them_as_targets,
    a_scale_up_within_the_grace_calls_the_teardown_off,
    a_scale_up_just_before_the_deletion_is_seen_by_the_second_look,
    terraform_wiping_the_tags_puts_the_teardown_off,
    a_teardown_cut_off_after_the_balancers_deletion_is_finished,
    what_another_project_left_is_left_alone,
    teardown_of_the_load_balancer_alone_leaves_the_groups,
    with_teardown_off_an_idle_balancer_is_only_reported,
    a_balancer_that_never_served_has_the_unused_grace,
    a_hold_keeps_an_idle_balancer_until_it_is_lifted,
    a_hold_that_comes_within_the_grace_stops_the_teardown,
    a_hold_that_is_no_instant_or_too_far_ahead_is_reported_and_not_obeyed,
    a_balancer_without_the_owner_tag_is_reported_and_never_touched,
    the_owner_tag_can_be_another_one,
    an_application_balancer_is_reported_and_never_touched,
    deletion_protection_is_reported_and_the_teardown_goes_on_when_it_is_off,
    a_service_that_is_missing_is_reported_and_its_balancer_never_torn_down,
    a_cluster_that_is_missing_is_reported_and_the_balancer_never_torn_down,
    a_deleted_service_is_missing_too,
    an_address_that_nobody_knows_is_deregistered_after_half_a_minute_and_a_serving_one_never,
    a_healthy_target_of_somebody_elses_is_reported_and_keeps_the_balancer,
    one_look_that_shows_no_tasks_empties_no_group,
    an_ipv6_group_gets_the_ipv6_address,
    a_group_of_another_target_type_is_reported_and_the_others_served,
    what_answers_in_a_group_of_another_target_type_keeps_the_balancer,
    a_balancer_without_groups_is_reported_until_it_has_one,
    a_failed_balancer_is_reported,
    a_change_of_health_is_logged_with_its_reason_and_the_time_it_took,
    nothing_is_logged_while_nothing_happens,
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

/// A platform whose one task was registered and has gone: idle, and about to be torn down if nothing is against it.
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

async fn a_starting_task_is_registered_in_every_group_with_the_groups_port(aws: Aws) {
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

async fn a_stopping_task_is_deregistered_and_the_others_stay(aws: Aws) {
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

async fn a_task_that_is_told_to_stop_is_deregistered_while_it_still_runs(aws: Aws) {
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

async fn when_the_service_is_idle_everything_is_marked_then_torn_down(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).args(["--idle-grace", "5s"]).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;

    platform.scale_to_zero(&[&task]).await;
    platform.send_event_for(&task).await;

    let marked = watcher.wait_for("idle_marked").await;
    assert_eq!(marked.text("load_balancer"), load_balancer.name);
    for arn in load_balancer.arns() {
        let tags = platform.tags(arn).await;
        assert_eq!(tags.get(MARK_SINCE).map(String::as_str), Some(marked.text("idle_since")), "{arn}");
        assert_eq!(tags.get(MARK_LOAD_BALANCER), Some(&load_balancer.arn), "{arn}");
    }
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

async fn the_first_look_repairs_what_happened_while_nobody_watched(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let (old, new) = platform.one_replaced_by_another().await;
    platform.register(&load_balancer, &old.ip).await;

    let watcher = Launch::run(&platform).start();

    platform.wait_for_targets(&load_balancer, &[&new.ip]).await;
    assert_eq!(platform.proxy.count("sqs:DeleteMessageBatch"), 0, "there was no message");
    watcher.assert_no_trouble();
}

async fn a_worker_killed_within_the_grace_is_followed_by_one_that_goes_on_from_the_mark(aws: Aws) {
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

async fn a_worker_killed_in_the_middle_of_the_teardown_is_followed_by_one_that_finishes_it(aws: Aws) {
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

async fn two_workers_at_once_come_to_one_end_and_neither_is_troubled(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let other_way = platform.another_proxy().await;
    let workers = [Launch::quick(&platform).start(), Launch::quick(&platform).endpoint(&other_way).start()];
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
    for worker in workers {
        worker.assert_no_trouble();
        assert_eq!(worker.stop().await, Some(0));
    }
}

async fn a_balancer_that_comes_after_the_tasks_gets_them_as_targets(aws: Aws) {
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

async fn a_scale_up_within_the_grace_calls_the_teardown_off(aws: Aws) {
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

async fn a_scale_up_just_before_the_deletion_is_seen_by_the_second_look(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    // The load balancer is marked for long enough, and the service comes back between two reads of its counts.
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
    watcher.wait_for_looks(&platform.proxy, 2).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_eq!(platform.proxy.count("elasticloadbalancing:DeleteLoadBalancer"), 0);
    watcher.assert_no_trouble();
}

async fn terraform_wiping_the_tags_puts_the_teardown_off(aws: Aws) {
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

async fn a_teardown_cut_off_after_the_balancers_deletion_is_finished(aws: Aws) {
    let platform = Platform::on(aws).await;
    let groups = [platform.create_unused_target_group(udp()).await, platform.create_unused_target_group(tcp()).await];
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

async fn what_another_project_left_is_left_alone(aws: Aws) {
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
    watcher.wait_for_looks(&platform.proxy, 2).await;
    assert!(!platform.target_group_exists(&ours).await);
    for group in &left {
        assert!(platform.target_group_exists(group).await, "{} is gone", group.name);
    }
    watcher.assert_no_trouble();
}

async fn teardown_of_the_load_balancer_alone_leaves_the_groups(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--teardown", "load-balancer"]).start();
    watcher.wait_for("load_balancer_deleted").await;
    watcher.wait_for_looks(&platform.proxy, 3).await;
    assert!(!platform.load_balancer_exists().await);
    for group in &load_balancer.groups {
        assert!(platform.target_group_exists(group).await, "{} is gone", group.name);
        let tags = platform.tags(&group.arn).await;
        assert!(!tags.contains_key(MARK_SINCE), "{} is marked for a worker with another setting", group.name);
    }
    watcher.assert_no_trouble();
}

async fn with_teardown_off_an_idle_balancer_is_only_reported(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--teardown", "off"]).start();
    watcher.wait_for_finding("teardown_off", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;
    watcher.assert_no_trouble();
}

async fn a_balancer_that_never_served_has_the_unused_grace(aws: Aws) {
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

async fn a_hold_keeps_an_idle_balancer_until_it_is_lifted(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    platform.add_tag(&[&load_balancer.arn], HOLD, &until).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("hold_active", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;

    platform.remove_tag(&[&load_balancer.arn], HOLD).await;
    watcher.wait_for_finding("hold_active", "cleared").await;
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.assert_no_trouble();
}

async fn a_hold_that_comes_within_the_grace_stops_the_teardown(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).args(["--idle-grace", "4s"]).start();
    watcher.wait_for("idle_marked").await;
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    platform.add_tag(&[&load_balancer.arn], HOLD, &until).await;
    watcher.wait_for_finding("hold_active", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 6).await;
    assert!(platform.is_whole(&load_balancer).await);
}

async fn a_hold_that_is_no_instant_or_too_far_ahead_is_reported_and_not_obeyed(aws: Aws) {
    for hold in ["tomorrow".to_owned(), (Timestamp::now() + SignedDuration::from_hours(48)).to_string()] {
        let (platform, load_balancer) = served_and_idle(aws).await;
        platform.add_tag(&[&load_balancer.arn], HOLD, &hold).await;
        let watcher = Launch::quick(&platform).start();
        watcher.wait_for_finding("hold_invalid", "raised").await;
        platform.wait_until_torn_down(&load_balancer).await;
    }
}

async fn a_balancer_without_the_owner_tag_is_reported_and_never_touched(aws: Aws) {
    let plan = LoadBalancerSpec { tags: vec![("Lifecycle", "permanent".to_owned())], ..LoadBalancerSpec::default() };
    let (platform, load_balancer) = served_and_idle_as(aws, plan).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("load_balancer_not_owned", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;

    // Its targets are kept true all the same.
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.assert_no_trouble();
}

async fn the_owner_tag_can_be_another_one(aws: Aws) {
    let plan = LoadBalancerSpec { tags: vec![("Team", "video=calls".to_owned())], ..LoadBalancerSpec::default() };
    let (platform, load_balancer) = served_and_idle_as(aws, plan).await;
    let watcher = Launch::quick(&platform).args(["--owner-tag", "Team=video=calls"]).start();
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.assert_no_trouble();
}

async fn an_application_balancer_is_reported_and_never_touched(aws: Aws) {
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
    watcher.wait_for_looks(&platform.proxy, 5).await;
    assert!(platform.is_whole(&load_balancer).await);
    let writes = platform.proxy.writes();
    assert!(writes.iter().all(|call| !call.starts_with("elasticloadbalancing:")), "{writes:?}");
}

async fn deletion_protection_is_reported_and_the_teardown_goes_on_when_it_is_off(aws: Aws) {
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
    watcher.wait_for_looks(&platform.proxy, 3).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert!(watcher.events("load_balancer_deleted").is_empty());
    assert_eq!(watcher.events("finding").len(), 1, "it is said once, not at every look");

    platform.protect(&load_balancer, false).await;
    if let Some(refusal) = refusal {
        refusal.lift();
    }
    platform.wait_until_torn_down(&load_balancer).await;
    watcher.wait_for_finding("deletion_protected", "cleared").await;
}

async fn a_service_that_is_missing_is_reported_and_its_balancer_never_torn_down(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let since = (Timestamp::now() - SignedDuration::from_secs(3600)).to_string();
    platform.add_tag(&load_balancer.arns(), MARK_SINCE, &since).await;
    platform.add_tag(&load_balancer.arns(), MARK_LOAD_BALANCER, &load_balancer.arn).await;
    let before = platform.targets(&load_balancer.groups[0]).await;

    let watcher = Launch::quick(&platform).global(["--service", "no-such-service"]).start();
    watcher.wait_for_finding("service_missing", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 5).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_eq!(
        platform.targets(&load_balancer.groups[0]).await,
        before,
        "nothing is known, so nothing is deregistered"
    );
}

async fn a_cluster_that_is_missing_is_reported_and_the_balancer_never_torn_down(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let watcher = Launch::quick(&platform).global(["--cluster", "no-such-cluster"]).start();
    watcher.wait_for_finding("service_missing", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
}

async fn a_deleted_service_is_missing_too(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let deleted = platform.ecs.delete_service().cluster(platform.cluster()).service(platform.service()).send().await;
    deleted.expect("an idle service can be deleted");
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_finding("service_missing", "raised").await;
    watcher.wait_for_looks(&platform.proxy, 4).await;
    assert!(platform.is_whole(&load_balancer).await);
}

async fn an_address_that_nobody_knows_is_deregistered_after_half_a_minute_and_a_serving_one_never(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let stranger = "10.99.99.99";
    platform.register(&load_balancer, stranger).await;
    // What a task has left behind fails its health checks; moto would call it healthy.
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
    watcher.wait_for_looks(&platform.proxy, 2).await;
    assert!(watcher.events("target_deregistered").iter().all(|line| line.text("ip") == stranger));
    watcher.assert_no_trouble();
}

async fn a_healthy_target_of_somebody_elses_is_reported_and_keeps_the_balancer(aws: Aws) {
    let (platform, load_balancer) = served_and_idle(aws).await;
    let stranger = "10.99.99.98";
    platform.register(&load_balancer, stranger).await;
    let watcher = Launch::quick(&platform).start();
    let finding = watcher.wait_for_finding("target_of_others", "raised").await;
    assert!(finding.text("detail").contains(stranger));
    watcher.wait_for_looks(&platform.proxy, 5).await;
    assert!(platform.is_whole(&load_balancer).await);
    assert_unmarked(&platform, &load_balancer).await;

    platform.deregister(&load_balancer, stranger).await;
    watcher.wait_for("teardown_completed").await;
    assert!(platform.is_torn_down(&load_balancer).await);
}

async fn one_look_that_shows_no_tasks_empties_no_group(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(2).await;
    let tasks = platform.run_tasks(2).await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;

    // Lists lag behind: for some looks, ECS shows nothing.
    let empty = platform.proxy.on("ecs:ListTasks").times(6).rewrite_json(|answer| answer["taskArns"] = json!([]));
    empty.wait_for_hits(6).await;
    watcher.wait_for_looks(&platform.proxy, 2).await;
    assert!(watcher.events("target_deregistered").is_empty());
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip, &tasks[1].ip]).await;
    watcher.assert_no_trouble();
}

async fn an_ipv6_group_gets_the_ipv6_address(aws: Aws) {
    let platform = Platform::on(aws).await;
    let six = TargetGroupSpec { family: TargetGroupIpAddressTypeEnum::Ipv6, ..tcp() };
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
        (four == [(task.ip.clone(), 10000)].into() && six == [("2a05:d014:1c:4f00::5".to_owned(), 4443)].into())
            .then_some(())
    })
    .await;
    watcher.assert_no_trouble();

    // Without the address the group can't be served, and a person should know.
    dual_stack.lift();
    platform.set_desired(2).await;
    let other = platform.run_task().await;
    let finding = watcher.wait_for_that("finding", |line| line.text("subject").contains(&other.id)).await;
    assert_eq!(finding.text("finding"), "task_without_address");
}

async fn a_group_of_another_target_type_is_reported_and_the_others_served(aws: Aws) {
    let platform = Platform::on(aws).await;
    let instances = TargetGroupSpec { kind: TargetTypeEnum::Instance, ..tcp() };
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

async fn what_answers_in_a_group_of_another_target_type_keeps_the_balancer(aws: Aws) {
    let platform = Platform::on(aws).await;
    let instances = TargetGroupSpec { kind: TargetTypeEnum::Instance, ..tcp() };
    let plan = LoadBalancerSpec { groups: vec![udp(), instances], ..LoadBalancerSpec::default() };
    let load_balancer = platform.create_load_balancer_as(plan).await;
    let group = load_balancer.groups[1].arn.clone();
    // Neither of these AWSs has instances.
    let answering = platform.proxy.on("elasticloadbalancing:DescribeTargetHealth").rewrite(move |request, text| {
        let (list, end) = ("<TargetHealthDescriptions", "</DescribeTargetHealthResult>");
        match (text.find(list), text.find(end)) {
            (Some(from), Some(to)) if request.contains(&group) => {
                let instance = "<TargetHealthDescriptions><member><Target><Id>i-0a1b2c3d4e5f60718</Id><Port>4443</Port>\
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
    // Longer than the grace, look by look.
    watcher.wait_for_looks(&platform.proxy, 4).await;
    assert!(watcher.events("idle_marked").is_empty(), "an instance answers behind it");
    assert!(platform.load_balancer_exists().await);

    answering.lift();
    watcher.wait_for("teardown_completed").await;
    watcher.assert_no_trouble();
}

async fn a_balancer_without_groups_is_reported_until_it_has_one(aws: Aws) {
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

async fn a_failed_balancer_is_reported(aws: Aws) {
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

async fn a_change_of_health_is_logged_with_its_reason_and_the_time_it_took(aws: Aws) {
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
    watcher.wait_for_looks(&platform.proxy, 1).await;

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

async fn nothing_is_logged_while_nothing_happens(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let watcher = Launch::quick(&platform).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    watcher.wait_for_looks(&platform.proxy, 2).await;
    let quiet_from = watcher.position();
    watcher.wait_for_looks(&platform.proxy, 4).await;
    let said = watcher.lines().split_off(quiet_from);
    // The first look of each minute has its figures, whatever happens.
    let (figures, said): (Vec<_>, Vec<_>) = said.into_iter().partition(|line| line.text("event") == "metrics");
    assert!(said.is_empty(), "{}", listing(&said));
    assert!(figures.len() <= 1, "{}", listing(&figures));
}
