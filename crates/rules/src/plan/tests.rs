//! The rules, one test each, and what holds for every observation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::samples::*;
use super::*;
use crate::model::{
    AddressFamily, DesiredStatus, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, LastStatus, LoadBalancer,
    LoadBalancerKind, LoadBalancerState, Tags, Target, TargetGroup, TargetState, TargetType, Task,
};

mod properties;

/// The balancer with the targets of one address failing their health checks.
fn with_unhealthy(mut balancer: LoadBalancer, number: u8) -> LoadBalancer {
    for target in balancer.target_groups.iter_mut().flat_map(|group| &mut group.targets) {
        if target.ip == ip(number) {
            target.state = TargetState::Unhealthy;
        }
    }
    balancer
}

fn plan_at_noon(observation: &Observation) -> Plan {
    plan(observation, &policy(), noon())
}

fn names(plan: &Plan) -> Vec<FindingName> {
    plan.findings.iter().map(|finding| finding.name).collect()
}

fn keys(changes: &[TargetChange]) -> Vec<(IpAddr, u16)> {
    changes.iter().map(|change| (change.key.ip, change.key.port)).collect()
}

fn is_deletion(plan: &Plan) -> bool {
    matches!(plan.lifecycle, LifecycleAction::DeleteLoadBalancer { .. })
}

// ---- targets ----

#[test]
fn a_serving_task_is_registered_in_every_group_with_the_groups_own_port() {
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[]))));
    let registered: Vec<_> =
        plan.registrations.iter().map(|group| (group.target_group.as_str(), keys(&group.register))).collect();
    assert_eq!(registered, [("p-jvb-tcp-tg", vec![(ip(1), 4443)]), ("p-jvb-udp", vec![(ip(1), 10000)])]);
    assert_eq!(plan.requeue_at, noon() + HEALTH_REQUEUE);
}

#[test]
fn a_registered_serving_task_needs_nothing() {
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer(&[1]))));
    assert_eq!(plan.registrations, []);
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
    assert_eq!(plan.findings, []);
    assert_eq!(plan.requeue_at, noon() + policy().resync_interval);
}

#[test]
fn a_task_serves_only_when_last_and_desired_status_are_running() {
    use DesiredStatus as D;
    use LastStatus as L;
    for (last, desired) in [
        (L::Starting, D::Running),
        (L::Running, D::Stopped),
        (L::Running, D::Unknown),
        (L::Stopping, D::Running),
        (L::Stopped, D::Stopped),
        (L::Unknown, D::Running),
    ] {
        let seen = observation(counts(1, 1, 0), vec![task(1, last, desired)], Some(balancer(&[])));
        assert_eq!(plan_at_noon(&seen).registrations, [], "{last:?} with desired {desired:?}");
    }
}

#[test]
fn a_draining_target_of_a_serving_task_is_registered_again() {
    let mut balancer = balancer(&[1]);
    balancer.target_groups[0].targets[0].state = TargetState::Draining;
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer)));
    assert_eq!(plan.registrations.len(), 1);
    assert_eq!(keys(&plan.registrations[0].register), [(ip(1), 10000)]);
}

#[test]
fn a_stopped_tasks_target_is_deregistered_at_once() {
    for leaving in [
        stopped(2),
        task(2, LastStatus::Stopping, DesiredStatus::Stopped),
        task(2, LastStatus::Running, DesiredStatus::Stopped),
    ] {
        let seen = observation(counts(1, 1, 0), vec![running(1), leaving], Some(balancer(&[1, 2])));
        for group in &plan_at_noon(&seen).registrations {
            assert_eq!(group.register, []);
            assert_eq!(group.deregister.len(), 1);
            assert_eq!(group.deregister[0].key.ip, ip(2));
            assert_eq!(group.deregister[0].reason, TargetReason::TaskStopping);
        }
    }
}

#[test]
fn a_draining_target_is_not_deregistered_again() {
    let mut balancer = balancer(&[1]);
    for group in &mut balancer.target_groups {
        group.targets[0].state = TargetState::Draining;
    }
    assert_eq!(plan_at_noon(&idle(balancer)).registrations, []);
}

#[test]
fn an_address_that_a_new_task_has_taken_over_stays() {
    for new in [running(1), task(1, LastStatus::Starting, DesiredStatus::Running)] {
        let old = Task { id: stopped(9).id, ..stopped(1) };
        let seen = observation(counts(1, 1, 0), vec![old, new], Some(balancer(&[1])));
        assert_eq!(plan_at_noon(&seen).registrations, []);
    }
}

#[test]
fn a_target_without_a_task_goes_only_after_two_looks_thirty_seconds_apart() {
    let mut seen = observation(counts(1, 1, 0), vec![running(1)], Some(with_unhealthy(balancer(&[1, 7]), 7)));
    let first = plan_at_noon(&seen);
    assert_eq!(first.registrations, []);
    assert_eq!(first.unmatched.len(), 2);
    assert_eq!(first.requeue_at, noon() + UNMATCHED_BEFORE_STALE);

    seen.unmatched_since = first.unmatched.iter().map(|key| (key.clone(), noon())).collect();
    assert_eq!(plan(&seen, &policy(), noon() + seconds(29)).registrations, []);
    let second = plan(&seen, &policy(), noon() + seconds(30));
    for group in &second.registrations {
        assert_eq!(keys(&group.deregister).len(), 1);
        assert_eq!(group.deregister[0].key.ip, ip(7));
        assert_eq!(group.deregister[0].reason, TargetReason::NoTask);
    }
    assert_eq!(second.registrations.len(), 2);
}

#[test]
fn a_healthy_target_of_somebody_elses_stays_and_keeps_the_balancer() {
    let mut seen = idle(marked_balancer(&[7], noon() - minutes(30)));
    seen.unmatched_since = seen.targets().map(|(group, of)| (group.key(of.ip, of.port), noon() - minutes(5))).collect();
    let plan = plan_at_noon(&seen);
    assert_eq!(plan.registrations, []);
    assert_eq!(names(&plan), [FindingName::TargetOfOthers; 2]);
    assert!(
        matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::InUse, .. }),
        "{:?}",
        plan.lifecycle
    );
}

#[test]
fn looks_that_show_fewer_tasks_than_the_service_counts_are_no_witness() {
    let mut seen = observation(counts(2, 1, 1), vec![running(1)], Some(with_unhealthy(balancer(&[1, 7]), 7)));
    seen.unmatched_since = seen.targets().map(|(group, of)| (group.key(of.ip, of.port), noon() - minutes(5))).collect();
    assert_eq!(plan_at_noon(&seen).registrations, []);
    seen.tasks.push(task(2, LastStatus::Starting, DesiredStatus::Running));
    assert_eq!(plan_at_noon(&seen).registrations.len(), 2);
}

#[test]
fn one_incomplete_look_never_empties_a_group() {
    let plan = plan_at_noon(&observation(counts(3, 3, 0), vec![], Some(balancer(&[1, 2, 3]))));
    assert_eq!(plan.registrations, []);
}

#[test]
fn an_ipv6_group_gets_the_ipv6_address() {
    let v6: Ipv6Addr = "2a05:d018::17".parse().expect("an address");
    let mut balancer = balancer(&[]);
    balancer.target_groups.truncate(1);
    balancer.target_groups[0].target_type = TargetType::Ip { family: AddressFamily::Ipv6, port: 10000 };
    let dual_stack = Task { ipv6: Some(v6), ..running(1) };
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![dual_stack], Some(balancer)));
    assert_eq!(keys(&plan.registrations[0].register), [(IpAddr::V6(v6), 10000)]);
}

#[test]
fn a_serving_task_without_an_address_of_the_family_is_a_finding() {
    let without = Task { ipv4: None, ..running(1) };
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![without], Some(balancer(&[]))));
    assert_eq!(plan.registrations, []);
    assert_eq!(names(&plan), [FindingName::TaskWithoutAddress; 2]);
}

#[test]
fn a_group_of_another_target_type_is_a_finding_and_left_alone() {
    let mut balancer = balancer(&[]);
    balancer.target_groups[1].target_type = TargetType::Other("instance".into());
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer)));
    assert_eq!(plan.registrations.len(), 1);
    assert_eq!(names(&plan), [FindingName::TargetGroupUnsupported]);
}

#[test]
fn serving_tasks_and_no_group_for_them_is_a_finding() {
    let mut balancer = balancer(&[]);
    balancer.target_groups.clear();
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer)));
    assert_eq!(names(&plan), [FindingName::TargetGroupMissing]);
}

#[test]
fn serving_tasks_and_no_balancer_is_a_finding() {
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], None));
    assert_eq!(names(&plan), [FindingName::LoadBalancerMissing]);
    assert_eq!(plan_at_noon(&observation(counts(1, 0, 1), vec![], None)).findings, []);
}

#[test]
fn targets_in_their_first_health_checks_are_looked_at_again_soon() {
    let mut balancer = balancer(&[1]);
    balancer.target_groups[0].targets[0].state = TargetState::Initial;
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer)));
    assert_eq!(plan.requeue_at, noon() + HEALTH_REQUEUE);
}

// ---- a missing service ----

#[test]
fn with_a_missing_service_nothing_is_torn_down_or_deregistered() {
    let mut seen = observation(Service::Missing, vec![], Some(marked_balancer(&[1, 2], noon() - minutes(30))));
    let unmatched = seen.targets().map(|(group, target)| (group.key(target.ip, target.port), noon() - minutes(5)));
    seen.unmatched_since = unmatched.collect();
    let plan = plan_at_noon(&seen);
    assert_eq!(plan.registrations, []);
    assert_eq!(names(&plan), [FindingName::ServiceMissing]);
    assert!(
        matches!(&plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::ServiceMissing, .. }),
        "{:?}",
        plan.lifecycle
    );
}

#[test]
fn with_a_missing_service_orphaned_groups_stay() {
    let mut seen = observation(Service::Missing, vec![], None);
    seen.orphaned_target_groups = marked_balancer(&[], noon() - minutes(30)).target_groups;
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
}

// ---- mark, grace, teardown ----

#[test]
fn an_idle_balancer_that_has_served_is_marked_at_once_with_its_groups() {
    let plan = plan_at_noon(&idle(balancer(&[])));
    assert_eq!(
        plan.lifecycle,
        LifecycleAction::Mark {
            load_balancer_arn: BALANCER.into(),
            idle_since: noon(),
            resources: vec![BALANCER.into(), TCP.into(), UDP.into()],
            reason: MarkReason::Idle,
        }
    );
    assert_eq!(plan.requeue_at, noon() + policy().idle_grace);
}

#[test]
fn a_balancer_whose_task_has_stopped_since_it_was_made_has_served() {
    let young = LoadBalancer { created_at: noon() - minutes(41), ..balancer(&[]) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(1)], Some(young)));
    assert!(matches!(plan.lifecycle, LifecycleAction::Mark { reason: MarkReason::Idle, .. }), "{:?}", plan.lifecycle);
}

#[test]
fn targets_left_over_in_kept_groups_do_not_make_a_new_balancer_one_that_has_served() {
    for task in [1, 9] {
        let young = LoadBalancer { created_at: noon() - minutes(2), ..with_unhealthy(balancer(&[9]), 9) };
        let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(task)], Some(young)));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep, "task {task}");
    }
}

#[test]
fn a_target_of_a_task_whose_times_are_not_known_tells_that_the_balancer_has_served() {
    let task = Task { stopping_at: None, stopped_at: None, ..stopped(1) };
    let young = |targets: &[u8]| LoadBalancer { created_at: noon() - minutes(2), ..balancer(targets) };
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
fn a_mark_that_is_missing_on_a_group_of_a_new_balancer_waits_for_the_unused_grace() {
    // Somebody has marked it without a grace, by `down`; and terraform has put a group behind it since.
    let mut balancer = marked_balancer(&[], noon() - minutes(1));
    balancer.created_at = noon() - minutes(2);
    balancer.target_groups[1].tags.clear();
    let seen = observation(counts(0, 0, 0), vec![], Some(balancer));
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
    let later = plan(&seen, &policy(), noon() + minutes(14));
    assert!(
        matches!(later.lifecycle, LifecycleAction::Mark { reason: MarkReason::Incomplete, .. }),
        "{:?}",
        later.lifecycle
    );
}

#[test]
fn what_answers_where_a_task_stopped_long_ago_is_somebodys() {
    let balancer = marked_balancer(&[1], noon() - minutes(2));
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(1)], Some(balancer)));
    assert!(
        matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::InUse, .. }),
        "{:?}",
        plan.lifecycle
    );
    assert_eq!(plan.registrations, [], "it stays");
    assert_eq!(names(&plan), [FindingName::TargetOfOthers; 2]);
}

#[test]
fn what_answers_where_a_task_stopped_just_now_is_the_tasks() {
    let just_now = Some(noon() - minutes(4));
    let task = Task { stopping_at: just_now, stopped_at: just_now, ..stopped(1) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![task], Some(balancer(&[1]))));
    assert!(matches!(plan.lifecycle, LifecycleAction::Mark { reason: MarkReason::Idle, .. }), "{:?}", plan.lifecycle);
    assert_eq!(plan.registrations.iter().map(|group| group.deregister.len()).sum::<usize>(), 2);
    assert_eq!(plan.findings, []);
}

#[test]
fn what_answers_in_a_group_that_takes_no_addresses_keeps_the_balancer() {
    let mut balancer = marked_balancer(&[], noon() - minutes(2));
    balancer.target_groups[1].target_type = TargetType::Other("instance".into());
    let idle = observation(counts(0, 0, 0), vec![stopped(1)], Some(balancer.clone()));
    assert!(is_deletion(&plan_at_noon(&idle)), "nothing answers in it");
    balancer.target_groups[1].healthy_others = 1;
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stopped(1)], Some(balancer)));
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
fn the_grace_begins_when_a_hold_ends_even_if_nobody_looked_while_it_was_in_force() {
    let mut balancer = marked_balancer(&[], noon() - minutes(30));
    let hold_until = (noon() - seconds(5)).to_string();
    balancer.tags.insert(HOLD_UNTIL_TAG.into(), hold_until);
    let plan = plan_at_noon(&idle(balancer));
    let LifecycleAction::Mark { idle_since, reason: MarkReason::Idle, .. } = plan.lifecycle else {
        panic!("{:?}", plan.lifecycle)
    };
    assert_eq!(idle_since, noon());
}

#[test]
fn a_hold_that_ended_before_the_mark_changes_nothing() {
    let mut balancer = marked_balancer(&[], noon() - minutes(2));
    balancer.tags.insert(HOLD_UNTIL_TAG.into(), (noon() - minutes(3)).to_string());
    assert!(is_deletion(&plan_at_noon(&idle(balancer))));
}

#[test]
fn a_balancer_of_a_scale_up_in_progress_has_time() {
    let young = LoadBalancer { created_at: noon() - minutes(2), ..balancer(&[]) };
    let plan = plan(&observation(counts(0, 0, 0), vec![], Some(young.clone())), &policy(), noon());
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
    let policy = Policy { resync_interval: minutes(60), ..policy() };
    let plan = super::plan(&observation(counts(0, 0, 0), vec![], Some(young)), &policy, noon());
    assert_eq!(plan.requeue_at, noon() + minutes(13));
}

#[test]
fn a_balancer_still_provisioning_has_time_whatever_was_registered_in_it() {
    let state = LoadBalancerState::Provisioning;
    let young = LoadBalancer { created_at: noon() - minutes(2), state, ..balancer(&[1]) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![], Some(young)));
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
}

#[test]
fn tasks_of_an_earlier_evening_do_not_make_a_new_balancer_one_that_has_served() {
    // They were told to stop before the balancer was made, and had stopped after.
    let stopping_at = Some(noon() - minutes(3));
    let earlier = Task { stopping_at, stopped_at: Some(noon() - minutes(1)), ..stopped(1) };
    let young = LoadBalancer { created_at: noon() - minutes(2), ..balancer(&[]) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![earlier], Some(young)));
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
}

#[test]
fn a_balancer_that_nobody_ever_used_is_marked_after_the_unused_grace() {
    let unused = LoadBalancer { created_at: noon() - minutes(15), ..balancer(&[]) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![], Some(unused)));
    assert!(matches!(plan.lifecycle, LifecycleAction::Mark { reason: MarkReason::Unused, .. }), "{:?}", plan.lifecycle);
}

#[test]
fn a_marked_balancer_waits_for_the_grace_and_then_goes() {
    let marked_at = noon() - seconds(59);
    let plan = plan_at_noon(&idle(marked_balancer(&[], marked_at)));
    assert_eq!((&plan.lifecycle, plan.requeue_at), (&LifecycleAction::Keep, noon() + seconds(1)));

    let marked_at = noon() - seconds(60);
    let plan = plan_at_noon(&idle(marked_balancer(&[], marked_at)));
    let created_at = noon() - minutes(60);
    let expected =
        LifecycleAction::DeleteLoadBalancer { load_balancer_arn: BALANCER.into(), created_at, idle_since: marked_at };
    assert_eq!(plan.lifecycle, expected);
    assert_eq!(plan.requeue_at, noon() + TEARDOWN_LOOK);
}

#[test]
fn a_mark_is_not_renewed_while_it_stands() {
    for age in 0..60 {
        let plan = plan_at_noon(&idle(marked_balancer(&[], noon() - seconds(age))));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep, "a mark of {age} s");
    }
}

#[test]
fn nothing_goes_before_every_group_carries_the_mark_and_the_grace_begins_anew() {
    // A new group, or terraform on its way from the groups to the balancer.
    let mut balancer = marked_balancer(&[], noon() - minutes(30));
    balancer.target_groups[1].tags.clear();
    let plan = plan_at_noon(&idle(balancer));
    assert_eq!(
        plan.lifecycle,
        LifecycleAction::Mark {
            load_balancer_arn: BALANCER.into(),
            idle_since: noon(),
            resources: vec![BALANCER.into(), TCP.into(), UDP.into()],
            reason: MarkReason::Incomplete,
        }
    );
    assert_eq!(plan.requeue_at, noon() + policy().idle_grace);
}

#[test]
fn any_sign_of_use_takes_the_mark_away() {
    use DesiredStatus as D;
    use LastStatus as L;
    for (service, tasks) in [
        (counts(1, 0, 0), vec![]),
        (counts(0, 1, 0), vec![]),
        (counts(0, 0, 1), vec![]),
        (counts(0, 0, 0), vec![running(1)]),
        (counts(0, 0, 0), vec![task(1, L::Starting, D::Running)]),
        (counts(0, 0, 0), vec![task(1, L::Unknown, D::Unknown)]),
        // ECS counts it no more, and it may still be in the middle of a call.
        (counts(0, 0, 0), vec![task(1, L::Stopping, D::Stopped)]),
    ] {
        let seen = observation(service, tasks, Some(marked_balancer(&[1], noon() - minutes(30))));
        let plan = plan_at_noon(&seen);
        let expected = LifecycleAction::Unmark {
            resources: vec![BALANCER.into(), TCP.into(), UDP.into()],
            idle_since: Some(noon() - minutes(30)),
            reason: UnmarkReason::InUse,
        };
        assert_eq!(plan.lifecycle, expected, "{seen:?}");
    }
}

#[test]
fn a_mark_older_than_the_last_use_begins_anew() {
    // Nobody watched while the service was used and went idle again.
    let marked_at = noon() - minutes(30);
    for used in [
        Task { stopping_at: Some(noon() - seconds(5)), ..stopped(1) },
        Task { started_at: Some(noon() - minutes(29)), ..stopped(1) },
    ] {
        let seen = observation(counts(0, 0, 0), vec![used], Some(marked_balancer(&[], marked_at)));
        let plan = plan_at_noon(&seen);
        assert!(
            matches!(&plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if *idle_since == noon()),
            "{:?}",
            plan.lifecycle
        );
    }
}

#[test]
fn a_mark_that_cannot_be_true_begins_anew() {
    for mark in ["", "yesterday", "2026-11-20", "2026-11-20T12:05:01Z", "9999-01-01T00:00:00Z"] {
        let mut balancer = marked_balancer(&[], noon());
        balancer.tags.insert(IDLE_SINCE_TAG.into(), mark.into());
        let plan = plan_at_noon(&idle(balancer));
        assert!(
            matches!(&plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if *idle_since == noon()),
            "{mark:?}"
        );
    }
}

#[test]
fn a_mark_of_another_balancer_or_from_before_this_one_begins_anew() {
    let mut copied = marked_balancer(&[], noon() - minutes(30));
    copied.tags.insert(LOAD_BALANCER_TAG.into(), BALANCER.replace("0a1b", "9f9f"));
    let earlier = marked_balancer(&[], noon() - minutes(61));
    for balancer in [copied, earlier] {
        let plan = plan_at_noon(&idle(balancer));
        assert!(
            matches!(&plan.lifecycle, LifecycleAction::Mark { idle_since, .. } if *idle_since == noon()),
            "{:?}",
            plan.lifecycle
        );
    }
}

#[test]
fn a_mark_older_than_ecs_remembers_tasks_begins_anew() {
    let made_at = noon() - minutes(600);
    for (age, stands) in [(minutes(51), true), (minutes(51) + seconds(1), false)] {
        let balancer = LoadBalancer { created_at: made_at, ..marked_balancer(&[], noon() - age) };
        let seen = observation(counts(0, 0, 0), vec![], Some(balancer));
        let plan = plan_at_noon(&seen);
        assert_eq!(is_deletion(&plan), stands, "{:?}", plan.lifecycle);
        // Else a balancer that is looked at once an hour would cost money for ever, and nobody would know why.
        assert_eq!(names(&plan), if stands { vec![] } else { vec![FindingName::MarkExpired] });
        // A teardown that AWS refuses is a finding of its own.
        let refused = Observation { teardown_begun_at: Some(noon() - age), ..seen };
        assert_eq!(names(&plan_at_noon(&refused)), []);
    }
}

#[test]
fn a_mark_finer_than_milliseconds_is_the_same_as_its_groups() {
    let mut balancer = marked_balancer(&[], noon() - minutes(30));
    balancer.tags.insert(IDLE_SINCE_TAG.into(), "2026-11-20T11:30:00.000999Z".into());
    assert!(is_deletion(&plan_at_noon(&idle(balancer))));
}

#[test]
fn a_task_that_does_not_stop_keeps_the_balancer_and_is_a_finding() {
    let stuck =
        Task { stopping_at: Some(noon() - minutes(11)), ..task(1, LastStatus::Stopping, DesiredStatus::Stopped) };
    let plan = plan_at_noon(&observation(counts(0, 0, 0), vec![stuck], Some(balancer(&[]))));
    assert_eq!((&plan.lifecycle, names(&plan)), (&LifecycleAction::Keep, vec![FindingName::TaskNotStopping]));
}

#[test]
fn a_mark_from_a_clock_a_little_ahead_is_believed() {
    let plan = plan_at_noon(&idle(marked_balancer(&[], noon() + minutes(1))));
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
}

#[test]
fn nearly_idle_is_looked_at_again_in_five_seconds() {
    let leaving = task(1, LastStatus::Running, DesiredStatus::Stopped);
    for (service, tasks) in [(counts(0, 1, 0), vec![leaving]), (counts(0, 0, 1), vec![])] {
        let plan = plan_at_noon(&observation(service, tasks, Some(balancer(&[]))));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep);
        assert_eq!(plan.requeue_at, noon() + NEARLY_IDLE_REQUEUE);
    }
}

#[test]
fn a_target_of_somebody_elses_is_not_looked_at_every_five_seconds_for_days() {
    let plan = plan_at_noon(&idle(balancer(&[9])));
    assert_eq!(names(&plan), [FindingName::TargetOfOthers; 2]);
    assert_eq!(plan.requeue_at, noon() + policy().resync_interval);
}

// ---- whose balancer it is ----

#[test]
fn without_the_owner_tag_nothing_is_marked_or_torn_down() {
    let mut not_owned = marked_balancer(&[], noon() - minutes(30));
    not_owned.tags.remove("Lifecycle");
    let mut other_owner = marked_balancer(&[], noon() - minutes(30));
    other_owner.tags.insert("Lifecycle".into(), "permanent".into());
    for balancer in [not_owned, other_owner] {
        let plan = plan_at_noon(&idle(balancer));
        assert_eq!(plan.lifecycle, LifecycleAction::Keep);
        assert_eq!(names(&plan), [FindingName::LoadBalancerNotOwned]);
    }
}

#[test]
fn another_kind_of_balancer_is_left_alone_altogether() {
    for (service, tasks) in [(counts(0, 0, 0), vec![stopped(1)]), (counts(1, 1, 0), vec![running(1)])] {
        let kind = LoadBalancerKind::Other("application".into());
        let balancer = LoadBalancer { kind, ..marked_balancer(&[2], noon() - minutes(30)) };
        let plan = plan_at_noon(&observation(service, tasks, Some(balancer)));
        assert_eq!((&plan.lifecycle, plan.registrations.len()), (&LifecycleAction::Keep, 0));
        assert_eq!(names(&plan), [FindingName::LoadBalancerNotNetwork]);
    }
}

#[test]
fn a_failed_balancer_is_a_finding_and_goes_when_idle() {
    let failed = LoadBalancer { state: LoadBalancerState::Failed, ..marked_balancer(&[], noon() - minutes(30)) };
    let plan = plan_at_noon(&idle(failed));
    assert_eq!(names(&plan), [FindingName::LoadBalancerFailed]);
    assert!(is_deletion(&plan));
}

// ---- hold ----

#[test]
fn a_hold_forbids_mark_and_teardown_until_it_ends() {
    for mut balancer in [balancer(&[]), marked_balancer(&[], noon() - minutes(30))] {
        balancer.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-20T13:00:20+01:00".into());
        let marked = balancer.tags.contains_key(IDLE_SINCE_TAG);
        let plan = plan_at_noon(&idle(balancer.clone()));
        // The grace begins anew when the hold ends.
        let unmarked = matches!(plan.lifecycle, LifecycleAction::Unmark { reason: UnmarkReason::Held, .. });
        assert!(if marked { unmarked } else { plan.lifecycle == LifecycleAction::Keep }, "{:?}", plan.lifecycle);
        assert_eq!(names(&plan), [FindingName::HoldActive]);
        assert_eq!(plan.requeue_at, noon() + seconds(20));
        let later = super::plan(&idle(balancer), &policy(), noon() + seconds(20));
        assert_ne!(later.lifecycle, LifecycleAction::Keep);
        assert_eq!(later.findings, []);
    }
}

#[test]
fn a_hold_does_not_keep_the_mark_of_a_service_in_use() {
    let mut balancer = marked_balancer(&[1], noon() - minutes(30));
    balancer.tags.insert(HOLD_UNTIL_TAG.into(), "2026-11-20T13:00:00Z".into());
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(balancer)));
    assert!(matches!(plan.lifecycle, LifecycleAction::Unmark { .. }));
}

#[test]
fn a_hold_that_cannot_be_meant_is_ignored_and_reported() {
    for until in ["", "tomorrow", "2026-11-21T12:00:01Z", "2027-11-20T12:00:00Z"] {
        let mut balancer = marked_balancer(&[], noon() - minutes(30));
        balancer.tags.insert(HOLD_UNTIL_TAG.into(), until.into());
        let plan = plan_at_noon(&idle(balancer));
        assert!(is_deletion(&plan), "{until:?}");
        assert_eq!(names(&plan), [FindingName::HoldInvalid], "{until:?}");
    }
}

// ---- how much is torn down ----

#[test]
fn switched_off_it_only_reports() {
    let policy = Policy { teardown: Teardown::Off, ..policy() };
    for seen in [idle(balancer(&[])), idle(marked_balancer(&[], noon() - minutes(30)))] {
        let plan = plan(&seen, &policy, noon());
        assert_eq!((&plan.lifecycle, names(&plan)), (&LifecycleAction::Keep, vec![FindingName::TeardownOff]));
    }
    let busy = observation(counts(1, 1, 0), vec![running(1)], Some(marked_balancer(&[], noon())));
    let plan = plan(&busy, &policy, noon());
    assert_eq!((&plan.lifecycle, plan.findings.len()), (&LifecycleAction::Keep, 0));
    assert_eq!(plan.registrations.len(), 2);
}

#[test]
fn with_the_balancer_alone_the_groups_are_neither_marked_nor_deleted() {
    let policy = Policy { teardown: Teardown::LoadBalancer, ..policy() };
    let marking = plan(&idle(balancer(&[])), &policy, noon());
    assert!(matches!(&marking.lifecycle, LifecycleAction::Mark { resources, .. } if *resources == [BALANCER]));

    let mut only_balancer_marked = marked_balancer(&[], noon() - minutes(30));
    only_balancer_marked.target_groups.iter_mut().for_each(|group| group.tags.clear());
    assert!(is_deletion(&plan(&idle(only_balancer_marked), &policy, noon())));

    let mut orphaned = observation(counts(0, 0, 0), vec![], None);
    orphaned.orphaned_target_groups = marked_balancer(&[], noon() - minutes(30)).target_groups;
    assert_eq!(plan(&orphaned, &policy, noon()).lifecycle, LifecycleAction::Keep);
}

#[test]
fn marked_groups_without_a_balancer_are_finished_off_after_the_grace() {
    let mut seen = observation(counts(0, 0, 0), vec![stopped(1)], None);
    seen.orphaned_target_groups = marked_balancer(&[], noon() - seconds(59)).target_groups;
    let early = plan_at_noon(&seen);
    assert_eq!((&early.lifecycle, early.requeue_at), (&LifecycleAction::Keep, noon() + seconds(1)));

    let due = plan(&seen, &policy(), noon() + seconds(1));
    let LifecycleAction::DeleteTargetGroups { target_groups } = &due.lifecycle else { panic!("{:?}", due.lifecycle) };
    let arns: Vec<_> = target_groups.iter().map(|group| group.arn.as_str()).collect();
    assert_eq!(arns, [TCP, UDP]);
}

#[test]
fn orphaned_groups_of_a_service_in_use_stay() {
    let mut seen = observation(counts(1, 0, 0), vec![], None);
    seen.orphaned_target_groups = marked_balancer(&[], noon() - minutes(30)).target_groups;
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
}

#[test]
fn orphaned_groups_have_the_grace_again_after_tasks_ran_without_a_balancer() {
    let mut last = task(1, LastStatus::Stopped, DesiredStatus::Stopped);
    last.stopped_at = Some(noon() - seconds(10));
    let mut seen = observation(counts(0, 0, 0), vec![last], None);
    seen.orphaned_target_groups = marked_balancer(&[], noon() - minutes(30)).target_groups;
    let plan = plan_at_noon(&seen);
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
    assert_eq!(plan.requeue_at, noon() + seconds(50));
}

#[test]
fn groups_with_another_balancers_mark_or_none_stay() {
    let mut seen = observation(counts(0, 0, 0), vec![], None);
    seen.orphaned_target_groups = marked_balancer(&[], noon() - minutes(30)).target_groups;
    let [first, second] = seen.orphaned_target_groups.as_mut_slice() else { panic!("two groups") };
    first.tags.insert(LOAD_BALANCER_TAG.into(), BALANCER.replace("p-jvb-nlb", "q-jvb-nlb"));
    second.tags.remove(IDLE_SINCE_TAG);
    assert_eq!(plan_at_noon(&seen).lifecycle, LifecycleAction::Keep);
}

#[test]
fn a_teardown_that_does_not_get_on_is_looked_at_less_and_less_often() {
    let policy = Policy { resync_interval: minutes(60), ..policy() };
    let wait = |taken: Duration| {
        let teardown_begun_at = Some(noon() - taken);
        let seen = Observation { teardown_begun_at, ..idle(marked_balancer(&[], noon() - minutes(30))) };
        plan(&seen, &policy, noon()).requeue_at.duration_since(noon()).as_secs()
    };
    assert_eq!([seconds(0), seconds(10), seconds(60), minutes(10)].map(wait), [2, 2, 6, 60]);
}
