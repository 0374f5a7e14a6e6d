use crate::api::eventbridge::*;
use crate::api::{self, ApiError};
use crate::world::Settings;
use crate::world::tests::Stage;

fn call(stage: &mut Stage, request: Request) -> Result<Response, ApiError> {
    match stage.call(api::Request::EventBridge(request))? {
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
fn nobody_puts_events_in_the_name_of_aws() {
    let mut stage = Stage::new(Settings::default(), 1);
    let entries = vec![entry("mine", r#"{"group": "service:x"}"#), entry("aws.ecs", "{}"), entry("mine", "{")];
    let Ok(Response::PutEvents(output)) = call(&mut stage, Request::PutEvents(PutEventsInput { entries })) else {
        panic!()
    };
    assert_eq!(output.failed_entry_count, 2);
    let codes: Vec<_> = output.entries.iter().map(|entry| entry.error_code.as_deref()).collect();
    assert_eq!(codes, [None, Some("NotAuthorizedForSourceException"), Some("MalformedDetail")]);
    stage.pass(1);
    assert!(stage.events().is_empty(), "the rule asks for aws.ecs");
}

#[test]
fn what_is_put_comes_through_a_rule_that_it_fits() {
    let mut stage = Stage::new(Settings::default(), 1);
    let rule = PutRuleInput {
        name: "tasks".to_owned(),
        event_pattern: Some(r#"{"source": ["mine"]}"#.to_owned()),
        ..PutRuleInput::default()
    };
    call(&mut stage, Request::PutRule(rule)).unwrap();
    let entries = vec![entry("mine", r#"{"a": 1}"#), entry("yours", "{}")];
    call(&mut stage, Request::PutEvents(PutEventsInput { entries })).unwrap();
    stage.pass(1);
    let events = stage.events();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["detail"]["a"], &events[0]["source"]), (&1.into(), &"mine".into()));
}

#[test]
fn rules_are_checked() {
    let mut stage = Stage::new(Settings::default(), 1);
    let rule = |pattern: Option<&str>| PutRuleInput {
        name: "r".to_owned(),
        event_pattern: pattern.map(str::to_owned),
        ..PutRuleInput::default()
    };
    let mut code = |request| call(&mut stage, request).unwrap_err().code;
    assert_eq!(code(Request::PutRule(rule(None))), "ValidationException");
    assert_eq!(code(Request::PutRule(rule(Some("{}")))), "InvalidEventPatternException");
    let elsewhere = PutRuleInput { event_bus_name: Some("other".to_owned()), ..rule(Some(r#"{"source": ["a"]}"#)) };
    assert_eq!(code(Request::PutRule(elsewhere)), "ResourceNotFoundException");
    let named = |name: &str| RuleInput { name: name.to_owned(), event_bus_name: Some("default".to_owned()) };
    assert_eq!(code(Request::DescribeRule(named("r"))), "ResourceNotFoundException");
    assert_eq!(code(Request::DeleteRule(named("tasks"))), "ValidationException");
    let ids = vec!["q".to_owned()];
    let removal = RemoveTargetsInput { rule: "tasks".to_owned(), event_bus_name: None, ids };
    call(&mut stage, Request::RemoveTargets(removal)).unwrap();
    call(&mut stage, Request::DeleteRule(named("tasks"))).unwrap();
    let Ok(Response::ListRules(output)) = call(&mut stage, Request::ListRules(ListRulesInput::default())) else {
        panic!()
    };
    assert!(output.rules.is_empty());
}

#[test]
fn patterns_can_be_tried() {
    let mut stage = Stage::new(Settings::default(), 1);
    let event = include_str!("../../../../../fixtures/events/life-4-running.json");
    let mut fits = |pattern: &str, event: &str| -> Result<bool, ApiError> {
        let input = TestEventPatternInput { event_pattern: pattern.to_owned(), event: event.to_owned() };
        match call(&mut stage, Request::TestEventPattern(input))? {
            Response::TestEventPattern(output) => Ok(output.result),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fits(r#"{"detail": {"group": ["service:jitsi-service"]}}"#, event), Ok(true));
    assert_eq!(fits(r#"{"detail": {"group": ["service:other"]}}"#, event), Ok(false));
    assert_eq!(fits("{", event).unwrap_err().code, "InvalidEventPatternException");
    assert_eq!(fits(r#"{"source": ["a"]}"#, "{}").unwrap_err().code, "ValidationException");
}

fn put_target(stage: &mut Stage, target: Target) -> Result<Response, ApiError> {
    let (rule, targets) = ("tasks".to_owned(), vec![target]);
    call(stage, Request::PutTargets(PutTargetsInput { rule, event_bus_name: None, targets }))
}

#[test]
fn what_a_targets_queue_refuses_goes_to_the_targets_dead_letters() {
    let mut stage = Stage::new(Settings::default(), 1);
    let arn = "arn:aws:sqs:eu-west-1:111122223333:q".to_owned();
    let target = Target {
        id: "q".to_owned(),
        arn: arn.replace(":q", ":gone"),
        dead_letter_config: Some(DeadLetterConfig { arn: Some(arn) }),
        retry_policy: Some(serde_json::json!({ "MaximumRetryAttempts": 0 })),
        ..Target::default()
    };
    put_target(&mut stage, target.clone()).unwrap();
    let input = ListTargetsByRuleInput { rule: "tasks".to_owned(), ..ListTargetsByRuleInput::default() };
    let Ok(Response::ListTargetsByRule(output)) = call(&mut stage, Request::ListTargetsByRule(input)) else { panic!() };
    assert_eq!(output.targets, [target]);
    stage.scale(1);
    stage.pass(60);
    assert_eq!(stage.events().len(), 4);
    assert_eq!(stage.world.event_counts().refused, 4);
}

#[test]
fn targets_that_would_get_something_else_are_refused() {
    let mut stage = Stage::new(Settings::default(), 1);
    let arn = "arn:aws:sqs:eu-west-1:111122223333:q".to_owned();
    let target = Target { id: "p".to_owned(), arn, input_path: Some("$.detail".to_owned()), ..Target::default() };
    let error = put_target(&mut stage, target).unwrap_err();
    assert!(error.code == "ValidationException" && error.message.contains("models no Input"), "{error}");
    let none = PutTargetsInput { rule: "tasks".to_owned(), ..PutTargetsInput::default() };
    assert_eq!(call(&mut stage, Request::PutTargets(none)).unwrap_err().code, "ValidationException");
}

#[test]
fn rules_have_tags() {
    let mut stage = Stage::new(Settings::default(), 1);
    let tag = |key: &str| api::Tag { key: key.to_owned(), value: "1".to_owned() };
    let rule = PutRuleInput {
        name: "r".to_owned(),
        event_pattern: Some(r#"{"source": ["a"]}"#.to_owned()),
        tags: vec![tag("a")],
        ..PutRuleInput::default()
    };
    let Ok(Response::PutRule(output)) = call(&mut stage, Request::PutRule(rule)) else { panic!() };
    let resource_arn = output.rule_arn;
    let more = TagResourceInput { resource_arn: resource_arn.clone(), tags: vec![tag("b"), tag("c")] };
    call(&mut stage, Request::TagResource(more)).unwrap();
    let less = UntagResourceInput { resource_arn: resource_arn.clone(), tag_keys: vec!["b".to_owned()] };
    call(&mut stage, Request::UntagResource(less)).unwrap();
    let Ok(Response::ListTagsForResource(output)) =
        call(&mut stage, Request::ListTagsForResource(ResourceInput { resource_arn: resource_arn.clone() }))
    else {
        panic!()
    };
    assert_eq!(output.tags, [tag("a"), tag("c")]);
    let unknown = ResourceInput { resource_arn: format!("{resource_arn}x") };
    let outcome = call(&mut stage, Request::ListTagsForResource(unknown));
    assert_eq!(outcome.unwrap_err().code, "ResourceNotFoundException");
}

#[test]
fn an_event_has_the_time_that_it_is_put_with() {
    let mut stage = Stage::new(Settings::default(), 1);
    let rule = PutRuleInput {
        name: "tasks".to_owned(),
        event_pattern: Some(r#"{"source": ["mine"]}"#.to_owned()),
        ..PutRuleInput::default()
    };
    call(&mut stage, Request::PutRule(rule)).unwrap();
    let time = Some("2020-01-02T03:04:05Z".parse().unwrap());
    let entries = vec![PutEventsEntry { time, ..entry("mine", "{}") }];
    call(&mut stage, Request::PutEvents(PutEventsInput { entries })).unwrap();
    stage.pass(1);
    assert_eq!(stage.events()[0]["time"], "2020-01-02T03:04:05Z");
}
