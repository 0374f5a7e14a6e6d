use super::samples::{exact_policy, feed, policy, queue, rule};
use super::*;

fn names(feed: &Feed) -> Vec<FindingName> {
    findings(feed, "p-jvb-watcher").into_iter().map(|finding| finding.name).collect()
}

fn disabled() -> FeedingRule {
    let mut rule = rule();
    rule.rule.state = RuleState::Disabled;
    rule
}

#[test]
fn a_feed_as_it_should_be_gives_no_finding() {
    assert_eq!(names(&feed(queue(), vec![rule()])), []);
}

#[test]
fn each_cut_of_the_feed_is_a_finding_of_its_own() {
    let mismatched = FeedingRule { unmatched: vec![Made::Stopped], ..rule() };
    let closed = QueueDescription { policy: None, ..queue() };
    for (cut, name) in [
        (Feed::NoQueue, FindingName::QueueMissing),
        (feed(queue(), Vec::new()), FindingName::RuleMissing),
        (feed(queue(), vec![disabled()]), FindingName::RuleDisabled),
        (feed(queue(), vec![mismatched]), FindingName::RuleMismatched),
        (feed(closed, vec![rule()]), FindingName::QueueClosed),
    ] {
        assert_eq!(names(&cut), [name], "{cut:?}");
    }
}

#[test]
fn one_rule_that_sends_is_enough() {
    assert_eq!(names(&feed(queue(), vec![disabled(), rule()])), []);
}

#[test]
fn a_mismatch_names_the_events_that_stay_away() {
    let mismatched = FeedingRule { unmatched: vec![Made::Stopped], ..rule() };
    let found = findings(&feed(queue(), vec![mismatched]), "p-jvb-watcher");
    assert!(found[0].detail.contains("has stopped"), "{}", found[0].detail);
}

#[test]
fn a_queue_lets_the_rule_send_when_its_policy_says_so() {
    let events = r#"{"Service": "events.amazonaws.com"}"#;
    let other = r#"{"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/other"}}"#;
    for (policy, sends) in [
        (Some(exact_policy()), true),
        (Some(policy(events, "{}")), true),
        (Some(policy(events, other)), false),
        (Some(policy(r#"{"Service": "sns.amazonaws.com"}"#, "{}")), false),
        (Some("not JSON".to_owned()), false),
        (None, false),
    ] {
        let queue = QueueDescription { policy, ..queue() };
        assert_eq!(lets_send(&queue, samples::RULE), sends, "{:?}", queue.policy);
    }
}
