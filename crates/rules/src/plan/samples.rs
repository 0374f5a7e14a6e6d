//! Samples for tests: a service at noon, with a load balancer that was created an hour before.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;

use super::{OwnerTag, Policy, Teardown, UsagePolicy};
use crate::model::{
    AddressFamily, Counts, DesiredStatus, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer,
    LoadBalancerKind, LoadBalancerState, Observation, Protocol, Service, Tags, Target, TargetGroup, TargetState,
    TargetType, Task, TaskId,
};

pub const LOAD_BALANCER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/p-jvb-nlb/0a1b2c3d4e5f6071";
pub const UDP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/p-jvb-udp/1a2b3c4d5e6f7081";
pub const TCP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/p-jvb-tcp-tg/2a3b4c5d6e7f8091";

pub const TASK_DEFINITION: &str = "arn:aws:ecs:eu-west-1:111122223333:task-definition/p-jvb:3";
/// The deployment that started the tasks.
pub const DEPLOYMENT: &str = "ecs-svc/4021518873651208533";

/// The time of the samples; the load balancer was created an hour before.
pub fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("an instant")
}

pub fn minutes(minutes: i64) -> Duration {
    Duration::from_secs(u64::try_from(minutes * 60).expect("a positive number"))
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn policy() -> Policy {
    Policy {
        service: "p-service".into(),
        load_balancer: "p-jvb-nlb".into(),
        owner_tag: OwnerTag { key: "Lifecycle".into(), value: "on-demand".into() },
        teardown: Teardown::All,
        idle_grace: seconds(60),
        until_paid_hour: false,
        unused_grace: minutes(15),
        resync_interval: seconds(60),
        allow_several_bridges: false,
        usage: UsagePolicy::OFF,
    }
}

pub fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

pub fn task(number: u8, last_status: LastStatus, desired_status: DesiredStatus) -> Task {
    Task {
        id: TaskId::from_arn(&format!("arn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{number:032x}"))
            .expect("a task's ARN"),
        group: Some("service:p-service".into()),
        started_by: Some(DEPLOYMENT.into()),
        task_definition: Some(TASK_DEFINITION.into()),
        last_status,
        desired_status,
        version: Some(4),
        ipv4: Some(Ipv4Addr::new(10, 0, 0, number)),
        ipv6: None,
        started_at: Some(noon() - minutes(50)),
        stopping_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: None,
    }
}

pub fn running(number: u8) -> Task {
    task(number, LastStatus::Running, DesiredStatus::Running)
}

pub fn stopped(number: u8) -> Task {
    let stopping_at = Some(noon() - minutes(40));
    Task { stopping_at, stopped_at: stopping_at, ..task(number, LastStatus::Stopped, DesiredStatus::Stopped) }
}

pub fn target(number: u8, port: u16) -> Target {
    Target { ip: ip(number), port, state: TargetState::Healthy, reason: None }
}

pub fn group(arn: &str, port: u16, targets: Vec<Target>) -> TargetGroup {
    let name = arn.split('/').nth(1).expect("a target group's ARN").to_owned();
    let target_type = TargetType::Ip { family: AddressFamily::Ipv4, port };
    let protocol = if arn == UDP { Protocol::Udp } else { Protocol::Other };
    TargetGroup { arn: arn.into(), name, protocol, target_type, tags: owner_tags(), targets, healthy_others: 0 }
}

pub fn owner_tags() -> Tags {
    Tags::from([("Lifecycle".into(), "on-demand".into())])
}

pub fn marked(mut tags: Tags, since: Timestamp) -> Tags {
    tags.insert(IDLE_SINCE_TAG.into(), since.to_string());
    tags.insert(LOAD_BALANCER_TAG.into(), LOAD_BALANCER.into());
    tags
}

/// The load balancer, with the addresses of these tasks in both target groups.
pub fn load_balancer(targets: &[u8]) -> LoadBalancer {
    let of_port = |port| targets.iter().map(|number| target(*number, port)).collect();
    LoadBalancer {
        arn: LOAD_BALANCER.into(),
        name: "p-jvb-nlb".into(),
        kind: LoadBalancerKind::Network,
        state: LoadBalancerState::Active,
        created_at: noon() - minutes(60),
        tags: owner_tags(),
        target_groups: vec![group(UDP, 10000, of_port(10000)), group(TCP, 4443, of_port(4443))],
    }
}

/// The load balancer and its target groups, marked idle since this instant.
pub fn marked_load_balancer(targets: &[u8], since: Timestamp) -> LoadBalancer {
    let mut load_balancer = load_balancer(targets);
    load_balancer.tags = marked(load_balancer.tags, since);
    for group in &mut load_balancer.target_groups {
        group.tags = marked(owner_tags(), since);
    }
    load_balancer
}

pub fn counts(desired: i32, running: i32, pending: i32) -> Service {
    Service::Found(Counts { desired, running, pending })
}

pub fn observation(service: Service, tasks: Vec<Task>, load_balancer: Option<LoadBalancer>) -> Observation {
    Observation { tasks, load_balancer, ..Observation::of_service(service, Default::default()) }
}

/// An idle service whose task stopped after the load balancer's creation.
pub fn idle(load_balancer: LoadBalancer) -> Observation {
    observation(counts(0, 0, 0), vec![stopped(1)], Some(load_balancer))
}
