//! Task definitions: families with their revisions.

use super::{Ecs, arn, bad_token, check_name, last_part, page_size};
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

    /// As on AWS they come by family, then by revision.
    pub(super) fn list_definitions(
        &self,
        input: &api::ListTaskDefinitionsInput,
        settings: &Settings,
    ) -> Result<api::ListTaskDefinitionsOutput, ApiError> {
        let is_wanted = |definition: &&api::TaskDefinition| {
            input.family_prefix.as_ref().is_none_or(|wanted| definition.family == *wanted)
        };
        let of_family = self.definitions.values().flatten().filter(is_wanted);
        // Revisions by number: as texts, 10 would come before 9.
        let sorted =
            of_family.map(|definition| (format!("{}:{:010}", definition.family, definition.revision), definition));
        let size = page_size(input.max_results, 100)?;
        let (page, next_token) =
            page(sorted, |(key, _)| key, size, input.next_token.as_deref()).map_err(|_| bad_token())?;
        let name = |definition: &api::TaskDefinition| format!("{}:{}", definition.family, definition.revision);
        let task_definition_arns =
            page.into_iter().map(|(_, definition)| arn(settings, &format!("task-definition/{}", name(definition))));
        Ok(api::ListTaskDefinitionsOutput { task_definition_arns: task_definition_arns.collect(), next_token })
    }

    /// The task definition of an ARN, of a family and revision, or the newest of a family, to start tasks from.
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
