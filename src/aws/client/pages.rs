//! Tests that the adapter reads paginated lists completely, and several services' resources together, over the wire
//! protocols.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{AwsPlatform, QuotaShare, connect_to_sandbox};
use crate::aws::directory::ServiceDirectory;
use crate::aws::{ErrorKind, Platform};
use crate::clock::SystemClock;
use jvb_watcher_rules::model::Service;
use jvb_watcher_sandbox::api::{Request, Response, ecs, elb};
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
async fn several_services_share_the_calls_of_reads_at_the_same_time() {
    let (sandbox, _) = crowded_platform().await;
    let sdk = connect_to_sandbox(sandbox.endpoint(), "eu-west-1");
    let adapter = AwsPlatform::for_several_services(&sdk, Arc::new(SystemClock), QuotaShare::default());
    let sent = |before: &mut u64| {
        let sent = adapter.calls().sent;
        sent - std::mem::replace(before, sent)
    };
    let mut before = 0;
    let cluster = format!("{PROJECT}-cluster");

    let names: Vec<String> =
        (0..19).map(|number| format!("other-{number}")).chain([format!("{PROJECT}-service")]).collect();
    let services = join_all(names.iter().map(|name| adapter.service(&cluster, name, true))).await;
    let found: Vec<bool> = services.into_iter().map(|it| it.expect("an answer").service != Service::Missing).collect();
    assert_eq!(found.iter().position(|found| *found), Some(19), "{found:?}");
    assert_eq!(sent(&mut before), 2, "ten services a call");
    let missing = adapter.service("elsewhere", "service", false).await.expect("an answer");
    assert_eq!((missing.service, sent(&mut before)), (Service::Missing, 1), "there is no such cluster");

    let absent = join_all(names.iter().map(|name| adapter.load_balancer(name))).await;
    assert!(absent.into_iter().all(|it| it.expect("an answer").is_none()));
    assert_eq!(sent(&mut before), 1, "one page of all load balancers");
    let create = |name: &str| {
        Request::Elb(elb::Request::CreateLoadBalancer(elb::CreateLoadBalancerInput {
            name: name.to_owned(),
            r#type: Some("network".to_owned()),
            subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
            ..Default::default()
        }))
    };
    let mut arn_of_last = String::new();
    for name in &names[..3] {
        let answer = sandbox.with_world(|world, now| world.call(create(name), now)).expect("a load balancer");
        let Response::Elb(elb::Response::CreateLoadBalancer(output)) = answer else { unreachable!("{answer:?}") };
        arn_of_last = output.load_balancers.member[0].load_balancer_arn.clone();
    }
    let read = async |names: &[String]| -> Vec<bool> {
        let found = join_all(names.iter().map(|name| adapter.load_balancer(name))).await;
        found.into_iter().map(|it| it.expect("an answer").is_some()).collect()
    };
    assert_eq!((read(&names[..4]).await, sent(&mut before)), (vec![true, true, true, false], 1));
    assert_eq!(sandbox.calls()["elasticloadbalancing:DescribeLoadBalancers"], 2);
    sandbox.record_calls();
    assert_eq!((read(&names[..3]).await, sent(&mut before)), (vec![true; 3], 1));
    let by_names = sandbox.take_recorded_calls().remove(0);
    assert!(
        String::from_utf8_lossy(&by_names.request).contains("Names.member.3"),
        "those that exist are asked for by name"
    );
    let delete = elb::Request::DeleteLoadBalancer(elb::LoadBalancerInput { load_balancer_arn: arn_of_last });
    sandbox.with_world(|world, now| world.call(Request::Elb(delete), now)).expect("a deletion");
    assert_eq!(
        (read(&names[..3]).await, sent(&mut before)),
        (vec![true, true, false], 2),
        "one is gone: the list of all"
    );
    assert_eq!((read(&names[..3]).await, sent(&mut before)), (vec![true, true, false], 1), "the list of all at once");

    let groups = adapter.target_groups(None).await.expect("the groups");
    let arns: Vec<String> = groups.into_iter().take(10).map(|group| group.arn).collect();
    let gone = arns[0].replace("group-", "gone-");
    sent(&mut before);
    let several = [&arns[..5], &arns[5..], std::slice::from_ref(&gone)];
    let tags = join_all(several.iter().map(|arns| adapter.tags(arns))).await;
    let counts: Vec<usize> = tags.into_iter().map(|tags| tags.expect("an answer").len()).collect();
    assert_eq!(counts, [5, 5, 0], "one that is gone fails no other");
    assert!(sent(&mut before) <= 9, "halves until it is alone");

    let tasks = adapter.list_tasks(&cluster, &format!("{PROJECT}-service")).await.expect("the tasks");
    sent(&mut before);
    let several = [&tasks[..1], &tasks[1..3], &tasks[..3]];
    let described = join_all(several.iter().map(|tasks| adapter.describe_tasks(&cluster, tasks))).await;
    let counts: Vec<usize> = described.into_iter().map(|tasks| tasks.expect("an answer").len()).collect();
    assert_eq!((counts, sent(&mut before)), (vec![1, 2, 3], 1));
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
