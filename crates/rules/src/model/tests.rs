//! The model by example.

use std::net::Ipv6Addr;

use super::*;
use crate::plan::samples::*;
use jiff::Timestamp;

fn id(resource: &str) -> Option<String> {
    TaskId::from_arn(&format!("arn:aws:ecs:eu-west-1:111122223333:{resource}")).map(|id| id.as_str().to_owned())
}

#[test]
fn parses_a_task_arn_of_either_form_and_with_either_id() {
    let hexadecimal = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    let uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
    for expected in [hexadecimal, uuid] {
        assert_eq!(id(&format!("task/p-cluster/{expected}")).as_deref(), Some(expected));
        assert_eq!(id(&format!("task/{expected}")).as_deref(), Some(expected));
    }
}

#[test]
fn parses_a_task_arn_of_every_partition() {
    for partition in ["aws", "aws-cn", "aws-us-gov"] {
        let arn = format!("arn:{partition}:ecs:cn-north-1:111122223333:task/p-cluster/{}", "0".repeat(32));
        assert!(TaskId::from_arn(&arn).is_some(), "{arn}");
    }
}

#[test]
fn refuses_the_arn_of_anything_but_a_task() {
    let zeros = "0".repeat(32);
    for arn in [
        String::new(),
        zeros.clone(),
        format!("urn:aws:ecs:eu-west-1:111122223333:task/p-cluster/{zeros}"),
        format!("arn:other:ecs:eu-west-1:111122223333:task/p-cluster/{zeros}"),
        format!("arn:aws:ec2:eu-west-1:111122223333:task/p-cluster/{zeros}"),
        format!("arn:aws:ecs:eu-west-1:111122223333:service/p-cluster/{zeros}"),
        format!("arn:aws:ecs:eu-west-1:task/p-cluster/{zeros}"),
    ] {
        assert_eq!(TaskId::from_arn(&arn), None, "{arn:?}");
    }
}

#[test]
fn refuses_an_id_that_describe_tasks_would_refuse() {
    for bad in [
        "",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "0a1b2c3d4e5f60718293a4b5c6d7e8fg",
        "0a1b2c3d-4e5f-6071-8293-a4b5c6d7",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b",
        "0a1b2c3d-4e5f-6071-8293a-4b5c6d7e8f9",
    ] {
        assert_eq!(id(&format!("task/p-cluster/{bad}")), None, "{bad:?}");
    }
}

#[test]
fn writes_a_task_as_its_id() {
    assert_eq!(running(10).id.to_string(), "0000000000000000000000000000000a");
}

/// See "Amazon ECS task lifecycle" in the Amazon ECS Developer Guide.
#[test]
fn groups_the_statuses_of_the_task_lifecycle() {
    use LastStatus::{Running, Starting, Stopped, Stopping, Unknown};
    for (words, expected) in [
        (&["PROVISIONING", "PENDING", "ACTIVATING"][..], Starting),
        (&["RUNNING"], Running),
        (&["DEACTIVATING", "STOPPING", "DEPROVISIONING"], Stopping),
        (&["STOPPED", "DELETED"], Stopped),
        (&["", "running", "HIBERNATING"], Unknown),
    ] {
        for word in words {
            assert_eq!(LastStatus::parse(word), expected, "{word:?}");
        }
    }
    let desired = ["RUNNING", "STOPPED", "PENDING"].map(DesiredStatus::parse);
    assert_eq!(desired, [DesiredStatus::Running, DesiredStatus::Stopped, DesiredStatus::Unknown]);
}

/// See `Deployment.rolloutState` and `Task.stopCode` in the Amazon ECS API Reference, and `TargetGroup.Protocol` in the
/// Elastic Load Balancing API Reference.
#[test]
fn parses_the_words_of_the_api_and_takes_any_other_as_unknown() {
    let rollouts = ["IN_PROGRESS", "COMPLETED", "FAILED", "PAUSED"].map(Rollout::parse);
    assert_eq!(rollouts, [Rollout::InProgress, Rollout::Completed, Rollout::Failed, Rollout::Unknown]);
    let codes = ["TaskFailedToStart", "EssentialContainerExited", "SpotInterruption"].map(StopCode::parse);
    assert_eq!(codes, [StopCode::FailedToStart, StopCode::EssentialContainerExited, StopCode::Other]);
    let protocols = ["UDP", "TCP_UDP", "TCP", "QUIC"].map(Protocol::parse);
    assert_eq!(protocols, [Protocol::Udp, Protocol::TcpUdp, Protocol::Other, Protocol::Other]);
}

/// See "Amazon ECS service action events" in the Amazon ECS Developer Guide.
#[test]
fn parses_the_events_that_tell_of_a_failure_to_start_tasks() {
    let impaired = ServiceEventName::parse("SERVICE_TASK_START_IMPAIRED");
    assert_eq!(impaired, Some(ServiceEventName::TaskStartImpaired));
    for name in ServiceEventName::ALL {
        assert_eq!(ServiceEventName::parse(name.as_str()), Some(name));
    }
    assert_eq!(ServiceEventName::parse("SERVICE_STEADY_STATE"), None);
}

#[test]
fn finds_a_task_by_its_address_of_either_family() {
    let v6 = Ipv6Addr::new(0x2a05, 0xd018, 0, 0, 0, 0, 0, 0x17);
    let other = Ipv6Addr::new(0x2a05, 0xd018, 0, 0, 0, 0, 0, 0x18);
    let dual_stack = Task { ipv6: Some(v6), ..running(1) };
    assert!(dual_stack.has_address(ip(1)) && dual_stack.has_address(v6.into()));
    assert!(!dual_stack.has_address(ip(2)) && !dual_stack.has_address(other.into()));
}

#[test]
fn prefers_the_live_task_and_then_the_last_to_start_of_those_that_share_an_address() {
    let at = |task: Task, age| Task { started_at: Some(noon() - minutes(age)), ..task };
    let share = |number, of: Task| Task { id: running(number).id, ipv4: running(1).ipv4, ..of };
    let stopped_now = at(share(2, stopped(2)), 1);
    let starting = at(share(3, task(3, LastStatus::Starting, DesiredStatus::Running)), 2);
    let serving = at(share(4, running(4)), 30);
    let newer = at(share(5, running(5)), 20);
    let mut tasks = Vec::new();
    for next in [stopped_now, starting, serving, newer] {
        let expected = next.id.clone();
        tasks.push(next);
        let seen = observation(counts(1, 1, 0), tasks.clone(), None);
        assert_eq!(seen.tasks_by_address().get(ip(1)).map(|task| &task.id), Some(&expected));
        assert_eq!(seen.tasks_by_address().get(ip(2)), None);
    }
}

#[test]
fn shortens_the_arn_of_a_cluster_to_its_name() {
    assert_eq!(cluster_name("arn:aws:ecs:eu-west-1:111122223333:cluster/p-cluster"), "p-cluster");
    assert_eq!(cluster_name("p-cluster"), "p-cluster");
}

/// See `LoadBalancerState.Code` and `TargetHealth.State` in the Elastic Load Balancing API Reference, version
/// 2015-12-01.
#[test]
fn names_states_as_elastic_load_balancing_does() {
    use LoadBalancerState as L;
    let load_balancers = [L::Provisioning, L::Active, L::ActiveImpaired, L::Failed].map(L::as_str);
    assert_eq!(load_balancers, ["provisioning", "active", "active_impaired", "failed"]);
    use TargetState as T;
    let targets = [T::Initial, T::Healthy, T::Unhealthy, T::Draining, T::Unused, T::Unavailable].map(T::as_str);
    assert_eq!(targets, ["initial", "healthy", "unhealthy", "draining", "unused", "unavailable"]);
}

#[test]
fn a_service_is_ready_when_each_serving_task_is_healthy_in_every_target_group() {
    let seen = observation(counts(2, 2, 0), vec![running(1), running(2)], Some(load_balancer(&[1, 2])));
    let readiness = seen.readiness();
    assert_eq!(readiness, Readiness { desired: 2, serving: 2, wanted: 4, healthy: 4 });
    assert!(readiness.is_complete());
}

#[test]
fn a_service_is_not_ready_while_a_registration_is_not_healthy() {
    let mut seen = observation(counts(2, 2, 0), vec![running(1), running(2)], Some(load_balancer(&[1, 2])));
    let groups = &mut seen.load_balancer.as_mut().expect("a load balancer").target_groups;
    groups[0].targets[0].state = TargetState::Initial;
    // A target at the task's address with another port is not the registration that the group needs.
    groups[1].targets[0].port = 8080;
    let readiness = seen.readiness();
    assert_eq!(readiness, Readiness { desired: 2, serving: 2, wanted: 4, healthy: 2 });
    assert!(!readiness.is_complete());
}

#[test]
fn a_service_is_not_ready_while_fewer_tasks_serve_than_are_desired() {
    let starting = task(2, LastStatus::Starting, DesiredStatus::Running);
    let seen = observation(counts(2, 1, 1), vec![running(1), starting], Some(load_balancer(&[1])));
    assert_eq!(seen.readiness(), Readiness { desired: 2, serving: 1, wanted: 2, healthy: 2 });
    assert!(!seen.readiness().is_complete());
}

#[test]
fn a_service_stays_ready_while_more_tasks_serve_than_are_desired() {
    // A deployment starts the successors first.
    let seen = observation(counts(1, 2, 0), vec![running(1), running(2)], Some(load_balancer(&[1, 2])));
    assert!(seen.readiness().is_complete());
}

#[test]
fn a_service_without_a_target_group_is_ready_only_without_tasks() {
    let serving = observation(counts(1, 1, 0), vec![running(1)], None);
    assert_eq!(serving.readiness(), Readiness { desired: 1, serving: 1, wanted: 0, healthy: 0 });
    assert!(!serving.readiness().is_complete());
    let instances = TargetGroup { target_type: TargetType::Other("instance".into()), ..group(UDP, 10000, vec![]) };
    let unsupported = LoadBalancer { target_groups: vec![instances], ..load_balancer(&[]) };
    assert!(!observation(counts(1, 1, 0), vec![running(1)], Some(unsupported)).readiness().is_complete());
    assert!(observation(counts(0, 0, 0), vec![stopped(1)], None).readiness().is_complete());
}

#[test]
fn of_two_events_about_a_service_the_later_one_is_kept() {
    let event =
        |name, second| ServiceEvent { name, reason: None, time: Some(Timestamp::from_second(second).expect("a time")) };
    let (impaired, placement) = (ServiceEventName::TaskStartImpaired, ServiceEventName::TaskPlacementFailure);
    let kept = |first: ServiceEvent, second: ServiceEvent| {
        let mut known = None;
        first.replace_older(&mut known);
        second.replace_older(&mut known);
        known.map(|event| event.name)
    };
    assert_eq!(kept(event(impaired, 1), event(placement, 2)), Some(placement));
    assert_eq!(kept(event(impaired, 2), event(placement, 1)), Some(impaired));
    // EventBridge's times are in whole seconds: of two in one second, that which arrived later.
    assert_eq!(kept(event(impaired, 1), event(placement, 1)), Some(placement));
}
