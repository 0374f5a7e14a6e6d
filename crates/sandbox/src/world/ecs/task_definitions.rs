//! Task definitions: families and their revisions.

use super::{Ecs, arn, check_name, invalid_token, last_part, page_size};
use crate::api::ApiError;
use crate::api::ecs as api;
use crate::world::page::page;
use crate::world::settings::Settings;

impl Ecs {
    pub(super) fn register_definition(
        &mut self,
        input: api::RegisterTaskDefinitionInput,
        settings: &Settings,
    ) -> Result<api::TaskDefinitionOutput, ApiError> {
        check_name("Family", &input.family)?;
        if input.container_definitions.is_empty() {
            return Err(ApiError::new("ClientException", "Container definitions list cannot be empty."));
        }
        let revisions = self.definitions.entry(input.family.clone()).or_default();
        let revision = i32::try_from(revisions.len() + 1).unwrap_or(i32::MAX);
        let definition = api::TaskDefinition {
            task_definition_arn: arn(settings, &format!("task-definition/{}:{revision}", input.family)),
            family: input.family,
            revision,
            status: "ACTIVE".to_owned(),
            network_mode: input.network_mode,
            requires_compatibilities: input.requires_compatibilities,
            cpu: input.cpu,
            memory: input.memory,
            container_definitions: input.container_definitions,
        };
        revisions.push(definition.clone());
        Ok(api::TaskDefinitionOutput { task_definition: definition })
    }

    pub(super) fn describe_definition(
        &self,
        input: &api::DescribeTaskDefinitionInput,
    ) -> Result<api::TaskDefinitionOutput, ApiError> {
        let missing = || ApiError::new("ClientException", "Unable to describe task definition.");
        let task_definition = self.find_definition(&input.task_definition).ok_or_else(missing)?.clone();
        Ok(api::TaskDefinitionOutput { task_definition })
    }

    /// Lists task definitions, sorted as on AWS by family, then by revision.
    pub(super) fn list_definitions(
        &self,
        input: &api::ListTaskDefinitionsInput,
        settings: &Settings,
    ) -> Result<api::ListTaskDefinitionsOutput, ApiError> {
        let matches = |definition: &&api::TaskDefinition| {
            input.family_prefix.as_ref().is_none_or(|family| definition.family == *family)
        };
        let matching = self.definitions.values().flatten().filter(matches);
        // Zero-padded, so that the textual order is that of the numbers.
        let sorted =
            matching.map(|definition| (format!("{}:{:010}", definition.family, definition.revision), definition));
        let size = page_size(input.max_results, 100)?;
        let (page, next_token) =
            page(sorted, |(key, _)| key, size, input.next_token.as_deref()).map_err(|_| invalid_token())?;
        let name = |definition: &api::TaskDefinition| format!("{}:{}", definition.family, definition.revision);
        let task_definition_arns =
            page.into_iter().map(|(_, definition)| arn(settings, &format!("task-definition/{}", name(definition))));
        Ok(api::ListTaskDefinitionsOutput { task_definition_arns: task_definition_arns.collect(), next_token })
    }

    /// Returns the task definition that a request to launch tasks names: an ARN, `FAMILY:REVISION`, or `FAMILY` for the
    /// latest revision.
    pub(super) fn definition(&self, given: &str) -> Result<&api::TaskDefinition, ApiError> {
        let missing = || ApiError::new("ClientException", "TaskDefinition not found.");
        self.find_definition(given).ok_or_else(missing)
    }

    fn find_definition(&self, given: &str) -> Option<&api::TaskDefinition> {
        let (family, revision) = match last_part(given).split_once(':') {
            Some((family, revision)) => (family, Some(revision.parse::<usize>().ok()?)),
            None => (last_part(given), None),
        };
        let revisions = self.definitions.get(family)?;
        match revision {
            Some(revision) => revisions.get(revision.checked_sub(1)?),
            None => revisions.last(),
        }
    }
}
