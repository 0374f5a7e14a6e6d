//! Scale to zero by use, at noon: a load balancer of 11:00, with a task that has served since 11:10.
//!
//! CloudWatch can be expected to know the minute of 11:56, so that a window of ten minutes begins at 11:47.

use std::collections::BTreeMap;

use super::*;
use crate::hold::{Hold, Holder};
use crate::lease::{Lease, LeaseHolder, LeaseReading, LeaseState};
use crate::model::{FlowHistory, FlowProblem, FlowProtocols, MINUTE, MinuteFlows, Protocol, STOP_AT_TAG, minute_of};

mod properties;

fn rule() -> StopWhenUnused {
    StopWhenUnused { after: minutes(10), notice: minutes(2), first_call_grace: minutes(30) }
}

fn stopping() -> Policy {
    Policy { usage: UsagePolicy { observe: true, protocols: None, threshold: 1, stop: Some(rule()) }, ..policy() }
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}Z").parse().expect("an instant")
}

/// Minutes from an instant on, up to noon, with this number of flows each.
fn minutes_with(from: Timestamp, flows: u64) -> BTreeMap<Timestamp, MinuteFlows> {
    let starts = std::iter::successors(Some(from), |start| Some(*start + MINUTE)).take_while(|start| *start < noon());
    starts.map(|start| (start, MinuteFlows { flows, healthy: Some(1) })).collect()
}

/// A service without a flow since 11:00, as far as CloudWatch shows it: up to the minute of 11:57.
fn unused() -> Observation {
    let mut minutes = minutes_with(at("11:00:00"), 0);
    minutes.retain(|start, _| *start < at("11:58:00"));
    Observation {
        flows: Some(FlowHistory { minutes, problem: None }),
        lease: LeaseReading::Read(None),
        ..observation(counts(1, 1, 0), vec![running(1)], Some(load_balancer(&[1])))
    }
}

/// The same, changed.
fn unused_but(change: impl FnOnce(&mut Observation)) -> Observation {
    let mut observed = unused();
    change(&mut observed);
    observed
}

fn tags(observed: &mut Observation) -> &mut Tags {
    &mut observed.load_balancer.as_mut().expect("a load balancer").tags
}

fn known(observed: &mut Observation) -> &mut BTreeMap<Timestamp, MinuteFlows> {
    &mut observed.flows.as_mut().expect("flows").minutes
}

fn with_flows(time: &str, flows: u64) -> Observation {
    unused_but(|observed| known(observed).entry(at(time)).or_default().flows = flows)
}

fn announced_for(observed: Observation, stop_at: Timestamp) -> Observation {
    let mut observed = observed;
    tags(&mut observed).insert(STOP_AT_TAG.to_owned(), stop_at.to_string());
    observed
}

fn announced(observed: Observation) -> Observation {
    announced_for(observed, noon())
}

fn stop_of(observed: &Observation) -> StopAction {
    plan(observed, &stopping(), noon()).stop
}

/// Asserts that an announced stop is withdrawn for this reason, and that one that isn't announced isn't.
fn assert_obstacle(observed: Observation, expected: StopObstacle, why: &str) {
    assert_eq!(stop_of(&observed), StopAction::None, "{why}");
    let withdrawn = StopAction::Withdraw { load_balancer_arn: LOAD_BALANCER.to_owned(), reason: expected };
    assert_eq!(stop_of(&announced(observed)), withdrawn, "{why}");
}

#[test]
fn announces_the_stop_of_a_service_that_was_unused_for_the_window() {
    let announced = StopAction::Announce {
        load_balancer_arn: LOAD_BALANCER.to_owned(),
        stop_at: at("12:02:00"),
        unused_since: at("11:00:00"),
    };
    let plan = plan(&unused(), &stopping(), noon());
    assert_eq!(plan.stop, announced);
    assert_eq!(plan.requeue_at, at("12:01:00"), "a flow in the meantime is seen within a minute");
}

#[test]
fn stops_an_announced_service_at_the_announced_time() {
    let planned = |stop_at: &str| plan(&announced_for(unused(), at(stop_at)), &stopping(), noon());
    let stop = StopAction::ScaleToZero { stop_at: noon(), unused_since: at("11:00:00") };
    assert_eq!(planned("12:00:00").stop, stop);
    let early = planned("12:00:00.001");
    assert_eq!((early.stop, early.requeue_at), (StopAction::None, at("12:00:00.001")));
    assert_eq!(planned("12:02:00").requeue_at, at("12:01:00"));
}

#[test]
fn announces_again_what_was_announced_too_long_ago_or_too_far_ahead() {
    let is_announced =
        |stop_at: &str| matches!(stop_of(&announced_for(unused(), at(stop_at))), StopAction::Announce { .. });
    assert!(!is_announced("11:50:00.001") && is_announced("11:50:00"));
    // The notice of two minutes, and five minutes by which clocks differ.
    assert!(!is_announced("12:07:00") && is_announced("12:07:00.001"));
    let rubbish = unused_but(|observed| drop(tags(observed).insert(STOP_AT_TAG.to_owned(), "soon".to_owned())));
    assert!(matches!(stop_of(&rubbish), StopAction::Announce { .. }));
}

#[test]
fn stops_nothing_by_what_an_earlier_answer_of_cloudwatch_showed() {
    let unanswered = |mut observed: Observation| {
        let problem = FlowProblem { reason: "throttled".to_owned(), is_permanent: false };
        observed.flows.as_mut().expect("flows").problem = Some(problem);
        observed
    };
    assert_eq!(stop_of(&unanswered(unused())), StopAction::None);
    // The announcement stays: the next answer may come in time.
    let plan = plan(&announced(unanswered(unused())), &stopping(), noon());
    assert_eq!((plan.stop, plan.requeue_at), (StopAction::None, at("12:01:00")));
    // What it showed to be used stays so.
    assert_obstacle(unanswered(with_flows("11:57:00", 2)), StopObstacle::InUse, "a flow in a known minute");
}

#[test]
fn reads_the_announcement_to_the_millisecond() {
    // Below it is the id of the process that wrote it.
    let stop_at: Timestamp = at("12:00:00.000000001");
    let stop = StopAction::ScaleToZero { stop_at: noon(), unused_since: at("11:00:00") };
    assert_eq!(stop_of(&announced_for(unused(), stop_at)), stop);
}

#[test]
fn does_nothing_without_the_option() {
    let off = Policy { usage: UsagePolicy { observe: true, stop: None, ..UsagePolicy::OFF }, ..policy() };
    assert_eq!(plan(&announced(unused()), &off, noon()).stop, StopAction::None);
}

#[test]
fn a_flow_in_the_window_or_after_it_is_use() {
    for (time, expected) in [("11:46:00", None), ("11:47:00", Some(2)), ("11:56:00", Some(2)), ("11:59:00", Some(2))] {
        let observed = with_flows(time, 2);
        match expected {
            Some(_) => assert_obstacle(observed, StopObstacle::InUse, time),
            None => {
                let StopAction::Announce { unused_since, .. } = stop_of(&observed) else { panic!("{time}") };
                assert_eq!(unused_since, at("11:47:00"));
            }
        }
    }
}

#[test]
fn flows_up_to_the_threshold_are_no_use() {
    assert!(matches!(stop_of(&with_flows("11:56:00", 1)), StopAction::Announce { .. }));
    let strict = Policy { usage: UsagePolicy { threshold: 0, ..stopping().usage }, ..stopping() };
    assert_eq!(plan(&with_flows("11:56:00", 1), &strict, noon()).stop, StopAction::None);
}

#[test]
fn an_unknown_minute_of_the_window_is_in_use() {
    for (time, matters) in [("11:46:00", false), ("11:47:00", true), ("11:56:00", true), ("11:57:00", false)] {
        let unknown = unused_but(|observed| {
            known(observed).remove(&at(time));
        });
        assert_eq!(matches!(stop_of(&unknown), StopAction::Announce { .. }), !matters, "{time}");
        let uncounted = unused_but(|observed| {
            known(observed).insert(at(time), MinuteFlows { flows: 0, healthy: None });
        });
        assert_eq!(matches!(stop_of(&uncounted), StopAction::Announce { .. }), !matters, "{time}");
    }
    let not_asked = unused_but(|observed| observed.flows = None);
    assert_eq!(stop_of(&not_asked), StopAction::None);
}

#[test]
fn an_announced_stop_waits_for_a_minute_that_is_unknown_and_is_withdrawn_in_the_end() {
    let unknown = || {
        unused_but(|observed| {
            known(observed).remove(&at("11:56:00"));
        })
    };
    let waiting = plan(&announced(unknown()), &stopping(), noon());
    assert_eq!((waiting.stop, waiting.requeue_at), (StopAction::None, at("12:01:00")));
    let withdrawn =
        StopAction::Withdraw { load_balancer_arn: LOAD_BALANCER.to_owned(), reason: StopObstacle::UsageUnknown };
    assert_eq!(stop_of(&announced_for(unknown(), at("11:50:00"))), withdrawn);
}

#[test]
fn needs_a_service_that_has_served_for_the_whole_window() {
    let with_task = |task: Task| unused_but(|observed| observed.tasks = vec![task]);
    let started = |time: &str| Task { started_at: Some(at(time)), ..running(1) };
    // There was a call before the window.
    let used = |observed: Observation| {
        let mut observed = observed;
        known(&mut observed).entry(at("11:46:00")).or_default().flows = 2;
        observed
    };
    assert!(matches!(stop_of(&used(with_task(started("11:46:30")))), StopAction::Announce { .. }));
    assert_obstacle(used(with_task(started("11:47:00.001"))), StopObstacle::NotServing, "it started in the window");
    assert_obstacle(with_task(Task { started_at: None, ..running(1) }), StopObstacle::NotServing, "no time");
    let second = |task: Task| unused_but(|observed| observed.tasks.push(task));
    let starting = second(task(2, LastStatus::Starting, DesiredStatus::Running));
    assert_obstacle(starting, StopObstacle::NotServing, "another task is starting");
    let newest = second(Task { started_at: Some(at("11:50:00")), ..running(2) });
    assert_obstacle(newest, StopObstacle::NotServing, "the newest task counts");
    assert!(matches!(stop_of(&second(stopped(2))), StopAction::Announce { .. }));
    let unhealthy = unused_but(|observed| {
        observed.load_balancer = Some(with_unhealthy(load_balancer(&[1]), 1));
    });
    assert_obstacle(unhealthy, StopObstacle::NotServing, "no target is healthy");
    let of_other = unused_but(|observed| observed.load_balancer = Some(load_balancer(&[2])));
    assert_obstacle(of_other, StopObstacle::NotServing, "the healthy target is another's");
    let without_host = unused_but(|observed| {
        known(observed).insert(at("11:50:00"), MinuteFlows { flows: 0, healthy: Some(0) });
    });
    assert_obstacle(without_host, StopObstacle::NotServing, "no target was healthy in a minute");
    let young = unused_but(|observed| {
        observed.load_balancer.as_mut().expect("a load balancer").created_at = at("11:47:00.001");
    });
    assert_obstacle(young, StopObstacle::NotServing, "the load balancer is younger than the window");
}

#[test]
fn waits_for_the_first_call_after_the_newest_task_started() {
    let started = |time: &str| unused_but(|observed| observed.tasks[0].started_at = Some(at(time)));
    assert!(matches!(stop_of(&started("11:30:00")), StopAction::Announce { .. }));
    assert_obstacle(started("11:30:00.001"), StopObstacle::AwaitingFirstCall, "29 minutes");
    let after_a_call = |time: &str| {
        let mut observed = started("11:40:30");
        known(&mut observed).entry(at(time)).or_default().flows = 2;
        observed
    };
    assert!(matches!(stop_of(&after_a_call("11:41:00")), StopAction::Announce { .. }));
    assert!(matches!(stop_of(&after_a_call("11:40:00")), StopAction::Announce { .. }), "the minute of its start");
    assert_obstacle(after_a_call("11:39:00"), StopObstacle::AwaitingFirstCall, "the call of an earlier task");
}

#[test]
fn a_hold_keeps_the_service_and_a_window_follows_it() {
    let held_until = |time: &str| {
        unused_but(|observed| {
            let hold = Hold { until: at(time), holder: Holder::Hand };
            tags(observed).extend(hold.tags());
        })
    };
    assert_obstacle(held_until("12:00:00.001"), StopObstacle::Held, "in force");
    assert_obstacle(held_until("11:47:00.001"), StopObstacle::Held, "it ended within the window");
    assert!(matches!(stop_of(&held_until("11:47:00")), StopAction::Announce { .. }));
    let invalid = unused_but(|observed| {
        tags(observed).insert(HOLD_UNTIL_TAG.to_owned(), "2036-11-20T12:00:00Z".to_owned());
    });
    assert!(matches!(stop_of(&invalid), StopAction::Announce { .. }), "an invalid hold is ignored");
}

#[test]
fn an_operation_keeps_the_service_and_a_window_follows_it() {
    let leased = |holder, begun_at: &str, state| {
        unused_but(|observed| {
            let lease = Lease { holder, begun_at: at(begun_at), id: "1f2e".to_owned(), state };
            observed.lease = LeaseReading::Read(Some(lease));
        })
    };
    use LeaseHolder::{Down, Stop, Up};
    use LeaseState::{Active, Ended, Failed};
    for (holder, begun_at, state) in [
        (Up, "11:59:00", Active),
        (Down, "11:59:00", Active),
        (Up, "11:00:00.001", Active),
        // Ten seconds after them, their leases can have replaced that of another `up`.
        (Up, "11:46:50.001", Ended),
        (Up, "11:46:50.001", Failed),
        (Down, "11:46:50.001", Ended),
        // The watcher was killed while it stopped the service.
        (Stop, "11:59:30", Active),
        (Stop, "11:46:50.001", Active),
    ] {
        assert_obstacle(leased(holder, begun_at, state), StopObstacle::Operation, begun_at);
    }
    for (holder, begun_at, state) in [
        // Killed an hour ago.
        (Up, "11:00:00", Active),
        (Down, "11:00:00", Active),
        (Up, "11:46:50", Ended),
        (Down, "11:46:50", Ended),
        (Stop, "11:46:50", Active),
        // Nothing can have begun then: the tag was edited by hand.
        (Up, "23:00:00", Active),
        (Up, "23:00:00", Ended),
    ] {
        let action = stop_of(&leased(holder, begun_at, state));
        assert!(matches!(action, StopAction::Announce { .. }), "{holder:?} {begun_at} {state:?}: {action:?}");
    }
    let unread = unused_but(|observed| observed.lease = LeaseReading::NotRead);
    assert_obstacle(unread, StopObstacle::Operation, "the lease was not read");
}

#[test]
fn an_announced_stop_is_left_to_the_watcher_that_makes_it() {
    let announced = |begun_at: &str| {
        let lease = Lease {
            holder: LeaseHolder::Stop,
            begun_at: at(begun_at),
            id: "1f2e".to_owned(),
            state: LeaseState::Active,
        };
        let observed = announced_for(unused(), at("11:59:00"));
        plan(&Observation { lease: LeaseReading::Read(Some(lease)), ..observed }, &stopping(), noon())
    };
    let waiting = announced("11:59:30.001");
    assert_eq!((waiting.stop, waiting.requeue_at), (StopAction::None, at("12:00:00.001")));
    let killed = announced("11:59:30").stop;
    assert!(matches!(killed, StopAction::Withdraw { reason: StopObstacle::Operation, .. }), "{killed:?}");
}

#[test]
fn only_an_owned_network_load_balancer_of_a_service_that_is_up_matters() {
    for observed in [
        unused_but(|observed| observed.service = counts(0, 1, 0)),
        unused_but(|observed| observed.service = Service::Missing),
        unused_but(|observed| observed.load_balancer = None),
        unused_but(|observed| drop(tags(observed).remove("Lifecycle"))),
        unused_but(|observed| {
            observed.load_balancer.as_mut().expect("one").kind = LoadBalancerKind::Other("gateway".to_owned());
        }),
    ] {
        assert_eq!(stop_of(&observed), StopAction::None, "{observed:?}");
    }
}

#[test]
fn tells_when_the_service_would_be_stopped() {
    let expected = |observed: &Observation| expected_stop(observed, &stopping(), noon());
    // Used in the minute of 11:50: ten full minutes, CloudWatch's three, and the notice of two.
    assert_eq!(expected(&with_flows("11:50:00", 2)), Some(at("12:07:00")));
    // Unused for long: announced now.
    assert_eq!(expected(&unused()), Some(at("12:02:00")));
    assert_eq!(expected(&announced_for(unused(), at("12:01:00"))), Some(at("12:01:00")));
    let started = unused_but(|observed| observed.tasks[0].started_at = Some(at("11:45:10")));
    assert_eq!(expected(&started), Some(at("12:17:10")), "half an hour for the first call");
    let called = |time: &str| {
        let mut observed = with_flows(time, 2);
        observed.tasks[0].started_at = Some(at("11:50:10"));
        observed
    };
    assert_eq!(expected(&called("11:50:00")), Some(at("12:07:00")), "the first call came in the minute of its start");
    assert_eq!(expected(&called("11:49:00")), Some(at("12:22:10")), "that was the call of an earlier task");
    let held = unused_but(|observed| {
        tags(observed).extend(Hold { until: at("12:30:00"), holder: Holder::Hand }.tags());
    });
    assert_eq!(expected(&held), None);
    assert_eq!(expected(&unused_but(|observed| observed.flows = None)), None);
    let unknown = unused_but(|observed| known(observed).retain(|start, _| *start < at("11:50:00")));
    assert_eq!(expected(&unknown), None, "unknown counts as in use");
    assert_eq!(expected_stop(&unused(), &policy(), noon()), None);
}

#[test]
fn tells_for_when_the_stop_is_announced() {
    let stop_of = |observed: &Observation| stop_announced_for(observed, &stopping(), noon());
    assert_eq!(stop_of(&announced_for(unused(), at("12:01:00"))), Some(at("12:01:00")));
    assert_eq!(stop_of(&unused()), None);
    assert_eq!(stop_announced_for(&announced(unused()), &policy(), noon()), None, "the option is off");
}

#[test]
fn usage_that_is_unknown_for_ten_minutes_is_a_finding() {
    let found = |observed: &Observation| names(&plan(observed, &stopping(), noon()));
    let known_until = |time: &str| unused_but(|observed| known(observed).retain(|start, _| *start < at(time)));
    assert_eq!(found(&known_until("11:50:00.001")), [], "the newest minute ends at 11:51");
    assert_eq!(found(&known_until("11:50:00")), [FindingName::UsageUnknown]);
    let nothing_known = |created_at: &str| {
        unused_but(|observed| {
            let problem = Some(FlowProblem { reason: "denied".to_owned(), is_permanent: true });
            observed.flows = Some(FlowHistory { problem, ..FlowHistory::default() });
            observed.load_balancer.as_mut().expect("a load balancer").created_at = at(created_at);
        })
    };
    assert_eq!(found(&nothing_known("11:50:00.001")), [], "a new load balancer has no data point yet");
    let plan = plan(&nothing_known("11:50:00"), &stopping(), noon());
    assert_eq!(plan.findings.len(), 1);
    assert_eq!(plan.findings[0].detail, "CloudWatch shows no minute after 2026-11-20T11:50:00Z: denied");
    assert_eq!(plan.findings[0].subject, "p-jvb-nlb");
    assert_eq!(found(&unused_but(|observed| observed.flows = None)), [], "they were not asked for");
}

#[test]
fn udp_counts_by_default_and_everything_where_no_listener_takes_udp() {
    let usage = stopping().usage;
    let mut balancer_of_web = load_balancer(&[1]);
    assert_eq!(usage.protocols_of(&balancer_of_web), FlowProtocols::MEDIA);
    balancer_of_web.target_groups.iter_mut().for_each(|group| group.protocol = Protocol::Other);
    assert!(usage.protocols_of(&balancer_of_web).are_all());
    let tls = FlowProtocols { udp: false, tcp: false, tls: true };
    assert_eq!(UsagePolicy { protocols: Some(tls), ..usage }.protocols_of(&load_balancer(&[1])), tls);
}

#[test]
fn a_minute_begins_at_its_zeroth_second() {
    assert_eq!(minute_of(at("11:47:59.999")), at("11:47:00"));
    assert_eq!(minute_of(at("11:47:00")), at("11:47:00"));
    let before_1970: Timestamp = "1969-12-31T23:59:30Z".parse().expect("an instant");
    assert_eq!(minute_of(before_1970).to_string(), "1969-12-31T23:59:00Z");
}
