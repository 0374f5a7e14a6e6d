//! The port to the ECS service's desired count, for `up`, `down`, and the stop of an unused service.

use std::future::Future;

use jvb_watcher_rules::model::{Counts, Tags};

use super::{AwsError, Deadline};

/// Scales the ECS service and writes the operation's lease on it.
pub trait Scaling: Send + Sync {
    /// Reads the service; `None` if it doesn't exist or is being deleted.
    fn scalable(
        &self,
        cluster: &str,
        service: &str,
    ) -> impl Future<Output = Result<Option<ScalableService>, AwsError>> + Send;

    /// Sets the service's desired count.
    fn scale(
        &self,
        cluster: &str,
        service: &str,
        desired: i32,
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Writes tags on the service with that ARN.
    fn tag_service(
        &self,
        arn: &str,
        tags: &Tags,
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Removes tags from the service with that ARN.
    fn untag_service(
        &self,
        arn: &str,
        keys: &[&str],
        deadline: &Deadline,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// An ECS service that can be scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalableService {
    /// The ARN.
    pub arn: String,
    /// The task counts.
    pub counts: Counts,
    /// The tags.
    pub tags: Tags,
}
