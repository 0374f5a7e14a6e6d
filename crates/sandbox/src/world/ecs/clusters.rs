//! Clusters.

use super::{Ecs, Status, arn, check_name, invalid_token, last_part, page_size};
use crate::api::ApiError;
use crate::api::ecs as api;
use crate::world::Context;
use crate::world::page::page;
use crate::world::settings::Settings;

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    is_active: bool,
}

impl Ecs {
    pub(super) fn create_cluster(
        &mut self,
        input: api::CreateClusterInput,
        settings: &Settings,
    ) -> Result<api::ClusterOutput, ApiError> {
        let name = input.cluster_name.unwrap_or_else(|| "default".to_owned());
        check_name("Cluster", &name)?;
        if self.clusters.get(&name).is_some_and(|cluster| cluster.is_active) {
            // As on AWS, this succeeds and changes nothing.
            return Ok(api::ClusterOutput { cluster: self.describe_cluster(&name, true, settings) });
        }
        self.clusters.insert(name.clone(), Cluster { is_active: true });
        self.set_tags(&arn(settings, &format!("cluster/{name}")), &input.tags);
        Ok(api::ClusterOutput { cluster: self.describe_cluster(&name, true, settings) })
    }

    pub(super) fn describe_clusters(
        &self,
        input: &api::DescribeClustersInput,
        context: &Context<'_>,
    ) -> api::DescribeClustersOutput {
        let default = ["default".to_owned()];
        let clusters: &[String] = if input.clusters.is_empty() { &default } else { &input.clusters };
        let mut output = api::DescribeClustersOutput::default();
        for given in clusters {
            let name = last_part(given);
            match self.clusters.get(name) {
                Some(cluster) => output.clusters.push(self.describe_cluster(name, cluster.is_active, context.settings)),
                None => output.failures.push(api::Failure {
                    arn: arn(context.settings, &format!("cluster/{name}")),
                    reason: "MISSING".to_owned(),
                }),
            }
        }
        output
    }

    pub(super) fn list_clusters(
        &self,
        input: &api::ListClustersInput,
        settings: &Settings,
    ) -> Result<api::ListClustersOutput, ApiError> {
        let active = self.clusters.iter().filter(|(_, cluster)| cluster.is_active);
        let size = page_size(input.max_results, 100)?;
        let (page, next_token) =
            page(active, |(name, _)| name, size, input.next_token.as_deref()).map_err(|_| invalid_token())?;
        let cluster_arns = page.into_iter().map(|(name, _)| arn(settings, &format!("cluster/{name}"))).collect();
        Ok(api::ListClustersOutput { cluster_arns, next_token })
    }

    pub(super) fn delete_cluster(
        &mut self,
        input: &api::ClusterInput,
        context: &Context<'_>,
    ) -> Result<api::ClusterOutput, ApiError> {
        let name = self.cluster(Some(&input.cluster))?;
        if self.services.iter().any(|(key, service)| key.cluster == name && !service.is_inactive()) {
            let message = "The Cluster cannot be deleted while Services are active.";
            return Err(ApiError::new("ClusterContainsServicesException", message));
        }
        if self.tasks.values().any(|task| task.cluster == name && task.status != Status::Stopped) {
            let message = "The Cluster cannot be deleted while Tasks are active.";
            return Err(ApiError::new("ClusterContainsTasksException", message));
        }
        // It can still be described, as INACTIVE.
        self.clusters.insert(name.clone(), Cluster { is_active: false });
        Ok(api::ClusterOutput { cluster: self.describe_cluster(&name, false, context.settings) })
    }

    /// Returns the name of the active cluster that a request names, or of the default one.
    pub(super) fn cluster(&self, given: Option<&str>) -> Result<String, ApiError> {
        let name = given.filter(|given| !given.is_empty()).map_or("default", last_part);
        let message = match self.clusters.get(name) {
            Some(cluster) if cluster.is_active => return Ok(name.to_owned()),
            Some(_) => "The referenced cluster was inactive.",
            None => "Cluster not found.",
        };
        Err(ApiError::new("ClusterNotFoundException", message))
    }

    fn describe_cluster(&self, name: &str, is_active: bool, settings: &Settings) -> api::Cluster {
        let tasks = |matches: fn(Status) -> bool| {
            let count = self.tasks.values().filter(|task| task.cluster == name && matches(task.status)).count();
            i32::try_from(count).unwrap_or(i32::MAX)
        };
        let services = self.services.iter().filter(|(key, service)| key.cluster == name && !service.is_inactive());
        api::Cluster {
            cluster_arn: arn(settings, &format!("cluster/{name}")),
            cluster_name: name.to_owned(),
            status: if is_active { "ACTIVE" } else { "INACTIVE" }.to_owned(),
            running_tasks_count: tasks(|status| status == Status::Running),
            pending_tasks_count: tasks(|status| status < Status::Running),
            active_services_count: i32::try_from(services.count()).unwrap_or(i32::MAX),
            registered_container_instances_count: 0,
        }
    }
}
