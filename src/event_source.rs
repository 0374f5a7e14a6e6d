//! The feed: the way of the service's events from ECS over a rule to the queue. Where it is cut, nothing ever arrives,
//! and nothing fails.

use crate::aws::AwsError;
use crate::aws::event_source::{EventSource, QueueDescription, Rule, RuleState};
use crate::controller::reconcile::Scope;
use jvb_watcher_rules::finding::{Finding, FindingName};

pub mod queue_policy;
mod sample_event;
pub mod watch;

use queue_policy::{Policy, Sender};
pub use sample_event::{Made, Place, sample_event};

/// Who sends for a rule.
pub const EVENTBRIDGE: &str = "events.amazonaws.com";

/// The feed, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// There is no such queue.
    NoQueue,
    /// The queue, and the rules that have it as a target.
    Queue {
        /// The queue.
        queue: Box<QueueDescription>,
        /// The rules, by name.
        rules: Vec<FeedingRule>,
    },
}

/// A rule that has the queue as a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedingRule {
    /// The rule.
    pub rule: Rule,
    /// Which of the service's events it doesn't match.
    pub unmatched: Vec<Made>,
}

/// Reads the feed.
///
/// # Errors
///
/// The first call that failed.
pub async fn read<W: EventSource>(event_source: &W, scope: &Scope, queue: &str) -> Result<Feed, AwsError> {
    let Some(queue) = event_source.queue(queue).await? else { return Ok(Feed::NoQueue) };
    let mut names = event_source.rules_with_target(&queue.arn).await?;
    names.sort();
    let mut rules = Vec::new();
    for name in names {
        // One that is gone by now sends nothing.
        let Some(rule) = event_source.rule(&name).await? else { continue };
        // A schedule's events are not the service's.
        let Some(pattern) = rule.pattern.clone() else { continue };
        let mut unmatched = Vec::new();
        for made in [Made::Running, Made::Stopped] {
            let event = sample_event(scope, &Place::of_queue(&queue.arn), made);
            if !event_source.matches(&pattern, &event.to_string()).await? {
                unmatched.push(made);
            }
        }
        rules.push(FeedingRule { rule, unmatched });
    }
    Ok(Feed::Queue { queue: Box::new(queue), rules })
}

/// Why the service's events can't arrive; empty when they can, by one rule at least.
pub fn findings(feed: &Feed, queue_option: &str) -> Vec<Finding> {
    let Feed::Queue { queue, rules } = feed else {
        let detail = "there is no such queue in this account and region, so no event can arrive".to_owned();
        return vec![Finding { name: FindingName::QueueMissing, subject: queue_option.to_owned(), detail }];
    };
    if rules.is_empty() {
        let detail = "no rule of the default event bus has this queue as a target, so no event can arrive".to_owned();
        return vec![Finding { name: FindingName::RuleMissing, subject: queue.name().to_owned(), detail }];
    }
    let broken: Vec<_> = rules.iter().map(|rule| fault(rule, queue)).collect();
    if broken.iter().any(Option::is_none) { Vec::new() } else { broken.into_iter().flatten().collect() }
}

/// What keeps a rule from sending the service's events.
fn fault(FeedingRule { rule, unmatched }: &FeedingRule, queue: &QueueDescription) -> Option<Finding> {
    let (name, subject, detail) = if rule.state == RuleState::Disabled {
        let detail = "the rule that sends the service's events to the queue is disabled, so none arrives";
        (FindingName::RuleDisabled, rule.name.as_str(), detail.to_owned())
    } else if let Some(made) = unmatched.first() {
        let detail = format!("its pattern doesn't match the event of a task of this service that {}", made.as_str());
        (FindingName::RuleMismatched, rule.name.as_str(), detail)
    } else if !lets_send(queue, &rule.arn) {
        let detail = format!("its access policy doesn't let the rule {} send to it", rule.name);
        (FindingName::QueueClosed, queue.name(), detail)
    } else {
        return None;
    };
    Some(Finding { name, subject: subject.to_owned(), detail })
}

/// Whether the queue's policy lets a rule send; without a policy it lets nobody.
pub fn lets_send(queue: &QueueDescription, rule_arn: &str) -> bool {
    let place = Place::of_queue(&queue.arn);
    let sender = Sender { service: EVENTBRIDGE, source_arn: rule_arn, source_account: &place.account };
    let policy = queue.policy.as_deref().and_then(Policy::parse);
    policy.is_some_and(|policy| policy.allows(sender, &queue.arn))
}

#[cfg(test)]
#[allow(missing_docs, reason = "their names say it")]
pub mod samples;
#[cfg(test)]
mod tests;
