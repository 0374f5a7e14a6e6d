//! An event like those that ECS makes of the service's tasks, to try a rule's pattern on.

use serde_json::{Value, json};

use crate::controller::reconcile::Scope;
use jvb_watcher_rules::model::cluster_name;

/// The id of the made task; ECS never gives it.
const TASK: &str = "00000000000000000000000000000000";

/// Where something is, as ARNs say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `aws`, or another partition.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
}

impl Place {
    /// Where a queue is, by its ARN; parts that it lacks are empty.
    pub fn of_queue(arn: &str) -> Self {
        let part = |index| arn.split(':').nth(index).unwrap_or_default().to_owned();
        Self { partition: part(1), region: part(3), account: part(4) }
    }

    /// The ARN of a resource here.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// What the made task does: the two events without which the watcher would miss something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It has come to RUNNING.
    Running,
    /// It has stopped.
    Stopped,
}

impl Made {
    /// What the task does, for a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "has come to run",
            Self::Stopped => "has stopped",
        }
    }
}

/// An ECS Task State Change event of a task of the service on Fargate.
pub fn sample_event(scope: &Scope, place: &Place, made: Made) -> Value {
    let cluster = cluster_name(&scope.cluster);
    let cluster_arn = match scope.cluster.starts_with("arn:") {
        true => scope.cluster.clone(),
        false => place.arn("ecs", &format!("cluster/{cluster}")),
    };
    let task_arn = place.arn("ecs", &format!("task/{cluster}/{TASK}"));
    let (last_status, desired_status, version) = match made {
        Made::Running => ("RUNNING", "RUNNING", 4),
        Made::Stopped => ("STOPPED", "STOPPED", 9),
    };
    let at = "2026-01-01T12:00:00Z";
    let mut detail = json!({
        "attachments": [{
            "id": "00000000-0000-0000-0000-000000000000",
            "type": "eni",
            "status": if made == Made::Running { "ATTACHED" } else { "DELETED" },
            "details": [{ "name": "privateIPv4Address", "value": "192.0.2.1" }],
        }],
        "availabilityZone": format!("{}a", place.region),
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
        "taskDefinitionArn": place.arn("ecs", "task-definition/jvb:1"),
        "updatedAt": at,
        "version": version,
    });
    if made == Made::Stopped {
        detail["stopCode"] = json!("ServiceSchedulerInitiated");
        detail["stoppingAt"] = json!(at);
        detail["stoppedAt"] = json!(at);
    }
    json!({
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": place.account,
        "time": at,
        "region": place.region,
        "resources": [task_arn],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::message::Notice;

    #[test]
    fn a_made_event_is_one_that_the_watcher_takes() {
        let scope = Scope { cluster: "p-cluster".to_owned(), service: "p-service".to_owned() };
        let place = Place::of_queue("arn:aws-cn:sqs:cn-north-1:111122223333:q");
        for made in [Made::Running, Made::Stopped] {
            let event = sample_event(&scope, &place, made);
            let notice = Notice::parse(&event.to_string()).expect("well-formed");
            assert!(notice.concerning(&scope.cluster, &scope.service).is_some(), "{event}");
            assert_eq!(event["detail"]["clusterArn"], "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/p-cluster");
        }
    }
}
