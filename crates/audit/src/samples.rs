//! Lines for tests.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Logs;
use crate::verdict::{Claim, Verdict};

/// The midnight from which the seconds of the lines count: that of 2026-11-21.
const DAY: i64 = 1_795_219_200;

/// The number of the worker, and of another.
pub const WORKER: u32 = 401_562;
pub const OTHER: u32 = 77;

/// Returns an instant of the test's day, as the log has it.
pub fn at(second: f64) -> String {
    format!("{:.3}", instant(second))
}

fn instant(second: f64) -> Timestamp {
    Timestamp::from_millisecond(DAY * 1000 + (second * 1000.0) as i64).expect("a valid time")
}

/// Returns the id of an observation.
pub fn id(second: f64, process: u32) -> String {
    let at = at(second);
    format!("{}{process:06}Z", at.trim_end_matches('Z'))
}

/// A log under construction.
#[derive(Clone, Default)]
pub struct Script(Vec<Value>);

impl Script {
    /// A watcher with the default settings that starts at midnight.
    pub fn started() -> Self {
        Self::default().with(
            0.0,
            "watcher_started",
            json!({
                "form": "run", "version": "0.1.0", "load_balancer": "nlb", "owner_tag": "a=b", "teardown": "all",
                "resync_interval_seconds": 60.0, "idle_grace_seconds": 60.0, "idle_grace_until_paid_hour": false,
                "unused_grace_seconds": 900.0, "use_threshold": 1, "stop_when_unused_seconds": 900.0,
                "stop_notice_seconds": 300.0,
            }),
        )
    }

    /// Adds the start of another watcher, with the default settings.
    pub fn and_started(mut self, second: f64) -> Self {
        self.0.extend(Self::started().but("watcher_started", "timestamp", at(second).into()).0);
        self
    }

    /// Adds a line.
    pub fn with(mut self, second: f64, event: &str, fields: Value) -> Self {
        let mut line = json!({
            "timestamp": at(second), "level": "INFO", "event": event, "message": event,
            "project": "p", "cluster": "c", "service": "s",
        });
        line.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
        self.0.push(line);
        self
    }

    /// Adds a line that rests on the worker's observation of this second.
    pub fn seen(self, second: f64, event: &str, mut fields: Value) -> Self {
        fields["observation"] = id(second, WORKER).into();
        self.with(second + 0.2, event, fields)
    }

    /// Adds a quiet reconciliation every minute from one second to another.
    pub fn quiet(mut self, from: u32, until: u32, fields: &Value) -> Self {
        for second in (from..=until).step_by(60) {
            self = self.reconciled(second.into(), fields);
        }
        self
    }

    /// Adds a reconciliation, with these fields instead of those of a service at rest.
    pub fn reconciled(self, second: f64, fields: &Value) -> Self {
        let mut all = json!({
            "desired": 0, "running": 0, "pending": 0, "serving": 0, "registered": 0, "healthy": 0,
            "load_balancer_state": "absent", "changes": 0, "findings": 0, "messages": 0, "foreign": 0, "aws_calls": 9,
            "duration_ms": 200,
        });
        all.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
        self.seen(second, "reconciled", all)
    }

    /// Changes a field of the last line of an event; null removes it.
    pub fn but(mut self, event: &str, field: &str, value: Value) -> Self {
        let line = self.0.iter_mut().rev().find(|line| line["event"] == event).expect("a line of the event");
        if value.is_null() {
            line.as_object_mut().expect("an object").remove(field);
        } else {
            line[field] = value;
        }
        self
    }

    /// Makes the last line of an event, if there is one, that of another worker.
    pub fn by_other(mut self, event: &str) -> Self {
        if let Some(line) = self.0.iter_mut().rev().find(|line| line["event"] == event) {
            let own = line["observation"].as_str().expect("an observation");
            line["observation"] = own.replace(&format!("{WORKER:06}Z"), &format!("{OTHER:06}Z")).into();
        }
        self
    }

    /// Leaves out all lines of an event.
    pub fn without(mut self, event: &str) -> Self {
        self.0.retain(|line| line["event"] != event);
        self
    }

    /// Returns the log as text.
    pub fn text(&self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Judges the log.
    pub fn audit(&self) -> Verdict {
        let mut logs = Logs::default();
        logs.add("watcher.log", self.text().as_bytes()).expect("memory can be read");
        logs.audit()
    }

    /// Returns what is wrong, by the claim.
    pub fn breaches(&self) -> Vec<(Claim, String)> {
        self.audit().breaches().map(|(claim, breach)| (claim, breach.what.clone())).collect()
    }

    /// Returns the claims that are refuted.
    pub fn broken(&self) -> Vec<Claim> {
        self.breaches().into_iter().map(|(claim, _)| claim).collect()
    }

    /// Returns why a claim is unknown.
    pub fn unknown(&self, claim: Claim) -> Vec<String> {
        let verdict = self.audit();
        let check = verdict.checks.iter().find(|check| check.claim == claim).expect("a check of each claim");
        check.unknown.keys().cloned().collect()
    }

    /// Returns the number of cases in which a claim holds.
    pub fn held(&self, claim: Claim) -> u64 {
        let verdict = self.audit();
        verdict.checks.iter().find(|check| check.claim == claim).expect("a check of each claim").held
    }
}

/// An evening: a task is registered at 10 minutes and deregistered at 40, and the load balancer is torn down.
pub fn evening() -> Script {
    let up = json!({
        "desired": 1, "running": 1, "serving": 1, "registered": 1, "healthy": 1, "load_balancer_state": "active",
        "load_balancer_age_seconds": 5000,
    });
    let idle = json!({"load_balancer_state": "active", "load_balancer_age_seconds": 7000});
    let target = |mut fields: Value| {
        for (name, value) in [("task_id", json!("t1")), ("ip", json!("10.0.0.1")), ("port", json!(10_000))] {
            fields[name] = value;
        }
        fields["target_group"] = "udp".into();
        fields
    };
    Script::started()
        .quiet(1, 550, &json!({"load_balancer_state": "active", "load_balancer_age_seconds": 10}))
        .seen(
            600.0,
            "target_registered",
            target(json!({"reason": "task_running", "since_start_ms": 1400, "latency_ms": 1800})),
        )
        .reconciled(600.0, &up)
        .quiet(660, 2340, &up)
        .seen(2400.0, "target_deregistered", target(json!({"reason": "task_stopping"})))
        .seen(2400.0, "idle_marked", json!({"load_balancer": "nlb", "idle_since": at(2400.3), "reason": "idle"}))
        .reconciled(2400.0, &idle)
        .seen(2461.0, "teardown_started", json!({"load_balancer": "nlb", "idle_since": at(2400.3), "resumed": false}))
        .seen(
            2461.0,
            "load_balancer_deleted",
            json!({
                "load_balancer": "nlb", "load_balancer_arn": "arn", "uptime_seconds": 7100, "idle_since": at(2400.3),
                "desired": 0, "live_tasks": 0, "healthy_others": 0, "owned": true, "held": false,
                "first_observation": id(2460.6, WORKER),
            }),
        )
        .reconciled(2461.0, &json!({}))
        .seen(2464.0, "target_group_deleted", json!({"target_group": "udp"}))
        .seen(2466.0, "teardown_completed", json!({"load_balancer": "nlb"}))
        .reconciled(2466.0, &json!({}))
        .quiet(2526, 3600, &json!({}))
}
