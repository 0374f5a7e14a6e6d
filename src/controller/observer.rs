//! Reads what AWS shows into one observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::aws::{
    AwsError, ControllerPlatform, ErrorKind, LoadBalancerDescription, ServiceDescription, TargetGroupDescription,
};
use crate::controller::advertised::AdvertisedCache;
use crate::controller::context::Context;
use crate::controller::message::Hints;
use crate::controller::scope::Scope;
use crate::controller::usage::{Freshness, UsageCache};
use crate::telemetry::log::Event;
use jvb_watcher_rules::lease::{Lease, LeaseReading};
use jvb_watcher_rules::model::{
    Advertised, FlowHistory, LOAD_BALANCER_TAG, LoadBalancer, Observation, Service, Startup, Tags, Target, TargetGroup,
    TargetType, Task, TaskId, load_balancer_name,
};
use jvb_watcher_rules::plan::{Policy, Teardown, UsagePolicy};

/// The number of times that a task is described again while ECS doesn't show its announced version.
const FRESHNESS_RETRIES: u32 = 5;

/// The wait before each of those retries.
const FRESHNESS_WAIT: Duration = Duration::from_secs(1);

/// The most tasks behind their version that one observation logs; forged events can name any number.
const LOGGED_BEHIND: usize = 10;

/// The number of attempts to read a load balancer that changes while it is read, before the observation fails.
const CONSISTENT_READ_ATTEMPTS: u32 = 3;

/// The age up to which an event's task that ECS doesn't show may still appear.
const YOUNG_EVENT: Duration = Duration::from_secs(60);

/// Reads what AWS shows.
pub struct Observer<'a, P> {
    /// AWS.
    pub platform: &'a P,
    /// The service, the log and the clock.
    pub context: &'a Context,
    /// The load balancer's name, and whether its target groups belong to it.
    pub policy: &'a Policy,
    /// What is remembered of the addresses that tasks advertise.
    pub advertised: &'a AdvertisedCache,
    /// What is remembered of the load balancer's use.
    pub usage: &'a UsageCache,
    /// Whether the use must be read again.
    pub freshness: Freshness,
}

impl<P: ControllerPlatform> Observer<'_, P> {
    /// Reads the service, its tasks, and the load balancer with its target groups. The fields that AWS doesn't know are
    /// empty.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn observe(&self, hints: &Hints) -> Result<Observation, AwsError> {
        let Scope { cluster, service } = &self.context.scope;
        let tasks = async {
            // The counts are read after the tasks: a service that is found idle was idle at the end of the observation.
            let tasks = self.tasks(hints).await?;
            let pinned = self.advertised.pinned(self.platform, &tasks, self.context);
            let (service, pinned) = tokio::join!(self.platform.service(cluster, service), pinned);
            Ok((service?, tasks, pinned))
        };
        let ((service, tasks, pinned), observed) = tokio::try_join!(tasks, self.load_balancer())?;
        let ServiceDescription { service, deployment, message } = service;
        let tasks = if service == Service::Missing { Vec::new() } else { tasks };
        let addresses = match &observed.description {
            Some(description) if !pinned.is_empty() => {
                self.advertised.of_load_balancer(self.platform, description).await
            }
            _ => Default::default(),
        };
        let lease = self.lease(observed.flows.as_ref()).await?;
        Ok(Observation {
            service,
            tasks,
            startup: Startup { deployment, message, ..Startup::default() },
            advertised: Advertised { pinned, load_balancer: addresses },
            load_balancer: observed.load_balancer,
            flows: observed.flows,
            lease,
            orphaned_target_groups: observed.orphaned_target_groups,
            unmatched_since: BTreeMap::new(),
            teardown_begun_at: None,
        })
    }

    /// Reads the lease on the service, if a stop may rest on it: the load balancer seems unused.
    async fn lease(&self, flows: Option<&FlowHistory>) -> Result<LeaseReading, AwsError> {
        let UsagePolicy { threshold, stop, .. } = self.policy.usage;
        if stop.is_none() || flows.is_none_or(|flows| flows.unused_since(threshold).is_none()) {
            return Ok(LeaseReading::NotRead);
        }
        let Scope { cluster, service } = &self.context.scope;
        let found = self.platform.scalable(cluster, service).await?;
        Ok(LeaseReading::Read(found.and_then(|found| Lease::of(&found.tags))))
    }

    /// Reads the service's tasks: those that ListTasks returns and those that the hints name, since the list can lag
    /// behind an event. Waits until each has the version that an event announced, within limits.
    async fn tasks(&self, hints: &Hints) -> Result<Vec<Task>, AwsError> {
        let Scope { cluster, service } = &self.context.scope;
        let listed = match self.platform.list_tasks(cluster, service).await {
            Ok(listed) => listed,
            // There is no such cluster or service; DescribeServices, which decides, reports it too.
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let ids: BTreeSet<TaskId> = listed.iter().cloned().chain(hints.tasks.keys().cloned()).collect();
        let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
        let mut wanted: Vec<TaskId> = ids.into_iter().collect();
        for attempt in 0.. {
            let described = match self.platform.describe_tasks(cluster, &wanted).await {
                // One id that ECS rejects fails the whole call. It accepts those that it listed.
                Err(error) if error.is(ErrorKind::Rejected) && attempt == 0 && !hints.tasks.is_empty() => {
                    self.platform.describe_tasks(cluster, &listed).await?
                }
                described => described?,
            };
            tasks.extend(described.into_iter().map(|task| (task.id.clone(), task)));
            wanted = self.behind(hints, &tasks);
            if wanted.is_empty() {
                break;
            }
            if attempt == FRESHNESS_RETRIES {
                self.log_behind(hints, &tasks, &wanted);
                break;
            }
            tokio::time::sleep(FRESHNESS_WAIT).await;
        }
        let group = self.context.scope.task_group();
        Ok(tasks.into_values().filter(|task| task.group.as_ref() == Some(&group)).collect())
    }

    /// The tasks of which ECS shows an older version than an event announced.
    fn behind(&self, hints: &Hints, tasks: &BTreeMap<TaskId, Task>) -> Vec<TaskId> {
        let now = self.context.clock.now();
        let is_behind = |id: &TaskId| {
            let hint = hints.tasks.get(id)?;
            let announced = hint.version?;
            match tasks.get(id) {
                // Without a version in the answer there is nothing to compare.
                Some(task) => Some(task.version? < announced),
                None => Some(now.duration_since(hint.time?).unsigned_abs() < YOUNG_EVENT),
            }
        };
        hints.tasks.keys().filter(|id| is_behind(id).unwrap_or(false)).cloned().collect()
    }

    fn log_behind(&self, hints: &Hints, tasks: &BTreeMap<TaskId, Task>, behind: &[TaskId]) {
        for id in behind.iter().take(LOGGED_BEHIND) {
            let announced = hints.tasks.get(id).and_then(|hint| hint.version);
            self.context.log.emit(&Event::TaskVersionBehind {
                task_id: id.to_string(),
                event_version: announced.unwrap_or_default(),
                seen_version: tasks.get(id).and_then(|task| task.version),
            });
        }
    }

    /// Reads the load balancer with its target groups; or, when it doesn't exist, the target groups of an earlier one.
    async fn load_balancer(&self) -> Result<ObservedLoadBalancer, AwsError> {
        let name = &self.policy.load_balancer;
        let mut changed = None;
        for _ in 0..CONSISTENT_READ_ATTEMPTS {
            let Some(description) = self.platform.load_balancer(name).await? else {
                let orphaned_target_groups = self.orphaned_target_groups().await?;
                return Ok(ObservedLoadBalancer { orphaned_target_groups, ..ObservedLoadBalancer::default() });
            };
            match self.with_target_groups(&description).await {
                Ok(load_balancer) => {
                    let Self { platform, context, policy, usage, freshness, .. } = *self;
                    let flows = usage.flows(platform, &load_balancer, policy, freshness, context).await;
                    return Ok(ObservedLoadBalancer {
                        description: Some(description),
                        load_balancer: Some(load_balancer),
                        flows,
                        orphaned_target_groups: Vec::new(),
                    });
                }
                // The load balancer or a group was deleted between two calls. Reading again shows which.
                Err(error) if error.is(ErrorKind::NotFound) => changed = Some(error),
                Err(error) => return Err(error),
            }
        }
        changed.map_or_else(|| Ok(ObservedLoadBalancer::default()), Err)
    }

    async fn with_target_groups(&self, description: &LoadBalancerDescription) -> Result<LoadBalancer, AwsError> {
        let LoadBalancerDescription { arn, name, kind, state, created_at, .. } = description.clone();
        let groups = self.platform.target_groups(Some(&arn)).await?;
        let arns: Vec<_> = std::iter::once(&arn).chain(groups.iter().map(|group| &group.arn)).cloned().collect();
        let contents = try_join_all(groups.iter().map(|group| self.contents(group)));
        let (mut tags, contents) = tokio::try_join!(self.platform.tags(&arns), contents)?;
        if let Some(deleted) = arns.iter().find(|arn| !tags.contains_key(*arn)) {
            return Err(deleted_meanwhile(deleted));
        }
        let target_groups = groups
            .into_iter()
            .zip(contents)
            .map(|(group, contents)| target_group(group, &mut tags, contents))
            .collect();
        let tags = tags.remove(&arn).unwrap_or_default();
        Ok(LoadBalancer { arn, name, kind, state, created_at, tags, target_groups })
    }

    async fn contents(&self, group: &TargetGroupDescription) -> Result<Contents, AwsError> {
        Ok(match group.target_type {
            TargetType::Ip { .. } => {
                Contents { targets: self.platform.target_health(&group.arn).await?, ..Contents::default() }
            }
            TargetType::Other(_) => {
                Contents { healthy_others: self.platform.healthy_targets(&group.arn).await?, ..Contents::default() }
            }
        })
    }

    /// Reads the target groups with the owner tag whose mark names a load balancer of the configured name, and that are
    /// behind no other.
    async fn orphaned_target_groups(&self) -> Result<Vec<TargetGroup>, AwsError> {
        if self.policy.teardown != Teardown::All {
            return Ok(Vec::new());
        }
        let name = self.policy.load_balancer.as_str();
        let mut groups = self.platform.target_groups(None).await?;
        groups.retain(|group| group.load_balancer_arns.iter().all(|arn| load_balancer_name(arn) == Some(name)));
        let arns: Vec<_> = groups.iter().map(|group| group.arn.clone()).collect();
        let mut tags = self.platform.tags(&arns).await?;
        let groups = groups.into_iter().map(|group| target_group(group, &mut tags, Contents::default()));
        let is_orphaned = |group: &TargetGroup| {
            let marked_for = group.tags.get(LOAD_BALANCER_TAG).map(String::as_str);
            marked_for.and_then(load_balancer_name) == Some(name) && self.policy.owner_tag.is_among(&group.tags)
        };
        Ok(groups.filter(is_orphaned).collect())
    }
}

/// The load balancer with its target groups; or the target groups of an earlier one.
#[derive(Default)]
struct ObservedLoadBalancer {
    description: Option<LoadBalancerDescription>,
    load_balancer: Option<LoadBalancer>,
    flows: Option<FlowHistory>,
    orphaned_target_groups: Vec<TargetGroup>,
}

/// The error of a load balancer or group that was deleted between two calls.
fn deleted_meanwhile(arn: &str) -> AwsError {
    AwsError {
        kind: ErrorKind::NotFound,
        service: "elasticloadbalancing",
        operation: "DescribeTags",
        resource: arn.to_owned(),
        code: None,
        message: "it was deleted while it was read".to_owned(),
        request_id: None,
    }
}

/// The targets of a target group.
#[derive(Default)]
struct Contents {
    targets: Vec<Target>,
    healthy_others: usize,
}

fn target_group(group: TargetGroupDescription, tags: &mut BTreeMap<String, Tags>, contents: Contents) -> TargetGroup {
    let TargetGroupDescription { arn, name, protocol, target_type, load_balancer_arns: _ } = group;
    let Contents { targets, healthy_others } = contents;
    let tags = tags.remove(&arn).unwrap_or_default();
    TargetGroup { arn, name, protocol, target_type, tags, targets, healthy_others }
}
