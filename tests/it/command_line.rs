//! The command line: options, messages, exit codes, signals.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::platform::{MARK_LOAD_BALANCER, MARK_SINCE, Platform, Queue, REGION};
use crate::proxy::Proxy;
use crate::stage::Aws;
use crate::wait::eventually;
use crate::watcher::{Finished, Launch, SECRET};

/// Asserts that the program ended with exit code 2, one message on standard error with these parts, and no log.
fn assert_usage_error(finished: &Finished, parts: &[&str]) {
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let text = finished.stderr.trim();
    assert!(!text.is_empty(), "there is no message");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    assert_eq!(text.matches("rror:").count(), 1, "there is more than one message: {text}");
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{text}");
    assert!(!text.contains(SECRET));
    assert!(finished.lines.is_empty(), "the program did not stop at once: {:?}", finished.stdout);
}

#[tokio::test]
async fn help_lists_commands_options_and_variables() {
    let help = Launch::bare("--help").finish().await;
    assert_eq!(help.code, Some(0));
    for word in ["Run:", "Operate:", "Inspect:", "Shell:", "run ", "reconcile ", "JVB_WATCHER_IDLE_GRACE"] {
        assert!(help.stdout.contains(word), "{word} is not in:\n{}", help.stdout);
    }
    let run = Launch::bare("run").args(["--help"]).finish().await;
    assert_eq!(run.code, Some(0));
    for option in [
        "--project",
        "--region",
        "--endpoint-url",
        "--log-format",
        "--resync-interval",
        "--idle-grace",
        "--unused-grace",
    ]
    .into_iter()
    .chain(["--owner-tag", "--teardown", "--exit-when-empty", "--metrics", "--metrics-namespace"])
    {
        assert!(run.stdout.contains(option), "{option} is not in:\n{}", run.stdout);
        let variable = format!("JVB_WATCHER_{}", option[2..].replace('-', "_").to_uppercase());
        assert!(run.stdout.contains(&variable), "{variable} is not in:\n{}", run.stdout);
    }
    let reconcile = Launch::bare("reconcile").args(["--help"]).finish().await;
    assert!(reconcile.stdout.contains("--dry-run") && reconcile.stdout.contains("--wait-healthy"));
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let version = Launch::bare("--version").finish().await;
    assert_eq!(version.code, Some(0));
    assert_eq!(version.stdout.trim(), concat!("jvb-watcher ", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_missing_or_unknown_command_is_a_usage_error() {
    for (subcommand, named) in [("", "reconcile"), ("watch", "'watch'")] {
        let finished = Launch::bare(subcommand).finish().await;
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert!(finished.stderr.contains(named), "{named} is not in: {}", finished.stderr);
    }
}

#[tokio::test]
async fn an_invalid_value_is_reported_with_its_option_before_any_aws_call() {
    let platform = Platform::new().await;
    let long = "a-project-with-too-long-a-name";
    let run = || Launch::run(&platform);
    let cases: Vec<(&str, Launch, Vec<&str>)> = vec![
        ("no project", run().without_env("JITSI_PROJECT"), vec!["--project"]),
        ("a long project", run().env("JITSI_PROJECT", long), vec!["--load-balancer", "32"]),
        ("a long load balancer", run().global(["--load-balancer", &"x".repeat(33)]), vec!["--load-balancer", "32"]),
        ("an invalid load balancer", run().global(["--load-balancer", "under_score"]), vec!["--load-balancer"]),
        ("no duration at all", run().args(["--idle-grace", "soon"]), vec!["--idle-grace", "soon"]),
        ("no unit", run().args(["--idle-grace", "60"]), vec!["--idle-grace", "60"]),
        ("a duration of zero", run().args(["--idle-grace", "0s"]), vec!["--idle-grace"]),
        ("a reserved namespace", run().args(["--metrics-namespace", "AWS/ECS"]), vec!["--metrics-namespace", "AWS/"]),
        (
            "an invalid namespace",
            run().args(["--metrics-namespace", "a b"]),
            vec!["--metrics-namespace", "letters, digits"],
        ),
        ("an unknown format", run().args(["--metrics", "statsd"]), vec!["--metrics", "emf", "off"]),
        ("an interval of zero", run().args(["--resync-interval", "0s"]), vec!["--resync-interval"]),
        ("a variable", run().env("JVB_WATCHER_UNUSED_GRACE", "long"), vec!["unused", "long"]),
        ("a tag without value", run().args(["--owner-tag", "Lifecycle"]), vec!["--owner-tag", "="]),
        ("a tag without key", run().args(["--owner-tag", "=on-demand"]), vec!["--owner-tag"]),
        ("a teardown", run().args(["--teardown", "some"]), vec!["--teardown", "load-balancer"]),
        ("a log format", run().global(["--log-format", "xml"]), vec!["--log-format", "json"]),
        ("a log level", run().global(["--log-level", "loud"]), vec!["--log-level"]),
        ("an endpoint", run().global(["--endpoint-url", "not a url"]), vec!["--endpoint-url"]),
        ("an endpoint's scheme", run().global(["--endpoint-url", "ftp://localhost"]), vec!["--endpoint-url", "http"]),
        ("no region", run().without_env("JITSI_AWS_REGION"), vec!["--region"]),
        (
            "a region of the SDK's that is none",
            run().without_env("JITSI_AWS_REGION").env("AWS_REGION", "eu west"),
            vec!["--region", "eu west", "AWS_REGION"],
        ),
        ("an empty argument", run().global(["--load-balancer", ""]), vec!["--load-balancer", "empty"]),
        ("an unknown option", run().args(["--idle-grce", "1s"]), vec!["--idle-grce"]),
        (
            "no credentials",
            run().without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY"),
            vec!["--profile"],
        ),
        (
            "a duration of reconcile",
            Launch::new(&platform, "reconcile").args(["--wait-healthy", "forever"]),
            vec!["--wait-healthy", "forever"],
        ),
    ];
    for (what, launch, parts) in cases {
        println!("{what}");
        assert_usage_error(&launch.finish().await, &parts);
        assert!(platform.proxy.calls().is_empty(), "{what}: AWS was called:\n{}", platform.proxy.summary());
    }
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_a_usage_error() {
    let platform = Platform::new().await;
    let by_name = Launch::run(&platform).global(["--queue", "no-such-queue"]).finish().await;
    assert_usage_error(&by_name, &["--queue", "no-such-queue"]);
    let url = platform.queue_url.replace("jvb-watcher", "nowhere");
    let by_url = Launch::run(&platform).global(["--queue", &url]).finish().await;
    assert_usage_error(&by_url, &["--queue", "nowhere"]);
    let touched: Vec<_> = platform.proxy.calls().into_iter().filter(|call| !call.name.starts_with("sqs:Get")).collect();
    assert!(touched.is_empty(), "{touched:?}");
}

#[tokio::test]
async fn the_queue_can_be_a_url() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let url = platform.proxy.endpoint()
        + &platform.queue_url[platform.queue_url.rfind("/1").expect("the URL has an account")..];
    let _watcher = Launch::run(&platform).global(["--queue", &url]).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.wait_until_queue_empty().await;
}

#[tokio::test]
async fn a_flag_overrides_a_variable_and_a_variable_the_default() {
    let platform = Platform::new().await;
    let run = || Launch::run(&platform);

    let watcher = run().start();
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started.text("project"), platform.project);
    assert_eq!(started.text("cluster"), platform.cluster());
    assert_eq!(started.text("service"), platform.service());
    assert_eq!(started.text("load_balancer"), platform.load_balancer_name());
    assert_eq!(started.text("region"), REGION);
    assert!(started.text("queue").ends_with(&platform.queue_name()));
    assert_eq!(started.text("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(started.text("owner_tag"), "Lifecycle=on-demand");
    assert_eq!(started.text("teardown"), "all");
    assert_eq!(started["resync_interval_seconds"].as_f64(), Some(60.0));
    assert_eq!(started["idle_grace_seconds"].as_f64(), Some(60.0));
    assert_eq!(started["unused_grace_seconds"].as_f64(), Some(900.0));
    watcher.stop().await;

    let variables =
        || run().env("JVB_WATCHER_IDLE_GRACE", "2m").env("JVB_WATCHER_TEARDOWN", "off").env("JITSI_SERVICE", "video");
    let watcher = variables().start();
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started["idle_grace_seconds"].as_f64(), Some(120.0));
    assert_eq!(started.text("teardown"), "off");
    assert_eq!(started.text("service"), "video");
    watcher.stop().await;

    let watcher = run().args(["--idle-grace", "until-paid-hour"]).start();
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started["idle_grace_seconds"].as_f64(), Some(60.0));
    assert_eq!(started["idle_grace_until_paid_hour"], true);
    watcher.stop().await;

    let watcher = variables().args(["--idle-grace", "1m 30s"]).global(["--service", "calls"]).start();
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started["idle_grace_seconds"].as_f64(), Some(90.0));
    assert_eq!(started.text("service"), "calls");
    watcher.stop().await;
}

#[tokio::test]
async fn the_programs_own_variable_overrides_the_platforms() {
    let platform = Platform::new().await;
    let watcher = Launch::run(&platform)
        .env("JITSI_PROJECT", "another")
        .env("JVB_WATCHER_PROJECT", &platform.project)
        .env("JVB_WATCHER_SERVICE", "mine")
        .env("JITSI_SERVICE", "theirs")
        .start();
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started.text("project"), platform.project);
    assert_eq!(started.text("service"), "mine");
}

#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let platform = Platform::new().await;
    let watcher = Launch::run(&platform)
        .env("JVB_WATCHER_PROJECT", "")
        .env("JVB_WATCHER_IDLE_GRACE", "")
        .env("JVB_WATCHER_TEARDOWN", "")
        .env("JITSI_CLUSTER", "")
        .env("JITSI_AWS_PROFILE", "")
        .env("JVB_WATCHER_LOG_LEVEL", "")
        .start();
    let started = watcher.wait_for("watcher_started").await;
    assert_eq!(started.text("project"), platform.project);
    assert_eq!(started.text("cluster"), platform.cluster());
    assert_eq!(started["idle_grace_seconds"].as_f64(), Some(60.0));
    watcher.stop().await;

    let finished = Launch::run(&platform).env("JITSI_PROJECT", "").finish().await;
    assert_usage_error(&finished, &["--project"]);
}

#[tokio::test]
async fn the_region_can_come_from_the_sdks_configuration() {
    let platform = Platform::new().await;
    let launch = Launch::run(&platform).without_env("JITSI_AWS_REGION").env("AWS_REGION", REGION);
    let watcher = launch.start();
    assert_eq!(watcher.wait_for("watcher_started").await.text("region"), REGION);
}

#[tokio::test]
async fn the_endpoint_can_be_an_option() {
    let platform = Platform::new().await;
    let endpoint = platform.proxy.endpoint();
    let nowhere = "http://127.0.0.1:9";
    let watcher = Launch::run(&platform).env("AWS_ENDPOINT_URL", nowhere).global(["--endpoint-url", &endpoint]).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn the_log_in_a_pipe_is_json_unless_pretty_is_requested() {
    let platform = Platform::new().await;
    platform.create_load_balancer().await;
    let pretty = Launch::new(&platform, "reconcile").global(["--log-format", "pretty"]).finish().await;
    assert_eq!(pretty.code, Some(0), "{pretty:#?}");
    assert!(!pretty.stdout.trim_start().starts_with('{'), "{}", pretty.stdout);
    assert!(!pretty.stdout.contains('\u{1b}'), "there are colours in a pipe: {:?}", pretty.stdout);
    let auto = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(auto.lines.len(), auto.stdout.lines().count());
}

#[tokio::test]
async fn at_debug_the_log_has_the_sdks_diagnostics_and_no_secrets() {
    let platform = Platform::new().await;
    let launch = Launch::new(&platform, "reconcile").global(["--profile", "p", "--log-level", "debug"]);
    let folder = launch.home().join(".aws");
    std::fs::create_dir(&folder).expect("the home is writable");
    let profile = format!("[profile p]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = {SECRET}\n");
    std::fs::write(folder.join("config"), profile).expect("the home is writable");
    let finished = launch.finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let diagnostics = finished.events("diagnostic");
    assert!(diagnostics.iter().any(|line| line.text("target").starts_with("aws_")), "{diagnostics:#?}");
    assert!(!finished.stdout.contains(SECRET) && !finished.stderr.contains(SECRET));
}

// `reconcile`: one reconciliation.

#[tokio::test]
async fn reconcile_registers_deregisters_and_exits_with_0() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(1).await;
    let tasks = platform.run_tasks(2).await;
    platform.stop_task(&tasks[0]).await;
    platform.register(&load_balancer, &tasks[0].ip).await;
    platform.send_event_for(&tasks[1]).await;

    let finished = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    platform.wait_for_targets(&load_balancer, &[&tasks[1].ip]).await;
    assert_eq!(finished.events("target_registered").len(), 2);
    assert_eq!(finished.events("target_deregistered").len(), 2);
    assert_eq!(finished.events("reconciled").len(), 1);
    let queue_calls = platform.proxy.calls().iter().filter(|call| call.name.starts_with("sqs:")).count();
    assert_eq!(queue_calls, 0, "reconcile called the queue");
    assert_eq!(platform.queue_depth().await, 1);
}

#[tokio::test]
async fn reconcile_needs_no_queue() {
    let platform = Platform::new().await;
    platform.create_load_balancer().await;
    let finished = Launch::new(&platform, "reconcile").env("JVB_WATCHER_QUEUE", "no-such-queue").finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn reconcile_neither_marks_nor_deletes() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    platform.scale_to_zero(&[&task]).await;
    let finished = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!platform.tags(&load_balancer.arn).await.contains_key(MARK_SINCE));
    assert!(finished.events("finding").is_empty(), "reconcile has no --teardown to advise on: {finished:#?}");

    // Not even a load balancer whose mark has expired.
    platform.add_tag(&load_balancer.arns(), MARK_SINCE, "2026-01-01T00:00:00Z").await;
    platform.add_tag(&load_balancer.arns(), MARK_LOAD_BALANCER, &load_balancer.arn).await;
    let finished = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(platform.is_whole(&load_balancer).await);
}

#[tokio::test]
async fn a_dry_run_logs_the_planned_changes_and_makes_none() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(1).await;
    let tasks = platform.run_tasks(2).await;
    platform.stop_task(&tasks[0]).await;
    platform.register(&load_balancer, &tasks[0].ip).await;

    let finished = Launch::new(&platform, "reconcile").args(["--dry-run"]).finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(platform.proxy.writes().is_empty(), "{:?}", platform.proxy.writes());
    platform.wait_for_targets(&load_balancer, &[&tasks[0].ip]).await;
    let planned = finished.events("planned");
    for group in &load_balancer.groups {
        for (act, task) in [("register", &tasks[1]), ("deregister", &tasks[0])] {
            let found = planned.iter().any(|line| {
                line.text("act") == act
                    && line.text("ip") == task.ip
                    && line.text("target_group") == group.name
                    && line.number("port") == i64::from(group.port)
            });
            assert!(found, "{act} of {} in {} is not planned: {planned:?}", task.ip, group.name);
        }
    }
    assert_eq!(planned.len(), 4);
    assert!(finished.events("target_registered").is_empty());
}

#[tokio::test]
async fn reconcile_exits_with_1_if_tasks_cannot_be_registered() {
    // No load balancer for the tasks.
    let platform = Platform::new().await;
    platform.scale_to_one().await;
    let finished = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert_eq!(finished.events("finding")[0].text("finding"), "load_balancer_missing");

    // No service of this name.
    let finished = Launch::new(&platform, "reconcile").global(["--service", "unknown"]).finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert_eq!(finished.events("finding")[0].text("finding"), "service_missing");

    // No permission.
    platform.create_load_balancer().await;
    platform.proxy.on("elasticloadbalancing:RegisterTargets").error(403, "AccessDenied", "not authorized");
    let finished = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!((finished.stdout.clone() + &finished.stderr).contains("RegisterTargets"), "{finished:#?}");
}

#[tokio::test]
async fn reconcile_exits_with_1_if_aws_is_unreachable() {
    let platform = Platform::new().await;
    platform.proxy.go_down().await;
    let finished = Launch::new(&platform, "reconcile").finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
}

/// Changes the state of moto's targets, which are always healthy.
fn health(platform: &Platform, state: &'static str) -> crate::proxy::Fault {
    platform
        .proxy
        .on("elasticloadbalancing:DescribeTargetHealth")
        .rewrite(move |_, text| text.replace("<State>healthy</State>", &format!("<State>{state}</State>")))
}

#[tokio::test]
async fn wait_healthy_succeeds_once_every_target_is_healthy() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let initial = health(&platform, "initial");
    let mut waiting = Launch::new(&platform, "reconcile").args(["--wait-healthy", "60s"]).start();
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.proxy.wait_for_calls("elasticloadbalancing:DescribeTargetHealth", 4).await;
    assert!(waiting.is_running(), "it did not wait for the initial targets");
    initial.lift();
    assert_eq!(waiting.wait_exit().await.code(), Some(0));
    let line = waiting.wait_for("targets_healthy").await;
    assert_eq!(line.number("registered"), 2);
    assert!(line.number("waited_ms") > 0);
}

#[tokio::test]
async fn wait_healthy_fails_after_its_timeout() {
    let platform = Platform::new().await;
    platform.create_load_balancer().await;
    platform.scale_to_one().await;
    health(&platform, "unhealthy");
    let start = Instant::now();
    let finished = Launch::new(&platform, "reconcile").args(["--wait-healthy", "3s"]).finish().await;
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(start.elapsed() >= Duration::from_secs(3));
    assert!(finished.events("targets_healthy").is_empty());
    assert!(finished.stderr.contains("healthy"), "the reason is missing: {finished:#?}");
}

// Signals.

#[tokio::test]
async fn a_signal_stops_the_worker_without_waiting_for_its_poll() {
    for (signal, reason) in [("TERM", "sigterm"), ("INT", "sigint")] {
        let platform = Platform::new().await;
        platform.create_load_balancer().await;
        let mut watcher = Launch::run(&platform).start();
        platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
        watcher.signal(signal);
        assert_eq!(watcher.wait_exit().await.code(), Some(0));
        let polls = platform.proxy.calls_of("sqs:ReceiveMessage");
        assert_eq!(polls.last().expect("there was a poll").status, None, "the worker waited for its poll");
        let stopped = watcher.wait_for("watcher_stopped").await;
        assert_eq!(stopped.text("reason"), reason);
        assert_eq!(watcher.lines().last().expect("a log").event(), "watcher_stopped");
    }
}

/// A queue whose messages stay invisible for longer than any test waits, unless the worker returns them.
fn never_visible_by_itself() -> Queue {
    Queue { visibility_seconds: 12 * 60 * 60, ..Queue::default() }
}

#[tokio::test]
async fn a_signal_while_reconciling_fails_returns_the_messages() {
    let platform = Platform::with_queue(Aws::Moto, never_visible_by_itself()).await;
    platform.create_load_balancer().await;
    let mut watcher = Launch::run(&platform).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    platform.proxy.on("ecs:DescribeServices").error(500, "ServerException", "internal");
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    platform.send_event_for(&task).await;
    watcher.wait_for("reconcile_failed").await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));
    assert_eq!(watcher.wait_for("watcher_stopped").await.text("reason"), "sigterm");
    eventually("both messages are visible again", async || (platform.visible_messages().await == 2).then_some(()))
        .await;
}

#[tokio::test]
async fn after_a_signal_the_current_reconciliation_finishes() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let mut watcher = Launch::run(&platform).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    let slow = platform.proxy.on("elasticloadbalancing:RegisterTargets").delay(Duration::from_secs(2));
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    slow.wait_for_hits(1).await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert_eq!(platform.queue_depth().await, 0, "the message is not deleted");
}

#[tokio::test]
async fn a_signal_stops_the_worker_while_aws_hangs() {
    let platform = Platform::with_queue(Aws::Moto, never_visible_by_itself()).await;
    platform.create_load_balancer().await;
    let mut watcher = Launch::run(&platform).start();
    platform.proxy.wait_for_calls("sqs:ReceiveMessage", 1).await;
    let hang = platform.proxy.on("ecs:*").hang();
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    hang.wait_for_hits(1).await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));
    eventually("the message is visible again", async || (platform.visible_messages().await == 1).then_some(())).await;
}

// `--exit-when-empty`, for cron.

#[tokio::test]
async fn exit_when_empty_does_everything_that_is_due() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    platform.register(&load_balancer, &task.ip).await;
    platform.scale_to_zero(&[&task]).await;
    for _ in 0..12 {
        platform.send_event_for(&task).await;
    }
    // A grace period that cannot end within this run.
    let finished = Launch::run(&platform).args(["--exit-when-empty", "--idle-grace", "1h"]).finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(platform.queue_depth().await, 0);
    assert!(
        platform.tags(&load_balancer.arn).await.contains_key(MARK_SINCE),
        "the load balancer is not marked: {finished:#?}"
    );
    let stopped = finished.events("watcher_stopped")[0];
    assert_eq!(stopped.text("reason"), "queue_empty");
    assert_eq!((stopped.number("messages"), stopped.number("foreign")), (12, 0));
    let reconciliations = platform.proxy.count("ecs:DescribeServices");
    assert_eq!(stopped.number("reconciliations"), reconciliations as i64);
    assert_eq!(stopped.number("aws_calls"), platform.proxy.calls().len() as i64, "{}", platform.proxy.summary());

    // Runs again, as cron does. The first run after the grace period does the whole teardown.
    let last = eventually("a run tears the load balancer down", async || {
        let finished = Launch::run(&platform).args(["--exit-when-empty", "--idle-grace", "1s"]).finish().await;
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        (!finished.events("teardown_started").is_empty()).then_some(finished)
    })
    .await;
    assert!(platform.is_torn_down(&load_balancer).await, "the teardown is incomplete: {last:#?}");
    assert_eq!(last.events("teardown_completed").len(), 1);
}

#[tokio::test]
async fn exit_when_empty_ends_once_the_tasks_are_registered() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    platform.send_event_for(&task).await;
    let finished = Launch::run(&platform).args(["--exit-when-empty"]).finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    assert_eq!(platform.queue_depth().await, 0);
}

// IAM Identity Center.

const SESSION: &str = "calls";

/// Configures an SSO profile, with the token of its session if there is one.
fn with_sso_profile(launch: Launch, token: Option<&str>) -> Launch {
    let config = launch.home().join("config");
    let profile = format!(
        "[sso-session {SESSION}]\nsso_start_url = https://example.awsapps.com/start\nsso_region = {REGION}\n\
         sso_registration_scopes = sso:account:access\n\n[profile operator]\nsso_session = {SESSION}\n\
         sso_account_id = 111122223333\nsso_role_name = Operator\nregion = {REGION}\n"
    );
    std::fs::write(&config, profile).expect("the home is writable");
    if let Some(token) = token {
        let cache = launch.home().join(".aws/sso/cache");
        std::fs::create_dir_all(&cache).expect("the home is writable");
        // The name of the cached file is the SHA-1 of the session's name.
        let name = "51b6cb253fc406fc1b9780eaa1fb645eb82e631d.json";
        let content = json!({
            "accessToken": token,
            "expiresAt": "2099-01-01T00:00:00Z",
            "region": REGION,
            "startUrl": "https://example.awsapps.com/start",
        });
        std::fs::write(cache.join(name), content.to_string()).expect("the home is writable");
    }
    let path = config.to_str().expect("the path is UTF-8").to_owned();
    launch.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY").env("AWS_CONFIG_FILE", &path)
}

#[tokio::test]
async fn an_sso_profile_without_a_login_is_a_usage_error() {
    let platform = Platform::new().await;
    let launch = with_sso_profile(Launch::run(&platform).env("JITSI_AWS_PROFILE", "operator"), None);
    assert_usage_error(&launch.finish().await, &["--profile", "aws sso login"]);
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_a_usage_error() {
    let platform = Platform::new().await;
    let launch = with_sso_profile(Launch::run(&platform), None).global(["--profile", "unknown"]);
    assert_usage_error(&launch.finish().await, &["--profile", "unknown"]);
}

#[tokio::test]
async fn an_sso_profile_with_a_token_works() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let task = platform.scale_to_one().await;
    let sso = Proxy::start(platform.account).await;
    let credentials = json!({ "roleCredentials": {
        "accessKeyId": "ASIAEXAMPLE", "secretAccessKey": SECRET, "sessionToken": "token",
        "expiration": 4_070_908_800_000_i64,
    }});
    let fault = sso.on("unsigned:*").reply(200, &credentials.to_string());
    let launch = with_sso_profile(Launch::new(&platform, "reconcile"), Some("an-access-token"))
        .env("AWS_ENDPOINT_URL_SSO", &sso.endpoint())
        .global(["--profile", "operator"]);
    let finished = launch.finish().await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(fault.hits() >= 1);
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
}
