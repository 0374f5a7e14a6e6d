//! Targets of rules.

use super::rules::Rule;
use super::{EventBridge, check_bus, invalid, invalid_token, page_size};
use crate::api::ApiError;
use crate::api::eventbridge as api;
use crate::world::page::page;

/// Maximum number of targets of a rule.
const MAX_TARGETS: usize = 5;

impl EventBridge {
    pub(super) fn put_targets(&mut self, input: api::PutTargetsInput) -> Result<api::FailedEntriesOutput, ApiError> {
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
        let is_invalid = |target: &&api::Target| !target.arn.starts_with("arn:") || target.id.is_empty();
        if let Some(target) = input.targets.iter().find(is_invalid) {
            let message =
                format!("Parameter {} is not valid. Reason: Provided Arn is not in correct format.", target.arn);
            return Err(invalid(message));
        }
        let mut targets = rule.targets.clone();
        targets.extend(input.targets.into_iter().map(|target| (target.id.clone(), target)));
        if targets.len() > MAX_TARGETS {
            let message = "The requested resource exceeds the maximum number allowed.";
            return Err(ApiError::new("LimitExceededException", message));
        }
        rule.targets = targets;
        Ok(api::FailedEntriesOutput::default())
    }

    pub(super) fn remove_targets(
        &mut self,
        input: &api::RemoveTargetsInput,
    ) -> Result<api::FailedEntriesOutput, ApiError> {
        let rule = self.rule_mut(&input.rule, input.event_bus_name.as_deref())?;
        rule.targets.retain(|id, _| !input.ids.contains(id));
        Ok(api::FailedEntriesOutput::default())
    }

    pub(super) fn list_targets(
        &self,
        input: &api::ListTargetsByRuleInput,
    ) -> Result<api::ListTargetsByRuleOutput, ApiError> {
        let rule = self.rule(&input.rule, input.event_bus_name.as_deref())?;
        let (targets, next_token) =
            page(&rule.targets, |(id, _)| id, page_size(input.limit), input.next_token.as_deref())
                .map_err(|_| invalid_token())?;
        let targets = targets.into_iter().map(|(_, target)| target.clone()).collect();
        Ok(api::ListTargetsByRuleOutput { targets, next_token })
    }

    pub(super) fn list_rule_names(
        &self,
        input: &api::ListRuleNamesByTargetInput,
    ) -> Result<api::ListRuleNamesByTargetOutput, ApiError> {
        check_bus(input.event_bus_name.as_deref())?;
        let has_target = |rule: &&Rule| rule.targets.values().any(|target| target.arn == input.target_arn);
        let names = self.rules.values().filter(has_target).map(|rule| &rule.api.name);
        let (names, next_token) =
            page(names, |name| name.as_str(), page_size(input.limit), input.next_token.as_deref())
                .map_err(|_| invalid_token())?;
        Ok(api::ListRuleNamesByTargetOutput { rule_names: names.into_iter().cloned().collect(), next_token })
    }
}
