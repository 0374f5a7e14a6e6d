use std::net::Ipv4Addr;
use std::time::Duration;

use crate::api::{ecs, elb};
use crate::world::tests::evening::{DOMAIN, Evening};
use crate::world::timers::after;
use crate::world::{Advertised, CallCounts, CallEvent, FlowProtocol, Incident, RecordView};

const NAME: CallEvent = CallEvent::NoSignIn("the name does not resolve");
const WEB: CallEvent = CallEvent::NoSignIn("no healthy web target");
const ADDRESS: CallEvent = CallEvent::NoMedia("the bridge advertises another address");
const BRIDGE: CallEvent = CallEvent::NoMedia("no healthy bridge");
const OTHER_BRIDGE: CallEvent = CallEvent::NoMedia("flow to another bridge");

#[test]
fn a_caller_joins_by_name_once_a_bridge_advertises_the_load_balancers_address() {
    let mut evening = Evening::new();
    evening.callers(1);
    assert_eq!(evening.states(), [NAME]);
    evening.create_load_balancer();
    evening.advance(119);
    assert_eq!((evening.states(), evening.record().addresses), (vec![NAME], vec![]), "it is provisioning");
    evening.advance(10);
    assert_eq!(evening.states(), [WEB]);
    let addresses = evening.load_balancer().addresses;
    assert_eq!((addresses.len(), &evening.record().addresses), (1, &addresses));
    evening.scale(1);
    evening.advance(60);
    evening.register_all();
    assert_eq!(evening.running()[0].advertised, Some(Advertised::Addresses(addresses)));
    evening.advance(170);
    assert_eq!((evening.states(), evening.health("web")), (vec![WEB], vec!["initial"]));
    evening.advance(20);
    assert_eq!((evening.health("udp"), evening.health("web")), (vec!["healthy"], vec!["healthy"]));
    assert_eq!(evening.history(), [NAME, WEB, CallEvent::Joined]);
    evening.callers(3);
    evening.advance(600);
    assert_eq!(evening.states(), [CallEvent::Joined; 3]);
    evening.callers(0);
    let counts = CallCounts { joined: 3, no_sign_in: 2, no_media: 0, dropped: 0 };
    assert_eq!((evening.world.call_counts(), evening.states()), (counts, vec![]));
}

#[test]
fn a_bridge_that_outlives_its_load_balancer_carries_no_media_until_it_is_replaced() {
    let mut evening = Evening::with_tasks(1);
    evening.callers(1);
    assert_eq!(evening.states(), [CallEvent::Joined]);
    let before = evening.load_balancer();
    evening.delete_load_balancer();
    evening.advance(10);
    assert_eq!(evening.record().target, before.dns_name, "the record stays");
    assert_eq!((evening.record().addresses, evening.states()), (vec![], vec![NAME]));
    evening.create_load_balancer();
    evening.register_all();
    evening.advance(400);
    let after = evening.load_balancer();
    assert_ne!(before.addresses, after.addresses);
    assert_eq!((evening.health("udp"), evening.health("web")), (vec!["healthy"], vec!["healthy"]));
    assert_eq!(evening.running()[0].advertised, Some(Advertised::Addresses(before.addresses)));
    assert_eq!(evening.states(), [ADDRESS], "the caller signs in, and hears nothing");
    evening.crash();
    evening.advance(100);
    evening.register_all();
    evening.advance(200);
    assert_eq!(evening.running()[0].advertised, Some(Advertised::Addresses(after.addresses)));
    let joined = CallEvent::Joined;
    assert_eq!(evening.history(), [joined, CallEvent::Dropped, NAME, WEB, ADDRESS, WEB, joined]);
}

#[test]
fn media_needs_a_healthy_bridge_and_the_sign_in_a_healthy_web_target() {
    let mut evening = Evening::with_tasks(1);
    let ip = evening.address().into();
    let port = Some(10_000);
    evening.inject(Incident::TargetUnhealthy { ip, port });
    evening.callers(1);
    assert_eq!(evening.states(), [BRIDGE]);
    evening.inject(Incident::TargetHealthy { ip, port });
    evening.advance(10);
    evening.inject(Incident::TargetUnhealthy { ip, port: Some(8000) });
    evening.advance(10);
    assert_eq!((evening.health("udp"), evening.health("web")), (vec!["healthy"], vec!["unhealthy"]));
    assert_eq!(evening.history(), [BRIDGE, CallEvent::Joined, CallEvent::Dropped, WEB]);
    let unknown = Incident::TargetHealthy { ip, port: Some(4443) };
    assert_eq!(evening.world.inject(unknown, evening.now).unwrap_err().code, "InvalidTarget");
    // Without a port, all targets with the address recover.
    evening.inject(Incident::TargetHealthy { ip, port: None });
    evening.advance(10);
    assert_eq!(evening.states(), [CallEvent::Joined]);
}

#[test]
fn a_call_ends_with_its_task_its_target_or_its_load_balancer() {
    let end = |end: fn(&mut Evening)| {
        let mut evening = Evening::with_tasks(1);
        evening.callers(1);
        evening.advance(60);
        end(&mut evening);
        evening.advance(10);
        evening.history()
    };
    let joined = CallEvent::Joined;
    assert_eq!(end(Evening::crash), [joined, CallEvent::Dropped, WEB]);
    assert_eq!(end(Evening::delete_load_balancer), [joined, CallEvent::Dropped, NAME]);
    let deregister = |evening: &mut Evening| {
        let group = evening.world.groups().into_iter().find(|group| group.name.ends_with("udp")).unwrap();
        let target = elb::TargetDescription { id: evening.address().to_string(), ..elb::TargetDescription::default() };
        let targets = [target].into_iter().collect();
        evening.elb(elb::Request::DeregisterTargets(elb::TargetsInput { target_group_arn: group.arn, targets }));
    };
    assert_eq!(end(deregister), [joined, CallEvent::Dropped, BRIDGE]);
    assert_eq!(end(|evening| evening.callers(0)), [joined, CallEvent::Left]);
    assert_eq!(end(|_| ()), [joined]);
}

#[test]
fn a_bridge_waits_for_its_domain_and_gives_up_in_the_end() {
    let mut evening = Evening::new();
    evening.scale(1);
    evening.advance(60);
    let waiting = Advertised::Waiting { domain: DOMAIN.to_owned() };
    assert_eq!(evening.running()[0].advertised, Some(waiting), "its task is RUNNING");
    evening.advance(150);
    evening.create_load_balancer();
    evening.register_all();
    evening.advance(200);
    let first = evening.world.tasks().remove(0);
    assert_eq!((first.last_status, first.stop_code.as_deref()), ("STOPPED", Some("EssentialContainerExited")));
    // By then the load balancer is active, so the next bridge finds its address at once.
    let addresses = evening.load_balancer().addresses;
    assert_eq!(evening.running()[0].advertised, Some(Advertised::Addresses(addresses)));
}

#[test]
fn a_waiting_bridge_fails_its_health_checks_while_the_web_target_passes() {
    let mut evening = Evening::with_tasks(0);
    let target = evening.record().target;
    evening.inject(Incident::DeleteRecord { name: DOMAIN.to_owned() });
    evening.scale(1);
    evening.advance(50);
    evening.register_all();
    evening.advance(185);
    assert_eq!((evening.health("udp"), evening.health("web")), (vec!["unhealthy"], vec!["healthy"]));
    evening.inject(Incident::PutRecord { name: DOMAIN.to_owned(), target });
    evening.advance(35);
    assert_eq!(evening.health("udp"), ["healthy"], "the bridge starts when the name resolves");
}

#[test]
fn what_a_bridge_advertises_follows_its_definition() {
    let mut evening = Evening::with_tasks(0);
    let address = evening.load_balancer().addresses[0];
    let own = |_: &mut ecs::ContainerDefinition| ();
    let pinned = |addresses: String| {
        move |bridge: &mut ecs::ContainerDefinition| {
            // Addresses that are set take precedence over the command.
            bridge.command = ["advertise", "another.test", "240", "/init"].map(str::to_owned).into();
            bridge.environment = vec![ecs::KeyValuePair { name: "JVB_ADVERTISE_IPS".to_owned(), value: addresses }];
        }
    };
    let other = Ipv4Addr::new(192, 0, 2, 7);
    let mut play = |change: Box<dyn FnOnce(&mut ecs::ContainerDefinition)>| {
        evening.change_bridge(change);
        evening.scale(1);
        evening.advance(60);
        evening.register_all();
        evening.advance(200);
        evening.callers(1);
        let outcome = (evening.running()[0].advertised.clone().unwrap(), evening.states()[0]);
        evening.callers(0);
        evening.scale(0);
        evening.advance(120);
        evening.register_all();
        outcome
    };
    assert_eq!(play(Box::new(own)), (Advertised::Own, ADDRESS));
    assert_eq!(play(Box::new(pinned(other.to_string()))), (Advertised::Addresses(vec![other]), ADDRESS));
    let both = Advertised::Addresses(vec![other, address]);
    assert_eq!(play(Box::new(pinned(format!("{other}, {address}#10000")))), (both, CallEvent::Joined));
}

#[test]
fn behind_one_listener_two_bridges_get_each_others_media() {
    let mut evening = Evening::with_tasks(2);
    evening.callers(40);
    let states = evening.states();
    let count = |event: CallEvent| states.iter().filter(|state| **state == event).count();
    assert!(count(OTHER_BRIDGE) > 5 && count(CallEvent::Joined) > 5, "{states:?}");
    assert_eq!(count(OTHER_BRIDGE) + count(CallEvent::Joined), 40);
}

#[test]
fn health_checks_reach_only_what_listens() {
    let mut evening = Evening::with_tasks(1);
    let check = |protocol: &str, port: &str, path: Option<&str>| {
        (protocol.to_owned(), port.to_owned(), path.map(str::to_owned))
    };
    for ((protocol, port, path), healthy) in [
        (check("TCP", "8080", None), true),
        (check("HTTP", "8080", Some("/about/health")), true),
        (check("HTTP", "8080", Some("/")), false),
        (check("HTTP", "8000", Some("/")), true),
        // Nothing in the task listens on TCP 10000.
        (check("TCP", "traffic-port", None), false),
        (check("TCP", "4443", None), false),
    ] {
        let group = evening.world.groups().into_iter().find(|group| group.name.ends_with("udp")).unwrap();
        evening.elb(elb::Request::ModifyTargetGroup(elb::ModifyTargetGroupInput {
            target_group_arn: group.arn,
            health_check_protocol: Some(protocol.clone()),
            health_check_port: Some(port.clone()),
            health_check_path: path.clone(),
            ..elb::ModifyTargetGroupInput::default()
        }));
        evening.crash();
        evening.advance(100);
        evening.register_all();
        evening.advance(200);
        let expected = if healthy { "healthy" } else { "unhealthy" };
        assert_eq!(evening.health("udp"), [expected], "{protocol} {port} {path:?}");
    }
}

#[test]
fn a_record_follows_the_load_balancer_that_it_names() {
    let mut evening = Evening::with_tasks(0);
    let RecordView { name, target, addresses } = evening.record();
    assert_eq!((name.as_str(), addresses.len()), (DOMAIN, 1));
    // Names are compared without case, without the final dot, and without the prefix that the console adds.
    evening.inject(Incident::PutRecord { name: "MEET.jitsi.test.".to_owned(), target: format!("dualstack.{target}.") });
    assert_eq!(evening.world.records(), [RecordView { name, target, addresses }]);
    evening.inject(Incident::PutRecord { name: DOMAIN.to_owned(), target: "none.test".to_owned() });
    assert!(evening.record().addresses.is_empty());
    evening.inject(Incident::DeleteRecord { name: DOMAIN.to_owned() });
    assert!(evening.world.records().is_empty());
    let missing = Incident::DeleteRecord { name: DOMAIN.to_owned() };
    assert_eq!(evening.world.inject(missing, evening.now).unwrap_err().code, "InvalidChangeBatch");
}

#[test]
fn there_are_no_callers_without_a_domain_and_not_too_many() {
    let mut evening = Evening::new();
    let mut refused = |n: usize| evening.world.inject(Incident::Callers { n }, evening.now).unwrap_err().message;
    assert!(refused(101).contains("at most 100"));
    evening.world.settings_mut().calls.domain = None;
    let mut refused = |n: usize| evening.world.inject(Incident::Callers { n }, evening.now).unwrap_err().message;
    assert!(refused(1).contains("calls.domain"));
    evening.callers(0);
}

#[test]
fn callers_come_and_go_at_given_times() {
    let mut evening = Evening::with_tasks(1);
    let load_balancer = evening.load_balancer().arn;
    let task = evening.running()[0].id.clone();
    let seconds = Duration::from_secs;
    evening.inject(Incident::Join { n: 2, after: seconds(60), stay: Some(seconds(600)) });
    let alone = evening.world.join(1, None, evening.now).unwrap();
    assert_eq!((alone.as_slice(), evening.world.callers_on_task(&task)), (&[1][..], 1));
    evening.advance(60);
    assert_eq!(evening.world.callers_through(&load_balancer), 3);
    evening.advance(599);
    assert_eq!(evening.world.callers_through(&load_balancer), 3);
    evening.advance(1);
    assert_eq!((evening.states(), evening.world.callers_on_task(&task)), (vec![CallEvent::Joined], 1));
    evening.inject(Incident::Leave { caller: 1, silently: false });
    let leave_again = Incident::Leave { caller: 1, silently: false };
    assert!(evening.world.inject(leave_again, evening.now).unwrap_err().message.contains("no caller 1"));
    let next = evening.world.next_step_at();
    assert!(
        next.is_none_or(|at| at > after(evening.now, seconds(3600))),
        "without callers nothing is checked: {next:?}"
    );
    let lengths: Vec<(u32, i64)> = evening
        .world
        .connections()
        .iter()
        .map(|found| (found.caller, found.ended_at.unwrap().duration_since(found.began_at).as_secs()))
        .collect();
    assert_eq!(lengths, [(1, 660), (2, 600), (3, 600)]);
    assert_eq!(evening.world.connections()[0].task, task);
}

#[test]
fn a_dropped_call_and_the_next_one_are_two_connections() {
    let mut evening = Evening::with_tasks(1);
    let first = evening.running()[0].id.clone();
    evening.callers(1);
    evening.crash();
    evening.advance(100);
    assert_eq!(evening.world.present_connections().count(), 0);
    evening.register_all();
    evening.advance(200);
    let second = evening.running()[0].id.clone();
    let tasks: Vec<&str> = evening.world.connections().iter().map(|found| found.task.as_str()).collect();
    assert_eq!(tasks, [&first, &second]);
    assert_eq!((evening.world.callers_on_task(&first), evening.world.callers_on_task(&second)), (0, 1));
}

#[test]
fn there_is_room_for_a_hundred_callers() {
    let mut evening = Evening::with_tasks(1);
    evening.callers(99);
    assert_eq!(evening.world.join(3, None, evening.now).unwrap(), [100]);
    assert!(evening.world.join(101, None, evening.now).unwrap_err().message.contains("at most 100"));
    evening.inject(Incident::Join { n: 5, after: Duration::from_secs(5), stay: None });
    evening.callers(98);
    evening.advance(5);
    assert_eq!(evening.states().len(), 100);
}

#[test]
fn the_last_packet_is_known_after_the_caller_has_left() {
    let mut evening = Evening::with_tasks(1);
    let load_balancer = evening.load_balancer().arn;
    let last = |evening: &Evening, protocol| evening.world.last_packet_at(&load_balancer, protocol);
    assert_eq!(last(&evening, FlowProtocol::Udp), None);
    evening.callers(1);
    evening.advance(60);
    let left_at = evening.now;
    assert_eq!(last(&evening, FlowProtocol::Udp), Some(left_at), "the call goes on");
    evening.callers(0);
    evening.advance(119);
    let flows = |evening: &Evening, protocol| evening.world.flows(&load_balancer, protocol);
    assert_eq!((flows(&evening, FlowProtocol::Udp), flows(&evening, FlowProtocol::Tls)), (1, 0));
    evening.advance(1);
    assert_eq!(flows(&evening, FlowProtocol::Udp), 0);
    evening.delete_load_balancer();
    evening.advance(600);
    assert_eq!(last(&evening, FlowProtocol::Udp), Some(left_at));
    assert_eq!(last(&evening, FlowProtocol::Tcp), None);
}

#[test]
fn bots_make_flows_only_where_a_target_is_healthy() {
    let mut evening = Evening::with_tasks(1);
    let load_balancer = evening.load_balancer().arn;
    let ip = evening.address().into();
    evening.inject(Incident::TargetUnhealthy { ip, port: Some(10_000) });
    evening.inject(Incident::PortScan { n: 3 });
    let flows = |evening: &Evening| FlowProtocol::ALL.map(|protocol| evening.world.flows(&load_balancer, protocol));
    assert_eq!(flows(&evening), [0, 3, 0]);
    evening.inject(Incident::TargetHealthy { ip, port: None });
    evening.inject(Incident::PortScan { n: 2 });
    assert_eq!(flows(&evening), [0, 5, 2]);
    assert_eq!(evening.world.callers_through(&load_balancer), 0);
    let too_many = evening.world.scan_ports(1001, evening.now).unwrap_err();
    assert!(too_many.message.contains("at most 1000"));
}
