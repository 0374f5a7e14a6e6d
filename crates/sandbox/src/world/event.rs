//! Events, in the shape in which AWS documents them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Context;
use super::random::Random;
use super::settings::Settings;
use crate::api::ecs as api;

/// An instant as details carry it: with milliseconds.
fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// EventBridge's envelope around a detail.
pub fn envelope(
    source: &str,
    detail_type: &str,
    resources: &[String],
    detail: Value,
    now: Timestamp,
    settings: &Settings,
    random: &mut Random,
) -> Value {
    json!({
        "version": "0",
        "id": random.uuid(),
        "detail-type": detail_type,
        "source": source,
        "account": settings.account,
        // In whole seconds, as AWS has it.
        "time": format!("{:.0}", now),
        "region": settings.region,
        "resources": resources,
        "detail": detail,
    })
}

/// The ECS Task State Change event of a task that has just come to be as it is described.
///
/// Its detail is what DescribeTasks shows, with the differences that AWS has: instants as text, the network interface
/// as `eni`, and `updatedAt`.
pub fn task_state_change(task: &api::Task, context: &mut Context<'_>) -> Value {
    let detail = detail(task, context.now);
    let resources = [task.task_arn.clone()];
    envelope("aws.ecs", "ECS Task State Change", &resources, detail, context.now, context.settings, context.random)
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
    put("updatedAt", json!(instant(now)));
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
    let instants = [
        ("connectivityAt", task.connectivity_at),
        ("createdAt", task.created_at),
        ("pullStartedAt", task.pull_started_at),
        ("pullStoppedAt", task.pull_stopped_at),
        ("startedAt", task.started_at),
        ("stoppingAt", task.stopping_at),
        ("executionStoppedAt", task.execution_stopped_at),
        ("stoppedAt", task.stopped_at),
    ];
    for (name, at) in instants {
        if let Some(at) = at {
            put(name, json!(instant(at)));
        }
    }
    Value::Object(detail)
}
