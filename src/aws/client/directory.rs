//! The adapter of [`ServiceDirectory`]: ECS.

use aws_sdk_ecs::types::{Service, ServiceField};

use super::call::{Call, none_if_not_found};
use super::platform::{AwsPlatform, SERVICES_PER_DESCRIBE, convert};
use crate::aws::directory::{ServiceDirectory, TaggedService};
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, Platform};

/// The most services in one page of ListServices (see the ECS API reference, maxResults).
const SERVICES_PER_PAGE: i32 = 100;

impl ServiceDirectory for AwsPlatform {
    async fn services(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        let call = Call::new(ApiOperation::ListServices, cluster);
        let request = self.ecs.list_services().cluster(cluster).max_results(SERVICES_PER_PAGE);
        let mut pages = request.into_paginator().items().send();
        let mut names = Vec::new();
        while let Some(arn) = pages.next().await {
            let arn = arn.map_err(|error| call.failed(error))?;
            // The long form ends with CLUSTER/NAME, the short one with NAME.
            names.extend(arn.rsplit('/').next().map(str::to_owned));
        }
        Ok(names)
    }

    async fn describe(&self, cluster: &str, services: &[String]) -> Result<Vec<TaggedService>, AwsError> {
        let call = Call::new(ApiOperation::DescribeServices, cluster);
        let mut described = Vec::new();
        // One after the other: a thousand services are a hundred calls, which others wait for, too.
        for batch in services.chunks(SERVICES_PER_DESCRIBE) {
            let request = self.ecs.describe_services().cluster(cluster).set_services(Some(batch.to_vec()));
            let output = match request.include(ServiceField::Tags).send().await {
                Ok(output) => output,
                Err(error) => match none_if_not_found(call.failed(error))? {
                    Some(output) => output,
                    None => return Ok(Vec::new()),
                },
            };
            if let Some(failure) = output.failures().iter().find(|failure| failure.reason() != Some("MISSING")) {
                let reason = failure.reason().unwrap_or("unknown");
                return Err(call.incomplete(&format!("service, for reason {reason}")));
            }
            described.extend(output.services().iter().filter_map(tagged));
        }
        Ok(described)
    }

    async fn has_load_balancer(&self, name: &str) -> Result<bool, AwsError> {
        Ok(self.load_balancer(name).await?.is_some())
    }
}

/// Returns a service with its tags, unless it was deleted.
fn tagged(service: &Service) -> Option<TaggedService> {
    if convert::is_deleted(service) {
        return None;
    }
    Some(TaggedService { name: service.service_name()?.to_owned(), tags: convert::tags(service.tags()) })
}
