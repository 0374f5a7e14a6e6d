//! What the watcher sees of AWS, in the field's words and free of any SDK type.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

/// The tag that says since when the service behind a load balancer has been idle (RFC 3339).
pub const IDLE_SINCE_TAG: &str = "jvb-watcher:idle-since";

/// The tag beside [`IDLE_SINCE_TAG`] that says which load balancer (its ARN) a marked target group belongs to.
///
/// Once that balancer is deleted, nothing else tells whose group it was.
pub const LOAD_BALANCER_TAG: &str = "jvb-watcher:load-balancer";

/// The tag by which an operator forbids mark and teardown until an instant (RFC 3339).
pub const HOLD_UNTIL_TAG: &str = "jvb-watcher:hold-until";

/// The tag beside [`HOLD_UNTIL_TAG`] that says who holds; without it, it was done by hand.
pub const HELD_BY_TAG: &str = "jvb-watcher:held-by";

/// The tag on the ECS service by which of two that scale at once the later one wins.
pub const OPERATION_TAG: &str = "jvb-watcher:operation";

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// The id of a task: the last segment of its ARN, 32 hexadecimal digits or a UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// The task's id out of its ARN, in the long form (`…:task/CLUSTER/ID`) or the old short one (`…:task/ID`);
    /// `None` for anything that isn't a task's ARN.
    ///
    /// Only such ids go into DescribeTasks, which refuses a whole call for one id of another shape.
    pub fn from_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        if parts.next() != Some("arn") || !parts.next()?.starts_with("aws") || parts.next() != Some("ecs") {
            return None;
        }
        let resource = parts.nth(2)?.strip_prefix("task/")?;
        let id = resource.rsplit('/').next()?;
        let hyphens: &[usize] = if id.len() == 36 { &[8, 13, 18, 23] } else { &[] };
        let fits = |(place, c): (usize, char)| if hyphens.contains(&place) { c == '-' } else { c.is_ascii_hexdigit() };
        (matches!(id.len(), 32 | 36) && id.char_indices().all(fits)).then(|| Self(id.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name at the end of a cluster's ARN (`arn:…:cluster/NAME`), or the name itself.
pub fn cluster_name(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

/// The load balancer's name inside its ARN: `…:loadbalancer/net/NAME/ID`.
pub fn load_balancer_name(arn: &str) -> Option<&str> {
    let (_, resource) = arn.split_once(":loadbalancer/")?;
    resource.split('/').nth(1)
}

/// What ECS says a task is doing (`lastStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LastStatus {
    /// PROVISIONING, PENDING or ACTIVATING.
    Starting,
    /// RUNNING.
    Running,
    /// DEACTIVATING, STOPPING or DEPROVISIONING.
    Stopping,
    /// STOPPED or DELETED.
    Stopped,
    /// A status that this version doesn't know: neither serving nor gone.
    Unknown,
}

impl LastStatus {
    /// From the API's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "PROVISIONING" | "PENDING" | "ACTIVATING" => Self::Starting,
            "RUNNING" => Self::Running,
            "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" => Self::Stopping,
            "STOPPED" | "DELETED" => Self::Stopped,
            _ => Self::Unknown,
        }
    }
}

/// What ECS wants of a task (`desiredStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DesiredStatus {
    /// RUNNING.
    Running,
    /// STOPPED: from here on it should get no new traffic, even while lastStatus is still RUNNING.
    Stopped,
    /// A status that this version doesn't know; counts as wanted, never as serving.
    Unknown,
}

impl DesiredStatus {
    /// From the API's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "RUNNING" => Self::Running,
            "STOPPED" => Self::Stopped,
            _ => Self::Unknown,
        }
    }
}

/// Where a task stands for somebody who wants to send it traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Wanted, not there yet: its address is its own, but it can't serve.
    Starting,
    /// lastStatus and desiredStatus are both RUNNING.
    Serving,
    /// Stopping or stopped, or about to be.
    Stopping,
}

/// One task, as DescribeTasks shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// `service:NAME` for a service's task, `family:NAME` for a standalone one.
    pub group: Option<String>,
    /// What it does.
    pub last_status: LastStatus,
    /// What is wanted of it.
    pub desired_status: DesiredStatus,
    /// Rises by one with each change; the events carry the same number.
    pub version: Option<i64>,
    /// The private IPv4 address of its network interface, once it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address of its network interface, where the subnet gives one.
    pub ipv6: Option<Ipv6Addr>,
    /// When it came to RUNNING.
    pub started_at: Option<Timestamp>,
    /// When it was told to stop.
    pub stopping_at: Option<Timestamp>,
    /// When it had stopped.
    pub stopped_at: Option<Timestamp>,
    /// Why it was stopped, in ECS's words.
    pub stopped_reason: Option<String>,
}

impl Task {
    /// Where the task stands.
    pub fn phase(&self) -> Phase {
        match (self.last_status, self.desired_status) {
            (LastStatus::Stopping | LastStatus::Stopped, _) | (_, DesiredStatus::Stopped) => Phase::Stopping,
            (LastStatus::Running, DesiredStatus::Running) => Phase::Serving,
            _ => Phase::Starting,
        }
    }

    /// When it was told to stop, or, where AWS doesn't say, when it had stopped.
    pub fn left_at(&self) -> Option<Timestamp> {
        self.stopping_at.or(self.stopped_at)
    }

    /// Its address of one family.
    pub fn address(&self, family: AddressFamily) -> Option<IpAddr> {
        match family {
            AddressFamily::Ipv4 => self.ipv4.map(IpAddr::V4),
            AddressFamily::Ipv6 => self.ipv6.map(IpAddr::V6),
        }
    }

    /// Whether the address, of either family, is this task's.
    pub fn has_address(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.ipv4 == Some(ip),
            IpAddr::V6(ip) => self.ipv6 == Some(ip),
        }
    }
}

/// The ECS service, as DescribeServices shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It exists (ACTIVE, or DRAINING while it is being deleted).
    Found(Counts),
    /// DescribeServices reports it MISSING or INACTIVE, or the cluster doesn't exist. A deleted service shows as INACTIVE
    /// with counts of zero for a while; its successor, under another name, may be using the balancer.
    Missing,
}

/// The service's task counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// desiredCount.
    pub desired: i32,
    /// runningCount.
    pub running: i32,
    /// pendingCount.
    pub pending: i32,
}

/// The load balancer, with the target groups behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Network, or something that the watcher must not touch.
    pub kind: LoadBalancerKind,
    /// What state it is in.
    pub state: LoadBalancerState,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: Tags,
    /// The target groups behind it.
    pub target_groups: Vec<TargetGroup>,
}

/// The type of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// A network load balancer.
    Network,
    /// Any other, by AWS's name for it.
    Other(String),
}

/// The state of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerState {
    /// Being made: it serves nobody yet.
    Provisioning,
    /// In service.
    Active,
    /// In service with fewer resources than it needs.
    ActiveImpaired,
    /// Could not be set up.
    Failed,
    /// A state that this version doesn't know.
    Unknown,
}

impl LoadBalancerState {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::ActiveImpaired => "active_impaired",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// One target group.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// What it takes as targets.
    pub target_type: TargetType,
    /// Its tags.
    pub tags: Tags,
    /// The targets in it; read only where it takes addresses.
    pub targets: Vec<Target>,
    /// How many healthy targets are in it; counted only where it doesn't take addresses.
    pub healthy_others: usize,
}

/// What a target group takes as targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// Addresses: what Fargate tasks need.
    Ip {
        /// The family of the addresses.
        family: AddressFamily,
        /// The port that a target gets.
        port: u16,
    },
    /// Any other, by AWS's name for it.
    Other(String),
}

/// One target, as DescribeTargetHealth shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// How it does.
    pub state: TargetState,
    /// AWS's reason code for a state that isn't healthy.
    pub reason: Option<String>,
}

/// The state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// Registered, first health checks under way.
    Initial,
    /// Passes its health checks.
    Healthy,
    /// Fails them.
    Unhealthy,
    /// Deregistered, its flows running out.
    Draining,
    /// Registered, but its zone or group gets no traffic.
    Unused,
    /// Health checks don't work.
    Unavailable,
    /// A state that this version doesn't know.
    Unknown,
}

impl TargetState {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

/// What tells one registration from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The target group's ARN.
    pub target_group_arn: String,
    /// The target's address.
    pub ip: IpAddr,
    /// The target's port.
    pub port: u16,
}

/// All that one look found: the whole input of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The service.
    pub service: Service,
    /// The service's tasks, running and recently stopped, each once.
    pub tasks: Vec<Task>,
    /// The load balancer of the configured name, if there is one.
    pub load_balancer: Option<LoadBalancer>,
    /// Target groups behind no balancer that carry the mark of one with the configured name;
    /// looked for only when that balancer is gone.
    pub orphaned_target_groups: Vec<TargetGroup>,
    /// The targets for which an earlier look found no task, with the time of the first such look.
    pub unmatched_since: BTreeMap<TargetKey, Timestamp>,
    /// When the teardown that is under way was begun, or taken over, by this process.
    pub teardown_begun_at: Option<Timestamp>,
}

impl Observation {
    /// Every target behind the balancer, each with its group.
    pub fn targets(&self) -> impl Iterator<Item = (&TargetGroup, &Target)> {
        let groups = self.load_balancer.iter().flat_map(|balancer| &balancer.target_groups);
        groups.flat_map(|group| group.targets.iter().map(move |target| (group, target)))
    }

    /// The tasks that serve.
    pub fn serving(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.phase() == Phase::Serving)
    }

    /// The task that has an address; a wanted one before one that leaves, since addresses are used again.
    pub fn task_with_address(&self, ip: IpAddr) -> Option<&Task> {
        let holders = self.tasks.iter().filter(|task| task.has_address(ip));
        let rank = |task: &Task| match task.phase() {
            Phase::Serving => 0,
            Phase::Starting => 1,
            Phase::Stopping => 2,
        };
        // Of several in one phase the last to start; and always the same, whatever the order they were listed in.
        let order = |task: &Task| (rank(task), std::cmp::Reverse(task.started_at));
        holders.min_by(|a, b| (order(a), &a.id).cmp(&(order(b), &b.id)))
    }
}

impl TargetGroup {
    /// The key of a target in this group.
    pub fn key(&self, ip: IpAddr, port: u16) -> TargetKey {
        TargetKey { target_group_arn: self.arn.clone(), ip, port }
    }
}

/// How far the serving tasks are from being reachable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// How many tasks are desired.
    pub desired: usize,
    /// How many tasks serve.
    pub serving: usize,
    /// How many registrations that takes: one for each serving task and group.
    pub wanted: usize,
    /// How many of those are healthy.
    pub healthy: usize,
}

impl Readiness {
    /// Whether as many tasks serve as are desired, and each is healthy in every group.
    pub fn is_complete(self) -> bool {
        let reachable = self.wanted > 0 || self.serving == 0;
        self.serving >= self.desired && self.healthy == self.wanted && reachable
    }
}

impl Observation {
    /// How far the serving tasks are from being reachable.
    pub fn readiness(&self) -> Readiness {
        let Service::Found(counts) = self.service else { return Readiness::default() };
        let mut readiness = Readiness {
            desired: usize::try_from(counts.desired).unwrap_or(0),
            serving: self.serving().count(),
            ..Readiness::default()
        };
        for group in self.load_balancer.iter().flat_map(|balancer| &balancer.target_groups) {
            let TargetType::Ip { family, port } = group.target_type else { continue };
            readiness.wanted += readiness.serving;
            let is_healthy = |task: &&Task| {
                let of_task = |target: &&Target| Some(target.ip) == task.address(family) && target.port == port;
                group.targets.iter().filter(of_task).any(|target| target.state == TargetState::Healthy)
            };
            readiness.healthy += self.serving().filter(is_healthy).count();
        }
        readiness
    }
}

/// A set of targets.
pub type TargetKeys = BTreeSet<TargetKey>;
