//! The text of errors, reasons and events: error codes and known words are kept, every other word is replaced. Such a text can
//! quote anything: a request with its session token, a registry's URL with a password, a command.

use super::mask::MASKED;

/// The longest error code or state that is kept.
const LONGEST_CODE: usize = 64;

/// The most digits of a number that is kept: a port of five digits or an id isn't.
const LONGEST_NUMBER: usize = 3;

/// The services whose actions are named in the texts of denied requests.
const SERVICES: [&str; 7] = ["cloudwatch", "ecs", "elasticloadbalancing", "events", "iam", "sqs", "sts"];

/// Masks a text. Spaces and line breaks become one space.
pub(super) fn masked(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for (index, word) in text.split_whitespace().enumerate() {
        // `CannotPullContainerError: …`, or a state alone: `Target.ResponseCodeMismatch`.
        let stands_as_code = index == 0 && (word.ends_with(':') || word.len() == text.trim().len());
        if is_known(word) || (stands_as_code && is_code(word)) {
            words.push(word);
        } else if words.last() != Some(&MASKED) {
            words.push(MASKED);
        }
    }
    words.join(" ")
}

/// Returns whether a word has the form of error codes and states: letters, in parts that begin with a capital letter.
fn is_code(word: &str) -> bool {
    let word = word.trim_end_matches([':', '.']);
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    word.len() <= LONGEST_CODE && word.split(['.', ':', '_']).all(is_part)
}

fn is_known(word: &str) -> bool {
    let word: String = word.chars().filter(|c| !"()[],.;'\"".contains(*c)).collect();
    let word = word.trim_end_matches(':');
    if word.is_empty() || (word.len() <= LONGEST_NUMBER && word.bytes().all(|byte| byte.is_ascii_digit())) {
        return true;
    }
    if let Some((service, action)) = word.split_once(':') {
        let is_action = is_code(action) && !action.contains([':', '.', '_']);
        return SERVICES.contains(&service) && is_action;
    }
    let is_error = (word.ends_with("Error") || word.ends_with("Exception")) && is_code(word);
    is_error || word.to_ascii_lowercase().split('-').all(|part| WORDS.binary_search(&part).is_ok())
}

/// The words of the messages in AWS's API references, and of the reasons in "Amazon ECS stopped tasks error messages" and
/// "Amazon ECS service event messages", in lower case and in order.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "a", "able", "abort", "aborted", "about", "access", "account", "action", "actions", "active", "activity", "added",
    "address", "addresses", "after", "again", "agent", "all", "allow", "allowed", "allows", "already", "amazon", "an",
    "and", "another", "any", "api", "application", "are", "arguments", "arn", "arns", "array", "as", "assumed", "at",
    "attached", "attachment", "attempt", "attempted", "attempts", "attribute", "attributes", "auth", "authentication",
    "authorization", "authorized", "availability", "available", "aws", "back", "balancer", "balancers", "batch", "be",
    "because", "been", "before", "begin", "begun", "belongs", "between", "body", "both", "breaker", "but", "by", "call",
    "called", "caller", "calling", "can", "cannot", "cant", "capacity", "certificate", "change", "changed", "changes",
    "characters", "check", "checks", "circuit", "client", "closest", "cluster", "code", "codes", "combination",
    "command", "complete", "completed", "condition", "configuration", "configured", "conflict", "connect", "connection",
    "consistently", "contact", "contain", "container", "containers", "contains", "could", "count", "cpu", "create",
    "created", "creating", "credential", "credentials", "currently", "date", "day", "days", "deadline", "default",
    "definition", "delete", "deleted", "deleting", "deletion", "denied", "deny", "deployment", "deployments",
    "deregister", "deregistered", "deregistering", "deregistration", "describe", "desired", "detail", "did",
    "different", "disabled", "disk", "do", "does", "doesnt", "dont", "draining", "drift", "due", "duplicate", "during",
    "each", "ecr", "ecs", "elastic", "element", "elements", "empty", "enabled", "encountered", "end", "endpoint", "eni",
    "error", "errors", "essential", "event", "eventbridge", "events", "exceed", "exceeded", "exceeds", "exist",
    "existing", "exists", "exit", "exited", "expected", "expired", "explicit", "failed", "failing", "failure",
    "failures", "fargate", "fetch", "few", "field", "file", "filter", "finish", "first", "for", "format", "forward",
    "found", "from", "get", "given", "group", "groups", "handle", "has", "have", "header", "health", "healthy", "host",
    "hour", "hours", "however", "http", "https", "iam", "id", "identifier", "identity", "ids", "if", "image",
    "immediately", "in", "inactive", "include", "incorrect", "info", "information", "initial", "initialization",
    "initialize", "initiated", "input", "insensitive", "instance", "instances", "insufficient", "integer", "interface",
    "internal", "internet", "interrupted", "interruption", "interval", "invalid", "invoked", "ip", "is", "isnt", "it",
    "its", "json", "key", "killed", "later", "launch", "least", "length", "less", "limit", "limits", "list", "listener",
    "listeners", "load", "log", "logs", "long", "longer", "made", "malformed", "manifest", "many", "matching", "max",
    "maximum", "may", "member", "members", "memory", "message", "messages", "met", "method", "minimum", "minute",
    "minutes", "missing", "mode", "more", "most", "must", "name", "names", "nat", "network", "next", "no", "non", "not",
    "null", "number", "object", "of", "offset", "on", "one", "only", "operation", "or", "order", "other", "out", "page",
    "parameter", "parameters", "parse", "partition", "path", "pattern", "pending", "per", "perform", "permission",
    "permissions", "permitted", "place", "placed", "placement", "platform", "please", "policies", "policy", "port",
    "ports", "previous", "principal", "progress", "propagation", "protection", "protocol", "provided", "provider",
    "provisioning", "pull", "pulled", "queue", "queues", "quota", "range", "rate", "reached", "reason", "received",
    "ref", "region", "register", "registered", "registering", "registration", "registry", "rejected", "remote",
    "remove", "removed", "replaced", "replacement", "replica", "request", "requested", "requests", "require",
    "required", "requirements", "requires", "resolve", "resolved", "resource", "resources", "response", "retried",
    "retry", "retrying", "role", "rolled", "rolling", "route", "rule", "rules", "running", "same", "scaling",
    "schedule", "scheduler", "scheduling", "scope", "second", "seconds", "secret", "secrets", "security", "see",
    "selected", "send", "sending", "serve", "server", "service", "services", "session", "set", "setting", "settings",
    "setup", "should", "signal", "signature", "signed", "size", "some", "space", "specified", "specify", "spot",
    "stable", "start", "started", "starting", "starts", "state", "statement", "states", "status", "steady", "stop",
    "stopped", "stopping", "stream", "string", "subnet", "subnets", "successfully", "such", "support", "supported",
    "syntax", "system", "tag", "tags", "target", "targets", "task", "tasks", "temporarily", "temporary", "terminated",
    "than", "that", "the", "their", "there", "these", "they", "this", "those", "throttled", "time", "timed", "timeout",
    "times", "timestamp", "to", "token", "too", "traffic", "trust", "try", "two", "type", "types", "unable",
    "unavailable", "unexpected", "unhealthy", "unknown", "unsupported", "until", "update", "updated", "usage", "use",
    "used", "user", "using", "valid", "validate", "validation", "value", "values", "version", "visibility", "volume",
    "vpc", "wait", "waiting", "was", "were", "when", "where", "which", "while", "will", "with", "within", "without",
    "would", "yet", "you", "your", "zero", "zone", "zones",
];

#[cfg(test)]
mod tests {
    use super::{WORDS, masked};

    #[test]
    fn words_are_in_order() {
        assert!(WORDS.is_sorted());
    }

    #[test]
    fn codes_and_known_words_are_kept() {
        for kept in [
            "MISSING",
            "RESOURCE:FARGATE",
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [503]",
            "Essential container in task exited",
            "OutOfMemoryError: Container killed due to memory usage",
        ] {
            assert_eq!(masked(kept), kept);
        }
        let denied = "User: arn:aws:sts::123456789012:assumed-role/Admin/jane is not authorized to perform: \
                      ecs:DescribeTasks on resource: arn:aws:ecs:eu-west-1:123456789012:task/c/1 because no policy";
        let of_denied =
            "User: masked is not authorized to perform: ecs:DescribeTasks on resource: masked because no policy";
        assert_eq!(masked(denied), of_denied);
    }

    #[test]
    fn other_words_are_replaced() {
        for (text, expected) in [
            (
                "CannotPullContainerError: failed to resolve ref https://user:pw@registry/x: not found",
                "CannotPullContainerError: failed to resolve ref masked not found",
            ),
            ("with secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "with secret masked"),
            ("x-amz-security-token:FwoGZXIvYXdzEXAMPLE\nhost:sqs", "masked"),
            ("hunter2", "masked"),
            ("hunter", "masked"),
            ("(service p-jvb) has started 1 tasks", "(service masked has started 1 tasks"),
            ("sqs:hunter2 ecs:a.b 12345", "masked"),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
