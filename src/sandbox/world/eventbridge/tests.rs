use crate::sandbox::api::events::*;
use crate::sandbox::api::{self, ApiError};
use crate::sandbox::world::Settings;
use crate::sandbox::world::tests::Stage;

fn call(stage: &mut Stage, request: Request) -> Result<Response, ApiError> {
    match stage.call(api::Request::Events(request))? {
        api::Response::Events(response) => Ok(response),
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
    let event = include_str!("../../../../fixtures/events/life-4-running.json");
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
