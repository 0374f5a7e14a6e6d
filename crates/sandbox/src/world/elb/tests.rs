use crate::api::Tag;
use crate::api::elb::*;
use crate::world::tests::Fixture;
use crate::world::{Incident, Settings};

const SUBNET: &str = "subnet-1";

fn fixture() -> Fixture {
    Fixture::new(Settings::default(), 1)
}

fn members(texts: &[&str]) -> Members<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn code(outcome: Result<Response, crate::api::ApiError>) -> &'static str {
    outcome.unwrap_err().code
}

fn load_balancer_input(name: &str) -> CreateLoadBalancerInput {
    CreateLoadBalancerInput {
        name: name.to_owned(),
        subnets: members(&[SUBNET]),
        r#type: Some("network".to_owned()),
        ..CreateLoadBalancerInput::default()
    }
}

fn create_load_balancer(fixture: &mut Fixture, name: &str) -> LoadBalancer {
    match fixture.elb(Request::CreateLoadBalancer(load_balancer_input(name))).unwrap() {
        Response::CreateLoadBalancer(mut output) => output.load_balancers.member.remove(0),
        other => panic!("{other:?}"),
    }
}

fn group_input(name: &str) -> CreateTargetGroupInput {
    CreateTargetGroupInput {
        name: name.to_owned(),
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        vpc_id: Some("vpc-1".to_owned()),
        target_type: Some("ip".to_owned()),
        ..CreateTargetGroupInput::default()
    }
}

fn create_group(fixture: &mut Fixture, name: &str) -> String {
    match fixture.elb(Request::CreateTargetGroup(group_input(name))).unwrap() {
        Response::CreateTargetGroup(output) => output.target_groups.member[0].target_group_arn.clone(),
        other => panic!("{other:?}"),
    }
}

fn forward(group: &str) -> Action {
    Action { r#type: "forward".to_owned(), target_group_arn: Some(group.to_owned()), ..Action::default() }
}

fn listener_input(load_balancer: &str, group: &str, port: &str) -> CreateListenerInput {
    let action = forward(group);
    CreateListenerInput {
        load_balancer_arn: load_balancer.to_owned(),
        protocol: Some("UDP".to_owned()),
        port: Some(port.to_owned()),
        default_actions: [action].into_iter().collect(),
        ..CreateListenerInput::default()
    }
}

/// Creates an active load balancer with a listener and a target group.
fn create_active(fixture: &mut Fixture) -> (String, String) {
    let load_balancer = create_load_balancer(fixture, "nlb").load_balancer_arn;
    let group = create_group(fixture, "udp");
    fixture.elb(Request::CreateListener(listener_input(&load_balancer, &group, "10000"))).unwrap();
    fixture.advance(120);
    (load_balancer, group)
}

fn targets(group: &str, ids: &[&str]) -> TargetsInput {
    let target = |id: &&str| TargetDescription { id: (*id).to_owned(), ..TargetDescription::default() };
    TargetsInput { target_group_arn: group.to_owned(), targets: ids.iter().map(target).collect() }
}

fn register(fixture: &mut Fixture, group: &str, ids: &[&str]) {
    fixture.elb(Request::RegisterTargets(targets(group, ids))).unwrap();
}

fn deregister(fixture: &mut Fixture, group: &str, ids: &[&str]) {
    fixture.elb(Request::DeregisterTargets(targets(group, ids))).unwrap();
}

/// Returns targets with their states, as `10.0.0.1:10000 healthy`.
fn health(fixture: &mut Fixture, group: &str) -> Vec<String> {
    let input = DescribeTargetHealthInput { target_group_arn: group.to_owned(), targets: Members::default() };
    let Response::DescribeTargetHealth(output) = fixture.elb(Request::DescribeTargetHealth(input)).unwrap() else {
        panic!()
    };
    let line = |description: &TargetHealthDescription| {
        let target = &description.target;
        format!("{}:{} {}", target.id, target.port.as_deref().unwrap(), description.target_health.state)
    };
    output.target_health_descriptions.member.iter().map(line).collect()
}

fn state_of(fixture: &mut Fixture, name: &str) -> String {
    let input = DescribeLoadBalancersInput { names: members(&[name]), ..DescribeLoadBalancersInput::default() };
    match fixture.elb(Request::DescribeLoadBalancers(input)).unwrap() {
        Response::DescribeLoadBalancers(output) => output.load_balancers.member[0].state.code.clone(),
        other => panic!("{other:?}"),
    }
}

fn delete_load_balancer(fixture: &mut Fixture, arn: &str) -> Result<Response, crate::api::ApiError> {
    fixture.elb(Request::DeleteLoadBalancer(LoadBalancerInput { load_balancer_arn: arn.to_owned() }))
}

fn delete_group(fixture: &mut Fixture, arn: &str) -> Result<Response, crate::api::ApiError> {
    fixture.elb(Request::DeleteTargetGroup(TargetGroupInput { target_group_arn: arn.to_owned() }))
}

#[test]
fn a_load_balancer_is_provisioning_then_active_or_failed() {
    let mut fixture = fixture();
    let load_balancer = create_load_balancer(&mut fixture, "nlb");
    assert!(load_balancer.load_balancer_arn.contains(":loadbalancer/net/nlb/"));
    assert!(load_balancer.dns_name.ends_with(".elb.eu-west-1.amazonaws.com"), "{}", load_balancer.dns_name);
    fixture.advance(119);
    assert_eq!(state_of(&mut fixture, "nlb"), "provisioning");
    fixture.advance(1);
    assert_eq!(state_of(&mut fixture, "nlb"), "active");
    create_load_balancer(&mut fixture, "other");
    fixture.inject(Incident::FailLoadBalancer { name: "other".to_owned() }).unwrap();
    fixture.advance(300);
    assert_eq!(state_of(&mut fixture, "other"), "failed");
}

#[test]
fn names_are_validated_and_unique() {
    let mut fixture = fixture();
    for name in ["", "a_b", "-a", "a-", "internal-a", &"a".repeat(33)] {
        assert_eq!(
            code(fixture.elb(Request::CreateLoadBalancer(load_balancer_input(name)))),
            "ValidationError",
            "{name}"
        );
    }
    let first = create_load_balancer(&mut fixture, "nlb");
    assert_eq!(create_load_balancer(&mut fixture, "nlb").load_balancer_arn, first.load_balancer_arn);
    let other = CreateLoadBalancerInput { scheme: Some("internal".to_owned()), ..load_balancer_input("nlb") };
    assert_eq!(code(fixture.elb(Request::CreateLoadBalancer(other))), "DuplicateLoadBalancerName");
    let group = create_group(&mut fixture, "udp");
    assert_eq!(create_group(&mut fixture, "udp"), group);
    let other = CreateTargetGroupInput { port: Some("4443".to_owned()), ..group_input("udp") };
    assert_eq!(code(fixture.elb(Request::CreateTargetGroup(other))), "DuplicateTargetGroupName");
}

#[test]
fn targets_become_healthy_and_drain() {
    let mut fixture = fixture();
    let (_, group) = create_active(&mut fixture);
    register(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(100);
    register(&mut fixture, &group, &["10.0.200.1"]);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 initial"]);
    fixture.advance(80);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 healthy"]);
    deregister(&mut fixture, &group, &["10.0.200.1", "10.0.200.2"]);
    fixture.advance(299);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 draining"]);
    fixture.advance(1);
    assert!(health(&mut fixture, &group).is_empty());
}

#[test]
fn a_draining_target_that_is_registered_again_is_initial() {
    let mut fixture = fixture();
    let (_, group) = create_active(&mut fixture);
    register(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(180);
    deregister(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(200);
    register(&mut fixture, &group, &["10.0.200.1"]);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 initial"]);
    fixture.advance(180);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 healthy"]);
}

#[test]
fn targets_are_unused_without_a_listener_and_initial_until_the_load_balancer_is_active() {
    let mut fixture = fixture();
    let group = create_group(&mut fixture, "udp");
    register(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(500);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 unused"]);
    let load_balancer = create_load_balancer(&mut fixture, "nlb").load_balancer_arn;
    fixture.elb(Request::CreateListener(listener_input(&load_balancer, &group, "10000"))).unwrap();
    fixture.advance(299);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 initial"]);
    fixture.advance(1);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 healthy"]);
}

#[test]
fn a_target_becomes_unhealthy_when_its_task_crashes() {
    let mut fixture = fixture();
    let (_, group) = create_active(&mut fixture);
    fixture.scale(1);
    fixture.advance(60);
    let ip = fixture.world.tasks()[0].address.unwrap().to_string();
    register(&mut fixture, &group, &[&ip]);
    fixture.advance(180);
    assert_eq!(health(&mut fixture, &group), [format!("{ip}:10000 healthy")]);
    fixture.inject(Incident::CrashTask { service: "jvb".to_owned(), task: None, exit_code: 1 }).unwrap();
    fixture.advance(30);
    assert_eq!(health(&mut fixture, &group), [format!("{ip}:10000 unhealthy")]);
}

#[test]
fn incidents_change_the_health_of_targets() {
    let mut fixture = fixture();
    let (_, group) = create_active(&mut fixture);
    register(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(180);
    let ip = "10.0.200.1".parse().unwrap();
    fixture.inject(Incident::TargetUnhealthy { ip, port: None }).unwrap();
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 unhealthy"]);
    fixture.inject(Incident::TargetHealthy { ip, port: None }).unwrap();
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 healthy"]);
    let unknown = Incident::TargetHealthy { ip: "10.0.200.9".parse().unwrap(), port: None };
    assert_eq!(fixture.inject(unknown).unwrap_err().code, "InvalidTarget");
}

#[test]
fn a_request_with_an_invalid_target_or_beyond_the_quota_registers_none() {
    let mut fixture = fixture();
    fixture.world.settings_mut().load_balancers.targets_per_group = 2;
    let (_, group) = create_active(&mut fixture);
    for id in ["10.0.200", "8.8.8.8", "2001:db8::1", "i-1"] {
        let input = targets(&group, &["10.0.200.1", id]);
        assert_eq!(code(fixture.elb(Request::RegisterTargets(input))), "InvalidTarget", "{id}");
    }
    assert!(health(&mut fixture, &group).is_empty());
    register(&mut fixture, &group, &["10.0.200.1", "10.0.200.2"]);
    register(&mut fixture, &group, &["10.0.200.2"]);
    let third = targets(&group, &["10.0.200.3"]);
    assert_eq!(code(fixture.elb(Request::RegisterTargets(third.clone()))), "TooManyTargets");
    deregister(&mut fixture, &group, &["10.0.200.1"]);
    fixture.elb(Request::RegisterTargets(third)).unwrap();
    let unknown_group = targets(&group.replace("udp", "tcp"), &["10.0.200.1"]);
    assert_eq!(code(fixture.elb(Request::RegisterTargets(unknown_group))), "TargetGroupNotFound");
}

#[test]
fn deleting_a_load_balancer_deletes_its_listeners_and_releases_its_groups_later() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_active(&mut fixture);
    assert_eq!(code(delete_group(&mut fixture, &group)), "ResourceInUse");
    delete_load_balancer(&mut fixture, &load_balancer).unwrap();
    delete_load_balancer(&mut fixture, &load_balancer).unwrap();
    let input = DescribeLoadBalancersInput { names: members(&["nlb"]), ..DescribeLoadBalancersInput::default() };
    assert_eq!(code(fixture.elb(Request::DescribeLoadBalancers(input))), "LoadBalancerNotFound");
    assert_eq!(code(delete_group(&mut fixture, &group)), "ResourceInUse");
    fixture.advance(5);
    delete_group(&mut fixture, &group).unwrap();
    assert!(fixture.world.groups().is_empty() && fixture.world.load_balancers().is_empty());
}

#[test]
fn a_deleted_load_balancer_is_described_for_a_while() {
    let mut fixture = fixture();
    let (load_balancer, _) = create_active(&mut fixture);
    fixture.world.settings_mut().load_balancers.deleted_visible = std::time::Duration::from_secs(10);
    delete_load_balancer(&mut fixture, &load_balancer).unwrap();
    fixture.advance(9);
    assert_eq!(state_of(&mut fixture, "nlb"), "active");
    fixture.advance(1);
    let input = DescribeLoadBalancersInput { names: members(&["nlb"]), ..DescribeLoadBalancersInput::default() };
    assert_eq!(code(fixture.elb(Request::DescribeLoadBalancers(input))), "LoadBalancerNotFound");
}

#[test]
fn deletion_protection_prevents_deletion() {
    let mut fixture = fixture();
    let (load_balancer, _) = create_active(&mut fixture);
    let set = |value: &str| {
        let attribute = Attribute { key: "deletion_protection.enabled".to_owned(), value: value.to_owned() };
        let attributes = [attribute].into_iter().collect();
        let load_balancer_arn = load_balancer.clone();
        Request::ModifyLoadBalancerAttributes(ModifyLoadBalancerAttributesInput { load_balancer_arn, attributes })
    };
    assert_eq!(code(fixture.elb(set("maybe"))), "ValidationError");
    fixture.elb(set("true")).unwrap();
    assert_eq!(code(delete_load_balancer(&mut fixture, &load_balancer)), "OperationNotPermitted");
    fixture.elb(set("false")).unwrap();
    delete_load_balancer(&mut fixture, &load_balancer).unwrap();
}

#[test]
fn a_port_has_at_most_one_listener_and_a_group_one_load_balancer() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_active(&mut fixture);
    let second = create_group(&mut fixture, "second");
    let outcome = fixture.elb(Request::CreateListener(listener_input(&load_balancer, &second, "10000")));
    assert_eq!(code(outcome), "DuplicateListener");
    let other = create_load_balancer(&mut fixture, "other").load_balancer_arn;
    let outcome = fixture.elb(Request::CreateListener(listener_input(&other, &group, "10000")));
    assert_eq!(code(outcome), "TargetGroupAssociationLimit");
    let outcome = fixture.elb(Request::CreateListener(listener_input(&other, "arn:none", "10000")));
    assert_eq!(code(outcome), "ValidationError");
    let outcome = fixture.elb(Request::CreateListener(listener_input(&other, &group.replace("udp", "none"), "10000")));
    assert_eq!(code(outcome), "TargetGroupNotFound");
    let input =
        DescribeTargetGroupsInput { load_balancer_arn: Some(load_balancer), ..DescribeTargetGroupsInput::default() };
    let Ok(Response::DescribeTargetGroups(output)) = fixture.elb(Request::DescribeTargetGroups(input)) else {
        panic!()
    };
    let names: Vec<_> = output.target_groups.member.iter().map(|group| group.target_group_name.as_str()).collect();
    assert_eq!(names, ["udp"]);
}

#[test]
fn tags_are_added_to_all_resources_or_to_none() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_active(&mut fixture);
    let add = |arns: &[&str], tags: &[(&str, &str)]| {
        let tag = |(key, value): &(&str, &str)| Tag { key: (*key).to_owned(), value: (*value).to_owned() };
        Request::AddTags(AddTagsInput { resource_arns: members(arns), tags: tags.iter().map(tag).collect() })
    };
    let gone = group.replace("udp", "gone");
    assert_eq!(code(fixture.elb(add(&[&load_balancer, &gone], &[("a", "1")]))), "TargetGroupNotFound");
    assert!(fixture.world.load_balancers()[0].tags.is_empty());
    fixture.elb(add(&[&load_balancer, &group], &[("a", "1"), ("b", "")])).unwrap();
    assert_eq!(code(fixture.elb(add(&[&load_balancer], &[(&"k".repeat(129), "")]))), "ValidationError");
    assert_eq!(code(fixture.elb(add(&[&load_balancer], &[("a", "1"), ("a", "2")]))), "DuplicateTagKeys");
    let many: Vec<String> = (0..49).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    assert_eq!(code(fixture.elb(add(&[&load_balancer], &many))), "TooManyTags");
    let input = RemoveTagsInput { resource_arns: members(&[&load_balancer]), tag_keys: members(&["a", "unknown"]) };
    fixture.elb(Request::RemoveTags(input)).unwrap();
    let describe = |arns: Members<String>| Request::DescribeTags(DescribeTagsInput { resource_arns: arns });
    let Ok(Response::DescribeTags(output)) = fixture.elb(describe(members(&[&load_balancer, &group]))) else {
        panic!()
    };
    let keys = |index: usize| {
        output.tag_descriptions.member[index].tags.member.iter().map(|tag| tag.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!((keys(0), keys(1)), (vec!["b".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
    let unknown = load_balancer.replace("nlb", "gone");
    assert_eq!(code(fixture.elb(describe(members(&[&unknown])))), "LoadBalancerNotFound");
    assert_eq!(code(fixture.elb(describe((0..21).map(|_| group.clone()).collect()))), "ValidationError");
}

#[test]
fn lists_are_paginated() {
    let mut fixture = fixture();
    for number in 0..5 {
        create_load_balancer(&mut fixture, &format!("nlb-{number}"));
    }
    let (mut marker, mut pages) = (None, Vec::new());
    loop {
        let input = DescribeLoadBalancersInput {
            page_size: Some("2".to_owned()),
            marker: marker.take(),
            ..DescribeLoadBalancersInput::default()
        };
        let Ok(Response::DescribeLoadBalancers(output)) = fixture.elb(Request::DescribeLoadBalancers(input)) else {
            panic!()
        };
        pages.push(output.load_balancers.member.len());
        marker = output.next_marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(pages, [2, 2, 1]);
}

fn create_listener(fixture: &mut Fixture, input: CreateListenerInput) -> Listener {
    match fixture.elb(Request::CreateListener(input)).unwrap() {
        Response::CreateListener(mut output) => output.listeners.member.remove(0),
        other => panic!("{other:?}"),
    }
}

fn reason(fixture: &mut Fixture, group: &str) -> Option<String> {
    let input = DescribeTargetHealthInput { target_group_arn: group.to_owned(), targets: Members::default() };
    match fixture.elb(Request::DescribeTargetHealth(input)).unwrap() {
        Response::DescribeTargetHealth(mut output) => {
            output.target_health_descriptions.member.remove(0).target_health.reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn targets_of_a_retained_group_are_initial_behind_a_new_load_balancer() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_active(&mut fixture);
    register(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(180);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 healthy"]);
    delete_load_balancer(&mut fixture, &load_balancer).unwrap();
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 unused"]);
    let load_balancer = create_load_balancer(&mut fixture, "nlb").load_balancer_arn;
    fixture.elb(Request::CreateListener(listener_input(&load_balancer, &group, "10000"))).unwrap();
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 initial"], "no health check has completed");
    assert_eq!(reason(&mut fixture, &group).as_deref(), Some("Elb.RegistrationInProgress"));
    fixture.advance(120);
    assert_eq!(reason(&mut fixture, &group).as_deref(), Some("Elb.InitialHealthChecking"));
    fixture.advance(180);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 healthy"]);
}

#[test]
fn a_listener_accepts_either_form_of_a_forward_action_and_describes_both() {
    let mut fixture = fixture();
    let (load_balancer, group) =
        (create_load_balancer(&mut fixture, "nlb").load_balancer_arn, create_group(&mut fixture, "udp"));
    let tuple = TargetGroupTuple { target_group_arn: group.clone(), weight: None };
    let config = ForwardConfig { target_groups: [tuple].into_iter().collect() };
    let long = Action { r#type: "forward".to_owned(), forward_config: Some(config.clone()), ..Action::default() };
    let input = CreateListenerInput {
        default_actions: [long].into_iter().collect(),
        ..listener_input(&load_balancer, &group, "10000")
    };
    let listener = create_listener(&mut fixture, input);
    let action = &listener.default_actions.member[0];
    assert_eq!((action.target_group_arn.as_ref(), action.forward_config.as_ref()), (Some(&group), Some(&config)));
    assert_eq!(code(delete_group(&mut fixture, &group)), "ResourceInUse");
    // The short form of the same action gives the same listener.
    assert_eq!(create_listener(&mut fixture, listener_input(&load_balancer, &group, "10000")), listener);
    for action in [
        Action { r#type: "forward".to_owned(), ..Action::default() },
        Action { r#type: "redirect".to_owned(), ..forward(&group) },
    ] {
        let input = CreateListenerInput {
            default_actions: [action].into_iter().collect(),
            ..listener_input(&load_balancer, &group, "10001")
        };
        assert_eq!(code(fixture.elb(Request::CreateListener(input))), "ValidationError");
    }
}

#[test]
fn listeners_forward_to_groups_of_the_protocols_that_aws_documents() {
    let mut fixture = fixture();
    let load_balancer = create_load_balancer(&mut fixture, "nlb").load_balancer_arn;
    let mut port = 1000;
    for (listener, group, is_compatible) in [
        ("TCP", "TCP", true),
        ("TCP", "TCP_UDP", true),
        ("TCP", "UDP", false),
        ("UDP", "TCP_UDP", true),
        ("UDP", "TCP", false),
        ("TCP_UDP", "TCP_UDP", true),
        ("TCP_UDP", "UDP", false),
        ("TLS", "TCP", true),
        ("TLS", "TLS", true),
        ("TLS", "UDP", false),
        ("TLS", "TCP_UDP", false),
    ] {
        port += 1;
        let name = format!("g{port}");
        let input = CreateTargetGroupInput { protocol: Some(group.to_owned()), ..group_input(&name) };
        let Ok(Response::CreateTargetGroup(output)) = fixture.elb(Request::CreateTargetGroup(input)) else { panic!() };
        let arn = &output.target_groups.member[0].target_group_arn;
        let input = listener_input(&load_balancer, arn, &port.to_string());
        let input = if listener == "TLS" { tls(input) } else { input };
        let input = CreateListenerInput { protocol: Some(listener.to_owned()), ..input };
        let outcome = fixture.elb(Request::CreateListener(input)).map(|_| ()).map_err(|error| error.code);
        assert_eq!(outcome, if is_compatible { Ok(()) } else { Err("IncompatibleProtocols") }, "{listener} {group}");
    }
}

const CERTIFICATE: &str = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";

fn certificates(arns: &[&str]) -> Members<Certificate> {
    arns.iter().map(|arn| Certificate { certificate_arn: (*arn).to_owned() }).collect()
}

/// Makes the request one for a TLS listener.
fn tls(input: CreateListenerInput) -> CreateListenerInput {
    CreateListenerInput {
        protocol: Some("TLS".to_owned()),
        certificates: certificates(&[CERTIFICATE]),
        ssl_policy: Some("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09".to_owned()),
        ..input
    }
}

/// Creates an active load balancer and a TCP group.
fn create_with_tcp_group(fixture: &mut Fixture) -> (String, String) {
    let load_balancer = create_load_balancer(fixture, "nlb").load_balancer_arn;
    let input = CreateTargetGroupInput {
        protocol: Some("TCP".to_owned()),
        port: Some("8000".to_owned()),
        ..group_input("web")
    };
    let Ok(Response::CreateTargetGroup(output)) = fixture.elb(Request::CreateTargetGroup(input)) else { panic!() };
    (load_balancer, output.target_groups.member[0].target_group_arn.clone())
}

#[test]
fn a_tls_listener_has_one_certificate_and_a_security_policy() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_with_tcp_group(&mut fixture);
    let valid = tls(listener_input(&load_balancer, &group, "443"));
    let listener = create_listener(&mut fixture, valid.clone());
    assert_eq!(listener.certificates, Some(certificates(&[CERTIFICATE])));
    assert_eq!(listener.ssl_policy, valid.ssl_policy);
    assert_eq!(create_listener(&mut fixture, valid.clone()), listener, "the same settings give the same listener");
    let described = DescribeListenersInput { load_balancer_arn: Some(load_balancer), ..Default::default() };
    let Ok(Response::DescribeListeners(output)) = fixture.elb(Request::DescribeListeners(described)) else { panic!() };
    assert_eq!(output.listeners.member, [listener]);
    let text = |text: &str| Some(text.to_owned());
    let on_another_port = || CreateListenerInput { port: text("8443"), ..valid.clone() };
    let tcp =
        || CreateListenerInput { protocol: text("TCP"), ..listener_input(&valid.load_balancer_arn, &group, "80") };
    let other_region = CERTIFICATE.replace("eu-west-1", "us-east-1");
    for (input, expected) in [
        (CreateListenerInput { certificates: certificates(&[]), ..on_another_port() }, "ValidationError"),
        (CreateListenerInput { certificates: certificates(&["nonsense"]), ..on_another_port() }, "ValidationError"),
        (CreateListenerInput { certificates: certificates(&[&other_region]), ..on_another_port() }, "ValidationError"),
        (
            CreateListenerInput { certificates: certificates(&[CERTIFICATE, CERTIFICATE]), ..on_another_port() },
            "TooManyCertificates",
        ),
        (CreateListenerInput { ssl_policy: text("Nonsense"), ..on_another_port() }, "SSLPolicyNotFound"),
        (CreateListenerInput { alpn_policy: members(&["Nonsense"]), ..on_another_port() }, "ALPNPolicyNotFound"),
        (CreateListenerInput { certificates: certificates(&[CERTIFICATE]), ..tcp() }, "ValidationError"),
        (CreateListenerInput { ssl_policy: valid.ssl_policy.clone(), ..tcp() }, "ValidationError"),
        (CreateListenerInput { alpn_policy: members(&["HTTP2Preferred"]), ..tcp() }, "ValidationError"),
        (CreateListenerInput { ssl_policy: None, ..valid.clone() }, "DuplicateListener"),
    ] {
        assert_eq!(code(fixture.elb(Request::CreateListener(input.clone()))), expected, "{input:?}");
    }
    // AWS's default, and a certificate of IAM.
    let iam = certificates(&["arn:aws:iam::111122223333:server-certificate/meet"]);
    let input = CreateListenerInput {
        certificates: iam.clone(),
        ssl_policy: None,
        alpn_policy: members(&["HTTP2Preferred"]),
        ..on_another_port()
    };
    let listener = create_listener(&mut fixture, input);
    assert_eq!((listener.certificates, listener.alpn_policy), (Some(iam), Some(members(&["HTTP2Preferred"]))));
    assert_eq!(listener.ssl_policy.as_deref(), Some("ELBSecurityPolicy-2016-08"));
}

#[test]
fn a_listener_that_becomes_tls_needs_a_certificate_and_loses_it_with_tls() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_with_tcp_group(&mut fixture);
    let input =
        CreateListenerInput { protocol: Some("TCP".to_owned()), ..listener_input(&load_balancer, &group, "443") };
    let created = create_listener(&mut fixture, input);
    assert_eq!((created.certificates, created.ssl_policy), (None, None));
    let mut modify = |protocol: &str, arns: &[&str]| {
        let input = ModifyListenerInput {
            listener_arn: created.listener_arn.clone(),
            protocol: Some(protocol.to_owned()),
            certificates: certificates(arns),
            ..ModifyListenerInput::default()
        };
        match fixture.elb(Request::ModifyListener(input)) {
            Ok(Response::ModifyListener(mut output)) => Ok(output.listeners.member.remove(0).certificates),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.code),
        }
    };
    assert_eq!(modify("TLS", &[]), Err("ValidationError"));
    assert_eq!(modify("TLS", &[CERTIFICATE]), Ok(Some(certificates(&[CERTIFICATE]))));
    assert_eq!(modify("TLS", &[]), Ok(Some(certificates(&[CERTIFICATE]))), "it keeps its certificate");
    assert_eq!(modify("TCP", &[]), Ok(None));
    assert_eq!(modify("TLS", &[]), Err("ValidationError"));
}

#[test]
fn only_an_active_internet_facing_load_balancer_has_public_addresses() {
    let mut fixture = fixture();
    let addresses = |fixture: &Fixture, name: &str| {
        let found = fixture.world.load_balancers().into_iter().find(|found| found.name == name);
        found.unwrap().addresses
    };
    let arn = create_load_balancer(&mut fixture, "nlb").load_balancer_arn;
    let internal = CreateLoadBalancerInput { scheme: Some("internal".to_owned()), ..load_balancer_input("internal") };
    fixture.elb(Request::CreateLoadBalancer(internal)).unwrap();
    create_load_balancer(&mut fixture, "other");
    let first = addresses(&fixture, "nlb");
    assert_eq!((first.len(), addresses(&fixture, "internal").len()), (1, 0));
    assert_ne!(first, addresses(&fixture, "other"));
    let mut set_subnets = |subnets: &[&str]| {
        let input = SetSubnetsInput { load_balancer_arn: arn.clone(), subnets: members(subnets), ..Default::default() };
        fixture.elb(Request::SetSubnets(input)).unwrap();
        addresses(&fixture, "nlb")
    };
    let two = set_subnets(&["subnet-1", "subnet-2"]);
    assert_eq!((two.len(), two[0]), (2, first[0]), "it keeps its address in the first zone");
    assert_eq!(set_subnets(&["subnet-1"]), first);
}

#[test]
fn http_checks_have_awss_defaults() {
    let mut fixture = fixture();
    let create = |fixture: &mut Fixture, input| match fixture.elb(Request::CreateTargetGroup(input)) {
        Ok(Response::CreateTargetGroup(mut output)) => Ok(output.target_groups.member.remove(0)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    };
    let http = |name: &str| CreateTargetGroupInput {
        health_check_protocol: Some("HTTP".to_owned()),
        health_check_port: Some("8080".to_owned()),
        health_check_path: Some("/about/health".to_owned()),
        ..group_input(name)
    };
    let group = create(&mut fixture, http("udp")).unwrap();
    let codes = group.matcher.and_then(|matcher| matcher.http_code);
    assert_eq!((codes.as_deref(), group.health_check_timeout_seconds), (Some("200-399"), 6));
    assert_eq!(group.health_check_path.as_deref(), Some("/about/health"));
    let https = CreateTargetGroupInput { health_check_protocol: Some("HTTPS".to_owned()), ..http("https") };
    assert_eq!(create(&mut fixture, https).unwrap().health_check_timeout_seconds, 10);
    let alb = CreateTargetGroupInput { protocol: Some("HTTP".to_owned()), port: Some("80".to_owned()), ..http("alb") };
    let codes = create(&mut fixture, alb).unwrap().matcher.and_then(|matcher| matcher.http_code);
    assert_eq!(codes.as_deref(), Some("200"));
    let slow = CreateTargetGroupInput {
        health_check_interval_seconds: Some("10".to_owned()),
        health_check_timeout_seconds: Some("11".to_owned()),
        ..http("slow")
    };
    assert_eq!(create(&mut fixture, slow), Err("ValidationError"));
}

#[test]
fn a_modified_listener_releases_its_old_group_and_uses_the_new_one() {
    let mut fixture = fixture();
    let (load_balancer, first) = create_active(&mut fixture);
    let second = create_group(&mut fixture, "second");
    register(&mut fixture, &second, &["10.0.200.1"]);
    let listener = create_listener(&mut fixture, listener_input(&load_balancer, &first, "10000"));
    let modify = |change: ModifyListenerInput| {
        Request::ModifyListener(ModifyListenerInput { listener_arn: listener.listener_arn.clone(), ..change })
    };
    let change = ModifyListenerInput {
        port: Some("10001".to_owned()),
        default_actions: [forward(&second)].into_iter().collect(),
        ..ModifyListenerInput::default()
    };
    let Ok(Response::ModifyListener(output)) = fixture.elb(modify(change)) else { panic!() };
    assert_eq!((output.listeners.member[0].port, output.listeners.member[0].protocol.as_str()), (10001, "UDP"));
    assert_eq!(health(&mut fixture, &second), ["10.0.200.1:10000 initial"]);
    assert_eq!(code(delete_group(&mut fixture, &first)), "ResourceInUse");
    fixture.advance(5);
    delete_group(&mut fixture, &first).unwrap();
    let third = create_group(&mut fixture, "third");
    create_listener(&mut fixture, listener_input(&load_balancer, &third, "10002"));
    let taken = ModifyListenerInput { port: Some("10002".to_owned()), ..ModifyListenerInput::default() };
    assert_eq!(code(fixture.elb(modify(taken))), "DuplicateListener");
    let wrong = ModifyListenerInput { protocol: Some("TCP".to_owned()), ..ModifyListenerInput::default() };
    assert_eq!(code(fixture.elb(modify(wrong))), "IncompatibleProtocols");
    let unknown = ModifyListenerInput {
        listener_arn: listener.listener_arn.replace("nlb", "none"),
        ..ModifyListenerInput::default()
    };
    assert_eq!(code(fixture.elb(Request::ModifyListener(unknown))), "ListenerNotFound");
}

#[test]
fn a_listener_has_a_default_rule() {
    let mut fixture = fixture();
    let (load_balancer, group) = create_active(&mut fixture);
    let listener = create_listener(&mut fixture, listener_input(&load_balancer, &group, "10000"));
    let rules = |fixture: &mut Fixture, input| match fixture.elb(Request::DescribeRules(input)) {
        Ok(Response::DescribeRules(output)) => Ok(output.rules.member),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    };
    let of_listener = DescribeRulesInput { listener_arn: Some(listener.listener_arn), ..DescribeRulesInput::default() };
    let found = rules(&mut fixture, of_listener).unwrap();
    assert_eq!((found.len(), found[0].is_default, found[0].priority.as_str()), (1, true, "default"));
    assert!(found[0].rule_arn.contains(":listener-rule/net/nlb/"), "{}", found[0].rule_arn);
    assert_eq!(found[0].actions, listener.default_actions);
    let by_arn = |arn: &str| DescribeRulesInput { rule_arns: members(&[arn]), ..DescribeRulesInput::default() };
    assert_eq!(rules(&mut fixture, by_arn(&found[0].rule_arn)), Ok(found.clone()));
    assert_eq!(rules(&mut fixture, by_arn(&found[0].rule_arn.replace("nlb", "none"))), Err("RuleNotFound"));
    assert_eq!(rules(&mut fixture, DescribeRulesInput::default()), Err("ValidationError"));
}

#[test]
fn a_group_drains_for_its_deregistration_delay() {
    let mut fixture = fixture();
    let (_, group) = create_active(&mut fixture);
    let set = |key: &str, value: &str| {
        let attribute = Attribute { key: key.to_owned(), value: value.to_owned() };
        let (target_group_arn, attributes) = (group.clone(), [attribute].into_iter().collect());
        Request::ModifyTargetGroupAttributes(ModifyTargetGroupAttributesInput { target_group_arn, attributes })
    };
    for (key, value) in [
        ("deregistration_delay.timeout_seconds", "3601"),
        ("deregistration_delay.timeout_seconds", "soon"),
        ("preserve_client_ip.enabled", "maybe"),
        ("colour", "red"),
    ] {
        assert_eq!(code(fixture.elb(set(key, value))), "ValidationError", "{key}={value}");
    }
    fixture.elb(set("load_balancing.cross_zone.enabled", "true")).unwrap();
    fixture.elb(set("deregistration_delay.timeout_seconds", "30")).unwrap();
    register(&mut fixture, &group, &["10.0.200.1"]);
    deregister(&mut fixture, &group, &["10.0.200.1"]);
    fixture.advance(29);
    assert_eq!(health(&mut fixture, &group), ["10.0.200.1:10000 draining"]);
    fixture.advance(1);
    assert!(health(&mut fixture, &group).is_empty());
    let input = TargetGroupInput { target_group_arn: group };
    let Ok(Response::DescribeTargetGroupAttributes(output)) =
        fixture.elb(Request::DescribeTargetGroupAttributes(input))
    else {
        panic!()
    };
    let find =
        |key: &str| output.attributes.member.iter().find(|attribute| attribute.key == key).unwrap().value.as_str();
    assert_eq!((find("deregistration_delay.timeout_seconds"), find("stickiness.type")), ("30", "source_ip"));
}

#[test]
fn health_checks_are_validated_against_awss_limits() {
    let mut fixture = fixture();
    let input = CreateTargetGroupInput { health_check_timeout_seconds: Some("7".to_owned()), ..group_input("udp") };
    let Ok(Response::CreateTargetGroup(output)) = fixture.elb(Request::CreateTargetGroup(input)) else { panic!() };
    let group = &output.target_groups.member[0];
    assert_eq!((group.health_check_timeout_seconds, group.health_check_path.as_deref()), (7, None));
    let modify = |change: ModifyTargetGroupInput| {
        let target_group_arn = group.target_group_arn.clone();
        Request::ModifyTargetGroup(ModifyTargetGroupInput { target_group_arn, ..change })
    };
    let text = |text: &str| Some(text.to_owned());
    for change in [
        ModifyTargetGroupInput { health_check_interval_seconds: text("4"), ..ModifyTargetGroupInput::default() },
        ModifyTargetGroupInput { healthy_threshold_count: text("11"), ..ModifyTargetGroupInput::default() },
        ModifyTargetGroupInput { health_check_protocol: text("UDP"), ..ModifyTargetGroupInput::default() },
        ModifyTargetGroupInput { health_check_port: text("0"), ..ModifyTargetGroupInput::default() },
    ] {
        assert_eq!(code(fixture.elb(modify(change.clone()))), "ValidationError", "{change:?}");
    }
    let change = ModifyTargetGroupInput { health_check_protocol: text("HTTP"), ..ModifyTargetGroupInput::default() };
    let Ok(Response::ModifyTargetGroup(output)) = fixture.elb(modify(change)) else { panic!() };
    let group = &output.target_groups.member[0];
    assert_eq!((group.health_check_timeout_seconds, group.health_check_path.as_deref()), (7, Some("/")));
}

#[test]
fn a_new_load_balancer_hides_a_deleted_one_of_the_same_name() {
    let mut fixture = fixture();
    let (old, _) = create_active(&mut fixture);
    fixture.world.settings_mut().load_balancers.deleted_visible = std::time::Duration::from_secs(60);
    delete_load_balancer(&mut fixture, &old).unwrap();
    let new = create_load_balancer(&mut fixture, "nlb").load_balancer_arn;
    let input = DescribeLoadBalancersInput { names: members(&["nlb"]), ..DescribeLoadBalancersInput::default() };
    let Ok(Response::DescribeLoadBalancers(output)) = fixture.elb(Request::DescribeLoadBalancers(input)) else {
        panic!()
    };
    let arns: Vec<_> = output.load_balancers.member.iter().map(|one| one.load_balancer_arn.as_str()).collect();
    assert_eq!(arns, [new.as_str()]);
    fixture.advance(60);
    assert_eq!(fixture.world.load_balancers().len(), 1, "forgetting the old one leaves the new one");
}

#[test]
fn subnets_and_security_groups_can_be_set() {
    let mut fixture = fixture();
    let load_balancer_arn = create_load_balancer(&mut fixture, "nlb").load_balancer_arn;
    let input = SetSubnetsInput {
        load_balancer_arn: load_balancer_arn.clone(),
        subnets: members(&["subnet-1", "subnet-2"]),
        ..SetSubnetsInput::default()
    };
    let Ok(Response::SetSubnets(output)) = fixture.elb(Request::SetSubnets(input)) else { panic!() };
    let zones: Vec<_> = output.availability_zones.member.iter().map(|zone| zone.zone_name.as_str()).collect();
    assert_eq!(zones, ["eu-west-1a", "eu-west-1b"]);
    let input = SetSecurityGroupsInput { load_balancer_arn, security_groups: members(&["sg-1"]) };
    assert_eq!(code(fixture.elb(Request::SetSecurityGroups(input))), "InvalidConfigurationRequest");
}

#[test]
fn quotas_match_awss() {
    let mut fixture = fixture();
    let load_balancer = create_load_balancer(&mut fixture, "nlb-0").load_balancer_arn;
    for number in 1..50 {
        create_load_balancer(&mut fixture, &format!("nlb-{number}"));
    }
    assert_eq!(code(fixture.elb(Request::CreateLoadBalancer(load_balancer_input("nlb-50")))), "TooManyLoadBalancers");
    let group = create_group(&mut fixture, "udp");
    for port in 1..=50 {
        create_listener(&mut fixture, listener_input(&load_balancer, &group, &port.to_string()));
    }
    let outcome = fixture.elb(Request::CreateListener(listener_input(&load_balancer, &group, "51")));
    assert_eq!(code(outcome), "TooManyListeners");
}
