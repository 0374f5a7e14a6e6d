//! What `status` shows, as data: a look, what leads events to the watcher, and what it would do now.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::event_source::QueueDescription;
use crate::controller::scope::Scope;
use jvb_watcher_rules::finding::{Finding, FindingName};
use jvb_watcher_rules::model::{
    HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer, LoadBalancerKind, Observation, Phase,
    Service, TargetGroup, TargetState, TargetType, Task,
};
use jvb_watcher_rules::plan::{Plan, Policy};

mod next;
mod text;

pub use next::{Intent, IntentKind, Next};
pub use text::text;

/// What was read, and by which rules to judge it.
#[derive(Debug)]
pub struct Sight<'a> {
    /// The cluster and the service.
    pub scope: &'a Scope,
    /// The rules that the watcher goes by.
    pub policy: &'a Policy,
    /// What AWS showed.
    pub observation: &'a Observation,
    /// What follows.
    pub plan: &'a Plan,
    /// The queue, if it is there and could be read.
    pub queue: Option<&'a QueueDescription>,
    /// Its dead-letter queue, if it has one that could be read.
    pub dead_letter_queue: Option<&'a QueueDescription>,
    /// What keeps events from arriving.
    pub feed_findings: &'a [Finding],
    /// What could not be read, and why.
    pub unread: &'a [String],
    /// What the platform costs an hour while its balancer is there, in US dollars.
    pub hourly_price_usd: f64,
    /// When all this was so.
    pub now: Timestamp,
}

/// Is it well?
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "their names say it; ages and spans are in seconds")]
pub struct Status {
    pub at: Timestamp,
    /// Whether there are neither findings nor remarks.
    pub well: bool,
    pub findings: Vec<FindingStatus>,
    /// What isn't well, though it is none of the watcher's findings: it can do nothing about it.
    pub remarks: Vec<String>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
    pub service: ServiceStatus,
    pub tasks: Vec<TaskStatus>,
    pub load_balancer: Option<BalancerStatus>,
    pub target_groups: Vec<GroupStatus>,
    pub queue: Option<QueueStatus>,
    pub dead_letter_queue: Option<QueueStatus>,
    pub next: Next,
}

/// A finding, with what to do.
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
    /// Whether DescribeServices shows it.
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
    /// How long ago it came to RUNNING.
    pub age_seconds: Option<u64>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// lastStatus and desiredStatus are both RUNNING.
    Serving,
    /// Wanted, and not RUNNING yet.
    Starting,
    /// Told to stop, and not stopped yet.
    Stopping,
    /// Stopped; ECS shows it for an hour or so.
    Stopped,
}

/// The load balancer.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see LoadBalancer")]
pub struct BalancerStatus {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub state: &'static str,
    pub created_at: Timestamp,
    pub age_seconds: u64,
    /// The tags that the watcher goes by: the owner tag's key, the marks, a hold.
    pub tags: BTreeMap<String, String>,
    /// What the platform has cost since the balancer was created, in US dollars.
    pub cost_usd: f64,
    pub hourly_price_usd: f64,
}

/// A target group, behind the balancer or left of one.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see TargetGroup")]
pub struct GroupStatus {
    pub target_group: String,
    pub target_type: String,
    pub port: Option<u16>,
    /// Whether its balancer is gone.
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
    /// The task of the service that has the address.
    pub task_id: Option<String>,
}

/// A queue's depth.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "see QueueDescription")]
pub struct QueueStatus {
    pub name: String,
    pub waiting: u64,
    pub in_flight: u64,
    pub delayed: u64,
    /// The age that its oldest message has at most; `None` when it is empty. SQS itself doesn't tell more: only
    /// CloudWatch has the age (ApproximateAgeOfOldestMessage), and to receive a message is to count it as received.
    pub oldest_message_at_most_seconds: Option<u64>,
}

impl Status {
    /// Puts together what was read.
    pub fn new(sight: &Sight<'_>) -> Self {
        let Sight { observation, now, .. } = *sight;
        let mut findings: Vec<_> = sight.plan.findings.iter().chain(sight.feed_findings).cloned().collect();
        findings.sort();
        let mut tasks: Vec<_> = observation.tasks.iter().map(|task| task_status(task, now)).collect();
        tasks.sort_by(|a, b| (a.state, &a.task_id).cmp(&(b.state, &b.task_id)));
        let group = |group: &TargetGroup, left_over| group_status(group, left_over, observation);
        let behind = observation.load_balancer.iter().flat_map(|balancer| &balancer.target_groups);
        let groups = behind.map(|of| group(of, false));
        let left = observation.orphaned_target_groups.iter().map(|of| group(of, true));
        let mut target_groups: Vec<_> = groups.chain(left).collect();
        target_groups.sort_by(|a, b| a.target_group.cmp(&b.target_group));
        let remarks = remarks(observation, sight.dead_letter_queue);
        Self {
            at: now,
            well: findings.is_empty() && remarks.is_empty(),
            findings: findings.into_iter().map(finding_status).collect(),
            remarks,
            unread: sight.unread.to_vec(),
            service: service_status(sight.scope, observation.service),
            tasks,
            load_balancer: observation.load_balancer.as_ref().map(|balancer| balancer_status(balancer, sight)),
            target_groups,
            queue: sight.queue.map(|queue| queue_status(queue, now)),
            dead_letter_queue: sight.dead_letter_queue.map(|queue| queue_status(queue, now)),
            next: Next::new(observation, sight.plan, sight.policy, now),
        }
    }
}

fn remarks(observation: &Observation, dead_letter_queue: Option<&QueueDescription>) -> Vec<String> {
    let mut remarks = Vec::new();
    let unhealthy = observation.targets().filter(|(_, target)| target.state == TargetState::Unhealthy).count();
    if unhealthy > 0 {
        remarks.push(format!("{unhealthy} target(s) fail their health checks"));
    }
    if let Some(queue) = dead_letter_queue.filter(|queue| queue.depth() > 0) {
        remarks.push(format!("{} message(s) lie in the dead-letter queue {}", queue.depth(), queue.name()));
    }
    remarks
}

fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    // Below zero when the clocks differ.
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

fn balancer_status(balancer: &LoadBalancer, sight: &Sight<'_>) -> BalancerStatus {
    let told = [sight.policy.owner_tag.key.as_str(), IDLE_SINCE_TAG, LOAD_BALANCER_TAG, HOLD_UNTIL_TAG];
    let tags = balancer.tags.iter().filter(|(key, _)| told.contains(&key.as_str()));
    let age_seconds = seconds_between(balancer.created_at, sight.now);
    BalancerStatus {
        name: balancer.name.clone(),
        kind: match &balancer.kind {
            LoadBalancerKind::Network => "network".to_owned(),
            LoadBalancerKind::Other(kind) => kind.clone(),
        },
        state: balancer.state.as_str(),
        created_at: balancer.created_at,
        age_seconds,
        tags: tags.map(|(key, value)| (key.clone(), value.clone())).collect(),
        cost_usd: Duration::from_secs(age_seconds).as_secs_f64() / 3600.0 * sight.hourly_price_usd,
        hourly_price_usd: sight.hourly_price_usd,
    }
}

fn group_status(group: &TargetGroup, left_over: bool, observation: &Observation) -> GroupStatus {
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
        task_id: observation.task_with_address(target.ip).map(|task| task.id.to_string()),
    };
    let targets = targets.into_iter().map(target).collect();
    GroupStatus { target_group: group.name.clone(), target_type, port, left_over, targets }
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
