//! The task definition that terraform/modules/jitsi-service plans, held against what Jitsi's images expect.
//!
//! What they expect is in fixtures/jitsi/docker-jitsi-meet.json, which names its source and release.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::jitsi_scripts::{SHELL, environment, home, owner, script};
use crate::name_server::{Asked, NameServer, Record};
use crate::terraform::{copied, terraform};

/// What fixtures/jitsi/extract.py found.
#[derive(Deserialize)]
struct Upstream {
    release: String,
    images: BTreeMap<String, Image>,
}

#[derive(Deserialize)]
struct Image {
    environment: BTreeSet<String>,
    required: BTreeSet<String>,
    unusable_default: BTreeSet<String>,
    user: String,
    entrypoint: Vec<String>,
    packages: BTreeSet<String>,
    files: BTreeSet<String>,
    health_url: Option<String>,
    exposed: BTreeSet<String>,
    volumes: BTreeSet<String>,
    read_only: bool,
    writable: BTreeSet<String>,
    mounted: BTreeSet<String>,
    checked: BTreeSet<String>,
}

/// A terraform test that renders the module in two configurations.
const RUNS: &str = r#"
mock_provider "aws" {
  override_during = plan

  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-eu-west-1-execution" }
  }
}

variables {
  project_name = "jitsi"
  domain       = "meet.example.org"
  vpc_id       = "vpc-0a1b2c3d4e5f60718"
  subnet_ids   = ["subnet-0a1b2c3d4e5f60718"]
}

run "defaults" {
  command = plan
}

run "options" {
  command = plan
  variables {
    advertise_ips = ["192.0.2.1"]
    ports         = { media = 20000 }
    secrets = {
      prosody = { JVB_AUTH_PASSWORD = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jvb" }
      jvb     = { JVB_AUTH_PASSWORD = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jvb" }
    }
  }
}
"#;

static UPSTREAM: LazyLock<Upstream> = LazyLock::new(|| {
    let path = root().join("fixtures/jitsi/docker-jitsi-meet.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("the data is what extract.py prints")
});

/// The plans of both runs, by name.
static PLANS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let copy = copied();
    let folder = copy.path().join("modules/jitsi-service");
    std::fs::remove_dir_all(folder.join("tests")).expect("the copy is writable");
    std::fs::create_dir(folder.join("tests")).expect("the copy is writable");
    std::fs::write(folder.join("tests/render.tftest.hcl"), RUNS).expect("the copy is writable");
    terraform(&folder, &["init", "-backend=false", "-input=false", "-no-color"]);
    let output = terraform(&folder, &["test", "-json", "-verbose"]);
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is a JSON object"));
    let plans = lines.filter(|line| line["type"] == "test_plan");
    plans
        .map(|mut line| (line["@testrun"].as_str().expect("a run has a name").to_owned(), line["test_plan"].take()))
        .collect()
});

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A container of a planned task.
struct Container<'a> {
    name: &'a str,
    definition: &'a Value,
}

impl<'a> Container<'a> {
    fn strings(&self, member: &str) -> Vec<&'a str> {
        strings(&self.definition[member])
    }

    /// Returns the environment that the task definition contains.
    fn environment(&self) -> BTreeMap<&'a str, &'a str> {
        let entries = self.definition["environment"].as_array().into_iter().flatten();
        entries.filter_map(|entry| Some((entry["name"].as_str()?, entry["value"].as_str()?))).collect()
    }

    /// Returns the names of the variables that ECS takes from SSM or Secrets Manager.
    fn secrets(&self) -> Vec<&'a str> {
        let entries = self.definition["secrets"].as_array().into_iter().flatten();
        entries.filter_map(|entry| entry["name"].as_str()).collect()
    }

    /// Returns the mounts: volume, container path, and whether the container may write.
    fn mounts(&self) -> Vec<(&'a str, &'a str, bool)> {
        let mounts = self.definition["mountPoints"].as_array().into_iter().flatten();
        let text = |mount: &'a Value, member: &str| mount[member].as_str().expect("a mount names volume and path");
        mounts
            .map(|mount| (text(mount, "sourceVolume"), text(mount, "containerPath"), mount["readOnly"] == false))
            .collect()
    }

    /// Returns the ports as PORT/PROTOCOL.
    fn ports(&self) -> BTreeSet<String> {
        let ports = self.definition["portMappings"].as_array().into_iter().flatten();
        ports
            .map(|port| format!("{}/{}", port["containerPort"], port["protocol"].as_str().expect("a protocol")))
            .collect()
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|value| value.as_str().expect("a string")).collect()
}

fn task_definition(run: &str) -> &'static Value {
    let changes = PLANS[run]["resource_changes"].as_array().expect("a plan has resources");
    let change = changes.iter().find(|change| change["type"] == "aws_ecs_task_definition");
    &change.expect("the plan has the task definition")["change"]["after"]
}

static DEFINITIONS: LazyLock<BTreeMap<&'static str, Value>> = LazyLock::new(|| {
    let runs = ["defaults", "options"].into_iter();
    let definitions = runs.map(|run| {
        let text = task_definition(run)["container_definitions"].as_str().expect("they are known in the plan");
        (run, serde_json::from_str(text).expect("they are JSON"))
    });
    definitions.collect()
});

/// Returns the container definitions of the planned task.
pub fn container_definitions() -> Value {
    DEFINITIONS["defaults"].clone()
}

fn containers(run: &str) -> Vec<Container<'static>> {
    let definitions = DEFINITIONS[run].as_array().expect("a list of containers").iter();
    definitions.map(|definition| Container { name: definition["name"].as_str().expect("a name"), definition }).collect()
}

fn container(run: &str, name: &str) -> Container<'static> {
    containers(run)
        .into_iter()
        .find(|container| container.name == name)
        .unwrap_or_else(|| panic!("no container {name}"))
}

/// The containers that run Jitsi, with what their images expect.
fn jitsi(run: &str) -> Vec<(Container<'static>, &'static Image)> {
    let containers = containers(run).into_iter();
    let known: Vec<_> =
        containers.filter_map(|container| Some((UPSTREAM.images.get(container.name)?, container))).collect();
    assert_eq!(known.len(), 4, "the task lacks one of docker-jitsi-meet's containers");
    known.into_iter().map(|(image, container)| (container, image)).collect()
}

/// A started task: the directories of its volumes, and a name server for the bridge.
struct Task {
    volumes: tempfile::TempDir,
    home: tempfile::TempDir,
    _name_server: NameServer,
}

impl Task {
    /// Runs the task's first container.
    fn prepared(run: &str) -> Self {
        let name_server = NameServer::start();
        name_server.add(Asked::Zone, "meet.example.org", Record::Address([203, 0, 113, 10]));
        let home = home(&name_server);
        let volumes = tempfile::tempdir().expect("the directory for temporary files is writable");
        let task = Self { volumes, home, _name_server: name_server };
        let prepare = container(run, "prepare");
        for (volume, path, _) in prepare.mounts() {
            std::fs::create_dir_all(task.directory(path)).unwrap_or_else(|error| panic!("{volume}: {error}"));
        }
        let output = task.command(&prepare).output().expect("there is a shell");
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        task
    }

    /// Returns the directory that stands for a path in the containers.
    fn directory(&self, path: &str) -> PathBuf {
        self.volumes.path().join(path.trim_start_matches('/'))
    }

    /// Returns a container's command, on this machine's directories, shell and user. `env -0` takes the place of the
    /// image's entry point.
    fn command(&self, container: &Container<'_>) -> Command {
        let given = [container.strings("entryPoint"), container.strings("command")].concat();
        let mounts: Vec<_> = container.mounts().into_iter().map(|(_, path, _)| path).collect();
        let mut words = Vec::new();
        for word in given {
            match word {
                "/bin/sh" => words.push(SHELL.to_owned()),
                "/init" => words.extend(["env".to_owned(), "-0".to_owned()]),
                "s6:s6" => words.push(owner(self.volumes.path()).1),
                path if mounts.contains(&path) => words.push(self.directory(path).display().to_string()),
                word => words.push(word.to_owned()),
            }
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("HOME", self.home.path());
        command.env("PATH", std::env::var_os("PATH").expect("there is a PATH"));
        command.envs(container.environment());
        command.envs(container.secrets().into_iter().map(|name| (name, format!("stored {name}"))));
        command
    }

    /// Returns the environment that the image's entry point gets.
    fn environment(&self, container: &Container<'_>) -> BTreeMap<String, String> {
        if container.definition["entryPoint"].is_null() {
            let environment = container.environment().into_iter();
            return environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        }
        environment(&self.command(container).output().expect("there is a shell"))
    }
}

#[test]
fn every_container_runs_the_release_that_the_data_are_from() {
    for container in containers("defaults") {
        let image = container.definition["image"].as_str().expect("a container has an image");
        let name = if container.name == "prepare" { "prosody" } else { container.name };
        assert_eq!(image, format!("ghcr.io/jitsi/{name}:{}", UPSTREAM.release));
    }
}

#[test]
fn every_variable_exists_for_its_image() {
    for run in ["defaults", "options"] {
        for (container, image) in jitsi(run) {
            let set = container.environment().into_keys().chain(container.secrets()).map(str::to_owned);
            let unknown: Vec<_> = set.filter(|name| !image.environment.contains(name)).collect();
            assert!(unknown.is_empty(), "{} doesn't know {unknown:?}", container.name);
        }
    }
}

#[test]
fn every_required_variable_is_set_when_the_image_starts() {
    for run in ["defaults", "options"] {
        let task = Task::prepared(run);
        for (container, image) in jitsi(run) {
            let environment = task.environment(&container);
            for name in image.required.iter().chain(&image.unusable_default) {
                let value = environment.get(name).map_or("", String::as_str);
                assert!(!value.is_empty(), "{} starts without {name}", container.name);
                // Neither exists outside the compose file's network.
                assert!(!value.contains("meet.jitsi") && !value.contains("localhost"), "{}: {value}", container.name);
            }
        }
    }
}

#[test]
fn the_containers_of_a_task_share_its_passwords() {
    let task = Task::prepared("defaults");
    let of = |name| task.environment(&container("defaults", name));
    let (prosody, jicofo, jvb) = (of("prosody"), of("jicofo"), of("jvb"));
    assert_eq!(prosody["JICOFO_AUTH_PASSWORD"], jicofo["JICOFO_AUTH_PASSWORD"]);
    assert_eq!(prosody["JVB_AUTH_PASSWORD"], jvb["JVB_AUTH_PASSWORD"]);
    assert_ne!(prosody["JICOFO_AUTH_PASSWORD"], prosody["JVB_AUTH_PASSWORD"]);
    // Each gets only what it needs.
    assert!(!jicofo.contains_key("JVB_AUTH_PASSWORD") && !jvb.contains_key("JICOFO_AUTH_PASSWORD"));

    let another = Task::prepared("defaults").environment(&container("defaults", "prosody"));
    assert_ne!(another["JVB_AUTH_PASSWORD"], prosody["JVB_AUTH_PASSWORD"]);

    // A stored password takes the place of the task's own.
    let task = Task::prepared("options");
    for name in ["prosody", "jvb"] {
        assert_eq!(task.environment(&container("options", name))["JVB_AUTH_PASSWORD"], "stored JVB_AUTH_PASSWORD");
    }
}

#[test]
fn no_secret_is_in_the_plan() {
    for (run, plan) in &*PLANS {
        for container in containers(run) {
            let secret: Vec<_> = container.environment().into_keys().filter(|name| is_secret(name)).collect();
            assert!(secret.is_empty(), "{run}: {} has {secret:?} in its definition", container.name);
        }
        // A generated password would be 64 hexadecimal digits.
        let text = plan.to_string();
        let longest = text.split(|letter: char| !letter.is_ascii_hexdigit()).map(str::len).max();
        assert!(longest < Some(64), "{run} contains what may be a password");
    }
}

/// Returns whether a variable of docker-jitsi-meet holds a secret.
fn is_secret(name: &str) -> bool {
    ["PASSWORD", "SECRET", "CREDENTIALS", "BINDPW", "AUTH_TOKEN"].iter().any(|ending| name.ends_with(ending))
}

#[test]
fn the_bridge_advertises_the_load_balancers_addresses_only() {
    for (run, expected) in [("defaults", "203.0.113.10"), ("options", "192.0.2.1")] {
        let environment = Task::prepared(run).environment(&container(run, "jvb"));
        assert_eq!(environment["JVB_ADVERTISE_IPS"], expected);
        assert_eq!(environment["JVB_DISABLE_STUN"], "1");
        assert_eq!(environment["JVB_ADVERTISE_PRIVATE_CANDIDATES"], "false");
    }
    // A task definition that pins addresses shows them, so that jvb-watcher can compare them.
    let pinned = container("options", "jvb");
    assert_eq!(pinned.environment()["JVB_ADVERTISE_IPS"], "192.0.2.1");
    assert!(!container("defaults", "jvb").environment().contains_key("JVB_ADVERTISE_IPS"));
}

#[test]
fn every_container_hands_over_to_its_images_entry_point_as_its_user() {
    for (container, image) in jitsi("defaults") {
        if !container.definition["entryPoint"].is_null() {
            let command = container.strings("command");
            assert_eq!(command[command.len() - image.entrypoint.len()..], image.entrypoint);
        }
        assert!(container.definition["user"].is_null(), "{} runs as another user", container.name);
        // Either would make another process PID 1, which /init refuses.
        assert!(container.definition["linuxParameters"].is_null() && task_definition("defaults")["pid_mode"].is_null());
        let owner = format!("{0}:{0}", image.user);
        assert_eq!(container_argument("prepare", 0), owner, "the volumes belong to another user");
    }
    assert_eq!(container("defaults", "prepare").definition["user"], "0:0");
}

fn container_argument(name: &str, index: usize) -> &'static str {
    container("defaults", name).strings("command")[index]
}

#[test]
fn every_directory_that_an_image_writes_to_is_a_prepared_volume() {
    let prepare = container("defaults", "prepare");
    let prepared: BTreeMap<_, _> = prepare.mounts().into_iter().map(|(volume, path, _)| (volume, path)).collect();
    let arguments: BTreeSet<_> = prepare.strings("command").into_iter().collect();
    for (container, image) in jitsi("defaults") {
        let mounts: Vec<_> = container.mounts();
        let writable: BTreeSet<_> =
            mounts.iter().filter(|(.., writes)| *writes).map(|(_, path, _)| (*path).to_owned()).collect();
        let needed: BTreeSet<_> = image.writable.iter().chain(&image.volumes).chain(&image.checked).cloned().collect();
        assert!(needed.is_subset(&writable), "{}: {needed:?} are needed", container.name);
        let known: BTreeSet<_> = image.writable.iter().chain(&image.mounted).cloned().collect();
        assert!(writable.is_subset(&known), "{}: compose mounts {known:?}", container.name);
        for (volume, path, writes) in mounts {
            let prepared = prepared[volume];
            assert!(arguments.contains(prepared), "{volume} keeps root as its owner");
            assert!(writes || path == prepared, "{volume} is read where nothing writes it");
        }
        assert!(image.read_only && container.definition["readonlyRootFilesystem"] == true, "{}", container.name);
    }
    let volumes = task_definition("defaults")["volume"].as_array().expect("the task has volumes");
    let volumes: BTreeSet<_> = volumes.iter().map(|volume| volume["name"].as_str().expect("a name")).collect();
    assert_eq!(volumes, prepared.into_keys().collect());
}

#[test]
fn the_ports_are_those_on_which_the_images_listen() {
    for (container, image) in jitsi("defaults") {
        assert!(container.ports().is_subset(&image.exposed), "{}: {:?}", container.name, image.exposed);
    }
    let ports = &PLANS["defaults"]["output_changes"]["ports"]["after"];
    assert_eq!(container("defaults", "web").ports(), BTreeSet::from([format!("{}/tcp", ports["web"])]));
    let bridge = BTreeSet::from([format!("{}/udp", ports["media"]), format!("{}/tcp", ports["health"])]);
    assert_eq!(container("defaults", "jvb").ports(), bridge);

    // The bridge listens where its variable says.
    let bridge = container("options", "jvb");
    assert!(bridge.ports().contains("20000/udp") && bridge.environment()["JVB_PORT"] == "20000");

    // Prosody is where the others look for it.
    let prosody = &UPSTREAM.images["prosody"];
    let bosh = container("defaults", "web").environment()["XMPP_BOSH_URL_BASE"];
    let port = bosh.strip_prefix("http://127.0.0.1:").expect("web reaches prosody in the task");
    assert!(prosody.exposed.contains(&format!("{port}/tcp")));
    for name in ["jicofo", "jvb"] {
        assert_eq!(container("defaults", name).environment()["XMPP_SERVER"], "127.0.0.1");
    }
}

#[test]
fn every_health_check_exists_in_its_image() {
    for (container, image) in jitsi("defaults") {
        let command = strings(&container.definition["healthCheck"]["command"]);
        assert_eq!(command[0], "CMD", "{}", container.name);
        if image.files.contains(command[1]) {
            let url = image.health_url.as_deref().expect("the image's health check asks for a URL");
            assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        } else {
            assert!(command[1] == "curl" && image.packages.contains("curl"), "{}: {command:?}", container.name);
            let url = command.last().and_then(|url| url.strip_prefix("http://127.0.0.1:")).expect("a URL in the task");
            assert!(container.ports().contains(&format!("{}/tcp", url.trim_end_matches('/'))), "{url}");
        }
    }
    // jicofo serves /about/health only with its health checks on: jitsi/jicofo at stable/jitsi-meet_11146,
    // jicofo/src/main/kotlin/org/jitsi/jicofo/ktor/Application.kt.
    assert!(UPSTREAM.images["jicofo"].health_url.as_deref().is_some_and(|url| url.ends_with("/about/health")));
    assert_eq!(container("defaults", "jicofo").environment()["JICOFO_ENABLE_HEALTH_CHECKS"], "1");
    // The load balancer's health check is the bridge's own.
    let port = &PLANS["defaults"]["output_changes"]["ports"]["after"]["health"];
    let url = UPSTREAM.images["jvb"].health_url.as_deref();
    assert_eq!(url, Some(format!("http://127.0.0.1:{port}/about/health").as_str()));
}

#[test]
fn the_bridges_image_has_the_program_that_the_script_runs() {
    assert!(script("advertise.sh").contains("dig ") && UPSTREAM.images["jvb"].packages.contains("dnsutils"));
}

#[test]
fn the_modules_readme_shows_the_example() {
    let folder = root().join("terraform/modules/jitsi-service");
    let read =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let example = read(&folder.join("examples/minimal/main.tf"));
    let (_, block) = example.split_once("\nmodule ").expect("the example uses the module");
    let block = block.replace("\"../..\"", "\"./terraform/modules/jitsi-service\"");
    assert!(read(&folder.join("README.md")).contains(&format!("```hcl\nmodule {block}```")), "{block}");
}
