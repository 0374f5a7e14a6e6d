//! A sandbox with a platform, its tasks and its messages, in a thread of its own and over HTTP.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jvb_watcher_sandbox::api::{ApiError, Request, Response, Tag, ecs, elb, sqs};
use jvb_watcher_sandbox::faults::{FaultPlan, Faults};
use jvb_watcher_sandbox::platform::{self, PROJECT, load_balancer};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Incident, Settings, World};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::journal::Journal;
use crate::wait;

/// A call that each reconciliation makes once.
pub const OF_EACH_RECONCILIATION: &str = "elasticloadbalancing:DescribeLoadBalancers";

/// Longer than a task's start, a load balancer's provisioning and a target's first health check take together.
const UNTIL_AT_REST: Duration = Duration::from_secs(10 * 60);

/// A group takes as many targets as the largest service has tasks: ECS's quota of 5,000 tasks for a service. That of
/// Elastic Load Balancing, 1,000 targets for a group by default, can be raised.
const TARGETS_PER_GROUP: usize = 5_000;

/// One for each service of the largest fleet. Elastic Load Balancing's quota, 50 by default, can be raised.
const LOAD_BALANCERS: usize = 2_000;

/// The time without a new call after which a program is at rest, far longer than it takes between two.
const QUIET: Duration = Duration::from_millis(100);

/// A sandbox with the ready-made platform. It serves until this is dropped.
pub struct Stage {
    sandbox: Sandbox,
    /// Ends the thread that serves, when dropped.
    _stop: oneshot::Sender<()>,
    /// The address of each task that runs, and the event by which ECS reported that.
    tasks: Vec<Task>,
    /// The target groups behind load balancers, once they are asked for: none is added after the stage is set.
    groups: OnceCell<Vec<(String, u16)>>,
}

/// A running task.
#[derive(Clone, Debug)]
pub struct Task {
    /// `service:NAME`.
    pub group: String,
    /// Private address.
    pub address: Ipv4Addr,
    /// The body of the message about its latest change.
    pub event: String,
}

impl Stage {
    /// Starts a sandbox with the platform, whose service has no task and no load balancer.
    ///
    /// # Panics
    ///
    /// If the loopback has no free port.
    pub fn new() -> Self {
        let mut settings = Settings::default();
        settings.load_balancers.targets_per_group = TARGETS_PER_GROUP;
        settings.load_balancers.per_region = LOAD_BALANCERS;
        let (started, sandbox) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let world = World::new(settings, 1, Timestamp::now());
                let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await;
                started.send(sandbox.expect("the loopback has a free port")).expect("the stage waits");
                let _ = stopped.await;
            });
        });
        let sandbox = sandbox.recv().expect("the sandbox starts");
        sandbox.with_world(platform::set_up).expect("the platform is made");
        Self { sandbox, _stop: stop, tasks: Vec::new(), groups: OnceCell::new() }
    }

    /// Starts a sandbox with a load balancer and this many running tasks, none of them registered, and an empty queue.
    pub fn with_tasks(number: usize) -> Self {
        let mut stage = Self::new();
        stage.create_load_balancer();
        stage.run_tasks(number);
        stage
    }

    /// Returns the sandbox.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns a command with what every client of the sandbox needs in its environment, and nothing else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::temp_dir().join("no-home"))
            .env("AWS_ACCESS_KEY_ID", "sandbox")
            .env("AWS_SECRET_ACCESS_KEY", "sandbox")
            .env("AWS_REGION", self.region())
            .env("AWS_DEFAULT_REGION", self.region())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.sandbox.endpoint());
        command
    }

    /// Returns the command `run` of the program for the platform, with several bridges allowed: a benchmark has many.
    pub fn watcher(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        command.arg("run").env("JVB_WATCHER_PROJECT", PROJECT).env("JVB_WATCHER_ALLOW_SEVERAL_BRIDGES", "true");
        command
    }

    fn region(&self) -> String {
        self.sandbox.with_world(|world, _| world.settings().region.clone())
    }

    /// Returns the URL of the queue.
    pub fn queue_url(&self) -> String {
        let account = self.sandbox.with_world(|world, _| world.settings().account.clone());
        format!("{}/{account}/{}", self.sandbox.endpoint(), queue())
    }

    /// Creates the load balancer of the platform, and waits until it is active.
    pub fn create_load_balancer(&self) {
        self.sandbox.with_world(load_balancer::create).expect("the load balancer is made");
        self.sandbox.advance(UNTIL_AT_REST);
    }

    /// Runs tasks of the platform's service until it has this many.
    pub fn run_tasks(&mut self, number: usize) {
        let input = ecs::UpdateServiceInput {
            cluster: Some(cluster()),
            service: format!("{PROJECT}-service"),
            desired_count: Some(i32::try_from(number).expect("a small number")),
            ..ecs::UpdateServiceInput::default()
        };
        self.call(Request::Ecs(ecs::Request::UpdateService(input)));
        self.wait_for_tasks(number);
    }

    /// Adds services, each with one running task and a load balancer with one group; names derive from their project's,
    /// which this returns.
    pub fn add_services(&mut self, number: usize) -> Vec<String> {
        let projects: Vec<String> = (0..number).map(|index| format!("p{index:04}")).collect();
        for project in &projects {
            self.add_load_balancer(project);
            let network = ecs::AwsVpcConfiguration {
                subnets: vec!["subnet-0a1b2c3d4e5f60718".to_owned()],
                ..ecs::AwsVpcConfiguration::default()
            };
            self.call(Request::Ecs(ecs::Request::CreateService(ecs::CreateServiceInput {
                cluster: Some(cluster()),
                service_name: format!("{project}-service"),
                task_definition: format!("{PROJECT}-jvb"),
                desired_count: 1,
                launch_type: Some("FARGATE".to_owned()),
                network_configuration: Some(ecs::NetworkConfiguration { awsvpc_configuration: network }),
                ..ecs::CreateServiceInput::default()
            })));
        }
        self.wait_for_tasks(number);
        projects
    }

    /// Creates a load balancer with one group, named for a project.
    fn add_load_balancer(&self, project: &str) {
        let input = elb::CreateLoadBalancerInput {
            name: format!("{project}-jvb-nlb"),
            r#type: Some("network".to_owned()),
            subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
            tags: owner_tag(),
            ..elb::CreateLoadBalancerInput::default()
        };
        let Response::Elb(elb::Response::CreateLoadBalancer(output)) =
            self.call(Request::Elb(elb::Request::CreateLoadBalancer(input)))
        else {
            unreachable!("a response is of its request's kind");
        };
        let group = self.add_group(&format!("{project}-jvb-udp"));
        let forward =
            elb::Action { r#type: "forward".to_owned(), target_group_arn: Some(group), ..elb::Action::default() };
        let input = elb::CreateListenerInput {
            load_balancer_arn: output.load_balancers.member[0].load_balancer_arn.clone(),
            protocol: Some("UDP".to_owned()),
            port: Some("10000".to_owned()),
            default_actions: [forward].into_iter().collect(),
            ..elb::CreateListenerInput::default()
        };
        self.call(Request::Elb(elb::Request::CreateListener(input)));
    }

    /// Creates target groups that belong to no platform and carry a tag.
    pub fn add_groups_of_others(&self, number: usize) {
        for index in 0..number {
            self.add_group(&format!("others-{index:04}"));
        }
    }

    fn add_group(&self, name: &str) -> String {
        let input = elb::CreateTargetGroupInput {
            name: name.to_owned(),
            protocol: Some("UDP".to_owned()),
            port: Some("10000".to_owned()),
            vpc_id: Some("vpc-0a1b2c3d4e5f60718".to_owned()),
            target_type: Some("ip".to_owned()),
            tags: owner_tag(),
            ..elb::CreateTargetGroupInput::default()
        };
        let Response::Elb(elb::Response::CreateTargetGroup(output)) =
            self.call(Request::Elb(elb::Request::CreateTargetGroup(input)))
        else {
            unreachable!("a response is of its request's kind");
        };
        let arn = output.target_groups.member[0].target_group_arn.clone();
        let delay = elb::Attribute { key: "deregistration_delay.timeout_seconds".to_owned(), value: "0".to_owned() };
        let input = elb::ModifyTargetGroupAttributesInput {
            target_group_arn: arn.clone(),
            attributes: [delay].into_iter().collect(),
        };
        self.call(Request::Elb(elb::Request::ModifyTargetGroupAttributes(input)));
        arn
    }

    /// Waits until so many tasks run, and takes their events out of the queue.
    fn wait_for_tasks(&mut self, number: usize) {
        self.sandbox.advance(UNTIL_AT_REST);
        let addresses: BTreeMap<String, Ipv4Addr> = wait::until("the tasks run", || {
            let running = self.sandbox.with_world(|world, now| {
                world.step(now);
                let tasks = world.tasks().into_iter().filter(|task| task.last_status == "RUNNING");
                tasks.filter_map(|task| Some((task.id, task.address?))).collect::<BTreeMap<_, _>>()
            });
            (running.len() == number).then_some(running)
        });
        let mut tasks = BTreeMap::new();
        for body in self.take_messages() {
            let Ok(event) = serde_json::from_str::<Value>(&body) else { continue };
            let detail = &event["detail"];
            let id = detail["taskArn"].as_str().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
            if let (Some(address), Some("RUNNING")) = (addresses.get(id), detail["lastStatus"].as_str()) {
                let group = detail["group"].as_str().unwrap_or_default().to_owned();
                tasks.insert(id.to_owned(), Task { group, address: *address, event: body });
            }
        }
        assert_eq!(tasks.len(), number, "each task has reported that it runs");
        self.tasks = tasks.into_values().collect();
    }

    /// Takes all messages out of the queue and returns their bodies.
    fn take_messages(&self) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let input = sqs::ReceiveMessageInput {
                queue_url: self.queue_url(),
                max_number_of_messages: Some(10),
                ..sqs::ReceiveMessageInput::default()
            };
            let Response::Sqs(sqs::Response::ReceiveMessage(output)) =
                self.call(Request::Sqs(sqs::Request::ReceiveMessage(input)))
            else {
                unreachable!("a response is of its request's kind");
            };
            let messages = output.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            bodies.extend(messages.into_iter().map(|message| message.body));
        }
        self.call(Request::Sqs(sqs::Request::PurgeQueue(sqs::QueueInput { queue_url: self.queue_url() })));
        bodies
    }

    /// Returns the running tasks.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Registers every task in the groups of its load balancer, and waits until the targets are healthy.
    pub fn register_tasks(&self) {
        for (group, port) in self.groups() {
            let targets = self.tasks.iter().filter(|task| belongs(task, group)).map(|task| target(task, *port));
            let targets: Vec<_> = targets.collect();
            for targets in targets.chunks(200) {
                self.register(group, targets.to_vec());
            }
        }
        self.sandbox.advance(UNTIL_AT_REST);
    }

    fn register(&self, group: &str, targets: Vec<elb::TargetDescription>) {
        let input = elb::TargetsInput { target_group_arn: group.to_owned(), targets: targets.into_iter().collect() };
        self.call(Request::Elb(elb::Request::RegisterTargets(input)));
    }

    /// Takes a task out of the groups of its load balancer, as if it had just got its address.
    pub fn deregister(&self, task: &Task) {
        for (group, port) in self.groups().iter().filter(|(group, _)| belongs(task, group)) {
            let targets = [target(task, *port)].into_iter().collect();
            let input = elb::TargetsInput { target_group_arn: group.clone(), targets };
            self.call(Request::Elb(elb::Request::DeregisterTargets(input)));
        }
    }

    /// Returns the ARNs of the groups behind load balancers, with their ports.
    fn groups(&self) -> &[(String, u16)] {
        self.groups.get_or_init(|| {
            let groups = self.sandbox.with_world(|world, _| world.groups());
            let port = |name: &str| if name.ends_with("-web") { 8000 } else { 10_000 };
            let attached = groups.into_iter().filter(|group| !group.load_balancers.is_empty());
            attached.map(|group| (group.arn, port(&group.name))).collect()
        })
    }

    /// Fills the queue with messages about the tasks, each task's in turn.
    pub fn send_events(&self, number: usize) {
        self.sandbox.with_world(|world, now| {
            for task in self.tasks.iter().cycle().take(number) {
                put(world, &task.event, now).expect("the queue is there");
            }
        });
    }

    /// Sends the message about one task, and returns when it became visible.
    pub fn send_event(&self, task: &Task) -> Instant {
        self.sandbox.with_world(|world, now| put(world, &task.event, now)).expect("the queue is there");
        Instant::now()
    }

    /// Returns the number of messages in the queue, received ones included.
    pub fn messages(&self) -> usize {
        self.sandbox.with_world(|world, now| {
            world.step(now);
            let queue = world.queues().into_iter().find(|view| view.name == queue()).expect("the queue is there");
            queue.visible + queue.in_flight
        })
    }

    /// Delays every call but the queue's by the same time, as AWS's network does.
    pub fn delay_calls(&self, by: Duration) {
        let latency = json!({ "kind": "latency", "least": format!("{}ms", by.as_millis()) });
        let rule = |service: &str| json!({ "on": format!("{service}:*"), "effect": latency });
        let rules = ["cloudwatch", "ecs", "elasticloadbalancing"].map(rule);
        let plan: FaultPlan = serde_json::from_value(json!({ "rules": rules })).expect("a plan");
        self.sandbox.faults(|faults| faults.set(plan)).expect("the plan is valid");
    }

    /// Returns the number of calls of an operation so far.
    pub fn calls(&self, operation: &str) -> u64 {
        self.sandbox.calls().get(operation).copied().unwrap_or_default()
    }

    /// Waits until a watcher has begun so many reconciliations more.
    pub fn wait_for_reconciliations(&self, number: u64) {
        let wanted = self.calls(OF_EACH_RECONCILIATION) + number;
        wait::until("the watcher reconciles", || (self.calls(OF_EACH_RECONCILIATION) >= wanted).then_some(()));
    }

    /// Waits until a watcher waits for messages, and makes no other call.
    pub fn wait_until_at_rest(&self) {
        let (mut calls, mut since) = (0, Instant::now());
        wait::until("the watcher is at rest", || {
            let now = self.sandbox.calls().values().sum();
            if now != calls {
                (calls, since) = (now, Instant::now());
            }
            (self.calls("sqs:ReceiveMessage") > 0 && since.elapsed() >= QUIET).then_some(())
        });
    }

    /// Waits until the queue is empty.
    pub fn wait_until_drained(&self) {
        wait::until("the queue is empty", || (self.messages() == 0).then_some(()));
    }

    /// Records calls from now on.
    pub fn record(&self) {
        self.sandbox.record_calls();
    }

    /// Returns the calls since [`Stage::record`], or since the last time.
    pub fn journal(&self) -> Journal {
        Journal(self.sandbox.take_recorded_calls())
    }

    fn call(&self, request: Request) -> Response {
        self.sandbox.with_world(|world, now| world.call(request, now)).expect("the sandbox accepts the request")
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the addresses that a call of RegisterTargets registers.
pub fn registered(journal: &Journal) -> Vec<(BTreeSet<String>, Instant)> {
    let addresses = |body: &[u8]| -> BTreeSet<String> {
        let body = String::from_utf8_lossy(body);
        let fields = body.split('&').filter_map(|field| field.split_once('='));
        fields.filter(|(name, _)| name.ends_with(".Id")).map(|(_, value)| value.to_owned()).collect()
    };
    let calls = journal.of("elasticloadbalancing:RegisterTargets");
    calls.map(|call| (addresses(&call.request), call.ended)).collect()
}

/// Puts a message into the queue as it is; the incident is named for its usual purpose.
fn put(world: &mut World, body: &str, now: Timestamp) -> Result<(), ApiError> {
    world.inject(Incident::MalformedMessage { queue: queue(), body: body.to_owned() }, now)
}

fn queue() -> String {
    format!("{PROJECT}-jvb-watcher")
}

/// Returns the name of the cluster.
pub fn cluster() -> String {
    format!("{PROJECT}-cluster")
}

/// Returns whether a task belongs into the group with an ARN: both are named for the same project.
fn belongs(task: &Task, group: &str) -> bool {
    let project = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let service = task.group.strip_prefix("service:").unwrap_or_default();
    let name = group.split(":targetgroup/").nth(1).unwrap_or_default();
    project(service) == project(name)
}

fn target(task: &Task, port: u16) -> elb::TargetDescription {
    elb::TargetDescription {
        id: task.address.to_string(),
        port: Some(port.to_string()),
        ..elb::TargetDescription::default()
    }
}

fn owner_tag() -> elb::Members<Tag> {
    [Tag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() }].into_iter().collect()
}
