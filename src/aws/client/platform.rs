//! ECS and Elastic Load Balancing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::client::customize::CustomizableOperation;
use aws_sdk_elasticloadbalancingv2::config::Builder as ElbConfig;
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::{Call, CallCounter, DateReader, NotAfter};
use crate::aws::{
    AwsError, Calls, Deadline, ErrorKind, LONGEST_CALL, LoadBalancerDescription, Platform, TargetGroupDescription,
};
use crate::clock::{AwsClock, SystemClock};
use jvb_watcher_rules::model::{
    AddressFamily, Counts, DesiredStatus, LastStatus, LoadBalancerKind, LoadBalancerState, Service, Tags, Target,
    TargetKey, TargetState, TargetType, Task, TaskId,
};

/// DescribeTasks takes at most 100 tasks a call (see the ECS API reference).
const TASKS_PER_DESCRIBE: usize = 100;

/// DescribeTags takes at most 20 resources a call (see the Elastic Load Balancing API reference).
const RESOURCES_PER_TAG_CALL: usize = 20;

/// ECS and Elastic Load Balancing, through the SDK. Clones share the connections, the clock and the count of calls.
#[derive(Clone)]
pub struct AwsPlatform {
    pub(super) ecs: aws_sdk_ecs::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    counter: CallCounter,
    clock: Arc<AwsClock>,
}

impl AwsPlatform {
    /// Clients for this connection.
    pub fn new(config: &SdkConfig) -> Self {
        let counter = CallCounter::default();
        let clock = Arc::new(AwsClock::new(Arc::new(SystemClock)));
        let dates = DateReader(clock.clone());
        let ecs = aws_sdk_ecs::config::Builder::from(config).interceptor(counter.clone()).interceptor(dates.clone());
        let elb = ElbConfig::from(config).interceptor(counter.clone()).interceptor(dates);
        Self {
            ecs: aws_sdk_ecs::Client::from_conf(ecs.build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build()),
            counter,
            clock,
        }
    }

    /// The clock that the answers put right.
    pub fn clock(&self) -> Arc<AwsClock> {
        self.clock.clone()
    }

    async fn health(&self, target_group_arn: &str) -> Result<Vec<elb::TargetHealthDescription>, AwsError> {
        let call = elb_call("DescribeTargetHealth", target_group_arn);
        let request = self.elb.describe_target_health().target_group_arn(target_group_arn);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        Ok(output.target_health_descriptions.unwrap_or_default())
    }

    /// The service in whatever status; `None` where it, or the cluster, is missing.
    pub(super) async fn describe_service(
        &self,
        cluster: &str,
        service: &str,
    ) -> Result<Option<ecs::Service>, AwsError> {
        let call = ecs_call("DescribeServices", service);
        let output = match self.ecs.describe_services().cluster(cluster).services(service).send().await {
            Ok(output) => output,
            Err(error) => {
                let error = call.failed(error);
                return if error.is(ErrorKind::NotFound) { Ok(None) } else { Err(error) };
            }
        };
        if let Some(found) = output.services().first() {
            return Ok(Some(found.clone()));
        }
        match output.failures().first().map(|failure| failure.reason()) {
            Some(Some("MISSING")) => Ok(None),
            Some(reason) => Err(call.incomplete(&format!("service, for reason {}", reason.unwrap_or("unknown")))),
            None => Err(call.incomplete("service")),
        }
    }

    async fn tags_of_batch(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let call = elb_call("DescribeTags", arns.first().map_or("*", String::as_str));
        let request = self.elb.describe_tags().set_resource_arns(Some(arns.to_vec()));
        let output = request.send().await.map_err(|error| call.failed(error))?;
        let tag = |tag: &elb::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
        let described = output.tag_descriptions().iter().filter_map(|description| {
            Some((description.resource_arn()?.to_owned(), description.tags().iter().filter_map(tag).collect()))
        });
        Ok(described.collect())
    }

    async fn list_tasks_of_status(
        &self,
        cluster: &str,
        service: &str,
        status: ecs::DesiredStatus,
    ) -> Result<Vec<TaskId>, AwsError> {
        let call = ecs_call("ListTasks", service);
        let request = self.ecs.list_tasks().cluster(cluster).service_name(service).desired_status(status);
        let mut pages = request.into_paginator().items().send();
        let mut tasks = Vec::new();
        while let Some(arn) = pages.next().await {
            let arn = arn.map_err(|error| call.failed(error))?;
            tasks.extend(TaskId::from_arn(&arn));
        }
        Ok(tasks)
    }
}

pub(super) fn ecs_call<'a>(operation: &'static str, resource: &'a str) -> Call<'a> {
    Call { service: "ecs", operation, resource }
}

/// No call goes on after the deadline.
pub(super) fn time_left(deadline: &Deadline) -> TimeoutConfig {
    // The SDK takes a time-out of zero for none.
    let left = deadline.left().min(LONGEST_CALL).max(std::time::Duration::from_millis(1));
    TimeoutConfig::builder().operation_timeout(left).build()
}

/// A write that is neither sent nor waited for after the deadline, nor tried again.
fn bounded<T, E, B>(
    request: CustomizableOperation<T, E, B>,
    config: ElbConfig,
    deadline: &Deadline,
) -> CustomizableOperation<T, E, B> {
    request.interceptor(NotAfter(deadline.clone())).config_override(config.timeout_config(time_left(deadline)))
}

pub(super) fn elb_call<'a>(operation: &'static str, resource: &'a str) -> Call<'a> {
    Call { service: "elasticloadbalancing", operation, resource }
}

impl Platform for AwsPlatform {
    async fn service(&self, cluster: &str, service: &str) -> Result<Service, AwsError> {
        Ok(match self.describe_service(cluster, service).await? {
            Some(found) if found.status() != Some("INACTIVE") => Service::Found(counts(&found)),
            Some(_) | None => Service::Missing,
        })
    }

    async fn list_tasks(&self, cluster: &str, service: &str) -> Result<Vec<TaskId>, AwsError> {
        let (wanted, stopped) = tokio::try_join!(
            self.list_tasks_of_status(cluster, service, ecs::DesiredStatus::Running),
            self.list_tasks_of_status(cluster, service, ecs::DesiredStatus::Stopped),
        )?;
        Ok(wanted.into_iter().chain(stopped).collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn describe_tasks(&self, cluster: &str, tasks: &[TaskId]) -> Result<Vec<Task>, AwsError> {
        let call = ecs_call("DescribeTasks", cluster);
        let mut described = Vec::with_capacity(tasks.len());
        for batch in tasks.chunks(TASKS_PER_DESCRIBE) {
            let ids = batch.iter().map(ToString::to_string).collect();
            let request = self.ecs.describe_tasks().cluster(cluster).set_tasks(Some(ids));
            let output = request.send().await.map_err(|error| call.failed(error))?;
            // `failures` names those that are MISSING: they no longer exist, or don't show yet.
            described.extend(output.tasks().iter().filter_map(task));
        }
        Ok(described)
    }

    async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let call = elb_call("DescribeLoadBalancers", name);
        let output = match self.elb.describe_load_balancers().names(name).send().await {
            Ok(output) => output,
            Err(error) => {
                let error = call.failed(error);
                return if error.is(ErrorKind::NotFound) { Ok(None) } else { Err(error) };
            }
        };
        let Some(balancer) = output.load_balancers().first() else { return Ok(None) };
        let arn = balancer.load_balancer_arn().ok_or_else(|| call.incomplete("ARN"))?;
        let created_at = balancer.created_time().and_then(timestamp).ok_or_else(|| call.incomplete("CreatedTime"))?;
        Ok(Some(LoadBalancerDescription {
            arn: arn.to_owned(),
            name: name.to_owned(),
            kind: match balancer.r#type() {
                Some(elb::LoadBalancerTypeEnum::Network) => LoadBalancerKind::Network,
                other => LoadBalancerKind::Other(other.map_or("unknown", |kind| kind.as_str()).to_owned()),
            },
            state: match balancer.state().and_then(|state| state.code()) {
                Some(elb::LoadBalancerStateEnum::Provisioning) => LoadBalancerState::Provisioning,
                Some(elb::LoadBalancerStateEnum::Active) => LoadBalancerState::Active,
                Some(elb::LoadBalancerStateEnum::ActiveImpaired) => LoadBalancerState::ActiveImpaired,
                Some(elb::LoadBalancerStateEnum::Failed) => LoadBalancerState::Failed,
                _ => LoadBalancerState::Unknown,
            },
            created_at,
            dns_name: balancer.dns_name().map(str::to_owned),
        }))
    }

    async fn target_groups(&self, load_balancer_arn: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        let call = elb_call("DescribeTargetGroups", load_balancer_arn.unwrap_or("*"));
        let request = self.elb.describe_target_groups().set_load_balancer_arn(load_balancer_arn.map(str::to_owned));
        let mut pages = request.into_paginator().items().send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            match group {
                Ok(group) => groups.push(target_group(&group, call)?),
                Err(error) => {
                    let error = call.failed(error);
                    // A balancer without groups; moto's way to say it.
                    if load_balancer_arn.is_some() && error.code.as_deref() == Some("TargetGroupNotFound") {
                        return Ok(Vec::new());
                    }
                    return Err(error);
                }
            }
        }
        Ok(groups)
    }

    async fn tags(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let mut tags = BTreeMap::new();
        for batch in arns.chunks(RESOURCES_PER_TAG_CALL) {
            match self.tags_of_batch(batch).await {
                Ok(of_batch) => tags.extend(of_batch),
                // One that is gone fails the whole batch, and doesn't say which it is.
                Err(error) if error.is(ErrorKind::NotFound) => {
                    for arn in batch {
                        match self.tags_of_batch(std::slice::from_ref(arn)).await {
                            Ok(of_one) => tags.extend(of_one),
                            Err(error) if error.is(ErrorKind::NotFound) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tags)
    }

    async fn target_health(&self, target_group_arn: &str) -> Result<Vec<Target>, AwsError> {
        Ok(self.health(target_group_arn).await?.iter().filter_map(target).collect())
    }

    async fn healthy_targets(&self, target_group_arn: &str) -> Result<usize, AwsError> {
        let healthy = |target: &&elb::TargetHealthDescription| {
            target.target_health().and_then(|health| health.state()) == Some(&elb::TargetHealthStateEnum::Healthy)
        };
        Ok(self.health(target_group_arn).await?.iter().filter(healthy).count())
    }

    async fn register(&self, target_group_arn: &str, targets: &[TargetKey]) -> Result<(), AwsError> {
        let call = elb_call("RegisterTargets", target_group_arn);
        let targets = Some(target_descriptions(targets));
        let request = self.elb.register_targets().target_group_arn(target_group_arn).set_targets(targets);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn deregister(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let call = elb_call("DeregisterTargets", target_group_arn);
        call.before(deadline)?;
        let targets = Some(target_descriptions(targets));
        let request = self.elb.deregister_targets().target_group_arn(target_group_arn).set_targets(targets);
        let request = bounded(request.customize(), ElbConfig::default(), deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn add_tags(&self, arns: &[String], tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tags: Vec<_> = tags.iter().map(|(key, value)| elb::Tag::builder().key(key).value(value).build()).collect();
        for batch in arns.chunks(RESOURCES_PER_TAG_CALL) {
            let call = elb_call("AddTags", batch.first().map_or("*", String::as_str));
            call.before(deadline)?;
            let request = self.elb.add_tags().set_resource_arns(Some(batch.to_vec())).set_tags(Some(tags.clone()));
            let request = bounded(request.customize(), ElbConfig::default(), deadline);
            request.send().await.map_err(|error| call.failed(error))?;
        }
        Ok(())
    }

    async fn remove_tags(&self, arns: &[String], keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        for batch in arns.chunks(RESOURCES_PER_TAG_CALL) {
            let call = elb_call("RemoveTags", batch.first().map_or("*", String::as_str));
            call.before(deadline)?;
            let request =
                self.elb.remove_tags().set_resource_arns(Some(batch.to_vec())).set_tag_keys(Some(keys.clone()));
            let request = bounded(request.customize(), ElbConfig::default(), deadline);
            request.send().await.map_err(|error| call.failed(error))?;
        }
        Ok(())
    }

    async fn delete_load_balancer(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let call = elb_call("DeleteLoadBalancer", arn);
        call.before(deadline)?;
        let request = self.elb.delete_load_balancer().load_balancer_arn(arn);
        let once = ElbConfig::default().retry_config(RetryConfig::disabled());
        let request = bounded(request.customize(), once, deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let call = elb_call("DeleteTargetGroup", arn);
        call.before(deadline)?;
        let request = self.elb.delete_target_group().target_group_arn(arn);
        let request = bounded(request.customize(), ElbConfig::default(), deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    fn calls(&self) -> Calls {
        self.counter.calls()
    }
}

pub(super) fn counts(service: &ecs::Service) -> Counts {
    Counts { desired: service.desired_count, running: service.running_count, pending: service.pending_count }
}

fn timestamp(at: &DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// `None` for an answer without a task's ARN or statuses, which ECS doesn't give.
fn task(task: &ecs::Task) -> Option<Task> {
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
        // The SDK gives 0 where the answer has none; ECS counts from 1.
        version: (task.version > 0).then_some(task.version),
        ipv4,
        ipv6,
        started_at: task.started_at().and_then(timestamp),
        stopping_at: task.stopping_at().and_then(timestamp),
        stopped_at: task.stopped_at().and_then(timestamp),
        stopped_reason: task.stopped_reason().map(str::to_owned),
    })
}

/// DescribeTasks says `ElasticNetworkInterface`, the events `eni`.
fn is_network_interface(kind: Option<&str>) -> bool {
    matches!(kind, Some("ElasticNetworkInterface" | "eni"))
}

fn target_group(group: &elb::TargetGroup, call: Call<'_>) -> Result<TargetGroupDescription, AwsError> {
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

/// `None` for a target that isn't an address, which a group of type ip doesn't have.
fn target(description: &elb::TargetHealthDescription) -> Option<Target> {
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

fn target_descriptions(targets: &[TargetKey]) -> Vec<elb::TargetDescription> {
    let description = |target: &TargetKey| {
        elb::TargetDescription::builder().id(target.ip.to_string()).port(i32::from(target.port)).build()
    };
    targets.iter().map(description).collect()
}
