use super::queue_policy::may_send;
use super::samples::{event_source, exact_policy, policy, queue, rule};
use super::*;
use crate::aws::event_source::RuleState;

fn names(state: &EventSourceState) -> Vec<FindingName> {
    findings(state, "p-jvb-watcher").into_iter().map(|finding| finding.name).collect()
}

fn disabled() -> ObservedRule {
    let mut rule = rule();
    rule.rule.state = RuleState::Disabled;
    rule
}

#[test]
fn a_correct_event_source_has_no_findings() {
    assert_eq!(names(&event_source(queue(), vec![rule()])), []);
}

#[test]
fn each_fault_of_the_event_source_is_a_finding() {
    let mismatched = ObservedRule { unmatched: vec![Sample::TaskStopped], ..rule() };
    let closed = QueueDescription { policy: None, ..queue() };
    for (state, name) in [
        (EventSourceState::QueueMissing, FindingName::QueueMissing),
        (event_source(queue(), Vec::new()), FindingName::RuleMissing),
        (event_source(queue(), vec![disabled()]), FindingName::RuleDisabled),
        (event_source(queue(), vec![mismatched]), FindingName::RuleMismatched),
        (event_source(closed, vec![rule()]), FindingName::QueueClosed),
    ] {
        assert_eq!(names(&state), [name], "{state:?}");
    }
}

#[test]
fn one_correct_rule_is_enough() {
    assert_eq!(names(&event_source(queue(), vec![disabled(), rule()])), []);
}

#[test]
fn a_rule_without_the_events_about_the_service_is_correct() {
    let unmatched = vec![Sample::TasksImpaired, Sample::DeploymentFailed];
    assert_eq!(names(&event_source(queue(), vec![ObservedRule { unmatched, ..rule() }])), []);
}

#[test]
fn a_mismatch_names_the_unmatched_event() {
    let mismatched = ObservedRule { unmatched: vec![Sample::TaskStopped], ..rule() };
    let found = findings(&event_source(queue(), vec![mismatched]), "p-jvb-watcher");
    assert!(found[0].detail.ends_with("the event of a task that stopped"), "{}", found[0].detail);
}

#[test]
fn the_rule_may_send_if_the_queue_policy_allows_it() {
    let events = r#"{"Service": "events.amazonaws.com"}"#;
    let other = r#"{"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/other"}}"#;
    for (policy, allowed) in [
        (Some(exact_policy()), true),
        (Some(policy(events, "{}")), true),
        (Some(policy(events, other)), false),
        (Some(policy(r#"{"Service": "sns.amazonaws.com"}"#, "{}")), false),
        (Some("not JSON".to_owned()), false),
        (None, false),
    ] {
        let queue = QueueDescription { policy, ..queue() };
        assert_eq!(may_send(&queue, samples::RULE), allowed, "{:?}", queue.policy);
    }
}
