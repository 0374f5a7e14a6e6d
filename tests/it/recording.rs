//! Recordings of AWS's calls: what is in them, what isn't, and what their comparison with the sandbox shows.

use std::path::Path;

use jvb_watcher_sandbox::fidelity::Recording;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::platform::Platform;
use crate::stage::{Aws, on_moto_and_sandbox};
use crate::watcher::{Finished, Launch, SECRET, Watcher};

on_moto_and_sandbox!(
    an_evening_is_recorded_without_secrets,
    a_worker_that_is_killed_leaves_a_readable_recording,
    a_worker_outlives_the_end_of_its_recording,
);

/// A session token, which must never show anywhere.
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLETOKENEXAMPLETOKENEXAMPLETOKEN";

fn folder() -> TempDir {
    tempfile::tempdir().expect("the directory for temporary files is writable")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

fn recorded(launch: Launch, folder: &Path) -> Launch {
    launch.env("AWS_SESSION_TOKEN", TOKEN).args(["--record", text(folder)])
}

/// Starts a worker that records. It leaves a load balancer alone that hasn't served yet.
fn worker(platform: &Platform, folder: &Path) -> Watcher {
    recorded(Launch::quick(platform).env("JVB_WATCHER_UNUSED_GRACE", "1h"), folder).start()
}

/// Runs a command to its end, beside the service's scheduler.
async fn finish(platform: &Platform, launch: Launch) -> Finished {
    tokio::select! {
        finished = launch.finish() => finished,
        () = platform.schedule() => unreachable!("it never ends"),
    }
}

/// Plays an evening: a worker, `up`, and `down`. All are recorded in a folder.
async fn evening(platform: &Platform, folder: &Path) {
    platform.route_events().await;
    let load_balancer = platform.create_load_balancer().await;
    let worker = worker(platform, folder);
    worker.wait_for("watcher_started").await;
    let up = Launch::new(platform, "up").args(["--balancer-command", "true"]);
    let finished = finish(platform, recorded(up, folder)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let finished = finish(platform, recorded(Launch::new(platform, "down").args(["--now"]), folder)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(platform.is_torn_down(&load_balancer).await);
    worker.wait_for_reconciliations(&platform.proxy, 2).await;
    worker.assert_no_trouble();
    assert_eq!(worker.stop().await, Some(0));
}

/// Returns the lines of all files of a recording.
fn lines(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of the recording") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a recording is text");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

fn calls(folder: &Path) -> Vec<Value> {
    let lines = lines(folder);
    let calls = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    calls.filter(|call| call["operation"].is_string()).collect()
}

/// Runs `sandbox --replay`.
async fn replay(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_jvb-watcher"))
        .args(["sandbox", "--replay"])
        .args(arguments)
        .env_clear()
        .output()
        .await
        .expect("the program was built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn an_evening_is_recorded_without_secrets(aws: Aws) {
    let platform = Platform::on(aws).await;
    let folder = folder();
    evening(&platform, folder.path()).await;

    let lines = lines(folder.path());
    let heads: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut commands: Vec<&str> = heads.iter().filter_map(|line| line["command"].as_str()).collect();
    commands.sort_unstable();
    assert_eq!(commands, ["down", "run", "up"], "a file each");

    let account = format!("{:012}", platform.account);
    for secret in [account.as_str(), SECRET, TOKEN, "AKIAEXAMPLE", "Signature", "Credential=", "uthorization"] {
        let found = lines.iter().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret} is in {found:?}");
    }
    let calls = calls(folder.path());
    for operation in [
        "ecs:DescribeServices",
        "ecs:DescribeTasks",
        "ecs:UpdateService",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteTargetGroup",
        "sqs:ReceiveMessage",
    ] {
        assert!(calls.iter().any(|call| call["operation"] == operation), "no call of {operation}");
    }
    // Equal ids have equal replacements.
    let arn = |call: &Value| call["input"]["LoadBalancerArn"].as_str().map(str::to_owned);
    let deleted = calls.iter().find(|call| call["operation"] == "elasticloadbalancing:DeleteLoadBalancer");
    let deleted = deleted.and_then(arn).expect("a load balancer");
    assert!(deleted.contains(":000000000001:"), "{deleted}");
    assert!(lines.iter().any(|line| line.contains("DescribeLoadBalancersResponse") && line.contains(&deleted)));
    for call in &calls {
        let at = |name: &str| call[name].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).expect("a time");
        assert!(at("sent") <= at("ended"), "{call}");
        let is_whole = call["status"].is_u64() && call["output"] != json!(null) || call["failure"].is_string();
        let has_no_body = ["sqs:DeleteMessage", "sqs:ChangeMessageVisibility"];
        assert!(is_whole || has_no_body.contains(&call["operation"].as_str().expect("text")), "{call}");
    }

    let (code, output, errors) = replay(&[text(folder.path()), "-o", "json"]).await;
    let comparison: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output:?} {errors}"));
    let (_, page, _) = replay(&[text(folder.path())]).await;
    assert_eq!(comparison["calls"].as_u64(), Some(calls.len() as u64));
    if aws == Aws::Sandbox {
        assert_eq!((code, &comparison["differences"]), (Some(0), &json!([])), "{page}");
        assert!(page.contains("No differences"), "{page}");
        assert_times(&comparison, &["active", "healthy", "event", "task-shown", "deleted"]);
    } else {
        assert_eq!(code, Some(3), "{errors}");
        assert_known_differences(&comparison, &page);
        assert_times(&comparison, &["active", "healthy", "deleted"]);
    }
}

/// Asserts that both sides have times of these kinds.
fn assert_times(comparison: &Value, kinds: &[&str]) {
    let times = comparison["times"].as_array().expect("times");
    for kind in kinds {
        let row = times.iter().find(|row| row["wait"] == *kind).expect("a kind of times");
        assert!(row["recorded"]["count"].as_u64() > Some(0) && row["sandbox"]["count"].as_u64() > Some(0), "{row}");
    }
}

/// Asserts what moto is known to answer otherwise: the reasons are in tests/it/sandbox_conformance.rs.
fn assert_known_differences(comparison: &Value, page: &str) {
    let found = comparison["differences"].as_array().expect("differences");
    for (operation, kind, path) in [
        ("ecs:DescribeTasks", "only-sandbox", "tasks[].version"),
        ("ecs:DescribeTasks", "only-sandbox", "tasks[].createdAt"),
        ("ecs:DescribeServices", "only-recorded", "services[].taskSets"),
        ("cloudwatch:GetMetricData", "outcome", ""),
    ] {
        let is_it = |it: &&Value| it["operation"] == operation && it["kind"] == kind && it["path"] == path;
        assert!(found.iter().any(|it| is_it(&it)), "{operation} {kind} {path} is not in:\n{page}");
    }
    assert!(page.contains("  ecs:DescribeTasks success\n"), "{page}");
    assert!(page.contains("    tasks[].version: only in the sandbox\n"), "{page}");
    // Where moto is right, the sandbox does the same.
    assert!(!page.contains("schedulingStrategy") && !page.contains("loadBalancers:"), "{page}");
}

async fn a_worker_that_is_killed_leaves_a_readable_recording(aws: Aws) {
    let platform = Platform::on(aws).await;
    platform.create_load_balancer().await;
    let folder = folder();
    let worker = worker(&platform, folder.path());
    worker.wait_for_reconciliations(&platform.proxy, 2).await;
    worker.kill().await;
    let recording = Recording::read(folder.path()).expect("it can be read");
    assert!(recording.calls().count() > 10);
    let (code, output, errors) = replay(&[text(folder.path()), "-o", "json"]).await;
    assert!(matches!(code, Some(0 | 3)), "{errors}");
    let comparison: Value = serde_json::from_str(&output).expect("JSON");
    assert!(comparison["unreadable"].as_u64() <= Some(1), "{comparison}");
}

async fn a_worker_outlives_the_end_of_its_recording(aws: Aws) {
    let platform = Platform::on(aws).await;
    let load_balancer = platform.create_load_balancer().await;
    let folder = folder();
    // No file of the worker's may be longer than 16 KiB: the calls of a few reconciliations.
    let worker = recorded(Launch::quick(&platform).env("JVB_WATCHER_UNUSED_GRACE", "1h"), folder.path());
    let worker = worker.with_files_up_to_kib(16).start();
    let line = worker.wait_for_that("diagnostic", |line| line.text("message").starts_with("recording ended: ")).await;
    assert_eq!(line.text("level"), "WARN");
    let task = platform.scale_to_one().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    worker.assert_no_trouble();
    assert_eq!(worker.stop().await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_recorded_or_compared_is_named_at_the_start() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("the directory is writable");
    let run = Launch::bare("run").args(["--project", "p", "--region", "eu-west-1", "--record", text(&file)]);
    let finished = run.finish().await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("--record: ") && finished.stderr.contains("give a folder"), "{}", finished.stderr);

    // On a full disk the file can be created, but not written.
    let full = folder.path().join("full");
    let run = Launch::bare("run").args(["--project", "p", "--region", "eu-west-1", "--record", text(&full)]);
    let finished = run.with_files_up_to_kib(0).finish().await;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("can't be written"), "{}", finished.stderr);
    assert_eq!(std::fs::read_dir(&full).expect("it was created").count(), 0);

    let (code, _, errors) = replay(&[text(&folder.path().join("none"))]).await;
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("--replay: ") && errors.contains("can't be read"), "{errors}");
    let (code, _, errors) = replay(&[text(folder.path())]).await;
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("has no recording"), "{errors}");
    let (code, _, errors) = replay(&[text(folder.path()), "--port", "1"]).await;
    assert_eq!(code, Some(2), "{errors}");
}
