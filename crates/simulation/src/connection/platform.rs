//! The reads and writes of ECS and Elastic Load Balancing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{Attempts, Connection};
use jvb_watcher::aws::{
    AwsError, Calls, Deadline, ErrorKind, LoadBalancerDescription, Platform, ServiceDescription, TargetGroupDescription,
};
use jvb_watcher_rules::model::{
    ADVERTISED_ADDRESSES_VARIABLE, AddressFamily, Counts, Deployment, DesiredStatus, LastStatus, LoadBalancerAddresses,
    LoadBalancerKind, LoadBalancerState, PinnedAddress, Protocol, Rollout, SchedulerMessage, Service, StopCode, Tags,
    Target, TargetKey, TargetState, TargetType, Task, TaskId,
};
use jvb_watcher_sandbox::api::{Request, Tag, ecs, elb};

impl Platform for Connection {
    async fn service(&self, cluster: &str, service: &str, with_tags: bool) -> Result<ServiceDescription, AwsError> {
        let input = ecs::DescribeServicesInput {
            cluster: Some(cluster.to_owned()),
            include: with_tags.then(|| "TAGS".to_owned()).into_iter().collect(),
            services: vec![service.to_owned()],
        };
        let ecs::Response::DescribeServices(output) = self.ecs(service, ecs::Request::DescribeServices(input)).await?
        else {
            unreachable!("another answer")
        };
        Ok(match output.services.first() {
            Some(found) if found.status != "INACTIVE" => service_description(found),
            _ => ServiceDescription::missing(),
        })
    }

    async fn pinned_addresses(&self, arn: &str) -> Result<Vec<PinnedAddress>, AwsError> {
        let input = ecs::DescribeTaskDefinitionInput { task_definition: arn.to_owned() };
        let ecs::Response::DescribeTaskDefinition(output) =
            self.ecs(arn, ecs::Request::DescribeTaskDefinition(input)).await?
        else {
            unreachable!("another answer")
        };
        let pinned = |container: &ecs::ContainerDefinition| {
            let variable = |variable: &&ecs::KeyValuePair| variable.name == ADVERTISED_ADDRESSES_VARIABLE;
            let value = container.environment.iter().find(variable).map(|variable| variable.value.as_str());
            PinnedAddress::parse(arn, &container.name, value.unwrap_or_default())
        };
        Ok(output.task_definition.container_definitions.iter().flat_map(pinned).collect())
    }

    /// Returns no address: there is no DNS.
    async fn resolve(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    async fn list_tasks(&self, cluster: &str, service: &str) -> Result<Vec<TaskId>, AwsError> {
        let mut ids = BTreeSet::new();
        for status in ["RUNNING", "STOPPED"] {
            let mut next_token = None;
            loop {
                let input = ecs::ListTasksInput {
                    cluster: Some(cluster.to_owned()),
                    service_name: Some(service.to_owned()),
                    desired_status: Some(status.to_owned()),
                    next_token,
                    ..Default::default()
                };
                let ecs::Response::ListTasks(output) = self.ecs(service, ecs::Request::ListTasks(input)).await? else {
                    unreachable!("another answer")
                };
                ids.extend(output.task_arns.iter().filter_map(|arn| TaskId::from_arn(arn)));
                next_token = output.next_token;
                if next_token.is_none() {
                    break;
                }
            }
        }
        Ok(ids.into_iter().collect())
    }

    async fn describe_tasks(&self, cluster: &str, tasks: &[TaskId]) -> Result<Vec<Task>, AwsError> {
        let mut described = Vec::new();
        for batch in tasks.chunks(100) {
            let input = ecs::DescribeTasksInput {
                cluster: Some(cluster.to_owned()),
                tasks: batch.iter().map(ToString::to_string).collect(),
            };
            let ecs::Response::DescribeTasks(output) = self.ecs(cluster, ecs::Request::DescribeTasks(input)).await?
            else {
                unreachable!("another answer")
            };
            described.extend(output.tasks.iter().filter_map(task));
        }
        Ok(described)
    }

    async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let input =
            elb::DescribeLoadBalancersInput { names: [name.to_owned()].into_iter().collect(), ..Default::default() };
        let output = match self.elb(name, elb::Request::DescribeLoadBalancers(input)).await {
            Ok(elb::Response::DescribeLoadBalancers(output)) => output,
            Ok(_) => unreachable!("another answer"),
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(output.load_balancers.member.into_iter().next().map(|load_balancer| LoadBalancerDescription {
            arn: load_balancer.load_balancer_arn,
            name: load_balancer.load_balancer_name,
            kind: match load_balancer.r#type.as_str() {
                "network" => LoadBalancerKind::Network,
                other => LoadBalancerKind::Other(other.to_owned()),
            },
            state: match load_balancer.state.code.as_str() {
                "provisioning" => LoadBalancerState::Provisioning,
                "active" => LoadBalancerState::Active,
                "failed" => LoadBalancerState::Failed,
                _ => LoadBalancerState::Unknown,
            },
            created_at: load_balancer.created_time.and_then(to_millisecond).unwrap_or_default(),
            dns_name: Some(load_balancer.dns_name),
            zones: 1,
            addresses: LoadBalancerAddresses::default(),
        }))
    }

    async fn target_groups(&self, load_balancer_arn: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        let input = elb::DescribeTargetGroupsInput {
            load_balancer_arn: load_balancer_arn.map(str::to_owned),
            ..Default::default()
        };
        let resource = load_balancer_arn.unwrap_or("*");
        let elb::Response::DescribeTargetGroups(output) =
            self.elb(resource, elb::Request::DescribeTargetGroups(input)).await?
        else {
            unreachable!("another answer")
        };
        let group = |group: elb::TargetGroup| TargetGroupDescription {
            arn: group.target_group_arn,
            name: group.target_group_name,
            protocol: group.protocol.as_deref().map_or(Protocol::Other, Protocol::parse),
            target_type: TargetType::Ip { family: AddressFamily::Ipv4, port: group.port.unwrap_or_default() },
            load_balancer_arns: group.load_balancer_arns.member,
        };
        Ok(output.target_groups.member.into_iter().map(group).collect())
    }

    async fn tags(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let mut tags = BTreeMap::new();
        for batch in arns.chunks(20) {
            let mut rest: Vec<&[String]> = vec![batch];
            while let Some(part) = rest.pop() {
                let input = elb::DescribeTagsInput { resource_arns: part.iter().cloned().collect() };
                match self.elb(&part[0], elb::Request::DescribeTags(input)).await {
                    Ok(elb::Response::DescribeTags(output)) => {
                        for of in output.tag_descriptions.member {
                            let of_one = of.tags.member.into_iter().map(|tag| (tag.key, tag.value)).collect();
                            tags.insert(of.resource_arn, of_one);
                        }
                    }
                    Ok(_) => unreachable!("another answer"),
                    Err(error) if error.is(ErrorKind::NotFound) && part.len() > 1 => rest.extend(part.chunks(1)),
                    Err(error) if error.is(ErrorKind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(tags)
    }

    async fn target_health(&self, arn: &str) -> Result<Vec<Target>, AwsError> {
        let input = elb::DescribeTargetHealthInput { target_group_arn: arn.to_owned(), ..Default::default() };
        let elb::Response::DescribeTargetHealth(output) =
            self.elb(arn, elb::Request::DescribeTargetHealth(input)).await?
        else {
            unreachable!("another answer")
        };
        let target = |description: elb::TargetHealthDescription| {
            Some(Target {
                ip: description.target.id.parse().ok()?,
                port: description.target.port?.parse().ok()?,
                state: target_state(&description.target_health.state),
                reason: description.target_health.reason,
            })
        };
        Ok(output.target_health_descriptions.member.into_iter().filter_map(target).collect())
    }

    async fn healthy_targets(&self, arn: &str) -> Result<usize, AwsError> {
        let targets = self.target_health(arn).await?;
        Ok(targets.iter().filter(|target| target.state == TargetState::Healthy).count())
    }

    async fn register(&self, arn: &str, targets: &[TargetKey], deadline: Option<&Deadline>) -> Result<(), AwsError> {
        let request = elb::Request::RegisterTargets(targets_input(arn, targets));
        match deadline {
            Some(deadline) => self.write(arn, Request::Elb(request), Attempts::Several, deadline).await,
            None => self.elb(arn, request).await.map(drop),
        }
    }

    async fn deregister(&self, arn: &str, targets: &[TargetKey], deadline: &Deadline) -> Result<(), AwsError> {
        let request = Request::Elb(elb::Request::DeregisterTargets(targets_input(arn, targets)));
        self.write(arn, request, Attempts::Several, deadline).await
    }

    async fn add_tags(&self, arns: &[String], tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
        let input =
            elb::AddTagsInput { resource_arns: arns.iter().cloned().collect(), tags: tags.iter().map(tag).collect() };
        self.write("tags", Request::Elb(elb::Request::AddTags(input)), Attempts::Several, deadline).await
    }

    async fn remove_tags(&self, arns: &[String], keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let input = elb::RemoveTagsInput {
            resource_arns: arns.iter().cloned().collect(),
            tag_keys: keys.iter().map(ToString::to_string).collect(),
        };
        self.write("tags", Request::Elb(elb::Request::RemoveTags(input)), Attempts::Several, deadline).await
    }

    async fn delete_load_balancer(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let input = elb::LoadBalancerInput { load_balancer_arn: arn.to_owned() };
        self.write(arn, Request::Elb(elb::Request::DeleteLoadBalancer(input)), Attempts::One, deadline).await
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let input = elb::TargetGroupInput { target_group_arn: arn.to_owned() };
        self.write(arn, Request::Elb(elb::Request::DeleteTargetGroup(input)), Attempts::Several, deadline).await
    }

    fn calls(&self) -> Calls {
        Calls { sent: self.calls.load(Ordering::Relaxed), throttled: 0 }
    }
}

fn service_description(service: &ecs::Service) -> ServiceDescription {
    let deployment = |deployment: &ecs::Deployment| Deployment {
        id: deployment.id.clone(),
        created_at: deployment.created_at.and_then(to_millisecond),
        rollout: Rollout::parse(&deployment.rollout_state),
        rollout_reason: Some(deployment.rollout_state_reason.clone()),
        failed_tasks: deployment.failed_tasks,
    };
    let message = |event: &ecs::ServiceEvent| {
        Some(SchedulerMessage { at: event.created_at.and_then(to_millisecond)?, text: event.message.clone() })
    };
    ServiceDescription {
        service: Service::Found(Counts {
            desired: service.desired_count,
            running: service.running_count,
            pending: service.pending_count,
        }),
        deployment: service.deployments.iter().find(|deployment| deployment.status == "PRIMARY").map(deployment),
        message: service.events.first().and_then(message),
        tags: service.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
    }
}

fn task(task: &ecs::Task) -> Option<Task> {
    let address = |name: &str| {
        let details = task.attachments.iter().flat_map(|attachment| &attachment.details);
        details.filter(|detail| detail.name == name).find_map(|detail| detail.value.parse::<IpAddr>().ok())
    };
    Some(Task {
        id: TaskId::from_arn(&task.task_arn)?,
        group: Some(task.group.clone()),
        started_by: task.started_by.clone(),
        task_definition: Some(task.task_definition_arn.clone()),
        last_status: LastStatus::parse(&task.last_status),
        desired_status: DesiredStatus::parse(&task.desired_status),
        version: Some(task.version),
        ipv4: match address("privateIPv4Address") {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        },
        ipv6: None,
        // AWS returns seconds with milliseconds.
        started_at: task.started_at.and_then(to_millisecond),
        stopping_at: task.stopping_at.and_then(to_millisecond),
        stopped_at: task.stopped_at.and_then(to_millisecond),
        stop_code: task.stop_code.as_deref().map(StopCode::parse),
        stopped_reason: task.stopped_reason.clone(),
    })
}

fn to_millisecond(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.as_millisecond()).ok()
}

fn target_state(word: &str) -> TargetState {
    match word {
        "initial" => TargetState::Initial,
        "healthy" => TargetState::Healthy,
        "unhealthy" => TargetState::Unhealthy,
        "draining" => TargetState::Draining,
        "unused" => TargetState::Unused,
        _ => TargetState::Unknown,
    }
}

fn targets_input(arn: &str, targets: &[TargetKey]) -> elb::TargetsInput {
    let target = |key: &TargetKey| elb::TargetDescription {
        id: key.ip.to_string(),
        port: Some(key.port.to_string()),
        ..Default::default()
    };
    elb::TargetsInput { target_group_arn: arn.to_owned(), targets: targets.iter().map(target).collect() }
}
