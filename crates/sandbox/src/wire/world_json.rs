//! The world as JSON, for the control API. It is always current, unlike the APIs, which can lag.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{GroupView, LoadBalancerView, QueueView, ServiceView, TargetView, TaskView, World};

pub(super) fn to_json(world: &World) -> Value {
    let events = world.event_counts();
    json!({
        "services": world.services().iter().map(service).collect::<Vec<_>>(),
        "tasks": world.tasks().iter().map(task).collect::<Vec<_>>(),
        "balancers": world.load_balancers().iter().map(load_balancer).collect::<Vec<_>>(),
        "groups": world.groups().iter().map(group).collect::<Vec<_>>(),
        "queues": world.queues().iter().map(queue).collect::<Vec<_>>(),
        "events": {
            "made": events.made,
            "delivered": events.delivered,
            "lost": events.lost,
            "refused": events.refused,
        },
    })
}

fn service(service: &ServiceView) -> Value {
    json!({
        "cluster": service.cluster,
        "name": service.name,
        "status": service.status,
        "desired": service.desired,
        "running": service.running,
        "pending": service.pending,
    })
}

fn task(task: &TaskView) -> Value {
    json!({
        "id": task.id,
        "cluster": task.cluster,
        "group": task.group,
        "last-status": task.last_status,
        "desired-status": task.desired_status,
        "version": task.version,
        "address": task.address,
        "started-at": task.started_at,
        "stopped-at": task.stopped_at,
        "stop-code": task.stop_code,
    })
}

fn load_balancer(load_balancer: &LoadBalancerView) -> Value {
    json!({
        "arn": load_balancer.arn,
        "name": load_balancer.name,
        "state": load_balancer.state,
        "created-at": load_balancer.created_at,
        "tags": tags(&load_balancer.tags),
    })
}

fn group(group: &GroupView) -> Value {
    json!({
        "arn": group.arn,
        "name": group.name,
        "balancers": group.load_balancers,
        "tags": tags(&group.tags),
        "targets": group.targets.iter().map(target).collect::<Vec<_>>(),
    })
}

fn tags(tags: &[(String, String)]) -> BTreeMap<&str, &str> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn target(target: &TargetView) -> Value {
    json!({ "id": target.id, "port": target.port, "state": target.state })
}

fn queue(queue: &QueueView) -> Value {
    json!({
        "name": queue.name,
        "visible": queue.visible,
        "in-flight": queue.in_flight,
        "delayed": queue.delayed,
        "oldest-seconds": queue.oldest.map(|age| age.as_secs_f64()),
    })
}
