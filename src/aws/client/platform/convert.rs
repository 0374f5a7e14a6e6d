//! Conversions between the SDK's types and the model.

use std::net::IpAddr;

use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::super::call::Call;
use crate::aws::{AwsError, LoadBalancerDescription, TargetGroupDescription};
use jvb_watcher_rules::model::{
    AddressFamily, Counts, DesiredStatus, LastStatus, LoadBalancerKind, LoadBalancerState, Target, TargetKey,
    TargetState, TargetType, Task, TaskId,
};

/// Converts the counts of a service.
pub(in crate::aws::client) fn counts(service: &ecs::Service) -> Counts {
    Counts { desired: service.desired_count, running: service.running_count, pending: service.pending_count }
}

fn timestamp(at: &DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// Converts a task; `None` if it lacks its ARN or a status, which ECS documents as always present.
pub(super) fn task(task: &ecs::Task) -> Option<Task> {
    let (mut ipv4, mut ipv6) = (None, None);
    for attachment in task.attachments().iter().filter(|attachment| is_network_interface(attachment.r#type())) {
        for detail in attachment.details() {
            match (detail.name(), detail.value()) {
                (Some("privateIPv4Address"), Some(ip)) => ipv4 = ipv4.or(ip.parse().ok()),
                (Some("ipv6Address"), Some(ip)) => ipv6 = ipv6.or(ip.parse().ok()),
                _ => {}
            }
        }
    }
    Some(Task {
        id: TaskId::from_arn(task.task_arn()?)?,
        group: task.group().map(str::to_owned),
        last_status: LastStatus::parse(task.last_status()?),
        desired_status: DesiredStatus::parse(task.desired_status()?),
        // The SDK returns 0 if the answer has none; ECS counts from 1.
        version: (task.version > 0).then_some(task.version),
        ipv4,
        ipv6,
        started_at: task.started_at().and_then(timestamp),
        stopping_at: task.stopping_at().and_then(timestamp),
        stopped_at: task.stopped_at().and_then(timestamp),
        stopped_reason: task.stopped_reason().map(str::to_owned),
    })
}

/// Returns true for the attachment type of a network interface: `ElasticNetworkInterface` in DescribeTasks, `eni` in events.
fn is_network_interface(kind: Option<&str>) -> bool {
    matches!(kind, Some("ElasticNetworkInterface" | "eni"))
}

/// Converts a load balancer.
pub(super) fn load_balancer(
    load_balancer: &elb::LoadBalancer,
    name: &str,
    call: Call<'_>,
) -> Result<LoadBalancerDescription, AwsError> {
    let arn = load_balancer.load_balancer_arn().ok_or_else(|| call.incomplete("LoadBalancerArn"))?;
    let created_at = load_balancer.created_time().and_then(timestamp).ok_or_else(|| call.incomplete("CreatedTime"))?;
    Ok(LoadBalancerDescription {
        arn: arn.to_owned(),
        name: name.to_owned(),
        kind: match load_balancer.r#type() {
            Some(elb::LoadBalancerTypeEnum::Network) => LoadBalancerKind::Network,
            other => LoadBalancerKind::Other(other.map_or("unknown", |kind| kind.as_str()).to_owned()),
        },
        state: match load_balancer.state().and_then(|state| state.code()) {
            Some(elb::LoadBalancerStateEnum::Provisioning) => LoadBalancerState::Provisioning,
            Some(elb::LoadBalancerStateEnum::Active) => LoadBalancerState::Active,
            Some(elb::LoadBalancerStateEnum::ActiveImpaired) => LoadBalancerState::ActiveImpaired,
            Some(elb::LoadBalancerStateEnum::Failed) => LoadBalancerState::Failed,
            _ => LoadBalancerState::Unknown,
        },
        created_at,
        dns_name: load_balancer.dns_name().map(str::to_owned),
    })
}

/// Converts a target group.
pub(super) fn target_group(group: &elb::TargetGroup, call: Call<'_>) -> Result<TargetGroupDescription, AwsError> {
    let family = match group.ip_address_type() {
        Some(elb::TargetGroupIpAddressTypeEnum::Ipv6) => AddressFamily::Ipv6,
        _ => AddressFamily::Ipv4,
    };
    let target_type = match (group.target_type(), group.port().and_then(|port| u16::try_from(port).ok())) {
        (Some(elb::TargetTypeEnum::Ip), Some(port)) => TargetType::Ip { family, port },
        (Some(elb::TargetTypeEnum::Ip), None) => return Err(call.incomplete("Port")),
        (other, _) => TargetType::Other(other.map_or("unknown", |kind| kind.as_str()).to_owned()),
    };
    Ok(TargetGroupDescription {
        arn: group.target_group_arn().ok_or_else(|| call.incomplete("TargetGroupArn"))?.to_owned(),
        name: group.target_group_name().ok_or_else(|| call.incomplete("TargetGroupName"))?.to_owned(),
        target_type,
        load_balancer_arns: group.load_balancer_arns().to_vec(),
    })
}

/// Converts a target of a group of type `ip`; `None` for a target that isn't an address.
pub(super) fn target(description: &elb::TargetHealthDescription) -> Option<Target> {
    let (target, health) = (description.target()?, description.target_health()?);
    Some(Target {
        ip: target.id()?.parse::<IpAddr>().ok()?,
        port: u16::try_from(target.port()?).ok()?,
        state: match health.state() {
            Some(elb::TargetHealthStateEnum::Initial) => TargetState::Initial,
            Some(elb::TargetHealthStateEnum::Healthy) => TargetState::Healthy,
            Some(elb::TargetHealthStateEnum::Unhealthy) => TargetState::Unhealthy,
            Some(elb::TargetHealthStateEnum::Draining) => TargetState::Draining,
            Some(elb::TargetHealthStateEnum::Unused) => TargetState::Unused,
            Some(elb::TargetHealthStateEnum::Unavailable) => TargetState::Unavailable,
            _ => TargetState::Unknown,
        },
        reason: health.reason().map(|reason| reason.as_str().to_owned()),
    })
}

/// Converts targets for RegisterTargets and DeregisterTargets.
pub(super) fn target_descriptions(targets: &[TargetKey]) -> Vec<elb::TargetDescription> {
    let description = |target: &TargetKey| {
        elb::TargetDescription::builder().id(target.ip.to_string()).port(i32::from(target.port)).build()
    };
    targets.iter().map(description).collect()
}
