//! The event source: the EventBridge rule that sends the service's events to the queue. If any part of it is wrong, no
//! event arrives, and no call fails.
//!
//! - [`rule`]: the rule's state and event pattern.
//! - [`queue_policy`]: the permission to send to the queue.
//! - [`monitor`]: the checks at the start and every hour.
//! - [`remembered`]: the same answers for several services.

use crate::aws::AwsError;
use crate::aws::event_source::{EventSource, QueueDescription};
use crate::controller::scope::Scope;
use jvb_watcher_rules::finding::{Finding, FindingName};

pub mod location;
pub mod monitor;
pub mod queue_policy;
pub mod remembered;
pub mod rule;
mod sample_event;

use rule::ObservedRule;
pub use sample_event::{Sample, sample_event};

/// The event source, as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSourceState {
    /// The queue doesn't exist.
    QueueMissing,
    /// The queue exists.
    Queue {
        /// The queue.
        queue: Box<QueueDescription>,
        /// The rules with the queue as a target, in order of their names.
        rules: Vec<ObservedRule>,
    },
}

impl EventSourceState {
    /// Returns the queue, if it exists.
    pub fn queue(&self) -> Option<&QueueDescription> {
        match self {
            Self::QueueMissing => None,
            Self::Queue { queue, .. } => Some(queue),
        }
    }
}

/// Reads the queue and the rules that have it as a target.
///
/// # Errors
///
/// The first call that failed.
pub async fn read<E: EventSource>(event_source: &E, scope: &Scope, queue: &str) -> Result<EventSourceState, AwsError> {
    let Some(queue) = event_source.queue(queue).await? else { return Ok(EventSourceState::QueueMissing) };
    let mut names = event_source.rules_with_target(&queue.arn).await?;
    names.sort();
    let mut rules = Vec::new();
    for name in names {
        rules.extend(rule::read(event_source, &name, scope, &queue).await?);
    }
    Ok(EventSourceState::Queue { queue: Box::new(queue), rules })
}

/// Reads the queue and the rules that have it as a target, for no service in particular: no pattern is tested.
///
/// # Errors
///
/// The first call that failed.
pub async fn read_untested<E: EventSource>(event_source: &E, queue: &str) -> Result<EventSourceState, AwsError> {
    let Some(queue) = event_source.queue(queue).await? else { return Ok(EventSourceState::QueueMissing) };
    let mut names = event_source.rules_with_target(&queue.arn).await?;
    names.sort();
    let mut rules = Vec::new();
    for name in names {
        let rule = event_source.rule(&name).await?.filter(|rule| rule.pattern.is_some());
        rules.extend(rule.map(|rule| ObservedRule { rule, unmatched: Vec::new() }));
    }
    Ok(EventSourceState::Queue { queue: Box::new(queue), rules })
}

/// Returns the reasons why the service's events can't arrive; none if at least one rule sends them.
pub fn findings(state: &EventSourceState, queue_option: &str) -> Vec<Finding> {
    let EventSourceState::Queue { queue, rules } = state else {
        let detail = "the queue doesn't exist in this account and region, so no events arrive".to_owned();
        return vec![Finding { name: FindingName::QueueMissing, subject: queue_option.to_owned(), detail }];
    };
    if rules.is_empty() {
        let detail = "no rule on the default event bus has the queue as a target, so no events arrive".to_owned();
        return vec![Finding { name: FindingName::RuleMissing, subject: queue.name().to_owned(), detail }];
    }
    let faults: Vec<_> = rules.iter().map(|rule| rule.fault(queue)).collect();
    if faults.iter().any(Option::is_none) { Vec::new() } else { faults.into_iter().flatten().collect() }
}

#[cfg(test)]
#[allow(missing_docs, reason = "their names say it")]
pub mod samples;
#[cfg(test)]
mod tests;
