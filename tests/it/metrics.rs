//! The metrics that CloudWatch and Prometheus get in the course of an evening.

use std::collections::BTreeSet;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::listen::request;
use crate::moto;
use crate::platform::{MARK_LOAD_BALANCER, MARK_SINCE, Platform};
use crate::wait::eventually;
use crate::watcher::{Launch, Line, Watcher, documented_metrics, listing};

const SCHEMA: &str = include_str!("emf.schema.json");
const SCRIPT: &str = include_str!("emf.py");
const OPENMETRICS: &str = include_str!("openmetrics.py");

/// Runs a script in the tests' virtual environment, and returns its output; `None` if it fails.
async fn python(arguments: &[&str], input: &str) -> Option<String> {
    let python =
        tokio::task::spawn_blocking(moto::installed_python).await.expect("the virtual environment is installed");
    let mut script = tokio::process::Command::new(python)
        .arg("-c")
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let mut stdin = script.stdin.take().expect("the input is piped");
    stdin.write_all(input.as_bytes()).await.expect("the script reads its input");
    drop(stdin);
    let output = script.wait_with_output().await.expect("Python ends");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
}

/// Validates lines by tools of others, and returns the violation in each line, if any.
async fn violations(lines: &[Line]) -> Vec<Option<String>> {
    let output = python(&[SCRIPT, SCHEMA], &listing(lines)).await.expect("the script succeeds");
    let violations: Vec<Option<String>> =
        output.lines().map(|line| serde_json::from_str(line).expect("a violation is JSON")).collect();
    assert_eq!(violations.len(), lines.len());
    violations
}

async fn assert_valid(lines: &[Line]) {
    let violations: Vec<_> = violations(lines).await.into_iter().flatten().collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Returns the sum of a metric's values.
pub fn sum(lines: &[Line], metric: &str) -> i64 {
    lines.iter().filter_map(|line| line[metric].as_i64()).sum()
}

/// Returns the number of a distribution's values.
pub fn values(lines: &[Line], metric: &str) -> usize {
    lines.iter().filter_map(|line| line[metric].as_array()).map(Vec::len).sum()
}

fn published(line: &Line) -> BTreeSet<String> {
    let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("metrics");
    declared.iter().map(|metric| metric["Name"].as_str().expect("a name").to_owned()).collect()
}

async fn wait_for_metrics(watcher: &Watcher, wanted: impl Fn(&Line) -> bool) -> Line {
    watcher.wait_for_that("metrics", wanted).await
}

/// Scrapes an address, and returns the metric families that Prometheus's own parser reads.
pub async fn scrape(address: &str) -> Value {
    let response = request(address, Method::GET, "/metrics").await;
    assert_eq!(response.status().as_u16(), 200);
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.headers()["content-type"].as_bytes(), form.as_bytes());
    let text = response.into_body();
    let cut_off = text.trim_end_matches("# EOF\n");
    let (families, of_cut_off) = tokio::join!(python(&[OPENMETRICS], &text), python(&[OPENMETRICS], cut_off));
    assert_eq!(of_cut_off, None, "the parser is strict");
    serde_json::from_str(&families.unwrap_or_else(|| panic!("rejected: {text}"))).expect("JSON")
}

/// Returns the value of the only sample of this name.
fn sample(families: &Value, project: &str, family: &str, name: &str) -> f64 {
    let samples = families[format!("jvb_watcher_{family}")]["samples"].as_array();
    let samples = samples.unwrap_or_else(|| panic!("{family} is not in {families}"));
    let mut found = samples.iter().filter(|sample| sample["name"] == format!("jvb_watcher_{name}"));
    let (Some(sample), None) = (found.next(), found.next()) else { panic!("not one {name} in {samples:?}") };
    assert_eq!(
        sample["labels"],
        json!({ "project": project, "cluster": format!("{project}-cluster"), "service": format!("{project}-service") })
    );
    sample["value"].as_f64().expect("a number")
}

#[tokio::test]
async fn cloudwatch_and_prometheus_accept_the_metrics_of_an_evening() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    for operation in ["ecs:DescribeServices", "elasticloadbalancing:DescribeLoadBalancers", "sqs:ReceiveMessage"] {
        platform.proxy.on(operation).times(1).throttle();
    }
    let arguments = ["--metrics-namespace", "Jitsi/JVB", "--listen", "127.0.0.1:0"];
    let mut watcher = Launch::quick(&platform).args(arguments).start();
    let address = watcher.wait_for("listening").await.text("address").to_owned();
    let first = wait_for_metrics(&watcher, |_| true).await;
    assert_eq!((first.number("LoadBalancerUp"), first.number("RunningTasks")), (1, 0));

    // Only the event tells since when a task runs. A resync that finds the task first registers it without a latency.
    let hidden = platform.proxy.on("ecs:ListTasks").rewrite_json(|listed| listed["taskArns"] = json!([]));
    let task = platform.scale_to_one().await;
    platform.put_event(&platform.event_for(&task).await).await;
    platform.send(&json!({ "source": "aws.ec2", "detail-type": "x" })).await;
    platform.send_text("nonsense").await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    hidden.lift();
    wait_for_metrics(&watcher, |line| line["HealthyTargets"] == 2 && line["ServingTasks"] == 1).await;
    watcher.wait_for("message_rejected").await;
    // All attempts of the SDK fail.
    platform.proxy.on("ecs:DescribeServices").times(3).error(500, "ServerException", "not now");
    watcher.wait_for("reconcile_failed").await;

    platform.scale_to_zero(&[&task]).await;
    platform.send_event_for(&task).await;
    wait_for_metrics(&watcher, |line| line["RunningTasks"] == 0 && line["Teardowns"] == 1).await;
    let scraped_at = Timestamp::now();
    let scraped = scrape(&address).await;
    platform.proxy.wait_for_waiting_poll().await;
    watcher.signal("TERM");
    assert_eq!(watcher.wait_exit().await.code(), Some(0));

    let lines = watcher.events("metrics");
    assert_valid(&lines).await;
    let identity = (platform.project.as_str(), format!("{}-service", platform.project));
    for line in &lines {
        assert_eq!((line.text("Project"), line.text("Service").to_owned()), identity);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Jitsi/JVB");
    }
    let all: BTreeSet<String> = lines.iter().flat_map(published).collect();
    // moto's CloudWatch doesn't speak the protocol of the SDK, so that the flows stay unknown.
    let unknown = BTreeSet::from(["Flows".to_owned(), "UnusedSeconds".to_owned()]);
    assert_eq!(all, &documented_metrics() - &unknown, "all metrics are published, and no other");

    assert_eq!(sum(&lines, "EventsReceived"), 2);
    assert_eq!(sum(&lines, "EventsForeign"), 1);
    assert_eq!(sum(&lines, "MessagesRejected"), watcher.events("message_rejected").len() as i64);
    assert_eq!(sum(&lines, "ReconcileFailures"), watcher.events("reconcile_failed").len() as i64);
    assert_eq!(sum(&lines, "Throttles"), 3);
    assert_eq!(sum(&lines, "Teardowns"), 1);
    assert_eq!(values(&lines, "RegistrationLatency"), load_balancer.groups.len());
    let sent = platform.proxy.calls().len() as i64;
    let counted = sum(&lines, "AwsCalls");
    assert!(counted > sent / 2 && counted <= sent, "{counted} of {sent} calls");

    let families = scraped.as_object().expect("families");
    let expected = documented_metrics().len() - unknown.len() + 1;
    assert_eq!(families.len(), expected, "all metrics, and the time of the last observation");
    let sample = |family: &str, name: &str| sample(&scraped, &platform.project, family, name);
    let total = |family: &str| sample(family, &format!("{family}_total"));
    for (name, metric) in [
        ("events_received", "EventsReceived"),
        ("events_foreign", "EventsForeign"),
        ("throttles", "Throttles"),
        ("teardowns", "Teardowns"),
    ] {
        assert_eq!(total(name), sum(&lines, metric) as f64, "{name}");
    }
    // These increase between the scrape and the end.
    for (name, metric) in [
        ("messages_rejected", "MessagesRejected"),
        ("reconciles", "Reconciles"),
        ("reconcile_failures", "ReconcileFailures"),
        ("aws_calls", "AwsCalls"),
    ] {
        let value = total(name);
        assert!(value >= 1.0 && value <= sum(&lines, metric) as f64, "{name} is {value}");
    }
    let latencies = sample("registration_latency_seconds", "registration_latency_seconds_count");
    assert_eq!(latencies, load_balancer.groups.len() as f64);
    assert_eq!(scraped["jvb_watcher_registration_latency_seconds"]["unit"], "seconds");
    for gauge in ["running_tasks", "serving_tasks", "healthy_targets", "load_balancer_up", "idle_seconds", "findings"] {
        assert_eq!(sample(gauge, gauge), 0.0, "{gauge}");
    }
    let observed_at = sample("last_look_timestamp_seconds", "last_look_timestamp_seconds");
    assert!((observed_at - scraped_at.as_second() as f64).abs() < 60.0, "the last observation was at {observed_at}");

    let with_load_balancer: Vec<&Line> = lines.iter().filter(|line| line.get("LoadBalancerUp").is_some()).collect();
    let last = with_load_balancer.last().expect("a line");
    for name in ["LoadBalancerUp", "RunningTasks", "RegisteredTargets", "HealthyTargets", "IdleSeconds"] {
        assert_eq!(last.number(name), 0, "{name}");
    }
}

#[tokio::test]
async fn the_validation_rejects_what_cloudwatch_would() {
    let platform = Platform::new().await;
    let finished = Launch::run(&platform).args(["--exit-when-empty"]).finish().await;
    let good = finished.events("metrics")[0].clone();
    let with = |pointer: &str, value: serde_json::Value| {
        let mut line = good.clone();
        *line.0.pointer_mut(pointer).expect("the pointer exists") = value;
        line
    };
    let metric = "/_aws/CloudWatchMetrics/0/Metrics/0";
    let cases = [
        (with("/_aws/Timestamp", json!(good["_aws"]["Timestamp"].as_i64().expect("a time") / 1000)), "milliseconds"),
        (with("/_aws/CloudWatchMetrics/0/Namespace", json!("AWS/ECS")), "AWS/ECS"),
        (with("/_aws/CloudWatchMetrics/0/Dimensions", json!([["Nobody"]])), "Nobody"),
        (with("/Project", json!(7)), "string"),
        (with("/Reconciles", json!("7")), "7"),
        (with("/Reconciles", json!(vec![1; 101])), "[1"),
        (with(&format!("{metric}/Unit"), json!("Minutes")), "Minutes"),
        (with(&format!("{metric}/Name"), json!("Findings")), "duplicate"),
    ];
    let lines: Vec<Line> = cases.iter().map(|(line, _)| line.clone()).chain([good.clone()]).collect();
    let mut found = violations(&lines).await;
    assert_eq!(found.pop(), Some(None), "the valid line");
    for ((_, expected), violation) in cases.iter().zip(found) {
        let violation = violation.unwrap_or_else(|| panic!("accepted: {expected}"));
        assert!(violation.contains(expected), "{expected:?} is not in: {violation}");
    }
}

#[tokio::test]
async fn publishes_only_three_metrics_while_idle_without_a_load_balancer() {
    let platform = Platform::new().await;
    platform.send_text("nonsense").await;
    platform.send(&json!({ "source": "aws.ec2", "detail-type": "x" })).await;
    let finished = Launch::run(&platform).args(["--exit-when-empty"]).finish().await;
    let lines: Vec<Line> = finished.events("metrics").into_iter().cloned().collect();
    assert!(!lines.is_empty());
    for line in &lines {
        assert_eq!(published(line), ["Findings", "ReconcileFailures", "Reconciles"].map(str::to_owned).into());
    }
    assert_valid(&lines).await;
}

#[tokio::test]
async fn idle_seconds_survive_a_restart() {
    let platform = Platform::new().await;
    let load_balancer = platform.create_load_balancer().await;
    let since = Timestamp::now() - SignedDuration::from_secs(1_000);
    let created = since - SignedDuration::from_secs(600);
    platform.proxy.on("elasticloadbalancing:DescribeLoadBalancers").rewrite(move |_, text| {
        let (before, rest) = text.split_once("<CreatedTime>").expect("a time");
        let (_, after) = rest.split_once("</CreatedTime>").expect("its end");
        format!("{before}<CreatedTime>{created}</CreatedTime>{after}")
    });
    platform.add_tag(&load_balancer.arns(), MARK_SINCE, &since.to_string()).await;
    platform.add_tag(&load_balancer.arns(), MARK_LOAD_BALANCER, &load_balancer.arn).await;
    let finished = Launch::run(&platform).args(["--exit-when-empty", "--teardown", "off"]).finish().await;
    let line = finished.events("metrics")[0];
    let idle = line.number("IdleSeconds");
    assert!((1_000..1_060).contains(&idle), "idle for {idle} s");
    assert_eq!((line.number("LoadBalancerUp"), line.number("Findings")), (1, 1));
}

#[tokio::test]
async fn publishes_at_every_log_level_and_only_in_json() {
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

#[tokio::test]
async fn exposes_metrics_that_are_not_published() {
    let platform = Platform::new().await;
    let watcher = Launch::quick(&platform).args(["--metrics", "off", "--listen", "127.0.0.1:0"]).start();
    let address = watcher.wait_for("listening").await.text("address").to_owned();
    eventually("an observation is exposed", async || {
        let text = request(&address, Method::GET, "/metrics").await.into_body();
        text.contains("jvb_watcher_last_look_timestamp_seconds").then_some(())
    })
    .await;
    assert_eq!(sample(&scrape(&address).await, &platform.project, "running_tasks", "running_tasks"), 0.0);
    assert!(watcher.events("metrics").is_empty());
}
