//! The figures for CloudWatch, as an evening of the watcher's publishes them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::moto;
use crate::platform::{MARK_BALANCER, MARK_SINCE, Platform};
use crate::watcher::{Launch, Line, Watcher, documented_metrics, listing};

const SCHEMA: &str = include_str!("emf.schema.json");
const SCRIPT: &str = include_str!("emf.py");

/// Holds lines against the rules of the format, by tools that aren't ours: what is wrong with each, if anything is.
async fn judge(lines: &[Line]) -> Vec<Option<String>> {
    let python = tokio::task::spawn_blocking(moto::installed_python).await.expect("jsonschema is installed");
    let mut judge = tokio::process::Command::new(python)
        .args(["-c", SCRIPT, SCHEMA])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let mut input = judge.stdin.take().expect("the input is piped");
    input.write_all(listing(lines).as_bytes()).await.expect("the judge reads it all");
    drop(input);
    let output = judge.wait_with_output().await.expect("Python ends");
    assert!(output.status.success(), "the judge failed");
    let verdicts: Vec<Option<String>> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a verdict is JSON"))
        .collect();
    assert_eq!(verdicts.len(), lines.len());
    verdicts
}

async fn assert_that_cloudwatch_takes(lines: &[Line]) {
    let refusals: Vec<_> = judge(lines).await.into_iter().flatten().collect();
    assert!(refusals.is_empty(), "{refusals:#?}");
}

/// What a metric's values in these lines add up to.
fn sum(lines: &[Line], metric: &str) -> i64 {
    lines.iter().filter_map(|line| line[metric].as_i64()).sum()
}

fn values(lines: &[Line], metric: &str) -> usize {
    lines.iter().filter_map(|line| line[metric].as_array()).map(Vec::len).sum()
}

fn published(line: &Line) -> BTreeSet<String> {
    let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("metrics");
    declared.iter().map(|metric| metric["Name"].as_str().expect("a name").to_owned()).collect()
}

async fn wait_for_metrics(watcher: &Watcher, wanted: impl Fn(&Line) -> bool) -> Line {
    watcher.wait_for_that("metrics", wanted).await
}

#[tokio::test]
async fn an_evening_in_figures_that_cloudwatch_takes() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let balancer = platform.create_balancer().await;
    for operation in ["ecs:DescribeServices", "elasticloadbalancing:DescribeLoadBalancers", "sqs:ReceiveMessage"] {
        platform.proxy.on(operation).times(1).throttle();
    }
    let mut watcher = Launch::quick(&platform).args(["--metrics-namespace", "Jitsi/JVB"]).start();
    let first = wait_for_metrics(&watcher, |_| true).await;
    assert_eq!((first.number("LoadBalancerUp"), first.number("RunningTasks")), (1, 0));

    let task = platform.scale_to_one().await;
    platform.put_event(&platform.event_for(&task).await).await;
    platform.send(&json!({ "source": "aws.ec2", "detail-type": "x" })).await;
    platform.send_text("nonsense").await;
    platform.wait_for_targets(&balancer, &[&task.ip]).await;
    wait_for_metrics(&watcher, |line| line["HealthyTargets"] == 2 && line["ServingTasks"] == 1).await;
    watcher.wait_for("message_rejected").await;
    // As often as the SDK tries.
    platform.proxy.on("ecs:DescribeServices").times(3).error(500, "ServerException", "not now");
    watcher.wait_for("reconcile_failed").await;

    platform.scale_to_zero(&[&task]).await;
    platform.send_event_for(&task).await;
    wait_for_metrics(&watcher, |line| line["RunningTasks"] == 0 && line["Teardowns"] == 1).await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));

    let lines = watcher.events("metrics");
    assert_that_cloudwatch_takes(&lines).await;
    let identity = (platform.project.as_str(), format!("{}-service", platform.project));
    for line in &lines {
        assert_eq!((line.text("Project"), line.text("Service").to_owned()), identity);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Jitsi/JVB");
    }
    let all: BTreeSet<String> = lines.iter().flat_map(published).collect();
    assert_eq!(all, documented_metrics(), "each of them at some time, and no other");

    assert_eq!(sum(&lines, "EventsReceived"), 2);
    assert_eq!(sum(&lines, "EventsForeign"), 1);
    assert_eq!(sum(&lines, "MessagesRejected"), watcher.events("message_rejected").len() as i64);
    assert_eq!(sum(&lines, "ReconcileFailures"), watcher.events("reconcile_failed").len() as i64);
    assert_eq!(sum(&lines, "Throttles"), 3);
    assert_eq!(sum(&lines, "Teardowns"), 1);
    assert_eq!(values(&lines, "RegistrationLatency"), balancer.groups.len());
    let sent = platform.proxy.calls().len() as i64;
    let told = sum(&lines, "AwsCalls");
    assert!(told > sent / 2 && told <= sent, "{told} of {sent} calls");

    let with_balancer: Vec<&Line> = lines.iter().filter(|line| line.get("LoadBalancerUp").is_some()).collect();
    let last = with_balancer.last().expect("a line");
    for name in ["LoadBalancerUp", "RunningTasks", "RegisteredTargets", "HealthyTargets", "IdleSeconds"] {
        assert_eq!(last.number(name), 0, "{name}");
    }
}

#[tokio::test]
async fn the_judge_refuses_what_cloudwatch_would() {
    let platform = Platform::new().await;
    let finished = Launch::run(&platform).args(["--exit-when-empty"]).finish().await;
    let good = finished.events("metrics")[0].clone();
    let spoilt = |pointer: &str, value: serde_json::Value| {
        let mut line = good.clone();
        *line.0.pointer_mut(pointer).expect("it is there") = value;
        line
    };
    let metric = "/_aws/CloudWatchMetrics/0/Metrics/0";
    let cases = [
        (spoilt("/_aws/Timestamp", json!(good["_aws"]["Timestamp"].as_i64().expect("a time") / 1000)), "milliseconds"),
        (spoilt("/_aws/CloudWatchMetrics/0/Namespace", json!("AWS/ECS")), "AWS/ECS"),
        (spoilt("/_aws/CloudWatchMetrics/0/Dimensions", json!([["Nobody"]])), "Nobody"),
        (spoilt("/Project", json!(7)), "string"),
        (spoilt("/Reconciles", json!("7")), "7"),
        (spoilt("/Reconciles", json!(vec![1; 101])), "[1"),
        (spoilt(&format!("{metric}/Unit"), json!("Minutes")), "Minutes"),
        (spoilt(&format!("{metric}/Name"), json!("Findings")), "twice"),
    ];
    let lines: Vec<Line> = cases.iter().map(|(line, _)| line.clone()).chain([good.clone()]).collect();
    let mut verdicts = judge(&lines).await;
    assert_eq!(verdicts.pop(), Some(None), "what is as it should be");
    for ((_, says), verdict) in cases.iter().zip(verdicts) {
        let refusal = verdict.unwrap_or_else(|| panic!("taken, though wrong in {says}"));
        assert!(refusal.contains(says), "{says:?} is not in: {refusal}");
    }
}

#[tokio::test]
async fn idle_and_without_a_balancer_only_three_are_published() {
    let platform = Platform::new().await;
    platform.send_text("nonsense").await;
    platform.send(&json!({ "source": "aws.ec2", "detail-type": "x" })).await;
    let finished = Launch::run(&platform).args(["--exit-when-empty"]).finish().await;
    let lines: Vec<Line> = finished.events("metrics").into_iter().cloned().collect();
    assert!(!lines.is_empty());
    for line in &lines {
        assert_eq!(published(line), ["Findings", "ReconcileFailures", "Reconciles"].map(str::to_owned).into());
    }
    assert_that_cloudwatch_takes(&lines).await;
}

#[tokio::test]
async fn how_long_a_balancer_has_stood_idle_outlives_the_process() {
    let platform = Platform::new().await;
    let balancer = platform.create_balancer().await;
    let since = Timestamp::now() - SignedDuration::from_secs(1_000);
    let created = since - SignedDuration::from_secs(600);
    platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").rewrite(move |_, text| {
        let (before, rest) = text.split_once("<CreatedTime>").expect("a time");
        let (_, after) = rest.split_once("</CreatedTime>").expect("its end");
        format!("{before}<CreatedTime>{created}</CreatedTime>{after}")
    });
    platform.add_tag(&balancer.arns(), MARK_SINCE, &since.to_string()).await;
    platform.add_tag(&balancer.arns(), MARK_BALANCER, &balancer.arn).await;
    let finished = Launch::run(&platform).args(["--exit-when-empty", "--teardown", "off"]).finish().await;
    let line = finished.events("metrics")[0];
    let idle = line.number("IdleSeconds");
    assert!((1_000..1_060).contains(&idle), "idle for {idle} s");
    assert_eq!((line.number("LoadBalancerUp"), line.number("Findings")), (1, 1));
}

#[tokio::test]
async fn figures_come_at_every_level_and_only_where_cloudwatch_reads() {
    let platform = Platform::new().await;
    let run = |arguments: &[&str]| {
        let launch = Launch::run(&platform).args(["--exit-when-empty"]).args(arguments.iter().copied());
        launch.finish()
    };
    let (quiet, off, pretty, reconcile) = tokio::join!(
        run(&["--log-level", "error"]),
        run(&["--metrics", "off"]),
        run(&["--log-format", "pretty"]),
        Launch::new(&platform, "reconcile").finish(),
    );
    assert!(!quiet.lines.is_empty());
    assert!(quiet.lines.iter().all(|line| line.event() == "metrics"), "{}", quiet.stdout);
    for other in [&off, &pretty, &reconcile] {
        assert!(!other.stdout.is_empty() && !other.stdout.contains("_aws"), "{}", other.stdout);
    }
}
