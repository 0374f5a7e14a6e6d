//! Reads what AWS shows into one observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::aws::{
    AwsError, ControllerPlatform, ErrorKind, LoadBalancerDescription, ServiceDescription, TargetGroupDescription,
};
use crate::clock::Moment;
use crate::controller::advertised::AdvertisedCache;
use crate::controller::context::Context;
use crate::controller::last_seen::{LastSeen, SeenLoadBalancer, has_no_tasks};
use crate::controller::message::Hints;
use crate::controller::orphans::{OrphanSearch, TaggedGroup};
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

/// The number of resync intervals after which a service at rest is read again.
const REST_INTERVALS: u32 = 5;

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
    /// What the last observation found.
    pub last_seen: &'a LastSeen,
    /// The search for target groups of an earlier load balancer.
    pub orphans: &'a OrphanSearch,
    /// Whether a teardown is in progress.
    pub is_tearing_down: bool,
    /// Whether the use must be read again.
    pub freshness: Freshness,
}

/// An observation, and how it was made.
pub struct Reading {
    /// What AWS shows.
    pub observation: Observation,
    /// True if the service is at rest: that there is no load balancer was read, and the rest only as far as it can have
    /// changed.
    pub is_at_rest: bool,
}

impl<P: ControllerPlatform> Observer<'_, P> {
    /// Reads the service, its tasks, and the load balancer with its target groups. The fields that AWS doesn't know are
    /// empty.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn observe(&self, hints: &Hints) -> Result<Observation, AwsError> {
        let began = Moment::now(&*self.context.clock);
        let Scope { cluster, service } = &self.context.scope;
        let tasks = async {
            // The counts are read after the tasks: a service that is found idle was idle at the end of the observation.
            let tasks = self.tasks(hints).await?;
            let pinned = self.advertised.pinned(self.platform, &tasks, self.context);
            let with_tags = self.policy.usage.stop.is_some();
            let (service, pinned) = tokio::join!(self.platform.service(cluster, service, with_tags), pinned);
            Ok((service?, tasks, pinned))
        };
        let ((description, tasks, pinned), observed) = tokio::try_join!(tasks, self.load_balancer())?;
        let ServiceDescription { service, deployment, message, tags } = description.clone();
        let tasks = if service == Service::Missing { Vec::new() } else { tasks };
        let addresses = match &observed.description {
            Some(description) if !pinned.is_empty() => {
                self.advertised.of_load_balancer(self.platform, description).await
            }
            _ => Default::default(),
        };
        let lease = self.lease(observed.flows.as_ref(), &tags);
        let observation = Observation {
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
        };
        self.last_seen.remember(&observation, description, began, &*self.context.clock);
        Ok(observation)
    }

    /// Observes; of a service at rest reads only whether there is a load balancer now, and at times the service.
    ///
    /// While there is no load balancer, nothing can be registered or deleted, and a task that starts sends events. Without
    /// them it is noticed when the service is read again.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn observe_unless_at_rest(&self, hints: &Hints) -> Result<Reading, AwsError> {
        let clock = &*self.context.clock;
        let must_search = self.policy.teardown == Teardown::All && self.orphans.is_due(clock);
        let may_rest = hints.is_empty() && !self.is_tearing_down && !must_search;
        if let Some((service, age)) = self.last_seen.at_rest(clock).filter(|_| may_rest)
            && let Some(ServiceDescription { service, deployment, message, .. }) =
                self.still_at_rest(service, age).await?
        {
            let startup = Startup { deployment, message, ..Startup::default() };
            return Ok(Reading { observation: Observation::of_service(service, startup), is_at_rest: true });
        }
        Ok(Reading { observation: self.observe(hints).await?, is_at_rest: false })
    }

    /// Returns the service if it is still at rest, as far as it is read again.
    async fn still_at_rest(
        &self,
        service: ServiceDescription,
        age: Duration,
    ) -> Result<Option<ServiceDescription>, AwsError> {
        let load_balancer = self.platform.load_balancer(&self.policy.load_balancer);
        if age < self.policy.resync_interval * REST_INTERVALS {
            return Ok(load_balancer.await?.is_none().then_some(service));
        }
        let Scope { cluster, service: name } = &self.context.scope;
        let read_at = Moment::now(&*self.context.clock);
        let (load_balancer, service) = tokio::try_join!(load_balancer, self.platform.service(cluster, name, false))?;
        if load_balancer.is_some() || !has_no_tasks(service.service) {
            return Ok(None);
        }
        self.last_seen.still_at_rest(service.clone(), read_at);
        Ok(Some(service))
    }

    /// Returns the lease among the service's tags, if a stop may rest on it: the load balancer seems unused.
    fn lease(&self, flows: Option<&FlowHistory>, tags: &Tags) -> LeaseReading {
        let UsagePolicy { threshold, stop, .. } = self.policy.usage;
        if stop.is_none() || flows.is_none_or(|flows| flows.unused_since(threshold).is_none()) {
            return LeaseReading::NotRead;
        }
        LeaseReading::Read(Lease::of(tags))
    }

    /// Reads the service's tasks: those that ListTasks returns and those that the hints name, since the list can lag
    /// behind an event. Waits until each has the version that an event announced, within limits.
    async fn tasks(&self, hints: &Hints) -> Result<Vec<Task>, AwsError> {
        let Scope { cluster, service } = &self.context.scope;
        let (listed, described) =
            tokio::join!(self.platform.list_tasks(cluster, service), self.known_tasks(cluster, hints));
        let listed = match listed {
            Ok(listed) => listed,
            // There is no such cluster or service; DescribeServices, which decides, reports it too.
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let by_id = |task: Task| (task.id.clone(), task);
        let mut tasks: BTreeMap<TaskId, Task> = described?.into_iter().map(by_id).collect();
        let new: Vec<TaskId> = listed.into_iter().filter(|id| !tasks.contains_key(id)).collect();
        if !new.is_empty() {
            tasks.extend(self.platform.describe_tasks(cluster, &new).await?.into_iter().map(by_id));
        }
        for attempt in 0.. {
            let behind = self.behind(hints, &tasks);
            if behind.is_empty() {
                break;
            }
            if attempt == FRESHNESS_RETRIES {
                self.log_behind(hints, &tasks, &behind);
                break;
            }
            tokio::time::sleep(FRESHNESS_WAIT).await;
            tasks.extend(self.platform.describe_tasks(cluster, &behind).await?.into_iter().map(by_id));
        }
        let group = self.context.scope.task_group();
        Ok(tasks.into_values().filter(|task| task.group.as_ref() == Some(&group)).collect())
    }

    /// Describes the tasks that are known before ListTasks has answered: those of the last observation and of the hints.
    async fn known_tasks(&self, cluster: &str, hints: &Hints) -> Result<Vec<Task>, AwsError> {
        let seen = self.last_seen.tasks();
        let known: Vec<TaskId> =
            seen.iter().chain(hints.tasks.keys()).cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if known.is_empty() {
            return Ok(Vec::new());
        }
        match self.platform.describe_tasks(cluster, &known).await {
            // One id that ECS rejects fails the whole call. It accepts those that it has shown.
            Err(error) if error.is(ErrorKind::Rejected) && !hints.tasks.is_empty() => {
                let seen: Vec<TaskId> = seen.into_iter().collect();
                if seen.is_empty() { Ok(Vec::new()) } else { self.platform.describe_tasks(cluster, &seen).await }
            }
            described => described,
        }
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
        let seen = self.last_seen.load_balancer();
        let (mut found, early) = tokio::join!(self.platform.load_balancer(name), self.seen_again(seen.as_ref()));
        let mut early = early.transpose();
        let mut changed = None;
        for _ in 0..CONSISTENT_READ_ATTEMPTS {
            let Some(description) = found? else {
                self.last_seen.set_load_balancer(None);
                let orphaned_target_groups = self.orphaned_target_groups().await?;
                return Ok(ObservedLoadBalancer { orphaned_target_groups, ..ObservedLoadBalancer::default() });
            };
            self.orphans.require();
            let is_seen = seen.as_ref().is_some_and(|seen| seen.arn == description.arn);
            let read = match early.take().filter(|_| is_seen) {
                Some(Ok(contents)) => Ok(contents),
                Some(Err(error)) if !error.is(ErrorKind::NotFound) => Err(error),
                Some(Err(_)) | None => self.contents_of(&description.arn).await,
            };
            match read {
                Ok(LoadBalancerContents { tags, target_groups }) => {
                    let LoadBalancerDescription { arn, name, kind, state, created_at, .. } = description.clone();
                    let load_balancer = LoadBalancer { arn, name, kind, state, created_at, tags, target_groups };
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
            found = self.platform.load_balancer(name).await;
        }
        changed.map_or_else(|| Ok(ObservedLoadBalancer::default()), Err)
    }

    /// Reads what belongs to the load balancer of the last observation, beside its description: `None` if other target
    /// groups are behind it now. The answer counts only if the load balancer still exists.
    async fn seen_again(&self, seen: Option<&SeenLoadBalancer>) -> Result<Option<LoadBalancerContents>, AwsError> {
        let Some(SeenLoadBalancer { arn, target_groups }) = seen else { return Ok(None) };
        let (now, contents) = tokio::try_join!(self.target_groups(arn), self.read_contents(arn, target_groups))?;
        Ok((now == *target_groups).then_some(contents))
    }

    /// Reads the target groups behind a load balancer, and what belongs to it and to them.
    async fn contents_of(&self, arn: &str) -> Result<LoadBalancerContents, AwsError> {
        let target_groups = self.target_groups(arn).await?;
        let contents = self.read_contents(arn, &target_groups).await?;
        self.last_seen.set_load_balancer(Some(SeenLoadBalancer { arn: arn.to_owned(), target_groups }));
        Ok(contents)
    }

    async fn target_groups(&self, arn: &str) -> Result<Vec<TargetGroupDescription>, AwsError> {
        let mut groups = self.platform.target_groups(Some(arn)).await?;
        groups.sort_by(|a, b| a.arn.cmp(&b.arn));
        Ok(groups)
    }

    /// Reads the tags of a load balancer and of these target groups, and the groups' targets.
    async fn read_contents(
        &self,
        arn: &str,
        groups: &[TargetGroupDescription],
    ) -> Result<LoadBalancerContents, AwsError> {
        let arns: Vec<_> =
            std::iter::once(arn).chain(groups.iter().map(|group| group.arn.as_str())).map(str::to_owned).collect();
        let contents = try_join_all(groups.iter().map(|group| self.contents(group)));
        let (mut tags, contents) = tokio::try_join!(self.platform.tags(&arns), contents)?;
        if let Some(deleted) = arns.iter().find(|arn| !tags.contains_key(*arn)) {
            return Err(deleted_meanwhile(deleted));
        }
        let groups = groups.iter().cloned().zip(contents);
        let target_groups = groups.map(|(group, contents)| target_group(group, &mut tags, contents)).collect();
        Ok(LoadBalancerContents { tags: tags.remove(arn).unwrap_or_default(), target_groups })
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

    /// Returns the target groups with the owner tag whose mark names a load balancer of the configured name, and that are
    /// behind no other, if a search for them is due.
    async fn orphaned_target_groups(&self) -> Result<Vec<TargetGroup>, AwsError> {
        if self.policy.teardown != Teardown::All {
            return Ok(Vec::new());
        }
        let name = self.policy.load_balancer.as_str();
        let is_left = |(group, tags): &TaggedGroup| {
            let marked_for = tags.get(LOAD_BALANCER_TAG).map(String::as_str);
            marked_for.and_then(load_balancer_name) == Some(name)
                && self.policy.owner_tag.is_among(tags)
                && group.load_balancer_arns.iter().all(|arn| load_balancer_name(arn) == Some(name))
        };
        if self.is_tearing_down {
            self.orphans.require();
        }
        let left = self.orphans.search(self.platform, name, &*self.context.clock, is_left).await?;
        let group = |(group, tags): TaggedGroup| {
            let mut tags = BTreeMap::from([(group.arn.clone(), tags)]);
            target_group(group, &mut tags, Contents::default())
        };
        Ok(left.into_iter().map(group).collect())
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

/// What belongs to a load balancer, beside its description.
struct LoadBalancerContents {
    tags: Tags,
    target_groups: Vec<TargetGroup>,
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
