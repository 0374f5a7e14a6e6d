//! The tasks of the ECS service.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use super::AddressFamily;

/// The id of a task: the last segment of its ARN, 32 hexadecimal digits or a UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// Parses a task's ARN in the long form (`…:task/CLUSTER/ID`) or the old short one (`…:task/ID`); returns `None` for
    /// anything else.
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

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The actual status of a task (`lastStatus`).
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
    /// A status that this version doesn't know: neither serving nor stopped.
    Unknown,
}

impl LastStatus {
    /// Parses the API's name of the status.
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

/// The status that ECS is to bring a task to (`desiredStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DesiredStatus {
    /// RUNNING.
    Running,
    /// STOPPED: the task must get no new traffic, even while its lastStatus is still RUNNING.
    Stopped,
    /// A status that this version doesn't know; the task never counts as serving.
    Unknown,
}

impl DesiredStatus {
    /// Parses the API's name of the status.
    pub fn parse(word: &str) -> Self {
        match word {
            "RUNNING" => Self::Running,
            "STOPPED" => Self::Stopped,
            _ => Self::Unknown,
        }
    }
}

/// The code of the reason for which a task stopped (`stopCode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCode {
    /// TaskFailedToStart.
    FailedToStart,
    /// EssentialContainerExited.
    EssentialContainerExited,
    /// Any other, e.g. ServiceSchedulerInitiated or UserInitiated.
    Other,
}

impl StopCode {
    /// Parses the API's name of the code.
    pub fn parse(word: &str) -> Self {
        match word {
            "TaskFailedToStart" => Self::FailedToStart,
            "EssentialContainerExited" => Self::EssentialContainerExited,
            _ => Self::Other,
        }
    }
}

/// The part of its life that a task is in, as far as traffic is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not running yet: the address is the task's own, but it can't serve.
    Starting,
    /// lastStatus and desiredStatus are both RUNNING.
    Serving,
    /// Stopped, stopping, or about to stop.
    Stopping,
}

/// One task, as DescribeTasks shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The task's id.
    pub id: TaskId,
    /// `service:NAME` for a service's task, `family:NAME` for a standalone one.
    pub group: Option<String>,
    /// The id of the deployment that started a service's task (`startedBy`).
    pub started_by: Option<String>,
    /// The ARN of the task definition, with its revision.
    pub task_definition: Option<String>,
    /// The actual status.
    pub last_status: LastStatus,
    /// The status that ECS is to bring it to.
    pub desired_status: DesiredStatus,
    /// The version, which rises by one with each change; events carry the same number.
    pub version: Option<i64>,
    /// The private IPv4 address of the task's network interface, once it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address of the task's network interface, where the subnet assigns one.
    pub ipv6: Option<Ipv6Addr>,
    /// The time at which it reached RUNNING.
    pub started_at: Option<Timestamp>,
    /// The time at which ECS began to stop it.
    pub stopping_at: Option<Timestamp>,
    /// The time at which it had stopped.
    pub stopped_at: Option<Timestamp>,
    /// The code of ECS's reason for stopping it.
    pub stop_code: Option<StopCode>,
    /// ECS's reason for stopping it.
    pub stopped_reason: Option<String>,
}

impl Task {
    /// Returns the phase that the task is in.
    pub fn phase(&self) -> Phase {
        match (self.last_status, self.desired_status) {
            (LastStatus::Stopping | LastStatus::Stopped, _) | (_, DesiredStatus::Stopped) => Phase::Stopping,
            (LastStatus::Running, DesiredStatus::Running) => Phase::Serving,
            _ => Phase::Starting,
        }
    }

    /// Returns whether the task is on its way to serving: it has not reached RUNNING, and is to reach it.
    pub fn is_about_to_serve(&self) -> bool {
        (self.last_status, self.desired_status) == (LastStatus::Starting, DesiredStatus::Running)
    }

    /// Returns the time at which ECS began to stop the task, or, where AWS doesn't show it, the time at which it had
    /// stopped.
    pub fn left_at(&self) -> Option<Timestamp> {
        self.stopping_at.or(self.stopped_at)
    }

    /// Returns the task's address of one family.
    pub fn address(&self, family: AddressFamily) -> Option<IpAddr> {
        match family {
            AddressFamily::Ipv4 => self.ipv4.map(IpAddr::V4),
            AddressFamily::Ipv6 => self.ipv6.map(IpAddr::V6),
        }
    }

    /// Returns whether the address, of either family, is the task's.
    pub fn has_address(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.ipv4 == Some(ip),
            IpAddr::V6(ip) => self.ipv6 == Some(ip),
        }
    }
}
