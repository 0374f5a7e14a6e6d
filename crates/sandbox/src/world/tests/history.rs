//! Tests that a seed determines the whole history, whatever the machine and the time of day.

use super::*;
use crate::api::Service;
use crate::faults::{FaultPlan, Faults};
use crate::platform;

const CLUSTER: &str = "jitsi-cluster";
const SERVICE: &str = "jitsi-service";
const QUEUE_NAME: &str = "jitsi-jvb-watcher";

/// A client that records every request and every response.
struct Recorder {
    world: World,
    faults: Faults,
    now: Timestamp,
    log: Vec<String>,
    /// Time at which each event was received, with its lastStatus.
    events: Vec<(Timestamp, String)>,
}

impl Recorder {
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
        Self { world, faults, now, log: Vec::new(), events: Vec::new() }
    }

    fn call(&mut self, request: Request) -> Option<Response> {
        let verdict = self.faults.decide(request.service(), request.operation(), self.now);
        self.now = after(self.now, verdict.latency);
        let response = self.world.call(request.clone(), self.now);
        self.log.push(format!("{} {request:?} {verdict:?} {response:?}", self.now));
        response.ok()
    }

    fn inject(&mut self, incident: Incident) {
        let outcome = self.world.inject(incident.clone(), self.now);
        self.log.push(format!("{} {incident:?} {outcome:?}", self.now));
    }

    fn scale(&mut self, desired: i32) {
        self.call(Request::Ecs(ecs_api::Request::UpdateService(ecs_api::UpdateServiceInput {
            cluster: Some(CLUSTER.to_owned()),
            service: SERVICE.to_owned(),
            desired_count: Some(desired),
            ..ecs_api::UpdateServiceInput::default()
        })));
    }

    /// Advances from one step of the world to the next, and reads the queue after each.
    fn advance(&mut self, seconds: u64) {
        let end = after(self.now, Duration::from_secs(seconds));
        while let Some(at) = self.world.next_step_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.world.step(self.now);
            self.log.push(format!("{} next {:?}", self.now, self.world.next_step_at()));
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
            panic!("no queue");
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

/// Plays an evening: a scale-up, a crash, a Spot notice, failures to start, and a scale-down.
fn evening(seed: u64) -> Recorder {
    let mut recorder = Recorder::new(seed);
    let input = elb_api::CreateLoadBalancerInput {
        name: "nlb".to_owned(),
        r#type: Some("network".to_owned()),
        subnets: ["subnet-1".to_owned()].into_iter().collect(),
        ..elb_api::CreateLoadBalancerInput::default()
    };
    recorder.call(Request::Elb(elb_api::Request::CreateLoadBalancer(input)));
    let input = elb_api::CreateTargetGroupInput {
        name: "udp".to_owned(),
        protocol: Some("UDP".to_owned()),
        port: Some("10000".to_owned()),
        vpc_id: Some("vpc-1".to_owned()),
        target_type: Some("ip".to_owned()),
        ..elb_api::CreateTargetGroupInput::default()
    };
    recorder.call(Request::Elb(elb_api::Request::CreateTargetGroup(input)));
    let (load_balancer, group) =
        (recorder.world.load_balancers()[0].arn.clone(), recorder.world.groups()[0].arn.clone());
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
    recorder.call(Request::Elb(elb_api::Request::CreateListener(input)));
    recorder.scale(4);
    recorder.advance(90);
    recorder.register_all(&group);
    recorder.advance(200);
    recorder.inject(Incident::FailToStart { n: 1 });
    recorder.inject(Incident::CrashTask { service: SERVICE.to_owned(), task: None, exit_code: 1 });
    recorder.advance(60);
    recorder.inject(Incident::SpotNotice { service: SERVICE.to_owned(), task: None });
    recorder.advance(300);
    recorder.inject(Incident::Replay { n: 5 });
    recorder.scale(0);
    recorder.advance(400);
    let input = elb_api::LoadBalancerInput { load_balancer_arn: load_balancer };
    recorder.call(Request::Elb(elb_api::Request::DeleteLoadBalancer(input)));
    recorder.advance(4000);
    let input = elb_api::TargetGroupInput { target_group_arn: group };
    recorder.call(Request::Elb(elb_api::Request::DeleteTargetGroup(input)));
    recorder.log.push(format!("{:?}", recorder.world));
    recorder
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let (one, again) = (evening(7), evening(7));
    for (line, other) in one.log.iter().zip(&again.log) {
        assert_eq!(line, other);
    }
    assert_eq!(one.log.len(), again.log.len());
    assert!(one.events.len() > 40, "{} events are too few for a meaningful test", one.events.len());
    assert!(one.world.tasks().is_empty() && one.world.load_balancers().is_empty() && one.world.groups().is_empty());
}

#[test]
fn another_seed_changes_the_fate_of_events_and_requests() {
    let (one, other) = (evening(7), evening(8));
    assert_ne!(one.log, other.log);
    assert_ne!(one.events, other.events, "the fate of events depends on the seed");
    let (one, other) = (Faults::new(7), Faults::new(8));
    let verdicts = |mut faults: Faults| {
        let plan = r#"{"rules": [{"on": "*", "rate": 0.5, "effect": {"kind": "drop", "when": "after"}}]}"#;
        faults.set(serde_json::from_str::<FaultPlan>(plan).unwrap()).unwrap();
        (0..64).map(|_| faults.decide(Service::Sqs, "ReceiveMessage", Timestamp::UNIX_EPOCH)).collect::<Vec<_>>()
    };
    assert_ne!(verdicts(one), verdicts(other));
}

#[test]
fn faults_of_events_do_not_change_the_tasks() {
    // Each event takes the same number of draws whatever the rates are, so ids, addresses and times stay the same.
    let tasks = |lost: f64| {
        let mut settings = Settings::default();
        settings.events.lost = lost;
        let mut fixture = Fixture::new(settings, 5);
        fixture.scale(3);
        fixture.advance(60);
        fixture.world.tasks()
    };
    assert_eq!(tasks(0.0), tasks(0.5));
}
