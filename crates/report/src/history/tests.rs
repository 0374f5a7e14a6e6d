use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::period::{Edge, Lifetime};
use crate::samples::{
    DAY, deleted, deregistered, finding, health, line, marked, reconciled, reconciled_with, registered, target,
};

fn history(lines: &[Line]) -> History {
    History::of(lines).expect("there are lines")
}

/// The start and the end in seconds, and whether the log contains each.
fn ends(lifetime: Lifetime) -> (i64, i64, bool, bool) {
    let second = |at: Timestamp| at.as_second() - DAY;
    let period = lifetime.period;
    (second(period.from()), second(period.to()), lifetime.start == Edge::Logged, lifetime.end == Edge::Logged)
}

fn load_balancers(lines: &[Line]) -> Vec<(i64, i64, bool, bool)> {
    history(lines).load_balancers.iter().map(|it| ends(it.lifetime)).collect()
}

fn states(task: &TaskLifetime) -> Vec<(i64, i64, TargetState)> {
    let second = |at: Timestamp| at.as_second() - DAY;
    task.states.iter().map(|(period, state)| (second(period.from()), second(period.to()), *state)).collect()
}

#[test]
fn a_load_balancer_is_up_from_its_creation_to_its_deletion() {
    let lines =
        [reconciled(0, "absent"), reconciled(60, "provisioning"), reconciled(120, "active"), deleted(1000, "a", 960)];
    assert_eq!(load_balancers(&lines), [(40, 1000, true, true)]);
    assert_eq!(history(&lines).teardowns, 1);
}

#[test]
fn the_ends_outside_the_log_are_marked() {
    assert_eq!(load_balancers(&[reconciled(0, "active"), reconciled(600, "active")]), [(0, 600, false, false)]);
    assert_eq!(load_balancers(&[reconciled(0, "active"), deleted(100, "a", 5000)]), [(0, 100, false, true)]);
    assert_eq!(
        load_balancers(&[reconciled(0, "absent"), reconciled(60, "active"), reconciled(90, "active")]),
        [(60, 90, true, false)]
    );
}

#[test]
fn a_load_balancer_deleted_by_an_operator_ends_at_the_next_observation() {
    let lines = [reconciled(0, "active"), reconciled(600, "absent"), reconciled(700, "absent")];
    assert_eq!(load_balancers(&lines), [(0, 600, false, true)]);
    assert_eq!(history(&lines).teardowns, 0);
}

#[test]
fn a_deleted_load_balancer_that_is_still_listed_is_not_a_new_one() {
    let lines = [
        reconciled(0, "active"),
        deleted(100, "a", 100),
        reconciled(100, "active"),
        reconciled(130, "active"),
        reconciled(160, "absent"),
    ];
    assert_eq!(load_balancers(&lines), [(0, 100, true, true)]);
    let lines = [deleted(100, "a", 0), reconciled(110, "provisioning"), reconciled(200, "active")];
    assert_eq!(load_balancers(&lines), [(100, 100, true, true), (110, 200, true, false)]);
}

#[test]
fn counts_a_deletion_by_two_workers_once() {
    let lines = [reconciled(0, "absent"), reconciled(10, "active"), deleted(100, "a", 90), deleted(101, "a", 91)];
    assert_eq!(load_balancers(&lines), [(10, 100, true, true)]);
    assert_eq!(history(&lines).teardowns, 1);
}

#[test]
fn accepts_an_uptime_beyond_the_range_of_timestamps() {
    assert_eq!(load_balancers(&[reconciled(0, "absent"), deleted(100, "a", u64::MAX)]), [(0, 100, false, true)]);
}

#[test]
fn a_load_balancer_is_idle_while_it_is_marked() {
    let lines = [
        reconciled(0, "absent"),
        reconciled(10, "active"),
        marked(20),
        line(30, "idle_unmarked", json!({})),
        marked(50),
        deleted(60, "a", 50),
    ];
    let idle: Vec<f64> = history(&lines).load_balancers[0].idle.iter().map(|period| period.seconds()).collect();
    assert_eq!(idle, [10.0, 10.0]);
}

#[test]
fn follows_a_task_from_its_start_to_its_deregistration() {
    let (udp, tcp) = (target(Some("t"), "10.0.1.1", "udp"), target(Some("t"), "10.0.1.1", "tcp"));
    let lines = [
        reconciled(0, "active"),
        registered(100, tcp.clone(), 900),
        registered(101, udp.clone(), 1900),
        health(160, tcp.clone(), "healthy", 70_000),
        health(170, udp.clone(), "healthy", 80_000),
        health(200, udp.clone(), "unhealthy", 110_000),
        health(210, udp.clone(), "healthy", 120_000),
        deregistered(300, tcp),
        deregistered(301, udp.clone()),
        health(302, udp, "draining", 212_000),
        reconciled(400, "active"),
    ];
    let history = history(&lines);
    let [task] = &history.tasks[..] else { panic!("{:?}", history.tasks) };
    assert_eq!(ends(task.lifetime), (90, 301, true, true));
    use TargetState::{Healthy, Registered, Starting, Unhealthy};
    let expected =
        [(90, 100, Starting), (100, 170, Registered), (170, 200, Healthy), (200, 210, Unhealthy), (210, 301, Healthy)];
    assert_eq!(states(task), expected);
    assert_eq!((task.registered.len(), task.deregistered.len()), (1, 1));
    assert_eq!(history.registration_latencies_ms, [900, 1900]);
    assert_eq!(history.times_to_healthy_ms, [70_000, 80_000], "only the first time counts");
    assert_eq!(history.aws_calls, 14);
}

#[test]
fn counts_a_registration_by_two_workers_once() {
    let lines = [
        registered(10, target(Some("t"), "10.0.1.1", "udp"), 5),
        registered(11, target(Some("t"), "10.0.1.1", "udp"), 6),
    ];
    assert_eq!(history(&lines).registration_latencies_ms, [5]);
}

#[test]
fn a_task_registered_before_the_log_starts_with_it() {
    let udp = target(Some("t"), "10.0.1.1", "udp");
    let lines = [reconciled(0, "active"), health(50, udp.clone(), "unhealthy", 90_000), deregistered(60, udp.clone())];
    assert_eq!(ends(history(&lines).tasks[0].lifetime), (0, 60, false, true));
    let lines = [reconciled(0, "active"), deregistered(60, udp.clone())];
    assert_eq!(ends(history(&lines).tasks[0].lifetime), (0, 60, false, true));
    let lines = [reconciled(0, "active"), registered(10, udp, 1), reconciled(60, "active")];
    assert_eq!(ends(history(&lines).tasks[0].lifetime), (10, 60, true, false));
}

#[test]
fn a_task_ends_when_another_task_gets_its_address() {
    let lines = [
        registered(10, target(Some("one"), "10.0.1.1", "udp"), 1),
        registered(50, target(Some("two"), "10.0.1.1", "udp"), 1),
        deregistered(90, target(None, "10.0.1.1", "udp")),
    ];
    let lifetimes: Vec<_> = history(&lines).tasks.iter().map(|task| (task.name.clone(), ends(task.lifetime))).collect();
    assert_eq!(lifetimes, [("one".to_owned(), (10, 50, true, true)), ("two".to_owned(), (50, 90, true, true))]);
}

#[test]
fn an_observation_without_targets_ends_those_left() {
    let udp = || target(Some("t"), "10.0.1.1", "udp");
    let lines = [registered(10, udp(), 1), reconciled_with(60, "active", 0, 0), reconciled_with(90, "active", 0, 0)];
    assert_eq!(ends(history(&lines).tasks[0].lifetime), (10, 60, true, true));
    // The reconciliation registered the target after its observation.
    let lines = [registered(60, udp(), 1), reconciled_with(60, "active", 0, 0), reconciled(90, "active")];
    assert_eq!(ends(history(&lines).tasks[0].lifetime), (60, 90, true, false));
}

#[test]
fn a_target_without_a_task_is_named_by_its_address() {
    let history = history(&[registered(10, target(None, "10.0.9.9", "udp"), 1), reconciled(20, "active")]);
    assert_eq!(history.tasks[0].name, "10.0.9.9");
}

#[test]
fn a_finding_is_open_from_its_first_line_to_its_last() {
    let lifetimes = |lines: &[Line]| -> Vec<_> { history(lines).findings.iter().map(|it| ends(it.lifetime)).collect() };
    let minute = 60;
    let cleared = [
        reconciled(0, "active"),
        finding(10, "raised"),
        finding(15 * minute, "repeated"),
        finding(20 * minute, "cleared"),
    ];
    assert_eq!(lifetimes(&cleared), [(10, 1200, true, true)]);
    assert_eq!(lifetimes(&[reconciled(0, "active"), finding(10, "changed")]), [(0, 10, false, false)]);
    let without_reports = [finding(10, "raised"), reconciled(60 * minute, "active"), finding(61 * minute, "raised")];
    assert_eq!(lifetimes(&without_reports), [(10, 10, true, false), (3660, 3660, true, false)]);
    assert_eq!(lifetimes(&[finding(10, "raised"), reconciled_with(90, "active", 0, 0)]), [(10, 90, true, true)]);
}

#[test]
fn names_a_failure_by_its_call_and_error_code() {
    let fields = json!({
        "error": "e", "error_service": "ecs", "error_operation": "ListTasks", "resource": "jitsi", "error_code": "Throttling",
    });
    let history = history(&[line(1, "reconcile_failed", fields), line(2, "lines_dropped", json!({"lines": 3}))]);
    let whats: Vec<&str> = history.failures.iter().map(|failure| failure.what.as_str()).collect();
    assert_eq!(whats, ["ecs:ListTasks (Throttling)", "log lines dropped"]);
    assert_eq!(history.entries.len(), 2);
}

#[test]
fn counts_the_acts_of_two_workers_once() {
    let udp = || target(Some("t"), "10.0.1.1", "udp");
    let of_one_worker = |delay: i64| {
        [
            registered(10 + delay, udp(), 900),
            health(100 + delay, udp(), "healthy", 95_000),
            deregistered(1000 + delay, udp()),
            marked(1060 + delay),
            deleted(1200 + delay, "a", 1190),
            line(1260 + delay, "teardown_completed", json!({})),
        ]
    };
    let alone = history(&of_one_worker(0));
    let mut lines: Vec<Line> = of_one_worker(0).into_iter().chain(of_one_worker(5)).collect();
    lines.sort_by_key(|line| line.at);
    let together = history(&lines);
    assert_eq!(together.repeated_reports, 6);
    assert_eq!(together.entries, alone.entries);
    assert_eq!((&together.tasks, together.teardowns), (&alone.tasks, 1));
    assert_eq!(together.registration_latencies_ms, [900]);
    assert_eq!(together.times_to_healthy_ms, [95_000]);
}

#[test]
fn a_finding_that_two_workers_clear_is_not_reopened() {
    let lines = [reconciled(0, "active"), finding(10, "raised"), finding(300, "cleared"), finding(900, "cleared")];
    let lifetimes: Vec<_> = history(&lines).findings.iter().map(|it| ends(it.lifetime)).collect();
    assert_eq!(lifetimes, [(10, 300, true, true)]);
    // It is open again without a line about that: its start lies somewhere after the last end.
    let lines = [finding(10, "raised"), finding(300, "cleared"), finding(900, "repeated")];
    let lifetimes: Vec<_> = history(&lines).findings.iter().map(|it| ends(it.lifetime)).collect();
    assert_eq!(lifetimes, [(10, 300, true, true), (300, 900, false, false)]);
}
