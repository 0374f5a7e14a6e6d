//! Which targets are registered and deregistered.

use super::*;

#[test]
fn registers_a_serving_task_in_every_target_group_with_its_port() {
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[]))));
    let registered: Vec<_> =
        plan.registrations.iter().map(|group| (group.target_group.as_str(), keys(&group.register))).collect();
    assert_eq!(registered, [("p-jvb-tcp-tg", vec![(ip(1), 4443)]), ("p-jvb-udp", vec![(ip(1), 10000)])]);
    assert_eq!(plan.requeue_at, noon() + HEALTH_REQUEUE);
}

#[test]
fn changes_nothing_for_a_registered_serving_task() {
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))));
    assert_eq!(plan.registrations, []);
    assert_eq!(plan.lifecycle, LifecycleAction::Keep);
    assert_eq!(plan.findings, []);
    assert_eq!(plan.requeue_at, noon() + policy().resync_interval);
}

#[test]
fn registers_neither_stopping_tasks_nor_those_of_an_unknown_status() {
    use DesiredStatus as D;
    use LastStatus as L;
    for (last, desired) in [
        (L::Starting, D::Stopped),
        (L::Starting, D::Unknown),
        (L::Running, D::Stopped),
        (L::Running, D::Unknown),
        (L::Stopping, D::Running),
        (L::Stopped, D::Stopped),
        (L::Unknown, D::Running),
    ] {
        let seen = observation(counts(1, 1, 0), vec![task(1, last, desired)], Some(load_balancer(&[])));
        assert_eq!(plan_at_noon(&seen).registrations, [], "{last:?} with desired {desired:?}");
    }
}

/// A service whose only task starts.
fn starting(load_balancer: LoadBalancer) -> Observation {
    let starts = task(1, LastStatus::Starting, DesiredStatus::Running);
    observation(counts(1, 0, 1), vec![starts], Some(load_balancer))
}

#[test]
fn registers_a_starting_task_while_no_target_is_healthy() {
    for state in [LoadBalancerState::Provisioning, LoadBalancerState::Active] {
        let plan = plan_at_noon(&starting(LoadBalancer { state, ..load_balancer(&[]) }));
        let registered: Vec<_> = plan.registrations.iter().map(|group| keys(&group.register)).collect();
        assert_eq!(registered, [vec![(ip(1), 4443)], vec![(ip(1), 10000)]]);
        let change = &plan.registrations[0].register[0];
        assert_eq!((change.reason, &change.task), (TargetReason::TaskStarting, &Some(running(1).id)));
        assert_eq!(plan.requeue_at, noon() + HEALTH_REQUEUE);
        assert_eq!(plan.findings, []);
    }
}

#[test]
fn registers_a_starting_task_once_it_has_an_address() {
    let mut seen = starting(load_balancer(&[]));
    seen.tasks[0].ipv4 = None;
    let plan = plan_at_noon(&seen);
    assert_eq!((plan.registrations, plan.findings), (vec![], vec![]));
}

#[test]
fn registers_a_starting_task_that_is_registered_already_no_more() {
    let mut load_balancer = load_balancer(&[1]);
    for group in &mut load_balancer.target_groups {
        group.targets[0].state = TargetState::Initial;
    }
    let plan = plan_at_noon(&starting(load_balancer));
    assert_eq!(plan.registrations, []);
    assert_eq!(plan.requeue_at, noon() + HEALTH_REQUEUE);
}

#[test]
fn registers_no_starting_task_beside_a_healthy_target_or_a_serving_task() {
    // The healthy target of a stopping task is behind one group only.
    let mut one_healthy = starting(load_balancer(&[2]));
    one_healthy.tasks.push(task(2, LastStatus::Stopping, DesiredStatus::Stopped));
    if let Some(load_balancer) = &mut one_healthy.load_balancer {
        load_balancer.target_groups[1].targets.clear();
    }
    let mut instance_healthy = starting(load_balancer(&[]));
    if let Some(load_balancer) = &mut instance_healthy.load_balancer {
        load_balancer.target_groups[1].target_type = TargetType::Other("instance".into());
        load_balancer.target_groups[1].healthy_others = 1;
    }
    let mut one_serves = starting(with_unhealthy(load_balancer(&[2]), 2));
    one_serves.tasks.push(running(2));
    for seen in [one_healthy, instance_healthy, one_serves] {
        let plan = plan_at_noon(&seen);
        let registered: usize = plan.registrations.iter().map(|group| group.register.len()).sum();
        assert_eq!(registered, 0, "{seen:?}");
    }
}

#[test]
fn registers_no_starting_task_of_a_service_that_is_scaled_to_zero() {
    let seen = Observation { service: counts(0, 0, 1), ..starting(load_balancer(&[])) };
    assert_eq!(plan_at_noon(&seen).registrations, []);
}

#[test]
fn registers_several_starting_tasks_only_where_several_bridges_are_allowed() {
    let mut seen = starting(load_balancer(&[]));
    seen.tasks.push(task(2, LastStatus::Starting, DesiredStatus::Running));
    let registered = |seen: &Observation, policy: &Policy| -> usize {
        plan(seen, policy, noon()).registrations.iter().map(|group| group.register.len()).sum()
    };
    assert_eq!(registered(&seen, &policy()), 0);
    assert_eq!(registered(&seen, &Policy { allow_several_bridges: true, ..policy() }), 4);
    if let Some(load_balancer) = &mut seen.load_balancer {
        load_balancer.target_groups.retain(|group| !group.protocol.takes_udp());
    }
    assert_eq!(registered(&seen, &policy()), 2);
}

#[test]
fn deregisters_a_task_that_was_registered_while_it_started_and_never_ran() {
    let mut seen = starting(with_unhealthy(load_balancer(&[1]), 1));
    let just_now = Some(noon() - seconds(1));
    for (last_status, desired_status, stopped_at) in [
        (LastStatus::Starting, DesiredStatus::Stopped, None),
        (LastStatus::Stopping, DesiredStatus::Stopped, None),
        (LastStatus::Stopped, DesiredStatus::Stopped, just_now),
    ] {
        seen.tasks = vec![Task { started_at: None, stopped_at, ..task(1, last_status, desired_status) }];
        let plan = plan_at_noon(&seen);
        let deregistered = plan.registrations.iter().flat_map(|group| &group.deregister);
        assert_eq!(deregistered.map(|of| of.reason).collect::<Vec<_>>(), [TargetReason::TaskStopping; 2]);
    }
}

#[test]
fn registers_a_draining_target_of_a_serving_task_again() {
    let mut load_balancer = load_balancer(&[1]);
    load_balancer.target_groups[0].targets[0].state = TargetState::Draining;
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)));
    assert_eq!(plan.registrations.len(), 1);
    assert_eq!(keys(&plan.registrations[0].register), [(ip(1), 10000)]);
}

#[test]
fn registers_an_address_once_that_two_serving_tasks_share() {
    // A VPC assigns an address again before ECS shows that its last task has stopped.
    let earlier = Task { id: running(9).id, ..running(1) };
    let seen = observation(counts(2, 2, 0), vec![earlier, running(1)], Some(load_balancer(&[])));
    let plan = plan_at_noon(&seen);
    assert_eq!(plan.registrations.iter().map(|group| group.register.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(plan.registrations[0].register[0].task, Some(running(1).id));
}

#[test]
fn deregisters_the_target_of_a_stopping_task_at_once() {
    let just_now = Some(noon() - seconds(1));
    for stopping in [
        Task { stopping_at: just_now, stopped_at: just_now, ..stopped(2) },
        task(2, LastStatus::Stopping, DesiredStatus::Stopped),
        task(2, LastStatus::Running, DesiredStatus::Stopped),
    ] {
        let seen = observation(counts(1, 1, 0), vec![running(1), stopping], Some(load_balancer(&[1, 2])));
        let plan = plan_at_noon(&seen);
        assert_eq!(plan.registrations.len(), 2);
        for group in &plan.registrations {
            assert_eq!(group.register, []);
            assert_eq!(group.deregister.len(), 1);
            assert_eq!(group.deregister[0].key.ip, ip(2));
            assert_eq!(group.deregister[0].reason, TargetReason::TaskStopping);
        }
    }
}

#[test]
fn leaves_targets_to_the_deletion_of_their_target_groups() {
    // The task's targets are not yet deregistered when its load balancer is deleted.
    let seen = idle(with_unhealthy(marked_load_balancer(&[1], noon() - minutes(30)), 1));
    let deletion = plan_at_noon(&seen);
    assert!(is_deletion(&deletion));
    assert_eq!(deletion.registrations, []);
    let keeps_groups = Policy { teardown: Teardown::LoadBalancer, ..policy() };
    let deletion = plan(&seen, &keeps_groups, noon());
    assert!(is_deletion(&deletion));
    assert_eq!(deletion.registrations.iter().map(|group| group.deregister.len()).sum::<usize>(), 2);
}

#[test]
fn does_not_deregister_a_draining_target() {
    let mut load_balancer = load_balancer(&[1]);
    for group in &mut load_balancer.target_groups {
        group.targets[0].state = TargetState::Draining;
    }
    assert_eq!(plan_at_noon(&idle(load_balancer)).registrations, []);
}

#[test]
fn keeps_a_target_whose_address_a_new_task_has() {
    for new in [running(1), task(1, LastStatus::Starting, DesiredStatus::Running)] {
        let old = Task { id: stopped(9).id, ..stopped(1) };
        let seen = observation(counts(1, 1, 0), vec![old, new], Some(load_balancer(&[1])));
        assert_eq!(plan_at_noon(&seen).registrations, []);
    }
}

#[test]
fn deregisters_an_unmatched_target_after_two_observations_thirty_seconds_apart() {
    let mut seen = observation(counts(1, 1, 0), vec![running(1)], Some(with_unhealthy(load_balancer(&[1, 7]), 7)));
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
fn keeps_a_healthy_target_of_another_service_and_its_load_balancer() {
    let mut seen = idle(marked_load_balancer(&[7], noon() - minutes(30)));
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
fn deregisters_no_unmatched_target_while_the_task_list_is_incomplete() {
    let mut seen = observation(counts(2, 1, 1), vec![running(1)], Some(with_unhealthy(load_balancer(&[1, 7]), 7)));
    seen.unmatched_since = seen.targets().map(|(group, of)| (group.key(of.ip, of.port), noon() - minutes(5))).collect();
    assert_eq!(plan_at_noon(&seen).registrations, []);
    seen.tasks.push(task(2, LastStatus::Starting, DesiredStatus::Running));
    assert_eq!(plan_at_noon(&seen).registrations.len(), 2);
}

#[test]
fn never_empties_a_target_group_on_one_incomplete_observation() {
    let plan = plan_at_noon(&observation(counts(3, 3, 0), vec![], Some(load_balancer(&[1, 2, 3]))));
    assert_eq!(plan.registrations, []);
}

#[test]
fn registers_the_ipv6_address_in_an_ipv6_target_group() {
    let v6: Ipv6Addr = "2a05:d018::17".parse().expect("an address");
    let mut load_balancer = load_balancer(&[]);
    load_balancer.target_groups.truncate(1);
    load_balancer.target_groups[0].target_type = TargetType::Ip { family: AddressFamily::Ipv6, port: 10000 };
    let dual_stack = Task { ipv6: Some(v6), ..running(1) };
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![dual_stack], Some(load_balancer)));
    assert_eq!(keys(&plan.registrations[0].register), [(IpAddr::V6(v6), 10000)]);
}

#[test]
fn finds_a_serving_task_without_an_address_of_the_family() {
    let without = Task { ipv4: None, ..running(1) };
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![without], Some(load_balancer(&[]))));
    assert_eq!(plan.registrations, []);
    assert_eq!(names(&plan), [FindingName::TaskWithoutAddress; 2]);
    assert_eq!(plan.findings[1].detail, "it has no IPv4 address, which target group p-jvb-udp needs");

    let mut dual_stack = load_balancer(&[1]);
    dual_stack.target_groups[0].target_type = TargetType::Ip { family: AddressFamily::Ipv6, port: 10000 };
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(dual_stack)));
    assert_eq!(names(&plan), [FindingName::TaskWithoutAddress]);
    assert_eq!(plan.findings[0].detail, "it has no IPv6 address, which target group p-jvb-udp needs");
}

#[test]
fn finds_a_target_group_of_another_type_and_leaves_it_alone() {
    let mut load_balancer = load_balancer(&[]);
    load_balancer.target_groups[1].target_type = TargetType::Other("instance".into());
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)));
    assert_eq!(plan.registrations.len(), 1);
    assert_eq!(names(&plan), [FindingName::TargetGroupUnsupported]);
}

#[test]
fn finds_an_unused_target_of_a_serving_task_behind_an_active_load_balancer() {
    // Neither the target at another port nor that of task 3, which stops, is a serving task's.
    let policy = Policy { allow_several_bridges: true, ..policy() };
    let with_unused = |state| {
        let mut found = load_balancer(&[1, 2, 3]);
        found.state = state;
        let group = &mut found.target_groups[1];
        group.targets[1].state = TargetState::Unused;
        group.targets[2].state = TargetState::Unused;
        group.targets.push(Target { state: TargetState::Unused, ..target(1, 9999) });
        let tasks = vec![running(1), running(2), task(3, LastStatus::Running, DesiredStatus::Stopped)];
        plan(&observation(counts(2, 3, 0), tasks, Some(found)), &policy, noon())
    };
    for state in [LoadBalancerState::Active, LoadBalancerState::ActiveImpaired] {
        let plan = with_unused(state);
        assert_eq!(names(&plan), [FindingName::TargetUnused]);
        assert_eq!(plan.findings[0].subject, running(2).id.as_str());
    }
    assert_eq!(with_unused(LoadBalancerState::Provisioning).findings, []);
}

#[test]
fn finds_serving_tasks_without_a_target_group() {
    let mut load_balancer = load_balancer(&[]);
    load_balancer.target_groups.clear();
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)));
    assert_eq!(names(&plan), [FindingName::TargetGroupMissing]);
}

#[test]
fn finds_serving_tasks_without_a_load_balancer() {
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], None));
    assert_eq!(names(&plan), [FindingName::LoadBalancerMissing]);
    assert_eq!(plan_at_noon(&observation(counts(1, 0, 1), vec![], None)).findings, []);
}

#[test]
fn requeues_soon_during_the_first_health_checks() {
    let mut load_balancer = load_balancer(&[1]);
    load_balancer.target_groups[0].targets[0].state = TargetState::Initial;
    let plan = plan_at_noon(&observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer)));
    assert_eq!(plan.requeue_at, noon() + HEALTH_REQUEUE);
}

#[test]
fn neither_deletes_nor_deregisters_while_the_service_is_missing() {
    let mut seen = observation(Service::Missing, vec![], Some(marked_load_balancer(&[1, 2], noon() - minutes(30))));
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
fn findings_hinder_registration_exactly_when_a_serving_task_stays_unregistered() {
    let serving = |load_balancer| observation(counts(1, 1, 0), vec![running(1)], load_balancer);
    let with = |change: &dyn Fn(&mut LoadBalancer)| {
        let mut load_balancer = load_balancer(&[]);
        change(&mut load_balancer);
        serving(Some(load_balancer))
    };
    let held_until = |until: &'static str| {
        with(&move |it| {
            it.tags.insert(HOLD_UNTIL_TAG.into(), until.into());
        })
    };
    let missing = Observation { service: Service::Missing, ..with(&|_| {}) };
    let without_address = Observation { tasks: vec![Task { ipv4: None, ..running(1) }], ..with(&|_| {}) };
    let stuck =
        Task { stopping_at: Some(noon() - minutes(11)), ..task(2, LastStatus::Stopping, DesiredStatus::Stopped) };
    let with_stuck_task = Observation { tasks: vec![running(1), stuck], ..with(&|_| {}) };
    for (finding, seen) in [
        (FindingName::ServiceMissing, missing),
        (FindingName::LoadBalancerMissing, serving(None)),
        (FindingName::LoadBalancerNotOwned, with(&|it| it.tags.clear())),
        (FindingName::LoadBalancerNotNetwork, with(&|it| it.kind = LoadBalancerKind::Other("gateway".into()))),
        (FindingName::LoadBalancerFailed, with(&|it| it.state = LoadBalancerState::Failed)),
        (FindingName::TargetGroupMissing, with(&|it| it.target_groups.clear())),
        (
            FindingName::TargetGroupUnsupported,
            with(&|it| it.target_groups[0].target_type = TargetType::Other("alb".into())),
        ),
        (FindingName::TargetOfOthers, with(&|it| it.target_groups[0].targets.push(target(7, 10000)))),
        (FindingName::TaskWithoutAddress, without_address),
        (FindingName::TaskNotStopping, with_stuck_task),
        (FindingName::HoldActive, held_until("2026-11-20T13:00:00Z")),
        (FindingName::HoldInvalid, held_until("tomorrow")),
    ] {
        let plan = plan_at_noon(&seen);
        assert!(names(&plan).contains(&finding), "{finding}: {:?}", plan.findings);
        let registered: usize = plan.registrations.iter().map(|group| group.register.len()).sum();
        let hindered = plan.findings.iter().any(|finding| finding.name.hinders_registration());
        assert_eq!(hindered, registered < 2, "{finding}: {registered} of two registrations");
    }
}
