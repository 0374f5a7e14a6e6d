//! `jvb-watcher sandbox` as a newcomer uses it: one terminal serves, one runs the watcher, one scales by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::moto;
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

const SCRIPT: &str = include_str!("sandbox_by_hand.py");

/// Sends a request; returns the status and the body of the response.
async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> (u16, String) {
    let stream = TcpStream::connect(address).await.expect("the sandbox listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("a response");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole response").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Returns the variables that the sandbox tells its user to export.
async fn exports(sandbox: &Watcher) -> BTreeMap<String, String> {
    eventually("the sandbox prints its variables", async || {
        let printed = sandbox.stdout();
        let lines: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("export ")).collect();
        let assignments = lines.iter().flat_map(|line| line.split(" #").next()).flat_map(str::split_whitespace);
        let variables = assignments.filter_map(|assignment| assignment.split_once('='));
        (lines.len() == 2).then(|| variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    })
    .await
}

#[tokio::test]
async fn the_watcher_follows_scaling_with_boto3() {
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
async fn an_empty_sandbox_has_no_resources() {
    let sandbox = Launch::bare("sandbox").args(["--port", "0", "--empty"]).start();
    let variables = exports(&sandbox).await;
    let ecs = aws_sdk_ecs::Client::new(&crate::platform::sdk_config(&variables["AWS_ENDPOINT_URL"]));
    let clusters = ecs.list_clusters().send().await.expect("a response");
    assert!(clusters.cluster_arns().is_empty());
    assert_eq!(sandbox.stop().await, Some(0));
}

/// The AWS CLI, with the variables of the sandbox and nothing else in its environment.
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

    /// Runs a command and returns its trimmed output.
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
async fn the_watcher_follows_scaling_with_the_aws_cli() {
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

    let load_balancer = cli
        .aws(
            "elbv2 create-load-balancer --name jitsi-jvb-nlb --type network --subnets subnet-0a1b2c3d4e5f60718 \
             --tags Key=Lifecycle,Value=on-demand --query LoadBalancers[0].LoadBalancerArn --output text",
        )
        .await;
    let group = cli
        .aws(
            "elbv2 create-target-group --name jitsi-jvb-udp --protocol UDP --port 10000 --target-type ip \
             --vpc-id vpc-0a1b2c3d4e5f60718 --health-check-protocol TCP --health-check-port 8080 \
             --tags Key=Lifecycle,Value=on-demand --query TargetGroups[0].TargetGroupArn --output text",
        )
        .await;
    cli.aws(&format!(
        "elbv2 create-listener --load-balancer-arn {load_balancer} --protocol UDP --port 10000 \
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
    // As the sandbox advises for SQS.
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
async fn the_sandbox_serves_on_after_its_scenario() {
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
        say = "The service scales to two tasks."
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
        say = "The scenario ends."
    "#;
    std::fs::write(&file, text).expect("the file can be written");
    let arguments = ["--port", "0", "--scenario", &file.display().to_string()];
    let sandbox = Launch::bare("sandbox").args(arguments).start();
    let variables = exports(&sandbox).await;
    eventually("the last sentence is printed", async || sandbox.stdout().contains("The scenario ends.").then_some(()))
        .await;
    assert!(sandbox.stdout().contains("#   0.1 s  The service scales to two tasks."), "{}", sandbox.stdout());

    let address = variables["AWS_ENDPOINT_URL"].trim_start_matches("http://").parse().expect("an address");
    let state = eventually("every task has stopped", async || {
        let request = Request::get("/_sandbox/state").header("host", "sandbox").body(Full::new(Bytes::new()));
        let (status, body) = send(address, request.expect("a request")).await;
        assert_eq!(status, 200);
        let world = serde_json::from_str::<Value>(&body).expect("JSON")["world"].take();
        let tasks = world["tasks"].as_array().expect("tasks");
        tasks.iter().all(|task| task["last-status"] == "STOPPED").then_some(world.clone())
    })
    .await;
    assert_eq!(
        state["tasks"].as_array().map(Vec::len),
        Some(3),
        "two tasks, and one that replaces the crashed one: {state}"
    );
    let service = &state["services"][0];
    assert_eq!([&service["desired"], &service["running"], &service["pending"]], [0, 0, 0]);
    assert_eq!([&state["balancers"], &state["groups"]], [&json!([]), &json!([])]);
    let queues = state["queues"].as_array().expect("queues");
    let queue = queues.iter().find(|queue| queue["name"] == "jitsi-jvb-watcher").expect("the queue");
    assert_eq!(queue["visible"], state["events"]["delivered"], "no program reads the events");
    assert!(state["events"]["made"].as_u64() > Some(20), "{state}");
    assert_eq!(sandbox.stop().await, Some(0));
}
