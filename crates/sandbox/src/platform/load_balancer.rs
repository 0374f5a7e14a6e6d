//! The platform's load balancer: created as Terraform creates it (terraform/modules/jvb-nlb), deleted as an operator does by
//! hand.

use jiff::Timestamp;

use super::PROJECT;
use crate::api::elb::{
    Action, Attribute, Certificate, CreateListenerInput, CreateLoadBalancerInput, CreateTargetGroupInput,
    DescribeLoadBalancersInput, DescribeTargetGroupsInput, LoadBalancerInput, Members,
    ModifyTargetGroupAttributesInput, Request, Response, TargetGroupInput,
};
use crate::api::{self, ApiError, Tag};
use crate::world::{Incident, Settings, World};

/// A listener with its target group.
struct Listener {
    protocol: &'static str,
    port: &'static str,
    /// Suffix of the group's name.
    group: &'static str,
    group_protocol: &'static str,
    group_port: &'static str,
    health_check_port: &'static str,
    health_check_path: &'static str,
}

/// The listeners: media to the bridge, and HTTPS to the web front end.
const LISTENERS: [Listener; 2] = [
    Listener {
        protocol: "UDP",
        port: "10000",
        group: "jvb-udp",
        group_protocol: "UDP",
        group_port: "10000",
        health_check_port: "8080",
        health_check_path: "/about/health",
    },
    Listener {
        protocol: "TLS",
        port: "443",
        group: "jvb-web",
        group_protocol: "TCP",
        group_port: "8000",
        health_check_port: "traffic-port",
        health_check_path: "/",
    },
];

/// Security policy of the TLS listener.
const SSL_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";

/// Returns the name of the load balancer.
pub fn name() -> String {
    format!("{PROJECT}-jvb-nlb")
}

/// Returns the names of the target groups.
fn group_names() -> [String; 2] {
    LISTENERS.map(|listener| format!("{PROJECT}-{}", listener.group))
}

/// Creates the load balancer, its target groups, its listeners and the record of the platform's domain, if it has one.
///
/// # Errors
///
/// Returns an error when the world refuses a request.
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
        for (listener, name) in LISTENERS.iter().zip(group_names()) {
            let input =
                CreateTargetGroupInput { vpc_id: Some(load_balancer.vpc_id.clone()), ..group_input(listener, name) };
            let Response::CreateTargetGroup(output) = call(world, Request::CreateTargetGroup(input), now)? else {
                return Ok(());
            };
            for group in output.target_groups.member {
                let delay = Attribute { key: "deregistration_delay.timeout_seconds".to_owned(), value: "0".to_owned() };
                let input = ModifyTargetGroupAttributesInput {
                    target_group_arn: group.target_group_arn.clone(),
                    attributes: [delay].into_iter().collect(),
                };
                call(world, Request::ModifyTargetGroupAttributes(input), now)?;
                let input = CreateListenerInput {
                    load_balancer_arn: load_balancer.load_balancer_arn.clone(),
                    ..listener_input(listener, group.target_group_arn, world.settings())
                };
                call(world, Request::CreateListener(input), now)?;
            }
        }
        if let Some(name) = world.settings().calls.domain.clone() {
            world.inject(Incident::PutRecord { name, target: load_balancer.dns_name }, now)?;
        }
    }
    Ok(())
}

fn group_input(listener: &Listener, name: String) -> CreateTargetGroupInput {
    CreateTargetGroupInput {
        name,
        protocol: Some(listener.group_protocol.to_owned()),
        port: Some(listener.group_port.to_owned()),
        target_type: Some("ip".to_owned()),
        health_check_protocol: Some("HTTP".to_owned()),
        health_check_port: Some(listener.health_check_port.to_owned()),
        health_check_path: Some(listener.health_check_path.to_owned()),
        health_check_interval_seconds: Some("10".to_owned()),
        tags: tags(),
        ..CreateTargetGroupInput::default()
    }
}

fn listener_input(listener: &Listener, target_group_arn: String, settings: &Settings) -> CreateListenerInput {
    let forward =
        Action { r#type: "forward".to_owned(), target_group_arn: Some(target_group_arn), ..Action::default() };
    let (region, account) = (&settings.region, &settings.account);
    let certificate_arn = format!("arn:aws:acm:{region}:{account}:certificate/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d");
    let is_tls = listener.protocol == "TLS";
    CreateListenerInput {
        protocol: Some(listener.protocol.to_owned()),
        port: Some(listener.port.to_owned()),
        ssl_policy: is_tls.then(|| SSL_POLICY.to_owned()),
        certificates: is_tls.then_some(Certificate { certificate_arn }).into_iter().collect(),
        default_actions: [forward].into_iter().collect(),
        tags: tags(),
        ..CreateListenerInput::default()
    }
}

/// Deletes the load balancer with its listeners. Its target groups can be deleted once they are no longer in use.
///
/// # Errors
///
/// Returns an error when the world refuses a request.
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
///
/// # Errors
///
/// Returns an error while a group is still in use.
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
