//! The world as JSON, for the control API. It is always current, unlike the APIs, which can lag.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{
    Advertised, CallChange, CallerView, Connection, FlowProtocol, GroupView, ListenerView, LoadBalancerView, QueueView,
    RecordView, ServiceView, TargetView, TaskView, World,
};

pub(super) fn to_json(world: &World) -> Value {
    let events = world.event_counts();
    json!({
        "services": world.services().iter().map(service).collect::<Vec<_>>(),
        "tasks": world.tasks().iter().map(task).collect::<Vec<_>>(),
        "balancers": world.load_balancers().iter().map(|found| load_balancer(found, world)).collect::<Vec<_>>(),
        "listeners": world.listeners().iter().map(listener).collect::<Vec<_>>(),
        "groups": world.groups().iter().map(group).collect::<Vec<_>>(),
        "records": world.records().iter().map(record).collect::<Vec<_>>(),
        "calls": calls(world),
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
        "advertises": task.advertised.as_ref().map(advertised),
    })
}

/// Returns the addresses that a bridge advertises: none while it waits, `own` for the one that it finds itself.
fn advertised(advertised: &Advertised) -> Value {
    match advertised {
        Advertised::Waiting { .. } => json!([]),
        Advertised::Own => json!(["own"]),
        Advertised::Addresses(addresses) => json!(addresses),
    }
}

fn load_balancer(load_balancer: &LoadBalancerView, world: &World) -> Value {
    let flows = FlowProtocol::ALL.map(|protocol| (protocol.as_str(), world.flows(&load_balancer.arn, protocol)));
    json!({
        "arn": load_balancer.arn,
        "name": load_balancer.name,
        "state": load_balancer.state,
        "dns-name": load_balancer.dns_name,
        "addresses": load_balancer.addresses,
        "created-at": load_balancer.created_at,
        "tags": tags(&load_balancer.tags),
        "flows": BTreeMap::from(flows),
    })
}

fn listener(listener: &ListenerView) -> Value {
    json!({
        "balancer": listener.load_balancer,
        "protocol": listener.protocol,
        "port": listener.port,
        "groups": listener.groups,
    })
}

fn record(record: &RecordView) -> Value {
    json!({ "name": record.name, "target": record.target, "addresses": record.addresses })
}

fn calls(world: &World) -> Value {
    let counts = world.call_counts();
    let caller = |caller: &CallerView| json!({ "number": caller.number, "state": caller.state.as_str(), "reason": caller.state.reason() });
    let change = |change: &CallChange| {
        let event = change.event;
        json!({ "at": change.at, "caller": change.caller, "event": event.as_str(), "reason": event.reason() })
    };
    let connection = |connection: &Connection| {
        json!({
            "caller": connection.caller,
            "task": connection.task,
            "balancer": connection.load_balancer,
            "began-at": connection.began_at,
            "ended-at": connection.ended_at,
        })
    };
    json!({
        "joined": counts.joined,
        "no-sign-in": counts.no_sign_in,
        "no-media": counts.no_media,
        "dropped": counts.dropped,
        "callers": world.callers().iter().map(caller).collect::<Vec<_>>(),
        "connections": world.connections().iter().map(connection).collect::<Vec<_>>(),
        "history": world.call_history().iter().map(change).collect::<Vec<_>>(),
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
