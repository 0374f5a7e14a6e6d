//! The service whose tasks are registered.

use super::{Check, Sight};
use crate::aws::event_source::TaskNetwork;

pub fn checks(sight: &Sight<'_>) -> Vec<Check> {
    let (service, cluster) = (&sight.scope.service, &sight.scope.cluster);
    match &sight.task_network {
        Err(error) => vec![Check::call_failed("service", error)],
        Ok(None) => vec![Check::failed(
            "service",
            format!("{service} in {cluster} doesn't exist"),
            "Check --cluster, --service, --region and the account.",
        )],
        Ok(Some(network)) => {
            let network = match network {
                TaskNetwork::Awsvpc => Check::ok("task network", "awsvpc: each task has an address of its own"),
                TaskNetwork::Other => Check::failed(
                    "task network",
                    format!("the tasks of {service} have no addresses of their own"),
                    "Give the task definition the network mode awsvpc.",
                ),
            };
            vec![Check::ok("service", format!("{service} in {cluster} is there")), network]
        }
    }
}
