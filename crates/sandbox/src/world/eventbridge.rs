//! Amazon EventBridge: the default bus, its rules, and their targets, which are queues.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use super::page::page;
use super::settings::Settings;
use super::sqs::{Sender, Sqs, Tools};
use super::{Context, Due, event};
use crate::api::eventbridge::{self as api, Request, Response};
use crate::api::{ApiError, Empty, Tag};

mod pattern;
#[cfg(test)]
mod tests;

use pattern::Pattern;

/// How many targets a rule can have.
const TARGETS: usize = 5;

/// How many events are remembered, to be sent again.
const REMEMBERED: usize = 1000;

/// A rule.
#[derive(Debug)]
struct Rule {
    shown: api::Rule,
    pattern: Option<Pattern>,
    /// Targets by id.
    targets: BTreeMap<String, api::Target>,
    tags: BTreeMap<String, String>,
}

/// The default bus.
#[derive(Debug, Default)]
pub struct EventBridge {
    rules: BTreeMap<String, Rule>,
    /// The events of late, the oldest first.
    past: VecDeque<Value>,
    counts: EventCounts,
}

/// What became of the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// How many were made, lost ones included and repetitions not.
    pub made: u64,
    /// How many messages they became in queues.
    pub delivered: u64,
    /// How many were lost on purpose.
    pub lost: u64,
    /// How many deliveries a queue's policy, or the lack of one, prevented.
    pub refused: u64,
}

impl EventBridge {
    /// What became of the events so far.
    pub fn counts(&self) -> EventCounts {
        self.counts
    }

    /// Takes in an event: it will arrive after a while, or befall what is set to befall events.
    pub fn emit(&mut self, event: Value, context: &mut Context<'_>) {
        self.counts.made += 1;
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(event.clone());
        let settings = &context.settings.events;
        // All is drawn for every event, so that one fault's rate doesn't change what the others hit.
        let lost = context.random.happens(settings.lost);
        let duplicated = context.random.happens(settings.duplicated);
        let (delayed, delay) = (context.random.happens(settings.delayed), context.random.part(settings.delay));
        let (reordered, shift) =
            (context.random.happens(settings.reordered), context.random.part(settings.reorder_within));
        let again = context.random.part(settings.reorder_within);
        if lost {
            self.counts.lost += 1;
            return;
        }
        let mut arrives = settings.latency;
        if delayed {
            arrives = arrives.saturating_add(delay);
        }
        if reordered {
            arrives = arrives.saturating_add(shift);
        }
        if duplicated {
            context.due_in(arrives.saturating_add(again), Due::Deliver(event.clone()));
        }
        context.due_in(arrives, Due::Deliver(event));
    }

    /// Sends the last events once more.
    pub fn replay(&self, number: usize, context: &mut Context<'_>) {
        for event in self.past.iter().skip(self.past.len().saturating_sub(number)) {
            context.due_in(context.settings.events.latency, Due::Deliver(event.clone()));
        }
    }

    /// Brings an event to the targets of the rules that it fits.
    pub fn deliver(&mut self, event: &Value, sqs: &mut Sqs, tools: &mut Tools<'_>) {
        let body = event.to_string();
        for rule in self.rules.values().filter(|rule| rule.shown.state == "ENABLED") {
            if !rule.pattern.as_ref().is_some_and(|pattern| pattern.matches(event)) {
                continue;
            }
            let sender = Sender {
                service: "events.amazonaws.com",
                source_arn: &rule.shown.arn,
                source_account: &tools.settings.account,
            };
            for target in rule.targets.values() {
                if sqs.deliver(&target.arn, &body, sender, tools) {
                    self.counts.delivered += 1;
                    continue;
                }
                self.counts.refused += 1;
                let dead_letters = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
                if let Some(arn) = dead_letters {
                    sqs.deliver(arn, &body, sender, tools);
                }
            }
        }
    }

    /// Answers a call.
    ///
    /// # Errors
    ///
    /// What AWS would refuse.
    pub fn call(&mut self, request: Request, context: &mut Context<'_>) -> Result<Response, ApiError> {
        Ok(match request {
            Request::PutRule(input) => Response::PutRule(self.put_rule(input, context.settings)?),
            Request::DescribeRule(input) => {
                Response::DescribeRule(self.rule(&input.name, input.event_bus_name.as_deref())?.shown.clone())
            }
            Request::ListRules(input) => Response::ListRules(self.list_rules(&input)?),
            Request::EnableRule(input) => {
                self.rule_mut(&input.name, input.event_bus_name.as_deref())?.shown.state = "ENABLED".to_owned();
                Response::EnableRule(Empty {})
            }
            Request::DisableRule(input) => {
                self.rule_mut(&input.name, input.event_bus_name.as_deref())?.shown.state = "DISABLED".to_owned();
                Response::DisableRule(Empty {})
            }
            Request::DeleteRule(input) => {
                check_bus(input.event_bus_name.as_deref())?;
                if self.rules.get(&input.name).is_some_and(|rule| !rule.targets.is_empty()) {
                    return Err(invalid("Rule can't be deleted since it has targets."));
                }
                // As on AWS, it succeeds when there is none.
                self.rules.remove(&input.name);
                Response::DeleteRule(Empty {})
            }
            Request::PutTargets(input) => Response::PutTargets(self.put_targets(input)?),
            Request::RemoveTargets(input) => {
                let rule = self.rule_mut(&input.rule, input.event_bus_name.as_deref())?;
                rule.targets.retain(|id, _| !input.ids.contains(id));
                Response::RemoveTargets(api::FailedEntriesOutput::default())
            }
            Request::ListTargetsByRule(input) => Response::ListTargetsByRule(self.list_targets(&input)?),
            Request::ListRuleNamesByTarget(input) => Response::ListRuleNamesByTarget(self.list_rule_names(&input)?),
            Request::PutEvents(input) => Response::PutEvents(self.put_events(&input, context)?),
            Request::TagResource(input) => {
                let given = input.tags.into_iter().map(|tag| (tag.key, tag.value));
                self.tags_mut(&input.resource_arn)?.extend(given);
                Response::TagResource(Empty {})
            }
            Request::UntagResource(input) => {
                self.tags_mut(&input.resource_arn)?.retain(|key, _| !input.tag_keys.contains(key));
                Response::UntagResource(Empty {})
            }
            Request::ListTagsForResource(input) => {
                let tags = self.tags_mut(&input.resource_arn)?.iter();
                let tags = tags.map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
                Response::ListTagsForResource(api::TagsOutput { tags })
            }
            Request::TestEventPattern(input) => Response::TestEventPattern(test_pattern(&input)?),
        })
    }

    fn rule(&self, name: &str, bus: Option<&str>) -> Result<&Rule, ApiError> {
        check_bus(bus)?;
        self.rules.get(name).ok_or_else(|| rule_missing(name))
    }

    fn rule_mut(&mut self, name: &str, bus: Option<&str>) -> Result<&mut Rule, ApiError> {
        check_bus(bus)?;
        self.rules.get_mut(name).ok_or_else(|| rule_missing(name))
    }

    /// The tags of the rule of an ARN.
    fn tags_mut(&mut self, arn: &str) -> Result<&mut BTreeMap<String, String>, ApiError> {
        let rule = self.rules.values_mut().find(|rule| rule.shown.arn == arn);
        let missing = || ApiError::new("ResourceNotFoundException", format!("Rule {arn} does not exist."));
        rule.map(|rule| &mut rule.tags).ok_or_else(missing)
    }

    fn put_rule(&mut self, input: api::PutRuleInput, settings: &Settings) -> Result<api::PutRuleOutput, ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if input.name.is_empty() || input.name.len() > 64 || !input.name.chars().all(is_good) {
            return Err(invalid(format!("Value '{}' at 'name' failed to satisfy constraint", input.name)));
        }
        if input.event_pattern.is_none() && input.schedule_expression.is_none() {
            return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
        }
        let state = input.state.unwrap_or_else(|| "ENABLED".to_owned());
        if !["ENABLED", "DISABLED"].contains(&state.as_str()) {
            return Err(invalid(format!("Value '{state}' at 'state' must be ENABLED or DISABLED")));
        }
        let pattern = input.event_pattern.as_deref().map(read_pattern).transpose()?;
        let arn = format!("arn:aws:events:{}:{}:rule/{}", settings.region, settings.account, input.name);
        let shown = api::Rule {
            name: input.name.clone(),
            arn: arn.clone(),
            event_pattern: input.event_pattern,
            schedule_expression: input.schedule_expression,
            state,
            description: input.description,
            event_bus_name: "default".to_owned(),
        };
        let (targets, tags) = match self.rules.remove(&input.name) {
            // As on AWS, tags are given to new rules only.
            Some(before) => (before.targets, before.tags),
            None => (BTreeMap::new(), input.tags.into_iter().map(|tag| (tag.key, tag.value)).collect()),
        };
        self.rules.insert(input.name, Rule { shown, pattern, targets, tags });
        Ok(api::PutRuleOutput { rule_arn: arn })
    }

    fn list_rules(&self, input: &api::ListRulesInput) -> Result<api::ListRulesOutput, ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        let prefix = input.name_prefix.as_deref().unwrap_or_default();
        let wanted = self.rules.values().map(|rule| &rule.shown).filter(|rule| rule.name.starts_with(prefix));
        let size = input.limit.unwrap_or(100).clamp(1, 100);
        let (rules, next_token) =
            page(wanted, |rule| &rule.name, size, input.next_token.as_deref()).map_err(|_| bad_token())?;
        Ok(api::ListRulesOutput { rules: rules.into_iter().cloned().collect(), next_token })
    }

    fn put_targets(&mut self, input: api::PutTargetsInput) -> Result<api::FailedEntriesOutput, ApiError> {
        let rule = self.rule_mut(&input.rule, input.event_bus_name.as_deref())?;
        if input.targets.is_empty() {
            return Err(invalid("1 validation error detected: 'targets' must have a length of at least 1"));
        }
        let transforms = |target: &&api::Target| {
            target.input.is_some() || target.input_path.is_some() || target.input_transformer.is_some()
        };
        if let Some(target) = input.targets.iter().find(transforms) {
            let message = "the sandbox delivers whole events: it models no Input, InputPath or InputTransformer";
            return Err(invalid(format!("Target {} is not valid. Reason: {message}.", target.id)));
        }
        if let Some(target) =
            input.targets.iter().find(|target| !target.arn.starts_with("arn:") || target.id.is_empty())
        {
            let message =
                format!("Parameter {} is not valid. Reason: Provided Arn is not in correct format.", target.arn);
            return Err(invalid(message));
        }
        let mut targets = rule.targets.clone();
        targets.extend(input.targets.into_iter().map(|target| (target.id.clone(), target)));
        if targets.len() > TARGETS {
            return Err(ApiError::new(
                "LimitExceededException",
                "The requested resource exceeds the maximum number allowed.",
            ));
        }
        rule.targets = targets;
        Ok(api::FailedEntriesOutput::default())
    }

    fn list_targets(&self, input: &api::ListTargetsByRuleInput) -> Result<api::ListTargetsByRuleOutput, ApiError> {
        let rule = self.rule(&input.rule, input.event_bus_name.as_deref())?;
        let size = input.limit.unwrap_or(100).clamp(1, 100);
        let (targets, next_token) =
            page(&rule.targets, |(id, _)| id, size, input.next_token.as_deref()).map_err(|_| bad_token())?;
        let targets = targets.into_iter().map(|(_, target)| target.clone()).collect();
        Ok(api::ListTargetsByRuleOutput { targets, next_token })
    }

    fn list_rule_names(
        &self,
        input: &api::ListRuleNamesByTargetInput,
    ) -> Result<api::ListRuleNamesByTargetOutput, ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        let has_target = |rule: &&Rule| rule.targets.values().any(|target| target.arn == input.target_arn);
        let names = self.rules.values().filter(has_target).map(|rule| &rule.shown.name);
        let size = input.limit.unwrap_or(100).clamp(1, 100);
        let (names, next_token) =
            page(names, |name| name.as_str(), size, input.next_token.as_deref()).map_err(|_| bad_token())?;
        Ok(api::ListRuleNamesByTargetOutput { rule_names: names.into_iter().cloned().collect(), next_token })
    }

    fn put_events(
        &mut self,
        input: &api::PutEventsInput,
        context: &mut Context<'_>,
    ) -> Result<api::PutEventsOutput, ApiError> {
        if !(1..=10).contains(&input.entries.len()) {
            let message = "1 validation error detected: 'entries' must have a length between 1 and 10";
            return Err(invalid(message));
        }
        let mut output = api::PutEventsOutput::default();
        for entry in &input.entries {
            let result = match read_entry(entry, context) {
                Ok(event) => {
                    let event_id = event["id"].as_str().map(str::to_owned);
                    self.emit(event, context);
                    api::PutEventsResult { event_id, ..api::PutEventsResult::default() }
                }
                Err((code, message)) => {
                    output.failed_entry_count += 1;
                    let (error_code, error_message) = (Some(code.to_owned()), Some(message.to_owned()));
                    api::PutEventsResult { event_id: None, error_code, error_message }
                }
            };
            output.entries.push(result);
        }
        Ok(output)
    }
}

/// The event that somebody puts, or the code and message with which AWS refuses it.
fn read_entry(entry: &api::PutEventsEntry, context: &mut Context<'_>) -> Result<Value, (&'static str, &'static str)> {
    let given = |member: &Option<String>| member.clone().filter(|text| !text.is_empty());
    let required = "InvalidArgument";
    let source = given(&entry.source)
        .ok_or((required, "Parameter Source is not valid. Reason: Source is a required argument."))?;
    let detail_type = given(&entry.detail_type)
        .ok_or((required, "Parameter DetailType is not valid. Reason: DetailType is a required argument."))?;
    let detail = given(&entry.detail)
        .ok_or((required, "Parameter Detail is not valid. Reason: Detail is a required argument."))?;
    if check_bus(entry.event_bus_name.as_deref()).is_err() {
        return Err((required, "Parameter EventBusName is not valid. Reason: there is only the default event bus."));
    }
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source."));
    }
    let detail: Value = serde_json::from_str(&detail).map_err(|_| ("MalformedDetail", "Detail is malformed."))?;
    if !detail.is_object() {
        return Err(("MalformedDetail", "Detail is malformed."));
    }
    let now: Timestamp = entry.time.unwrap_or(context.now);
    Ok(event::envelope(&source, &detail_type, &entry.resources, detail, now, context.settings, context.random))
}

fn test_pattern(input: &api::TestEventPatternInput) -> Result<api::TestEventPatternOutput, ApiError> {
    let pattern = read_pattern(&input.event_pattern)?;
    let event: Value = serde_json::from_str(&input.event).map_err(|_| invalid("Parameter Event is not valid JSON."))?;
    for field in ["id", "account", "source", "time", "region", "resources", "detail-type"] {
        if event.get(field).is_none() {
            return Err(invalid(format!("Parameter Event is not valid. Reason: {field} is a required argument.")));
        }
    }
    Ok(api::TestEventPatternOutput { result: pattern.matches(&event) })
}

fn read_pattern(text: &str) -> Result<Pattern, ApiError> {
    let refused = |reason: String| {
        ApiError::new("InvalidEventPatternException", format!("Event pattern is not valid. Reason: {reason}"))
    };
    Pattern::parse(text).map_err(refused)
}

/// Whether the bus is the default one, by its name or ARN.
fn check_bus(name: Option<&str>) -> Result<(), ApiError> {
    match name {
        None | Some("default") => Ok(()),
        Some(arn) if arn.starts_with("arn:") && arn.ends_with(":event-bus/default") => Ok(()),
        Some(name) => Err(ApiError::new("ResourceNotFoundException", format!("Event bus {name} does not exist."))),
    }
}

fn rule_missing(name: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("Rule {name} does not exist on EventBus default."))
}

fn bad_token() -> ApiError {
    invalid("The token is not valid.")
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}
