//! A silent feed: a rule that somebody has switched off, and events that don't come, become findings; and a worker that
//! may not look at the rule works on.

use crate::platform::Platform;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::{Launch, Watcher};

on_moto_and_sandbox! {
    a_rule_that_is_disabled_is_found_at_the_start,
    a_feed_that_is_whole_gives_no_finding,
    a_worker_that_may_not_look_at_the_rule_works_on_and_names_the_action,
    with_the_check_off_nobody_asks_for_the_rule,
}

fn start(platform: &Platform) -> Watcher {
    Launch::quick(platform).env("JVB_WATCHER_FEED_CHECK", "hourly").start()
}

async fn a_rule_that_is_disabled_is_found_at_the_start(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    platform.events.disable_rule().name(format!("{}-tasks", platform.project)).send().await.expect("a rule");
    let watcher = start(&platform);
    let finding = watcher.wait_for_finding("rule_disabled", "raised").await;
    assert_eq!(finding.text("subject"), format!("{}-tasks", platform.project));
    assert!(finding.text("advice").contains("enable-rule"));
    assert_eq!(watcher.stop().await, Some(0));
}

async fn a_feed_that_is_whole_gives_no_finding(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.route_events().await;
    let watcher = start(&platform);
    platform.proxy.wait_for_calls("events:TestEventPattern", 2).await;
    watcher.wait_for_looks(&platform.proxy, 3).await;
    assert_eq!(watcher.events("finding").len(), 0);
    watcher.assert_no_trouble();
}

async fn a_worker_that_may_not_look_at_the_rule_works_on_and_names_the_action(aws: Aws) {
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
    assert_eq!(watcher.events("finding").len(), 0, "a check that failed says nothing of the feed");
}

async fn with_the_check_off_nobody_asks_for_the_rule(aws: Aws) {
    let platform = Platform::on(aws).await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for_looks(&platform.proxy, 3).await;
    assert_eq!(platform.proxy.calls().iter().filter(|call| call.name.starts_with("events:")).count(), 0);
    assert_eq!(watcher.events("finding").len(), 0);
}
