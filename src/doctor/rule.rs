//! The rule that fills the queue.

use super::{Check, Sight};
use crate::aws::event_source::{QueueDescription, RuleState, Sends};
use crate::event_source::{Feed, FeedingRule, Made};

pub fn checks(sight: &Sight<'_>) -> Vec<Check> {
    const CHECK: &str = "rule";
    match &sight.feed {
        Ok(Feed::NoQueue) => Vec::new(),
        // The queue has been read without the rules: the watcher works without asking for them.
        Err(error) if sight.queue.is_some() => vec![Check::not_checked(CHECK, error)],
        Err(_) => Vec::new(),
        Ok(Feed::Queue { queue, rules }) if rules.is_empty() => vec![Check::failed(
            CHECK,
            format!("no rule of the default event bus has {} as a target", queue.name()),
            "Create it, with the queue as its target (terraform apply).",
        )],
        Ok(Feed::Queue { queue, rules }) => rules.iter().flat_map(|rule| of_rule(rule, queue, sight)).collect(),
    }
}

fn of_rule(FeedingRule { rule, unmatched }: &FeedingRule, queue: &QueueDescription, sight: &Sight<'_>) -> Vec<Check> {
    let name = &rule.name;
    let state = match rule.state {
        RuleState::Enabled => Check::ok("rule", format!("{name} is there, and enabled")),
        RuleState::Disabled => Check::failed(
            "rule",
            format!("{name} is disabled: no event arrives"),
            format!("Enable it: aws events enable-rule --name {name}"),
        ),
    };
    let pattern = if unmatched.is_empty() {
        Check::ok("event pattern", format!("{name} matches events of {}", sight.scope.service))
    } else {
        let those: Vec<_> = unmatched.iter().copied().map(Made::as_str).collect();
        Check::failed(
            "event pattern",
            format!("{name} doesn't match the event of a task that {}", those.join(", nor of one that ")),
            format!("Match ECS Task State Change events of the group service:{}.", sight.scope.service),
        )
    };
    let target = sight.rule_targets.iter().find(|(of, _)| of == name).map(|(_, targets)| match targets {
        // The watcher never asks for them.
        Err(error) => Check::not_checked("rule target", error),
        Ok(targets) => match targets.iter().find(|target| target.arn == queue.arn).map(|target| target.sends) {
            Some(Sends::WholeEvents) => Check::ok("rule target", format!("{name} sends whole events to the queue")),
            Some(Sends::SomethingElse) => Check::failed(
                "rule target",
                format!("{name} changes the events on their way, so that nobody can read them"),
                "Take Input, InputPath or InputTransformer away from the target.",
            ),
            None => Check::failed(
                "rule target",
                format!("{name} no longer has the queue as a target"),
                "Give it the queue as its target (terraform apply).",
            ),
        },
    });
    [state, pattern].into_iter().chain(target).collect()
}
