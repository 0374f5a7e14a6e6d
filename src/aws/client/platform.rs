//! The adapter of [`Platform`]: ECS and Elastic Load Balancing. It also has the clients of the adapters of `Scaling` and
//! `Usage`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::config::Builder as CloudWatchConfig;
use aws_sdk_ecs::config::Builder as EcsConfig;
use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::client::customize::CustomizableOperation;
use aws_sdk_elasticloadbalancingv2::config::Builder as ElbConfig;
use aws_sdk_elasticloadbalancingv2::types as elb;

use futures_util::future::try_join_all;

use super::budget::{Budget, QuotaShare};
use super::call::{Call, none_if_not_found};
#[cfg(feature = "otlp")]
use super::interceptors::CallTracer;
use super::interceptors::{CallCounter, DateReader, DeadlineGuard, WholeAnswer};
use crate::aws::operation::ApiOperation;
use crate::aws::{
    AwsError, Calls, Deadline, ErrorKind, LONGEST_CALL, LoadBalancerDescription, Platform, ServiceDescription,
    TargetGroupDescription, Urgency,
};
use crate::clock::{AwsClock, SharedClock, SystemClock};
use jvb_watcher_rules::model::{PinnedAddress, Tags, Target, TargetKey, Task, TaskId};

pub(super) mod convert;
mod shared;

use shared::Shared;

/// The most tasks in one call of DescribeTasks (see the ECS API reference).
const TASKS_PER_DESCRIBE: usize = 100;

/// The most services in one call of DescribeServices (see the ECS API reference).
pub(super) const SERVICES_PER_DESCRIBE: usize = 10;

/// The calls of DescribeTasks side by side: a tenth of the burst that the ECS API accepts.
const DESCRIBES_AT_A_TIME: usize = 10;

/// The most resources in one call of DescribeTags (see the Elastic Load Balancing API reference).
const RESOURCES_PER_TAG_CALL: usize = 20;

/// The time limit for resolving a name.
const RESOLUTION_TIMEOUT: Duration = Duration::from_secs(2);

/// ECS, Elastic Load Balancing and CloudWatch, through the SDK. Clones share the connections, the clock and the counts of
/// calls; those of a platform for several services share their reads, too.
#[derive(Clone)]
pub struct AwsPlatform {
    pub(super) ecs: aws_sdk_ecs::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    counter: CallCounter,
    clock: Arc<AwsClock>,
    /// For several services.
    shared: Option<Arc<Shared>>,
}

impl AwsPlatform {
    /// Creates the clients.
    pub fn new(config: &SdkConfig) -> Self {
        Self::on_machine(config, Arc::new(SystemClock))
    }

    /// Creates the clients on a machine with this clock.
    pub fn on_machine(config: &SdkConfig, machine: SharedClock) -> Self {
        Self::with_budget(config, machine, None)
    }

    /// Creates the clients of a process that watches several services, each with a clone: reads that they make at the same
    /// time are coalesced, and observations wait for the budget of calls.
    pub fn for_several_services(config: &SdkConfig, machine: SharedClock, share: QuotaShare) -> Self {
        Self::with_budget(config, machine, Some(Budget::new(share)))
    }

    fn with_budget(config: &SdkConfig, machine: SharedClock, budget: Option<Budget>) -> Self {
        let counter = CallCounter::default();
        let clock = Arc::new(AwsClock::new(machine));
        let dates = DateReader(clock.clone());
        let mut ecs = EcsConfig::from(config)
            .interceptor(counter.clone())
            .interceptor(dates.clone())
            .interceptor(WholeAnswer)
            .retry_classifier(WholeAnswer);
        let mut elb = ElbConfig::from(config)
            .interceptor(counter.clone())
            .interceptor(dates.clone())
            .interceptor(WholeAnswer)
            .retry_classifier(WholeAnswer);
        if let Some(budget) = &budget {
            ecs = ecs.interceptor(budget.clone());
            elb = elb.interceptor(budget.clone());
        }
        let cloudwatch = CloudWatchConfig::from(config)
            .interceptor(counter.clone())
            .interceptor(dates)
            .interceptor(WholeAnswer)
            .retry_classifier(WholeAnswer);
        #[cfg(feature = "otlp")]
        let (ecs, elb, cloudwatch) =
            (ecs.interceptor(CallTracer), elb.interceptor(CallTracer), cloudwatch.interceptor(CallTracer));
        let ecs = aws_sdk_ecs::Client::from_conf(ecs.build());
        let elb = aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build());
        Self {
            shared: budget.map(|budget| Arc::new(Shared::new(&ecs, &elb, budget))),
            ecs,
            elb,
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
            counter,
            clock,
        }
    }

    /// Returns the clock, which the Date headers of the answers adjust.
    pub fn clock(&self) -> Arc<AwsClock> {
        self.clock.clone()
    }

    async fn health(&self, target_group_arn: &str) -> Result<Vec<elb::TargetHealthDescription>, AwsError> {
        let call = Call::new(ApiOperation::DescribeTargetHealth, target_group_arn);
        let request = self.elb.describe_target_health().target_group_arn(target_group_arn);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        Ok(output.target_health_descriptions.unwrap_or_default())
    }

    /// Describes the service, in any status; `None` if the service or the cluster doesn't exist.
    pub(super) async fn describe_service(
        &self,
        cluster: &str,
        service: &str,
        with_tags: bool,
    ) -> Result<Option<ecs::Service>, AwsError> {
        let call = Call::new(ApiOperation::DescribeServices, service);
        let include = with_tags.then(|| vec![ecs::ServiceField::Tags]);
        let request = self.ecs.describe_services().cluster(cluster).services(service).set_include(include);
        let output = match request.send().await {
            Ok(output) => output,
            Err(error) => return none_if_not_found(call.failed(error)),
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

    async fn list_tasks_of_status(
        &self,
        cluster: &str,
        service: &str,
        status: ecs::DesiredStatus,
    ) -> Result<Vec<TaskId>, AwsError> {
        let call = Call::new(ApiOperation::ListTasks, service);
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

async fn tasks_of_batch(ecs: &aws_sdk_ecs::Client, cluster: &str, ids: &[TaskId]) -> Result<Vec<Task>, AwsError> {
    let call = Call::new(ApiOperation::DescribeTasks, cluster);
    let ids = ids.iter().map(ToString::to_string).collect();
    let output = ecs.describe_tasks().cluster(cluster).set_tasks(Some(ids)).send().await;
    let output = output.map_err(|error| call.failed(error))?;
    // `failures` lists the tasks that are MISSING: they no longer exist, or aren't visible yet.
    Ok(output.tasks().iter().filter_map(convert::task).collect())
}

async fn tags_of_batch(
    elb: &aws_sdk_elasticloadbalancingv2::Client,
    arns: &[String],
    subject: &str,
) -> Result<BTreeMap<String, Tags>, AwsError> {
    let call = Call::new(ApiOperation::DescribeTags, subject);
    let output = elb.describe_tags().set_resource_arns(Some(arns.to_vec())).send().await;
    let output = output.map_err(|error| call.failed(error))?;
    let tag = |tag: &elb::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    let described = output.tag_descriptions().iter().filter_map(|description| {
        Some((description.resource_arn()?.to_owned(), description.tags().iter().filter_map(tag).collect()))
    });
    Ok(described.collect())
}

/// Returns time limits that end a call, with its retries, at the deadline.
pub(super) fn time_left(deadline: &Deadline) -> TimeoutConfig {
    // The SDK takes a timeout of zero for none.
    let left = deadline.left().min(LONGEST_CALL).max(Duration::from_millis(1));
    TimeoutConfig::builder().operation_timeout(left).build()
}

/// Bounds a write by its deadline: it is neither sent nor awaited nor retried after it.
fn bounded<T, E, B>(
    request: CustomizableOperation<T, E, B>,
    config: ElbConfig,
    deadline: &Deadline,
) -> CustomizableOperation<T, E, B> {
    request.interceptor(DeadlineGuard(deadline.clone())).config_override(config.timeout_config(time_left(deadline)))
}

impl Platform for AwsPlatform {
    async fn ready(&self, urgency: Urgency) {
        if let Some(shared) = &self.shared {
            shared.budget.ready(urgency).await;
        }
    }

    async fn service(&self, cluster: &str, service: &str, with_tags: bool) -> Result<ServiceDescription, AwsError> {
        if let Some(shared) = &self.shared {
            let found = shared.services.get((cluster.to_owned(), with_tags), service.to_owned()).await;
            let found = found.or_else(|error| none_if_not_found(error).map(Option::flatten))?;
            return Ok(found.unwrap_or_else(ServiceDescription::missing));
        }
        Ok(match self.describe_service(cluster, service, with_tags).await? {
            Some(found) if !convert::is_deleted(&found) => convert::service(&found),
            Some(_) | None => ServiceDescription::missing(),
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
        if let Some(shared) = &self.shared {
            return Ok(shared.tasks.get_all(cluster.to_owned(), tasks).await?.into_values().collect());
        }
        let describe = |batch| tasks_of_batch(&self.ecs, cluster, batch);
        let mut described = Vec::with_capacity(tasks.len());
        for group in tasks.chunks(TASKS_PER_DESCRIBE * DESCRIBES_AT_A_TIME) {
            described.extend(try_join_all(group.chunks(TASKS_PER_DESCRIBE).map(describe)).await?.into_iter().flatten());
        }
        Ok(described)
    }

    async fn pinned_addresses(&self, task_definition_arn: &str) -> Result<Vec<PinnedAddress>, AwsError> {
        let call = Call::new(ApiOperation::DescribeTaskDefinition, task_definition_arn);
        let request = self.ecs.describe_task_definition().task_definition(task_definition_arn);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        let definition = output.task_definition().ok_or_else(|| call.incomplete("taskDefinition"))?;
        Ok(convert::pinned_addresses(task_definition_arn, definition))
    }

    async fn resolve(&self, dns_name: &str) -> Vec<IpAddr> {
        let answer = tokio::time::timeout(RESOLUTION_TIMEOUT, tokio::net::lookup_host((dns_name, 0))).await;
        match answer {
            Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect::<BTreeSet<_>>().into_iter().collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        if let Some(shared) = &self.shared {
            let found = shared.load_balancers.get((), name.to_owned()).await;
            return found.or_else(|error| none_if_not_found(error).map(Option::flatten));
        }
        let call = Call::new(ApiOperation::DescribeLoadBalancers, name);
        let output = match self.elb.describe_load_balancers().names(name).send().await {
            Ok(output) => output,
            Err(error) => return none_if_not_found(call.failed(error)),
        };
        output.load_balancers().first().map(|found| convert::load_balancer(found, name, call)).transpose()
    }

    async fn target_groups(&self, load_balancer_arn: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        let call = Call::new(ApiOperation::DescribeTargetGroups, load_balancer_arn.unwrap_or("*"));
        let request = self.elb.describe_target_groups().set_load_balancer_arn(load_balancer_arn.map(str::to_owned));
        let mut pages = request.into_paginator().items().send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            match group {
                Ok(group) => groups.push(convert::target_group(&group, call)?),
                Err(error) => {
                    let error = call.failed(error);
                    // moto's answer for a load balancer without target groups.
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
        if let Some(shared) = &self.shared {
            return shared.tags(arns).await;
        }
        let mut tags = BTreeMap::new();
        for batch in arns.chunks(RESOURCES_PER_TAG_CALL) {
            match tags_of_batch(&self.elb, batch, &batch[0]).await {
                Ok(of_batch) => tags.extend(of_batch),
                // One resource that no longer exists fails the whole batch, without being named.
                Err(error) if error.is(ErrorKind::NotFound) => {
                    for arn in batch {
                        match tags_of_batch(&self.elb, std::slice::from_ref(arn), arn).await {
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
        Ok(self.health(target_group_arn).await?.iter().filter_map(convert::target).collect())
    }

    async fn healthy_targets(&self, target_group_arn: &str) -> Result<usize, AwsError> {
        let healthy = |target: &&elb::TargetHealthDescription| {
            target.target_health().and_then(|health| health.state()) == Some(&elb::TargetHealthStateEnum::Healthy)
        };
        Ok(self.health(target_group_arn).await?.iter().filter(healthy).count())
    }

    async fn register(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: Option<&Deadline>,
    ) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::RegisterTargets, target_group_arn);
        let targets = Some(convert::target_descriptions(targets));
        let request = self.elb.register_targets().target_group_arn(target_group_arn).set_targets(targets);
        let Some(deadline) = deadline else {
            return request.send().await.map(drop).map_err(|error| call.failed(error));
        };
        call.before(deadline)?;
        let request = bounded(request.customize(), ElbConfig::default(), deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn deregister(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::DeregisterTargets, target_group_arn);
        call.before(deadline)?;
        let targets = Some(convert::target_descriptions(targets));
        let request = self.elb.deregister_targets().target_group_arn(target_group_arn).set_targets(targets);
        let request = bounded(request.customize(), ElbConfig::default(), deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn add_tags(&self, arns: &[String], tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tags: Vec<_> = tags.iter().map(|(key, value)| elb::Tag::builder().key(key).value(value).build()).collect();
        for batch in arns.chunks(RESOURCES_PER_TAG_CALL) {
            let call = Call::new(ApiOperation::AddTags, batch.first().map_or("*", String::as_str));
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
            let call = Call::new(ApiOperation::RemoveTags, batch.first().map_or("*", String::as_str));
            call.before(deadline)?;
            let request =
                self.elb.remove_tags().set_resource_arns(Some(batch.to_vec())).set_tag_keys(Some(keys.clone()));
            let request = bounded(request.customize(), ElbConfig::default(), deadline);
            request.send().await.map_err(|error| call.failed(error))?;
        }
        Ok(())
    }

    async fn delete_load_balancer(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::DeleteLoadBalancer, arn);
        call.before(deadline)?;
        let request = self.elb.delete_load_balancer().load_balancer_arn(arn);
        let once = ElbConfig::default().retry_config(RetryConfig::disabled());
        let request = bounded(request.customize(), once, deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::DeleteTargetGroup, arn);
        call.before(deadline)?;
        let request = self.elb.delete_target_group().target_group_arn(arn);
        let request = bounded(request.customize(), ElbConfig::default(), deadline);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    fn calls(&self) -> Calls {
        self.counter.calls()
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};

    use super::*;

    #[tokio::test]
    async fn resolves_a_name_to_its_addresses_and_an_unknown_one_to_none() {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("eu-west-1"));
        let platform = AwsPlatform::new(&config.build());
        let loopback = platform.resolve("localhost").await;
        assert!(!loopback.is_empty() && loopback.iter().all(IpAddr::is_loopback), "{loopback:?}");
        // A name that never exists (RFC 2606).
        assert_eq!(platform.resolve("load-balancer.invalid").await, Vec::<IpAddr>::new());
    }
}
