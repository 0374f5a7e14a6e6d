//! ECS Task State Change events.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::ecs as api;
use crate::world::Context;
use crate::world::eventbridge::Envelope;

/// Returns the event for the latest change of a task.
///
/// Its detail is what DescribeTasks returns, with AWS's differences: timestamps are text, the type of the network
/// interface's attachment is `eni`, and there is an `updatedAt`.
pub fn task_state_change(task: &api::Task, context: &mut Context<'_>) -> Value {
    let resources = [task.task_arn.clone()];
    let envelope = Envelope {
        source: "aws.ecs",
        detail_type: "ECS Task State Change",
        resources: &resources,
        detail: detail(task, context.now),
        time: context.now,
    };
    envelope.into_event(context.settings, context.random)
}

/// Formats a timestamp with milliseconds, as in AWS's details.
fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn detail(task: &api::Task, now: Timestamp) -> Value {
    let attachment = |attachment: &api::Attachment| {
        json!({
            "id": attachment.id,
            "type": "eni",
            "status": attachment.status.as_str(),
            "details": attachment.details,
        })
    };
    let overrides = |container: &api::Container| json!({ "name": container.name });
    let mut detail = Map::new();
    let mut put = |name: &str, value: Value| drop(detail.insert(name.to_owned(), value));
    put("attachments", task.attachments.iter().map(attachment).collect());
    put("attributes", json!([{ "name": "ecs.cpu-architecture", "value": "x86_64" }]));
    put("availabilityZone", json!(task.availability_zone));
    put("capacityProviderName", json!(task.capacity_provider_name));
    put("clusterArn", json!(task.cluster_arn));
    put("containers", json!(task.containers));
    put("cpu", json!(task.cpu));
    put("desiredStatus", json!(task.desired_status));
    put("enableExecuteCommand", json!(false));
    put("ephemeralStorage", json!({ "sizeInGiB": 20 }));
    put("group", json!(task.group));
    put("lastStatus", json!(task.last_status));
    put("launchType", json!(task.launch_type));
    put("memory", json!(task.memory));
    put("overrides", json!({ "containerOverrides": task.containers.iter().map(overrides).collect::<Vec<_>>() }));
    put("platformVersion", json!(task.platform_version));
    put("taskArn", json!(task.task_arn));
    put("taskDefinitionArn", json!(task.task_definition_arn));
    put("updatedAt", json!(timestamp(now)));
    put("version", json!(task.version));
    let texts = [
        ("connectivity", &task.connectivity),
        ("startedBy", &task.started_by),
        ("stopCode", &task.stop_code),
        ("stoppedReason", &task.stopped_reason),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, json!(text));
        }
    }
    let timestamps = [
        ("connectivityAt", task.connectivity_at),
        ("createdAt", task.created_at),
        ("pullStartedAt", task.pull_started_at),
        ("pullStoppedAt", task.pull_stopped_at),
        ("startedAt", task.started_at),
        ("stoppingAt", task.stopping_at),
        ("executionStoppedAt", task.execution_stopped_at),
        ("stoppedAt", task.stopped_at),
    ];
    for (name, at) in timestamps {
        if let Some(at) = at {
            put(name, json!(timestamp(at)));
        }
    }
    Value::Object(detail)
}
