//! Queue policies, evaluated for the question whether a service may send messages.
//!
//! Implements the elements and condition operators of the IAM JSON policy reference that occur in queue policies for
//! EventBridge and SNS. A condition on an unknown key or with an unknown operator is taken as not met.

use serde_json::Value;

use super::location::Location;
use crate::aws::event_source::QueueDescription;

/// EventBridge's service principal.
pub const EVENTBRIDGE: &str = "events.amazonaws.com";

/// A parsed queue policy.
#[derive(Clone, Debug)]
pub struct Policy(Vec<Value>);

/// A request to send a message: the service principal and its source.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The service principal, e.g. [`EVENTBRIDGE`].
    pub service: &'a str,
    /// The ARN of the resource on whose behalf the service sends, e.g. the rule (`aws:SourceArn`).
    pub source_arn: &'a str,
    /// The account of that resource (`aws:SourceAccount`).
    pub source_account: &'a str,
}

impl Policy {
    /// Parses a policy; `None` for text that isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        match policy.get("Statement")? {
            Value::Array(statements) => Some(Self(statements.clone())),
            statement @ Value::Object(_) => Some(Self(vec![statement.clone()])),
            _ => None,
        }
    }

    /// Returns true if the sender may send to the queue: a statement allows it and none denies it.
    pub fn allows(&self, sender: Sender<'_>, queue_arn: &str) -> bool {
        let with_effect = |effect: &'static str| {
            move |statement: &&Value| statement["Effect"] == effect && applies(statement, sender, queue_arn)
        };
        self.0.iter().any(|statement| with_effect("Allow")(&statement))
            && !self.0.iter().any(|statement| with_effect("Deny")(&statement))
    }
}

/// Returns true if the queue's policy allows the rule to send. Without a policy, no service may send.
pub fn may_send(queue: &QueueDescription, rule_arn: &str) -> bool {
    let location = Location::of_arn(&queue.arn);
    let sender = Sender { service: EVENTBRIDGE, source_arn: rule_arn, source_account: &location.account };
    let policy = queue.policy.as_deref().and_then(Policy::parse);
    policy.is_some_and(|policy| policy.allows(sender, &queue.arn))
}

/// Returns true if a statement, of either effect, applies to the request.
fn applies(statement: &Value, sender: Sender<'_>, queue_arn: &str) -> bool {
    let action = |pattern: &str| matches(&pattern.to_ascii_lowercase(), "sqs:sendmessage");
    any(&statement["Action"], action)
        && any(&statement["Resource"], |pattern| matches(pattern, queue_arn))
        && is_principal(&statement["Principal"], sender)
        && conditions_hold(&statement["Condition"], sender)
}

fn is_principal(principal: &Value, sender: Sender<'_>) -> bool {
    principal == "*"
        || any(&principal["AWS"], |who| who == "*")
        || any(&principal["Service"], |service| service == "*" || service == sender.service)
}

fn conditions_hold(conditions: &Value, sender: Sender<'_>) -> bool {
    let Value::Object(operators) = conditions else { return conditions.is_null() };
    let holds = |operator: &str, key: &str, expected: &Value| {
        let actual = match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => sender.source_arn,
            "aws:sourceaccount" => sender.source_account,
            // A key that the request lacks, or that is unknown here: the condition isn't met.
            _ => return false,
        };
        match operator.strip_suffix("IfExists").unwrap_or(operator) {
            "ArnEquals" | "ArnLike" | "StringLike" => any(expected, |pattern| matches(pattern, actual)),
            "StringEquals" => any(expected, |text| text == actual),
            "StringEqualsIgnoreCase" => any(expected, |text| text.eq_ignore_ascii_case(actual)),
            "ArnNotEquals" | "ArnNotLike" | "StringNotLike" => !any(expected, |pattern| matches(pattern, actual)),
            "StringNotEquals" => !any(expected, |text| text == actual),
            _ => false,
        }
    };
    operators.iter().all(|(operator, keys)| match keys {
        Value::Object(keys) => keys.iter().all(|(key, expected)| holds(operator, key, expected)),
        _ => false,
    })
}

/// Returns true if the predicate holds for the text, or for one text of the list.
fn any(texts: &Value, holds: impl Fn(&str) -> bool) -> bool {
    match texts {
        Value::String(text) => holds(text),
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).any(holds),
        _ => false,
    }
}

/// Returns true if the pattern matches the whole text; `*` matches any characters and `?` any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The position to resume at when the rest doesn't match: the last star takes one character more.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:events";
    const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/tasks";

    fn allowed(statements: &str) -> bool {
        let sender = Sender { service: "events.amazonaws.com", source_arn: RULE, source_account: "111122223333" };
        Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": {statements}}}"#))
            .unwrap()
            .allows(sender, QUEUE)
    }

    fn statement(effect: &str, principal: &str, action: &str, resource: &str, condition: &str) -> String {
        format!(
            r#"{{"Effect": "{effect}", "Principal": {principal}, "Action": {action}, "Resource": "{resource}", "Condition": {condition}}}"#
        )
    }

    const EVENTS: &str = r#"{"Service": "events.amazonaws.com"}"#;
    const SEND: &str = r#""sqs:SendMessage""#;

    #[test]
    fn allows_by_the_documented_policy() {
        let condition = format!(r#"{{"ArnEquals": {{"aws:SourceArn": "{RULE}"}}}}"#);
        assert!(allowed(&statement("Allow", EVENTS, SEND, QUEUE, &condition)));
        assert!(allowed(&format!("[{}]", statement("Allow", EVENTS, SEND, QUEUE, "{}"))));
    }

    #[test]
    fn allows_by_wildcards_and_lists() {
        assert!(allowed(&statement("Allow", r#""*""#, r#""SQS:*""#, "*", "{}")));
        assert!(allowed(&statement(
            "Allow",
            r#"{"Service": ["x", "events.amazonaws.com"]}"#,
            r#"["a", "sqs:Send*"]"#,
            "arn:aws:sqs:*:event?",
            "{}"
        )));
    }

    #[test]
    fn requires_every_element_to_match() {
        let other_rule = r#"{"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/other"}}"#;
        for statement in [
            statement("Allow", r#"{"Service": "sns.amazonaws.com"}"#, SEND, QUEUE, "{}"),
            statement("Allow", EVENTS, r#""sqs:ReceiveMessage""#, QUEUE, "{}"),
            statement("Allow", EVENTS, SEND, "arn:aws:sqs:eu-west-1:111122223333:other", "{}"),
            statement("Allow", EVENTS, SEND, QUEUE, other_rule),
            statement("Allow", EVENTS, SEND, QUEUE, r#"{"Bool": {"aws:SecureTransport": "true"}}"#),
            "[]".to_owned(),
        ] {
            assert!(!allowed(&statement), "{statement}");
        }
    }

    #[test]
    fn an_explicit_deny_overrides_an_allow() {
        let allow = statement("Allow", EVENTS, SEND, QUEUE, "{}");
        let deny = statement("Deny", r#""*""#, SEND, QUEUE, "{}");
        assert!(!allowed(&format!("[{allow}, {deny}]")));
    }

    #[test]
    fn matches_wildcards() {
        for (pattern, text, fits) in
            [("*", "", true), ("a*b*c", "aXbYbZc", true), ("a*b", "abc", false), ("??", "ab", true), ("?", "", false)]
        {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
