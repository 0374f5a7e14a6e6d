//! The operators of a platform: they scale, run Terraform, and change AWS by hand.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::{Actor, Environment, Sender};
use jvb_watcher_sandbox::api::{ApiError, Request, Response, ecs, elb, eventbridge, sqs};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::TaskView;

mod load_balancer;
mod terraform;

/// A target group with its listener.
#[derive(Clone, Copy)]
struct Group {
    /// The part of the name after the project.
    suffix: &'static str,
    protocol: &'static str,
    port: &'static str,
    health_check_port: &'static str,
    /// The protocol and the port of its listener.
    listener: (&'static str, &'static str),
}

/// The target groups: media, and HTTPS.
const GROUPS: [Group; 2] = [
    Group { suffix: "jvb-udp", protocol: "UDP", port: "10000", health_check_port: "8080", listener: ("UDP", "10000") },
    Group {
        suffix: "jvb-web",
        protocol: "TCP",
        port: "8000",
        health_check_port: "traffic-port",
        listener: ("TLS", "443"),
    },
];

/// The events about why a service's tasks don't start.
const FAILURES: [&str; 4] = [
    "SERVICE_TASK_START_IMPAIRED",
    "SERVICE_TASK_PLACEMENT_FAILURE",
    "SERVICE_TASK_CONFIGURATION_FAILURE",
    "SERVICE_DEPLOYMENT_FAILED",
];

/// The operator of one project's platform.
#[derive(Clone)]
pub struct Operator {
    environment: Arc<Environment>,
    project: String,
    sender: Sender,
}

impl Operator {
    /// The operator of a project.
    pub fn new(environment: Arc<Environment>, project: &str) -> Self {
        let sender = Sender { actor: Actor::Operator, platform: environment.platform(project) };
        Self { environment, project: project.to_owned(), sender }
    }

    /// Sets the desired count.
    pub fn scale(&self, desired: i32) -> Result<(), ApiError> {
        self.ecs(ecs::Request::UpdateService(ecs::UpdateServiceInput {
            cluster: self.cluster(),
            service: self.service(),
            desired_count: Some(desired),
            ..Default::default()
        }))
    }

    /// Creates the cluster.
    pub fn create_cluster(&self) -> Result<(), ApiError> {
        let input = ecs::CreateClusterInput { cluster_name: self.cluster(), ..Default::default() };
        self.ecs(ecs::Request::CreateCluster(input))
    }

    /// Creates the service.
    pub fn create_service(&self) -> Result<(), ApiError> {
        // On a platform that no worker watches no task runs, so it needs no definition of its own.
        let family = self.sender.platform.map_or(platform::PROJECT, |_| &self.project);
        self.ecs(ecs::Request::CreateService(ecs::CreateServiceInput {
            cluster: self.cluster(),
            service_name: self.service(),
            task_definition: format!("{family}-jvb"),
            desired_count: 0,
            launch_type: Some("FARGATE".to_owned()),
            network_configuration: Some(network()),
            ..Default::default()
        }))
    }

    /// Deletes the service with its tasks.
    pub fn delete_service(&self) -> Result<(), ApiError> {
        let input = ecs::DeleteServiceInput { cluster: self.cluster(), service: self.service(), force: true };
        self.ecs(ecs::Request::DeleteService(input))
    }

    /// Runs a task of no service behind the load balancer for a while. Its address may have been another task's.
    pub async fn run_foreign_task(&self, time: Duration) -> Result<(), ApiError> {
        let group = format!("family:{}-visitor", self.project);
        self.ecs(ecs::Request::RunTask(ecs::RunTaskInput {
            cluster: self.cluster(),
            task_definition: format!("{}-jvb", platform::PROJECT),
            group: Some(group.clone()),
            launch_type: Some("FARGATE".to_owned()),
            network_configuration: Some(network()),
            ..Default::default()
        }))?;
        tokio::time::sleep(Duration::from_secs(90)).await;
        let is_foreign = |task: &TaskView| task.group == group && task.last_status == "RUNNING";
        let tasks = self.environment.with(|state, _| state.world.tasks());
        let foreign: Vec<_> = tasks.into_iter().filter(is_foreign).collect();
        for address in foreign.iter().filter_map(|task| task.address) {
            self.set_target(&address.to_string(), true)?;
        }
        tokio::time::sleep(time).await;
        for task in foreign {
            if let Some(address) = task.address {
                let _ = self.set_target(&address.to_string(), false);
            }
            let input = ecs::StopTaskInput { cluster: self.cluster(), task: task.id, ..Default::default() };
            self.ecs(ecs::Request::StopTask(input))?;
        }
        Ok(())
    }

    /// Enables or disables the rule that fills the queue.
    pub fn set_rule(&self, enabled: bool) -> Result<(), ApiError> {
        let input = eventbridge::RuleInput { name: format!("{}-jvb-watcher", self.project), ..Default::default() };
        let request = match enabled {
            true => eventbridge::Request::EnableRule(input),
            false => eventbridge::Request::DisableRule(input),
        };
        self.call(Request::EventBridge(request)).map(drop)
    }

    /// Lets the rule of this project's queue match the tasks of several projects' services, as the Terraform module does.
    pub fn route_events_of(&self, projects: &[&str]) -> Result<(), ApiError> {
        let (account, region) = self.environment.with(|state, _| {
            let settings = state.world.settings();
            (settings.account.clone(), settings.region.clone())
        });
        let cluster = |project: &&str| format!("arn:aws:ecs:{region}:{account}:cluster/{project}-cluster");
        let service =
            |project: &&str| format!("arn:aws:ecs:{region}:{account}:service/{project}-cluster/{project}-service");
        let pattern = json!({
            "source": ["aws.ecs"],
            "$or": [
                {
                    "detail-type": ["ECS Task State Change"],
                    "detail": {
                        "clusterArn": projects.iter().map(cluster).collect::<Vec<_>>(),
                        "group": projects.iter().map(|project| format!("service:{project}-service")).collect::<Vec<_>>(),
                    },
                },
                {
                    "detail-type": ["ECS Service Action", "ECS Deployment State Change"],
                    "resources": projects.iter().map(service).collect::<Vec<_>>(),
                    "detail": { "eventName": FAILURES },
                },
            ],
        });
        let input = eventbridge::PutRuleInput {
            name: format!("{}-jvb-watcher", self.project),
            event_pattern: Some(pattern.to_string()),
            ..Default::default()
        };
        self.call(Request::EventBridge(eventbridge::Request::PutRule(input))).map(drop)
    }

    /// Sends a message about another service's task to the queue.
    pub fn send_foreign_message(&self) -> Result<(), ApiError> {
        let input = sqs::SendMessageInput {
            queue_url: self.environment.queue_url(),
            message_body: foreign_event(),
            ..Default::default()
        };
        self.call(Request::Sqs(sqs::Request::SendMessage(input))).map(drop)
    }

    /// Receives all messages of the dead-letter queue; returns the number of malformed ones, and of others.
    pub fn dead_letters(&self) -> (usize, usize) {
        let input = sqs::ReceiveMessageInput {
            queue_url: format!("{}-dlq", self.environment.queue_url()),
            max_number_of_messages: Some(10),
            ..Default::default()
        };
        let (mut malformed, mut others) = (0, 0);
        // A received message is invisible, so each is counted once.
        while let Ok(Response::Sqs(sqs::Response::ReceiveMessage(output))) =
            self.call(Request::Sqs(sqs::Request::ReceiveMessage(input.clone())))
        {
            let messages = output.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                match serde_json::from_str::<Value>(&message.body) {
                    Ok(_) => others += 1,
                    Err(_) => malformed += 1,
                }
            }
        }
        (malformed, others)
    }

    fn call(&self, request: Request) -> Result<Response, ApiError> {
        self.environment.perform(self.sender, &request)
    }

    fn elb(&self, request: elb::Request) -> Result<elb::Response, ApiError> {
        match self.call(Request::Elb(request))? {
            Response::Elb(response) => Ok(response),
            other => unreachable!("ELB answered {other:?}"),
        }
    }

    fn ecs(&self, request: ecs::Request) -> Result<(), ApiError> {
        self.call(Request::Ecs(request)).map(drop)
    }

    fn cluster(&self) -> Option<String> {
        Some(format!("{}-cluster", self.project))
    }

    fn service(&self) -> String {
        format!("{}-service", self.project)
    }

    fn load_balancer_name(&self) -> String {
        format!("{}-jvb-nlb", self.project)
    }
}

/// The network of every task.
fn network() -> ecs::NetworkConfiguration {
    let subnets = vec!["subnet-0a1b2c3d4e5f60718".to_owned()];
    ecs::NetworkConfiguration { awsvpc_configuration: ecs::AwsVpcConfiguration { subnets, ..Default::default() } }
}

/// An event about another service's task.
fn foreign_event() -> String {
    json!({
        "version": "0",
        "id": "0b1c2d3e-0000-4000-8000-000000000000",
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "time": "2026-11-20T00:00:00Z",
        "detail": {
            "group": "service:another",
            "taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/other/0123456789abcdef0123456789abcdef",
            "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/other",
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "version": 3,
        },
    })
    .to_string()
}
