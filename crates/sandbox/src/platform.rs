//! A ready-made platform: a cluster, a service with desired count 0, a queue with its dead-letter queue, and a rule that
//! routes the cluster's task events, and the failures of the service, to the queue. There is no load balancer: creating one
//! is part of scaling up ([`load_balancer::create`]).
//!
//! A task has the four containers of a conference. With a domain in the settings, its bridge resolves the domain at its
//! start and advertises what it finds.

use jiff::Timestamp;
use serde_json::json;

use crate::api::{ApiError, LowercaseTag, Request, ecs, eventbridge, sqs};
use crate::world::World;

pub mod load_balancer;

/// Name of the project. The names of all resources derive from it.
pub const PROJECT: &str = "jitsi";

/// Number of receives after which a message moves to the dead-letter queue.
const MAX_RECEIVES: u32 = 5;

/// Creates the platform by the requests that an operator would make.
///
/// # Errors
///
/// Returns an error when the world refuses a request.
pub fn set_up(world: &mut World, now: Timestamp) -> Result<(), ApiError> {
    let (account, region) = (world.settings().account.clone(), world.settings().region.clone());
    let domain = world.settings().calls.domain.clone();
    let arn = |service: &str, resource: &str| format!("arn:aws:{service}:{region}:{account}:{resource}");
    let cluster = format!("{PROJECT}-cluster");
    let cluster_arn = arn("ecs", &format!("cluster/{cluster}"));
    let queue = format!("{PROJECT}-jvb-watcher");
    let queue_arn = arn("sqs", &queue);
    let rule = format!("{PROJECT}-jvb-watcher");
    let rule_arn = arn("events", &format!("rule/{rule}"));
    let mut call = |request: Request| world.call(request, now).map(|_| ());
    call(cluster_request(cluster.clone()))?;
    call(task_definition_request(PROJECT, domain.as_deref()))?;
    // A bridge waits for the domain's address, or finds its own.
    let bridge_address = if domain.is_some() { "awaited" } else { "fixed" };
    call(service_request(PROJECT, cluster.clone(), bridge_address))?;
    let dead_letter_queue = format!("{queue}-dlq");
    call(queue_request(dead_letter_queue.clone(), []))?;
    let redrive = json!({ "deadLetterTargetArn": arn("sqs", &dead_letter_queue), "maxReceiveCount": MAX_RECEIVES });
    let policy = queue_policy(&queue_arn, &rule_arn);
    call(queue_request(queue, [("RedrivePolicy", redrive.to_string()), ("Policy", policy)]))?;
    let service_arn = arn("ecs", &format!("service/{cluster}/{PROJECT}-service"));
    call(rule_request(rule.clone(), &cluster_arn, &service_arn))?;
    call(targets_request(rule, queue_arn))
}

/// Creates the cluster and the service of a further project. Its bridges resolve no domain; the rule doesn't match its events
/// yet.
///
/// # Errors
///
/// Returns an error when the world refuses a request.
pub fn add_service(world: &mut World, project: &str, now: Timestamp) -> Result<(), ApiError> {
    let cluster = format!("{project}-cluster");
    world.call(cluster_request(cluster.clone()), now)?;
    world.call(task_definition_request(project, None), now)?;
    world.call(service_request(project, cluster, "fixed"), now).map(drop)
}

fn cluster_request(cluster: String) -> Request {
    let input = ecs::CreateClusterInput { cluster_name: Some(cluster), ..ecs::CreateClusterInput::default() };
    Request::Ecs(ecs::Request::CreateCluster(input))
}

fn task_definition_request(project: &str, domain: Option<&str>) -> Request {
    Request::Ecs(ecs::Request::RegisterTaskDefinition(ecs::RegisterTaskDefinitionInput {
        family: family(project),
        network_mode: Some("awsvpc".to_owned()),
        requires_compatibilities: vec!["FARGATE".to_owned()],
        cpu: Some("1024".to_owned()),
        memory: Some("2048".to_owned()),
        container_definitions: vec![
            container("web", &[(8000, "tcp")]),
            container("prosody", &[]),
            container("jicofo", &[]),
            ecs::ContainerDefinition {
                command: domain.map_or_else(Vec::new, advertise),
                ..container("jvb", &[(10_000, "udp"), (8080, "tcp")])
            },
        ],
    }))
}

/// Returns the command of a bridge that advertises the addresses to which a domain resolves.
fn advertise(domain: &str) -> Vec<String> {
    ["advertise", domain, "240", "/init"].map(str::to_owned).into()
}

fn container(name: &str, ports: &[(u16, &str)]) -> ecs::ContainerDefinition {
    let mapping = |(container_port, protocol): &(u16, &str)| ecs::PortMapping {
        container_port: *container_port,
        protocol: Some((*protocol).to_owned()),
        name: None,
    };
    ecs::ContainerDefinition {
        name: name.to_owned(),
        image: format!("ghcr.io/jitsi/{name}:stable"),
        port_mappings: ports.iter().map(mapping).collect(),
        ..ecs::ContainerDefinition::default()
    }
}

fn family(project: &str) -> String {
    format!("{project}-jvb")
}

fn service_request(project: &str, cluster: String, bridge_address: &str) -> Request {
    let network = ecs::AwsVpcConfiguration {
        subnets: vec!["subnet-0a1b2c3d4e5f60718".to_owned()],
        assign_public_ip: Some("ENABLED".to_owned()),
        ..ecs::AwsVpcConfiguration::default()
    };
    Request::Ecs(ecs::Request::CreateService(ecs::CreateServiceInput {
        cluster: Some(cluster),
        service_name: format!("{project}-service"),
        task_definition: family(project),
        desired_count: 0,
        launch_type: Some("FARGATE".to_owned()),
        network_configuration: Some(ecs::NetworkConfiguration { awsvpc_configuration: network }),
        tags: vec![LowercaseTag { key: "jvb-watcher-bridge-address".to_owned(), value: bridge_address.to_owned() }],
        ..ecs::CreateServiceInput::default()
    }))
}

fn queue_request<const N: usize>(queue_name: String, attributes: [(&str, String); N]) -> Request {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let input = sqs::CreateQueueInput { queue_name, attributes, ..sqs::CreateQueueInput::default() };
    Request::Sqs(sqs::Request::CreateQueue(input))
}

/// Returns the policy that allows EventBridge to send to the queue.
fn queue_policy(queue_arn: &str, rule_arn: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": rule_arn } },
        }],
    })
    .to_string()
}

fn rule_request(name: String, cluster_arn: &str, service_arn: &str) -> Request {
    let failures = [
        "SERVICE_TASK_START_IMPAIRED",
        "SERVICE_TASK_PLACEMENT_FAILURE",
        "SERVICE_TASK_CONFIGURATION_FAILURE",
        "SERVICE_DEPLOYMENT_FAILED",
    ];
    let pattern = json!({
        "source": ["aws.ecs"],
        "$or": [
            { "detail-type": ["ECS Task State Change"], "detail": { "clusterArn": [cluster_arn] } },
            {
                "detail-type": ["ECS Service Action", "ECS Deployment State Change"],
                "resources": [service_arn],
                "detail": { "eventName": failures },
            },
        ],
    });
    let input = eventbridge::PutRuleInput {
        name,
        event_pattern: Some(pattern.to_string()),
        ..eventbridge::PutRuleInput::default()
    };
    Request::EventBridge(eventbridge::Request::PutRule(input))
}

fn targets_request(rule: String, queue_arn: String) -> Request {
    let target = eventbridge::Target { id: "queue".to_owned(), arn: queue_arn, ..eventbridge::Target::default() };
    let input = eventbridge::PutTargetsInput { rule, targets: vec![target], ..eventbridge::PutTargetsInput::default() };
    Request::EventBridge(eventbridge::Request::PutTargets(input))
}
