//! The port to the services of clusters and their tags: what `--discover` reads.

use std::future::Future;

use super::AwsError;
use jvb_watcher_rules::model::Tags;

/// Reads the services of clusters. Read only.
pub trait ServiceDirectory: Send + Sync {
    /// Lists the names of a cluster's services.
    ///
    /// # Errors
    ///
    /// The call failed; [`super::ErrorKind::NotFound`] if there is no such cluster.
    fn services(&self, cluster: &str) -> impl Future<Output = Result<Vec<String>, AwsError>> + Send;

    /// Describes services of a cluster, with their tags. Those that don't exist any more are left out.
    fn describe(
        &self,
        cluster: &str,
        services: &[String],
    ) -> impl Future<Output = Result<Vec<TaggedService>, AwsError>> + Send;

    /// Returns whether there is a load balancer of that name.
    fn has_load_balancer(&self, name: &str) -> impl Future<Output = Result<bool, AwsError>> + Send;
}

/// A service with its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedService {
    /// The service's name.
    pub name: String,
    /// Its tags.
    pub tags: Tags,
}
