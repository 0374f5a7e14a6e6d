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

    /// Returns whether a task of this cluster and group belongs to the service. A group that is unknown may be the service's.
    pub fn includes(&self, cluster: &str, group: Option<&str>) -> bool {
        let is_of_service = group.is_none_or(|group| group.strip_prefix("service:") == Some(self.service.as_str()));
        cluster == cluster_name(&self.cluster) && is_of_service
    }
}
