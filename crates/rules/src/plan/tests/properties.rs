//! Properties that hold for every observation.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::bounds::Bounds;
use crate::model::{Phase, StopCode};

fn last_status() -> impl Strategy<Value = LastStatus> {
    use LastStatus::{Running, Starting, Stopped, Stopping, Unknown};
    prop::sample::select(vec![Starting, Running, Running, Running, Stopping, Stopped, Stopped, Stopped, Unknown])
}

fn desired_status() -> impl Strategy<Value = DesiredStatus> {
    prop_oneof![4 => Just(DesiredStatus::Running), 4 => Just(DesiredStatus::Stopped), 1 => Just(DesiredStatus::Unknown)]
}

/// An instant within two hours of noon, in steps of half a minute, so that it hits the ends of grace periods.
fn instant() -> impl Strategy<Value = Timestamp> {
    (-240i64..=240)
        .prop_map(|half_minutes| Timestamp::from_second(noon().as_second() + half_minutes * 30).expect("an instant"))
}

/// Few addresses, so that tasks and targets share them.
fn ipv4() -> impl Strategy<Value = Option<Ipv4Addr>> {
    prop::option::weighted(0.9, (0u8..6).prop_map(|last| Ipv4Addr::new(10, 0, 0, last)))
}

fn ipv6() -> impl Strategy<Value = Option<Ipv6Addr>> {
    prop::option::of((0u16..6).prop_map(|last| Ipv6Addr::new(0x2a05, 0, 0, 0, 0, 0, 0, last)))
}

fn any_task(number: u8) -> impl Strategy<Value = Task> {
    let times = (prop::option::of(instant()), prop::option::of(instant()), prop::option::of(instant()));
    let codes = vec![StopCode::FailedToStart, StopCode::EssentialContainerExited, StopCode::Other];
    let code = prop::option::of(prop::sample::select(codes));
    (last_status(), desired_status(), ipv4(), ipv6(), times, code).prop_map(
        move |(last, desired, ipv4, ipv6, times, stop_code)| {
            let (started_at, stopping_at, stopped_at) = times;
            let stopped_reason = stop_code.map(|_| format!("reason {number}"));
            let times = Task { started_at, stopping_at, stopped_at, ..task(number, last, desired) };
            Task { ipv4, ipv6, stop_code, stopped_reason, ..times }
        },
    )
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    prop_oneof![Just(Vec::new()), (0u8..8).prop_flat_map(|count| (0..count).map(any_task).collect::<Vec<_>>()),]
}

fn service() -> impl Strategy<Value = Service> {
    prop_oneof![
        6 => Just(counts(0, 0, 0)),
        3 => (0..3i32, 0..3i32, 0..3i32).prop_map(|(desired, running, pending)| counts(desired, running, pending)),
        1 => Just(Service::Missing),
    ]
}

fn state() -> impl Strategy<Value = TargetState> {
    use TargetState::{Draining, Healthy, Initial, Unavailable, Unhealthy, Unknown, Unused};
    prop::sample::select(vec![Initial, Healthy, Unhealthy, Draining, Unused, Unavailable, Unknown])
}

fn targets(port: u16) -> impl Strategy<Value = Vec<Target>> {
    let address = prop_oneof![
        5 => (0u8..6).prop_map(ip),
        1 => (0u16..6).prop_map(|last| IpAddr::V6(Ipv6Addr::new(0x2a05, 0, 0, 0, 0, 0, 0, last))),
    ];
    let port = prop_oneof![9 => Just(port), 1 => Just(8080u16)];
    let distinct = prop::collection::btree_map((address, port), state(), 0..6);
    distinct
        .prop_map(|map| map.into_iter().map(|((ip, port), state)| Target { ip, port, state, reason: None }).collect())
}

fn mark_tags() -> impl Strategy<Value = Tags> {
    let since = prop_oneof![3 => Just(noon() - minutes(30)).boxed(), 2 => instant().boxed()];
    prop_oneof![
        2 => Just(Tags::new()),
        4 => since.prop_map(|since| marked(Tags::new(), since)),
        1 => Just(Tags::from([(IDLE_SINCE_TAG.into(), "soon".into())])),
        1 => Just(marked(Tags::new(), noon())).prop_map(|mut tags| {
            tags.insert(LOAD_BALANCER_TAG.into(), LOAD_BALANCER.replace("p-jvb-nlb", "q-jvb-nlb"));
            tags
        }),
    ]
}

/// Whether a task stopped too long ago for a healthy target at its address to be its own.
fn stopped_long_ago(task: &Task) -> bool {
    task.stopped_at.is_some_and(|at| at + minutes(5) < noon())
}

fn hold() -> impl Strategy<Value = Option<String>> {
    prop_oneof![8 => Just(None), 2 => instant().prop_map(|until| Some(until.to_string())), 1 => Just(Some("x".into()))]
}

fn any_group(arn: &'static str, port: u16) -> impl Strategy<Value = TargetGroup> {
    let target_type = prop_oneof![
        8 => Just(TargetType::Ip { family: AddressFamily::Ipv4, port }),
        2 => Just(TargetType::Ip { family: AddressFamily::Ipv6, port }),
        1 => Just(TargetType::Other("instance".into())),
    ];
    let owned = prop::bool::weighted(0.85);
    (target_type, targets(port), 0..2usize, owned, mark_tags()).prop_map(
        move |(target_type, targets, healthy_others, owned, mut tags)| {
            if owned {
                tags.extend(owner_tags());
            }
            let takes_addresses = matches!(target_type, TargetType::Ip { .. });
            let (targets, healthy_others) = if takes_addresses { (targets, 0) } else { (Vec::new(), healthy_others) };
            TargetGroup { target_type, tags, healthy_others, ..group(arn, port, targets) }
        },
    )
}

fn groups() -> impl Strategy<Value = Vec<TargetGroup>> {
    let both = (any_group(UDP, 10000), any_group(TCP, 4443)).prop_map(|(udp, tcp)| vec![udp, tcp]);
    prop_oneof![6 => both, 1 => any_group(UDP, 10000).prop_map(|group| vec![group]), 1 => Just(Vec::new())]
}

fn any_load_balancer() -> impl Strategy<Value = LoadBalancer> {
    use LoadBalancerState::{Active, ActiveImpaired, Failed, Provisioning, Unknown};
    let kind = prop_oneof![9 => Just(LoadBalancerKind::Network), 1 => Just(LoadBalancerKind::Other("gateway".into()))];
    let state =
        prop::sample::select(vec![Active, Active, Active, Active, ActiveImpaired, Failed, Provisioning, Unknown]);
    let owned = prop::bool::weighted(0.85);
    (kind, state, instant(), owned, mark_tags(), hold(), groups()).prop_map(
        |(kind, state, created_at, owned, mut tags, hold, target_groups)| {
            if owned {
                tags.extend(owner_tags());
            }
            tags.extend(hold.map(|until| (HOLD_UNTIL_TAG.to_owned(), until)));
            LoadBalancer { kind, state, created_at, tags, target_groups, ..load_balancer(&[]) }
        },
    )
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let load_balancer = prop::option::weighted(0.85, any_load_balancer());
    let since = prop::collection::vec(prop::option::of(instant()), 24);
    (service(), tasks(), load_balancer, groups(), since).prop_map(|(service, tasks, load_balancer, orphans, since)| {
        let mut seen = observation(service, tasks, load_balancer);
        if seen.load_balancer.is_none() {
            seen.orphaned_target_groups = orphans;
        }
        let keys: Vec<_> = seen.targets().map(|(group, target)| group.key(target.ip, target.port)).collect();
        seen.unmatched_since = keys.into_iter().zip(since).filter_map(|(key, since)| Some((key, since?))).collect();
        seen
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let teardown = prop_oneof![6 => Just(Teardown::All), 2 => Just(Teardown::LoadBalancer), 1 => Just(Teardown::Off)];
    let grace = (1u64..1200).prop_map(seconds);
    (teardown, grace.clone(), any::<bool>(), grace.clone(), grace).prop_map(
        |(teardown, idle_grace, until_paid_hour, unused_grace, resync_interval)| Policy {
            teardown,
            idle_grace,
            until_paid_hour,
            unused_grace,
            resync_interval,
            ..policy()
        },
    )
}

/// The observation after the plan has been carried out.
fn applied(seen: &Observation, plan: &Plan) -> Observation {
    let mut after = seen.clone();
    let all_targets = |after: &mut Observation, arn: &str, change: &dyn Fn(&mut Vec<Target>)| {
        let groups = after.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups);
        groups.filter(|group| group.arn == arn).for_each(|group| change(&mut group.targets));
    };
    for group in &plan.registrations {
        for TargetChange { key, .. } in &group.register {
            all_targets(&mut after, &group.target_group_arn, &|targets| {
                targets.retain(|target| (target.ip, target.port) != (key.ip, key.port));
                targets.push(Target { ip: key.ip, port: key.port, state: TargetState::Initial, reason: None });
            });
        }
        for TargetChange { key, .. } in &group.deregister {
            all_targets(&mut after, &group.target_group_arn, &|targets| {
                let of_key = targets.iter_mut().filter(|target| (target.ip, target.port) == (key.ip, key.port));
                of_key.for_each(|target| target.state = TargetState::Draining);
            });
        }
    }
    let tags_of = |after: &mut Observation, arns: &[String], change: &dyn Fn(&mut Tags)| {
        for load_balancer in after.load_balancer.iter_mut() {
            if arns.contains(&load_balancer.arn) {
                change(&mut load_balancer.tags);
            }
            let groups = load_balancer.target_groups.iter_mut().filter(|group| arns.contains(&group.arn));
            groups.for_each(|group| change(&mut group.tags));
        }
    };
    match &plan.lifecycle {
        LifecycleAction::Keep => {}
        LifecycleAction::Mark { idle_since, resources, .. } => tags_of(&mut after, resources, &|tags| {
            *tags = marked(std::mem::take(tags), *idle_since);
        }),
        LifecycleAction::Unmark { resources, .. } => tags_of(&mut after, resources, &|tags| {
            tags.remove(IDLE_SINCE_TAG);
            tags.remove(LOAD_BALANCER_TAG);
        }),
        LifecycleAction::DeleteLoadBalancer { .. } => {
            let groups =
                after.load_balancer.take().map(|load_balancer| load_balancer.target_groups).unwrap_or_default();
            let named = |group: &TargetGroup| group.tags.contains_key(LOAD_BALANCER_TAG);
            after.orphaned_target_groups = groups.into_iter().filter(named).collect();
            after.unmatched_since = BTreeMap::new();
        }
        LifecycleAction::DeleteTargetGroups { target_groups } => {
            let deleted = |group: &TargetGroup| target_groups.iter().any(|deleted| deleted.arn == group.arn);
            after.orphaned_target_groups.retain(|group| !deleted(group));
        }
    }
    after
}

fn shuffled(seen: &Observation, seed: u64) -> Observation {
    /// Reorders items, differently for each seed.
    fn reorder<T>(items: &mut [T], seed: u64) {
        for index in (1..items.len()).rev() {
            let other = seed.wrapping_mul(6364136223846793005).rotate_left(index as u32) as usize % (index + 1);
            items.swap(index, other);
        }
    }
    let mut seen = seen.clone();
    reorder(&mut seen.tasks, seed);
    reorder(&mut seen.orphaned_target_groups, seed);
    if let Some(load_balancer) = &mut seen.load_balancer {
        reorder(&mut load_balancer.target_groups, seed);
        load_balancer.target_groups.iter_mut().for_each(|group| reorder(&mut group.targets, seed));
    }
    seen
}

fn does_nothing(plan: &Plan) -> bool {
    plan.registrations.is_empty() && plan.lifecycle == LifecycleAction::Keep
}

/// The hours that a load balancer is billed for, as the pricing page has it: each hour that has begun.
fn billed_hours(created_at: Timestamp, until: Timestamp) -> i128 {
    let nanoseconds = until.duration_since(created_at).as_nanos();
    nanoseconds.div_euclid(3_600_000_000_000) + 1
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn never_deregisters_the_address_of_a_serving_task(seen in any_observation(), policy in any_policy()) {
        let plan = plan(&seen, &policy, noon());
        for change in plan.registrations.iter().flat_map(|group| &group.deregister) {
            for task in seen.serving() {
                prop_assert!(!task.has_address(change.key.ip), "{} of {}", change.key.ip, task.id);
            }
        }
    }

    #[test]
    fn deregisters_an_unmatched_target_only_after_an_earlier_observation(seen in any_observation(), policy in any_policy()) {
        let plan = plan(&seen, &policy, noon());
        for change in plan.registrations.iter().flat_map(|group| &group.deregister) {
            let stopping = seen.tasks.iter().any(|task| task.phase() == Phase::Stopping && task.has_address(change.key.ip));
            let since = seen.unmatched_since.get(&change.key);
            prop_assert!(stopping || since.is_some_and(|since| *since + UNMATCHED_BEFORE_STALE <= noon()));
            let is_it = |target: &Target| (target.ip, target.port) == (change.key.ip, change.key.port);
            let healthy = seen.targets().any(|(group, target)| {
                group.arn == change.key.target_group_arn && is_it(target) && target.state == TargetState::Healthy
            });
            let holds = |task: &Task| task.has_address(change.key.ip) && !stopped_long_ago(task);
            prop_assert!(seen.tasks.iter().any(holds) || !healthy, "{change:?} is healthy");
        }
    }

    #[test]
    fn converges_every_serving_task_into_every_target_group(seen in any_observation(), policy in any_policy()) {
        let before = plan(&seen, &policy, noon());
        prop_assume!(seen.service != Service::Missing);
        let after = applied(&seen, &before);
        let Some(load_balancer) = after.load_balancer.filter(|load_balancer| load_balancer.kind == LoadBalancerKind::Network) else {
            return Ok(());
        };
        for group in &load_balancer.target_groups {
            let TargetType::Ip { family, port } = group.target_type else { continue };
            for ip in seen.serving().filter_map(|task| task.address(family)) {
                let registered = |target: &Target| {
                    (target.ip, target.port) == (ip, port) && target.state != TargetState::Draining
                };
                prop_assert!(group.targets.iter().any(registered), "{ip} is not in {}", group.name);
            }
        }
    }

    #[test]
    fn registers_a_starting_task_only_while_nothing_serves_its_clients(
        seen in any_observation(), policy in any_policy(), nothing_serves: bool, nothing_is_healthy: bool, several: bool,
    ) {
        // Rare in an observation that is drawn at random.
        let mut seen = Observation { service: counts(1, 0, 1), ..seen };
        for task in seen.tasks.iter_mut().filter(|task| nothing_serves && task.last_status == LastStatus::Running) {
            task.last_status = LastStatus::Starting;
        }
        for group in seen.load_balancer.iter_mut().flat_map(|found| &mut found.target_groups) {
            for target in group.targets.iter_mut().filter(|_| nothing_is_healthy) {
                target.state = TargetState::Initial;
            }
        }
        let policy = Policy { allow_several_bridges: several, ..policy };
        let changes: Vec<_> = plan(&seen, &policy, noon()).registrations;
        let registered: Vec<_> = changes.iter().flat_map(|group| &group.register).collect();
        let starting: BTreeSet<_> = registered
            .iter()
            .filter(|change| change.reason == TargetReason::TaskStarting)
            .map(|change| change.task.as_ref().expect("a task"))
            .collect();
        if starting.is_empty() {
            return Ok(());
        }
        prop_assert!(registered.iter().all(|change| change.reason == TargetReason::TaskStarting));
        prop_assert!(seen.serving().next().is_none());
        prop_assert!(seen.targets().all(|(_, target)| target.state != TargetState::Healthy));
        prop_assert!(seen.target_groups().all(|group| group.healthy_others == 0));
        for task in seen.tasks.iter().filter(|task| starting.contains(&task.id)) {
            prop_assert_eq!((task.last_status, task.desired_status), (LastStatus::Starting, DesiredStatus::Running));
        }
        let has_udp = seen.target_groups().any(|group| group.protocol.takes_udp());
        prop_assert!(starting.len() == 1 || policy.allow_several_bridges || !has_udp, "{starting:?}");
    }

    #[test]
    fn deletes_only_when_idle_owned_marked_and_past_the_grace_period(seen in any_observation(), policy in any_policy()) {
        let deletion = match plan(&seen, &policy, noon()).lifecycle {
            LifecycleAction::DeleteLoadBalancer { load_balancer_arn, idle_since, .. } => Some((load_balancer_arn, idle_since)),
            _ => None,
        };
        let Some((arn, idle_since)) = deletion else { return Ok(()) };
        prop_assert_eq!(seen.service, counts(0, 0, 0));
        for task in &seen.tasks {
            prop_assert_eq!(task.last_status, LastStatus::Stopped);
        }
        for (_, target) in seen.targets().filter(|(_, target)| target.state == TargetState::Healthy) {
            let holds = |task: &Task| task.has_address(target.ip) && !stopped_long_ago(task);
            prop_assert!(seen.tasks.iter().any(holds), "{target:?} is in use");
        }
        let load_balancer = seen.load_balancer.expect("a load balancer to delete");
        prop_assert!(load_balancer.target_groups.iter().all(|group| group.healthy_others == 0), "{load_balancer:?} is in use");
        prop_assert_eq!(&load_balancer.arn, &arn);
        prop_assert_eq!(load_balancer.kind, LoadBalancerKind::Network);
        prop_assert_eq!(load_balancer.tags.get("Lifecycle").map(String::as_str), Some("on-demand"));
        prop_assert_eq!(load_balancer.tags.get(IDLE_SINCE_TAG), Some(&idle_since.to_string()));
        prop_assert_eq!(load_balancer.tags.get(LOAD_BALANCER_TAG), Some(&load_balancer.arn));
        prop_assert!(load_balancer.created_at.min(noon() + CLOCK_SKEW) <= idle_since);
        let grace_ends_at = idle_since + policy.idle_grace;
        prop_assert!(grace_ends_at <= noon());
        if policy.until_paid_hour {
            let hours = (1..).map(|hours| load_balancer.created_at + minutes(60 * hours));
            let paid_until = hours.into_iter().find(|end| *end > grace_ends_at).expect("hours go on");
            prop_assert!(noon() >= paid_until - PAID_HOUR_MARGIN, "paid until {paid_until}");
        }
        prop_assert!(policy.teardown != Teardown::Off);
        let hold = load_balancer.tags.get(HOLD_UNTIL_TAG).and_then(|until| until.parse::<Timestamp>().ok());
        prop_assert!(hold.is_none_or(|until| until <= idle_since || until > noon() + LONGEST_HOLD));
    }

    #[test]
    fn deletes_only_target_groups_with_this_load_balancers_mark(seen in any_observation(), policy in any_policy()) {
        let LifecycleAction::DeleteTargetGroups { target_groups } = plan(&seen, &policy, noon()).lifecycle else { return Ok(()) };
        prop_assert!(seen.load_balancer.is_none());
        prop_assert_eq!(policy.teardown, Teardown::All);
        prop_assert_eq!(seen.service, counts(0, 0, 0));
        for deleted in target_groups {
            let group = seen.orphaned_target_groups.iter().find(|group| group.arn == deleted.arn).expect("an orphaned target group");
            prop_assert_eq!(group.tags.get(LOAD_BALANCER_TAG).map(String::as_str), Some(LOAD_BALANCER));
            prop_assert!(group.tags.contains_key("Lifecycle"));
            let since: Timestamp = group.tags[IDLE_SINCE_TAG].parse().expect("an instant");
            prop_assert!(since + policy.idle_grace <= noon());
        }
    }

    #[test]
    fn marks_only_owned_load_balancers(seen in any_observation(), policy in any_policy()) {
        let owned = seen.load_balancer.as_ref().is_some_and(|load_balancer| {
            load_balancer.kind == LoadBalancerKind::Network && load_balancer.tags.contains_key("Lifecycle")
        });
        let lifecycle = plan(&seen, &policy, noon()).lifecycle;
        if matches!(lifecycle, LifecycleAction::Mark { .. } | LifecycleAction::Unmark { .. } | LifecycleAction::DeleteLoadBalancer { .. }) {
            prop_assert!(owned, "{lifecycle:?}");
        }
        if let LifecycleAction::Mark { resources, .. } = &lifecycle {
            let groups = seen.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups);
            for group in groups.filter(|group| !group.tags.contains_key("Lifecycle")) {
                prop_assert!(!resources.contains(&group.arn), "{lifecycle:?}");
            }
        }
    }

    #[test]
    fn reaches_a_state_without_further_actions(seen in any_observation(), policy in any_policy()) {
        let mut seen = seen;
        // The longest way: mark, complete the mark, delete the load balancer, delete the target groups.
        for _ in 0..4 {
            let next = plan(&seen, &policy, noon());
            if does_nothing(&next) {
                return Ok(());
            }
            seen = applied(&seen, &next);
        }
        let last = plan(&seen, &policy, noon());
        prop_assert!(does_nothing(&last), "{last:?}");
    }

    #[test]
    fn converges_registrations_in_one_plan(seen in any_observation(), policy in any_policy()) {
        let first = plan(&seen, &policy, noon());
        let seen = applied(&seen, &first);
        let second = plan(&seen, &policy, noon());
        // A starting task waits for the deregistration of the last healthy target.
        let deregisters = first.registrations.iter().any(|change| !change.deregister.is_empty());
        let starting = |target: &TargetChange| target.reason == TargetReason::TaskStarting;
        let waited = second.registrations.iter().all(|change| {
            deregisters && change.deregister.is_empty() && change.register.iter().all(starting)
        });
        prop_assert!(waited, "{:?}", second.registrations);
        prop_assert_eq!(plan(&applied(&seen, &second), &policy, noon()).registrations, vec![]);
    }

    #[test]
    fn does_not_depend_on_the_order_of_lists(seen in any_observation(), policy in any_policy(), seed: u64) {
        prop_assert_eq!(plan(&seen, &policy, noon()), plan(&shuffled(&seen, seed), &policy, noon()));
    }

    #[test]
    fn requeues_between_now_and_the_resync_interval(seen in any_observation(), policy in any_policy()) {
        let plan = plan(&seen, &policy, noon());
        prop_assert!(plan.requeue_at >= noon());
        prop_assert!(plan.requeue_at <= noon() + policy.resync_interval);
    }

    #[test]
    fn deletes_an_idle_owned_load_balancer_within_its_grace_periods(seen in any_observation(), policy in any_policy()) {
        // Without further changes, reconciling at the times that the plans name ends with nothing left.
        let mut seen = seen;
        seen.service = counts(0, 0, 0);
        seen.tasks.retain(|task| task.last_status == LastStatus::Stopped);
        prop_assume!(policy.teardown == Teardown::All);
        let Some(load_balancer) = &mut seen.load_balancer else { return Ok(()) };
        prop_assume!(load_balancer.kind == LoadBalancerKind::Network && load_balancer.tags.contains_key("Lifecycle"));
        load_balancer.tags.remove(HOLD_UNTIL_TAG);
        for group in &mut load_balancer.target_groups {
            group.healthy_others = 0;
            group.targets.iter_mut().for_each(|target| target.state = TargetState::Unhealthy);
        }
        // Marks, uses and a creation in the future put the deletion off.
        let marked_at = load_balancer.tags.get(IDLE_SINCE_TAG).and_then(|since| since.parse().ok());
        let uses = seen.tasks.iter().flat_map(|task| [task.started_at, task.stopping_at, task.stopped_at]).flatten();
        let latest = uses.chain(marked_at).chain([noon(), load_balancer.created_at]).max().expect("one at least");
        let bound = latest + policy.unused_grace + 2 * policy.longest_idle_grace() + seconds(60);
        let mut now = noon();
        while seen.load_balancer.is_some() {
            prop_assert!(now <= bound, "still there at {now}: {seen:?}");
            let next = plan(&seen, &policy, now);
            seen = applied(&seen, &next);
            now = next.requeue_at.max(now + seconds(1));
        }
    }

    #[test]
    fn extends_the_grace_period_for_free_and_within_the_bound(
        created_ms in 0i64..7_200_000, idle_after_ms in 0i64..360_000_000, grace in 1u64..86_400,
    ) {
        let created_at = noon() + Duration::from_millis(created_ms as u64);
        let idle_since = created_at + Duration::from_millis(idle_after_ms as u64);
        let policy = Policy { idle_grace: seconds(grace), until_paid_hour: true, ..policy() };
        let ordinary = Policy { until_paid_hour: false, ..policy.clone() };
        let (extended_end, ordinary_end) =
            (policy.grace_ends_at(created_at, idle_since), ordinary.grace_ends_at(created_at, idle_since));
        prop_assert_eq!(ordinary_end, idle_since + ordinary.idle_grace);
        prop_assert!(extended_end >= ordinary_end, "it never shortens");
        prop_assert_eq!(billed_hours(created_at, extended_end), billed_hours(created_at, ordinary_end), "it is free");
        prop_assert!(
            billed_hours(created_at, extended_end + PAID_HOUR_MARGIN) > billed_hours(created_at, ordinary_end),
            "it lasts for the whole hour but the margin"
        );
        prop_assert!(extended_end <= idle_since + policy.longest_idle_grace());
        prop_assert_eq!(Bounds::new(&policy).teardown - Bounds::new(&ordinary).teardown, minutes(57));
    }
}
