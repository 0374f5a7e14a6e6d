//! The platform of a test: cluster, service, queue, event rule, load balancer and target groups, in an account of its own on
//! moto or in a sandbox of its own; with operations to change and to inspect it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, Compatibility, ContainerDefinition, KeyValuePair, LaunchType, NetworkConfiguration,
    NetworkMode, Task,
};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Certificate, LoadBalancerAttribute, LoadBalancerTypeEnum, ProtocolEnum, Tag,
    TargetDescription, TargetGroupIpAddressTypeEnum, TargetHealthStateEnum, TargetTypeEnum,
};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use aws_types::SdkConfig;
use aws_types::region::Region;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jvb_watcher_rules::model::{ADVERTISED_ADDRESSES_VARIABLE, ServiceEventName};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::proxy::Proxy;
use crate::stage::{Aws, Stage};
use crate::wait::eventually;

pub const REGION: &str = "eu-central-1";

/// The tags of the watcher's mark, on the load balancer and its target groups.
pub const MARK_SINCE: &str = "jvb-watcher:idle-since";
pub const MARK_LOAD_BALANCER: &str = "jvb-watcher:load-balancer";
/// The tag of an operator's hold.
pub const HOLD: &str = "jvb-watcher:hold-until";

static ACCOUNTS: AtomicU64 = AtomicU64::new(100_000_000_001);

/// Returns an account that no other test uses.
pub fn new_account() -> u64 {
    ACCOUNTS.fetch_add(1, Ordering::Relaxed)
}

/// The address and the port of a target.
pub type Target = (String, i32);

/// The attributes of the queue.
pub struct Queue {
    /// The `maxReceiveCount` of the redrive policy; `None` for no dead-letter queue.
    pub dead_letter_after: Option<u32>,
    pub visibility_seconds: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { dead_letter_after: Some(5), visibility_seconds: 30 }
    }
}

/// The properties of a load balancer to create. The default is the one that the terraform module creates.
pub struct LoadBalancerSpec {
    pub application: bool,
    pub tags: Vec<(&'static str, String)>,
    pub groups: Vec<TargetGroupSpec>,
}

/// The properties of a target group to create.
#[derive(Clone)]
pub struct TargetGroupSpec {
    /// The part of the name after the project.
    pub suffix: &'static str,
    pub protocol: ProtocolEnum,
    pub port: i32,
    /// The protocol and the port of its listener, if they are others than the group's.
    pub listener: Option<(ProtocolEnum, i32)>,
    pub kind: TargetTypeEnum,
    pub family: TargetGroupIpAddressTypeEnum,
    pub tags: Vec<(&'static str, String)>,
}

/// Returns the tags without which the watcher deletes nothing.
fn owner_tags() -> Vec<(&'static str, String)> {
    vec![("Lifecycle", "on-demand".to_owned())]
}

/// Returns the properties of the terraform module's UDP target group.
pub fn udp() -> TargetGroupSpec {
    TargetGroupSpec {
        suffix: "jvb-udp",
        protocol: ProtocolEnum::Udp,
        port: 10000,
        listener: None,
        kind: TargetTypeEnum::Ip,
        family: TargetGroupIpAddressTypeEnum::Ipv4,
        tags: owner_tags(),
    }
}

/// Returns the properties of the terraform module's target group for HTTPS.
pub fn web() -> TargetGroupSpec {
    let listener = Some((ProtocolEnum::Tls, 443));
    TargetGroupSpec { suffix: "jvb-web", protocol: ProtocolEnum::Tcp, port: 8000, listener, ..udp() }
}

impl Default for LoadBalancerSpec {
    fn default() -> Self {
        Self { application: false, tags: owner_tags(), groups: vec![udp(), web()] }
    }
}

/// A created load balancer with its target groups.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    pub name: String,
    pub arn: String,
    pub groups: Vec<Group>,
}

impl LoadBalancer {
    /// Returns the ARNs of the load balancer and its target groups.
    pub fn arns(&self) -> Vec<&str> {
        std::iter::once(self.arn.as_str()).chain(self.groups.iter().map(|group| group.arn.as_str())).collect()
    }
}

/// A created target group.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub arn: String,
    pub port: i32,
}

/// A started task.
#[derive(Clone, Debug)]
pub struct Started {
    pub arn: String,
    /// The last component of the ARN.
    pub id: String,
    pub ip: String,
}

/// A platform.
pub struct Platform {
    pub project: String,
    pub account: u64,
    /// The proxy of the program under test, which records its calls and injects faults.
    pub proxy: Proxy,
    pub queue_url: String,
    pub dead_letter_url: Option<String>,
    /// The proxy of the test's own calls.
    _own: Proxy,
    vpc: String,
    subnets: Vec<String>,
    /// The task that [`Self::schedule`] has started on moto.
    scheduled: tokio::sync::Mutex<Option<Started>>,
    task_definition: String,
    stage: Stage,
    /// The IDs of the tasks that [`Self::run_tasks`] has returned.
    #[cfg(feature = "sandbox")]
    returned: std::sync::Mutex<BTreeSet<String>>,
    pub ecs: aws_sdk_ecs::Client,
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub events: aws_sdk_eventbridge::Client,
}

impl Platform {
    /// Creates a platform on moto: cluster, service with a desired count of zero, and queue; no load balancer.
    pub async fn new() -> Self {
        Self::on(Aws::Moto).await
    }

    /// Creates a platform on this emulator.
    pub async fn on(aws: Aws) -> Self {
        Self::with_queue(aws, Queue::default()).await
    }

    /// Creates a platform on this emulator, with these attributes of its queue.
    pub async fn with_queue(aws: Aws, queue: Queue) -> Self {
        Self::create(aws, queue, None).await
    }

    /// Creates a platform on this emulator, whose task definition pins these addresses for media.
    pub async fn advertising(aws: Aws, addresses: &str) -> Self {
        Self::create(aws, Queue::default(), Some(addresses)).await
    }

    async fn create(aws: Aws, queue: Queue, advertised: Option<&str>) -> Self {
        let account = new_account();
        let stage = Stage::new(aws, account).await;
        let own = Proxy::to(stage.address(), account).await;
        let proxy = Proxy::to(stage.address(), account).await;
        let config = sdk_config(&own.endpoint());
        let ecs = aws_sdk_ecs::Client::new(&config);
        let sqs = aws_sdk_sqs::Client::new(&config);
        let (vpc, subnets) = match &stage {
            Stage::Moto(_) => default_network(&own).await,
            // The sandbox has no EC2 and accepts any network.
            #[cfg(feature = "sandbox")]
            Stage::Sandbox(_) => ("vpc-0a1b2c3d4e5f60718".to_owned(), vec!["subnet-0a1b2c3d4e5f60718".to_owned()]),
        };
        let project = format!("p{}", account % 100_000);

        ecs.create_cluster().cluster_name(format!("{project}-cluster")).send().await.expect("a cluster");
        let variable = |value| KeyValuePair::builder().name(ADVERTISED_ADDRESSES_VARIABLE).value(value).build();
        let container = ContainerDefinition::builder().name("jvb").image("jitsi/jvb").memory(2048).cpu(1024);
        let container = container.set_environment(advertised.map(|addresses| vec![variable(addresses)])).build();
        let definition = ecs
            .register_task_definition()
            .family(format!("{project}-jvb"))
            .network_mode(NetworkMode::Awsvpc)
            .requires_compatibilities(Compatibility::Fargate)
            .container_definitions(container)
            .send()
            .await
            .expect("a task definition");
        let task_definition = definition
            .task_definition
            .and_then(|definition| definition.task_definition_arn)
            .expect("a task definition has an ARN");
        let (queue_url, dead_letter_url) = create_queues(&sqs, &project, queue).await;

        let platform = Self {
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            _own: own,
            scheduled: tokio::sync::Mutex::default(),
            project,
            account,
            proxy,
            queue_url,
            dead_letter_url,
            vpc,
            subnets,
            task_definition,
            stage,
            #[cfg(feature = "sandbox")]
            returned: std::sync::Mutex::default(),
            ecs,
            sqs,
        };
        platform.create_service().await;
        platform
    }

    /// Starts another proxy to the same emulator.
    pub async fn another_proxy(&self) -> Proxy {
        Proxy::to(self.stage.address(), self.account).await
    }

    /// Returns the platform's sandbox.
    #[cfg(feature = "sandbox")]
    pub fn sandbox(&self) -> &jvb_watcher_sandbox::wire::Sandbox {
        match &self.stage {
            Stage::Moto(_) => panic!("this platform is on moto"),
            Stage::Sandbox(sandbox) => sandbox,
        }
    }

    pub fn cluster(&self) -> String {
        format!("{}-cluster", self.project)
    }

    pub fn service(&self) -> String {
        format!("{}-service", self.project)
    }

    pub fn queue_name(&self) -> String {
        format!("{}-jvb-watcher", self.project)
    }

    pub fn load_balancer_name(&self) -> String {
        format!("{}-jvb-nlb", self.project)
    }

    /// Returns the network of the load balancer: the VPC and its subnets.
    pub fn vpc_and_subnets(&self) -> (&str, &[String]) {
        (&self.vpc, &self.subnets)
    }

    /// Returns the service's desired count.
    pub async fn desired(&self) -> i32 {
        let described = self.ecs.describe_services().cluster(self.cluster()).services(self.service()).send().await;
        described.expect("a response").services()[0].desired_count
    }

    /// Returns the tags of the service.
    pub async fn service_tags(&self) -> BTreeMap<String, String> {
        let described = self.ecs.describe_services().cluster(self.cluster()).services(self.service()).send().await;
        let arn = described.expect("a response").services()[0].service_arn().expect("an ARN").to_owned();
        let listed = self.ecs.list_tags_for_resource().resource_arn(arn).send().await.expect("tags");
        let pair = |tag: &aws_sdk_ecs::types::Tag| {
            (tag.key().unwrap_or_default().into(), tag.value().unwrap_or_default().into())
        };
        listed.tags().iter().map(pair).collect()
    }

    /// Replaces ECS's scheduler, which only the sandbox has: on moto, runs one task while the desired count is above zero.
    /// Never returns.
    pub async fn schedule(&self) {
        match &self.stage {
            Stage::Moto(_) => {}
            #[cfg(feature = "sandbox")]
            Stage::Sandbox(_) => return std::future::pending().await,
        }
        loop {
            let desired = self.desired().await;
            let mut task = self.scheduled.lock().await;
            match (desired, task.as_ref()) {
                (0, Some(running)) => {
                    self.stop_task(running).await;
                    *task = None;
                }
                (1.., None) => *task = Some(self.run_task().await),
                _ => {}
            }
            drop(task);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn create_service(&self) {
        self.create_service_as(&self.service(), 0, &[]).await;
    }

    /// Creates a service of the cluster with a desired count and tags.
    pub async fn create_service_as(&self, name: &str, desired: i32, tags: &[(&str, &str)]) {
        let tag = |(key, value): &(&str, &str)| aws_sdk_ecs::types::Tag::builder().key(*key).value(*value).build();
        self.ecs
            .create_service()
            .cluster(self.cluster())
            .service_name(name)
            .set_tags((!tags.is_empty()).then(|| tags.iter().map(tag).collect()))
            .task_definition(&self.task_definition)
            .desired_count(desired)
            .launch_type(LaunchType::Fargate)
            .network_configuration(self.network())
            .send()
            .await
            .expect("a service");
    }

    /// Creates the load balancer as the terraform module does.
    pub async fn create_load_balancer(&self) -> LoadBalancer {
        self.create_load_balancer_as(LoadBalancerSpec::default()).await
    }

    /// Creates a load balancer with these properties.
    pub async fn create_load_balancer_as(&self, plan: LoadBalancerSpec) -> LoadBalancer {
        self.create_load_balancer_named(&self.load_balancer_name(), plan).await
    }

    /// Creates a load balancer with this name and these properties.
    pub async fn create_load_balancer_named(&self, name: &str, plan: LoadBalancerSpec) -> LoadBalancer {
        let kind = if plan.application { LoadBalancerTypeEnum::Application } else { LoadBalancerTypeEnum::Network };
        let created = self
            .elb
            .create_load_balancer()
            .name(name)
            .r#type(kind)
            .set_subnets(Some(self.subnets.clone()))
            .set_tags(set_tags(&plan.tags))
            .send()
            .await
            .expect("a load balancer");
        let arn = created.load_balancers()[0].load_balancer_arn().expect("a load balancer has an ARN").to_owned();
        let mut groups = Vec::new();
        for group in plan.groups {
            groups.push(self.create_target_group(&arn, group).await);
        }
        LoadBalancer { name: name.to_owned(), arn, groups }
    }

    /// Creates a target group of a load balancer, with its listener.
    pub async fn create_target_group(&self, load_balancer: &str, plan: TargetGroupSpec) -> Group {
        let group = self.create_unused_target_group(plan.clone()).await;
        let action = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&group.arn).build();
        let (protocol, port) = plan.listener.unwrap_or((plan.protocol, plan.port));
        // moto checks certificates of ACM, but not those of IAM.
        let certificate = format!("arn:aws:iam::{:012}:server-certificate/meet", self.account);
        let certificate = Certificate::builder().certificate_arn(certificate).build();
        self.elb
            .create_listener()
            .load_balancer_arn(load_balancer)
            .set_certificates((protocol == ProtocolEnum::Tls).then(|| vec![certificate]))
            .protocol(protocol)
            .port(port)
            .default_actions(action)
            .send()
            .await
            .expect("a listener");
        group
    }

    /// Creates a target group that no load balancer uses.
    pub async fn create_unused_target_group(&self, plan: TargetGroupSpec) -> Group {
        let name = format!("{}-{}", self.project, plan.suffix);
        let created = self
            .elb
            .create_target_group()
            .name(&name)
            .protocol(plan.protocol)
            .port(plan.port)
            .vpc_id(&self.vpc)
            .target_type(plan.kind)
            .ip_address_type(plan.family)
            .set_tags(set_tags(&plan.tags))
            .send()
            .await
            .expect("a target group");
        let arn = created.target_groups()[0].target_group_arn().expect("a target group has an ARN").to_owned();
        Group { name, arn, port: plan.port }
    }

    /// Creates the rule that sends the cluster's task events and the service's failures to the queue.
    pub async fn route_events(&self) {
        let service = json!({
            "detail-type": ["ECS Service Action", "ECS Deployment State Change"],
            "resources": [self.service_arn()],
            "detail": { "eventName": ServiceEventName::ALL.map(ServiceEventName::as_str) },
        });
        let tasks =
            json!({ "detail-type": ["ECS Task State Change"], "detail": { "clusterArn": [self.cluster_arn()] } });
        let pattern = json!({ "source": ["aws.ecs"], "$or": [tasks, service] });
        self.route_by(&pattern.to_string()).await;
        if matches!(self.stage, Stage::Moto(_)) {
            // moto's response to this call is empty.
            self.proxy.on("events:TestEventPattern").reply(200, r#"{"Result": true}"#);
        }
    }

    /// Creates a rule that sends the events that match a pattern to the queue.
    pub async fn route_by(&self, pattern: &str) {
        self.route_to(&format!("{}-tasks", self.project), pattern, &self.queue_name(), &self.queue_url).await;
    }

    /// Creates a rule of this name that sends the events that match a pattern to a queue.
    pub async fn route_to(&self, rule: &str, pattern: &str, queue_name: &str, queue_url: &str) {
        self.events.put_rule().name(rule).event_pattern(pattern).send().await.expect("a rule");
        let queue = format!("arn:aws:sqs:{REGION}:{:012}:{}", self.account, queue_name);
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "events.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": queue,
            }],
        });
        self.sqs
            .set_queue_attributes()
            .queue_url(queue_url)
            .attributes(QueueAttributeName::Policy, policy.to_string())
            .send()
            .await
            .expect("the queue policy is set");
        let target = aws_sdk_eventbridge::types::Target::builder()
            .id("queue")
            .arn(queue)
            .build()
            .expect("the target is complete");
        self.events.put_targets().rule(rule).targets(target).send().await.expect("a rule's target");
    }

    pub fn service_arn(&self) -> String {
        format!("arn:aws:ecs:{REGION}:{}:service/{}/{}", self.account, self.cluster(), self.service())
    }

    pub fn cluster_arn(&self) -> String {
        format!("arn:aws:ecs:{REGION}:{}:cluster/{}", self.account, self.cluster())
    }

    fn network(&self) -> NetworkConfiguration {
        let network = AwsVpcConfiguration::builder()
            .subnets(&self.subnets[0])
            .set_security_groups(Some(Vec::new()))
            .build()
            .expect("the network configuration is complete");
        NetworkConfiguration::builder().awsvpc_configuration(network).build()
    }

    // Tasks and their events.

    /// Sets the service's desired count. moto's running count follows at once.
    pub async fn set_desired(&self, count: i32) {
        self.ecs
            .update_service()
            .cluster(self.cluster())
            .service(self.service())
            .desired_count(count)
            .send()
            .await
            .expect("the desired count is set");
    }

    /// Runs one task; see [`Self::run_tasks`].
    pub async fn run_task(&self) -> Started {
        self.run_tasks(1).await.remove(0)
    }

    /// Returns running tasks of the service that this has not returned before. On moto, which has no scheduler, it starts
    /// them; in the sandbox it waits for the scheduler, so the desired count must allow for them.
    pub async fn run_tasks(&self, count: usize) -> Vec<Started> {
        match &self.stage {
            Stage::Moto(_) => self.run_tasks_of(&format!("service:{}", self.service()), count).await,
            #[cfg(feature = "sandbox")]
            Stage::Sandbox(_) => self.wait_for_new_tasks(count).await,
        }
    }

    #[cfg(feature = "sandbox")]
    async fn wait_for_new_tasks(&self, count: usize) -> Vec<Started> {
        let group = format!("service:{}", self.service());
        let fresh = eventually(&format!("the scheduler has started {count} tasks"), async || {
            let tasks = self.sandbox().with_world(|world, _| world.tasks());
            let returned = self.returned.lock().expect("not poisoned");
            let fresh = tasks
                .into_iter()
                .filter(|task| task.group == group && task.last_status == "RUNNING" && !returned.contains(&task.id));
            let fresh: Vec<Started> =
                fresh.filter_map(|task| self.started(&task.id, task.address?.to_string())).collect();
            (fresh.len() >= count).then_some(fresh)
        })
        .await;
        assert_eq!(fresh.len(), count, "the scheduler has started more tasks than expected");
        self.returned.lock().expect("not poisoned").extend(fresh.iter().map(|task| task.id.clone()));
        fresh
    }

    #[cfg(feature = "sandbox")]
    fn started(&self, id: &str, ip: String) -> Option<Started> {
        let arn = format!("arn:aws:ecs:{REGION}:{:012}:task/{}/{id}", self.account, self.cluster());
        Some(Started { arn, id: id.to_owned(), ip })
    }

    /// Starts tasks of a group.
    pub async fn run_tasks_of(&self, group: &str, count: usize) -> Vec<Started> {
        let mut started = Vec::new();
        while started.len() < count {
            let batch = i32::try_from((count - started.len()).min(10)).expect("the batch has at most ten");
            let run = self
                .ecs
                .run_task()
                .cluster(self.cluster())
                .task_definition(&self.task_definition)
                .launch_type(LaunchType::Fargate)
                .group(group)
                .started_by("ecs-svc/4021518873651208533")
                .network_configuration(self.network())
                .count(batch)
                .send()
                .await
                .expect("a task");
            started.extend(run.tasks().iter().map(started_task));
        }
        started
    }

    /// Scales the service to one running task.
    pub async fn scale_to_one(&self) -> Started {
        self.set_desired(1).await;
        self.run_task().await
    }

    /// Scales the service to one task and stops it; returns the stopped task and its replacement.
    pub async fn one_replaced_by_another(&self) -> (Started, Started) {
        let old = self.scale_to_one().await;
        self.stop_task(&old).await;
        (old, self.run_task().await)
    }

    /// Scales the service to zero; see [`Self::scale_down_to`].
    pub async fn scale_to_zero(&self, tasks: &[&Started]) {
        self.scale_down_to(0, tasks).await;
    }

    /// Lowers the desired count, stops these tasks, and waits until they have stopped.
    pub async fn scale_down_to(&self, count: i32, tasks: &[&Started]) {
        match &self.stage {
            Stage::Moto(_) => {
                self.set_desired(count).await;
                for task in tasks {
                    self.stop_task(task).await;
                }
            }
            #[cfg(feature = "sandbox")]
            Stage::Sandbox(sandbox) => {
                use jvb_watcher_sandbox::api::{Request, ecs};
                // At one instant, so that the scheduler doesn't select other tasks.
                sandbox.with_world(|world, now| {
                    let update = ecs::UpdateServiceInput {
                        cluster: Some(self.cluster()),
                        service: self.service(),
                        desired_count: Some(count),
                        ..ecs::UpdateServiceInput::default()
                    };
                    world
                        .call(Request::Ecs(ecs::Request::UpdateService(update)), now)
                        .expect("the desired count is set");
                    for task in tasks {
                        let stop = ecs::StopTaskInput {
                            cluster: Some(self.cluster()),
                            task: task.arn.clone(),
                            ..ecs::StopTaskInput::default()
                        };
                        world.call(Request::Ecs(ecs::Request::StopTask(stop)), now).expect("the task stops");
                    }
                });
                self.wait_until_stopped(tasks).await;
            }
        }
    }

    /// Stops a task, and waits until it has stopped.
    pub async fn stop_task(&self, task: &Started) {
        self.ecs
            .stop_task()
            .cluster(self.cluster())
            .task(&task.arn)
            .reason("Scaling activity initiated by deployment")
            .send()
            .await
            .expect("the task stops");
        self.wait_until_stopped(&[task]).await;
    }

    /// Waits until tasks have stopped. On moto they stop at once.
    async fn wait_until_stopped(&self, tasks: &[&Started]) {
        for task in tasks {
            eventually(&format!("{} has stopped", task.id), async || {
                let described = self.ecs.describe_tasks().cluster(self.cluster()).tasks(&task.arn).send().await;
                (described.expect("a response").tasks()[0].last_status() == Some("STOPPED")).then_some(())
            })
            .await;
        }
    }

    /// Returns the event that ECS sends about the task's current state.
    pub async fn event_for(&self, task: &Started) -> Value {
        let described = self.ecs.describe_tasks().cluster(self.cluster()).tasks(&task.arn).send().await;
        let described = described.expect("the task exists");
        self.envelope(&described.tasks()[0])
    }

    /// Returns a complete EventBridge event in ECS's format, which differs from that of DescribeTasks.
    fn envelope(&self, task: &Task) -> Value {
        let now = jiff::Timestamp::now();
        let at = |seconds_ago: i64| (now - jiff::SignedDuration::from_secs(seconds_ago)).to_string();
        let stopped = task.last_status() == Some("STOPPED");
        let attachments: Vec<Value> = task
            .attachments()
            .iter()
            .map(|attachment| {
                let details: Vec<Value> = attachment
                    .details()
                    .iter()
                    .map(|detail| json!({ "name": detail.name(), "value": detail.value() }))
                    .collect();
                json!({
                    "id": attachment.id(),
                    "type": "eni",
                    "status": if stopped { "DELETED" } else { "ATTACHED" },
                    "details": details,
                })
            })
            .collect();
        let arn = task.task_arn().expect("a task has an ARN");
        let mut detail = json!({
            "attachments": attachments,
            "attributes": [{ "name": "ecs.cpu-architecture", "value": "x86_64" }],
            "availabilityZone": "eu-central-1a",
            "capacityProviderName": "FARGATE",
            "clusterArn": task.cluster_arn(),
            "connectivity": "CONNECTED",
            "connectivityAt": at(40),
            "containers": [{
                "containerArn": format!("{arn}/2f6b1d1e-0b53-4f0d-9f8e-1f3a2b7c9d10"),
                "lastStatus": task.last_status(),
                "name": "jvb",
                "image": "jitsi/jvb",
                "runtimeId": "0d4f7a1b2c3d-2531612879",
                "taskArn": arn,
                "networkInterfaces": [{
                    "attachmentId": "4a1b3c5d",
                    "privateIpv4Address": address_of(task),
                }],
                "cpu": "1024",
            }],
            "cpu": "1024",
            "createdAt": at(50),
            "desiredStatus": task.desired_status(),
            "enableExecuteCommand": false,
            "ephemeralStorage": { "sizeInGiB": 20 },
            "group": task.group(),
            "launchType": "FARGATE",
            "lastStatus": task.last_status(),
            "memory": "2048",
            "overrides": { "containerOverrides": [{ "name": "jvb" }] },
            "platformVersion": "1.4.0",
            "pullStartedAt": at(30),
            "pullStoppedAt": at(20),
            "startedAt": at(5),
            "startedBy": task.started_by(),
            "taskArn": arn,
            "taskDefinitionArn": task.task_definition_arn(),
            "updatedAt": at(0),
            // moto has no versions.
            "version": if task.version() > 0 { task.version() } else if stopped { 9 } else { 5 },
        });
        if stopped {
            detail["stopCode"] = json!("ServiceSchedulerInitiated");
            detail["stoppedReason"] = json!("Scaling activity initiated by deployment");
            detail["stoppingAt"] = json!(at(3));
            detail["stoppedAt"] = json!(at(0));
        }
        json!({
            "version": "0",
            "id": uuid(),
            "detail-type": "ECS Task State Change",
            "source": "aws.ecs",
            "account": format!("{:012}", self.account),
            "time": now.round(jiff::Unit::Second).expect("seconds").to_string(),
            "region": REGION,
            "resources": [arn],
            "detail": detail,
        })
    }

    /// Sends an event to the queue, as EventBridge does.
    pub async fn send(&self, event: &Value) {
        self.send_text(&event.to_string()).await;
    }

    /// Sends a message to the queue.
    pub async fn send_text(&self, body: &str) {
        let sent = self.sqs.send_message().queue_url(&self.queue_url).message_body(body).send().await;
        sent.expect("the message is sent");
    }

    /// Sends messages to the queue, in batches.
    pub async fn send_all(&self, bodies: &[String]) {
        for batch in bodies.chunks(10) {
            let entries = batch.iter().enumerate().map(|(index, body)| {
                SendMessageBatchRequestEntry::builder()
                    .id(format!("m{index}"))
                    .message_body(body)
                    .build()
                    .expect("the entry is complete")
            });
            self.sqs
                .send_message_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .expect("the messages are sent");
        }
    }

    /// Sends the event about the task's current state to the queue.
    pub async fn send_event_for(&self, task: &Started) {
        let event = self.event_for(task).await;
        self.send(&event).await;
    }

    /// Puts a task event on the event bus, as ECS does. In the sandbox this does nothing: there ECS puts the event itself,
    /// and no one else may use its source.
    pub async fn put_event(&self, event: &Value) {
        if !matches!(self.stage, Stage::Moto(_)) {
            return;
        }
        self.put_any_event("aws.ecs", "ECS Task State Change", &event["detail"]).await;
    }

    /// Puts an event on the event bus. Only moto allows the sources of AWS services.
    pub async fn put_any_event(&self, source: &str, detail_type: &str, detail: &Value) {
        self.put_event_on(detail["taskArn"].as_str().into_iter(), source, detail_type, detail).await;
    }

    /// Puts an event about these resources on the event bus. Only moto allows the sources of AWS services.
    pub async fn put_event_on(
        &self,
        resources: impl Iterator<Item = &str>,
        source: &str,
        detail_type: &str,
        detail: &Value,
    ) {
        let entry = PutEventsRequestEntry::builder().source(source).detail_type(detail_type).detail(detail.to_string());
        let entry = entry.set_resources(Some(resources.map(str::to_owned).collect())).build();
        let put = self.events.put_events().entries(entry).send().await.expect("the event is put");
        assert_eq!(put.failed_entry_count(), 0);
    }

    // State.

    /// Returns the registered targets of a target group, without draining ones; none if the target group doesn't exist.
    pub async fn targets(&self, group: &Group) -> BTreeSet<Target> {
        let Ok(health) = self.elb.describe_target_health().target_group_arn(&group.arn).send().await else {
            return BTreeSet::new();
        };
        health
            .target_health_descriptions()
            .iter()
            .filter(|description| {
                let state = description.target_health().and_then(|health| health.state());
                state != Some(&TargetHealthStateEnum::Draining)
            })
            .filter_map(|description| description.target())
            .map(|target| (target.id().unwrap_or_default().to_owned(), target.port().unwrap_or_default()))
            .collect()
    }

    /// Waits until each target group of the load balancer has exactly these addresses as targets, at the group's port.
    pub async fn wait_for_targets(&self, load_balancer: &LoadBalancer, addresses: &[&str]) {
        for group in &load_balancer.groups {
            let expected: BTreeSet<Target> = addresses.iter().map(|ip| ((*ip).to_owned(), group.port)).collect();
            eventually(&format!("{} has exactly the targets {expected:?}", group.name), async || {
                (self.targets(group).await == expected).then_some(())
            })
            .await;
        }
    }

    /// Registers an address in every target group.
    pub async fn register(&self, load_balancer: &LoadBalancer, ip: &str) {
        for group in &load_balancer.groups {
            self.elb
                .register_targets()
                .target_group_arn(&group.arn)
                .targets(TargetDescription::builder().id(ip).port(group.port).build())
                .send()
                .await
                .expect("the target is registered");
        }
    }

    /// Deregisters an address from every target group.
    pub async fn deregister(&self, load_balancer: &LoadBalancer, ip: &str) {
        for group in &load_balancer.groups {
            self.elb
                .deregister_targets()
                .target_group_arn(&group.arn)
                .targets(TargetDescription::builder().id(ip).port(group.port).build())
                .send()
                .await
                .expect("the target is deregistered");
        }
    }

    /// Returns whether the load balancer exists.
    pub async fn load_balancer_exists(&self) -> bool {
        let found = self.elb.describe_load_balancers().names(self.load_balancer_name()).send().await;
        found.is_ok_and(|found| !found.load_balancers().is_empty())
    }

    /// Returns whether a target group exists.
    pub async fn target_group_exists(&self, group: &Group) -> bool {
        self.elb.describe_target_groups().target_group_arns(&group.arn).send().await.is_ok()
    }

    /// Waits until the load balancer and its target groups are deleted.
    pub async fn wait_until_torn_down(&self, load_balancer: &LoadBalancer) {
        eventually("load balancer and target groups are deleted", async || {
            self.is_torn_down(load_balancer).await.then_some(())
        })
        .await;
    }

    /// Returns whether the load balancer and its target groups are deleted.
    pub async fn is_torn_down(&self, load_balancer: &LoadBalancer) -> bool {
        if self.load_balancer_exists().await {
            return false;
        }
        for group in &load_balancer.groups {
            if self.target_group_exists(group).await {
                return false;
            }
        }
        true
    }

    /// Returns whether the load balancer and all its target groups exist.
    pub async fn is_whole(&self, load_balancer: &LoadBalancer) -> bool {
        let mut whole = self.load_balancer_exists().await;
        for group in &load_balancer.groups {
            whole &= self.target_group_exists(group).await;
        }
        whole
    }

    /// Returns the tags of a load balancer or a target group; none if it doesn't exist.
    pub async fn tags(&self, arn: &str) -> BTreeMap<String, String> {
        let Ok(described) = self.elb.describe_tags().resource_arns(arn).send().await else {
            return BTreeMap::new();
        };
        let tags = described.tag_descriptions().iter().flat_map(|description| description.tags());
        tags.map(|tag| (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned())).collect()
    }

    /// Adds a tag to load balancers and target groups.
    pub async fn add_tag(&self, arns: &[&str], key: &str, value: &str) {
        self.elb
            .add_tags()
            .set_resource_arns(Some(arns.iter().map(|arn| (*arn).to_owned()).collect()))
            .tags(tag(key, value))
            .send()
            .await
            .expect("the tag is added");
    }

    /// Removes a tag from load balancers and target groups.
    pub async fn remove_tag(&self, arns: &[&str], key: &str) {
        self.elb
            .remove_tags()
            .set_resource_arns(Some(arns.iter().map(|arn| (*arn).to_owned()).collect()))
            .tag_keys(key)
            .send()
            .await
            .expect("the tag is removed");
    }

    /// Enables or disables deletion protection. moto deletes a protected load balancer nevertheless.
    pub async fn protect(&self, load_balancer: &LoadBalancer, protected: bool) {
        let attribute =
            LoadBalancerAttribute::builder().key("deletion_protection.enabled").value(protected.to_string()).build();
        self.elb
            .modify_load_balancer_attributes()
            .load_balancer_arn(&load_balancer.arn)
            .attributes(attribute)
            .send()
            .await
            .expect("the attribute is set");
    }

    /// Deletes the load balancer.
    pub async fn delete_load_balancer(&self, load_balancer: &LoadBalancer) {
        self.elb
            .delete_load_balancer()
            .load_balancer_arn(&load_balancer.arn)
            .send()
            .await
            .expect("the load balancer is deleted");
    }

    /// Returns the number of messages in the queue, including those in flight.
    pub async fn queue_depth(&self) -> usize {
        self.depth_of(&self.queue_url).await.iter().sum()
    }

    /// Receives all messages of the queue, and returns their bodies.
    #[cfg(feature = "sandbox")]
    pub async fn take_all(&self) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10).send();
            let received = receive.await.expect("a response").messages.unwrap_or_default();
            if received.is_empty() {
                return bodies;
            }
            bodies.extend(received.into_iter().filter_map(|message| message.body));
        }
    }

    /// Returns the number of visible messages.
    pub async fn visible_messages(&self) -> usize {
        self.depth_of(&self.queue_url).await[0]
    }

    /// Returns the number of messages in the dead-letter queue.
    pub async fn dead_letters(&self) -> usize {
        self.depth_of(self.dead_letter_url.as_ref().expect("the platform has a dead-letter queue")).await.iter().sum()
    }

    async fn depth_of(&self, url: &str) -> [usize; 2] {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let attributes = self
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .expect("the queue exists");
        names.map(|name| {
            let value = attributes.attributes().and_then(|attributes| attributes.get(&name));
            value.and_then(|value| value.parse().ok()).expect("the attribute is a number")
        })
    }

    /// Waits until the queue is empty.
    pub async fn wait_until_queue_empty(&self) {
        eventually("the queue is empty", async || (self.queue_depth().await == 0).then_some(())).await;
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// Returns tags in the form of a request, which must not have an empty list.
fn set_tags(tags: &[(&str, String)]) -> Option<Vec<Tag>> {
    (!tags.is_empty()).then(|| tags.iter().map(|(key, value)| tag(key, value)).collect())
}

fn started_task(task: &Task) -> Started {
    let arn = task.task_arn().expect("a task has an ARN").to_owned();
    let id = arn.rsplit('/').next().expect("split returns at least one part").to_owned();
    Started { id, ip: address_of(task).expect("a task has an address"), arn }
}

fn address_of(task: &Task) -> Option<String> {
    let details = task.attachments().iter().flat_map(|attachment| attachment.details());
    let address = details.into_iter().find(|detail| detail.name() == Some("privateIPv4Address"))?;
    address.value().map(str::to_owned)
}

/// Returns the SDK configuration for an endpoint.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(aws_sdk_ecs::config::BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "tests")))
        .endpoint_url(endpoint)
        // Without TLS, since loading root certificates takes time.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

async fn create_queues(sqs: &aws_sdk_sqs::Client, project: &str, queue: Queue) -> (String, Option<String>) {
    let mut create = sqs
        .create_queue()
        .queue_name(format!("{project}-jvb-watcher"))
        .attributes(QueueAttributeName::VisibilityTimeout, queue.visibility_seconds.to_string());
    let mut dead_letter_url = None;
    if let Some(receives) = queue.dead_letter_after {
        let created = sqs.create_queue().queue_name(format!("{project}-jvb-watcher-dlq")).send().await;
        let url = created.expect("a queue").queue_url.expect("a queue has a URL");
        let attributes = sqs
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .expect("the queue exists");
        let arn = &attributes.attributes().expect("attributes")[&QueueAttributeName::QueueArn];
        let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": receives });
        create = create.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        dead_letter_url = Some(url);
    }
    let created = create.send().await.expect("a queue");
    (created.queue_url.expect("a queue has a URL"), dead_letter_url)
}

/// Returns the default VPC and its subnets. It makes this one EC2 call itself, because the SDK's crate for EC2 takes
/// minutes to compile.
pub async fn default_network(proxy: &Proxy) -> (String, Vec<String>) {
    let stream = TcpStream::connect(proxy.address).await.expect("the proxy listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let request = Request::post("/")
        .header("host", proxy.address.to_string())
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/ec2/aws4_request, "))
        .body(Full::new(Bytes::from_static(b"Action=DescribeSubnets&Version=2016-11-15")))
        .expect("the request is valid");
    let response = sender.send_request(request).await.expect("a response");
    let body = response.into_body().collect().await.expect("a complete response").to_bytes();
    let text = String::from_utf8_lossy(&body);
    let values = |element: &str| -> Vec<String> {
        let end = format!("</{element}>");
        let parts = text.split(&format!("<{element}>")).skip(1).map(str::to_owned).collect::<Vec<_>>();
        parts.iter().filter_map(|part| part.split(&end).next()).map(str::to_owned).collect()
    };
    let vpc = values("vpcId").into_iter().next().unwrap_or_else(|| panic!("no default VPC in: {text}"));
    (vpc, values("subnetId"))
}

/// Returns an event ID that is unique in this process.
fn uuid() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("6f1d2c3b-0000-4000-8000-{:012x}", NEXT.fetch_add(1, Ordering::Relaxed))
}
