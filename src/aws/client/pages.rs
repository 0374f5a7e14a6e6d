//! Tests that the adapter reads paginated lists completely, over the wire protocols.

use std::time::Duration;

use jiff::Timestamp;

use super::{AwsPlatform, connect_to_sandbox};
use crate::aws::Platform;
use jvb_watcher_sandbox::api::{Request, ecs, elb};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};

/// More than one page of ListTasks holds (100).
const TASKS: usize = 150;

/// More than one page of DescribeTargetGroups holds (400).
const GROUPS: usize = 450;

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
