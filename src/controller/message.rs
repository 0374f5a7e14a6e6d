//! From the body of a queue message to what it is worth: a hint where to look, and nothing more.
//!
//! EventBridge puts its whole envelope into the message. An event never decides anything; it names a task and the
//! version of it that a look must have caught up with. So all that is asked of it is a cluster and a task's ARN.

use jiff::Timestamp;
use serde_json::Value;

use jvb_watcher_rules::model::{TaskId, cluster_name};

#[cfg(any(test, fuzzing))]
pub mod check;

/// What a well-formed message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An ECS task changed.
    TaskStateChange(TaskStateChange),
    /// Some other event: another source, or another detail-type of the same.
    Other {
        /// The envelope's `source`.
        source: String,
        /// The envelope's `detail-type`.
        detail_type: String,
    },
}

/// The part of an ECS Task State Change event that the watcher goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStateChange {
    /// The name of the task's cluster.
    pub cluster: String,
    /// `service:NAME` or `family:NAME`, where the event says.
    pub group: Option<String>,
    /// Which task to look at, and how new the look must be.
    pub hint: Hint,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// The task that changed.
    pub task: TaskId,
    /// The version that the change gave it (`detail.version`).
    pub version: Option<i64>,
    /// When the event was made (the envelope's `time`).
    pub time: Option<Timestamp>,
}

/// Why a message is of no use to anyone.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// The body isn't JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but not an EventBridge envelope.
    #[error("not an EventBridge envelope: {0}")]
    NotAnEnvelope(&'static str),
    /// It is a task's event without a task or a cluster.
    #[error("no task in an ECS Task State Change event: {0}")]
    NoTask(&'static str),
}

impl Notice {
    /// Reads a message's body.
    ///
    /// Fields that the watcher doesn't know or need may be there or not, in any shape: AWS adds to them over time.
    ///
    /// # Errors
    ///
    /// When the body isn't an envelope, or is one of a task without the task.
    pub fn parse(body: &str) -> Result<Self, Malformed> {
        let envelope: Value = serde_json::from_str(body).map_err(|error| Malformed::NotJson(error.to_string()))?;
        let Value::Object(_) = envelope else {
            return Err(Malformed::NotAnEnvelope("the body is not an object"));
        };
        let source = text(&envelope, "source").ok_or(Malformed::NotAnEnvelope("`source` is missing"))?;
        let detail_type = text(&envelope, "detail-type").ok_or(Malformed::NotAnEnvelope("`detail-type` is missing"))?;
        if (source, detail_type) != ("aws.ecs", "ECS Task State Change") {
            return Ok(Self::Other { source: source.to_owned(), detail_type: detail_type.to_owned() });
        }
        let detail = &envelope["detail"];
        let task_arn = text(detail, "taskArn").or_else(|| envelope["resources"][0].as_str());
        let task_arn = task_arn.ok_or(Malformed::NoTask("neither `detail.taskArn` nor `resources` names it"))?;
        let task = TaskId::from_arn(task_arn).ok_or(Malformed::NoTask("`taskArn` is not a task's ARN"))?;
        let cluster = text(detail, "clusterArn").or_else(|| cluster_in_task_arn(task_arn));
        let cluster = cluster.ok_or(Malformed::NoTask("`detail.clusterArn` is missing"))?;
        Ok(Self::TaskStateChange(TaskStateChange {
            cluster: cluster_name(cluster).to_owned(),
            group: text(detail, "group").map(str::to_owned),
            hint: Hint {
                task,
                version: detail["version"].as_i64(),
                time: text(&envelope, "time").and_then(|time| time.parse().ok()),
            },
        }))
    }

    /// The hint, when the event may concern this service: it is of its cluster, and its group, where it has one, is
    /// the service's. `None` for a foreign event.
    pub fn concerning(self, cluster: &str, service: &str) -> Option<Hint> {
        let Self::TaskStateChange(change) = self else { return None };
        let of_service = match &change.group {
            Some(group) => group.strip_prefix("service:") == Some(service),
            None => true,
        };
        (change.cluster == cluster_name(cluster) && of_service).then_some(change.hint)
    }
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object[key].as_str().filter(|text| !text.is_empty())
}

/// The cluster's name in a task ARN of the long form, `…:task/CLUSTER/ID`.
fn cluster_in_task_arn(arn: &str) -> Option<&str> {
    let (_, resource) = arn.split_once(":task/")?;
    resource.split_once('/').map(|(cluster, _)| cluster)
}

#[cfg(test)]
mod tests;
