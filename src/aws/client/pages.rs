//! Tests that the adapter reads paginated lists completely, over the wire protocols.

use std::time::Duration;

use jiff::Timestamp;

use super::{AwsPlatform, connect_to_sandbox};
use crate::aws::directory::ServiceDirectory;
use crate::aws::{ErrorKind, Platform};
use jvb_watcher_sandbox::api::{Request, ecs, elb};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};

/// More than one page of ListTasks holds (100).
const TASKS: usize = 150;

/// More than one page of DescribeTargetGroups holds (400).
const GROUPS: usize = 450;

/// More than one page of ListServices holds (100), and no multiple of what DescribeServices takes (10).
const SERVICES: usize = 125;

/// Starts a sandbox with that many tasks and groups, and an adapter to it.
async fn crowded_platform() -> (Sandbox, AwsPlatform) {
    let made_at = Timestamp::now() - Duration::from_secs(600);
    let mut world = World::new(Settings::default(), 1, made_at);
    platform::set_up(&mut world, made_at).expect("a platform");
    let scaled = ecs::Request::UpdateService(ecs::UpdateServiceInput {
        cluster: Some(format!("{PROJECT}-cluster")),
        service: format!("{PROJECT}-service"),
        desired_count: Some(i32::try_from(TASKS).expect("a count")),
        ..Default::default()
    });
    world.call(Request::Ecs(scaled), made_at).expect("a scale-up");
    for number in 0..GROUPS {
        let group = elb::Request::CreateTargetGroup(elb::CreateTargetGroupInput {
            name: format!("group-{number}"),
            protocol: Some("UDP".to_owned()),
            port: Some("10000".to_owned()),
            vpc_id: Some("vpc-0a1b2c3d4e5f60718".to_owned()),
            target_type: Some("ip".to_owned()),
            ..Default::default()
        });
        world.call(Request::Elb(group), made_at).expect("a target group");
    }
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let adapter = AwsPlatform::new(&connect_to_sandbox(sandbox.endpoint(), "eu-west-1"));
    (sandbox, adapter)
}

#[tokio::test]
async fn reads_every_page_of_tasks_and_target_groups() {
    let (_sandbox, adapter) = crowded_platform().await;
    let (cluster, service) = (format!("{PROJECT}-cluster"), format!("{PROJECT}-service"));
    assert_eq!(adapter.list_tasks(&cluster, &service).await.expect("the tasks").len(), TASKS);
    assert_eq!(adapter.target_groups(None).await.expect("the groups").len(), GROUPS);
}

#[tokio::test]
async fn reads_every_service_of_a_cluster_with_its_tags() {
    let made_at = Timestamp::now() - Duration::from_secs(600);
    let mut world = World::new(Settings::default(), 1, made_at);
    platform::set_up(&mut world, made_at).expect("a platform");
    let cluster = format!("{PROJECT}-cluster");
    let network =
        ecs::AwsVpcConfiguration { subnets: vec!["subnet-0a1b2c3d4e5f60718".to_owned()], ..Default::default() };
    let name = |number: usize| format!("service-{number}");
    for number in 0..SERVICES {
        let tag = ecs::Tag { key: "number".to_owned(), value: number.to_string() };
        let service = ecs::Request::CreateService(ecs::CreateServiceInput {
            cluster: Some(cluster.clone()),
            service_name: name(number),
            task_definition: format!("{PROJECT}-jvb"),
            network_configuration: Some(ecs::NetworkConfiguration { awsvpc_configuration: network.clone() }),
            tags: vec![tag],
            ..Default::default()
        });
        world.call(Request::Ecs(service), made_at).expect("a service");
    }
    let deleted = ecs::DeleteServiceInput { cluster: Some(cluster.clone()), service: name(7), ..Default::default() };
    world.call(Request::Ecs(ecs::Request::DeleteService(deleted)), made_at).expect("a deletion");
    let sandbox = Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let adapter = AwsPlatform::new(&connect_to_sandbox(sandbox.endpoint(), "eu-west-1"));
    let listed = adapter.services(&cluster).await.expect("the services");
    assert_eq!(listed.len(), SERVICES, "the platform's own, and without the deleted one");
    let mut asked: Vec<_> = (0..SERVICES).map(name).collect();
    asked.push("unknown".to_owned());
    let described = adapter.describe(&cluster, &asked).await.expect("descriptions");
    assert_eq!(described.len(), SERVICES - 1, "without the unknown and the deleted one");
    assert!(described.iter().all(|service| name(service.tags["number"].parse().expect("a number")) == service.name));
    let error = adapter.services("unknown").await.expect_err("no such cluster");
    assert!(error.is(ErrorKind::NotFound), "{error}");
    assert_eq!(adapter.describe("unknown", &[name(1)]).await.expect("no services"), []);
    assert!(!adapter.has_load_balancer("unknown").await.expect("an answer"));
}
