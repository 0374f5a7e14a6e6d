//! The checks of the ECS service.

use super::{Check, Evidence};
use crate::aws::diagnostics::TaskNetwork;

const SERVICE: &str = "service";
const TASK_NETWORK: &str = "task network";

pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let (service, cluster) = (&evidence.scope.service, &evidence.scope.cluster);
    match &evidence.task_network {
        Err(error) => {
            vec![Check::call_failed(SERVICE, error), Check::skipped(TASK_NETWORK, "the service could not be read")]
        }
        Ok(None) => vec![
            Check::failed(
                SERVICE,
                format!("{service} in {cluster} doesn't exist"),
                "Correct --cluster, --service, --region or the account.",
            ),
            Check::skipped(TASK_NETWORK, "the service doesn't exist"),
        ],
        Ok(Some(network)) => {
            let network = match network {
                TaskNetwork::Awsvpc => Check::ok(TASK_NETWORK, "awsvpc: each task has an address of its own"),
                TaskNetwork::Other => Check::failed(
                    TASK_NETWORK,
                    format!("the tasks of {service} have no addresses of their own"),
                    "Set the task definition's network mode to awsvpc.",
                ),
            };
            vec![Check::ok(SERVICE, format!("{service} in {cluster} exists")), network]
        }
    }
}
