//! Queue policies, as far as they say whether a service may send: what the sandbox obeys, and what `doctor` checks.

use serde_json::Value;

/// A queue's policy.
#[derive(Clone, Debug)]
pub struct Policy(Vec<Value>);

/// Who wants to send, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The service (`events.amazonaws.com`).
    pub service: &'a str,
    /// What it sends for: the rule's ARN.
    pub source_arn: &'a str,
    /// The account that this belongs to.
    pub source_account: &'a str,
}

impl Policy {
    /// Reads a policy; `None` where the text isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        match policy.get("Statement")? {
            Value::Array(statements) => Some(Self(statements.clone())),
            statement @ Value::Object(_) => Some(Self(vec![statement.clone()])),
            _ => None,
        }
    }

    /// Whether the sender may send to the queue: a statement allows it, and none denies it.
    pub fn allows(&self, sender: Sender<'_>, queue_arn: &str) -> bool {
        let with_effect = |effect: &'static str| {
            move |statement: &&Value| statement["Effect"] == effect && applies(statement, sender, queue_arn)
        };
        self.0.iter().any(|statement| with_effect("Allow")(&statement))
            && !self.0.iter().any(|statement| with_effect("Deny")(&statement))
    }
}

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
            // A key that isn't in the request, or that isn't known here: the condition fails.
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

/// Whether it holds of a text, or of one in a list of texts.
fn any(texts: &Value, holds: impl Fn(&str) -> bool) -> bool {
    match texts {
        Value::String(text) => holds(text),
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).any(holds),
        _ => false,
    }
}

/// Whether the text is what the pattern says, in which `*` stands for anything and `?` for any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go back to when what follows the last star doesn't fit: the star may stand for one character more.
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
    fn the_documented_policy_allows() {
        let condition = format!(r#"{{"ArnEquals": {{"aws:SourceArn": "{RULE}"}}}}"#);
        assert!(allowed(&statement("Allow", EVENTS, SEND, QUEUE, &condition)));
        assert!(allowed(&format!("[{}]", statement("Allow", EVENTS, SEND, QUEUE, "{}"))));
    }

    #[test]
    fn wildcards_and_lists_allow() {
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
    fn every_part_must_fit() {
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
    fn a_denial_wins() {
        let allow = statement("Allow", EVENTS, SEND, QUEUE, "{}");
        let deny = statement("Deny", r#""*""#, SEND, QUEUE, "{}");
        assert!(!allowed(&format!("[{allow}, {deny}]")));
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in
            [("*", "", true), ("a*b*c", "aXbYbZc", true), ("a*b", "abc", false), ("??", "ab", true), ("?", "", false)]
        {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
