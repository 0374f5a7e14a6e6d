use serde_json::json;

use super::*;
use crate::samples::{deleted, deregistered, finding, health, line, marked, registered, target};

fn udp() -> serde_json::Value {
    target(Some("t"), "10.0.1.1", "udp")
}

/// The positions of the lines that remain.
fn first_reports(lines: &[Line]) -> Vec<usize> {
    let (first_reports, repetitions) = without_repetitions(lines);
    assert_eq!(first_reports.len() + repetitions, lines.len());
    let position = |line: &&Line| lines.iter().position(|other| std::ptr::eq(*line, other)).expect("one of the lines");
    first_reports.iter().map(position).collect()
}

#[test]
fn a_second_report_within_the_window_is_a_repetition() {
    let lines = [registered(0, udp(), 1), registered(120, udp(), 2), registered(121, udp(), 3)];
    assert_eq!(first_reports(&lines), [0, 2]);
    assert_eq!(first_reports(&[deleted(0, "a", 9), deleted(1, "a", 10), deleted(2, "b", 1)]), [0, 2]);
}

#[test]
fn an_act_on_another_resource_is_another_act() {
    let lines = [
        registered(0, udp(), 1),
        registered(1, target(Some("t"), "10.0.1.1", "tcp"), 1),
        registered(2, target(Some("u"), "10.0.1.2", "udp"), 1),
        registered(3, target(Some("v"), "10.0.1.1", "udp"), 1),
    ];
    assert_eq!(first_reports(&lines), [0, 1, 2, 3]);
}

#[test]
fn an_act_that_was_undone_may_happen_again() {
    let lines = [
        registered(0, udp(), 1),
        health(10, udp(), "healthy", 10),
        health(15, udp(), "unhealthy", 15),
        health(20, udp(), "healthy", 20),
        deregistered(25, udp()),
        registered(30, udp(), 1),
        health(40, udp(), "healthy", 10),
    ];
    assert_eq!(first_reports(&lines), [0, 1, 2, 3, 4, 5, 6]);
    let unmarked = |second| line(second, "idle_unmarked", json!({}));
    assert_eq!(
        first_reports(&[marked(0), marked(1), unmarked(10), unmarked(11), marked(20), unmarked(30)]),
        [0, 2, 4, 5]
    );
}

#[test]
fn a_draining_target_does_not_split_two_reports_of_its_deregistration() {
    let lines = [deregistered(0, udp()), health(1, udp(), "draining", 10), deregistered(2, udp())];
    assert_eq!(first_reports(&lines), [0, 1]);
}

#[test]
fn a_mark_separates_two_teardowns() {
    let teardown = |second: i64, arn: &str| {
        [
            marked(second),
            line(second + 5, "teardown_started", json!({})),
            deleted(second + 6, arn, 20),
            line(second + 7, "target_group_deleted", json!({"target_group": "g"})),
            line(second + 8, "teardown_completed", json!({})),
        ]
    };
    let lines: Vec<Line> = teardown(0, "a").into_iter().chain(teardown(30, "b")).collect();
    assert_eq!(first_reports(&lines).len(), 10);
}

#[test]
fn the_repetitions_of_a_finding_remain() {
    let lines = [finding(0, "raised"), finding(1, "raised"), finding(60, "repeated"), finding(61, "repeated")];
    assert_eq!(first_reports(&lines), [0, 2, 3]);
    let lines = [finding(0, "raised"), finding(10, "cleared"), finding(11, "cleared"), finding(20, "raised")];
    assert_eq!(first_reports(&lines), [0, 1, 3]);
}

#[test]
fn each_failure_counts() {
    let failed = |second| {
        let fields = json!({"error": "e", "error_service": "ecs", "error_operation": "ListTasks", "resource": "c"});
        line(second, "reconcile_failed", fields)
    };
    assert_eq!(first_reports(&[failed(0), failed(1)]), [0, 1]);
}
