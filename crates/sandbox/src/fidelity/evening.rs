//! Evenings in the sandbox: a load balancer is created, a task starts, serves and stops, and all is deleted. At each moment,
//! each kind of request that a recording has is sent.
//!
//! An evening takes a quarter of an hour on the sandbox's clock, and a second or two on the machine's.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::document;
use super::recording::{Call, Recording};
use super::template::{Group, Resources, Template, templates};
use crate::api::Service;
use crate::platform::{self, PROJECT};
use crate::wire::direct::Direct;
use crate::world::{Incident, Settings, World};

/// The time between two moments. The shortest status of a task lasts for three seconds.
const MOMENT: Duration = Duration::from_secs(2);

/// The longest time that an evening waits for anything.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// What happens in an evening while the task serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    /// Nothing, and the targets drain for as long as AWS's default is.
    Drain,
    /// The task crashes, and the next one fails to start.
    Crash,
    /// The task is interrupted, with IPv6, a target that fails its checks, and a service that names as little as can be.
    Interruption,
}

/// Plays the evenings. Returns the calls of each.
pub(super) async fn play_all(recording: &Recording) -> Vec<Vec<Call>> {
    let templates = templates(recording);
    let mut evenings = Vec::new();
    for (seed, happening) in [Happening::Drain, Happening::Crash, Happening::Interruption].into_iter().enumerate() {
        evenings.push(Evening::new(&templates, happening, seed as u64 + 1).play().await);
    }
    evenings
}

struct Evening<'a> {
    aws: Direct,
    templates: &'a [Template],
    happening: Happening,
    /// The resources at the last moment. What was deleted since then is still named.
    resources: Resources,
    calls: Vec<Call>,
}

impl<'a> Evening<'a> {
    fn new(templates: &'a [Template], happening: Happening, seed: u64) -> Self {
        let mut settings = Settings::default();
        settings.calls.domain = Some("meet.example.org".to_owned());
        if happening == Happening::Interruption {
            settings.tasks.capacity_provider = "FARGATE_SPOT".to_owned();
            settings.tasks.dual_stack = true;
        }
        let world = World::new(settings, seed, Timestamp::now());
        Self { aws: Direct::new(world), templates, happening, resources: Resources::default(), calls: Vec::new() }
    }

    async fn play(mut self) -> Vec<Call> {
        // Nothing exists.
        self.resources = unknown(self.aws.now());
        self.send_all(|_| true).await;
        // The sandbox refuses nothing of its own platform; if it did, the answers would show it.
        let _ = self.aws.with_world(platform::set_up);
        if self.happening == Happening::Interruption {
            self.replace_service().await;
        }
        self.moments(3).await;
        let _ = self.aws.with_world(platform::load_balancer::create);
        self.add_group().await;
        self.until(|world| world.load_balancers().iter().any(|it| it.state == "active")).await;
        // Tags, and what else the recording wrote before a task ran.
        self.send_all(|template| template.operation.contains("Tag")).await;
        self.scale(1).await;
        if self.happening == Happening::Crash {
            self.incident(Incident::NoCapacity { n: 1 });
        }
        let _ = self.aws.with_world(|world, now| world.inject(Incident::Callers { n: 2 }, now));
        self.until(|world| running(world) > 0).await;
        self.register().await;
        self.until(|world| healthy(world) > 0).await;
        self.happen().await;
        self.scale(0).await;
        let _ = self.aws.with_world(|world, now| world.inject(Incident::Callers { n: 0 }, now));
        self.moments(2).await;
        self.deregister().await;
        self.until(|world| running(world) == 0 && world.groups().iter().all(|group| group.targets.is_empty())).await;
        self.moments(10).await;
        self.messages().await;
        self.delete().await;
        self.moments(5).await;
        // Everything that is gone, and everything once more.
        self.send_all(|_| true).await;
        self.calls
    }

    /// Replaces the service and its task definition by others that name as little as can be: what answers have depends on it.
    async fn replace_service(&mut self) {
        self.observe();
        let Resources { cluster, service, task_definition, .. } = self.resources.clone();
        let members = json!({ "cluster": cluster, "service": service, "force": true });
        self.send(Service::Ecs, "DeleteService", &members).await;
        self.until(|world| world.services().iter().all(|service| service.status != "DRAINING")).await;
        let ports = json!([{ "containerPort": 8000 }, { "containerPort": 8080 }, { "containerPort": 10000 }]);
        let containers = json!([{ "name": "jvb", "image": "jitsi/jvb", "portMappings": ports }]);
        let members = json!({ "family": task_definition, "networkMode": "awsvpc", "containerDefinitions": containers });
        self.send(Service::Ecs, "RegisterTaskDefinition", &members).await;
        let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-0a1b2c3d4e5f60718"] } });
        let members = json!({
            "cluster": cluster,
            "serviceName": service,
            "taskDefinition": task_definition,
            "desiredCount": 0,
            "networkConfiguration": network,
        });
        self.send(Service::Ecs, "CreateService", &members).await;
    }

    /// Adds a target group whose health checks are no requests, as AWS's default is.
    async fn add_group(&mut self) {
        self.observe();
        let load_balancer = self.resources.load_balancer_arn.clone();
        let members = json!({ "LoadBalancerArns.member.1": load_balancer });
        self.send(Service::Elb, "DescribeLoadBalancers", &members).await;
        let vpc = self.answered("LoadBalancers", "VpcId");
        let members = json!({ "Name": "tcp", "Protocol": "TCP", "Port": "8000", "TargetType": "ip", "VpcId": vpc });
        self.send(Service::Elb, "CreateTargetGroup", &members).await;
        let group = self.answered("TargetGroups", "TargetGroupArn");
        let members = json!({
            "LoadBalancerArn": load_balancer,
            "Protocol": "TCP",
            "Port": "8000",
            "DefaultActions.member.1.Type": "forward",
            "DefaultActions.member.1.TargetGroupArn": group,
        });
        self.send(Service::Elb, "CreateListener", &members).await;
    }

    /// Returns a member of the first item of the list that was answered last.
    fn answered(&self, list: &str, member: &str) -> String {
        let answer = self.calls.last().map(|call| call.result()[list][0][member].as_str().unwrap_or_default());
        answer.unwrap_or_default().to_owned()
    }

    /// What happens while the task serves.
    async fn happen(&mut self) {
        let service = format!("{PROJECT}-service");
        match self.happening {
            Happening::Drain => {
                for group in self.resources.groups.clone() {
                    let members = json!({
                        "TargetGroupArn": group.arn,
                        "Attributes.member.1.Key": "deregistration_delay.timeout_seconds",
                        "Attributes.member.1.Value": "300",
                    });
                    self.send(Service::Elb, "ModifyTargetGroupAttributes", &members).await;
                }
                // CloudWatch's minutes pass.
                self.moments(180).await;
            }
            Happening::Crash => {
                self.incident(Incident::FailToStart { n: 3 });
                self.incident(Incident::CrashTask { service, task: None, exit_code: 1 });
                self.moments(120).await;
            }
            Happening::Interruption => {
                let addresses = self.resources.addresses.clone();
                for address in addresses.iter().filter_map(|address| address.parse().ok()) {
                    self.incident(Incident::TargetUnhealthy { ip: address, port: None });
                }
                self.moments(30).await;
                self.incident(Incident::SpotNotice { service, task: None });
                self.moments(90).await;
            }
        }
    }

    fn incident(&self, incident: Incident) {
        // It concerns a task that may have stopped by itself.
        let _ = self.aws.with_world(|world, now| world.inject(incident, now));
    }

    /// Lets time pass, and sends every kind of read at each moment.
    async fn moments(&mut self, number: usize) {
        for _ in 0..number {
            self.aws.advance(MOMENT);
            self.observe();
            self.send_all(Template::is_read).await;
            self.messages().await;
        }
    }

    async fn until(&mut self, condition: impl Fn(&World) -> bool) {
        let end = self.aws.now().checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        while self.aws.now() < end && !self.aws.with_world(|world, _| condition(world)) {
            self.moments(1).await;
        }
        self.moments(1).await;
    }

    async fn scale(&mut self, desired: i32) {
        let Resources { cluster, service, .. } = &self.resources;
        let members = json!({ "cluster": cluster, "service": service, "desiredCount": desired });
        self.send(Service::Ecs, "UpdateService", &members).await;
    }

    /// Registers the tasks' addresses in every group.
    async fn register(&mut self) {
        let Resources { groups, addresses, .. } = self.resources.clone();
        for group in groups {
            let targets = addresses.iter().map(|address| (address.clone(), group.port.clone())).collect();
            self.targets("RegisterTargets", &group.arn, targets).await;
        }
    }

    /// Deregisters all targets.
    async fn deregister(&mut self) {
        for group in self.aws.with_world(|world, _| world.groups()) {
            let targets = group.targets.iter().map(|target| (target.id.clone(), target.port.to_string())).collect();
            self.targets("DeregisterTargets", &group.arn, targets).await;
        }
    }

    async fn targets(&mut self, operation: &str, group: &str, targets: Vec<(String, String)>) {
        let mut members = serde_json::Map::from_iter([("TargetGroupArn".to_owned(), group.into())]);
        for (index, (id, port)) in targets.into_iter().enumerate() {
            members.insert(format!("Targets.member.{}.Id", index + 1), id.into());
            members.insert(format!("Targets.member.{}.Port", index + 1), port.into());
        }
        self.send(Service::Elb, operation, &Value::Object(members)).await;
    }

    /// Deletes the load balancer, and its groups as soon as that is possible.
    async fn delete(&mut self) {
        let members = json!({ "LoadBalancerArn": self.resources.load_balancer_arn });
        self.send(Service::Elb, "DeleteLoadBalancer", &members).await;
        let end = self.aws.now().checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        for group in self.resources.groups.clone() {
            while self.aws.now() < end {
                self.send(Service::Elb, "DeleteTargetGroup", &json!({ "TargetGroupArn": group.arn })).await;
                if self.calls.last().is_some_and(Call::has_succeeded) {
                    break;
                }
                self.moments(1).await;
            }
        }
    }

    /// Sends the kinds of requests about a message that was received.
    async fn messages(&mut self) {
        let received = self
            .calls
            .iter()
            .rev()
            .take(self.templates.len())
            .find_map(|call| call.output["Messages"][0]["ReceiptHandle"].as_str().map(str::to_owned));
        let Some(receipt) = received.filter(|receipt| *receipt != self.resources.receipt) else { return };
        self.resources.receipt = receipt;
        self.send_all(|template| template.service == Service::Sqs && !template.is_read()).await;
    }

    /// Notes which resources exist.
    fn observe(&mut self) {
        let known = self.resources.clone();
        self.resources = self.aws.with_world(|world, now| {
            let settings = world.settings();
            let (account, region) = (settings.account.clone(), settings.region.clone());
            let arn = |service: &str, resource: &str| format!("arn:aws:{service}:{region}:{account}:{resource}");
            let (cluster, service) = (format!("{PROJECT}-cluster"), format!("{PROJECT}-service"));
            let queue = format!("{PROJECT}-jvb-watcher");
            let tasks = world.tasks();
            let ports = listener_ports(world);
            let groups = world.groups();
            let group = |group: &crate::world::GroupView| Group {
                arn: group.arn.clone(),
                name: group.name.clone(),
                port: ports.get(&group.arn).cloned().unwrap_or_default(),
            };
            let running = tasks.iter().filter(|task| task.last_status == "RUNNING");
            let addresses: Vec<String> =
                running.filter_map(|task| task.address.map(|address| address.to_string())).collect();
            Resources {
                service_arn: arn("ecs", &format!("service/{cluster}/{service}")),
                task_definition: format!("{PROJECT}-jvb"),
                tasks: if tasks.is_empty() { known.tasks } else { tasks.iter().map(|task| task.id.clone()).collect() },
                load_balancer: platform::load_balancer::name(),
                load_balancer_arn: world.load_balancers().first().map_or(known.load_balancer_arn, |it| it.arn.clone()),
                groups: if groups.is_empty() { known.groups } else { groups.iter().map(group).collect() },
                addresses: if addresses.is_empty() { known.addresses } else { addresses },
                queue_url: format!("{}/{account}/{queue}", settings.endpoint),
                queue_arn: arn("sqs", &queue),
                rule: queue.clone(),
                queue,
                cluster,
                service,
                receipt: known.receipt,
                minutes: minutes(now),
            }
        });
    }

    async fn send_all(&mut self, is_wanted: impl Fn(&Template) -> bool) {
        for template in self.templates.iter().filter(|template| is_wanted(template)) {
            let members = template.fill(&self.resources);
            self.send(template.service, &template.operation, &members).await;
        }
    }

    async fn send(&mut self, service: Service, operation: &str, members: &Value) {
        let sent = self.aws.now();
        let Some(response) = self.aws.send(service, operation, members).await else { return };
        let headers = headers(&response.headers);
        let kind = headers.get("content-type").map(String::as_str).unwrap_or_default();
        self.calls.push(Call {
            operation: format!("{}:{operation}", service.prefix()),
            sent,
            ended: self.aws.now(),
            input: members.clone(),
            status: Some(response.status),
            output: document::read(kind, &response.body).unwrap_or_default(),
            headers,
            failure: None,
        });
    }
}

fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(header).collect()
}

fn running(world: &World) -> usize {
    world.tasks().iter().filter(|task| task.last_status == "RUNNING").count()
}

fn healthy(world: &World) -> usize {
    world.groups().iter().flat_map(|group| &group.targets).filter(|target| target.state == "healthy").count()
}

/// Returns the port of each target group, by its ARN: the containers of the platform listen on that of the group's name.
fn listener_ports(world: &World) -> BTreeMap<String, String> {
    let port = |name: &str| if name.ends_with("udp") { "10000" } else { "8000" };
    world.groups().iter().map(|group| (group.arn.clone(), port(&group.name).to_owned())).collect()
}

/// Returns the last quarter of an hour, in whole minutes.
fn minutes(now: Timestamp) -> (i64, i64) {
    let until = now.as_second() / 60 * 60;
    (until - 15 * 60, until)
}

/// Returns resources that don't exist.
fn unknown(now: Timestamp) -> Resources {
    let arn = |service: &str, resource: &str| format!("arn:aws:{service}:eu-west-1:111122223333:{resource}");
    let group = Group {
        arn: arn("elasticloadbalancing", "targetgroup/none/0000000000000000"),
        name: "none".to_owned(),
        port: "1".to_owned(),
    };
    Resources {
        cluster: "none".to_owned(),
        service: "none".to_owned(),
        service_arn: arn("ecs", "service/none/none"),
        task_definition: "none".to_owned(),
        tasks: vec!["00000000000000000000000000000000".to_owned()],
        load_balancer: "none".to_owned(),
        load_balancer_arn: arn("elasticloadbalancing", "loadbalancer/net/none/0000000000000000"),
        groups: vec![group],
        addresses: vec!["10.0.0.1".to_owned()],
        queue: "none".to_owned(),
        queue_url: "http://localhost:4566/111122223333/none".to_owned(),
        queue_arn: arn("sqs", "none"),
        receipt: "none".to_owned(),
        rule: "none".to_owned(),
        minutes: minutes(now),
    }
}
