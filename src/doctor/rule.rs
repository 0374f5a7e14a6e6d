//! The checks of the rule that fills the queue: its state, its event pattern, and its target.

use super::{Check, SharedEvidence};
use crate::aws::diagnostics::TargetInput;
use crate::aws::event_source::{QueueDescription, RuleState};
use crate::event_source::rule::ObservedRule;
use crate::event_source::{EventSourceState, Sample};

const RULE: &str = "rule";
const EVENT_PATTERN: &str = "event pattern";
const RULE_TARGET: &str = "rule target";

/// Makes the checks; that of the event pattern only for a service.
pub fn checks(evidence: &SharedEvidence<'_>, service: Option<&str>) -> Vec<Check> {
    let skip = |rule: Check, reason: &str| {
        let others = service.map(|_| EVENT_PATTERN).into_iter().chain([RULE_TARGET]);
        [rule].into_iter().chain(others.map(|check| Check::skipped(check, reason))).collect()
    };
    match &evidence.event_source {
        Ok(EventSourceState::QueueMissing) => {
            let reason = "the queue doesn't exist";
            skip(Check::skipped(RULE, reason), reason)
        }
        // The queue could be read, so the worker works; it doesn't depend on reading the rules.
        Err(error) if evidence.queue.is_some() => skip(Check::not_checked(RULE, error), "the rules could not be read"),
        Err(_) => {
            let reason = "the queue could not be read";
            skip(Check::skipped(RULE, reason), reason)
        }
        Ok(EventSourceState::Queue { queue, rules }) if rules.is_empty() => {
            let detail = format!("no rule on the default event bus has {} as a target", queue.name());
            let advice = "Create it, with the queue as its target (terraform apply).";
            skip(Check::failed(RULE, detail, advice), "there is no rule")
        }
        Ok(EventSourceState::Queue { queue, rules }) => rules
            .iter()
            .flat_map(|rule| {
                let pattern = service.map(|service| pattern(rule, rules, service));
                [Some(state(rule)), pattern, Some(target(rule, queue, evidence))]
            })
            .flatten()
            .collect(),
    }
}

fn state(ObservedRule { rule, .. }: &ObservedRule) -> Check {
    let name = &rule.name;
    match rule.state {
        RuleState::Enabled => Check::ok(RULE, format!("{name} is enabled")),
        RuleState::Disabled => Check::failed(
            RULE,
            format!("{name} is disabled, so no events arrive"),
            format!("Enable it: aws events enable-rule --name {name}"),
        ),
    }
}

/// Checks the pattern of one of the rules. What another rule matches is not missing.
fn pattern(ObservedRule { rule, unmatched }: &ObservedRule, rules: &[ObservedRule], service: &str) -> Check {
    let name = &rule.name;
    let is_missing = |sample: &Sample| {
        let mut enabled = rules.iter().filter(|of| of.rule.state == RuleState::Enabled);
        enabled.all(|of| of.unmatched.contains(sample))
    };
    let missing = unmatched.iter().copied().filter(is_missing);
    let (required, optional): (Vec<Sample>, Vec<Sample>) = missing.partition(|sample| sample.is_required());
    let doesnt_match = |samples: &[Sample]| {
        let subjects: Vec<_> = samples.iter().copied().map(Sample::subject).collect();
        format!("{name} doesn't match the event of {}", subjects.join(" or "))
    };
    match (required.as_slice(), optional.as_slice()) {
        ([], []) if unmatched.is_empty() => Check::ok(EVENT_PATTERN, format!("{name} matches the events of {service}")),
        ([], []) => Check::ok(EVENT_PATTERN, format!("another rule matches what {name} leaves out")),
        ([], optional) => Check::warning(
            EVENT_PATTERN,
            doesnt_match(optional),
            "Match the service's failures, too, to have ECS's reason when tasks don't start (terraform apply).",
        ),
        (required, _) => Check::failed(
            EVENT_PATTERN,
            doesnt_match(required),
            format!("Match ECS Task State Change events of the group service:{service}."),
        ),
    }
}

fn target(ObservedRule { rule, .. }: &ObservedRule, queue: &QueueDescription, evidence: &SharedEvidence<'_>) -> Check {
    let name = &rule.name;
    let targets = match evidence.rule_targets.iter().find(|of| of.rule == *name).map(|of| &of.targets) {
        Some(Ok(targets)) => targets,
        Some(Err(error)) => return Check::not_checked(RULE_TARGET, error),
        None => return Check::skipped(RULE_TARGET, format!("the targets of {name} were not read")),
    };
    match targets.iter().find(|target| target.arn == queue.arn).map(|target| target.input) {
        Some(TargetInput::MatchedEvent) => Check::ok(RULE_TARGET, format!("{name} sends whole events to the queue")),
        Some(TargetInput::Transformed) => Check::failed(
            RULE_TARGET,
            format!("{name} transforms the events, so that the worker can't parse them"),
            "Remove Input, InputPath or InputTransformer from the target.",
        ),
        None => Check::failed(
            RULE_TARGET,
            format!("{name} no longer has the queue as a target"),
            "Add the queue as its target (terraform apply).",
        ),
    }
}
