//! The status of several services: a verdict, the services that aren't well, and a line about the others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    FindingStatus, QueueStatus, Snapshot, Status, TaskState, finding_status, queue_status, remarks, whole_seconds,
};
use crate::aws::AwsError;
use crate::aws::event_source::QueueDescription;
use crate::controller::scope::Scope;
use jvb_watcher_cost::Model;
use jvb_watcher_rules::bounds::{Backlog, Overdue, Work, overdue};
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::Observation;
use jvb_watcher_rules::plan::{Plan, Policy};

/// What was read of several services.
#[derive(Debug)]
pub struct FleetSnapshot<'a> {
    /// The services, in any order.
    pub services: Vec<ServiceReading>,
    /// The services that can't be watched, and why.
    pub not_watched: Vec<(ServiceNames, Vec<Finding>)>,
    /// The clusters whose services could not be discovered.
    pub unread_clusters: Vec<(String, AwsError)>,
    /// The findings about the event source, if there is no service that has them.
    pub event_source_findings: Vec<Finding>,
    /// The queue; `None` if it doesn't exist or could not be read.
    pub queue: Option<&'a QueueDescription>,
    /// The dead-letter queue; `None` if there is none or it could not be read.
    pub dead_letter_queue: Option<&'a QueueDescription>,
    /// The errors of what could not be read of the queue and its rule.
    pub unread: Vec<String>,
    /// The model of the costs.
    pub costs: &'a Model,
    /// The time of the observation.
    pub now: Timestamp,
}

impl<'a> FleetSnapshot<'a> {
    /// The services alone: nothing is known of the queue, of what can't be watched, or of what could not be read.
    pub fn of_services(services: Vec<ServiceReading>, costs: &'a Model, now: Timestamp) -> Self {
        Self {
            services,
            not_watched: Vec::new(),
            unread_clusters: Vec::new(),
            event_source_findings: Vec::new(),
            queue: None,
            dead_letter_queue: None,
            unread: Vec::new(),
            costs,
            now,
        }
    }
}

/// What was read of one of several services.
#[derive(Debug)]
pub struct ServiceReading {
    /// Its names.
    pub names: ServiceNames,
    /// The cluster and the service.
    pub scope: Scope,
    /// The watcher's rules.
    pub policy: Policy,
    /// The observation and the plan that follows from it.
    pub observed: Result<(Observation, Plan), AwsError>,
    /// The time of the observation.
    pub observed_at: Timestamp,
    /// The findings about the event source.
    pub event_source_findings: Vec<Finding>,
}

/// The names of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "their names describe them")]
pub struct ServiceNames {
    pub cluster: String,
    pub service: String,
    pub project: String,
    /// `None` if it isn't known: the service can't be watched.
    pub load_balancer: Option<String>,
}

/// The status of several services.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "their names describe them")]
pub struct FleetStatus {
    #[serde(serialize_with = "whole_seconds")]
    pub at: Timestamp,
    /// True if all services are well, and what they share is.
    pub well: bool,
    pub summary: Summary,
    /// The findings that every observed service has: those of the queue and of its rule. No service repeats them.
    pub findings: Vec<FindingStatus>,
    /// Problems of the queue.
    pub remarks: Vec<String>,
    /// The errors of what could not be read of the queue and its rule.
    pub unread: Vec<String>,
    /// The clusters whose services could not be discovered.
    pub unread_clusters: Vec<UnreadCluster>,
    pub queue: Option<QueueStatus>,
    pub dead_letter_queue: Option<QueueStatus>,
    /// The services, in the order of their clusters and names.
    pub services: Vec<ServiceEntry>,
}

/// A cluster whose services could not be discovered.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "their names describe them")]
pub struct UnreadCluster {
    pub cluster: String,
    pub error: String,
}

/// The number of services in each condition.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All services.
    pub services: usize,
    /// Those that are well.
    pub well: usize,
    /// Those that were observed and aren't well, and those that can't be watched.
    pub not_well: usize,
    /// Those that could not be observed.
    pub failed: usize,
    /// Those in each state.
    pub states: BTreeMap<State, usize>,
}

/// One of several services.
#[derive(Debug, Serialize)]
pub struct ServiceEntry {
    /// Its names.
    pub names: ServiceNames,
    /// Its state.
    pub state: State,
    /// What is known of it.
    #[serde(flatten)]
    pub condition: Condition,
}

/// What is known of a service.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Condition {
    /// Its status. The queue is not part of it: all services share it.
    Observed(Box<Status>),
    /// It could not be observed.
    Failed {
        /// False.
        well: bool,
        /// The reason.
        error: String,
    },
    /// It can't be watched.
    NotWatched {
        /// False.
        well: bool,
        /// The reasons.
        findings: Vec<FindingStatus>,
    },
}

/// The state of a service, whether it is well or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A task serves.
    Serving,
    /// Tasks are desired, and none serves.
    Starting,
    /// No task is desired, and some still run.
    Stopping,
    /// Idle, with a load balancer that a hold keeps.
    Held,
    /// Idle, with a load balancer, or with target groups of a deleted one.
    Idle,
    /// Idle, without a load balancer.
    AtRest,
    /// The service doesn't exist.
    Missing,
    /// It could not be observed.
    Failed,
    /// It can't be watched.
    NotWatched,
}

impl State {
    pub(super) fn of(status: &Status) -> Self {
        let has_task = |state| status.tasks.iter().any(|task| task.state == state);
        let is_held = || status.findings.iter().any(|finding| finding.finding == FindingName::HoldActive);
        if !status.service.exists {
            Self::Missing
        } else if has_task(TaskState::Serving) {
            Self::Serving
        } else if status.service.desired > 0 || status.service.pending > 0 {
            Self::Starting
        } else if status.service.running > 0 || has_task(TaskState::Stopping) {
            Self::Stopping
        } else if status.load_balancer.is_some() {
            if is_held() { Self::Held } else { Self::Idle }
        } else if status.target_groups.iter().any(|group| group.left_over) {
            Self::Idle
        } else {
            Self::AtRest
        }
    }

    /// Returns the state's name in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Held => "held",
            Self::Idle => "idle",
            Self::AtRest => "at rest",
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::NotWatched => "not watched",
        }
    }
}

impl ServiceEntry {
    /// Returns whether the service was observed and is well.
    pub fn is_well(&self) -> bool {
        matches!(&self.condition, Condition::Observed(status) if status.well)
    }

    /// Returns whether the service could not be observed.
    pub fn has_failed(&self) -> bool {
        matches!(self.condition, Condition::Failed { .. })
    }
}

impl FleetStatus {
    /// Combines what was read.
    pub fn new(snapshot: FleetSnapshot<'_>) -> Self {
        let FleetSnapshot {
            services, not_watched, unread_clusters, queue, dead_letter_queue, unread, costs, now, ..
        } = snapshot;
        let mut shared = shared_findings(&services);
        shared.extend(snapshot.event_source_findings);
        let overdue = overdue_messages(&services, queue, now);
        let remarks = remarks::of_queue(overdue.as_ref(), dead_letter_queue, now);
        let observed = services.into_iter().map(|service| entry(service, &shared, costs));
        let not_watched = not_watched.into_iter().map(|(names, findings)| {
            let findings = findings.into_iter().map(finding_status).collect();
            ServiceEntry { names, state: State::NotWatched, condition: Condition::NotWatched { well: false, findings } }
        });
        let mut services: Vec<_> = observed.chain(not_watched).collect();
        services.sort_by(|a, b| a.names.cmp(&b.names));
        let summary = Summary::of(&services);
        let unread_clusters: Vec<_> = unread_clusters
            .into_iter()
            .map(|(cluster, error)| UnreadCluster { cluster, error: error.with_remedy() })
            .collect();
        Self {
            at: now,
            // Without a service nothing was observed: the list or the tags are wrong.
            well: summary.services > 0
                && summary.well == summary.services
                && shared.is_empty()
                && remarks.is_empty()
                && unread_clusters.is_empty(),
            summary,
            findings: shared.into_iter().map(finding_status).collect(),
            remarks,
            unread,
            unread_clusters,
            queue: queue.map(|queue| queue_status(queue, now)),
            dead_letter_queue: dead_letter_queue.map(|queue| queue_status(queue, now)),
            services,
        }
    }

    /// Returns whether something could not be observed.
    pub fn has_failures(&self) -> bool {
        self.summary.failed > 0 || !self.unread_clusters.is_empty()
    }
}

impl Summary {
    fn of(services: &[ServiceEntry]) -> Self {
        let count = |is_counted: fn(&ServiceEntry) -> bool| services.iter().filter(|of| is_counted(of)).count();
        let mut states = BTreeMap::new();
        for service in services {
            *states.entry(service.state).or_default() += 1;
        }
        let (well, failed) = (count(ServiceEntry::is_well), count(ServiceEntry::has_failed));
        Self { services: services.len(), well, not_well: services.len() - well - failed, failed, states }
    }
}

fn entry(service: ServiceReading, shared: &[Finding], costs: &Model) -> ServiceEntry {
    let ServiceReading { names, scope, policy, observed, observed_at, mut event_source_findings } = service;
    event_source_findings.retain(|finding| !shared.contains(finding));
    match observed {
        Ok((observation, plan)) => {
            let status = Status::new(&Snapshot {
                scope: &scope,
                policy: &policy,
                observation: &observation,
                plan: &plan,
                queue: None,
                dead_letter_queue: None,
                event_source_findings: &event_source_findings,
                unread: &[],
                costs,
                now: observed_at,
            });
            ServiceEntry { names, state: State::of(&status), condition: Condition::Observed(Box::new(status)) }
        }
        Err(error) => {
            let condition = Condition::Failed { well: false, error: error.with_remedy() };
            ServiceEntry { names, state: State::Failed, condition }
        }
    }
}

/// Returns the findings about the event source that every service has.
fn shared_findings(services: &[ServiceReading]) -> Vec<Finding> {
    let Some((first, rest)) = services.split_first() else { return Vec::new() };
    let is_shared = |finding: &&Finding| rest.iter().all(|service| service.event_source_findings.contains(finding));
    first.event_source_findings.iter().filter(is_shared).cloned().collect()
}

/// Returns the messages on the queue if they are overdue. They may be about any of the services, so they are only if no
/// service has had a change lately that explains them.
fn overdue_messages(services: &[ServiceReading], queue: Option<&QueueDescription>, now: Timestamp) -> Option<Overdue> {
    let queue = queue?;
    let mut latest: Option<Overdue> = None;
    for ServiceReading { policy, observed, .. } in services {
        let (observation, plan) = observed.as_ref().ok()?;
        let backlog = Backlog { queue: queue.name(), messages: queue.waiting + queue.in_flight };
        let all = overdue(observation, plan, policy, Some(backlog), now);
        let messages = all.into_iter().find(|overdue| overdue.work == Work::Messages)?;
        if latest.as_ref().is_none_or(|latest| latest.since < messages.since) {
            latest = Some(messages);
        }
    }
    latest
}

#[cfg(test)]
mod tests;
