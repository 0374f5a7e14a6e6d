//! The look: what AWS says, gathered into one observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Hints, Reconciler, Scope};
use crate::aws::{AwsError, ErrorKind, LoadBalancerDescription, Platform, TargetGroupDescription};
use crate::telemetry::log::Event;
use jvb_watcher_rules::model::{
    LOAD_BALANCER_TAG, LoadBalancer, Observation, Service, Tags, Target, TargetGroup, TargetType, Task, TaskId,
    load_balancer_name,
};
use jvb_watcher_rules::plan::Teardown;

/// How often to look again for a task version that an event has announced.
const FRESHNESS_LOOKS: u32 = 5;

/// How long to wait before each of those looks.
const FRESHNESS_WAIT: Duration = Duration::from_secs(1);

/// So many tasks that are behind are told of at one look; forged events can name any number.
const BEHIND_TOLD: usize = 10;

/// How often to look at a balancer that changes under the look, before the whole look counts as failed.
const CHANGING_LOOKS: u32 = 3;

/// A task that an event this young names, and that ECS doesn't show, is likely to show up yet.
const YOUNG_EVENT: Duration = Duration::from_secs(60);

impl<P: Platform> Reconciler<P> {
    pub(super) async fn observe(&self, hints: &Hints) -> Result<Observation, AwsError> {
        let tasks = async {
            // The counts are read no earlier than the tasks: a service that is found idle was so at the end of the look.
            let tasks = self.tasks(hints).await?;
            let service = self.platform.service(&self.scope.cluster, &self.scope.service).await?;
            Ok((service, tasks))
        };
        let ((service, tasks), (load_balancer, orphaned_target_groups)) = tokio::try_join!(tasks, self.balancer())?;
        let tasks = if service == Service::Missing { Vec::new() } else { tasks };
        Ok(Observation {
            service,
            tasks,
            load_balancer,
            orphaned_target_groups,
            unmatched_since: self.memory.unmatched_since.clone(),
            teardown_begun_at: self.memory.teardown.as_ref().map(|teardown| teardown.begun_at),
        })
    }

    /// The service's tasks: those that ListTasks shows and those that the hints name, since a list can lag behind an
    /// event; each as new as the events say it must be, or as new as it gets.
    async fn tasks(&self, hints: &Hints) -> Result<Vec<Task>, AwsError> {
        let Scope { cluster, service } = &self.scope;
        let listed = match self.platform.list_tasks(cluster, service).await {
            Ok(listed) => listed,
            // No such cluster or service; DescribeServices tells the same, and is believed.
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let ids: BTreeSet<TaskId> = listed.iter().cloned().chain(hints.tasks.keys().cloned()).collect();
        let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
        let mut wanted: Vec<TaskId> = ids.into_iter().collect();
        for looks in 0.. {
            let described = match self.platform.describe_tasks(cluster, &wanted).await {
                // One id that ECS won't take fails the whole call. Those that it listed itself it takes.
                Err(error) if error.is(ErrorKind::Rejected) && looks == 0 && !hints.tasks.is_empty() => {
                    self.platform.describe_tasks(cluster, &listed).await?
                }
                described => described?,
            };
            tasks.extend(described.into_iter().map(|task| (task.id.clone(), task)));
            wanted = self.behind(hints, &tasks);
            if wanted.is_empty() {
                break;
            }
            if looks == FRESHNESS_LOOKS {
                self.tell_behind(hints, &tasks, &wanted);
                break;
            }
            tokio::time::sleep(FRESHNESS_WAIT).await;
        }
        let group = format!("service:{service}");
        Ok(tasks.into_values().filter(|task| task.group.as_ref() == Some(&group)).collect())
    }

    /// The tasks that events know better than ECS's answers do so far.
    fn behind(&self, hints: &Hints, tasks: &BTreeMap<TaskId, Task>) -> Vec<TaskId> {
        let now = self.clock.now();
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

    fn tell_behind(&self, hints: &Hints, tasks: &BTreeMap<TaskId, Task>, behind: &[TaskId]) {
        for id in behind.iter().take(BEHIND_TOLD) {
            let announced = hints.tasks.get(id).and_then(|hint| hint.version);
            self.log.emit(&Event::TaskVersionBehind {
                task_id: id.to_string(),
                event_version: announced.unwrap_or_default(),
                seen_version: tasks.get(id).and_then(|task| task.version),
            });
        }
    }

    /// The balancer with all that is behind it; or, when it is gone, what a teardown may have left.
    async fn balancer(&self) -> Result<(Option<LoadBalancer>, Vec<TargetGroup>), AwsError> {
        let name = &self.policy.load_balancer;
        let mut changing = None;
        for _ in 0..CHANGING_LOOKS {
            let Some(description) = self.platform.load_balancer(name).await? else {
                return Ok((None, self.orphans().await?));
            };
            match self.fill_in(description).await {
                Ok(balancer) => return Ok((Some(balancer), Vec::new())),
                // The balancer or a group went between two calls. Only a new look tells which.
                Err(error) if error.is(ErrorKind::NotFound) => changing = Some(error),
                Err(error) => return Err(error),
            }
        }
        changing.map_or_else(|| Ok((None, Vec::new())), Err)
    }

    async fn fill_in(&self, description: LoadBalancerDescription) -> Result<LoadBalancer, AwsError> {
        let LoadBalancerDescription { arn, name, kind, state, created_at, dns_name: _ } = description;
        let groups = self.platform.target_groups(Some(&arn)).await?;
        let arns: Vec<_> = std::iter::once(&arn).chain(groups.iter().map(|group| &group.arn)).cloned().collect();
        let contents = try_join_all(groups.iter().map(|group| self.contents(group)));
        let (mut tags, contents) = tokio::try_join!(self.platform.tags(&arns), contents)?;
        if let Some(gone) = arns.iter().find(|arn| !tags.contains_key(*arn)) {
            return Err(gone_meanwhile(gone));
        }
        let target_groups =
            groups.into_iter().zip(contents).map(|(group, contents)| with(group, &mut tags, contents)).collect();
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

    /// The groups that carry the mark of a balancer of our name, behind none or still shown behind that one.
    async fn orphans(&self) -> Result<Vec<TargetGroup>, AwsError> {
        if self.policy.teardown != Teardown::All {
            return Ok(Vec::new());
        }
        let name = self.policy.load_balancer.as_str();
        let mut groups = self.platform.target_groups(None).await?;
        groups.retain(|group| group.load_balancer_arns.iter().all(|arn| load_balancer_name(arn) == Some(name)));
        let arns: Vec<_> = groups.iter().map(|group| group.arn.clone()).collect();
        let mut tags = self.platform.tags(&arns).await?;
        let mut orphans: Vec<_> = groups.into_iter().map(|group| with(group, &mut tags, Contents::default())).collect();
        orphans.retain(|group| {
            let marked_with = group.tags.get(LOAD_BALANCER_TAG).map(String::as_str);
            marked_with.and_then(load_balancer_name) == Some(name)
        });
        Ok(orphans)
    }
}

/// A balancer or a group went between two calls of a look.
fn gone_meanwhile(arn: &str) -> AwsError {
    AwsError {
        kind: ErrorKind::NotFound,
        service: "elasticloadbalancing",
        operation: "DescribeTags",
        resource: arn.to_owned(),
        code: None,
        message: "it went while it was looked at".to_owned(),
        request_id: None,
    }
}

/// What is in a target group.
#[derive(Default)]
struct Contents {
    targets: Vec<Target>,
    healthy_others: usize,
}

fn with(group: TargetGroupDescription, tags: &mut BTreeMap<String, Tags>, contents: Contents) -> TargetGroup {
    let TargetGroupDescription { arn, name, target_type, load_balancer_arns: _ } = group;
    let Contents { targets, healthy_others } = contents;
    let tags = tags.remove(&arn).unwrap_or_default();
    TargetGroup { arn, name, target_type, tags, targets, healthy_others }
}
