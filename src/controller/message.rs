//! Parses queue messages into hints.
//!
//! EventBridge puts its whole envelope into the message. An event decides nothing: it names a task and a version of it,
//! and the next observation must show this version or a later one; or it explains why the service's tasks don't start.
//! Only the cluster and the task's ARN are required.

use std::collections::BTreeMap;

use jiff::Timestamp;

use jvb_watcher_rules::model::{ServiceEvent, ServiceEventName, TaskId, cluster_name};

mod body;
#[cfg(any(test, fuzzing))]
pub mod check;

use body::Envelope;

/// A well-formed message.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBridgeEvent {
    /// An ECS Task State Change event.
    TaskStateChange(TaskStateChange),
    /// An ECS Service Action or ECS Deployment State Change event that explains why tasks don't start.
    ServiceFailure(ServiceFailure),
    /// Any other event.
    Other {
        /// The envelope's `source`.
        source: String,
        /// The envelope's `detail-type`.
        detail_type: String,
    },
}

/// The fields of an ECS Task State Change event that the controller reads.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStateChange {
    /// The name of the task's cluster.
    pub cluster: String,
    /// `service:NAME` or `family:NAME`, if the event has it.
    pub group: Option<String>,
    /// The task and its version.
    pub change: TaskChange,
}

/// A task that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskChange {
    /// The task.
    pub task: TaskId,
    /// Its version after the change (`detail.version`).
    pub version: Option<i64>,
    /// The time of the event (the envelope's `time`).
    pub time: Option<Timestamp>,
}

/// The fields of an event about a service that the controller reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceFailure {
    /// The name of the service's cluster.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// What the event says.
    pub event: ServiceEvent,
}

/// The service that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The name of its cluster.
    pub cluster: &'a str,
    /// Its name; `None` if the event is about a task and doesn't name its group.
    pub service: Option<&'a str>,
}

/// A hint of one event about the service.
#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// A task changed.
    Task(TaskChange),
    /// Tasks don't start.
    Service(ServiceEvent),
}

/// The hints of a batch of messages: the tasks to read beside those that ECS lists, how fresh the answers must be, and why
/// tasks don't start.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The tasks that events named, each with the newest of what they said about it.
    pub tasks: BTreeMap<TaskId, TaskHint>,
    /// The latest event about the service itself.
    pub service_event: Option<ServiceEvent>,
}

/// The hint that the events of a batch give about one task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TaskHint {
    /// The newest version.
    pub version: Option<i64>,
    /// The time of the latest event.
    pub time: Option<Timestamp>,
}

impl Hints {
    /// Returns true if no event gave a hint.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.service_event.is_none()
    }

    /// Adds the hint of one event.
    pub fn add(&mut self, hint: Hint) {
        match hint {
            Hint::Task(TaskChange { task, version, time }) => self.add_task(task, TaskHint { version, time }),
            Hint::Service(event) => event.replace_older(&mut self.service_event),
        }
    }

    /// Adds the hints of another batch.
    pub fn merge(&mut self, Self { tasks, service_event }: Self) {
        for (task, hint) in tasks {
            self.add_task(task, hint);
        }
        if let Some(event) = service_event {
            event.replace_older(&mut self.service_event);
        }
    }

    fn add_task(&mut self, task: TaskId, TaskHint { version, time }: TaskHint) {
        let known = self.tasks.entry(task).or_default();
        known.version = known.version.max(version);
        known.time = known.time.max(time);
    }
}

/// The reason why a message can't be parsed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// The body isn't JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The body is JSON, but not an EventBridge envelope.
    #[error("not an EventBridge envelope: {0}")]
    NotAnEnvelope(&'static str),
    /// An ECS Task State Change event lacks its task or its cluster.
    #[error("no task in an ECS Task State Change event: {0}")]
    NoTask(&'static str),
}

impl EventBridgeEvent {
    /// Parses a message's body.
    ///
    /// Fields that the controller doesn't read may be absent or of any shape: AWS adds to them over time.
    ///
    /// # Errors
    ///
    /// Returns an error if the body isn't an envelope, or is a task's event that doesn't name the task.
    pub fn parse(body: &str) -> Result<Self, Malformed> {
        let envelope: Envelope<'_> =
            serde_json::from_str(body).map_err(|error| Malformed::NotJson(error.to_string()))?;
        if !envelope.is_object {
            return Err(Malformed::NotAnEnvelope("the body is not an object"));
        }
        let source = envelope.source.get().ok_or(Malformed::NotAnEnvelope("`source` is missing"))?;
        let detail_type = envelope.detail_type.get().ok_or(Malformed::NotAnEnvelope("`detail-type` is missing"))?;
        let other = || Self::Other { source: source.to_owned(), detail_type: detail_type.to_owned() };
        match (source, detail_type) {
            ("aws.ecs", "ECS Task State Change") => Self::task_state_change(&envelope),
            ("aws.ecs", "ECS Service Action" | "ECS Deployment State Change") => {
                Ok(ServiceFailure::parse(&envelope).map_or_else(other, Self::ServiceFailure))
            }
            _ => Ok(other()),
        }
    }

    fn task_state_change(envelope: &Envelope<'_>) -> Result<Self, Malformed> {
        let detail = &envelope.detail;
        let task_arn = detail.task_arn.get().or_else(|| envelope.resources.first());
        let task_arn = task_arn.ok_or(Malformed::NoTask("neither `detail.taskArn` nor `resources` names it"))?;
        let task = TaskId::from_arn(task_arn).ok_or(Malformed::NoTask("`taskArn` is not a task's ARN"))?;
        let cluster = detail.cluster_arn.get().or_else(|| cluster_in_task_arn(task_arn));
        let cluster = cluster.ok_or(Malformed::NoTask("`detail.clusterArn` is missing"))?;
        Ok(Self::TaskStateChange(TaskStateChange {
            cluster: cluster_name(cluster).to_owned(),
            group: detail.group.get().map(str::to_owned),
            change: TaskChange { task, version: detail.version, time: time(envelope) },
        }))
    }

    /// Returns the service that the event is about; `None` if it is about no service.
    pub fn subject(&self) -> Option<Subject<'_>> {
        match self {
            Self::TaskStateChange(TaskStateChange { cluster, group, .. }) => {
                let service = match group {
                    Some(group) => Some(group.strip_prefix("service:")?),
                    None => None,
                };
                Some(Subject { cluster, service })
            }
            Self::ServiceFailure(ServiceFailure { cluster, service, .. }) => {
                Some(Subject { cluster, service: Some(service) })
            }
            Self::Other { .. } => None,
        }
    }

    /// Returns the event's hint for its service; `None` if it is about no service.
    pub fn into_hint(self) -> Option<Hint> {
        match self {
            Self::TaskStateChange(TaskStateChange { change, .. }) => Some(Hint::Task(change)),
            Self::ServiceFailure(ServiceFailure { event, .. }) => Some(Hint::Service(event)),
            Self::Other { .. } => None,
        }
    }
}

impl ServiceFailure {
    /// Reads an event about a service; returns `None` for one that tells of no failure to start tasks, or that names no
    /// service.
    ///
    /// The service's ARN is in `resources`. A Deployment State Change has no `clusterArn` (see "Amazon ECS service
    /// deployment state change events" in the ECS developer guide).
    fn parse(envelope: &Envelope<'_>) -> Option<Self> {
        let detail = &envelope.detail;
        let name = ServiceEventName::parse(detail.event_name.get()?)?;
        let arns = envelope.resources.iter();
        let (cluster, service) =
            arns.filter_map(|arn| arn.split_once(":service/")).find_map(|(prefix, resource)| {
                match (prefix.contains(":ecs:"), resource.split_once('/')) {
                    (true, Some((cluster, service))) => Some((cluster, service)),
                    // An ARN in the old short form.
                    (true, None) => Some((cluster_name(detail.cluster_arn.get()?), resource)),
                    (false, _) => None,
                }
            })?;
        let event = ServiceEvent { name, reason: detail.reason.get().map(str::to_owned), time: time(envelope) };
        Some(Self { cluster: cluster.to_owned(), service: service.to_owned(), event })
    }
}

/// Returns the time of an event.
fn time(envelope: &Envelope<'_>) -> Option<Timestamp> {
    envelope.time.get().and_then(|time| time.parse().ok())
}

/// The cluster's name in a task ARN of the long form, `…:task/CLUSTER/ID`.
fn cluster_in_task_arn(arn: &str) -> Option<&str> {
    let (_, resource) = arn.split_once(":task/")?;
    resource.split_once('/').map(|(cluster, _)| cluster)
}

#[cfg(test)]
mod tests;
