use super::*;
use crate::line::Line;
use crate::samples::{DAY, deleted, finding_named, reconciled, registered, target, used};

const MINUTE: i64 = 60;

/// An evening: a load balancer created at minute 0 and deleted at `deleted_at`, a task from minute 4, and the minutes with
/// flows; the others are without use, but for those unknown.
fn evening(deleted_at: i64, used_in: &[(i64, i64)], unknown: &[i64]) -> Vec<Line> {
    let mut lines = vec![reconciled(-MINUTE, "absent"), reconciled(0, "provisioning")];
    lines.push(registered(4 * MINUTE, target(Some("t"), "10.0.1.1", "udp"), 10));
    // CloudWatch shows a minute two minutes later; the last ones of a load balancer never.
    for minute in (5..deleted_at - 3).filter(|minute| !unknown.contains(minute)) {
        let flows = if used_in.iter().any(|(from, to)| (*from..*to).contains(&minute)) { 4 } else { 0 };
        lines.push(used((minute + 3) * MINUTE, minute, flows, None));
    }
    lines.push(deleted(deleted_at * MINUTE, "arn", (deleted_at * MINUTE) as u64));
    lines.push(reconciled(deleted_at * MINUTE + 7200, "absent"));
    // The first reconciliation of the task finds it healthy.
    lines.push(used(5 * MINUTE, -1, 0, None));
    lines.sort_by_key(|line| line.at);
    lines
}

fn model() -> Model {
    Model { idle_monthly: Some(0.0), ..Model::default() }
}

fn savings_of(lines: &[Line]) -> Vec<Saving> {
    savings(&History::of(lines).expect("lines"), &model())
}

/// The stops, the starts and the billed hours with each time without use.
fn summary(lines: &[Line]) -> Vec<(usize, usize, f64)> {
    savings_of(lines).iter().map(|saving| (saving.stops, saving.starts, saving.billed_hours)).collect()
}

fn assert_close(one: f64, other: f64) {
    assert!((one - other).abs() < 1e-9, "{one} is not {other}");
}

#[test]
fn a_log_without_use_saves_nothing() {
    assert_eq!(savings_of(&[reconciled(0, "absent"), reconciled(60, "active"), reconciled(600, "absent")]), []);
}

#[test]
fn a_forgotten_platform_is_deleted_a_window_after_its_last_use() {
    // In use until minute 40, deleted after five hours.
    let lines = evening(300, &[(10, 40)], &[]);
    let savings = savings_of(&lines);
    assert_eq!(summary(&lines), [(1, 0, 4.0), (1, 0, 3.0), (1, 0, 3.0)]);
    for (saving, window) in savings.iter().zip(WINDOWS) {
        // The notice, CloudWatch's lag and the minute of the write; then the tasks stop, and the idle grace.
        let up = 40 + window + NOTICE + CLOUDWATCH_LAG + 1 + 2;
        let model = model();
        let cost = |minutes: i64| {
            let up = Duration::from_secs(60 * minutes as u64);
            model.run_cost(&model.run(up))
        };
        assert_close(saving.dollars, cost(300) - cost(up));
    }
}

#[test]
fn begun_hours_are_billed() {
    // One that is stopped at minute 58 instead of 70 saves an hour, one at minute 68 saves nothing but minutes.
    let savings = savings_of(&evening(75, &[(10, 40)], &[]));
    assert_eq!(savings.iter().map(|saving| saving.billed_hours).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
    assert!(savings[0].dollars > savings[1].dollars && savings[1].dollars > 0.0, "{savings:?}");
    assert_eq!(savings[2].stops, 0, "it ended before");
}

#[test]
fn an_unknown_minute_is_in_use() {
    // Each window has an unknown minute, but for one of ten minutes from minute 41.
    let unknown: Vec<i64> = (53..300).step_by(9).collect();
    assert_eq!(summary(&evening(300, &[(10, 40)], &unknown))[1..], [(0, 0, 0.0), (0, 0, 0.0)]);
    let unknown: Vec<i64> = (44..300).step_by(9).collect();
    assert_eq!(summary(&evening(300, &[(10, 40)], &unknown)), [(0, 0, 0.0); 3]);
}

#[test]
fn a_caller_who_comes_back_after_a_stop_starts_it_again() {
    let lines = evening(300, &[(10, 40), (150, 200)], &[]);
    let [(stops, starts, hours), ..] = summary(&lines)[..] else { panic!("three windows") };
    assert_eq!((stops, starts), (2, 1));
    // Of five hours, one and an hour and a half that count as two.
    assert_close(hours, 5.0 - 1.0 - 2.0);
}

#[test]
fn a_return_before_the_deletion_keeps_the_load_balancer() {
    // The window is over in minute 52; a caller joins while the stop is announced, or right after it.
    for back in [51, 53, 56, 57] {
        let stops: Vec<usize> =
            savings_of(&evening(100, &[(10, 40), (back, 90)], &[])).iter().map(|it| it.stops).collect();
        assert_eq!(stops, [0, 0, 0], "back in minute {back}");
    }
}

#[test]
fn an_end_by_hand_before_the_stop_saves_nothing() {
    assert_eq!(summary(&evening(55, &[(10, 40)], &[])), [(0, 0, 0.0); 3]);
}

#[test]
fn the_first_call_is_waited_for() {
    // No caller ever comes: half an hour after the task's start, not ten minutes.
    let model = model();
    let savings = savings_of(&evening(300, &[], &[]));
    let cost = |minutes: u64| model.run_cost(&model.run(Duration::from_secs(60 * minutes)));
    // The write in minute 4 + 30 + 2, and the two minutes until the deletion.
    assert_close(savings[0].dollars, cost(300) - cost(4 + 30 + 2 + 1 + 2));
}

#[test]
fn a_hold_keeps_it() {
    let mut lines = evening(300, &[(10, 40)], &[]);
    lines.push(finding_named(50 * MINUTE, "hold_active", "raised"));
    // The watcher logs a finding again every fifteen minutes.
    lines.extend((65..290).step_by(15).map(|minute| finding_named(minute * MINUTE, "hold_active", "repeated")));
    lines.push(finding_named(290 * MINUTE, "hold_active", "cleared"));
    lines.sort_by_key(|line| line.at);
    assert_eq!(summary(&lines), [(0, 0, 0.0); 3]);
}

#[test]
fn until_the_paid_hour_saves_whole_hours_only() {
    let mut lines = evening(110, &[(10, 40)], &[]);
    assert_eq!(summary(&lines)[0], (1, 0, 1.0));
    let started = serde_json::json!({"idle_grace_seconds": 60.0, "idle_grace_until_paid_hour": true});
    lines.insert(0, crate::samples::line(-2 * MINUTE, "watcher_started", started));
    let with_paid_hour = savings_of(&lines)[0];
    assert_eq!((with_paid_hour.stops, with_paid_hour.billed_hours), (1, 1.0));
    assert!(with_paid_hour.dollars < savings_of(&evening(110, &[(10, 40)], &[]))[0].dollars);
    assert_eq!(start_of(DAY / 60).as_second(), DAY);
}
