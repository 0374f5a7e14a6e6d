use serde_json::{Value, json};

use super::*;
use crate::period::Edge;

/// A line, at this second of a day.
fn line(second: i64, event: &str, fields: Value) -> Line {
    let at = Timestamp::from_second(1_795_219_200 + second).expect("a second of our time");
    let mut line = json!({
        "timestamp": at.to_string(), "event": event, "message": event, "project": "p", "cluster": "c", "service": "s",
    });
    let Value::Object(fields) = fields else { panic!("fields") };
    line.as_object_mut().expect("an object").extend(fields);
    Line::read(&line.to_string()).expect("a line")
}

fn look(second: i64, state: &str) -> Line {
    look_with(second, state, 9, 9)
}

fn look_with(second: i64, state: &str, registered: u64, findings: u64) -> Line {
    let fields = json!({
        "registered": registered, "findings": findings, "load_balancer_state": state, "aws_calls": 7, "duration_ms": 500,
    });
    line(second, "reconciled", fields)
}

fn deleted(second: i64, arn: &str, uptime: u64) -> Line {
    line(second, "load_balancer_deleted", json!({"load_balancer_arn": arn, "uptime_seconds": uptime}))
}

fn marked(second: i64) -> Line {
    line(second, "idle_marked", json!({"reason": "idle"}))
}

fn target(task: Option<&str>, ip: &str, group: &str) -> Value {
    match task {
        Some(task) => json!({"task_id": task, "ip": ip, "port": 10000, "target_group": group}),
        None => json!({"ip": ip, "port": 10000, "target_group": group}),
    }
}

fn with(mut fields: Value, name: &str, value: impl Into<Value>) -> Value {
    fields.as_object_mut().expect("an object").insert(name.to_owned(), value.into());
    fields
}

fn registered(second: i64, target: Value, latency_ms: u64) -> Line {
    line(second, "target_registered", with(target, "latency_ms", latency_ms))
}

fn gone(second: i64, target: Value) -> Line {
    line(second, "target_deregistered", target)
}

fn health(second: i64, target: Value, to: &str, since_start_ms: u64) -> Line {
    line(second, "target_health_changed", with(with(target, "to", to), "since_start_ms", since_start_ms))
}

fn finding(second: i64, state: &str) -> Line {
    let fields = json!({
        "finding": "teardown_off", "state": state, "subject": "nlb", "detail": state, "advice": "do it",
    });
    line(second, "finding", fields)
}

fn history(lines: &[Line]) -> History {
    History::of(lines).expect("there are lines")
}

/// From, to, and whether each is in the log.
fn life(life: crate::period::Life) -> (i64, i64, bool, bool) {
    let second = |at: Timestamp| at.as_second() - 1_795_219_200;
    let period = life.period;
    (second(period.from()), second(period.to()), life.began == Edge::Seen, life.ended == Edge::Seen)
}

fn balancers(lines: &[Line]) -> Vec<(i64, i64, bool, bool)> {
    history(lines).balancers.iter().map(|balancer| life(balancer.life)).collect()
}

fn states(task: &TaskLife) -> Vec<(i64, i64, TargetState)> {
    let second = |at: Timestamp| at.as_second() - 1_795_219_200;
    task.states.iter().map(|(period, state)| (second(period.from()), second(period.to()), *state)).collect()
}

#[test]
fn a_balancer_lives_from_its_creation_to_its_deletion() {
    let lines = [look(0, "absent"), look(60, "provisioning"), look(120, "active"), deleted(1000, "a", 960)];
    assert_eq!(balancers(&lines), [(40, 1000, true, true)]);
    assert_eq!(history(&lines).teardowns, 1);
}

#[test]
fn a_balancer_that_the_log_begins_or_ends_with_is_open_there() {
    assert_eq!(balancers(&[look(0, "active"), look(600, "active")]), [(0, 600, false, false)]);
    assert_eq!(balancers(&[look(0, "active"), deleted(100, "a", 5000)]), [(0, 100, false, true)]);
    assert_eq!(balancers(&[look(0, "absent"), look(60, "active"), look(90, "active")]), [(60, 90, true, false)]);
}

#[test]
fn a_balancer_that_somebody_else_deleted_ends_when_a_look_misses_it() {
    let lines = [look(0, "active"), look(600, "absent"), look(700, "absent")];
    assert_eq!(balancers(&lines), [(0, 600, false, true)]);
    assert_eq!(history(&lines).teardowns, 0);
}

#[test]
fn a_deleted_balancer_that_still_shows_is_no_new_one() {
    let lines =
        [look(0, "active"), deleted(100, "a", 100), look(100, "active"), look(130, "active"), look(160, "absent")];
    assert_eq!(balancers(&lines), [(0, 100, true, true)]);
    let lines = [deleted(100, "a", 0), look(110, "provisioning"), look(200, "active")];
    assert_eq!(balancers(&lines), [(100, 100, true, true), (110, 200, true, false)]);
}

#[test]
fn a_deletion_that_two_workers_tell_counts_once() {
    let lines = [look(0, "absent"), look(10, "active"), deleted(100, "a", 90), deleted(101, "a", 91)];
    assert_eq!(balancers(&lines), [(10, 100, true, true)]);
    assert_eq!(history(&lines).teardowns, 1);
}

#[test]
fn an_uptime_longer_than_time_breaks_nothing() {
    assert_eq!(balancers(&[look(0, "absent"), deleted(100, "a", u64::MAX)]), [(0, 100, false, true)]);
}

#[test]
fn a_balancer_is_idle_while_it_is_marked() {
    let lines = [
        look(0, "absent"),
        look(10, "active"),
        marked(20),
        line(30, "idle_unmarked", json!({})),
        marked(50),
        deleted(60, "a", 50),
    ];
    let idle: Vec<f64> = history(&lines).balancers[0].idle.iter().map(|period| period.seconds()).collect();
    assert_eq!(idle, [10.0, 10.0]);
}

#[test]
fn a_task_is_followed_from_its_start_to_its_deregistration() {
    let (udp, tcp) = (target(Some("t"), "10.0.1.1", "udp"), target(Some("t"), "10.0.1.1", "tcp"));
    let lines = [
        look(0, "active"),
        registered(100, tcp.clone(), 900),
        registered(101, udp.clone(), 1900),
        health(160, tcp.clone(), "healthy", 70_000),
        health(170, udp.clone(), "healthy", 80_000),
        health(200, udp.clone(), "unhealthy", 110_000),
        health(210, udp.clone(), "healthy", 120_000),
        gone(300, tcp),
        gone(301, udp.clone()),
        health(302, udp, "draining", 212_000),
        look(400, "active"),
    ];
    let history = history(&lines);
    let [task] = &history.tasks[..] else { panic!("{:?}", history.tasks) };
    assert_eq!(life(task.life), (90, 301, true, true));
    use TargetState::{Healthy, Registered, Starting, Unhealthy};
    let expected =
        [(90, 100, Starting), (100, 170, Registered), (170, 200, Healthy), (200, 210, Unhealthy), (210, 301, Healthy)];
    assert_eq!(states(task), expected);
    assert_eq!((task.registered.len(), task.deregistered.len()), (1, 1));
    assert_eq!(history.registered_after_ms, [900, 1900]);
    assert_eq!(history.healthy_after_ms, [70_000, 80_000], "how long the first time took");
    assert_eq!(history.aws_calls, 14);
}

#[test]
fn a_registration_that_two_workers_tell_counts_once() {
    let lines = [
        registered(10, target(Some("t"), "10.0.1.1", "udp"), 5),
        registered(11, target(Some("t"), "10.0.1.1", "udp"), 6),
    ];
    assert_eq!(history(&lines).registered_after_ms, [5]);
}

#[test]
fn a_task_that_the_log_begins_with_is_open_there() {
    let udp = target(Some("t"), "10.0.1.1", "udp");
    let lines = [look(0, "active"), health(50, udp.clone(), "unhealthy", 90_000), gone(60, udp.clone())];
    assert_eq!(life(history(&lines).tasks[0].life), (0, 60, false, true));
    let lines = [look(0, "active"), gone(60, udp.clone())];
    assert_eq!(life(history(&lines).tasks[0].life), (0, 60, false, true));
    let lines = [look(0, "active"), registered(10, udp, 1), look(60, "active")];
    assert_eq!(life(history(&lines).tasks[0].life), (10, 60, true, false));
}

#[test]
fn an_address_that_another_task_gets_ends_the_first_ones_bar() {
    let lines = [
        registered(10, target(Some("one"), "10.0.1.1", "udp"), 1),
        registered(50, target(Some("two"), "10.0.1.1", "udp"), 1),
        gone(90, target(None, "10.0.1.1", "udp")),
    ];
    let lives: Vec<_> = history(&lines).tasks.iter().map(|task| (task.name.clone(), life(task.life))).collect();
    assert_eq!(lives, [("one".to_owned(), (10, 50, true, true)), ("two".to_owned(), (50, 90, true, true))]);
}

#[test]
fn a_look_that_sees_no_target_ends_those_whose_end_the_log_lacks() {
    let udp = || target(Some("t"), "10.0.1.1", "udp");
    let lines = [registered(10, udp(), 1), look_with(60, "active", 0, 0), look_with(90, "active", 0, 0)];
    assert_eq!(life(history(&lines).tasks[0].life), (10, 60, true, true));
    // The look that led to the registration had seen none.
    let lines = [registered(60, udp(), 1), look_with(60, "active", 0, 0), look(90, "active")];
    assert_eq!(life(history(&lines).tasks[0].life), (60, 90, true, false));
}

#[test]
fn a_target_without_a_task_has_a_bar_of_its_address() {
    let history = history(&[registered(10, target(None, "10.0.9.9", "udp"), 1), look(20, "active")]);
    assert_eq!(history.tasks[0].name, "10.0.9.9");
}

#[test]
fn a_finding_stands_from_its_first_line_to_its_last() {
    let lives = |lines: &[Line]| -> Vec<_> { history(lines).findings.iter().map(|it| life(it.life)).collect() };
    let minute = 60;
    let stood =
        [look(0, "active"), finding(10, "raised"), finding(15 * minute, "repeated"), finding(20 * minute, "cleared")];
    assert_eq!(lives(&stood), [(10, 1200, true, true)]);
    assert_eq!(lives(&[look(0, "active"), finding(10, "changed")]), [(0, 10, false, false)]);
    let fell_silent = [finding(10, "raised"), look(60 * minute, "active"), finding(61 * minute, "raised")];
    assert_eq!(lives(&fell_silent), [(10, 10, true, false), (3660, 3660, true, false)]);
    assert_eq!(lives(&[finding(10, "raised"), look_with(90, "active", 0, 0)]), [(10, 90, true, true)]);
}

#[test]
fn what_failed_is_named_by_call_and_code() {
    let fields = json!({
        "error": "e", "error_service": "ecs", "error_operation": "ListTasks", "resource": "jitsi", "error_code": "Throttling",
    });
    let history = history(&[line(1, "reconcile_failed", fields), line(2, "lines_dropped", json!({"lines": 3}))]);
    let whats: Vec<&str> = history.failures.iter().map(|failure| failure.what.as_str()).collect();
    assert_eq!(whats, ["ecs:ListTasks (Throttling)", "log lines dropped"]);
    assert_eq!(history.moments.len(), 2);
}
