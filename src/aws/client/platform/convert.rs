//! Conversions between the SDK's types and the model.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::super::call::Call;
use crate::aws::{AwsError, LoadBalancerDescription, ServiceDescription, TargetGroupDescription};
use jvb_watcher_rules::model::{
    ADVERTISED_ADDRESSES_VARIABLE, AddressFamily, Counts, Deployment, DesiredStatus, LastStatus, LoadBalancerAddresses,
    LoadBalancerKind, LoadBalancerState, PinnedAddress, Protocol, Rollout, SchedulerMessage, Service, StopCode, Tags,
    Target, TargetKey, TargetState, TargetType, Task, TaskId,
};

/// Converts the counts of a service.
pub(in crate::aws::client) fn counts(service: &ecs::Service) -> Counts {
    Counts { desired: service.desired_count, running: service.running_count, pending: service.pending_count }
}

/// Converts a service.
pub(super) fn service(service: &ecs::Service) -> ServiceDescription {
    let primary = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
    let message = |event: &ecs::ServiceEvent| {
        Some(SchedulerMessage { at: timestamp(event.created_at()?)?, text: event.message()?.to_owned() })
    };
    ServiceDescription {
        service: Service::Found(counts(service)),
        deployment: primary.and_then(deployment),
        message: service.events().iter().filter_map(message).max_by_key(|message| message.at),
        tags: tags(service.tags()),
    }
}

/// Returns whether a service was deleted and its tasks have stopped. It can be described for a while (see DeleteService in
/// the ECS API reference).
pub(in crate::aws::client) fn is_deleted(service: &ecs::Service) -> bool {
    service.status() == Some("INACTIVE")
}

/// Converts the tags of a service.
pub(in crate::aws::client) fn tags(tags: &[ecs::Tag]) -> Tags {
    let tag = |tag: &ecs::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(tag).collect()
}

fn deployment(deployment: &ecs::Deployment) -> Option<Deployment> {
    Some(Deployment {
        id: deployment.id()?.to_owned(),
        created_at: deployment.created_at().and_then(timestamp),
        rollout: deployment.rollout_state().map_or(Rollout::Unknown, |state| Rollout::parse(state.as_str())),
        rollout_reason: deployment.rollout_state_reason().map(str::to_owned),
        failed_tasks: deployment.failed_tasks,
    })
}

/// Returns the addresses that a task definition pins in the environment of any container.
///
/// What `environment` sets takes precedence over environment files, and a name can't be in `secrets`, too (see
/// ContainerDefinition in the ECS API reference).
pub(super) fn pinned_addresses(task_definition_arn: &str, definition: &ecs::TaskDefinition) -> Vec<PinnedAddress> {
    let mut pinned = Vec::new();
    for container in definition.container_definitions() {
        let is_it = |variable: &&ecs::KeyValuePair| variable.name() == Some(ADVERTISED_ADDRESSES_VARIABLE);
        let value = container.environment().iter().find(is_it).and_then(ecs::KeyValuePair::value);
        let name = container.name().unwrap_or_default();
        pinned.extend(value.into_iter().flat_map(|value| PinnedAddress::parse(task_definition_arn, name, value)));
    }
    pinned
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
        started_by: task.started_by().map(str::to_owned),
        task_definition: task.task_definition_arn().map(str::to_owned),
        last_status: LastStatus::parse(task.last_status()?),
        desired_status: DesiredStatus::parse(task.desired_status()?),
        // The SDK returns 0 if the answer has none; ECS counts from 1.
        version: (task.version > 0).then_some(task.version),
        ipv4,
        ipv6,
        started_at: task.started_at().and_then(timestamp),
        stopping_at: task.stopping_at().and_then(timestamp),
        stopped_at: task.stopped_at().and_then(timestamp),
        stop_code: task.stop_code().map(|code| StopCode::parse(code.as_str())),
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
        zones: load_balancer.availability_zones().len(),
        addresses: addresses(load_balancer),
    })
}

/// Returns the addresses of a load balancer, by family, if the description has one for each zone.
fn addresses(load_balancer: &elb::LoadBalancer) -> LoadBalancerAddresses {
    let zones = load_balancer.availability_zones();
    let in_every_zone = |of: fn(&elb::LoadBalancerAddress) -> Option<&str>| {
        let of_zone = |zone: &elb::AvailabilityZone| {
            zone.load_balancer_addresses().iter().filter_map(of).find_map(|address| address.parse::<IpAddr>().ok())
        };
        let addresses = zones.iter().map(of_zone).collect::<Option<BTreeSet<_>>>();
        addresses.filter(|addresses| !addresses.is_empty())
    };
    let ipv4 = in_every_zone(|address| address.ip_address().or(address.private_ipv4_address()));
    let ipv6 = match load_balancer.ip_address_type() {
        Some(elb::IpAddressType::Ipv4) => Some(BTreeSet::new()),
        _ => in_every_zone(elb::LoadBalancerAddress::ipv6_address),
    };
    LoadBalancerAddresses { ipv4, ipv6 }
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
        protocol: group.protocol().map_or(Protocol::Other, |protocol| Protocol::parse(protocol.as_str())),
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = "arn:aws:ecs:eu-west-1:111122223333:task-definition/p-jvb:3";

    fn container(name: &str, variables: &[(&str, &str)]) -> ecs::ContainerDefinition {
        let variable = |(name, value): &(&str, &str)| ecs::KeyValuePair::builder().name(*name).value(*value).build();
        let environment = variables.iter().map(variable).collect();
        ecs::ContainerDefinition::builder().name(name).set_environment(Some(environment)).build()
    }

    fn pinned(containers: Vec<ecs::ContainerDefinition>) -> Vec<(String, String)> {
        let definition = ecs::TaskDefinition::builder().set_container_definitions(Some(containers)).build();
        let pinned = pinned_addresses(DEFINITION, &definition);
        pinned.into_iter().map(|pinned| (pinned.container, pinned.address.to_string())).collect()
    }

    #[test]
    fn only_the_environment_of_a_container_pins_addresses() {
        let pair = |container: &str, address: &str| (container.to_owned(), address.to_owned());
        let secret = ecs::Secret::builder().name("JVB_ADVERTISE_IPS").value_from("arn:aws:ssm:x").build();
        let from_a_secret = ecs::ContainerDefinition::builder().name("jvb").secrets(secret.expect("complete")).build();
        assert_eq!(pinned(vec![container("web", &[("PUBLIC_URL", "https://192.0.2.1")]), from_a_secret]), []);
        assert_eq!(
            pinned(vec![container("web", &[]), container("bridge", &[("JVB_ADVERTISE_IPS", "192.0.2.1#10000")])]),
            [pair("bridge", "192.0.2.1")]
        );
    }

    #[test]
    fn the_latest_message_and_the_primary_deployment_count() {
        let event = |second: i64, text: &str| {
            ecs::ServiceEvent::builder().created_at(DateTime::from_secs(second)).message(text).build()
        };
        let deployment = |id: &str, status: &str| {
            let builder = ecs::Deployment::builder().id(id).status(status).failed_tasks(2);
            builder.rollout_state(ecs::DeploymentRolloutState::Failed).rollout_state_reason("circuit breaker").build()
        };
        let described = service(
            &ecs::Service::builder()
                .events(event(1, "first"))
                .events(event(3, "last"))
                .events(event(2, "second"))
                .deployments(deployment("ecs-svc/1", "ACTIVE"))
                .deployments(deployment("ecs-svc/2", "PRIMARY"))
                .build(),
        );
        assert_eq!(described.message.expect("a message").text, "last");
        let primary = described.deployment.expect("a deployment");
        assert_eq!((primary.id.as_str(), primary.rollout, primary.failed_tasks), ("ecs-svc/2", Rollout::Failed, 2));
    }

    fn addresses_of(kind: elb::IpAddressType, zones: &[Option<(&str, Option<&str>)>]) -> LoadBalancerAddresses {
        let zone = |addresses: &Option<(&str, Option<&str>)>| {
            let address = addresses.map(|(ipv4, ipv6)| {
                elb::LoadBalancerAddress::builder().ip_address(ipv4).set_ipv6_address(ipv6.map(str::to_owned)).build()
            });
            elb::AvailabilityZone::builder().set_load_balancer_addresses(Some(address.into_iter().collect())).build()
        };
        let zones = zones.iter().map(zone).collect();
        addresses(&elb::LoadBalancer::builder().ip_address_type(kind).set_availability_zones(Some(zones)).build())
    }

    #[test]
    fn the_addresses_are_known_if_every_zone_shows_one() {
        use elb::IpAddressType::{Dualstack, Ipv4};
        let set = |addresses: &[&str]| Some(addresses.iter().map(|ip| ip.parse().expect("an address")).collect());
        let known = addresses_of(Ipv4, &[Some(("192.0.2.1", None)), Some(("192.0.2.2", None))]);
        assert_eq!(known, LoadBalancerAddresses { ipv4: set(&["192.0.2.1", "192.0.2.2"]), ipv6: set(&[]) });
        // AWS assigned the second one, which the description doesn't show.
        assert_eq!(addresses_of(Ipv4, &[Some(("192.0.2.1", None)), None]).ipv4, None);
        assert_eq!(addresses_of(Ipv4, &[]).ipv4, None);
        let dual_stack = addresses_of(Dualstack, &[Some(("192.0.2.1", Some("2001:db8::1")))]);
        assert_eq!(dual_stack, LoadBalancerAddresses { ipv4: set(&["192.0.2.1"]), ipv6: set(&["2001:db8::1"]) });
        assert_eq!(addresses_of(Dualstack, &[Some(("192.0.2.1", None))]).ipv6, None);
    }
}
