//! The platform's load balancer: created as a scale-up creates it, deleted as an operator does by hand.

use jiff::Timestamp;

use crate::api::elb::{
    Action, CreateListenerInput, CreateLoadBalancerInput, CreateTargetGroupInput, DescribeLoadBalancersInput,
    DescribeTargetGroupsInput, LoadBalancerInput, Members, Request, Response, TargetGroupInput,
};
use crate::api::{self, ApiError, Tag};
use crate::platform::PROJECT;
use crate::world::World;

/// Target groups with their listeners: suffix of the name, protocol and port.
const GROUPS: [(&str, &str, &str); 2] = [("jvb-udp", "UDP", "10000"), ("jvb-tcp-tg", "TCP", "4443")];

/// Returns the name of the load balancer.
pub fn name() -> String {
    format!("{PROJECT}-jvb-nlb")
}

/// Returns the names of the target groups.
pub fn group_names() -> [String; 2] {
    GROUPS.map(|(suffix, _, _)| format!("{PROJECT}-{suffix}"))
}

/// Creates the load balancer, its target groups and its listeners.
pub fn create(world: &mut World, now: Timestamp) -> Result<(), ApiError> {
    let input = CreateLoadBalancerInput {
        name: name(),
        r#type: Some("network".to_owned()),
        subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
        tags: tags(),
        ..CreateLoadBalancerInput::default()
    };
    let Response::CreateLoadBalancer(output) = call(world, Request::CreateLoadBalancer(input), now)? else {
        return Ok(());
    };
    for load_balancer in output.load_balancers.member {
        for ((_, protocol, port), group) in GROUPS.into_iter().zip(group_names()) {
            let input = CreateTargetGroupInput {
                name: group,
                protocol: Some(protocol.to_owned()),
                port: Some(port.to_owned()),
                vpc_id: Some(load_balancer.vpc_id.clone()),
                target_type: Some("ip".to_owned()),
                health_check_protocol: Some("TCP".to_owned()),
                health_check_port: Some("8080".to_owned()),
                tags: tags(),
                ..CreateTargetGroupInput::default()
            };
            let Response::CreateTargetGroup(output) = call(world, Request::CreateTargetGroup(input), now)? else {
                return Ok(());
            };
            for group in output.target_groups.member {
                let forward = Action {
                    r#type: "forward".to_owned(),
                    target_group_arn: Some(group.target_group_arn),
                    ..Action::default()
                };
                let input = CreateListenerInput {
                    load_balancer_arn: load_balancer.load_balancer_arn.clone(),
                    protocol: Some(protocol.to_owned()),
                    port: Some(port.to_owned()),
                    default_actions: [forward].into_iter().collect(),
                    ..CreateListenerInput::default()
                };
                call(world, Request::CreateListener(input), now)?;
            }
        }
    }
    Ok(())
}

/// Deletes the load balancer with its listeners. Its target groups can be deleted once they are no longer in use.
pub fn delete(world: &mut World, now: Timestamp) -> Result<(), ApiError> {
    let input = DescribeLoadBalancersInput { names: [name()].into_iter().collect(), ..Default::default() };
    let Response::DescribeLoadBalancers(output) = call(world, Request::DescribeLoadBalancers(input), now)? else {
        return Ok(());
    };
    for load_balancer in output.load_balancers.member {
        let input = LoadBalancerInput { load_balancer_arn: load_balancer.load_balancer_arn };
        call(world, Request::DeleteLoadBalancer(input), now)?;
    }
    Ok(())
}

/// Deletes the target groups that exist.
pub fn delete_groups(world: &mut World, now: Timestamp) -> Result<(), ApiError> {
    let Response::DescribeTargetGroups(output) =
        call(world, Request::DescribeTargetGroups(DescribeTargetGroupsInput::default()), now)?
    else {
        return Ok(());
    };
    for group in output.target_groups.member {
        if group_names().contains(&group.target_group_name) {
            let input = TargetGroupInput { target_group_arn: group.target_group_arn };
            call(world, Request::DeleteTargetGroup(input), now)?;
        }
    }
    Ok(())
}

fn call(world: &mut World, request: Request, now: Timestamp) -> Result<Response, ApiError> {
    match world.call(api::Request::Elb(request), now)? {
        api::Response::Elb(response) => Ok(response),
        other => Err(ApiError::new("InternalFailure", format!("unexpected response: {other:?}"))),
    }
}

/// Returns the tag that marks resources of the platform that may be deleted.
fn tags() -> Members<Tag> {
    [Tag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() }].into_iter().collect()
}
