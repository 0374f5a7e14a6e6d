//! Rules and their tags.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pattern::Pattern;
use super::{EventBridge, check_bus, invalid, invalid_token, page_size};
use crate::api::eventbridge as api;
use crate::api::{ApiError, Tag};
use crate::world::page::page;
use crate::world::settings::Settings;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// The rule in the form of the API.
    pub api: api::Rule,
    /// Targets by id.
    pub targets: BTreeMap<String, api::Target>,
    pattern: Option<Pattern>,
    tags: BTreeMap<String, String>,
}

impl Rule {
    /// Returns whether the rule is enabled and its pattern matches an event.
    pub fn matches(&self, event: &Value) -> bool {
        self.api.state == "ENABLED" && self.pattern.as_ref().is_some_and(|pattern| pattern.matches(event))
    }
}

impl EventBridge {
    pub(super) fn rule(&self, name: &str, bus: Option<&str>) -> Result<&Rule, ApiError> {
        check_bus(bus)?;
        self.rules.get(name).ok_or_else(|| rule_not_found(name))
    }

    pub(super) fn rule_mut(&mut self, name: &str, bus: Option<&str>) -> Result<&mut Rule, ApiError> {
        check_bus(bus)?;
        self.rules.get_mut(name).ok_or_else(|| rule_not_found(name))
    }

    pub(super) fn put_rule(
        &mut self,
        input: api::PutRuleInput,
        settings: &Settings,
    ) -> Result<api::PutRuleOutput, ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if input.name.is_empty() || input.name.len() > 64 || !input.name.chars().all(is_allowed) {
            return Err(invalid(format!("Value '{}' at 'name' failed to satisfy constraint", input.name)));
        }
        if input.event_pattern.is_none() && input.schedule_expression.is_none() {
            return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
        }
        let state = input.state.unwrap_or_else(|| "ENABLED".to_owned());
        if !["ENABLED", "DISABLED"].contains(&state.as_str()) {
            return Err(invalid(format!("Value '{state}' at 'state' must be ENABLED or DISABLED")));
        }
        let pattern = input.event_pattern.as_deref().map(parse_pattern).transpose()?;
        let arn = format!("arn:aws:events:{}:{}:rule/{}", settings.region, settings.account, input.name);
        let api = api::Rule {
            name: input.name.clone(),
            arn: arn.clone(),
            event_pattern: input.event_pattern,
            schedule_expression: input.schedule_expression,
            state,
            description: input.description,
            event_bus_name: "default".to_owned(),
        };
        let (targets, tags) = match self.rules.remove(&input.name) {
            // As on AWS, PutRule ignores the tags for a rule that exists.
            Some(existing) => (existing.targets, existing.tags),
            None => (BTreeMap::new(), input.tags.into_iter().map(|tag| (tag.key, tag.value)).collect()),
        };
        self.rules.insert(input.name, Rule { api, targets, pattern, tags });
        Ok(api::PutRuleOutput { rule_arn: arn })
    }

    pub(super) fn describe_rule(&self, input: &api::RuleInput) -> Result<api::Rule, ApiError> {
        Ok(self.rule(&input.name, input.event_bus_name.as_deref())?.api.clone())
    }

    pub(super) fn set_rule_state(&mut self, input: &api::RuleInput, state: &str) -> Result<(), ApiError> {
        state.clone_into(&mut self.rule_mut(&input.name, input.event_bus_name.as_deref())?.api.state);
        Ok(())
    }

    /// Deletes a rule. As on AWS, deleting one that doesn't exist succeeds.
    pub(super) fn delete_rule(&mut self, input: &api::RuleInput) -> Result<(), ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        if self.rules.get(&input.name).is_some_and(|rule| !rule.targets.is_empty()) {
            return Err(invalid("Rule can't be deleted since it has targets."));
        }
        self.rules.remove(&input.name);
        Ok(())
    }

    pub(super) fn list_rules(&self, input: &api::ListRulesInput) -> Result<api::ListRulesOutput, ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        let prefix = input.name_prefix.as_deref().unwrap_or_default();
        let matching = self.rules.values().map(|rule| &rule.api).filter(|rule| rule.name.starts_with(prefix));
        let (rules, next_token) =
            page(matching, |rule| &rule.name, page_size(input.limit), input.next_token.as_deref())
                .map_err(|_| invalid_token())?;
        Ok(api::ListRulesOutput { rules: rules.into_iter().cloned().collect(), next_token })
    }

    pub(super) fn tag_rule(&mut self, input: api::TagResourceInput) -> Result<(), ApiError> {
        let tags = input.tags.into_iter().map(|tag| (tag.key, tag.value));
        self.rule_by_arn(&input.resource_arn)?.tags.extend(tags);
        Ok(())
    }

    pub(super) fn untag_rule(&mut self, input: &api::UntagResourceInput) -> Result<(), ApiError> {
        self.rule_by_arn(&input.resource_arn)?.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    }

    pub(super) fn list_tags(&mut self, input: &api::ResourceInput) -> Result<api::TagsOutput, ApiError> {
        let tags = self.rule_by_arn(&input.resource_arn)?.tags.iter();
        let tags = tags.map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
        Ok(api::TagsOutput { tags })
    }

    fn rule_by_arn(&mut self, arn: &str) -> Result<&mut Rule, ApiError> {
        let rule = self.rules.values_mut().find(|rule| rule.api.arn == arn);
        rule.ok_or_else(|| ApiError::new("ResourceNotFoundException", format!("Rule {arn} does not exist.")))
    }
}

pub(super) fn test_pattern(input: &api::TestEventPatternInput) -> Result<api::TestEventPatternOutput, ApiError> {
    let pattern = parse_pattern(&input.event_pattern)?;
    let event: Value = serde_json::from_str(&input.event).map_err(|_| invalid("Parameter Event is not valid JSON."))?;
    for field in ["id", "account", "source", "time", "region", "resources", "detail-type"] {
        if event.get(field).is_none() {
            return Err(invalid(format!("Parameter Event is not valid. Reason: {field} is a required argument.")));
        }
    }
    Ok(api::TestEventPatternOutput { result: pattern.matches(&event) })
}

fn parse_pattern(text: &str) -> Result<Pattern, ApiError> {
    let invalid_pattern = |reason: String| {
        ApiError::new("InvalidEventPatternException", format!("Event pattern is not valid. Reason: {reason}"))
    };
    Pattern::parse(text).map_err(invalid_pattern)
}

fn rule_not_found(name: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("Rule {name} does not exist on EventBus default."))
}
