//! Sample events in the form of ECS's, to test a rule's event pattern with.

use serde_json::{Value, json};

use super::location::Location;
use crate::controller::scope::Scope;
use jvb_watcher_rules::model::cluster_name;

/// The id of the sample task, which ECS never assigns.
const TASK: &str = "00000000000000000000000000000000";

/// The state of the sample task: the two whose events the watcher depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleTask {
    /// The task reached RUNNING.
    Running,
    /// The task stopped.
    Stopped,
}

impl SampleTask {
    /// Returns the state as the predicate of a sentence.
    pub fn predicate(self) -> &'static str {
        match self {
            Self::Running => "reached RUNNING",
            Self::Stopped => "stopped",
        }
    }
}

/// Returns the ECS Task State Change event of a task of the service on Fargate.
pub fn sample_event(scope: &Scope, location: &Location, task: SampleTask) -> Value {
    let cluster = cluster_name(&scope.cluster);
    let cluster_arn = match scope.cluster.starts_with("arn:") {
        true => scope.cluster.clone(),
        false => location.arn("ecs", &format!("cluster/{cluster}")),
    };
    let task_arn = location.arn("ecs", &format!("task/{cluster}/{TASK}"));
    let (last_status, desired_status, version) = match task {
        SampleTask::Running => ("RUNNING", "RUNNING", 4),
        SampleTask::Stopped => ("STOPPED", "STOPPED", 9),
    };
    let at = "2026-01-01T12:00:00Z";
    let mut detail = json!({
        "attachments": [{
            "id": "00000000-0000-0000-0000-000000000000",
            "type": "eni",
            "status": if task == SampleTask::Running { "ATTACHED" } else { "DELETED" },
            "details": [{ "name": "privateIPv4Address", "value": "192.0.2.1" }],
        }],
        "availabilityZone": format!("{}a", location.region),
        "clusterArn": cluster_arn,
        "connectivity": "CONNECTED",
        "containers": [],
        "cpu": "1024",
        "createdAt": at,
        "desiredStatus": desired_status,
        "group": format!("service:{}", scope.service),
        "lastStatus": last_status,
        "launchType": "FARGATE",
        "memory": "2048",
        "platformVersion": "1.4.0",
        "startedAt": at,
        "startedBy": "ecs-svc/0000000000000000000",
        "taskArn": task_arn,
        "taskDefinitionArn": location.arn("ecs", "task-definition/jvb:1"),
        "updatedAt": at,
        "version": version,
    });
    if task == SampleTask::Stopped {
        detail["stopCode"] = json!("ServiceSchedulerInitiated");
        detail["stoppingAt"] = json!(at);
        detail["stoppedAt"] = json!(at);
    }
    json!({
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": location.account,
        "time": at,
        "region": location.region,
        "resources": [task_arn],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::message::EventBridgeEvent;

    #[test]
    fn the_watcher_accepts_sample_events() {
        let scope = Scope { cluster: "p-cluster".to_owned(), service: "p-service".to_owned() };
        let location = Location::of_arn("arn:aws-cn:sqs:cn-north-1:111122223333:q");
        for task in [SampleTask::Running, SampleTask::Stopped] {
            let event = sample_event(&scope, &location, task);
            let parsed = EventBridgeEvent::parse(&event.to_string()).expect("well-formed");
            assert!(parsed.hint_for(&scope).is_some(), "{event}");
            assert_eq!(event["detail"]["clusterArn"], "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/p-cluster");
        }
    }
}
