//! Lines for tests.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::line::Line;

/// The midnight from which the seconds of the lines count: that of 2026-11-21.
pub const DAY: i64 = 1_795_219_200;

/// A line at this second of the test's day.
pub fn line(second: i64, event: &str, fields: Value) -> Line {
    let at = Timestamp::from_second(DAY + second).expect("a valid time");
    let mut line = json!({
        "timestamp": at.to_string(), "event": event, "message": event, "project": "p", "cluster": "c", "service": "s",
    });
    let Value::Object(fields) = fields else { panic!("fields") };
    line.as_object_mut().expect("an object").extend(fields);
    Line::parse(&line.to_string()).expect("a line")
}

pub fn reconciled(second: i64, state: &str) -> Line {
    reconciled_with(second, state, 9, 9)
}

pub fn reconciled_with(second: i64, state: &str, registered: u64, findings: u64) -> Line {
    let fields = json!({
        "registered": registered, "findings": findings, "load_balancer_state": state, "aws_calls": 7, "duration_ms": 500,
    });
    line(second, "reconciled", fields)
}

/// A reconciliation that finds so many flows in a minute of the test's day, of a service that serves.
pub fn used(second: i64, minute: i64, flows: u64, unused_since: Option<i64>) -> Line {
    let start = |minute: i64| Timestamp::from_second(DAY + 60 * minute).expect("a valid time").to_string();
    let mut fields = json!({
        "registered": 2, "healthy": 2, "findings": 9, "load_balancer_state": "active", "aws_calls": 7, "duration_ms": 500,
        "flows": flows, "flows_minute": start(minute),
    });
    if let Some(since) = unused_since {
        fields["unused_since"] = start(since).into();
    }
    line(second, "reconciled", fields)
}

pub fn deleted(second: i64, arn: &str, uptime: u64) -> Line {
    line(second, "load_balancer_deleted", json!({"load_balancer_arn": arn, "uptime_seconds": uptime}))
}

pub fn marked(second: i64) -> Line {
    line(second, "idle_marked", json!({"reason": "idle"}))
}

pub fn target(task: Option<&str>, ip: &str, group: &str) -> Value {
    match task {
        Some(task) => json!({"task_id": task, "ip": ip, "port": 10000, "target_group": group}),
        None => json!({"ip": ip, "port": 10000, "target_group": group}),
    }
}

fn with(mut fields: Value, name: &str, value: impl Into<Value>) -> Value {
    fields.as_object_mut().expect("an object").insert(name.to_owned(), value.into());
    fields
}

pub fn registered(second: i64, target: Value, latency_ms: u64) -> Line {
    line(second, "target_registered", with(target, "latency_ms", latency_ms))
}

pub fn deregistered(second: i64, target: Value) -> Line {
    line(second, "target_deregistered", target)
}

pub fn health(second: i64, target: Value, to: &str, since_start_ms: u64) -> Line {
    line(second, "target_health_changed", with(with(target, "to", to), "since_start_ms", since_start_ms))
}

pub fn finding(second: i64, state: &str) -> Line {
    finding_named(second, "teardown_off", state)
}

pub fn finding_named(second: i64, name: &str, state: &str) -> Line {
    let fields = json!({
        "finding": name, "state": state, "subject": "nlb", "detail": state, "advice": "do it",
    });
    line(second, "finding", fields)
}
