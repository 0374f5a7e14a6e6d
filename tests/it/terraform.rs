//! The modules in terraform/: they are formatted and valid, pass their own tests, and refer to existing metrics, events and
//! fields.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use jvb_watcher_rules::model::ServiceEventName;
use jvb_watcher_sandbox::api::{self, eventbridge};
use jvb_watcher_sandbox::world::{Settings, World};
use serde_json::Value;

use crate::log_queries::ready_queries;
use crate::platform::Platform;
use crate::wait::eventually;
use crate::watcher::Launch;

pub mod examples;
mod readmes;

/// A terraform test that renders the watcher's module in different configurations.
const RUNS: &str = r#"
mock_provider "aws" {
  # So that the plan contains the whole policy.
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  project    = "jitsi"
  runtime    = "fargate"
  image      = "jvb-watcher:1"
  lambda_zip = "lambda.tf" # must exist
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

run "stop_when_unused" {
  command = plan
  variables {
    stop_when_unused = "10m"
  }
}

run "list" {
  command = plan
  variables {
    fargate_cluster_arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/shared"
    services = [
      { project = "jitsi" },
      {
        project       = "acme"
        cluster       = "shared"
        owner_tag     = { key = "Team \"a\"", value = "\u007f<é>\\" }
        idle_grace    = "until-paid-hour"
        usage         = false
        use_protocols = ["udp", "tls"]
        use_threshold = 2
      },
    ]
  }
}

run "discover" {
  command = plan
  variables {
    discover = ["jitsi-cluster"]
  }
}
"#;

static RENDERED: LazyLock<BTreeMap<String, Plan>> = LazyLock::new(|| plans("modules/watcher", RUNS));

/// terraform's plan for a module or an example.
pub struct Plan(Value);

/// A planned change of a resource.
struct Change<'a> {
    address: &'a str,
    kind: &'a str,
    /// E.g. `["create"]`; `["delete", "create"]` replaces the resource.
    actions: Vec<&'a str>,
    after: &'a Value,
}

impl Plan {
    /// Returns an output.
    pub fn output(&self, name: &str) -> &str {
        self.0["output_changes"][name]["after"].as_str().unwrap_or_else(|| panic!("there is no output {name}"))
    }

    /// Returns the changes of all resources.
    fn changes(&self) -> Vec<Change<'_>> {
        let resources = self.0["resource_changes"].as_array().expect("a plan has resources");
        let managed = resources.iter().filter(|resource| resource["mode"] == "managed");
        managed.map(Change::of).collect()
    }

    /// Returns an attribute of each resource of a type.
    fn attributes(&self, kind: &str, name: &str) -> Vec<String> {
        let changes = self.changes();
        let of_kind = changes.iter().filter(|change| change.kind == kind);
        of_kind.filter_map(|change| Some(change.after[name].as_str()?.to_owned())).collect()
    }
}

impl<'a> Change<'a> {
    fn of(resource: &'a Value) -> Self {
        let text = |value: &'a Value| value.as_str().expect("a text");
        let actions = resource["change"]["actions"].as_array().expect("a change has actions");
        Self {
            address: text(&resource["address"]),
            kind: text(&resource["type"]),
            actions: actions.iter().map(text).collect(),
            after: &resource["change"]["after"],
        }
    }
}

/// Returns the plan of a run: `fargate`, `lambda`, `teardown_load_balancer`, `teardown_off`, `stop_when_unused`, `list` or
/// `discover`.
pub fn rendered(run: &str) -> &'static Plan {
    &RENDERED[run]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform")
}

/// Runs a terraform test in a copy of a folder, in place of the folder's own tests but with their mocks; returns the plans
/// of its runs.
fn plans(folder: &str, runs: &str) -> BTreeMap<String, Plan> {
    let copy = copied();
    let folder = copy.path().join(folder);
    for entry in std::fs::read_dir(folder.join("tests")).expect("the folder has tests") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::remove_file(path).expect("the copy is writable");
        }
    }
    std::fs::write(folder.join("tests/render.tftest.hcl"), runs).expect("the copy is writable");
    terraform(&folder, &["init", "-backend=false", "-input=false", "-no-color"]);
    let output = terraform(&folder, &["test", "-json", "-verbose"]);
    let plans: BTreeMap<_, _> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("terraform prints a JSON object a line"))
        .filter(|line| line["type"] == "test_plan")
        .map(|mut line| {
            (line["@testrun"].as_str().expect("a run has a name").to_owned(), Plan(line["test_plan"].take()))
        })
        .collect();
    assert_eq!(plans.len(), runs.matches("command = plan").count(), "terraform shows the plan of each run");
    plans
}

/// Copies the folder, because terraform writes its lock file and its providers where it runs.
pub fn copied() -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("the directory for temporary files is writable");
    copy_into(&root(), copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        let (path, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        // What terraform wrote in the working tree belongs to another run.
        if name.to_string_lossy().starts_with(".terraform") || name.to_string_lossy().contains(".tfstate") {
            continue;
        }
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("the copy is writable");
            copy_into(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("the file can be copied");
        }
    }
}

/// Returns the folders of all configurations, relative to the root: modules and examples.
fn folders() -> BTreeSet<PathBuf> {
    fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() && !path.ends_with(".terraform") {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "tf") {
                found.insert(folder.strip_prefix(root()).expect("it is below the root").to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&root(), &mut found);
    assert!(found.len() >= 6, "{found:?}");
    found
}

/// A replacement of terraform may not support concurrent runs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs terraform, or its replacement in the variable TERRAFORM.
pub fn terraform(directory: &Path, arguments: &[&str]) -> Output {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let program = std::env::var("TERRAFORM").unwrap_or_else(|_| "terraform".to_owned());
    let output = Command::new(&program).args(arguments).current_dir(directory).output().unwrap_or_else(|error| {
        panic!("cannot run {program}: {error}; install terraform 1.11 or newer, or set TERRAFORM to a replacement")
    });
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed in {}: {}\n{}{}",
        directory.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

#[test]
fn every_file_is_formatted() {
    terraform(&root(), &["fmt", "-check", "-diff", "-recursive"]);
}

/// `.ci/run terraform` runs them.
#[test]
fn every_module_and_example_has_tests() {
    for folder in folders() {
        // A module can test its own example: modules/NAME/examples/EXAMPLE.
        let tested_by = match folder.iter().collect::<Vec<_>>().as_slice() {
            [modules, module, examples, _] if *examples == "examples" => Path::new(modules).join(module),
            _ => folder.clone(),
        };
        let tests = root().join(&tested_by).join("tests");
        let files = std::fs::read_dir(&tests).unwrap_or_else(|error| panic!("{}: {error}", tests.display()));
        let mut texts = files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a text"));
        let reference = match folder.strip_prefix(&tested_by) {
            Ok(example) if example != Path::new("") => format!("\"./{}\"", example.display()),
            _ => "run \"".to_owned(),
        };
        assert!(texts.any(|text| text.contains(&reference)), "{} has no test", folder.display());
    }
}

/// Returns the names that a page of docs/ documents: its headings, and the names in backquotes that begin table rows.
fn documented(page: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).expect("the page is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    rows.chain(headings).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_and_the_alarms_use_documented_metrics() {
    let known = documented("metrics.md");
    let mut named = BTreeSet::new();
    for run in ["lambda", "fargate"] {
        let plan = rendered(run);
        let alarms = plan.attributes("aws_cloudwatch_metric_alarm", "metric_name");
        let namespaces = plan.attributes("aws_cloudwatch_metric_alarm", "namespace");
        named.extend(alarms.into_iter().zip(namespaces).filter(|(_, of)| of == "jvb-watcher").map(|(name, _)| name));
        for body in plan.attributes("aws_cloudwatch_dashboard", "dashboard_body") {
            let body: Value = serde_json::from_str(&body).expect("the dashboard is JSON");
            for widget in body["widgets"].as_array().expect("the dashboard has widgets") {
                let metrics = widget["properties"]["metrics"].as_array().cloned().unwrap_or_default();
                let own = metrics.iter().filter(|metric| metric[0] == "jvb-watcher");
                named.extend(own.map(|metric| metric[1].as_str().expect("a metric has a name").to_owned()));
            }
        }
    }
    assert!(named.len() >= 19, "only {named:?}");
    assert!(named.is_subset(&known), "unknown: {:?}", named.difference(&known));
}

#[tokio::test]
async fn the_program_reads_the_list_that_the_module_renders() {
    let list = rendered("list").output("config_text");
    // Outside of Lambda, the function's program ends once it has read the list.
    let stderr = async |text: &str| {
        let launch = Launch::bare("lambda").env("AWS_REGION", "eu-west-1").env("JVB_WATCHER_CONFIG_TEXT", text);
        launch.env("JVB_WATCHER_QUEUE", "http://127.0.0.1:9/111122223333/events").finish().await.stderr
    };
    let accepted = stderr(list).await;
    assert!(accepted.contains("AWS_LAMBDA_RUNTIME_API is not set"), "{accepted}\n{list}");
    let wrong = list.replace("no-usage", "no-use");
    assert_ne!(wrong, list);
    let refused = stderr(&wrong).await;
    assert!(refused.contains("JVB_WATCHER_CONFIG_TEXT:"), "{refused}\n{wrong}");
}

#[test]
fn the_queries_use_documented_events_and_fields() {
    let known = documented("logs.md");
    let plan = rendered("lambda");
    let queries = plan.attributes("aws_cloudwatch_query_definition", "query_string");
    assert_eq!(queries.len(), 5);
    let ready: BTreeSet<String> = ready_queries("text").into_iter().collect();
    assert_eq!(queries.iter().cloned().collect::<BTreeSet<_>>(), ready, "docs/logs.md has other queries");
    for query in &queries {
        let events = query.split('"').skip(1).step_by(2);
        let (_, fields) = query.split_once("fields ").unwrap_or_default();
        let fields = fields.lines().next().unwrap_or_default().split(", ").map(str::trim);
        // What is computed, with `(`, is of fields that are measured.
        let fields = fields.filter(|field| !field.contains('('));
        let measured = query.split(['(', ')', ',', '/']).map(str::trim);
        let measured =
            measured.filter(|word| !word.contains(' ') && (word.ends_with("_ms") || word.ends_with("_seconds")));
        for name in events.chain(fields.filter(|name| !name.is_empty() && *name != "@timestamp")).chain(measured) {
            assert!(known.contains(name), "{name} of {query:?} is not in docs/logs.md");
        }
    }
}

/// Returns the files of fixtures/events that contain an event, by name.
fn fixtures() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events");
    let files = std::fs::read_dir(folder).expect("the fixtures are there").map(|entry| entry.expect("a file").path());
    files
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let event: Value = serde_json::from_str(&text).ok().filter(Value::is_object)?;
            Some((path.file_stem()?.to_string_lossy().into_owned(), event))
        })
        .collect()
}

/// Returns whether the rule must match an event: it names the cluster and the service's group, or the service itself and
/// a reason why tasks don't start, even if it is otherwise malformed.
fn is_relevant(event: &Value) -> bool {
    let detail = &event["detail"];
    let is_ours = |group: &Value| group == "service:jitsi-service";
    let is_of_task = || {
        let group = &detail["group"];
        detail["clusterArn"] == "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"
            && (is_ours(group) || group.as_array().is_some_and(|groups| groups.iter().any(is_ours)))
    };
    let is_of_service = || {
        let is_ours = |arn: &Value| arn == "arn:aws:ecs:eu-west-1:111122223333:service/jitsi-cluster/jitsi-service";
        let name = detail["eventName"].as_str().unwrap_or_default();
        event["resources"].as_array().is_some_and(|arns| arns.iter().any(is_ours))
            && ServiceEventName::parse(name).is_some()
    };
    event["source"] == "aws.ecs"
        && match event["detail-type"].as_str() {
            Some("ECS Task State Change") => is_of_task(),
            Some("ECS Service Action" | "ECS Deployment State Change") => is_of_service(),
            _ => false,
        }
}

#[test]
fn the_rules_pattern_matches_only_the_services_events() {
    let pattern = rendered("lambda").output("event_pattern");
    let mut world = World::new(Settings::default(), 1, Timestamp::now());
    let (mut matching, mut others) = (0, 0);
    for (name, mut event) in fixtures() {
        // TestEventPattern requires the members of the envelope.
        for (member, value) in
            [("id", "1"), ("account", "111122223333"), ("time", "2026-11-20T00:00:00Z"), ("region", "eu-west-1")]
        {
            if !event[member].is_string() {
                event[member] = value.into();
            }
        }
        if !event["source"].is_string() || !event["detail-type"].is_string() {
            continue;
        }
        if !event["resources"].is_array() {
            event["resources"] = Value::Array(Vec::new());
        }
        let input = eventbridge::TestEventPatternInput { event: event.to_string(), event_pattern: pattern.to_owned() };
        let request = api::Request::EventBridge(eventbridge::Request::TestEventPattern(input));
        let answer = world.call(request, Timestamp::now()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let api::Response::EventBridge(eventbridge::Response::TestEventPattern(output)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(output.result, is_relevant(&event), "{name}");
        if output.result { matching += 1 } else { others += 1 }
    }
    assert!(matching >= 15 && others >= 8, "{matching} matching, {others} others");
}

#[tokio::test]
async fn moto_delivers_the_same_events_for_the_rules_pattern() {
    let platform = Platform::new().await;
    platform.route_by(rendered("lambda").output("event_pattern")).await;
    let mut expected = BTreeSet::new();
    for (name, event) in fixtures() {
        let (Some(source), Some(detail_type)) = (event["source"].as_str(), event["detail-type"].as_str()) else {
            continue;
        };
        if !event["detail"].is_object() {
            continue;
        }
        let mut detail = event["detail"].clone();
        detail["fixture"] = name.clone().into();
        let resources = event["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
        platform.put_event_on(resources, source, detail_type, &detail).await;
        if is_relevant(&event) {
            expected.insert(name);
        }
    }
    assert!(expected.len() >= 15, "only {expected:?}");
    let delivered =
        eventually("the events are delivered", async || (platform.queue_depth().await == expected.len()).then_some(()));
    delivered.await;
    let bodies = platform.take_all().await;
    let fixture = |body: &String| {
        let event: Value = serde_json::from_str(body).expect("an event is JSON");
        event["detail"]["fixture"].as_str().expect("the event names its fixture").to_owned()
    };
    assert_eq!(bodies.iter().map(fixture).collect::<BTreeSet<_>>(), expected);
}
