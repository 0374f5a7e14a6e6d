//! `jvb-watcher sandbox` as a newcomer uses it: one terminal serves, one watches, one scales up and down by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::moto;
use crate::sandbox::raw;
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

/// The AWS CLI with the variables that the sandbox says to export, and nothing else in its environment.
struct Cli {
    program: PathBuf,
    home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Cli {
    async fn new(variables: &BTreeMap<String, String>) -> Self {
        let program = tokio::task::spawn_blocking(moto::installed_aws_cli).await.expect("the AWS CLI is installed");
        let home = tempfile::tempdir().expect("the directory for temporary files is writable");
        Self { program, home, variables: variables.clone() }
    }

    /// Runs a command as a person types it; gives what it prints, without the end of the line.
    async fn aws(&self, command: &str) -> String {
        let output = tokio::process::Command::new(&self.program)
            .args(command.split_whitespace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .envs(&self.variables)
            .kill_on_drop(true)
            .output()
            .await
            .expect("the AWS CLI runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "aws {command}: {}: {errors}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[tokio::test]
async fn the_platform_is_scaled_up_and_down_with_the_aws_cli_and_the_watcher_follows() {
    let sandbox = Launch::bare("sandbox").args(["--port", "0", "--time-scale", "200"]).start();
    let variables = exports(&sandbox).await;
    let mut launch = Launch::bare("run").env("JVB_WATCHER_IDLE_GRACE", "1s");
    for (name, value) in &variables {
        launch = launch.env(name, value);
    }
    let watcher = launch.start();
    watcher.wait_for("watcher_started").await;
    let cli = Cli::new(&variables).await;
    let service = "--cluster jitsi-cluster --service jitsi-service";
    let services = "--cluster jitsi-cluster --services jitsi-service";

    let balancer = cli
        .aws(
            "elbv2 create-load-balancer --name jitsi-jvb-nlb --type network --subnets subnet-0a1b2c3d4e5f60718 \
             --tags Key=Lifecycle,Value=on-demand --query LoadBalancers[0].LoadBalancerArn --output text",
        )
        .await;
    let group = cli
        .aws(
            "elbv2 create-target-group --name jitsi-jvb-udp --protocol UDP --port 10000 --target-type ip \
             --vpc-id vpc-0a1b2c3d4e5f60718 --health-check-protocol TCP --health-check-port 8080 \
             --query TargetGroups[0].TargetGroupArn --output text",
        )
        .await;
    cli.aws(&format!(
        "elbv2 create-listener --load-balancer-arn {balancer} --protocol UDP --port 10000 \
         --default-actions Type=forward,TargetGroupArn={group}"
    ))
    .await;
    cli.aws("elbv2 wait load-balancer-available --names jitsi-jvb-nlb").await;
    cli.aws(&format!("ecs update-service {service} --desired-count 2")).await;
    cli.aws(&format!("ecs wait services-stable {services}")).await;
    let tasks = "ecs list-tasks --cluster jitsi-cluster --service-name jitsi-service --query taskArns[] --output text";
    let tasks = cli.aws(tasks).await;
    assert_eq!(tasks.split_whitespace().count(), 2);
    cli.aws(&format!("ecs wait tasks-running --cluster jitsi-cluster --tasks {tasks}")).await;
    let health = format!(
        "elbv2 describe-target-health --target-group-arn {group} \
         --query TargetHealthDescriptions[].[Target.Port,TargetHealth.State] --output text"
    );
    eventually("both tasks are registered and healthy", async || {
        let health = cli.aws(&health).await;
        (health.split_whitespace().collect::<Vec<_>>() == ["10000", "healthy", "10000", "healthy"]).then_some(())
    })
    .await;

    cli.aws(&format!("ecs update-service {service} --desired-count 0")).await;
    watcher.wait_for("teardown_completed").await;
    cli.aws("elbv2 wait load-balancers-deleted --names jitsi-jvb-nlb").await;
    assert_eq!(cli.aws("elbv2 describe-target-groups --query TargetGroups --output json").await, "[]");
    // As the sandbox says of SQS.
    let sqs = format!("sqs --endpoint-url {}", variables["AWS_ENDPOINT_URL"]);
    assert!(sandbox.stdout().contains("aws sqs --endpoint-url $AWS_ENDPOINT_URL"), "{}", sandbox.stdout());
    let get = format!("{sqs} get-queue-url --queue-name jitsi-jvb-watcher-dlq --query QueueUrl --output text");
    let url = cli.aws(&get).await;
    let dead = format!(
        "{sqs} get-queue-attributes --queue-url {url} --attribute-names ApproximateNumberOfMessages \
         --query Attributes.ApproximateNumberOfMessages --output text"
    );
    assert_eq!(cli.aws(&dead).await, "0");

    watcher.assert_no_trouble();
    assert_eq!(watcher.stop().await, Some(0));
    assert_eq!(sandbox.stop().await, Some(0), "the sandbox ends cleanly");
}

#[tokio::test]
async fn a_scenario_is_played_to_its_end_and_the_sandbox_serves_on() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let file = directory.path().join("scenario.toml");
    let text = r#"
        title = "Up and down"
        time-scale = 500
        world = { tasks = { stopped-visible = "1000h" } }
        [[step]]
        at = "0s"
        create-load-balancer = true
        [[step]]
        at = "100ms"
        say = "Two are wanted."
        scale = 2
        [[step]]
        at = "1s"
        act = { act = "crash-task", service = "jitsi-service" }
        [[step]]
        at = "2s"
        scale = 0
        [[step]]
        at = "3s"
        delete-load-balancer = true
        [[step]]
        at = "3s"
        say = "It is over."
    "#;
    std::fs::write(&file, text).expect("the file can be written");
    let arguments = ["--port", "0", "--scenario", &file.display().to_string()];
    let sandbox = Launch::bare("sandbox").args(arguments).start();
    let variables = exports(&sandbox).await;
    eventually("the last sentence is said", async || sandbox.stdout().contains("It is over.").then_some(())).await;
    assert!(sandbox.stdout().contains("#   0.1 s  Two are wanted."), "{}", sandbox.stdout());

    let address = variables["AWS_ENDPOINT_URL"].trim_start_matches("http://").parse().expect("an address");
    let state = eventually("every task has stopped", async || {
        let request = Request::get("/_sandbox/state").header("host", "sandbox").body(Full::new(Bytes::new()));
        let (status, body) = raw(address, request.expect("a request")).await;
        assert_eq!(status, 200);
        let world = serde_json::from_str::<Value>(&body).expect("JSON")["world"].take();
        let tasks = world["tasks"].as_array().expect("tasks");
        tasks.iter().all(|task| task["last-status"] == "STOPPED").then_some(world.clone())
    })
    .await;
    assert_eq!(state["tasks"].as_array().map(Vec::len), Some(3), "two, and one for the one that crashed: {state}");
    let service = &state["services"][0];
    assert_eq!([&service["desired"], &service["running"], &service["pending"]], [0, 0, 0]);
    assert_eq!([&state["balancers"], &state["groups"]], [&json!([]), &json!([])]);
    let queues = state["queues"].as_array().expect("queues");
    let queue = queues.iter().find(|queue| queue["name"] == "jitsi-jvb-watcher").expect("the queue");
    assert_eq!(queue["visible"], state["events"]["delivered"], "every event waits for a reader");
    assert!(state["events"]["made"].as_u64() > Some(20), "{state}");
    assert_eq!(sandbox.stop().await, Some(0));
}
