//! Work that no watcher does: the sandbox's clock starts ten minutes ago.

use std::time::Duration;

use jiff::Timestamp;
use jvb_watcher_sandbox::api::{Request, Response, ecs, elb};
use jvb_watcher_sandbox::faults::Faults;
use jvb_watcher_sandbox::platform::{self, PROJECT};
use jvb_watcher_sandbox::wire::Sandbox;
use jvb_watcher_sandbox::world::{Settings, World};

use crate::watcher::{Finished, Launch};

/// The platform ten minutes after a scale-up, and no watcher since.
async fn ten_minutes_after_a_scale_up() -> Sandbox {
    let began = Timestamp::now() - Duration::from_secs(600);
    let mut world = World::new(Settings::default(), 1, began);
    platform::set_up(&mut world, began).expect("the platform can be made");
    create_load_balancer(&mut world, began);
    scale(&mut world, 1, began);
    Sandbox::start(world, Faults::new(1), ([127, 0, 0, 1], 0).into()).await.expect("a free port")
}

fn scale(world: &mut World, desired: i32, at: Timestamp) {
    let input = ecs::UpdateServiceInput {
        cluster: Some(format!("{PROJECT}-cluster")),
        service: format!("{PROJECT}-service"),
        desired_count: Some(desired),
        ..ecs::UpdateServiceInput::default()
    };
    world.call(Request::Ecs(ecs::Request::UpdateService(input)), at).expect("the service can be scaled");
}

fn create_load_balancer(world: &mut World, at: Timestamp) {
    let mut call = |request| world.call(Request::Elb(request), at).expect("the world accepts it");
    let input = elb::CreateLoadBalancerInput {
        name: format!("{PROJECT}-jvb-nlb"),
        r#type: Some("network".to_owned()),
        subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
        ..elb::CreateLoadBalancerInput::default()
    };
    let Response::Elb(elb::Response::CreateLoadBalancer(made)) = call(elb::Request::CreateLoadBalancer(input)) else {
        panic!("another answer")
    };
    let load_balancer = made.load_balancers.member[0].clone();
    let input = elb::CreateTargetGroupInput {
        name: format!("{PROJECT}-jvb-udp"),
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        vpc_id: Some(load_balancer.vpc_id.clone()),
        target_type: Some("ip".to_owned()),
        health_check_protocol: Some("TCP".to_owned()),
        health_check_port: Some("8080".to_owned()),
        ..elb::CreateTargetGroupInput::default()
    };
    let Response::Elb(elb::Response::CreateTargetGroup(made)) = call(elb::Request::CreateTargetGroup(input)) else {
        panic!("another answer")
    };
    let forward = elb::Action {
        r#type: "forward".to_owned(),
        target_group_arn: Some(made.target_groups.member[0].target_group_arn.clone()),
        ..elb::Action::default()
    };
    call(elb::Request::CreateListener(elb::CreateListenerInput {
        load_balancer_arn: load_balancer.load_balancer_arn,
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        default_actions: [forward].into_iter().collect(),
        ..elb::CreateListenerInput::default()
    }));
}

async fn status(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let launch = Launch::bare("status")
        .env("AWS_ENDPOINT_URL", sandbox.endpoint())
        .env("JITSI_PROJECT", PROJECT)
        .env("JITSI_AWS_REGION", "eu-west-1")
        // Without the owner tag, whose lack is a finding.
        .env("JVB_WATCHER_TEARDOWN", "off");
    launch.args(arguments.iter().copied()).finish().await
}

#[tokio::test]
async fn a_task_unregistered_for_minutes_and_its_messages_are_not_well() {
    let sandbox = ten_minutes_after_a_scale_up().await;
    let finished = status(&sandbox, &[]).await;
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    assert!(finished.stdout.starts_with("Not well: 2 problems\n"), "{}", finished.stdout);
    let unwrapped = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains("1 serving task(s) not registered in jitsi-jvb-udp for "), "{unwrapped}");
    assert!(unwrapped.contains(" message(s) on jitsi-jvb-watcher for at least "), "{unwrapped}");
}

#[tokio::test]
async fn the_bound_follows_the_resync_interval() {
    let sandbox = ten_minutes_after_a_scale_up().await;
    let finished = status(&sandbox, &["--resync-interval", "20m"]).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.starts_with("Well: no findings\n"), "{}", finished.stdout);
}
