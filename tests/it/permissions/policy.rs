//! The very policy that terraform/modules/watcher gives the watcher's role, as terraform renders it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

/// As terraform's own test of the module has it, but that each run shows its outputs.
const RUNS: &str = r#"
mock_provider "aws" {
  # So that a plan shows the policy whole.
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-west-1:111122223333:jitsi-jvb-watcher"
      url = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/jitsi-jvb-watcher" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:jitsi-jvb-watcher" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/jitsi-jvb-watcher:1" }
  }
}

variables {
  project    = "jitsi"
  runtime    = "fargate"
  image      = "jvb-watcher:1"
  lambda_zip = "bootstrap.zip"
  subnet_ids = ["subnet-0a1b2c3d4e5f60718"]
}

run "fargate" {
  command = plan
}

run "lambda" {
  command = plan
  variables {
    runtime = "lambda"
  }
}

run "teardown_load_balancer" {
  command = plan
  variables {
    teardown = "load-balancer"
  }
}

run "teardown_off" {
  command = plan
  variables {
    teardown = "off"
  }
}
"#;

static RENDERED: LazyLock<BTreeMap<String, Value>> = LazyLock::new(render);

/// The policy of the worker on Fargate: the same program as `jvb-watcher run`.
pub fn on_fargate() -> &'static Value {
    &RENDERED["fargate"]
}

/// The policy of the Lambda function.
pub fn on_lambda() -> &'static Value {
    &RENDERED["lambda"]
}

/// The policy of a worker that deletes balancers and leaves target groups.
pub fn with_groups_left() -> &'static Value {
    &RENDERED["teardown_load_balancer"]
}

/// The policy of a worker with its teardown switched off.
pub fn with_teardown_off() -> &'static Value {
    &RENDERED["teardown_off"]
}

/// The statements of a policy.
pub fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().expect("a policy has statements")
}

/// The actions of a statement.
pub fn actions(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::String(action) => vec![action],
        Value::Array(actions) => actions.iter().map(|action| action.as_str().expect("an action is text")).collect(),
        other => panic!("{other} is no action"),
    }
}

/// A policy without one of its statements.
pub fn without(policy: &Value, sid: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().expect("a policy has statements");
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != sid);
    assert_eq!(statements.len() + 1, before, "one statement is called {sid}");
    policy
}

fn render() -> BTreeMap<String, Value> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform/modules/watcher");
    // A copy: terraform leaves its lock file and its providers where it runs.
    let copy = tempfile::tempdir().expect("the directory for temporary files is writable");
    for entry in std::fs::read_dir(&module).expect("the module is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "tf") {
            let name = path.file_name().expect("a file has a name");
            std::fs::copy(&path, copy.path().join(name)).expect("the file can be copied");
        }
    }
    std::fs::create_dir(copy.path().join("tests")).expect("the copy is writable");
    std::fs::write(copy.path().join("tests/render.tftest.hcl"), RUNS).expect("the copy is writable");

    terraform(copy.path(), &["init", "-backend=false", "-input=false", "-no-color"]);
    let output = terraform(copy.path(), &["test", "-json", "-verbose"]);
    let policies: BTreeMap<String, Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("terraform prints a JSON object a line"))
        .filter(|line| line["type"] == "test_plan")
        .map(|line| {
            let run = line["@testrun"].as_str().expect("a run has a name").to_owned();
            let policy =
                line["test_plan"]["output_changes"]["policy"]["after"].as_str().expect("the module has this output");
            (run, serde_json::from_str(policy).expect("the policy is JSON"))
        })
        .collect();
    assert_eq!(policies.len(), 4, "terraform shows the outputs of each run");
    policies
}

/// Runs terraform, or what the variable TERRAFORM names in its place.
fn terraform(directory: &Path, arguments: &[&str]) -> Output {
    let program = std::env::var("TERRAFORM").unwrap_or_else(|_| "terraform".to_owned());
    let output = Command::new(&program).args(arguments).current_dir(directory).output().unwrap_or_else(|error| {
        panic!(
            "this test needs terraform 1.11 or newer (or TERRAFORM, the name of a program like it): {program}: {error}"
        )
    });
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}
