//! The status of the platform, as data: an observation, the event source, and what the watcher would do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::event_source::QueueDescription;
use crate::controller::scope::Scope;
use jvb_watcher_cost::{BillItem, Model, Prices, billed_hours};
use jvb_watcher_rules::bounds::{Backlog, overdue};
use jvb_watcher_rules::current_use::UnknownUse;
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{
    FlowHistory, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer, LoadBalancerKind,
    Observation, Phase, STOP_AT_TAG, Service, TargetGroup, TargetType, Task, TasksByAddress,
};
use jvb_watcher_rules::plan::{Plan, Policy};

pub mod fleet;
mod fleet_text;
mod next;
mod page;
mod remarks;
mod text;

pub use fleet_text::{Extent, fleet_text};
pub use next::{Intent, IntentKind, Next};
pub use page::{REFRESH_SECONDS, SERVICES_PATH, STYLE, StatusPage};
pub use text::text;

/// The data that the status is derived from, and the rules to judge it by.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The cluster and the service.
    pub scope: &'a Scope,
    /// The watcher's rules.
    pub policy: &'a Policy,
    /// The observation.
    pub observation: &'a Observation,
    /// The plan that follows from it.
    pub plan: &'a Plan,
    /// The queue; `None` if it doesn't exist or could not be read.
    pub queue: Option<&'a QueueDescription>,
    /// The dead-letter queue; `None` if there is none or it could not be read.
    pub dead_letter_queue: Option<&'a QueueDescription>,
    /// The findings about the event source.
    pub event_source_findings: &'a [Finding],
    /// The errors of what could not be read.
    pub unread: &'a [String],
    /// The model of the costs.
    pub costs: &'a Model,
    /// The time of the observation.
    pub now: Timestamp,
}

/// The status of the platform.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "their names describe them; ages and spans are in whole seconds")]
pub struct Status {
    #[serde(serialize_with = "whole_seconds")]
    pub at: Timestamp,
    /// True if there are neither remarks nor findings, apart from a hold in force.
    pub well: bool,
    pub findings: Vec<FindingStatus>,
    /// Problems that aren't findings: overdue work, unhealthy targets, messages in the dead-letter queue.
    pub remarks: Vec<String>,
    /// The errors of what could not be read.
    pub unread: Vec<String>,
    pub service: ServiceStatus,
    pub tasks: Vec<TaskStatus>,
    pub load_balancer: Option<LoadBalancerStatus>,
    pub target_groups: Vec<TargetGroupStatus>,
    /// The use of the load balancer; `None` where it isn't read: without a load balancer, or with `--no-usage`.
    pub usage: Option<UsageStatus>,
    pub queue: Option<QueueStatus>,
    pub dead_letter_queue: Option<QueueStatus>,
    pub next: Next,
}

/// A finding, with its remedy.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see Finding")]
pub struct FindingStatus {
    pub finding: FindingName,
    pub subject: String,
    pub detail: String,
    pub advice: &'static str,
}

/// The service's counts.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see Counts")]
pub struct ServiceStatus {
    pub cluster: String,
    pub service: String,
    /// True if DescribeServices returns it.
    pub exists: bool,
    pub desired: i32,
    pub running: i32,
    pub pending: i32,
}

/// A task.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see Task")]
pub struct TaskStatus {
    pub task_id: String,
    pub addresses: Vec<IpAddr>,
    pub version: Option<i64>,
    pub state: TaskState,
    /// The time since it reached RUNNING.
    pub age_seconds: Option<u64>,
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// lastStatus and desiredStatus are both RUNNING.
    Serving,
    /// Desired, but not RUNNING.
    Starting,
    /// Stopping.
    Stopping,
    /// Stopped. ECS shows it for about an hour.
    Stopped,
}

/// The load balancer.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see LoadBalancer")]
pub struct LoadBalancerStatus {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub state: &'static str,
    #[serde(serialize_with = "whole_seconds")]
    pub created_at: Timestamp,
    pub age_seconds: u64,
    /// The tags that the watcher depends on: the owner tag's key, the mark, the hold, and the announced stop.
    pub tags: BTreeMap<String, String>,
    /// The cost of the platform since the load balancer's creation, with tasks as long, in US dollars.
    pub cost_usd: f64,
    /// Its items; none at an hourly price that was given.
    pub cost_items: Vec<BillItem>,
    pub hourly_price_usd: f64,
    /// The hours of the load balancer that have begun, which are billed.
    pub billed_hours: u64,
    /// The end of the last of them.
    #[serde(serialize_with = "whole_seconds")]
    pub paid_until: Timestamp,
    /// The unit prices.
    pub prices: Prices,
}

/// The use of the load balancer, as CloudWatch shows it.
#[derive(Debug, Serialize)]
pub struct UsageStatus {
    /// The flows in the newest known minute; `None` if no minute is known.
    pub flows: Option<u64>,
    /// The start of that minute.
    #[serde(serialize_with = "next::whole_seconds_if_any")]
    pub minute: Option<Timestamp>,
    /// The start of the first of the known minutes in a row without use, up to that one, as far back as they are read (an
    /// hour, or longer where `--stop-when-unused` needs it); `None` while it is in use, or its use is unknown.
    #[serde(serialize_with = "next::whole_seconds_if_any")]
    pub unused_since: Option<Timestamp>,
    /// Why the present use is unknown, which counts as in use; `None` if it is known.
    pub unknown: Option<String>,
}

/// A target group of the load balancer, or of a deleted one.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see TargetGroup")]
pub struct TargetGroupStatus {
    pub target_group: String,
    pub target_type: String,
    pub port: Option<u16>,
    /// True if its load balancer is deleted.
    pub left_over: bool,
    pub targets: Vec<TargetStatus>,
}

/// A target.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see Target")]
pub struct TargetStatus {
    pub ip: IpAddr,
    pub port: u16,
    pub state: &'static str,
    pub reason: Option<String>,
    /// The service's task at the address.
    pub task_id: Option<String>,
}

/// The depth of a queue.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see QueueDescription")]
pub struct QueueStatus {
    pub name: String,
    pub waiting: u64,
    pub in_flight: u64,
    pub delayed: u64,
    /// The highest possible age of its oldest message; `None` if it is empty. Only CloudWatch has the age
    /// (ApproximateAgeOfOldestMessage); receiving a message to see its age would count as a receive.
    pub oldest_message_at_most_seconds: Option<u64>,
}

impl Status {
    /// Combines what was read.
    pub fn new(snapshot: &Snapshot<'_>) -> Self {
        let Snapshot { observation, now, .. } = *snapshot;
        let mut findings: Vec<_> =
            snapshot.plan.findings.iter().chain(snapshot.event_source_findings).cloned().collect();
        findings.sort();
        let mut tasks: Vec<_> = observation.tasks.iter().map(|task| task_status(task, now)).collect();
        tasks.sort_by(|a, b| (a.state, &a.task_id).cmp(&(b.state, &b.task_id)));
        let by_address = observation.tasks_by_address();
        let group = |group: &TargetGroup, left_over| target_group_status(group, left_over, &by_address);
        let groups = observation.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups);
        let orphaned = observation.orphaned_target_groups.iter().map(|of| group(of, true));
        let mut target_groups: Vec<_> = groups.map(|of| group(of, false)).chain(orphaned).collect();
        target_groups.sort_by(|a, b| a.target_group.cmp(&b.target_group));
        let backlog =
            snapshot.queue.map(|queue| Backlog { queue: queue.name(), messages: queue.waiting + queue.in_flight });
        let overdue = overdue(observation, snapshot.plan, snapshot.policy, backlog, now);
        let remarks = remarks::remarks(observation, &overdue, snapshot.dead_letter_queue, now);
        Self {
            at: now,
            // An operator who holds the load balancer knows of it.
            well: remarks.is_empty() && findings.iter().all(|finding| finding.name.is_informational()),
            findings: findings.into_iter().map(finding_status).collect(),
            remarks,
            unread: snapshot.unread.to_vec(),
            service: service_status(snapshot.scope, observation.service),
            tasks,
            load_balancer: observation.load_balancer.as_ref().map(|found| load_balancer_status(found, snapshot)),
            target_groups,
            usage: observation.flows.as_ref().map(|flows| usage_status(flows, snapshot.policy, now)),
            queue: snapshot.queue.map(|queue| queue_status(queue, now)),
            dead_letter_queue: snapshot.dead_letter_queue.map(|queue| queue_status(queue, now)),
            next: Next::new(observation, snapshot.plan, snapshot.policy, now),
        }
    }
}

/// Serializes a time as RFC 3339 with whole seconds.
fn whole_seconds<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.0}"))
}

fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    // Negative if the clocks differ.
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

fn finding_status(Finding { name, subject, detail }: Finding) -> FindingStatus {
    FindingStatus { finding: name, subject, detail, advice: name.advice() }
}

fn service_status(scope: &Scope, service: Service) -> ServiceStatus {
    let (exists, counts) = match service {
        Service::Found(counts) => (true, counts),
        Service::Missing => (false, Default::default()),
    };
    ServiceStatus {
        cluster: jvb_watcher_rules::model::cluster_name(&scope.cluster).to_owned(),
        service: scope.service.clone(),
        exists,
        desired: counts.desired,
        running: counts.running,
        pending: counts.pending,
    }
}

fn task_status(task: &Task, now: Timestamp) -> TaskStatus {
    let addresses = task.ipv4.map(IpAddr::V4).into_iter().chain(task.ipv6.map(IpAddr::V6));
    TaskStatus {
        task_id: task.id.to_string(),
        addresses: addresses.collect(),
        version: task.version,
        state: match (task.phase(), task.last_status) {
            (Phase::Serving, _) => TaskState::Serving,
            (Phase::Starting, _) => TaskState::Starting,
            (Phase::Stopping, LastStatus::Stopped) => TaskState::Stopped,
            (Phase::Stopping, _) => TaskState::Stopping,
        },
        age_seconds: task.started_at.map(|started_at| seconds_between(started_at, now)),
    }
}

fn load_balancer_status(load_balancer: &LoadBalancer, snapshot: &Snapshot<'_>) -> LoadBalancerStatus {
    let shown =
        [snapshot.policy.owner_tag.key.as_str(), IDLE_SINCE_TAG, LOAD_BALANCER_TAG, HOLD_UNTIL_TAG, STOP_AT_TAG];
    let tags = load_balancer.tags.iter().filter(|(key, _)| shown.contains(&key.as_str()));
    let age_seconds = seconds_between(load_balancer.created_at, snapshot.now);
    let (costs, age) = (snapshot.costs, Duration::from_secs(age_seconds));
    let (run, billed_hours) = (costs.run(age), billed_hours(age));
    LoadBalancerStatus {
        name: load_balancer.name.clone(),
        kind: match &load_balancer.kind {
            LoadBalancerKind::Network => "network".to_owned(),
            LoadBalancerKind::Other(kind) => kind.clone(),
        },
        state: load_balancer.state.as_str(),
        created_at: load_balancer.created_at,
        age_seconds,
        tags: tags.map(|(key, value)| (key.clone(), value.clone())).collect(),
        cost_usd: costs.run_cost(&run),
        cost_items: costs.run_items(&run),
        hourly_price_usd: costs.hourly(),
        billed_hours,
        paid_until: load_balancer.created_at + Duration::from_secs(billed_hours * 3600),
        prices: costs.prices.clone(),
    }
}

fn usage_status(flows: &FlowHistory, policy: &Policy, now: Timestamp) -> UsageStatus {
    let newest = flows.newest();
    let unknown = UnknownUse::of(flows, now);
    UsageStatus {
        flows: newest.map(|(_, minute)| minute.flows),
        minute: newest.map(|(start, _)| start),
        unused_since: flows.unused_since(policy.usage.threshold).filter(|_| unknown.is_none()),
        unknown: unknown.map(|unknown| unknown.to_string()),
    }
}

fn target_group_status(group: &TargetGroup, left_over: bool, tasks: &TasksByAddress<'_>) -> TargetGroupStatus {
    let (target_type, port) = match &group.target_type {
        TargetType::Ip { port, .. } => ("ip".to_owned(), Some(*port)),
        TargetType::Other(other) => (other.clone(), None),
    };
    let mut targets: Vec<_> = group.targets.iter().collect();
    targets.sort_by_key(|target| (target.ip, target.port));
    let target = |target: &jvb_watcher_rules::model::Target| TargetStatus {
        ip: target.ip,
        port: target.port,
        state: target.state.as_str(),
        reason: target.reason.clone(),
        task_id: tasks.get(target.ip).map(|task| task.id.to_string()),
    };
    let targets = targets.into_iter().map(target).collect();
    TargetGroupStatus { target_group: group.name.clone(), target_type, port, left_over, targets }
}

fn queue_status(queue: &QueueDescription, now: Timestamp) -> QueueStatus {
    let at_most = queue.retention.as_secs().min(seconds_between(queue.created_at, now));
    QueueStatus {
        name: queue.name().to_owned(),
        waiting: queue.waiting,
        in_flight: queue.in_flight,
        delayed: queue.delayed,
        oldest_message_at_most_seconds: (queue.depth() > 0).then_some(at_most),
    }
}

#[cfg(test)]
mod tests;
