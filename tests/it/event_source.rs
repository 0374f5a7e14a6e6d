//! The checks of the event source: a disabled rule is a finding, and a worker that lacks the permissions for the check
//! still works.

use crate::platform::Platform;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::{Launch, Watcher};

on_moto_and_sandbox! {
    a_disabled_rule_is_a_finding_at_the_start,
    a_correct_event_source_has_no_findings,
    a_worker_that_may_not_read_the_rule_works_and_names_the_action,
    with_the_check_off_the_worker_does_not_read_the_rule,
}

fn start(platform: &Platform) -> Watcher {
    Launch::quick(platform).env("JVB_WATCHER_FEED_CHECK", "hourly").start()
}

async fn a_disabled_rule_is_a_finding_at_the_start(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    platform.events.disable_rule().name(format!("{}-tasks", platform.project)).send().await.expect("a rule");
    let watcher = start(&platform);
    let finding = watcher.wait_for_finding("rule_disabled", "raised").await;
    assert_eq!(finding.text("subject"), format!("{}-tasks", platform.project));
    assert!(finding.text("advice").contains("enable-rule"));
    assert_eq!(watcher.stop().await, Some(0));
}

async fn a_correct_event_source_has_no_findings(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    let watcher = start(&platform);
    platform.proxy.wait_for_calls("events:TestEventPattern", 2).await;
    watcher.wait_for_reconciliations(&platform.proxy, 3).await;
    assert_eq!(watcher.events("finding").len(), 0);
    watcher.assert_no_trouble();
}

async fn a_worker_that_may_not_read_the_rule_works_and_names_the_action(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    platform.proxy.on("events:DescribeRule").error(400, "AccessDeniedException", "no");
    let load_balancer = platform.create_load_balancer().await;
    let watcher = start(&platform);
    let failed = watcher.wait_for("feed_check_failed").await;
    assert!(failed.text("error").contains("allow the action events:DescribeRule"), "{}", failed.text("error"));
    assert_eq!(failed.text("level"), "WARN");
    let task = platform.scale_to_one().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert_eq!(watcher.events("finding").len(), 0, "a check that failed says nothing about the event source");
}

async fn with_the_check_off_the_worker_does_not_read_the_rule(aws: Aws) {
    let platform = Platform::on(aws).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_reconciliations(&platform.proxy, 3).await;
    assert_eq!(platform.proxy.calls().iter().filter(|call| call.name.starts_with("events:")).count(), 0);
    assert_eq!(watcher.events("finding").len(), 0);
}
