//! Findings about what the service runs.

use super::*;
use crate::model::{
    Advertised, Deployment, LoadBalancerAddresses, PinnedAddress, Protocol, Rollout, SchedulerMessage, ServiceEvent,
    ServiceEventName, Startup, StopCode,
};

fn details(plan: &Plan, name: FindingName) -> Vec<&str> {
    plan.findings.iter().filter(|finding| finding.name == name).map(|finding| finding.detail.as_str()).collect()
}

fn deployment() -> Deployment {
    Deployment {
        id: DEPLOYMENT.into(),
        created_at: Some(noon() - minutes(30)),
        rollout: Rollout::InProgress,
        rollout_reason: None,
        failed_tasks: 0,
    }
}

fn startup() -> Startup {
    Startup { deployment: Some(deployment()), ..Startup::default() }
}

/// A task that could not be started, and stopped so many minutes before noon.
fn failed(number: u8, before: i64) -> Task {
    let stopped_at = Some(noon() - minutes(before));
    Task {
        started_at: None,
        stopping_at: stopped_at,
        stopped_at,
        stop_code: Some(StopCode::FailedToStart),
        stopped_reason: Some(format!("CannotPullContainerError: image {number}")),
        ..stopped(number)
    }
}

/// A task whose essential container exited so many seconds after its start, and so many minutes before noon.
fn crashed(number: u8, after: u64, before: i64) -> Task {
    let stopped_at = noon() - minutes(before);
    Task {
        started_at: Some(stopped_at - seconds(after)),
        stop_code: Some(StopCode::EssentialContainerExited),
        stopped_reason: Some("Essential container in task exited".into()),
        ..failed(number, before)
    }
}

/// One task is desired; these are the tasks, of which none has run for long.
fn starting(tasks: Vec<Task>, startup: Startup) -> Observation {
    Observation { startup, ..observation(counts(1, 0, 0), tasks, Some(load_balancer(&[]))) }
}

const NOT_STARTING: FindingName = FindingName::TasksNotStarting;

#[test]
fn normal_starts_are_no_finding() {
    let pending = Task { started_at: None, ..task(2, LastStatus::Starting, DesiredStatus::Running) };
    let young = Task { started_at: Some(noon() - seconds(5)), ..running(2) };
    let message =
        |minutes_before, text: &str| Some(SchedulerMessage { at: noon() - minutes(minutes_before), text: text.into() });
    for (tasks, startup) in [
        (vec![], startup()),
        (vec![pending.clone()], startup()),
        (vec![young.clone()], startup()),
        // One failure, then another try.
        (vec![failed(1, 2), pending.clone()], startup()),
        (vec![crashed(1, 5, 2), young], startup()),
        // Failures before a task that ran well, or that the scheduler stopped as it started.
        (vec![failed(1, 20), failed(2, 19), crashed(3, 60, 2)], startup()),
        (vec![failed(1, 20), failed(2, 19), Task { stop_code: Some(StopCode::Other), ..failed(3, 18) }], startup()),
        // Failures of an earlier deployment.
        (
            vec![failed(1, 40), failed(2, 35)],
            Startup { deployment: Some(Deployment { id: "ecs-svc/2".into(), ..deployment() }), ..startup() },
        ),
        (vec![], Startup { message: message(1, "(service p-service) has started 1 tasks: (task 0a1b)."), ..startup() }),
        (vec![], Startup { message: message(40, "(service p-service) was unable to place a task."), ..startup() }),
        (vec![], Startup { short_since: Some(noon() - seconds(599)), ..startup() }),
        // Without a sign of a failure, an event alone is none: it may be late, or forged.
        (vec![pending], Startup { event: event(ServiceEventName::TaskPlacementFailure, None, 1), ..startup() }),
    ] {
        let seen = starting(tasks, startup);
        assert_eq!(details(&plan_at_noon(&seen), NOT_STARTING), Vec::<&str>::new(), "{seen:#?}");
    }
}

fn event(name: ServiceEventName, reason: Option<&str>, before: i64) -> Option<ServiceEvent> {
    Some(ServiceEvent { name, reason: reason.map(str::to_owned), time: Some(noon() - minutes(before)) })
}

#[test]
fn finds_tasks_that_stop_before_they_run_or_soon_after() {
    for tasks in [vec![failed(1, 5), failed(2, 2)], vec![crashed(1, 59, 5), failed(2, 2)]] {
        let plan = plan_at_noon(&starting(tasks, startup()));
        assert_eq!(
            details(&plan, NOT_STARTING),
            ["1 task(s) are desired, and the last ones stopped while they started; the last one stopped: \
                 CannotPullContainerError: image 2"]
        );
        assert_eq!(plan.findings[0].subject, "p-service");
    }
}

#[test]
fn keeps_the_finding_while_another_task_tries_and_clears_it_once_one_has_run_for_a_minute() {
    let seen_with = |last: Task| {
        let tasks = vec![crashed(1, 5, 5), crashed(2, 5, 2), last];
        let seen = Observation { service: counts(1, 1, 0), ..starting(tasks, startup()) };
        details(&plan_at_noon(&seen), NOT_STARTING).len()
    };
    assert_eq!(seen_with(task(3, LastStatus::Starting, DesiredStatus::Running)), 1);
    assert_eq!(seen_with(Task { started_at: Some(noon() - seconds(59)), ..running(3) }), 1);
    assert_eq!(seen_with(Task { started_at: Some(noon() - seconds(60)), ..running(3) }), 0);
}

#[test]
fn finds_a_deployment_that_ecs_has_given_up() {
    let reason = Some("ECS deployment circuit breaker: tasks failed to start.".to_owned());
    let given_up = Deployment { rollout: Rollout::Failed, rollout_reason: reason.clone(), ..deployment() };
    let given_up = Startup { deployment: Some(given_up), ..startup() };
    let expected = "1 task(s) are desired, and ECS has given up the deployment; ECS deployment circuit breaker: tasks \
                    failed to start";
    assert_eq!(details(&plan_at_noon(&starting(vec![], given_up.clone())), NOT_STARTING), [expected]);
    // The event says the same.
    let with_event = Startup { event: event(ServiceEventName::DeploymentFailed, reason.as_deref(), 1), ..given_up };
    let expected = "1 task(s) are desired, and ECS has given up the deployment; ECS reports SERVICE_DEPLOYMENT_FAILED: \
                    ECS deployment circuit breaker: tasks failed to start";
    assert_eq!(details(&plan_at_noon(&starting(vec![], with_event)), NOT_STARTING), [expected]);
}

#[test]
fn finds_failed_starts_that_only_ecs_counts() {
    let counted = Startup { deployment: Some(Deployment { failed_tasks: 2, ..deployment() }), ..startup() };
    assert_eq!(details(&plan_at_noon(&starting(vec![], counted)), NOT_STARTING).len(), 1);
}

#[test]
fn finds_a_task_that_ecs_cannot_place_while_none_is_on_its_way() {
    let text = "(service p-service) was unable to place a task. Reason: Capacity is unavailable at this time.";
    let message = Some(SchedulerMessage { at: noon() - minutes(3), text: text.into() });
    let unplaced = starting(vec![], Startup { message, ..startup() });
    assert_eq!(
        details(&plan_at_noon(&unplaced), NOT_STARTING),
        ["1 task(s) are desired, and ECS can't start them; (service p-service) was unable to place a task. Reason: \
             Capacity is unavailable at this time"]
    );
    let on_its_way = Observation { service: counts(1, 0, 1), ..unplaced };
    assert_eq!(details(&plan_at_noon(&on_its_way), NOT_STARTING).len(), 0);
}

#[test]
fn finds_a_service_that_is_short_of_tasks_for_ten_minutes_without_any_reason() {
    let short = Startup { short_since: Some(noon() - minutes(10)), ..startup() };
    let seen = Observation { service: counts(1, 0, 1), ..starting(vec![], short) };
    assert_eq!(
        details(&plan_at_noon(&seen), NOT_STARTING),
        ["1 task(s) are desired, and fewer have run for ten minutes"]
    );
}

#[test]
fn a_recent_event_of_the_deployment_explains_the_finding() {
    let detail = |event: Option<ServiceEvent>| {
        let plan = plan_at_noon(&starting(vec![failed(1, 5), failed(2, 2)], Startup { event, ..startup() }));
        details(&plan, NOT_STARTING)[0].to_owned()
    };
    let placement = ServiceEventName::TaskPlacementFailure;
    let with_reason = detail(event(placement, Some("RESOURCE:FARGATE"), 1));
    assert!(with_reason.contains("; ECS reports SERVICE_TASK_PLACEMENT_FAILURE: RESOURCE:FARGATE; the last"));
    let without = detail(event(ServiceEventName::TaskStartImpaired, None, 29));
    assert!(without.contains("; ECS reports SERVICE_TASK_START_IMPAIRED; the last one stopped: "), "{without}");
    // From before the deployment, longer than an hour ago, and without a time.
    assert!(!detail(event(placement, Some("RESOURCE:FARGATE"), 31)).contains("ECS reports"));
    let of_old_deployment = |before| {
        let created_at = Some(noon() - minutes(600));
        let deployment = Some(Deployment { created_at, failed_tasks: 2, ..deployment() });
        let startup = Startup { deployment, event: event(placement, None, before), ..startup() };
        details(&plan_at_noon(&starting(vec![], startup)), NOT_STARTING)[0].contains("ECS reports")
    };
    assert_eq!([59, 60].map(of_old_deployment), [true, false]);
    let timeless = Some(ServiceEvent { name: placement, reason: None, time: None });
    assert!(!detail(timeless).contains("ECS reports"));
}

#[test]
fn quotes_one_line_of_limited_length() {
    let reason = format!("first\nsecond\u{1b}[31m {}", "é".repeat(1000));
    let plan = plan_at_noon(&starting(
        vec![failed(1, 5), failed(2, 2)],
        Startup { event: event(ServiceEventName::TaskPlacementFailure, Some(&reason), 1), ..startup() },
    ));
    let detail = details(&plan, NOT_STARTING)[0];
    assert!(detail.contains("first second [31m ééé") && detail.contains("é…; the last"), "{detail}");
    assert!(detail.chars().count() < 600 && !detail.contains(char::is_control), "{detail}");
}

#[test]
fn nothing_is_missing_from_a_service_without_desired_tasks() {
    let given_up = Deployment { rollout: Rollout::Failed, ..deployment() };
    let startup = Startup { deployment: Some(given_up), ..startup() };
    let seen = Observation { startup, ..idle(load_balancer(&[])) };
    assert_eq!(details(&plan_at_noon(&seen), NOT_STARTING).len(), 0);
}

// ---- several bridges ----

fn two_bridges() -> Observation {
    observation(counts(2, 2, 0), vec![running(1), running(2)], Some(load_balancer(&[1, 2])))
}

#[test]
fn finds_several_tasks_behind_one_udp_listener() {
    let plan = plan_at_noon(&two_bridges());
    assert_eq!(names(&plan), [FindingName::SeveralBridges]);
    assert_eq!(plan.findings[0].subject, "p-jvb-udp", "TCP can have several targets");
    assert!(plan.findings[0].detail.starts_with("2 tasks serve"), "{}", plan.findings[0].detail);
    assert_eq!(plan.registrations, [], "the finding changes nothing");
}

#[test]
fn several_bridges_are_no_finding_where_they_are_allowed_or_take_no_udp() {
    let allowed = Policy { allow_several_bridges: true, ..policy() };
    assert_eq!(plan(&two_bridges(), &allowed, noon()).findings, []);
    let mut without_udp = two_bridges();
    let groups = without_udp.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups);
    groups.for_each(|group| group.protocol = Protocol::Other);
    assert_eq!(plan_at_noon(&without_udp).findings, []);
}

#[test]
fn only_serving_tasks_are_bridges() {
    let stopping = task(2, LastStatus::Running, DesiredStatus::Stopped);
    let starting = task(3, LastStatus::Starting, DesiredStatus::Running);
    let seen = observation(counts(2, 1, 1), vec![running(1), stopping, starting], Some(load_balancer(&[1, 2])));
    assert_eq!(plan_at_noon(&seen).findings, []);
    let mut both = two_bridges();
    let groups = both.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups);
    groups.for_each(|group| group.protocol = Protocol::TcpUdp);
    assert_eq!(plan_at_noon(&both).findings.len(), 2, "a TCP_UDP listener takes media, too");
}

// ---- advertised addresses ----

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))
}

fn pinned(address: IpAddr) -> PinnedAddress {
    PinnedAddress { task_definition: "p-jvb:3".into(), container: "jvb".into(), address }
}

fn advertising(pinned: Vec<PinnedAddress>, ipv4: Option<&[IpAddr]>) -> Observation {
    let ipv4 = ipv4.map(|addresses| addresses.iter().copied().collect());
    let advertised = Advertised { pinned, load_balancer: LoadBalancerAddresses { ipv4, ipv6: None } };
    Observation { advertised, ..observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1]))) }
}

#[test]
fn finds_pinned_addresses_that_the_load_balancer_does_not_have() {
    let seen = advertising(vec![pinned(address(9)), pinned(address(1)), pinned(address(8))], Some(&[address(1)]));
    let plan = plan_at_noon(&seen);
    assert_eq!(names(&plan), [FindingName::AdvertisedAddressMismatched]);
    assert_eq!(plan.findings[0].subject, "p-jvb:3");
    assert_eq!(
        plan.findings[0].detail,
        "JVB_ADVERTISE_IPS of its container jvb has 203.0.113.8, 203.0.113.9; load balancer p-jvb-nlb has 203.0.113.1"
    );
}

#[test]
fn known_and_unknown_addresses_are_no_mismatch() {
    let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    for seen in [
        advertising(vec![], Some(&[address(1)])),
        advertising(vec![pinned(address(1))], Some(&[address(1), address(2)])),
        // DNS gave no complete answer.
        advertising(vec![pinned(address(9))], None),
        advertising(vec![pinned(v6)], Some(&[address(1)])),
        // There is no load balancer to compare with.
        Observation {
            load_balancer: None,
            service: counts(0, 0, 0),
            tasks: vec![],
            ..advertising(vec![pinned(address(9))], Some(&[]))
        },
    ] {
        assert_eq!(plan_at_noon(&seen).findings, [], "{:?}", seen.advertised);
    }
}

#[test]
fn an_address_of_a_family_that_the_load_balancer_lacks_is_a_mismatch() {
    let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let mut seen = advertising(vec![pinned(v6)], Some(&[address(1)]));
    seen.advertised.load_balancer.ipv6 = Some(Default::default());
    let plan = plan_at_noon(&seen);
    assert!(plan.findings[0].detail.ends_with("p-jvb-nlb has no address of that family"), "{:?}", plan.findings);
}
