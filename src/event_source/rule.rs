//! The rule that sends the service's events: its state, its event pattern, and its permission to send to the queue.

use super::location::Location;
use super::queue_policy::may_send;
use super::sample_event::{Sample, sample_event};
use crate::aws::AwsError;
use crate::aws::event_source::{EventSource, QueueDescription, Rule, RuleState};
use crate::controller::scope::Scope;
use jvb_watcher_rules::finding::{Finding, FindingName};

/// A rule with the queue as a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedRule {
    /// The rule.
    pub rule: Rule,
    /// The sample events that its pattern doesn't match.
    pub unmatched: Vec<Sample>,
}

/// Reads a rule and tests its pattern with sample events of the service; `None` for a rule that no longer exists and for a
/// scheduled rule, which sends none of the service's events.
pub(super) async fn read<E: EventSource>(
    event_source: &E,
    name: &str,
    scope: &Scope,
    queue: &QueueDescription,
) -> Result<Option<ObservedRule>, AwsError> {
    let Some(rule) = event_source.rule(name).await? else { return Ok(None) };
    let Some(pattern) = rule.pattern.clone() else { return Ok(None) };
    let mut unmatched = Vec::new();
    for sample in Sample::ALL {
        let event = sample_event(scope, &Location::of_arn(&queue.arn), sample);
        if !event_source.matches(&pattern, &event.to_string()).await? {
            unmatched.push(sample);
        }
    }
    Ok(Some(ObservedRule { rule, unmatched }))
}

impl ObservedRule {
    /// Returns the reason why the rule doesn't send the service's events to the queue, if there is one.
    pub(super) fn fault(&self, queue: &QueueDescription) -> Option<Finding> {
        let Self { rule, unmatched } = self;
        let (name, subject, detail) = if rule.state == RuleState::Disabled {
            let detail = "the rule that sends the service's events to the queue is disabled, so no events arrive";
            (FindingName::RuleDisabled, rule.name.as_str(), detail.to_owned())
        } else if let Some(sample) = unmatched.iter().find(|sample| sample.is_required()) {
            let detail = format!("its event pattern doesn't match the event of {}", sample.subject());
            (FindingName::RuleMismatched, rule.name.as_str(), detail)
        } else if !may_send(queue, &rule.arn) {
            let detail = format!("its access policy doesn't allow the rule {} to send messages", rule.name);
            (FindingName::QueueClosed, queue.name(), detail)
        } else {
            return None;
        };
        Some(Finding { name, subject: subject.to_owned(), detail })
    }
}
