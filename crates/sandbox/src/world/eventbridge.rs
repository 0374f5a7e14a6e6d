//! Amazon EventBridge: the default event bus, its rules, and their targets, which are queues.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::Context;
use crate::api::eventbridge::{Request, Response};
use crate::api::{ApiError, Empty};

mod events;
mod pattern;
mod rules;
mod targets;
#[cfg(test)]
mod tests;

pub use events::Envelope;
use rules::Rule;

/// State of EventBridge.
#[derive(Debug, Default)]
pub struct EventBridge {
    /// Rules by name.
    rules: BTreeMap<String, Rule>,
    /// Recent events for [`EventBridge::replay`], the oldest first.
    recent: VecDeque<Value>,
    counts: EventCounts,
}

/// Numbers of events by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events emitted, lost ones included. Duplicates and replayed events don't count.
    pub made: u64,
    /// Messages delivered to queues.
    pub delivered: u64,
    /// Events that no rule matched.
    pub unmatched: u64,
    /// Events lost according to the settings.
    pub lost: u64,
    /// Deliveries that failed because the queue doesn't exist or its policy doesn't allow them.
    pub refused: u64,
}

impl EventBridge {
    /// Returns the counts of events so far.
    pub fn counts(&self) -> EventCounts {
        self.counts
    }

    /// Handles a request.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn call(&mut self, request: Request, context: &mut Context<'_>) -> Result<Response, ApiError> {
        Ok(match request {
            Request::PutRule(input) => Response::PutRule(self.put_rule(input, context.settings)?),
            Request::DescribeRule(input) => Response::DescribeRule(self.describe_rule(&input)?),
            Request::ListRules(input) => Response::ListRules(self.list_rules(&input)?),
            Request::EnableRule(input) => {
                self.set_rule_state(&input, "ENABLED")?;
                Response::EnableRule(Empty {})
            }
            Request::DisableRule(input) => {
                self.set_rule_state(&input, "DISABLED")?;
                Response::DisableRule(Empty {})
            }
            Request::DeleteRule(input) => {
                self.delete_rule(&input)?;
                Response::DeleteRule(Empty {})
            }
            Request::PutTargets(input) => Response::PutTargets(self.put_targets(input)?),
            Request::RemoveTargets(input) => Response::RemoveTargets(self.remove_targets(&input)?),
            Request::ListTargetsByRule(input) => Response::ListTargetsByRule(self.list_targets(&input)?),
            Request::ListRuleNamesByTarget(input) => Response::ListRuleNamesByTarget(self.list_rule_names(&input)?),
            Request::PutEvents(input) => Response::PutEvents(self.put_events(&input, context)?),
            Request::TagResource(input) => {
                self.tag_rule(input)?;
                Response::TagResource(Empty {})
            }
            Request::UntagResource(input) => {
                self.untag_rule(&input)?;
                Response::UntagResource(Empty {})
            }
            Request::ListTagsForResource(input) => Response::ListTagsForResource(self.list_tags(&input)?),
            Request::TestEventPattern(input) => Response::TestEventPattern(rules::test_pattern(&input)?),
        })
    }
}

/// Checks that a name or an ARN is that of the default event bus.
fn check_bus(name: Option<&str>) -> Result<(), ApiError> {
    match name {
        None | Some("default") => Ok(()),
        Some(arn) if arn.starts_with("arn:") && arn.ends_with(":event-bus/default") => Ok(()),
        Some(name) => Err(ApiError::new("ResourceNotFoundException", format!("Event bus {name} does not exist."))),
    }
}

/// Returns the page size for a limit in a request.
fn page_size(limit: Option<usize>) -> usize {
    limit.unwrap_or(100).clamp(1, 100)
}

fn invalid_token() -> ApiError {
    invalid("The token is not valid.")
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}
