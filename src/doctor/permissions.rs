//! The checks of the worker's permissions, by probes without effect.

use super::Check;
use crate::aws::diagnostics::PermissionProbe;
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, ErrorKind};
use crate::controller::scope::Scope;
use crate::event_source::location::Location;

/// The worker's operations that can't be probed without effect: no call of them is harmless, or the policy allows them
/// only on resources with a tag, or only where the watcher may stop an unused service.
pub const NOT_PROBED: [ApiOperation; 9] = [
    ApiOperation::ReceiveMessage,
    ApiOperation::AddTags,
    ApiOperation::RemoveTags,
    ApiOperation::DeleteLoadBalancer,
    ApiOperation::DeleteTargetGroup,
    ApiOperation::UpdateService,
    ApiOperation::ListTagsForResource,
    ApiOperation::TagResource,
    ApiOperation::UntagResource,
];

const PERMISSION: &str = "permission";

/// The id of a target group that AWS never assigns.
const UNUSED_TARGET_GROUP_ID: &str = "0000000000000000";

/// A probe and AWS's answer.
#[derive(Debug)]
pub struct ProbeResult {
    /// The probe.
    pub probe: PermissionProbe,
    /// The answer; `None` for a probe without a resource to probe.
    pub answer: Option<Result<(), AwsError>>,
}

/// The resources whose names the probes use.
#[derive(Clone, Copy, Debug)]
pub struct ProbedResources<'a> {
    /// The cluster and the service.
    pub scope: &'a Scope,
    /// The queue's URL; empty if the queue doesn't exist or could not be read.
    pub queue_url: &'a str,
    /// The load balancer's name.
    pub load_balancer: &'a str,
    /// The name of a target group that exists or would exist. Policies refer to target groups by name.
    pub target_group: &'a str,
    /// The location of these resources.
    pub location: &'a Location,
}

/// Returns the probes.
///
/// Reads by ARN and registrations are probed on a target group that doesn't exist, with the name of one that does, or
/// would.
pub fn probes(resources: ProbedResources<'_>) -> Vec<PermissionProbe> {
    let ProbedResources { scope, queue_url, load_balancer, target_group, location } = resources;
    let Scope { cluster, service } = scope.clone();
    let queue_url = || queue_url.to_owned();
    let resource = format!("targetgroup/{target_group}/{UNUSED_TARGET_GROUP_ID}");
    let target_group_arn = || location.arn("elasticloadbalancing", &resource);
    vec![
        PermissionProbe::DeleteMessage { queue_url: queue_url() },
        PermissionProbe::ChangeMessageVisibility { queue_url: queue_url() },
        PermissionProbe::ListTasks { cluster: cluster.clone(), service },
        PermissionProbe::DescribeTasks { cluster },
        PermissionProbe::DescribeTaskDefinition,
        PermissionProbe::DescribeLoadBalancers { name: load_balancer.to_owned() },
        PermissionProbe::DescribeTargetGroups,
        PermissionProbe::DescribeTargetHealth { target_group_arn: target_group_arn() },
        PermissionProbe::DescribeTags { target_group_arn: target_group_arn() },
        PermissionProbe::RegisterTargets { target_group_arn: target_group_arn() },
        PermissionProbe::DeregisterTargets { target_group_arn: target_group_arn() },
        PermissionProbe::GetMetricData,
    ]
}

pub fn checks(probes: &[ProbeResult]) -> Vec<Check> {
    let actions: Vec<_> = NOT_PROBED.iter().map(|operation| operation.iam_action()).collect();
    let not_probed = Check::skipped(PERMISSION, format!("can't be checked without effect: {}", actions.join(", ")));
    probes.iter().map(check).chain([not_probed]).collect()
}

fn check(ProbeResult { probe, answer }: &ProbeResult) -> Check {
    let action = probe.operation().iam_action();
    match answer {
        None => Check::skipped(PERMISSION, format!("{action}: there is no queue to check it on")),
        // A worker with --no-usage doesn't need it.
        Some(Err(error)) if error.is(ErrorKind::AccessDenied) && *probe == PermissionProbe::GetMetricData => {
            Check::warning(
                PERMISSION,
                format!("{action} is denied on {}", error.resource),
                format!("Allow the action {action} on it, or run with --no-usage."),
            )
        }
        Some(Err(error)) if error.is(ErrorKind::AccessDenied) => Check::failed(
            PERMISSION,
            format!("{action} is denied on {}", error.resource),
            format!("Allow the action {action} on it."),
        ),
        Some(Err(error)) => match inconclusive(error.kind) {
            Some(reason) => Check::skipped(PERMISSION, format!("{action}: {reason}")),
            // Any other answer about a resource that doesn't exist shows that the call is allowed.
            None => Check::ok(PERMISSION, action),
        },
        Some(Ok(())) => Check::ok(PERMISSION, action),
    }
}

/// Returns the reason why an error doesn't show whether the call is allowed, if it doesn't. The checks before these show
/// the error itself.
fn inconclusive(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Throttled => Some("AWS throttled the call"),
        ErrorKind::Unavailable => Some("AWS didn't answer"),
        ErrorKind::Unauthenticated => Some("AWS doesn't accept the credentials"),
        _ => None,
    }
}
