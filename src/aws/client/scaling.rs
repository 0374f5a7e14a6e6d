//! The adapter of [`Scaling`]: ECS.

use aws_sdk_ecs::client::customize::CustomizableOperation;
use aws_sdk_ecs::config::Builder as EcsConfig;
use aws_sdk_ecs::types as ecs;

use super::call::Call;
use super::interceptors::DeadlineGuard;
use super::platform::{AwsPlatform, convert, time_left};
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, Deadline, ScalableService, Scaling};
use jvb_watcher_rules::model::Tags;

/// Bounds a write by its deadline: it is neither sent nor awaited nor retried after it.
fn bounded<T, E, B>(request: CustomizableOperation<T, E, B>, deadline: &Deadline) -> CustomizableOperation<T, E, B> {
    let config = EcsConfig::default().timeout_config(time_left(deadline));
    request.interceptor(DeadlineGuard(deadline.clone())).config_override(config)
}

impl Scaling for AwsPlatform {
    async fn scalable(&self, cluster: &str, service: &str) -> Result<Option<ScalableService>, AwsError> {
        // A DRAINING service is being deleted: it can't be scaled, and its successor may use the load balancer.
        let found =
            self.describe_service(cluster, service, false).await?.filter(|found| found.status() == Some("ACTIVE"));
        let Some(found) = found else { return Ok(None) };
        let call = Call::new(ApiOperation::DescribeServices, service);
        let arn = found.service_arn().ok_or_else(|| call.incomplete("serviceArn"))?.to_owned();
        let call = Call::new(ApiOperation::ListTagsForResource, &arn);
        let request = self.ecs.list_tags_for_resource().resource_arn(&arn);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        Ok(Some(ScalableService { arn, counts: convert::counts(&found), tags: convert::tags(output.tags()) }))
    }

    async fn scale(&self, cluster: &str, service: &str, desired: i32, deadline: &Deadline) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::UpdateService, service);
        call.before(deadline)?;
        let request = self.ecs.update_service().cluster(cluster).service(service).desired_count(desired).customize();
        bounded(request, deadline).send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn tag_service(&self, arn: &str, tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::TagResource, arn);
        call.before(deadline)?;
        let tags = tags.iter().map(|(key, value)| ecs::Tag::builder().key(key).value(value).build()).collect();
        let request = self.ecs.tag_resource().resource_arn(arn).set_tags(Some(tags)).customize();
        bounded(request, deadline).send().await.map(drop).map_err(|error| call.failed(error))
    }

    async fn untag_service(&self, arn: &str, keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let call = Call::new(ApiOperation::UntagResource, arn);
        call.before(deadline)?;
        let keys = keys.iter().map(ToString::to_string).collect();
        let request = self.ecs.untag_resource().resource_arn(arn).set_tag_keys(Some(keys)).customize();
        bounded(request, deadline).send().await.map(drop).map_err(|error| call.failed(error))
    }
}
