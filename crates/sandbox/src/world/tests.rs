//! Tests of the services together: the effects of a change in one on the others.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::api::{ecs as ecs_api, elb as elb_api, eventbridge as eventbridge_api, sqs as sqs_api};

pub mod evening;
mod history;
mod properties;

/// A world with a manual clock.
pub struct Fixture {
    pub world: World,
    pub now: Timestamp,
}

const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:q";
const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/tasks";

impl Fixture {
    /// Creates a cluster, a service with desired count 0, a queue and a rule.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let now = "2026-11-20T18:00:00Z".parse().unwrap();
        let mut fixture = Self { world: World::new(settings, seed, now), now };
        let cluster = ecs_api::CreateClusterInput { cluster_name: Some("c".to_owned()), tags: Vec::new() };
        fixture.ecs(ecs_api::Request::CreateCluster(cluster)).unwrap();
        let container = ecs_api::ContainerDefinition {
            name: "jvb".to_owned(),
            image: "jvb:stable".to_owned(),
            ..ecs_api::ContainerDefinition::default()
        };
        let definition = ecs_api::RegisterTaskDefinitionInput {
            family: "jitsi".to_owned(),
            container_definitions: vec![container],
            ..ecs_api::RegisterTaskDefinitionInput::default()
        };
        fixture.ecs(ecs_api::Request::RegisterTaskDefinition(definition)).unwrap();
        let service = ecs_api::CreateServiceInput {
            cluster: Some("c".to_owned()),
            service_name: "jvb".to_owned(),
            task_definition: "jitsi".to_owned(),
            ..ecs_api::CreateServiceInput::default()
        };
        fixture.ecs(ecs_api::Request::CreateService(service)).unwrap();
        let policy = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"Service": "events.amazonaws.com"}},
                "Action": "sqs:SendMessage", "Resource": "{QUEUE}",
                "Condition": {{"ArnEquals": {{"aws:SourceArn": "{RULE}"}}}}}}}}"#
        );
        let queue = sqs_api::CreateQueueInput {
            queue_name: "q".to_owned(),
            attributes: BTreeMap::from([("Policy".to_owned(), policy)]),
            tags: BTreeMap::new(),
        };
        fixture.call(Request::Sqs(sqs_api::Request::CreateQueue(queue))).unwrap();
        let rule = eventbridge_api::PutRuleInput {
            name: "tasks".to_owned(),
            event_pattern: Some(r#"{"source": ["aws.ecs"], "detail": {"group": [{"prefix": "service:"}]}}"#.to_owned()),
            ..eventbridge_api::PutRuleInput::default()
        };
        fixture.call(Request::EventBridge(eventbridge_api::Request::PutRule(rule))).unwrap();
        let targets = eventbridge_api::PutTargetsInput {
            rule: "tasks".to_owned(),
            event_bus_name: None,
            targets: vec![eventbridge_api::Target {
                id: "q".to_owned(),
                arn: QUEUE.to_owned(),
                ..eventbridge_api::Target::default()
            }],
        };
        fixture.call(Request::EventBridge(eventbridge_api::Request::PutTargets(targets))).unwrap();
        fixture
    }

    pub fn call(&mut self, request: Request) -> Result<Response, ApiError> {
        self.world.call(request, self.now)
    }

    pub fn ecs(&mut self, request: ecs_api::Request) -> Result<ecs_api::Response, ApiError> {
        match self.call(Request::Ecs(request))? {
            Response::Ecs(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    pub fn elb(&mut self, request: elb_api::Request) -> Result<elb_api::Response, ApiError> {
        match self.call(Request::Elb(request))? {
            Response::Elb(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    pub fn inject(&mut self, incident: Incident) -> Result<(), ApiError> {
        self.world.inject(incident, self.now)
    }

    pub fn advance(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
        self.world.step(self.now);
    }

    pub fn scale(&mut self, desired: i32) {
        let input = ecs_api::UpdateServiceInput {
            cluster: Some("c".to_owned()),
            service: "jvb".to_owned(),
            desired_count: Some(desired),
            ..ecs_api::UpdateServiceInput::default()
        };
        self.ecs(ecs_api::Request::UpdateService(input)).unwrap();
    }

    /// Receives and deletes all events in the queue.
    pub fn events(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let input = sqs_api::ReceiveMessageInput {
                queue_url: "q".to_owned(),
                max_number_of_messages: Some(10),
                ..sqs_api::ReceiveMessageInput::default()
            };
            let response = self.call(Request::Sqs(sqs_api::Request::ReceiveMessage(input))).unwrap();
            let Response::Sqs(sqs_api::Response::ReceiveMessage(output)) = response else { panic!() };
            let Some(messages) = output.messages else { return events };
            for message in messages {
                events.push(serde_json::from_str(&message.body).unwrap());
                let receipt_handle = message.receipt_handle;
                let input = sqs_api::DeleteMessageInput { queue_url: "q".to_owned(), receipt_handle };
                self.call(Request::Sqs(sqs_api::Request::DeleteMessage(input))).unwrap();
            }
        }
    }

    pub fn counts(&self) -> (i32, i32, i32) {
        let services = self.world.services();
        (services[0].desired, services[0].running, services[0].pending)
    }
}

fn statuses(events: &[Value]) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let status = |event: &Value| {
        let detail = &event["detail"];
        (text(&detail["lastStatus"]), text(&detail["desiredStatus"]), detail["version"].as_i64().unwrap())
    };
    events.iter().map(status).collect()
}

/// Returns the statuses as text: `PENDING/RUNNING/2`.
fn transitions(events: &[Value]) -> Vec<String> {
    statuses(events).into_iter().map(|(last, desired, version)| format!("{last}/{desired}/{version}")).collect()
}

#[test]
fn every_status_of_a_task_has_an_event() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    assert_eq!(fixture.counts(), (1, 1, 0));
    fixture.scale(0);
    fixture.advance(120);
    assert_eq!(fixture.counts(), (0, 0, 0));
    let events = fixture.events();
    let expected = [
        "PROVISIONING/RUNNING/1",
        "PENDING/RUNNING/2",
        "ACTIVATING/RUNNING/3",
        "RUNNING/RUNNING/4",
        "RUNNING/STOPPED/5",
        "DEACTIVATING/STOPPED/6",
        "STOPPING/STOPPED/7",
        "DEPROVISIONING/STOPPED/8",
        "STOPPED/STOPPED/9",
    ];
    assert_eq!(transitions(&events), expected);
    assert_eq!(events[8]["detail"]["stopCode"], "ServiceSchedulerInitiated");
    assert_eq!(events[8]["detail"]["attachments"][0]["status"], "DELETED");
}

/// Collects the paths of all members, at any depth, with the types of their values.
fn shape(value: &Value, at: &str, into: &mut BTreeMap<String, &'static str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                shape(member, &format!("{at}/{name}"), into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, &format!("{at}[]"), into)),
        Value::String(_) => drop(into.insert(at.to_owned(), "text")),
        Value::Number(_) => drop(into.insert(at.to_owned(), "number")),
        _ => drop(into.insert(at.to_owned(), "other")),
    }
}

#[test]
fn events_have_the_documented_members() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    fixture.scale(0);
    fixture.advance(120);
    let fixtures = [
        include_str!("../../../../fixtures/events/life-1-provisioning.json"),
        include_str!("../../../../fixtures/events/life-2-pending.json"),
        include_str!("../../../../fixtures/events/life-3-activating.json"),
        include_str!("../../../../fixtures/events/life-4-running.json"),
        include_str!("../../../../fixtures/events/life-5-told-to-stop.json"),
        include_str!("../../../../fixtures/events/life-6-deactivating.json"),
        include_str!("../../../../fixtures/events/life-7-stopping.json"),
        include_str!("../../../../fixtures/events/life-8-deprovisioning.json"),
        include_str!("../../../../fixtures/events/life-9-stopped.json"),
    ];
    for (event, fixture) in fixture.events().iter().zip(fixtures) {
        let (mut actual, mut documented) = (BTreeMap::new(), BTreeMap::new());
        shape(event, "", &mut actual);
        shape(&serde_json::from_str(fixture).unwrap(), "", &mut documented);
        assert_eq!(actual, documented, "{}", event["detail"]["lastStatus"]);
        assert_eq!(event["time"].as_str().unwrap().len(), "2026-11-20T18:00:12Z".len());
        assert_eq!(event["detail"]["updatedAt"].as_str().unwrap().len(), "2026-11-20T18:00:12.117Z".len());
    }
}

#[test]
fn a_crashed_task_is_replaced() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    fixture.events();
    fixture.inject(Incident::CrashTask { service: "jvb".to_owned(), task: None, exit_code: 137 }).unwrap();
    assert_eq!(fixture.counts(), (1, 0, 0));
    fixture.advance(6);
    assert_eq!(fixture.counts(), (1, 0, 1));
    let events = fixture.events();
    assert_eq!(transitions(&events), ["DEPROVISIONING/STOPPED/5", "PROVISIONING/RUNNING/1"]);
    assert_eq!(events[0]["detail"]["stopCode"], "EssentialContainerExited");
    assert_eq!(events[0]["detail"]["containers"][0]["exitCode"], 137);
    let no_running_task = Incident::CrashTask { service: "jvb".to_owned(), task: None, exit_code: 1 };
    assert_eq!(fixture.inject(no_running_task).unwrap_err().code, "InvalidParameterException");
}

#[test]
fn a_spot_task_stops_two_minutes_after_its_notice() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    let task = fixture.world.tasks().remove(0);
    fixture.inject(Incident::SpotNotice { service: "c/jvb".to_owned(), task: Some(task.id.clone()) }).unwrap();
    fixture.advance(300);
    let of_task = |event: &Value| event["detail"]["taskArn"].as_str().unwrap().ends_with(&task.id);
    let events: Vec<Value> = fixture.events().into_iter().filter(of_task).collect();
    assert_eq!(transitions(&events)[4..6], ["RUNNING/STOPPED/5", "DEACTIVATING/STOPPED/6"]);
    assert_eq!(events[4]["detail"]["stopCode"], "TerminationNotice");
    assert_eq!(events[8]["detail"]["stopCode"], "SpotInterruption");
    let at = |event: &Value| event["detail"]["updatedAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(at(&events[5]).duration_since(at(&events[4])).as_secs(), 120);
    assert_eq!(fixture.counts(), (1, 1, 0));
}

#[test]
fn tasks_that_fail_to_start_are_replaced() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.inject(Incident::FailToStart { n: 1 }).unwrap();
    fixture.scale(1);
    fixture.advance(50);
    let events = fixture.events();
    assert_eq!(transitions(&events)[..3], ["PROVISIONING/RUNNING/1", "PENDING/RUNNING/2", "DEPROVISIONING/STOPPED/3"]);
    assert_eq!(events[2]["detail"]["stopCode"], "TaskFailedToStart");
    fixture.advance(60);
    assert_eq!(fixture.counts(), (1, 1, 0));
}

#[test]
fn a_released_address_is_assigned_again() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    let first = fixture.world.tasks()[0].address;
    fixture.scale(0);
    fixture.advance(120);
    fixture.scale(1);
    fixture.advance(60);
    let addresses: Vec<_> = fixture.world.tasks().iter().map(|task| task.address).collect();
    assert_eq!(addresses, [first, first]);
    fixture.advance(3600);
    assert_eq!(fixture.world.tasks().len(), 1, "a stopped task is forgotten after an hour");
}

#[test]
fn a_disabled_rule_or_a_missing_policy_stops_the_events() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let rule = eventbridge_api::RuleInput { name: "tasks".to_owned(), event_bus_name: None };
    fixture.call(Request::EventBridge(eventbridge_api::Request::DisableRule(rule.clone()))).unwrap();
    fixture.scale(1);
    fixture.advance(60);
    assert!(fixture.events().is_empty());
    fixture.call(Request::EventBridge(eventbridge_api::Request::EnableRule(rule))).unwrap();
    let attributes = BTreeMap::from([("Policy".to_owned(), String::new())]);
    let input = sqs_api::SetQueueAttributesInput { queue_url: "q".to_owned(), attributes };
    fixture.call(Request::Sqs(sqs_api::Request::SetQueueAttributes(input))).unwrap();
    fixture.scale(0);
    fixture.advance(120);
    assert!(fixture.events().is_empty());
    assert_eq!(fixture.world.event_counts().refused, 5);
}

#[test]
fn events_are_lost_duplicated_and_delayed_according_to_the_settings() {
    let run = |change: fn(&mut EventSettings)| {
        let mut settings = Settings::default();
        change(&mut settings.events);
        let mut fixture = Fixture::new(settings, 1);
        fixture.scale(1);
        fixture.advance(60);
        let in_time = fixture.events().len();
        fixture.advance(400);
        (in_time, fixture.events().len())
    };
    assert_eq!(run(|_| ()), (4, 0));
    assert_eq!(run(|events| events.lost = 1.0), (0, 0));
    let (first, later) = run(|events| events.duplicated = 1.0);
    assert_eq!(first + later, 8);
    let (first, later) = run(|events| events.delayed = 1.0);
    assert!(first < 4 && first + later == 4);
}

#[test]
fn events_can_be_replayed_and_malformed_messages_injected() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    let before = fixture.events();
    fixture.inject(Incident::Replay { n: 2 }).unwrap();
    fixture.advance(1);
    assert_eq!(fixture.events(), before[2..]);
    fixture.inject(Incident::MalformedMessage { queue: "q".to_owned(), body: "[".to_owned() }).unwrap();
    assert_eq!(fixture.world.queues()[0].visible, 1);
    let no_queue = Incident::MalformedMessage { queue: "r".to_owned(), body: "[".to_owned() };
    assert_eq!(fixture.inject(no_queue).unwrap_err().code, "QueueDoesNotExist");
}

#[test]
fn a_task_that_stops_is_in_neither_list_while_that_of_stopped_tasks_lags() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    fixture.world.settings_mut().stopped_list_lag = Duration::from_secs(30);
    let list = |fixture: &mut Fixture, status: &str| {
        let (cluster, desired_status) = (Some("c".to_owned()), Some(status.to_owned()));
        let input = ecs_api::ListTasksInput { cluster, desired_status, ..ecs_api::ListTasksInput::default() };
        match fixture.ecs(ecs_api::Request::ListTasks(input)).unwrap() {
            ecs_api::Response::ListTasks(output) => output.task_arns.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((list(&mut fixture, "RUNNING"), list(&mut fixture, "STOPPED")), (1, 0));
    fixture.scale(0);
    fixture.advance(20);
    assert_eq!((list(&mut fixture, "RUNNING"), list(&mut fixture, "STOPPED")), (0, 0));
    fixture.advance(30);
    assert_eq!((list(&mut fixture, "RUNNING"), list(&mut fixture, "STOPPED")), (0, 1));
}

#[test]
fn the_api_lags_according_to_the_settings() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    fixture.scale(1);
    fixture.advance(60);
    fixture.world.settings_mut().ecs_lag = Duration::from_secs(30);
    fixture.scale(3);
    let describe = |fixture: &mut Fixture| {
        let (cluster, services) = (Some("c".to_owned()), vec!["jvb".to_owned()]);
        let input = ecs_api::DescribeServicesInput { cluster, services, ..Default::default() };
        match fixture.ecs(ecs_api::Request::DescribeServices(input)).unwrap() {
            ecs_api::Response::DescribeServices(output) => {
                let service = &output.services[0];
                (service.desired_count, service.running_count, service.pending_count)
            }
            other => panic!("{other:?}"),
        }
    };
    let list = |fixture: &mut Fixture| {
        let input = ecs_api::ListTasksInput { cluster: Some("c".to_owned()), ..ecs_api::ListTasksInput::default() };
        match fixture.ecs(ecs_api::Request::ListTasks(input)).unwrap() {
            ecs_api::Response::ListTasks(output) => output.task_arns.len(),
            other => panic!("{other:?}"),
        }
    };
    fixture.advance(20);
    assert_eq!((describe(&mut fixture), list(&mut fixture)), ((1, 1, 0), 1));
    fixture.advance(20);
    assert_eq!((describe(&mut fixture), list(&mut fixture)), ((3, 1, 2), 3));
}
