//! The sandbox held against moto: the same calls, made by boto3 at both, and their answers compared field by field.
//!
//! Where the two differ, AWS's documentation judges; every difference stands in the table below with the reason. One
//! that doesn't stand there fails the test, and so does one that stands there and no longer occurs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jvb_watcher::sandbox::faults::Faults;
use jvb_watcher::sandbox::wire::Sandbox;
use jvb_watcher::sandbox::world::{Settings, World};
use serde_json::Value;

use crate::moto;
use crate::platform::{REGION, default_network, new_account};
use crate::proxy::Proxy;

const SCRIPT: &str = include_str!("sandbox_conformance.py");

/// A known difference.
struct Difference {
    /// The step, as the script names it; a `*` at the end stands for any rest.
    step: &'static str,
    /// The path inside the step's line; a `*` at the end stands for any rest, and `[]` for any place in a list.
    path: &'static str,
    /// Why the sandbox is as it is.
    reason: &'static str,
}

const fn differs(step: &'static str, path: &'static str, reason: &'static str) -> Difference {
    Difference { step, path, reason }
}

const ECS: &[Difference] = &[];
const ELB: &[Difference] = &[];
const SQS: &[Difference] = &[];
const EVENTS: &[Difference] = &[];

#[tokio::test]
async fn ecs_answers_as_moto_does_but_for_the_known_differences() {
    compare("ecs", ECS).await;
}

#[tokio::test]
async fn elb_answers_as_moto_does_but_for_the_known_differences() {
    compare("elb", ELB).await;
}

#[tokio::test]
async fn sqs_answers_as_moto_does_but_for_the_known_differences() {
    compare("sqs", SQS).await;
}

#[tokio::test]
async fn eventbridge_answers_as_moto_does_but_for_the_known_differences() {
    compare("events", EVENTS).await;
}

async fn compare(service: &'static str, known: &[Difference]) {
    let proxy = Proxy::start(new_account()).await;
    let (vpc, subnets) = default_network(&proxy).await;
    let of_moto = answers(&proxy.endpoint(), &vpc, &subnets[0], service).await;

    let settings = Settings { region: REGION.to_owned(), ..Settings::default().scaled(1000.0) };
    let world = World::new(settings, 1, Timestamp::now());
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let of_sandbox = answers(sandbox.endpoint(), "vpc-0a1b2c3d", "subnet-0a1b2c3d", service).await;
    sandbox.stop().await;

    let mut used = vec![false; known.len()];
    let mut unknown = Vec::new();
    let steps: Vec<&String> = of_moto.iter().map(|(step, _)| step).collect();
    assert_eq!(steps, of_sandbox.iter().map(|(step, _)| step).collect::<Vec<_>>(), "both made the same calls");
    for ((step, moto), (_, sandbox)) in of_moto.iter().zip(&of_sandbox) {
        for (path, (moto, sandbox)) in differences(moto, sandbox) {
            match known.iter().position(|known| fits(known.step, step) && fits(known.path, &path)) {
                Some(index) => used[index] = true,
                None => unknown.push(format!("{step} | {path} | moto: {} | sandbox: {}", shown(moto), shown(sandbox))),
            }
        }
    }
    let idle = known.iter().zip(used).filter(|(_, used)| !used);
    let idle: Vec<String> =
        idle.map(|(known, _)| format!("{} | {} ({})", known.step, known.path, known.reason)).collect();
    assert!(unknown.is_empty() && idle.is_empty(), "not listed: {unknown:#?}\nlisted in vain: {idle:#?}");
}

/// What came of each step of the script, in its order.
async fn answers(endpoint: &str, vpc: &str, subnet: &str, service: &str) -> Vec<(String, Value)> {
    let python = tokio::task::spawn_blocking(moto::installed_python).await.expect("moto is installed");
    let output = tokio::process::Command::new(python)
        .args(["-c", SCRIPT, endpoint, REGION, vpc, subnet, service])
        .env_remove("AWS_PROFILE")
        .kill_on_drop(true)
        .output()
        .await
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = String::from_utf8(output.stdout).expect("the script prints text");
    assert!(output.status.success(), "the script failed at {endpoint}: {errors}\n{lines}");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("the script prints JSON"));
    lines
        .map(|mut line| {
            let step = line["step"].as_str().expect("a line names its step").to_owned();
            line.as_object_mut().expect("a line is an object").remove("step");
            (step, line)
        })
        .collect()
}

/// The values that differ, by their path; lists of lists have a `[]` for each.
fn differences<'a>(moto: &'a Value, sandbox: &'a Value) -> BTreeMap<String, (Option<&'a Value>, Option<&'a Value>)> {
    let mut of_moto = BTreeMap::new();
    let mut of_sandbox = BTreeMap::new();
    flatten(moto, String::new(), &mut of_moto);
    flatten(sandbox, String::new(), &mut of_sandbox);
    let paths = of_moto.keys().chain(of_sandbox.keys()).cloned().collect::<std::collections::BTreeSet<_>>();
    let both = paths.into_iter().map(|path| {
        let values = (of_moto.get(&path).copied(), of_sandbox.get(&path).copied());
        (path, values)
    });
    both.filter(|(_, (moto, sandbox))| moto != sandbox).collect()
}

fn flatten<'a>(value: &'a Value, path: String, into: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, path, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, format!("{path}[{index}]"), into);
            }
        }
        _ => _ = into.insert(path, value),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    // Places in lists don't matter to the table.
    let mut plain = String::new();
    let mut inside = false;
    for char in text.chars() {
        inside = (inside || char == '[') && char != ']';
        if !inside || char == '[' {
            plain.push(char);
        }
    }
    match pattern.strip_suffix('*') {
        Some(start) => plain.starts_with(start),
        None => plain == pattern,
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), ToString::to_string)
}

#[test]
fn differences_are_found_by_path() {
    let moto = serde_json::json!({ "answer": { "list": [{ "a": 1 }, { "a": 2 }], "same": true, "gone": "x" } });
    let sandbox = serde_json::json!({ "answer": { "list": [{ "a": 1 }, { "a": 3 }], "same": true } });
    let paths: Vec<String> = differences(&moto, &sandbox).into_keys().collect();
    assert_eq!(paths, ["answer.gone", "answer.list[1].a"]);
    assert!(fits("answer.list[].a", "answer.list[1].a") && fits("answer.*", "answer.list[1].a"));
    assert!(!fits("answer.list", "answer.list[1].a"));
}
