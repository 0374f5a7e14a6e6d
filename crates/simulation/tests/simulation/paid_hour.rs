//! Quiet days on which idle load balancers are kept until just before the end of their paid hour.

use std::time::Duration;

use jiff::Timestamp;

use jvb_watcher_simulation::day::{Action, Day, Options};

const MINUTE: Duration = Duration::from_secs(60);

/// Plays a quiet day with a scale-up at one o'clock, and returns the ages at which workers deleted the load balancers of
/// its schedule, in seconds.
fn ages_at_deletion(then: &[(Duration, Action)]) -> Vec<i64> {
    let mut day = Day::quiet();
    day.policy.until_paid_hour = true;
    day.schedule = vec![(60 * MINUTE, Action::ScaleUp { tasks: 1, pace: Duration::from_secs(5) })];
    day.schedule.extend_from_slice(then);
    let report = day.play(Options { history: true, bug: None, log: false });
    assert_eq!(report.violations, []);
    let times = |call: &str| -> Vec<Timestamp> {
        let lines = report.history.iter().filter(|line| line.ends_with(call));
        lines.map(|line| line.split(' ').next().expect("a time").parse().expect("an instant")).collect()
    };
    let deletions = times("Worker(1) calls DeleteLoadBalancer: done");
    // The first load balancer is another project's. The quiet end of the day scales up once more.
    let created = times("Operator calls CreateLoadBalancer: done").split_off(1);
    assert_eq!(created.len(), deletions.len());
    let ages = created.iter().zip(&deletions).map(|(created, deleted)| deleted.duration_since(*created).as_secs());
    ages.take(created.len() - 1).collect()
}

#[test]
fn an_idle_load_balancer_is_deleted_three_minutes_before_its_paid_hour_ends() {
    for idle_at in [70, 90, 110] {
        let ages = ages_at_deletion(&[(idle_at * MINUTE, Action::Scale { tasks: 0 })]);
        assert!(matches!(ages[..], [deleted] if (57 * 60..57 * 60 + 10).contains(&deleted)), "{ages:?}");
    }
}

#[test]
fn the_next_call_finds_the_load_balancer_of_the_last_one() {
    let ages = ages_at_deletion(&[
        (75 * MINUTE, Action::Scale { tasks: 0 }),
        (100 * MINUTE, Action::Scale { tasks: 1 }),
        (140 * MINUTE, Action::Scale { tasks: 0 }),
    ]);
    assert!(matches!(ages[..], [deleted] if (117 * 60..117 * 60 + 10).contains(&deleted)), "{ages:?}");
}
