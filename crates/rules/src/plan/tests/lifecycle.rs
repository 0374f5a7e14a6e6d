//! When the load balancer is marked, unmarked and deleted.

use super::*;

#[test]
fn marks_an_idle_load_balancer_that_has_served_and_its_target_groups_at_once() {
    let plan = plan_at_noon(&idle(load_balancer(&[])));
    assert_eq!(
        plan.lifecycle,
        LifecycleAction::Mark {
            load_balancer_arn: LOAD_BALANCER.into(),
            idle_since: noon(),
            resources: vec![LOAD_BALANCER.into(), TCP.into(), UDP.into()],
            reason: MarkReason::Idle,
        }
    );
    assert_eq!(plan.requeue_at, noon() + policy().idle_grace);
}

#[test]
fn counts_a_load_balancer_as_served_when_a_task_stopped_after_its_creation() {
    let young = LoadBalancer { created_at: noon() - minutes(41), ..load_balancer(&[]) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(1)], Some(young)));
    assert!(matches!(plan.lifecycle, LifecycleAction::Mark { reason: MarkReason::Idle, .. }), "{:?}", plan.lifecycle);
}

#[test]
fn does_not_count_targets_left_in_kept_target_groups_as_served() {
    for task in [1, 9] {
        let young = LoadBalancer { created_at: noon() - minutes(2), ..with_unhealthy(load_balancer(&[9]), 9) };
        let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(task)], Some(young)));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep, "task {task}");
    }
}

#[test]
fn counts_a_target_of_a_task_without_times_as_served() {
    let task = Task { stopping_at: None, stopped_at: None, ..stopped(1) };
    let young = |targets: &[u8]| LoadBalancer { created_at: noon() - minutes(2), ..load_balancer(targets) };
    let with_target = plan_at_noon(&observation(counts(0, 0, 0), vec![task.clone()], Some(young(&[1]))));
    assert!(
        matches!(with_target.lifecycle, LifecycleAction::Mark { reason: MarkReason::Idle, .. }),
        "{:?}",
        with_target.lifecycle
    );
    let without = plan_at_noon(&observation(counts(0, 0, 0), vec![task], Some(young(&[]))));
    assert_eq!(without.lifecycle, LifecycleAction::Keep);
}

#[test]
fn waits_for_the_unused_grace_when_a_target_group_of_an_unused_load_balancer_lacks_the_mark() {
    // `down` has marked it without a grace period, and `terraform apply` has put a target group behind it since.
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(1));
    load_balancer.created_at = noon() - minutes(2);
    load_balancer.target_groups[1].tags = owner_tags();
    let seen = observation(counts(0, 0, 0), vec![], Some(load_balancer));
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
    let later = plan(&seen, &policy(), noon() + minutes(14));
    assert!(
        matches!(later.lifecycle, LifecycleAction::Mark { reason: MarkReason::Incomplete, .. }),
        "{:?}",
        later.lifecycle
    );
}

#[test]
fn counts_a_healthy_target_at_the_address_of_a_long_stopped_task_as_another_service() {
    let load_balancer = marked_load_balancer(&[1], noon() - minutes(2));
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(1)], Some(load_balancer)));
    assert!(
        matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::InUse, .. }),
        "{:?}",
        plan.lifecycle
    );
    assert_eq!(plan.registrations, [], "the target stays");
    assert_eq!(names(&plan), [FindingName::TargetOfOthers; 2]);
}

#[test]
fn counts_a_healthy_target_at_the_address_of_a_task_that_stopped_within_five_minutes_as_the_tasks() {
    let just_now = Some(noon() - minutes(5));
    let task = Task { stopping_at: just_now, stopped_at: just_now, ..stopped(1) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![task], Some(load_balancer(&[1]))));
    assert!(matches!(plan.lifecycle, LifecycleAction::Mark { reason: MarkReason::Idle, .. }), "{:?}", plan.lifecycle);
    assert_eq!(plan.registrations.iter().map(|group| group.deregister.len()).sum::<usize>(), 2);
    assert_eq!(plan.findings, []);
}

#[test]
fn keeps_the_load_balancer_of_healthy_targets_that_are_not_addresses() {
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(2));
    load_balancer.target_groups[1].target_type = TargetType::Other("instance".into());
    let idle = observation(counts(0, 0, 0), vec![stopped(1)], Some(load_balancer.clone()));
    assert!(is_deletion(&plan_at_noon(&idle)), "no target is healthy in it");
    load_balancer.target_groups[1].healthy_others = 1;
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(1)], Some(load_balancer)));
    assert!(
        matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::InUse, .. }),
        "{:?}",
        plan.lifecycle
    );
    let mut found = names(&plan);
    found.sort();
    assert_eq!(found, [FindingName::TargetGroupUnsupported, FindingName::TargetOfOthers]);
}

#[test]
fn starts_the_grace_period_at_the_end_of_a_hold_that_no_worker_observed() {
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(30));
    let hold_until = (noon() - seconds(5)).to_string();
    load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), hold_until);
    let plan = plan_at_noon(&idle(load_balancer));
    let LifecycleAction::Mark { idle_since, reason: MarkReason::Idle, .. } = plan.lifecycle else {
        panic!("{:?}", plan.lifecycle)
    };
    assert_eq!(idle_since, noon());
}

#[test]
fn ignores_a_hold_that_ended_before_the_mark() {
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(2));
    load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), (noon() - minutes(3)).to_string());
    assert!(is_deletion(&plan_at_noon(&idle(load_balancer))));
}

#[test]
fn does_not_mark_the_load_balancer_of_a_scale_up_in_progress() {
    let young = LoadBalancer { created_at: noon() - minutes(2), ..load_balancer(&[]) };
    let plan = plan(&observation(counts(0, 0, 0), vec![], Some(young.clone())), &policy(), noon());
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
    let policy = Policy { resync_interval: minutes(60), ..policy() };
    let plan = super::plan(&observation(counts(0, 0, 0), vec![], Some(young)), &policy, noon());
    assert_eq!(plan.requeue_at, noon() + minutes(13));
}

#[test]
fn does_not_mark_a_provisioning_load_balancer() {
    let just_now = Some(noon() - minutes(1));
    let seen = |state| {
        let task = Task { stopping_at: just_now, stopped_at: just_now, ..stopped(1) };
        let young = LoadBalancer { created_at: noon() - minutes(2), state, ..load_balancer(&[]) };
        observation(counts(0, 0, 0), vec![task], Some(young))
    };
    // It carries no traffic, whatever the service's tasks do.
    assert_eq!(plan_at_noon(&seen(LoadBalancerState::Provisioning)).lifecycle, LifecycleAction::Keep);
    assert_ne!(plan_at_noon(&seen(LoadBalancerState::Active)).lifecycle, LifecycleAction::Keep);
}

#[test]
fn does_not_count_tasks_from_before_the_load_balancer_as_served() {
    // It got its order to stop before the creation or at that instant, and had stopped after it.
    for age in [3, 2] {
        let stopping_at = Some(noon() - minutes(age));
        let earlier = Task { stopping_at, stopped_at: Some(noon() - minutes(1)), ..stopped(1) };
        let young = LoadBalancer { created_at: noon() - minutes(2), ..load_balancer(&[]) };
        let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![earlier], Some(young)));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep, "{age} min");
    }
}

#[test]
fn marks_an_unused_load_balancer_after_the_unused_grace() {
    let unused = LoadBalancer { created_at: noon() - minutes(15), ..load_balancer(&[]) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![], Some(unused)));
    assert!(matches!(plan.lifecycle, LifecycleAction::Mark { reason: MarkReason::Unused, .. }), "{:?}", plan.lifecycle);
}

#[test]
fn deletes_a_marked_load_balancer_after_the_grace_period() {
    let marked_at = noon() - seconds(59);
    let plan = plan_at_noon(&idle(marked_load_balancer(&[], marked_at)));
    assert_eq!((&plan.lifecycle, plan.requeue_at), (&LifecycleAction::Keep, noon() + seconds(1)));

    let marked_at = noon() - seconds(60);
    let plan = plan_at_noon(&idle(marked_load_balancer(&[], marked_at)));
    let created_at = noon() - minutes(60);
    let expected = LifecycleAction::DeleteLoadBalancer {
        load_balancer_arn: LOAD_BALANCER.into(),
        created_at,
        idle_since: marked_at,
    };
    assert_eq!(plan.lifecycle, expected);
    assert_eq!(plan.requeue_at, noon() + TEARDOWN_REQUEUE);
}

#[test]
fn does_not_write_a_valid_mark_again() {
    for age in 0..60 {
        let plan = plan_at_noon(&idle(marked_load_balancer(&[], noon() - seconds(age))));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep, "a mark of {age} s");
    }
}

#[test]
fn restarts_the_grace_period_when_a_target_group_lacks_the_mark() {
    // A new target group, or `terraform apply` between the target groups and the load balancer.
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(30));
    load_balancer.target_groups[1].tags = owner_tags();
    let plan = plan_at_noon(&idle(load_balancer));
    assert_eq!(
        plan.lifecycle,
        LifecycleAction::Mark {
            load_balancer_arn: LOAD_BALANCER.into(),
            idle_since: noon(),
            resources: vec![LOAD_BALANCER.into(), TCP.into(), UDP.into()],
            reason: MarkReason::Incomplete,
        }
    );
    assert_eq!(plan.requeue_at, noon() + policy().idle_grace);
}

#[test]
fn removes_the_mark_at_any_sign_of_use() {
    use DesiredStatus as D;
    use LastStatus as L;
    for (service, tasks) in [
        (counts(1, 0, 0), vec![]),
        (counts(0, 1, 0), vec![]),
        (counts(0, 0, 1), vec![]),
        (counts(0, 0, 0), vec![running(1)]),
        (counts(0, 0, 0), vec![task(1, L::Starting, D::Running)]),
        (counts(0, 0, 0), vec![task(1, L::Unknown, D::Unknown)]),
        // ECS no longer counts it, and it may still carry a call.
        (counts(0, 0, 0), vec![task(1, L::Stopping, D::Stopped)]),
    ] {
        let seen = observation(service, tasks, Some(marked_load_balancer(&[1], noon() - minutes(30))));
        let plan = plan_at_noon(&seen);
        let expected = LifecycleAction::Unmark {
            resources: vec![LOAD_BALANCER.into(), TCP.into(), UDP.into()],
            idle_since: Some(noon() - minutes(30)),
            reason: UnmarkReason::InUse,
        };
        assert_eq!(plan.lifecycle, expected, "{seen:?}");
    }
}

#[test]
fn removes_what_is_left_of_a_mark() {
    // A worker stopped between two calls, or an operator removed one tag of two.
    let mut load_balancer = marked_load_balancer(&[1], noon() - minutes(30));
    load_balancer.tags.remove(IDLE_SINCE_TAG);
    load_balancer.target_groups[0].tags.clear();
    load_balancer.target_groups[1].tags.remove(LOAD_BALANCER_TAG);
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)));
    let resources = vec![LOAD_BALANCER.into(), TCP.into()];
    let expected = LifecycleAction::Unmark { resources, idle_since: None, reason: UnmarkReason::InUse };
    assert_eq!(plan.lifecycle, expected);
}

#[test]
fn restarts_the_grace_period_of_a_mark_older_than_the_last_use() {
    // No worker ran while the service was in use and became idle again.
    let marked_at = noon() - minutes(30);
    for used in [
        Task { stopping_at: Some(noon() - seconds(5)), ..stopped(1) },
        Task { started_at: Some(noon() - minutes(29)), ..stopped(1) },
    ] {
        let seen = observation(counts(0, 0, 0), vec![used], Some(marked_load_balancer(&[], marked_at)));
        let plan = plan_at_noon(&seen);
        assert!(
            matches!(&plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if *idle_since == noon()),
            "{:?}",
            plan.lifecycle
        );
    }
}

#[test]
fn restarts_the_grace_period_of_an_invalid_mark() {
    for mark in ["", "yesterday", "2026-11-20", "2026-11-20T12:05:01Z", "9999-01-01T00:00:00Z"] {
        let mut load_balancer = marked_load_balancer(&[], noon());
        load_balancer.tags.insert(IDLE_SINCE_TAG.into(), mark.into());
        let plan = plan_at_noon(&idle(load_balancer));
        assert!(
            matches!(&plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if *idle_since == noon()),
            "{mark:?}"
        );
    }
}

#[test]
fn restarts_the_grace_period_of_a_mark_of_another_or_an_earlier_load_balancer() {
    let mut copied = marked_load_balancer(&[], noon() - minutes(30));
    copied.tags.insert(LOAD_BALANCER_TAG.into(), LOAD_BALANCER.replace("0a1b", "9f9f"));
    let earlier = marked_load_balancer(&[], noon() - minutes(61));
    for load_balancer in [copied, earlier] {
        let plan = plan_at_noon(&idle(load_balancer));
        assert!(
            matches!(&plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if *idle_since == noon()),
            "{:?}",
            plan.lifecycle
        );
    }
}

#[test]
fn gives_a_new_load_balancer_with_an_earlier_mark_the_unused_grace() {
    let created_at = noon() - minutes(1);
    let new = LoadBalancer { created_at, ..marked_load_balancer(&[], noon() - minutes(2)) };
    assert_eq!(plan_at_noon(&observation(counts(0, 0, 0), vec![], Some(new))).lifecycle, LifecycleAction::Keep);
}

#[test]
fn restarts_the_grace_period_of_a_mark_older_than_ecs_shows_tasks() {
    let made_at = noon() - minutes(600);
    for (age, stands) in [(minutes(51), true), (minutes(51) + seconds(1), false)] {
        let load_balancer = LoadBalancer { created_at: made_at, ..marked_load_balancer(&[], noon() - age) };
        let seen = observation(counts(0, 0, 0), vec![], Some(load_balancer));
        let plan = plan_at_noon(&seen);
        assert_eq!(is_deletion(&plan), stands, "{:?}", plan.lifecycle);
        // Without the finding, a load balancer reconciled once an hour would stay forever, unexplained.
        assert_eq!(names(&plan), if stands { vec![] } else { vec![FindingName::MarkExpired] });
        // A deletion that AWS refuses has a finding of its own.
        let refused = Observation { teardown_begun_at: Some(noon() - age), ..seen };
        assert_eq!(names(&plan_at_noon(&refused)), []);
    }
}

#[test]
fn accepts_a_mark_with_nanoseconds_as_equal_to_that_of_its_target_groups() {
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(30));
    load_balancer.tags.insert(IDLE_SINCE_TAG.into(), "2026-11-20T11:30:00.000999Z".into());
    assert!(is_deletion(&plan_at_noon(&idle(load_balancer))));
}

#[test]
fn finds_a_task_that_does_not_stop_and_keeps_its_load_balancer() {
    let stopping_for = |age: Duration| {
        let at = Some(noon() - age);
        let stopping = Task { stopping_at: at, ..task(1, LastStatus::Stopping, DesiredStatus::Stopped) };
        plan_at_noon(&observation(counts(0, 0, 0), vec![stopping], Some(load_balancer(&[]))))
    };
    let plan = stopping_for(minutes(10));
    assert_eq!((&plan.lifecycle, names(&plan)), (&LifecycleAction::Keep, vec![]));
    let plan = stopping_for(minutes(10) + seconds(1));
    assert_eq!((&plan.lifecycle, names(&plan)), (&LifecycleAction::Keep, vec![FindingName::TaskNotStopping]));
}

#[test]
fn accepts_a_mark_from_a_clock_slightly_ahead() {
    let plan = plan_at_noon(&idle(marked_load_balancer(&[], noon() + minutes(1))));
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
}

#[test]
fn requeues_in_five_seconds_while_tasks_are_stopping() {
    let stopping = task(1, LastStatus::Running, DesiredStatus::Stopped);
    for (service, tasks) in [(counts(0, 1, 0), vec![stopping]), (counts(0, 0, 1), vec![])] {
        let plan = plan_at_noon(&observation(service, tasks, Some(load_balancer(&[]))));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep);
        assert_eq!(plan.requeue_at, noon() + NEARLY_IDLE_REQUEUE);
    }
}

#[test]
fn does_not_requeue_every_five_seconds_for_a_target_of_another_service() {
    let plan = plan_at_noon(&idle(load_balancer(&[9])));
    assert_eq!(names(&plan), [FindingName::TargetOfOthers; 2]);
    assert_eq!(plan.requeue_at, noon() + policy().resync_interval);
}

#[test]
fn neither_marks_nor_deletes_without_the_owner_tag() {
    let mut not_owned = marked_load_balancer(&[], noon() - minutes(30));
    not_owned.tags.remove("Lifecycle");
    let mut other_owner = marked_load_balancer(&[], noon() - minutes(30));
    other_owner.tags.insert("Lifecycle".into(), "permanent".into());
    for load_balancer in [not_owned, other_owner] {
        let plan = plan_at_noon(&idle(load_balancer));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep);
        assert_eq!(names(&plan), [FindingName::LoadBalancerNotOwned]);
    }
}

#[test]
fn leaves_a_load_balancer_of_another_type_alone() {
    for (service, tasks) in [(counts(0, 0, 0), vec![stopped(1)]), (counts(1, 1, 0), vec![running(1)])] {
        let kind = LoadBalancerKind::Other("application".into());
        let load_balancer = LoadBalancer { kind, ..marked_load_balancer(&[2], noon() - minutes(30)) };
        let plan = plan_at_noon(&observation(service, tasks, Some(load_balancer)));
        assert_eq!((&plan.lifecycle, plan.registrations.len()), (&LifecycleAction::Keep, 0));
        assert_eq!(names(&plan), [FindingName::LoadBalancerNotNetwork]);
    }
}

#[test]
fn finds_a_failed_load_balancer_and_deletes_it_when_idle() {
    let failed = LoadBalancer { state: LoadBalancerState::Failed, ..marked_load_balancer(&[], noon() - minutes(30)) };
    let plan = plan_at_noon(&idle(failed));
    assert_eq!(names(&plan), [FindingName::LoadBalancerFailed]);
    assert!(is_deletion(&plan));
}

#[test]
fn obeys_a_hold_of_at_most_a_day() {
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(30));
    load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-21T12:00:00Z".into());
    let plan = plan_at_noon(&idle(load_balancer));
    assert!(matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::Held, .. }));
    assert_eq!(names(&plan), [FindingName::HoldActive]);
}

#[test]
fn neither_marks_nor_deletes_until_a_hold_ends() {
    for mut load_balancer in [load_balancer(&[]), marked_load_balancer(&[], noon() - minutes(30))] {
        load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-20T13:00:20+01:00".into());
        let marked = load_balancer.tags.contains_key(IDLE_SINCE_TAG);
        let plan = plan_at_noon(&idle(load_balancer.clone()));
        // The grace period restarts when the hold ends.
        let unmarked = matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::Held, .. });
        assert!(if marked { unmarked } else { plan.lifecycle == LifecycleAction::Keep }, "{:?}", plan.lifecycle);
        assert_eq!(names(&plan), [FindingName::HoldActive]);
        assert_eq!(plan.requeue_at, noon() + seconds(20));
        let later = super::plan(&idle(load_balancer), &policy(), noon() + seconds(20));
        assert_ne!(later.lifecycle, LifecycleAction::Keep);
        assert_eq!(later.findings, []);
    }
}

#[test]
fn removes_the_mark_of_a_service_in_use_despite_a_hold() {
    let mut load_balancer = marked_load_balancer(&[1], noon() - minutes(30));
    load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-20T13:00:00Z".into());
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)));
    assert!(matches!(plan.lifecycle, LifecycleAction::Unmark { .. }));
}

#[test]
fn ignores_and_reports_an_invalid_hold() {
    for until in ["", "tomorrow", "2026-11-21T12:00:01Z", "2027-11-20T12:00:00Z", "9999-12-31T23:59:59Z"] {
        let mut load_balancer = marked_load_balancer(&[], noon() - minutes(30));
        load_balancer.tags.insert(HOLD_UNTIL_TAG.into(), until.into());
        let plan = plan_at_noon(&idle(load_balancer));
        assert!(is_deletion(&plan), "{until:?}");
        assert_eq!(names(&plan), [FindingName::HoldInvalid], "{until:?}");
        assert!(plan.findings[0].detail.contains("a day ahead"), "{}", plan.findings[0].detail);
    }
}

#[test]
fn only_reports_an_idle_load_balancer_with_teardown_off() {
    let policy = Policy { teardown: Teardown::Off, ..policy() };
    for seen in [idle(load_balancer(&[])), idle(marked_load_balancer(&[], noon() - minutes(30)))] {
        let plan = plan(&seen, &policy, noon());
        assert_eq!((&plan.lifecycle, names(&plan)), (&LifecycleAction::Keep, vec![FindingName::TeardownOff]));
    }
    let busy = observation(counts(1, 1, 0), vec![running(1)], Some(marked_load_balancer(&[], noon())));
    let plan = plan(&busy, &policy, noon());
    assert_eq!((&plan.lifecycle, plan.findings.len()), (&LifecycleAction::Keep, 0));
    assert_eq!(plan.registrations.len(), 2);
}

#[test]
fn neither_marks_nor_deletes_target_groups_with_teardown_load_balancer() {
    let policy = Policy { teardown: Teardown::LoadBalancer, ..policy() };
    let marking = plan(&idle(load_balancer(&[])), &policy, noon());
    assert!(matches!(&marking.lifecycle, LifecycleAction::Mark { resources, .. } if *resources == [LOAD_BALANCER]));

    let mut only_load_balancer_marked = marked_load_balancer(&[], noon() - minutes(30));
    only_load_balancer_marked.target_groups.iter_mut().for_each(|group| group.tags = owner_tags());
    assert!(is_deletion(&plan(&idle(only_load_balancer_marked), &policy, noon())));

    let mut orphaned = observation(counts(0, 0, 0), vec![], None);
    orphaned.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(30)).target_groups;
    assert_eq!(plan(&orphaned, &policy, noon()).lifecycle, LifecycleAction::Keep);
}

#[test]
fn deletes_orphaned_target_groups_after_the_grace_period() {
    let mut seen = observation(counts(0, 0, 0), vec![stopped(1)], None);
    seen.orphaned_target_groups = marked_load_balancer(&[], noon() - seconds(59)).target_groups;
    let early = plan_at_noon(&seen);
    assert_eq!((&early.lifecycle, early.requeue_at), (&LifecycleAction::Keep, noon() + seconds(1)));

    let due = plan(&seen, &policy(), noon() + seconds(1));
    let LifecycleAction::DeleteTargetGroups { target_groups } = &due.lifecycle else { panic!("{:?}", due.lifecycle) };
    let arns: Vec<_> = target_groups.iter().map(|group| group.arn.as_str()).collect();
    assert_eq!(arns, [TCP, UDP]);
    assert_eq!(due.requeue_at, noon() + seconds(1) + TEARDOWN_REQUEUE);
}

#[test]
fn keeps_orphaned_target_groups_of_a_service_in_use() {
    let mut seen = observation(counts(1, 0, 0), vec![], None);
    seen.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(30)).target_groups;
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
}

#[test]
fn restarts_the_grace_period_of_orphaned_target_groups_after_tasks_ran() {
    let mut last = task(1, LastStatus::Stopped, DesiredStatus::Stopped);
    last.stopped_at = Some(noon() - seconds(10));
    let mut seen = observation(counts(0, 0, 0), vec![last], None);
    seen.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(30)).target_groups;
    let plan = plan_at_noon(&seen);
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
    assert_eq!(plan.requeue_at, noon() + seconds(50));
}

#[test]
fn keeps_target_groups_without_this_load_balancers_mark() {
    let mut seen = observation(counts(0, 0, 0), vec![], None);
    seen.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(30)).target_groups;
    let [first, second] = seen.orphaned_target_groups.as_mut_slice() else { panic!("two groups") };
    first.tags.insert(LOAD_BALANCER_TAG.into(), LOAD_BALANCER.replace("p-jvb-nlb", "q-jvb-nlb"));
    second.tags.remove(IDLE_SINCE_TAG);
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
}

#[test]
fn leaves_a_target_group_without_the_owner_tag_to_its_owner() {
    let mut load_balancer = load_balancer(&[]);
    load_balancer.target_groups[1].tags.clear();
    let plan = plan_at_noon(&idle(load_balancer));
    assert!(
        matches!(&plan.lifecycle, LifecycleAction::Mark { resources, .. } if *resources == [LOAD_BALANCER, UDP]),
        "{:?}",
        plan.lifecycle
    );
    // Its missing mark doesn't restart the grace period.
    let mut load_balancer = marked_load_balancer(&[], noon() - minutes(30));
    load_balancer.target_groups[1].tags.clear();
    assert!(is_deletion(&plan_at_noon(&idle(load_balancer))));
    // Nor does its mark make it an orphan.
    let mut seen = observation(counts(0, 0, 0), vec![], None);
    seen.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(30)).target_groups;
    seen.orphaned_target_groups[1].tags.remove("Lifecycle");
    let lifecycle = plan_at_noon(&seen).lifecycle;
    let LifecycleAction::DeleteTargetGroups { target_groups } = &lifecycle else { panic!("{lifecycle:?}") };
    assert_eq!(target_groups.iter().map(|group| group.arn.as_str()).collect::<Vec<_>>(), [UDP]);
}

#[test]
fn requeues_a_stalled_teardown_less_and_less_often() {
    let policy = Policy { resync_interval: minutes(60), ..policy() };
    let wait = |taken: Duration| {
        let teardown_begun_at = Some(noon() - taken);
        let seen = Observation { teardown_begun_at, ..idle(marked_load_balancer(&[], noon() - minutes(30))) };
        plan(&seen, &policy, noon()).requeue_at.duration_since(noon()).as_secs()
    };
    assert_eq!([seconds(0), seconds(10), seconds(60), minutes(10)].map(wait), [2, 2, 6, 60]);
}

#[test]
fn keeps_orphaned_target_groups_while_the_service_is_missing() {
    let mut seen = observation(Service::Missing, vec![], None);
    seen.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(30)).target_groups;
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
}
