//! Sample events in the form of ECS's, to test a rule's event pattern with.

use serde_json::{Value, json};

use super::location::Location;
use crate::controller::scope::Scope;
use jvb_watcher_rules::model::{ServiceEventName, cluster_name};

/// The id of the sample task, which ECS never assigns.
const TASK: &str = "00000000000000000000000000000000";

/// The time of the sample events.
const AT: &str = "2026-01-01T12:00:00Z";

/// The sample events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A task reached RUNNING.
    TaskRunning,
    /// A task stopped.
    TaskStopped,
    /// Tasks don't start (ECS Service Action).
    TasksImpaired,
    /// A deployment failed (ECS Deployment State Change).
    DeploymentFailed,
}

impl Sample {
    /// All samples.
    pub const ALL: [Self; 4] = [Self::TaskRunning, Self::TaskStopped, Self::TasksImpaired, Self::DeploymentFailed];

    /// Returns whether the watcher depends on such events. The others only explain a finding.
    pub fn is_required(self) -> bool {
        match self {
            Self::TaskRunning | Self::TaskStopped => true,
            Self::TasksImpaired | Self::DeploymentFailed => false,
        }
    }

    /// Returns what the event is about, as the end of a sentence.
    pub fn subject(self) -> &'static str {
        match self {
            Self::TaskRunning => "a task that reached RUNNING",
            Self::TaskStopped => "a task that stopped",
            Self::TasksImpaired => "a service whose tasks don't start",
            Self::DeploymentFailed => "a deployment that failed",
        }
    }
}

/// Returns a sample event of the service on Fargate.
pub fn sample_event(scope: &Scope, location: &Location, sample: Sample) -> Value {
    match sample {
        Sample::TaskRunning | Sample::TaskStopped => task_event(scope, location, sample),
        Sample::TasksImpaired | Sample::DeploymentFailed => service_event(scope, location, sample),
    }
}

/// Returns an event about the service itself.
fn service_event(scope: &Scope, location: &Location, sample: Sample) -> Value {
    let cluster = cluster_name(&scope.cluster);
    let service_arn = location.arn("ecs", &format!("service/{cluster}/{}", scope.service));
    let (detail_type, detail) = match sample {
        Sample::DeploymentFailed => (
            "ECS Deployment State Change",
            json!({
                "eventType": "ERROR",
                "eventName": ServiceEventName::DeploymentFailed.as_str(),
                "deploymentId": "ecs-svc/0000000000000000000",
                "updatedAt": AT,
                "reason": "ECS deployment circuit breaker: task failed to start.",
            }),
        ),
        _ => (
            "ECS Service Action",
            json!({
                "eventType": "WARN",
                "eventName": ServiceEventName::TaskStartImpaired.as_str(),
                "clusterArn": cluster_arn(scope, location),
                "createdAt": AT,
            }),
        ),
    };
    envelope(location, detail_type, &service_arn, &detail)
}

fn envelope(location: &Location, detail_type: &str, resource: &str, detail: &Value) -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": detail_type,
        "source": "aws.ecs",
        "account": location.account,
        "time": AT,
        "region": location.region,
        "resources": [resource],
        "detail": detail,
    })
}

fn cluster_arn(scope: &Scope, location: &Location) -> String {
    match scope.cluster.starts_with("arn:") {
        true => scope.cluster.clone(),
        false => location.arn("ecs", &format!("cluster/{}", scope.cluster)),
    }
}

/// Returns the ECS Task State Change event of a task.
fn task_event(scope: &Scope, location: &Location, sample: Sample) -> Value {
    let cluster = cluster_name(&scope.cluster);
    let cluster_arn = cluster_arn(scope, location);
    let task_arn = location.arn("ecs", &format!("task/{cluster}/{TASK}"));
    let stopped = sample == Sample::TaskStopped;
    let (last_status, desired_status, version) =
        if stopped { ("STOPPED", "STOPPED", 9) } else { ("RUNNING", "RUNNING", 4) };
    let mut detail = json!({
        "attachments": [{
            "id": "00000000-0000-0000-0000-000000000000",
            "type": "eni",
            "status": if stopped { "DELETED" } else { "ATTACHED" },
            "details": [{ "name": "privateIPv4Address", "value": "192.0.2.1" }],
        }],
        "availabilityZone": format!("{}a", location.region),
        "clusterArn": cluster_arn,
        "connectivity": "CONNECTED",
        "containers": [],
        "cpu": "1024",
        "createdAt": AT,
        "desiredStatus": desired_status,
        "group": format!("service:{}", scope.service),
        "lastStatus": last_status,
        "launchType": "FARGATE",
        "memory": "2048",
        "platformVersion": "1.4.0",
        "startedAt": AT,
        "startedBy": "ecs-svc/0000000000000000000",
        "taskArn": task_arn,
        "taskDefinitionArn": location.arn("ecs", "task-definition/jvb:1"),
        "updatedAt": AT,
        "version": version,
    });
    if stopped {
        detail["stopCode"] = json!("ServiceSchedulerInitiated");
        detail["stoppingAt"] = json!(AT);
        detail["stoppedAt"] = json!(AT);
    }
    envelope(location, "ECS Task State Change", &task_arn, &detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::message::EventBridgeEvent;

    #[test]
    fn the_watcher_accepts_sample_events() {
        let scope = Scope { cluster: "p-cluster".to_owned(), service: "p-service".to_owned() };
        let location = Location::of_arn("arn:aws-cn:sqs:cn-north-1:111122223333:q");
        for sample in Sample::ALL {
            let event = sample_event(&scope, &location, sample);
            let parsed = EventBridgeEvent::parse(&event.to_string()).expect("well-formed");
            assert!(parsed.hint_for(&scope).is_some(), "{event}");
            let cluster = &event["detail"]["clusterArn"];
            let expected = "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/p-cluster";
            assert!(cluster == expected || sample == Sample::DeploymentFailed, "{event}");
        }
    }
}
