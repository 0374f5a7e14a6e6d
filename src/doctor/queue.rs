//! The checks of the queue: its redrive policy, its dead-letter queue, and its access policy.

use super::{Check, SharedEvidence};
use crate::aws::event_source::QueueDescription;
use crate::event_source::EventSourceState;
use crate::event_source::location::Location;
use crate::event_source::queue_policy::{EVENTBRIDGE, Policy, Sender, may_send};

/// With a lower maxReceiveCount, SQS gives up messages after a few failed reconciliations or a restart of the worker.
const MIN_RECEIVE_COUNT: u64 = 3;

const QUEUE: &str = "queue";
const REDRIVE_POLICY: &str = "redrive policy";
const DEAD_LETTER_QUEUE: &str = "dead-letter queue";
const QUEUE_POLICY: &str = "queue policy";

pub fn checks(evidence: &SharedEvidence<'_>) -> Vec<Check> {
    let skip = |queue: Check, reason: &str| {
        let others = [REDRIVE_POLICY, DEAD_LETTER_QUEUE, QUEUE_POLICY].map(|check| Check::skipped(check, reason));
        [queue].into_iter().chain(others).collect()
    };
    let queue = match (&evidence.event_source, &evidence.queue) {
        (Ok(EventSourceState::Queue { queue, .. }), _) => queue,
        (Err(_), Some(queue)) => queue,
        (Ok(EventSourceState::QueueMissing), _) => {
            let detail = format!("{} doesn't exist in this account and region", evidence.queue_option);
            let advice = "Create it (terraform apply), or correct --queue or --region.";
            return skip(Check::failed(QUEUE, detail, advice), "the queue doesn't exist");
        }
        (Err(error), None) => return skip(Check::call_failed(QUEUE, error), "the queue could not be read"),
    };
    let access = match &evidence.event_source {
        Ok(EventSourceState::Queue { rules, .. }) => {
            access(queue, &rules.iter().map(|rule| rule.rule.arn.as_str()).collect::<Vec<_>>())
        }
        _ => Check::skipped(QUEUE_POLICY, "the rules could not be read"),
    };
    let exists = Check::ok(QUEUE, format!("{} exists", queue.name()));
    vec![exists, redrive_policy(queue), dead_letter_queue(evidence, queue), access]
}

fn redrive_policy(queue: &QueueDescription) -> Check {
    match &queue.redrive_policy {
        None => Check::warning(
            REDRIVE_POLICY,
            "the queue has none: the worker logs a message that it can't parse, and deletes it at the fifth receive",
            "Add a dead-letter queue to keep such messages.",
        ),
        Some(policy) if policy.max_receive_count < MIN_RECEIVE_COUNT => Check::warning(
            REDRIVE_POLICY,
            format!("SQS gives up a message after {} receive(s)", policy.max_receive_count),
            format!("Set maxReceiveCount to {MIN_RECEIVE_COUNT} or more; 5 is a good value."),
        ),
        Some(policy) => {
            let (name, receives) = (policy.dead_letter_queue_name(), policy.max_receive_count);
            Check::ok(REDRIVE_POLICY, format!("to {name} after {receives} receives"))
        }
    }
}

fn dead_letter_queue(evidence: &SharedEvidence<'_>, queue: &QueueDescription) -> Check {
    let (Some(policy), Some(read)) = (&queue.redrive_policy, &evidence.dead_letter_queue) else {
        return Check::skipped(DEAD_LETTER_QUEUE, "the queue has no redrive policy");
    };
    let name = policy.dead_letter_queue_name();
    match read {
        Err(error) => Check::not_checked(DEAD_LETTER_QUEUE, error),
        Ok(None) => Check::failed(
            DEAD_LETTER_QUEUE,
            format!("{name} doesn't exist, so SQS delivers messages that can't be parsed again and again"),
            "Create it, or correct the queue's redrive policy.",
        ),
        Ok(Some(dead)) if dead.depth() > 0 => Check::warning(
            DEAD_LETTER_QUEUE,
            format!("{name} holds {} message(s) that could not be parsed or delivered", dead.depth()),
            "Inspect them in the SQS console, then purge the queue.",
        ),
        Ok(Some(_)) => Check::ok(DEAD_LETTER_QUEUE, format!("{name} exists and is empty")),
    }
}

/// Checks that the rules that fill the queue may send to it, and that nothing else may.
fn access(queue: &QueueDescription, rule_arns: &[&str]) -> Check {
    if let Some(arn) = rule_arns.iter().find(|arn| !may_send(queue, arn)) {
        return Check::failed(
            QUEUE_POLICY,
            format!("it doesn't allow {arn} to send"),
            "Allow events.amazonaws.com sqs:SendMessage for this rule, by aws:SourceArn (terraform apply).",
        );
    }
    let policy = queue.policy.as_deref().and_then(Policy::parse);
    let location = Location::of_arn(&queue.arn);
    let other_rule = location.arn("events", "rule/jvb-watcher-doctor-another-rule");
    let other_account = Location { account: "000000000000".to_owned(), ..location.clone() };
    let foreign_rule = other_account.arn("events", "rule/jvb-watcher-doctor-foreign-rule");
    let topic = location.arn("sns", "jvb-watcher-doctor-topic");
    let account = location.account.as_str();
    let rule = |source_arn, source_account| Sender { service: EVENTBRIDGE, source_arn, source_account };
    let others = [
        ("rules of other accounts", rule(&foreign_rule, other_account.account.as_str())),
        ("other rules of this account", rule(&other_rule, account)),
        ("other services", Sender { service: "sns.amazonaws.com", source_arn: &topic, source_account: account }),
    ];
    let may_send = |sender| policy.as_ref().is_some_and(|policy| policy.allows(sender, &queue.arn));
    let allowed: Vec<_> = others.into_iter().filter(|(_, sender)| may_send(*sender)).map(|(who, _)| who).collect();
    if allowed.is_empty() {
        return match rule_arns {
            [] => Check::ok(QUEUE_POLICY, "nothing may send"),
            _ => Check::ok(QUEUE_POLICY, "only the rule may send"),
        };
    }
    // A forged event triggers a reconciliation, and does no other harm.
    Check::warning(
        QUEUE_POLICY,
        format!("it allows {} to send, too", allowed.join(" and ")),
        "Restrict the policy to the rule, by a condition on aws:SourceArn.",
    )
}
