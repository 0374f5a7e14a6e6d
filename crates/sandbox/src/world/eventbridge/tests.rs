use crate::api::eventbridge::*;
use crate::api::{self, ApiError};
use crate::world::Settings;
use crate::world::tests::Fixture;

fn call(fixture: &mut Fixture, request: Request) -> Result<Response, ApiError> {
    match fixture.call(api::Request::EventBridge(request))? {
        api::Response::EventBridge(response) => Ok(response),
        other => panic!("{other:?}"),
    }
}

fn entry(source: &str, detail: &str) -> PutEventsEntry {
    PutEventsEntry {
        source: Some(source.to_owned()),
        detail_type: Some("Test".to_owned()),
        detail: Some(detail.to_owned()),
        ..PutEventsEntry::default()
    }
}

#[test]
fn events_with_aws_sources_are_refused() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let entries = vec![entry("mine", r#"{"group": "service:x"}"#), entry("aws.ecs", "{}"), entry("mine", "{")];
    let Ok(Response::PutEvents(output)) = call(&mut fixture, Request::PutEvents(PutEventsInput { entries })) else {
        panic!()
    };
    assert_eq!(output.failed_entry_count, 2);
    let codes: Vec<_> = output.entries.iter().map(|entry| entry.error_code.as_deref()).collect();
    assert_eq!(codes, [None, Some("NotAuthorizedForSourceException"), Some("MalformedDetail")]);
    fixture.advance(1);
    assert!(fixture.events().is_empty(), "the rule matches aws.ecs only");
}

#[test]
fn events_are_delivered_by_rules_that_match() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let rule = PutRuleInput {
        name: "tasks".to_owned(),
        event_pattern: Some(r#"{"source": ["mine"]}"#.to_owned()),
        ..PutRuleInput::default()
    };
    call(&mut fixture, Request::PutRule(rule)).unwrap();
    let entries = vec![entry("mine", r#"{"a": 1}"#), entry("yours", "{}")];
    call(&mut fixture, Request::PutEvents(PutEventsInput { entries })).unwrap();
    fixture.advance(1);
    let events = fixture.events();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["detail"]["a"], &events[0]["source"]), (&1.into(), &"mine".into()));
}

#[test]
fn rules_are_validated() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let rule = |pattern: Option<&str>| PutRuleInput {
        name: "r".to_owned(),
        event_pattern: pattern.map(str::to_owned),
        ..PutRuleInput::default()
    };
    let mut code = |request| call(&mut fixture, request).unwrap_err().code;
    assert_eq!(code(Request::PutRule(rule(None))), "ValidationException");
    assert_eq!(code(Request::PutRule(rule(Some("{}")))), "InvalidEventPatternException");
    let elsewhere = PutRuleInput { event_bus_name: Some("other".to_owned()), ..rule(Some(r#"{"source": ["a"]}"#)) };
    assert_eq!(code(Request::PutRule(elsewhere)), "ResourceNotFoundException");
    let named = |name: &str| RuleInput { name: name.to_owned(), event_bus_name: Some("default".to_owned()) };
    assert_eq!(code(Request::DescribeRule(named("r"))), "ResourceNotFoundException");
    assert_eq!(code(Request::DeleteRule(named("tasks"))), "ValidationException");
    let ids = vec!["q".to_owned()];
    let removal = RemoveTargetsInput { rule: "tasks".to_owned(), event_bus_name: None, ids };
    call(&mut fixture, Request::RemoveTargets(removal)).unwrap();
    call(&mut fixture, Request::DeleteRule(named("tasks"))).unwrap();
    let Ok(Response::ListRules(output)) = call(&mut fixture, Request::ListRules(ListRulesInput::default())) else {
        panic!()
    };
    assert!(output.rules.is_empty());
}

#[test]
fn patterns_can_be_tested() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let event = include_str!("../../../../../fixtures/events/life-4-running.json");
    let mut test = |pattern: &str, event: &str| -> Result<bool, ApiError> {
        let input = TestEventPatternInput { event_pattern: pattern.to_owned(), event: event.to_owned() };
        match call(&mut fixture, Request::TestEventPattern(input))? {
            Response::TestEventPattern(output) => Ok(output.result),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(test(r#"{"detail": {"group": ["service:jitsi-service"]}}"#, event), Ok(true));
    assert_eq!(test(r#"{"detail": {"group": ["service:other"]}}"#, event), Ok(false));
    assert_eq!(test("{", event).unwrap_err().code, "InvalidEventPatternException");
    assert_eq!(test(r#"{"source": ["a"]}"#, "{}").unwrap_err().code, "ValidationException");
}

fn put_target(fixture: &mut Fixture, target: Target) -> Result<Response, ApiError> {
    let (rule, targets) = ("tasks".to_owned(), vec![target]);
    call(fixture, Request::PutTargets(PutTargetsInput { rule, event_bus_name: None, targets }))
}

#[test]
fn undeliverable_events_go_to_the_targets_dead_letter_queue() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let arn = "arn:aws:sqs:eu-west-1:111122223333:q".to_owned();
    let target = Target {
        id: "q".to_owned(),
        arn: arn.replace(":q", ":gone"),
        dead_letter_config: Some(DeadLetterConfig { arn: Some(arn) }),
        retry_policy: Some(serde_json::json!({ "MaximumRetryAttempts": 0 })),
        ..Target::default()
    };
    put_target(&mut fixture, target.clone()).unwrap();
    let input = ListTargetsByRuleInput { rule: "tasks".to_owned(), ..ListTargetsByRuleInput::default() };
    let Ok(Response::ListTargetsByRule(output)) = call(&mut fixture, Request::ListTargetsByRule(input)) else {
        panic!()
    };
    assert_eq!(output.targets, [target]);
    fixture.scale(1);
    fixture.advance(60);
    assert_eq!(fixture.events().len(), 4);
    assert_eq!(fixture.world.event_counts().refused, 4);
}

#[test]
fn targets_with_input_transformations_are_refused() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let arn = "arn:aws:sqs:eu-west-1:111122223333:q".to_owned();
    let target = Target { id: "p".to_owned(), arn, input_path: Some("$.detail".to_owned()), ..Target::default() };
    let error = put_target(&mut fixture, target).unwrap_err();
    assert!(error.code == "ValidationException" && error.message.contains("models no Input"), "{error}");
    let none = PutTargetsInput { rule: "tasks".to_owned(), ..PutTargetsInput::default() };
    assert_eq!(call(&mut fixture, Request::PutTargets(none)).unwrap_err().code, "ValidationException");
}

#[test]
fn rules_have_tags() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let tag = |key: &str| api::Tag { key: key.to_owned(), value: "1".to_owned() };
    let rule = PutRuleInput {
        name: "r".to_owned(),
        event_pattern: Some(r#"{"source": ["a"]}"#.to_owned()),
        tags: vec![tag("a")],
        ..PutRuleInput::default()
    };
    let Ok(Response::PutRule(output)) = call(&mut fixture, Request::PutRule(rule)) else { panic!() };
    let resource_arn = output.rule_arn;
    let more = TagResourceInput { resource_arn: resource_arn.clone(), tags: vec![tag("b"), tag("c")] };
    call(&mut fixture, Request::TagResource(more)).unwrap();
    let less = UntagResourceInput { resource_arn: resource_arn.clone(), tag_keys: vec!["b".to_owned()] };
    call(&mut fixture, Request::UntagResource(less)).unwrap();
    let Ok(Response::ListTagsForResource(output)) =
        call(&mut fixture, Request::ListTagsForResource(ResourceInput { resource_arn: resource_arn.clone() }))
    else {
        panic!()
    };
    assert_eq!(output.tags, [tag("a"), tag("c")]);
    let unknown = ResourceInput { resource_arn: format!("{resource_arn}x") };
    let outcome = call(&mut fixture, Request::ListTagsForResource(unknown));
    assert_eq!(outcome.unwrap_err().code, "ResourceNotFoundException");
}

#[test]
fn an_event_has_the_time_of_its_request() {
    let mut fixture = Fixture::new(Settings::default(), 1);
    let rule = PutRuleInput {
        name: "tasks".to_owned(),
        event_pattern: Some(r#"{"source": ["mine"]}"#.to_owned()),
        ..PutRuleInput::default()
    };
    call(&mut fixture, Request::PutRule(rule)).unwrap();
    let time = Some("2020-01-02T03:04:05Z".parse().unwrap());
    let entries = vec![PutEventsEntry { time, ..entry("mine", "{}") }];
    call(&mut fixture, Request::PutEvents(PutEventsInput { entries })).unwrap();
    fixture.advance(1);
    assert_eq!(fixture.events()[0]["time"], "2020-01-02T03:04:05Z");
}
