//! A correct event source, for tests to break.

use std::time::Duration;

use super::EventSourceState;
use super::rule::ObservedRule;
use crate::aws::event_source::{QueueDescription, RedrivePolicy, Rule, RuleState};
use crate::aws::fake::noon;

pub const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:p-jvb-watcher";
pub const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:p-jvb-watcher-dead";
pub const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/p-jvb-watcher";

/// A policy that allows sending with this principal and condition.
pub fn policy(principal: &str, condition: &str) -> String {
    format!(
        r#"{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "sqs:SendMessage", "Resource": "{QUEUE}", "Condition": {condition}}}}}"#
    )
}

/// The policy that allows only the rule to send.
pub fn exact_policy() -> String {
    policy(r#"{"Service": "events.amazonaws.com"}"#, &format!(r#"{{"ArnEquals": {{"aws:SourceArn": "{RULE}"}}}}"#))
}

pub fn queue() -> QueueDescription {
    QueueDescription {
        url: "https://sqs.eu-west-1.amazonaws.com/111122223333/p-jvb-watcher".to_owned(),
        arn: QUEUE.to_owned(),
        waiting: 0,
        in_flight: 0,
        delayed: 0,
        retention: Duration::from_secs(24 * 60 * 60),
        created_at: noon(),
        redrive_policy: Some(RedrivePolicy { dead_letter_queue_arn: DEAD.to_owned(), max_receive_count: 5 }),
        policy: Some(exact_policy()),
    }
}

pub fn rule() -> ObservedRule {
    ObservedRule {
        rule: Rule {
            name: "p-jvb-watcher".to_owned(),
            arn: RULE.to_owned(),
            state: RuleState::Enabled,
            pattern: Some(r#"{"source": ["aws.ecs"]}"#.to_owned()),
        },
        unmatched: Vec::new(),
    }
}

pub fn event_source(queue: QueueDescription, rules: Vec<ObservedRule>) -> EventSourceState {
    EventSourceState::Queue { queue: Box::new(queue), rules }
}
