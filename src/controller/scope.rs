//! The ECS service that a controller reconciles.

use jvb_watcher_rules::model::cluster_name;

/// The ECS service that a controller reconciles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The cluster, by name or ARN.
    pub cluster: String,
    /// The service's name.
    pub service: String,
}

impl Scope {
    /// The `group` that ECS gives the service's tasks.
    pub fn task_group(&self) -> String {
        format!("service:{}", self.service)
    }

    /// Returns whether both are the same service of one account and region, whether the cluster has its name or its ARN.
    pub fn is_same_service(&self, other: &Self) -> bool {
        self.cluster_name() == other.cluster_name() && self.service == other.service
    }

    /// The name of the service's cluster.
    pub fn cluster_name(&self) -> &str {
        cluster_name(&self.cluster)
    }
}
