//! Tags of clusters, services and tasks.

use std::collections::BTreeMap;

use super::{Ecs, invalid, last_part};
use crate::api::ApiError;
use crate::api::ecs as api;

impl Ecs {
    /// Sets the tags of a new resource.
    pub(super) fn set_tags(&mut self, arn: &str, tags: &[api::Tag]) {
        self.tags.insert(arn.to_owned(), as_map(tags));
    }

    pub(super) fn tag(&mut self, input: api::TagResourceInput) -> Result<(), ApiError> {
        self.check_resource(&input.resource_arn)?;
        self.tags.entry(input.resource_arn).or_default().extend(as_map(&input.tags));
        Ok(())
    }

    pub(super) fn untag(&mut self, input: &api::UntagResourceInput) -> Result<(), ApiError> {
        self.check_resource(&input.resource_arn)?;
        if let Some(tags) = self.tags.get_mut(&input.resource_arn) {
            tags.retain(|key, _| !input.tag_keys.contains(key));
        }
        Ok(())
    }

    pub(super) fn list_tags(&self, input: &api::ResourceInput) -> Result<api::TagsOutput, ApiError> {
        self.check_resource(&input.resource_arn)?;
        Ok(api::TagsOutput { tags: self.tags_of(&input.resource_arn) })
    }

    /// Returns the tags of a resource.
    pub(super) fn tags_of(&self, arn: &str) -> Vec<api::Tag> {
        let tag = |(key, value): (&String, &String)| api::Tag { key: key.clone(), value: value.clone() };
        self.tags.get(arn).into_iter().flatten().map(tag).collect()
    }

    /// Checks that a resource with the ARN exists.
    fn check_resource(&self, arn: &str) -> Result<(), ApiError> {
        let name = last_part(arn);
        let resource = arn.rsplit(':').next().unwrap_or_default();
        let exists = match resource.split('/').next() {
            Some("cluster") => self.clusters.contains_key(name),
            Some("service") => {
                self.services.keys().any(|key| resource == format!("service/{}/{}", key.cluster, key.name))
            }
            Some("task") => self.tasks.contains_key(name),
            _ => return Err(invalid("Invalid resource ARN.")),
        };
        if exists {
            Ok(())
        } else {
            Err(ApiError::new("ResourceNotFoundException", "The specified resource was not found."))
        }
    }
}

fn as_map(tags: &[api::Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}
