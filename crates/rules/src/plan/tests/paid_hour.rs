//! The grace period until the end of a paid hour.

use super::*;
use crate::bounds::TEARDOWN_ALLOWANCE;

/// A load balancer that was created at 11:00 is paid until 12:00, then until 13:00.
fn until_paid_hour() -> Policy {
    Policy { until_paid_hour: true, resync_interval: minutes(90), ..policy() }
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}Z").parse().expect("an instant")
}

#[test]
fn keeps_an_idle_load_balancer_until_three_minutes_before_its_paid_hour_ends() {
    for (idle_since, ends_at) in [
        // From the creation on, and in the middle of the hour.
        ("11:00:00", "11:57:00"),
        ("11:20:00", "11:57:00"),
        // The ordinary grace period ends at the margin's beginning, within it, and with the hour.
        ("11:56:00", "11:57:00"),
        ("11:56:01", "11:57:01"),
        ("11:58:59.999", "11:59:59.999"),
        // A new hour has begun when it ends.
        ("11:59:00", "12:57:00"),
        ("11:59:59", "12:57:00"),
        ("12:00:00", "12:57:00"),
    ] {
        assert_eq!(until_paid_hour().grace_ends_at(at("11:00:00"), at(idle_since)), at(ends_at), "{idle_since}");
    }
}

#[test]
fn counts_paid_hours_from_the_creation_and_not_by_the_clock() {
    let policy = until_paid_hour();
    assert_eq!(policy.grace_ends_at(at("10:42:17.250"), at("11:50:00")), at("12:39:17.250"));
}

#[test]
fn a_clock_behind_the_creation_is_in_the_first_paid_hour() {
    assert_eq!(until_paid_hour().grace_ends_at(at("11:00:00"), at("10:55:00")), at("11:57:00"));
}

#[test]
fn never_shortens_a_grace_period_of_more_than_an_hour() {
    let policy = Policy { idle_grace: minutes(90), ..until_paid_hour() };
    assert_eq!(policy.grace_ends_at(at("11:00:00"), at("11:10:00")), at("12:57:00"));
    assert_eq!(policy.grace_ends_at(at("11:00:00"), at("11:29:00")), at("12:59:00"));
    assert_eq!(policy.grace_ends_at(at("11:00:00"), at("11:31:00")), at("13:57:00"));
}

#[test]
fn the_margin_is_a_teardown_and_a_tick_of_the_lambda_function() {
    assert_eq!(PAID_HOUR_MARGIN, TEARDOWN_ALLOWANCE + minutes(1));
}

/// An idle service whose load balancer was created at 11:00, and marked at noon less this time.
fn marked_before_noon(age: Duration) -> Observation {
    idle(marked_load_balancer(&[], noon() - age))
}

#[test]
fn reconciles_and_deletes_when_the_extended_grace_period_ends() {
    let observed = marked_before_noon(minutes(30));
    for before in [minutes(29), minutes(20), minutes(4), minutes(3) + Duration::from_millis(1)] {
        let plan = plan(&observed, &until_paid_hour(), noon() - before);
        assert_eq!((&plan.lifecycle, plan.requeue_at), (&LifecycleAction::Keep, noon() - minutes(3)), "{before:?}");
    }
    assert!(is_deletion(&plan(&observed, &until_paid_hour(), noon() - minutes(3))));
}

#[test]
fn deletes_at_once_when_the_paid_hour_was_missed() {
    // No worker ran at 11:57. The grace period ends when it ends: it doesn't move to the next hour.
    for late in [Duration::ZERO, minutes(10), minutes(47)] {
        assert!(is_deletion(&plan(&marked_before_noon(minutes(30)), &until_paid_hour(), noon() + late)), "{late:?}");
    }
}

#[test]
fn marks_at_once_and_requeues_at_the_end_of_the_extended_grace_period() {
    for reason in [MarkReason::Idle, MarkReason::Incomplete] {
        let mut load_balancer = marked_load_balancer(&[], noon() - minutes(40));
        load_balancer.target_groups[0].tags = owner_tags();
        if reason == MarkReason::Idle {
            load_balancer.tags = owner_tags();
        }
        let plan = plan(&idle(load_balancer), &until_paid_hour(), noon() - minutes(30));
        let LifecycleAction::Mark { idle_since, reason: given, .. } = plan.lifecycle else {
            panic!("{:?}", plan.lifecycle)
        };
        assert_eq!((idle_since, given, plan.requeue_at), (noon() - minutes(30), reason, noon() - minutes(3)));
    }
}

#[test]
fn an_unused_load_balancer_gets_its_unused_grace_and_then_the_rest_of_its_paid_hour() {
    let unused = observation(counts(0, 0, 0), vec![], Some(load_balancer(&[])));
    let waiting = plan(&unused, &until_paid_hour(), at("11:10:00"));
    assert_eq!((waiting.lifecycle, waiting.requeue_at), (LifecycleAction::Keep, at("11:15:00")));
    let marking = plan(&unused, &until_paid_hour(), at("11:15:00"));
    assert!(matches!(marking.lifecycle, LifecycleAction::Mark { reason: MarkReason::Unused, .. }));
    assert_eq!(marking.requeue_at, at("11:57:00"));
}

#[test]
fn a_hold_and_a_use_end_the_extended_grace_period() {
    let mut held = marked_before_noon(minutes(30));
    let tags = &mut held.load_balancer.as_mut().expect("a load balancer").tags;
    tags.insert(HOLD_UNTIL_TAG.into(), at("12:30:00").to_string());
    let mut used = marked_before_noon(minutes(30));
    used.service = counts(1, 0, 0);
    for (observed, reason) in [(held, UnmarkReason::Held), (used, UnmarkReason::InUse)] {
        for now in [at("11:40:00"), at("11:57:00"), noon()] {
            let plan = plan(&observed, &until_paid_hour(), now);
            let LifecycleAction::Unmark { reason: given, .. } = plan.lifecycle else { panic!("{:?}", plan.lifecycle) };
            assert_eq!(given, reason);
        }
    }
}

#[test]
fn a_mark_is_valid_for_fifty_minutes_after_the_extended_grace_period() {
    let observed = Observation { tasks: Vec::new(), ..marked_before_noon(minutes(59)) };
    let last_valid = at("12:47:00");
    assert!(is_deletion(&plan(&observed, &until_paid_hour(), last_valid)));
    let later = plan(&observed, &until_paid_hour(), last_valid + seconds(1));
    assert_eq!((is_deletion(&later), names(&later)), (false, vec![FindingName::MarkExpired]));
}

#[test]
fn orphaned_target_groups_wait_for_the_ordinary_grace_period_only() {
    let mut orphaned = observation(counts(0, 0, 0), vec![], None);
    orphaned.orphaned_target_groups = marked_load_balancer(&[], noon()).target_groups;
    let waiting = plan(&orphaned, &until_paid_hour(), noon() + seconds(59));
    assert_eq!((waiting.lifecycle, waiting.requeue_at), (LifecycleAction::Keep, noon() + seconds(60)));
    let due = plan(&orphaned, &until_paid_hour(), noon() + seconds(60));
    assert!(matches!(due.lifecycle, LifecycleAction::DeleteTargetGroups { .. }), "{:?}", due.lifecycle);
}
