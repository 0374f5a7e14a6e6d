//! Tags of load balancers, listeners and target groups.

use std::collections::BTreeMap;

use super::Elb;
use super::validation::{Kind, invalid};
use crate::api::elb as api;
use crate::api::{ApiError, Tag};

/// Maximum number of tags of a resource.
const MAX_TAGS: usize = 50;

/// Maximum number of resources in a DescribeTags request.
const MAX_DESCRIBED: usize = 20;

/// Reads and checks the tags of a request.
pub fn read(given: &[Tag]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for Tag { key, value } in given {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid(format!("Tag key '{key}' must have a length between 1 and 128")));
        }
        if value.chars().count() > 256 {
            return Err(invalid(format!("Tag value '{value}' must have a length of at most 256")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("Tag key '{key}' cannot begin with the reserved prefix 'aws:'")));
        }
        let is_allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
        if !key.chars().chain(value.chars()).all(is_allowed) {
            return Err(invalid(format!("Tag '{key}'='{value}' has characters that are not allowed")));
        }
        if tags.insert(key.clone(), value.clone()).is_some() {
            return Err(ApiError::new("DuplicateTagKeys", format!("Tag key '{key}' is given more than once")));
        }
    }
    check_count(tags.len())?;
    Ok(tags)
}

fn check_count(tags: usize) -> Result<(), ApiError> {
    if tags <= MAX_TAGS {
        Ok(())
    } else {
        Err(ApiError::new("TooManyTags", format!("The maximum number of tags is {MAX_TAGS}")))
    }
}

impl Elb {
    /// Adds tags to all of the resources, or to none.
    pub(super) fn add_tags(&mut self, input: &api::AddTagsInput) -> Result<(), ApiError> {
        let tags = read(&input.tags.member)?;
        for arn in at_least_one(&input.resource_arns.member)? {
            let mut all = self.tags_of(arn)?.clone();
            all.extend(tags.clone());
            check_count(all.len())?;
        }
        for arn in &input.resource_arns.member {
            self.tags_of_mut(arn)?.extend(tags.clone());
        }
        Ok(())
    }

    pub(super) fn remove_tags(&mut self, input: &api::RemoveTagsInput) -> Result<(), ApiError> {
        for arn in at_least_one(&input.resource_arns.member)? {
            self.tags_of(arn)?;
        }
        for arn in &input.resource_arns.member {
            self.tags_of_mut(arn)?.retain(|key, _| !input.tag_keys.member.contains(key));
        }
        Ok(())
    }

    pub(super) fn describe_tags(&self, input: &api::DescribeTagsInput) -> Result<api::DescribeTagsOutput, ApiError> {
        let arns = at_least_one(&input.resource_arns.member)?;
        if arns.len() > MAX_DESCRIBED {
            return Err(invalid(format!("Cannot have more than {MAX_DESCRIBED} resources described")));
        }
        let describe = |arn: &String| {
            let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
            let tags = self.tags_of(arn)?.iter().map(tag).collect();
            Ok(api::TagDescription { resource_arn: arn.clone(), tags })
        };
        let descriptions: Result<_, ApiError> = arns.iter().map(describe).collect();
        Ok(api::DescribeTagsOutput { tag_descriptions: descriptions? })
    }

    fn tags_of(&self, arn: &str) -> Result<&BTreeMap<String, String>, ApiError> {
        match kind(arn)? {
            Kind::LoadBalancer => Ok(&self.load_balancer(arn)?.tags),
            Kind::TargetGroup => Ok(&self.group(arn)?.tags),
            Kind::Listener => Ok(&self.listener(arn)?.tags),
        }
    }

    fn tags_of_mut(&mut self, arn: &str) -> Result<&mut BTreeMap<String, String>, ApiError> {
        match kind(arn)? {
            Kind::LoadBalancer => Ok(&mut self.load_balancer_mut(arn)?.tags),
            Kind::TargetGroup => Ok(&mut self.group_mut(arn)?.tags),
            Kind::Listener => Ok(&mut self.listener_mut(arn)?.tags),
        }
    }
}

fn kind(arn: &str) -> Result<Kind, ApiError> {
    let invalid = || invalid(format!("'{arn}' is not a valid load balancer, listener or target group ARN"));
    Kind::of(arn).ok_or_else(invalid)
}

fn at_least_one(arns: &[String]) -> Result<&[String], ApiError> {
    if arns.is_empty() { Err(invalid("At least one resource ARN must be specified")) } else { Ok(arns) }
}
