use serde_json::json;

use super::*;
use crate::days::days;
use crate::line::Line;
use crate::samples::{deregistered, health, line, reconciled, registered, target};

/// The chart of the first day.
fn chart(lines: &[Line]) -> Chart {
    let history = History::of(lines).expect("there are lines");
    let (days, _) = days(&history);
    Chart::of(&history, &days[0], Axis::shared_by(&days))
}

fn kinds(lane: &Lane) -> Vec<MarkKind> {
    lane.marks.iter().map(|mark| mark.kind).collect()
}

fn failed(second: i64) -> Line {
    let fields = json!({"error": "e", "error_service": "ecs", "error_operation": "ListTasks", "resource": "c"});
    line(second, "reconcile_failed", fields)
}

#[test]
fn open_ends_are_marked() {
    let chart = chart(&[reconciled(0, "active"), reconciled(3600, "active")]);
    assert_eq!(kinds(&chart.lanes[0]), [MarkKind::StartsEarlier, MarkKind::Continues]);
}

#[test]
fn a_mark_that_would_cover_the_registration_is_left_out() {
    let udp = || target(Some("t"), "10.0.1.1", "udp");
    let marks = |healthy_after: i64| {
        let healthy = health(100 + healthy_after, udp(), "healthy", 1000 * (healthy_after as u64 + 10));
        kinds(
            &chart(&[reconciled(0, "absent"), registered(100, udp(), 1), healthy, deregistered(3000, udp())]).lanes[0],
        )
    };
    assert_eq!(marks(900), [MarkKind::Registered, MarkKind::Healthy, MarkKind::Deregistered]);
    assert_eq!(marks(10), [MarkKind::Registered, MarkKind::Deregistered]);
}

#[test]
fn close_failures_share_a_mark() {
    let chart = chart(&[failed(0), failed(5), failed(3600), reconciled(7200, "absent")]);
    let lane = chart.lanes.last().expect("a lane");
    let titles: Vec<&str> = lane.marks.iter().map(|mark| mark.title.as_str()).collect();
    assert_eq!(titles, ["ecs:ListTasks, and 1 more at 00:00:00", "ecs:ListTasks at 01:00:00"]);
    assert_eq!(lane.detail, "3");
}

#[test]
fn a_short_bar_stays_visible_at_the_right_end() {
    let lines = [failed(0), reconciled(1, "absent"), reconciled(3597, "active"), reconciled(3598, "absent")];
    let chart = chart(&lines);
    let bar = &chart.lanes[0].bars[0];
    assert_eq!((bar.x.as_str(), bar.width.as_str()), ("99.60%", "0.40%"));
}

#[test]
fn the_description_names_the_lanes() {
    let chart = chart(&[reconciled(0, "absent"), reconciled(600, "active"), reconciled(1200, "absent")]);
    assert_eq!(
        chart.description,
        "Timeline of 2026-11-21, from 00:10:00 to 00:25:00 UTC: Load balancer (up 10 min 0 s)."
    );
}
