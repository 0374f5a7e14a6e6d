//! Queue policies: the permission of a service to send to a queue.
//!
//! The evaluation follows "How AWS enforcement code logic evaluates requests to allow or deny access" in the IAM user
//! guide: a request is denied by default, an `Allow` statement that applies permits it, and a `Deny` statement that
//! applies overrides any `Allow`. A statement applies when its action, resource, principal and all of its conditions
//! match the request.
//!
//! Only what a policy for EventBridge needs is modelled: the action `sqs:SendMessage`, service principals and `*`, the
//! condition keys `aws:SourceArn` and `aws:SourceAccount`, and the operators for equality and wildcards. A condition
//! with another key or operator never matches.

use serde_json::Value;

/// A queue's policy.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Vec<Value>,
}

/// A service that sends a message.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Service principal, such as `events.amazonaws.com`.
    pub service: &'a str,
    /// `aws:SourceArn`: the resource on whose behalf the service sends, such as a rule.
    pub source_arn: &'a str,
    /// `aws:SourceAccount`: the account of that resource.
    pub source_account: &'a str,
}

impl Policy {
    /// Parses a policy; returns `None` for text that isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        let statements = match policy.get("Statement")? {
            Value::Array(statements) => statements.clone(),
            statement @ Value::Object(_) => vec![statement.clone()],
            _ => return None,
        };
        Some(Self { statements })
    }

    /// Returns whether the policy allows a sender to send to the queue.
    pub fn allows(&self, sender: Sender<'_>, queue_arn: &str) -> bool {
        let applies = |effect: &str| {
            self.statements
                .iter()
                .any(|statement| statement["Effect"] == effect && applies(statement, sender, queue_arn))
        };
        applies("Allow") && !applies("Deny")
    }
}

fn applies(statement: &Value, sender: Sender<'_>, queue_arn: &str) -> bool {
    // Names of actions are case-insensitive.
    any(&statement["Action"], |pattern| matches_wildcard(&pattern.to_ascii_lowercase(), "sqs:sendmessage"))
        && any(&statement["Resource"], |pattern| matches_wildcard(pattern, queue_arn))
        && matches_principal(&statement["Principal"], sender)
        && matches_conditions(&statement["Condition"], sender)
}

fn matches_principal(principal: &Value, sender: Sender<'_>) -> bool {
    // `"*"` and `{"AWS": "*"}` are equivalent ("AWS JSON policy elements: Principal").
    principal == "*"
        || any(&principal["AWS"], |account| account == "*")
        || any(&principal["Service"], |service| service == sender.service)
}

fn matches_conditions(conditions: &Value, sender: Sender<'_>) -> bool {
    let Value::Object(operators) = conditions else { return conditions.is_null() };
    let matches_key = |operator: &str, key: &str, expected: &Value| {
        // Names of condition keys are case-insensitive.
        let actual = match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => sender.source_arn,
            "aws:sourceaccount" => sender.source_account,
            _ => return false,
        };
        match operator {
            // For ARNs the two are equivalent ("IAM JSON policy elements: Condition operators").
            "ArnEquals" | "ArnLike" | "StringLike" => any(expected, |pattern| matches_wildcard(pattern, actual)),
            "StringEquals" => any(expected, |text| text == actual),
            _ => false,
        }
    };
    operators.iter().all(|(operator, keys)| match keys {
        Value::Object(keys) => keys.iter().all(|(key, expected)| matches_key(operator, key, expected)),
        _ => false,
    })
}

/// Returns whether a string, or one in an array of strings, satisfies a predicate.
fn any(strings: &Value, predicate: impl Fn(&str) -> bool) -> bool {
    match strings {
        Value::String(string) => predicate(string),
        Value::Array(strings) => strings.iter().filter_map(Value::as_str).any(predicate),
        _ => false,
    }
}

/// Returns whether a text matches a pattern, in which `*` matches any characters and `?` matches one.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and the position in the text up to which it matches: where to continue after a mismatch.
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
                Some((at, matched)) => {
                    star = Some((at, matched + 1));
                    p = at + 1;
                    t = matched + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:events";
    const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/tasks";

    fn allows(statements: &Value) -> bool {
        let sender = Sender { service: "events.amazonaws.com", source_arn: RULE, source_account: "111122223333" };
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        Policy::parse(&policy.to_string()).unwrap().allows(sender, QUEUE)
    }

    /// A statement that allows EventBridge to send, with one member replaced.
    fn statement(member: &str, value: Value) -> Value {
        let mut statement = json!({
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": QUEUE,
            "Condition": { "ArnEquals": { "aws:SourceArn": RULE } },
        });
        statement[member] = value;
        statement
    }

    #[test]
    fn a_request_is_denied_by_default() {
        assert!(!allows(&json!([])));
        assert!(!allows(&statement("Effect", json!("Deny"))));
    }

    #[test]
    fn a_statement_allows_when_all_of_its_members_match() {
        for (member, value) in [
            ("Effect", json!("Allow")),
            ("Principal", json!("*")),
            ("Principal", json!({ "AWS": "*" })),
            ("Principal", json!({ "Service": ["sns.amazonaws.com", "events.amazonaws.com"] })),
            ("Action", json!("SQS:*")),
            ("Action", json!(["sqs:ReceiveMessage", "sqs:Send*"])),
            ("Resource", json!("*")),
            ("Resource", json!("arn:aws:sqs:*:event?")),
            ("Condition", json!({})),
            ("Condition", Value::Null),
            ("Condition", json!({ "ArnLike": { "AWS:sourceArn": "arn:aws:events:*:rule/*" } })),
            ("Condition", json!({ "StringLike": { "aws:SourceArn": ["x", "*:rule/tasks"] } })),
            ("Condition", json!({ "StringEquals": { "aws:SourceAccount": "111122223333" } })),
        ] {
            assert!(allows(&statement(member, value.clone())), "{member} {value}");
        }
        assert!(allows(&json!([statement("Effect", json!("Allow"))])), "an array of statements");
    }

    #[test]
    fn a_statement_does_not_apply_when_a_member_differs() {
        let other_rule = "arn:aws:events:eu-west-1:111122223333:rule/other";
        for (member, value) in [
            ("Principal", json!({ "Service": "sns.amazonaws.com" })),
            ("Principal", json!({ "AWS": "arn:aws:iam::111122223333:root" })),
            ("Principal", Value::Null),
            ("Action", json!("sqs:ReceiveMessage")),
            ("Resource", json!("arn:aws:sqs:eu-west-1:111122223333:other")),
            ("Condition", json!({ "ArnEquals": { "aws:SourceArn": other_rule } })),
            ("Condition", json!({ "StringEquals": { "aws:SourceArn": "*" } })),
            ("Condition", json!({ "StringEquals": { "aws:SourceAccount": "444455556666" } })),
            ("Condition", json!({ "ArnEquals": { "aws:SourceArn": RULE }, "Bool": { "aws:SecureTransport": "true" } })),
            ("Condition", json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } })),
            ("Condition", json!("ArnEquals")),
        ] {
            assert!(!allows(&statement(member, value.clone())), "{member} {value}");
        }
    }

    #[test]
    fn a_deny_overrides_an_allow() {
        let allow = statement("Effect", json!("Allow"));
        let deny = statement("Effect", json!("Deny"));
        assert!(!allows(&json!([allow, deny])));
        let mut other_queue = deny;
        other_queue["Resource"] = json!("arn:aws:sqs:eu-west-1:111122223333:other");
        assert!(allows(&json!([allow, other_queue])), "a deny that doesn't apply");
    }

    #[test]
    fn text_without_statements_is_not_a_policy() {
        for text in ["", "{}", "[]", r#"{"Statement": "Allow"}"#] {
            assert!(Policy::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn wildcards_match_any_characters_or_one() {
        for (pattern, text, matches) in
            [("*", "", true), ("a*b*c", "aXbYbZc", true), ("a*b", "abc", false), ("??", "ab", true), ("?", "", false)]
        {
            assert_eq!(matches_wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }
}
