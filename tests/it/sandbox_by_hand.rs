//! `jvb-watcher sandbox` as a newcomer uses it: one terminal serves, one watches, one scales up and down by hand.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::moto;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

const SCRIPT: &str = include_str!("sandbox_by_hand.py");

/// The variables that the sandbox says to export.
async fn exports(sandbox: &Watcher) -> BTreeMap<String, String> {
    eventually("the sandbox says what to paste", async || {
        let printed = sandbox.stdout();
        let lines: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("export ")).collect();
        let assignments = lines.iter().flat_map(|line| line.split(" #").next()).flat_map(str::split_whitespace);
        let variables = assignments.filter_map(|assignment| assignment.split_once('='));
        (lines.len() == 2).then(|| variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    })
    .await
}

#[tokio::test]
async fn the_platform_is_scaled_up_and_down_by_hand_and_the_watcher_follows() {
    let sandbox = Launch::bare("sandbox").args(["--port", "0", "--time-scale", "100", "--seed", "7"]).start();
    let variables = exports(&sandbox).await;
    let mut launch = Launch::bare("run").env("JVB_WATCHER_IDLE_GRACE", "1s").env("JVB_WATCHER_RESYNC_INTERVAL", "1s");
    for (name, value) in &variables {
        launch = launch.env(name, value);
    }
    let watcher = launch.start();
    watcher.wait_for("watcher_started").await;

    let python = tokio::task::spawn_blocking(moto::installed_python).await.expect("boto3 is installed");
    let output = tokio::process::Command::new(python)
        .args(["-c", SCRIPT])
        .env_remove("AWS_PROFILE")
        .envs(&variables)
        .kill_on_drop(true)
        .output()
        .await
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script failed: {errors}");
    let printed = String::from_utf8_lossy(&output.stdout);
    let found: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(found[0], json!({ "tasks": 2, "addresses": 2 }));
    assert_eq!(found[1], json!({ "desiredCount": 0, "runningCount": 0, "pendingCount": 0, "deadLetters": 0 }));

    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
    assert_eq!(sandbox.stop().await, Some(0), "the sandbox ends cleanly");
}

#[tokio::test]
async fn an_empty_sandbox_has_nothing_in_it() {
    let sandbox = Launch::bare("sandbox").args(["--port", "0", "--empty"]).start();
    let variables = exports(&sandbox).await;
    let ecs = aws_sdk_ecs::Client::new(&crate::platform::sdk_config(&variables["AWS_ENDPOINT_URL"]));
    let clusters = ecs.list_clusters().send().await.expect("an answer");
    assert!(clusters.cluster_arns().is_empty());
    assert_eq!(sandbox.stop().await, Some(0));
}
