//! The queue, what becomes of messages that nobody can read, and who may send to it.

use super::{Check, Sight};
use crate::aws::event_source::QueueDescription;
use crate::event_source::queue_policy::{Policy, Sender};
use crate::event_source::{EVENTBRIDGE, Feed, Place, lets_send};

/// With fewer receives a message that meets a few failed looks, or a worker that is stopped, is given up.
const FEWEST_RECEIVES: u64 = 3;

pub fn checks(sight: &Sight<'_>) -> Vec<Check> {
    const CHECK: &str = "queue";
    let queue = match (&sight.feed, &sight.queue) {
        (Ok(Feed::Queue { queue, .. }), _) => queue,
        (Err(_), Some(queue)) => queue,
        (Ok(Feed::NoQueue), _) => {
            let detail = format!("there is no queue {} in this account and region", sight.queue_option);
            return vec![Check::failed(CHECK, detail, "Create it (terraform apply), or check --queue and --region.")];
        }
        (Err(error), None) => return vec![Check::call_failed(CHECK, error)],
    };
    let mut checks = vec![Check::ok(CHECK, format!("{} is there", queue.name())), redrive(queue)];
    checks.extend(dead_letter_queue(sight, queue));
    if let Ok(Feed::Queue { rules, .. }) = &sight.feed {
        let arns: Vec<_> = rules.iter().map(|rule| rule.rule.arn.as_str()).collect();
        checks.push(access(queue, &arns));
    }
    checks
}

fn redrive(queue: &QueueDescription) -> Check {
    const CHECK: &str = "redrive policy";
    match &queue.dead_letters {
        None => Check::warning(
            CHECK,
            "there is none: a message that nobody can read is logged, and deleted at the fifth receive",
            "Give the queue a dead-letter queue, to keep such messages.",
        ),
        Some(dead_letters) if dead_letters.max_receives < FEWEST_RECEIVES => Check::warning(
            CHECK,
            format!("messages are given up after {} receive(s)", dead_letters.max_receives),
            format!("Set maxReceiveCount to {FEWEST_RECEIVES} or more; 5 is a good number."),
        ),
        Some(dead_letters) => {
            let (name, receives) = (dead_letters.queue_name(), dead_letters.max_receives);
            Check::ok(CHECK, format!("to {name} after {receives} receives"))
        }
    }
}

fn dead_letter_queue(sight: &Sight<'_>, queue: &QueueDescription) -> Option<Check> {
    const CHECK: &str = "dead-letter queue";
    let name = queue.dead_letters.as_ref()?.queue_name();
    Some(match sight.dead_letter_queue.as_ref()? {
        // The watcher never asks for it.
        Err(error) => Check::not_checked(CHECK, error),
        Ok(None) => Check::failed(
            CHECK,
            format!("{name} doesn't exist, so what nobody can read comes again and again"),
            "Create it, or mend the queue's redrive policy.",
        ),
        Ok(Some(dead)) if dead.depth() > 0 => Check::warning(
            CHECK,
            format!("{} message(s) lie in {name}: nobody could read, or deliver, them", dead.depth()),
            "Look at them in SQS's console, then purge the queue.",
        ),
        Ok(Some(_)) => Check::ok(CHECK, format!("{name} is there, and empty")),
    })
}

/// Whether exactly the rules that fill the queue may send to it.
fn access(queue: &QueueDescription, rule_arns: &[&str]) -> Check {
    const CHECK: &str = "queue policy";
    if let Some(arn) = rule_arns.iter().find(|arn| !lets_send(queue, arn)) {
        return Check::failed(
            CHECK,
            format!("it doesn't let {arn} send"),
            "Let events.amazonaws.com do sqs:SendMessage for this rule, by aws:SourceArn (terraform apply).",
        );
    }
    let policy = queue.policy.as_deref().and_then(Policy::parse);
    let place = Place::of_queue(&queue.arn);
    let another_rule = place.arn("events", "rule/jvb-watcher-doctor-another-rule");
    let elsewhere = Place { account: "000000000000".to_owned(), ..place.clone() };
    let foreign_rule = elsewhere.arn("events", "rule/jvb-watcher-doctor-foreign-rule");
    let a_topic = place.arn("sns", "jvb-watcher-doctor-topic");
    let others = [
        ("rules of other accounts", EVENTBRIDGE, &foreign_rule, &elsewhere.account),
        ("other rules of this account", EVENTBRIDGE, &another_rule, &place.account),
        ("other services", "sns.amazonaws.com", &a_topic, &place.account),
    ];
    let may_send = |(_, service, source_arn, source_account): &(&str, &str, &String, &String)| {
        let sender = Sender { service, source_arn, source_account };
        policy.as_ref().is_some_and(|policy| policy.allows(sender, &queue.arn))
    };
    let too_many: Vec<_> = others.iter().filter(|other| may_send(other)).map(|(who, ..)| *who).collect();
    if too_many.is_empty() {
        return match rule_arns {
            [] => Check::ok(CHECK, "nobody may send"),
            _ => Check::ok(CHECK, "exactly the rule may send"),
        };
    }
    // A forged event makes the watcher look, and does no other harm.
    Check::warning(
        CHECK,
        format!("it lets {} send, too", too_many.join(" and ")),
        "Name the rule in the policy's condition, by aws:SourceArn.",
    )
}
