use serde_json::json;

use super::*;
use crate::days::days;
use crate::line::Line;
use crate::samples::{deregistered, health, line, reconciled, registered, target, used};

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

#[test]
fn the_use_is_a_line_with_a_gap_where_it_is_unknown() {
    // An axis of ten minutes: 4 flows, 4 flows, 1 flow, unknown, 0 flows.
    let chart = chart(&[
        reconciled(0, "absent"),
        used(60, 1, 4, None),
        used(120, 2, 4, None),
        used(180, 3, 1, None),
        used(300, 5, 0, None),
        reconciled(590, "absent"),
    ]);
    let names: Vec<&str> = chart.lanes.iter().map(|lane| lane.label.as_str()).collect();
    assert_eq!(names, ["Load balancer", "Use"]);
    let lane = &chart.lanes[1];
    assert_eq!(lane.detail, "up to 4 flows");
    let strokes: Vec<_> =
        lane.strokes.iter().map(|stroke| (stroke.x.clone(), stroke.y, stroke.title.as_str())).collect();
    let x = |from: &str, to: &str| [from.to_owned(), to.to_owned()];
    assert_eq!(
        strokes,
        [
            (x("10.00%", "30.00%"), [0, 0], "4 flows from 00:01:00 to 00:03:00"),
            (x("30.00%", "30.00%"), [0, 11], ""),
            (x("30.00%", "40.00%"), [11, 11], "1 flow from 00:03:00 to 00:04:00"),
            (x("50.00%", "60.00%"), [14, 14], "0 flows from 00:05:00 to 00:06:00"),
        ]
    );
}

#[test]
fn a_stop_for_disuse_is_a_mark_of_the_load_balancer() {
    let stopped = line(300, "service_stopped", json!({"desired_before": 1, "unused_since": "2026-11-21T00:00:00Z"}));
    let chart = chart(&[reconciled(0, "absent"), reconciled(60, "active"), stopped, reconciled(600, "absent")]);
    assert_eq!(kinds(&chart.lanes[0]), [MarkKind::Deleted, MarkKind::Stopped]);
}
