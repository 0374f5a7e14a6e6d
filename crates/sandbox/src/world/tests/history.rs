//! In process and on virtual time, a seed gives one history, whatever machine and whatever time of day it runs at.

use super::*;
use crate::api::Service;
use crate::faults::{FaultPlan, Faults};
use crate::platform;

const CLUSTER: &str = "jitsi-cluster";
const SERVICE: &str = "jitsi-service";
const QUEUE_NAME: &str = "jitsi-jvb-watcher";

/// Somebody who plays an evening, and writes down every question and every answer.
struct Writer {
    world: World,
    faults: Faults,
    now: Timestamp,
    written: Vec<String>,
    /// When each event was received, and of which status it told.
    events: Vec<(Timestamp, String)>,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let now = "2026-11-20T18:00:00Z".parse().unwrap();
        let mut settings = Settings::default();
        settings.events.duplicated = 0.3;
        settings.events.delayed = 0.3;
        settings.events.lost = 0.1;
        settings.ecs_lag = Duration::from_secs(2);
        let mut world = World::new(settings, seed, now);
        platform::set_up(&mut world, now).unwrap();
        let mut faults = Faults::new(seed);
        let plan = r#"{"rules": [{"on": "*", "rate": 0.2, "effect": {"kind": "drop", "when": "before"}},
            {"on": "ecs:*", "rate": 0.5, "effect": {"kind": "latency", "least": "1ms", "most": "3s"}}]}"#;
        faults.set(serde_json::from_str::<FaultPlan>(plan).unwrap()).unwrap();
        Self { world, faults, now, written: Vec::new(), events: Vec::new() }
    }

    fn call(&mut self, request: Request) -> Option<Response> {
        let verdict = self.faults.decide(request.service(), request.operation(), self.now);
        self.now = after(self.now, verdict.latency);
        let response = self.world.call(request.clone(), self.now);
        self.written.push(format!("{} {request:?} {verdict:?} {response:?}", self.now));
        response.ok()
    }

    fn inject(&mut self, incident: Incident) {
        let outcome = self.world.inject(incident.clone(), self.now);
        self.written.push(format!("{} {incident:?} {outcome:?}", self.now));
    }

    fn scale(&mut self, desired: i32) {
        self.call(Request::Ecs(ecs_api::Request::UpdateService(ecs_api::UpdateServiceInput {
            cluster: Some(CLUSTER.to_owned()),
            service: SERVICE.to_owned(),
            desired_count: Some(desired),
            ..ecs_api::UpdateServiceInput::default()
        })));
    }

    /// Lets time pass from one change of the world to the next, and reads the queue after each.
    fn pass(&mut self, seconds: u64) {
        let end = after(self.now, Duration::from_secs(seconds));
        while let Some(at) = self.world.next_step_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.world.step(self.now);
            self.written.push(format!("{} next {:?}", self.now, self.world.next_step_at()));
            self.read_queue();
        }
        self.now = self.now.max(end);
    }

    fn read_queue(&mut self) {
        let input = sqs_api::ReceiveMessageInput {
            queue_url: QUEUE_NAME.to_owned(),
            max_number_of_messages: Some(10),
            ..sqs_api::ReceiveMessageInput::default()
        };
        let Some(Response::Sqs(sqs_api::Response::ReceiveMessage(output))) =
            self.call(Request::Sqs(sqs_api::Request::ReceiveMessage(input)))
        else {
            panic!("the queue is there");
        };
        for message in output.messages.unwrap_or_default() {
            let event: Value = serde_json::from_str(&message.body).unwrap();
            self.events.push((self.now, event["detail"]["lastStatus"].as_str().unwrap().to_owned()));
            let (queue_url, receipt_handle) = (QUEUE_NAME.to_owned(), message.receipt_handle);
            let input = sqs_api::DeleteMessageInput { queue_url, receipt_handle };
            self.call(Request::Sqs(sqs_api::Request::DeleteMessage(input)));
        }
    }

    fn register_all(&mut self, group: &str) {
        let targets = self.world.tasks().into_iter().filter_map(|task| task.address);
        let targets =
            targets.map(|ip| elb_api::TargetDescription { id: ip.to_string(), ..Default::default() }).collect();
        let input = elb_api::TargetsInput { target_group_arn: group.to_owned(), targets };
        self.call(Request::Elb(elb_api::Request::RegisterTargets(input)));
    }
}

/// An evening: up, a crash, a notice, failures to start, down.
fn evening(seed: u64) -> Writer {
    let mut writer = Writer::new(seed);
    let input = elb_api::CreateLoadBalancerInput {
        name: "nlb".to_owned(),
        r#type: Some("network".to_owned()),
        subnets: ["subnet-1".to_owned()].into_iter().collect(),
        ..elb_api::CreateLoadBalancerInput::default()
    };
    writer.call(Request::Elb(elb_api::Request::CreateLoadBalancer(input)));
    let input = elb_api::CreateTargetGroupInput {
        name: "udp".to_owned(),
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        vpc_id: Some("vpc-1".to_owned()),
        target_type: Some("ip".to_owned()),
        ..elb_api::CreateTargetGroupInput::default()
    };
    writer.call(Request::Elb(elb_api::Request::CreateTargetGroup(input)));
    let (load_balancer, group) = (writer.world.load_balancers()[0].arn.clone(), writer.world.groups()[0].arn.clone());
    let action = elb_api::Action {
        r#type: "forward".to_owned(),
        target_group_arn: Some(group.clone()),
        ..elb_api::Action::default()
    };
    let input = elb_api::CreateListenerInput {
        load_balancer_arn: load_balancer.clone(),
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        default_actions: [action].into_iter().collect(),
        ..elb_api::CreateListenerInput::default()
    };
    writer.call(Request::Elb(elb_api::Request::CreateListener(input)));
    writer.scale(4);
    writer.pass(90);
    writer.register_all(&group);
    writer.pass(200);
    writer.inject(Incident::FailToStart { n: 1 });
    writer.inject(Incident::CrashTask { service: SERVICE.to_owned(), task: None, exit_code: 1 });
    writer.pass(60);
    writer.inject(Incident::SpotNotice { service: SERVICE.to_owned(), task: None });
    writer.pass(300);
    writer.inject(Incident::Replay { n: 5 });
    writer.scale(0);
    writer.pass(400);
    let input = elb_api::LoadBalancerInput { load_balancer_arn: load_balancer };
    writer.call(Request::Elb(elb_api::Request::DeleteLoadBalancer(input)));
    writer.pass(4000);
    let input = elb_api::TargetGroupInput { target_group_arn: group };
    writer.call(Request::Elb(elb_api::Request::DeleteTargetGroup(input)));
    writer.written.push(format!("{:?}", writer.world));
    writer
}

#[test]
fn a_seed_gives_one_history_to_the_byte() {
    let (one, again) = (evening(7), evening(7));
    for (line, other) in one.written.iter().zip(&again.written) {
        assert_eq!(line, other);
    }
    assert_eq!(one.written.len(), again.written.len());
    assert!(one.events.len() > 40, "{} events are too few to show anything", one.events.len());
    assert!(one.world.tasks().is_empty() && one.world.load_balancers().is_empty() && one.world.groups().is_empty());
}

#[test]
fn another_seed_gives_another_history_and_not_just_other_ids() {
    let (one, other) = (evening(7), evening(8));
    assert_ne!(one.written, other.written);
    assert_ne!(one.events, other.events, "what befalls events depends on the seed");
    let (one, other) = (Faults::new(7), Faults::new(8));
    let verdicts = |mut faults: Faults| {
        let plan = r#"{"rules": [{"on": "*", "rate": 0.5, "effect": {"kind": "drop", "when": "after"}}]}"#;
        faults.set(serde_json::from_str::<FaultPlan>(plan).unwrap()).unwrap();
        (0..64).map(|_| faults.decide(Service::Sqs, "ReceiveMessage", Timestamp::UNIX_EPOCH)).collect::<Vec<_>>()
    };
    assert_ne!(verdicts(one), verdicts(other));
}

#[test]
fn what_befalls_events_leaves_the_services_as_they_were() {
    // Faults of events draw from the same source whether they strike or not: tasks, addresses and times stay.
    let tasks = |lost: f64| {
        let mut settings = Settings::default();
        settings.events.lost = lost;
        let mut stage = Stage::new(settings, 5);
        stage.scale(3);
        stage.pass(60);
        stage.world.tasks()
    };
    assert_eq!(tasks(0.0), tasks(0.5));
}
