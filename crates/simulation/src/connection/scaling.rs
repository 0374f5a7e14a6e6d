//! The reads and writes of the ECS service by `up` and `down`.

use super::{Attempts, Connection};
use jvb_watcher::aws::{AwsError, Deadline, ScalableService, Scaling};
use jvb_watcher_rules::model::{Counts, Tags};
use jvb_watcher_sandbox::api::{Request, ecs};

impl Scaling for Connection {
    async fn scalable(&self, cluster: &str, service: &str) -> Result<Option<ScalableService>, AwsError> {
        let (cluster, services) = (Some(cluster.to_owned()), vec![service.to_owned()]);
        let input = ecs::DescribeServicesInput { cluster, services, ..Default::default() };
        let ecs::Response::DescribeServices(output) = self.ecs(service, ecs::Request::DescribeServices(input)).await?
        else {
            unreachable!("another answer")
        };
        let Some(found) = output.services.into_iter().find(|found| found.status == "ACTIVE") else { return Ok(None) };
        let input = ecs::ResourceInput { resource_arn: found.service_arn.clone() };
        let ecs::Response::ListTagsForResource(tags) =
            self.ecs(service, ecs::Request::ListTagsForResource(input)).await?
        else {
            unreachable!("another answer")
        };
        Ok(Some(ScalableService {
            arn: found.service_arn,
            counts: Counts { desired: found.desired_count, running: found.running_count, pending: found.pending_count },
            tags: tags.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        }))
    }

    async fn scale(&self, cluster: &str, service: &str, desired: i32, deadline: &Deadline) -> Result<(), AwsError> {
        let input = ecs::UpdateServiceInput {
            cluster: Some(cluster.to_owned()),
            service: service.to_owned(),
            desired_count: Some(desired),
            ..Default::default()
        };
        self.write(service, Request::Ecs(ecs::Request::UpdateService(input)), Attempts::Several, deadline).await
    }

    async fn tag_service(&self, arn: &str, tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tag = |(key, value): (&String, &String)| ecs::Tag { key: key.clone(), value: value.clone() };
        let input = ecs::TagResourceInput { resource_arn: arn.to_owned(), tags: tags.iter().map(tag).collect() };
        self.write(arn, Request::Ecs(ecs::Request::TagResource(input)), Attempts::Several, deadline).await
    }

    async fn untag_service(&self, arn: &str, keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let input = ecs::UntagResourceInput {
            resource_arn: arn.to_owned(),
            tag_keys: keys.iter().map(ToString::to_string).collect(),
        };
        self.write(arn, Request::Ecs(ecs::Request::UntagResource(input)), Attempts::Several, deadline).await
    }
}
