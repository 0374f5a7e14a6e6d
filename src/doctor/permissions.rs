//! The permissions that `run` needs, tried without effect where AWS's API allows that.

use super::Check;
use crate::aws::event_source::Trial;
use crate::aws::{AwsError, ErrorKind};
use crate::controller::reconcile::Scope;
use crate::event_source::Place;

/// The actions that can't be tried without effect: they have no harmless call, or are allowed only on what carries a tag.
pub const UNTRIED: [&str; 5] = [
    "sqs:ReceiveMessage",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:RemoveTags",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
];

/// The id of a target group that AWS never gives.
const NOBODYS_GROUP: &str = "0000000000000000";

/// A call that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// The call.
    pub trial: Trial,
    /// What AWS answered.
    pub answer: Result<(), AwsError>,
}

/// The calls to try.
///
/// Reads by ARN, and registrations, are tried on a target group that isn't there, with the name of one that is, or would
/// be: policies speak of the names.
pub fn trials(
    scope: &Scope,
    queue_url: Option<&str>,
    load_balancer: &str,
    target_group: &str,
    place: &Place,
) -> Vec<Trial> {
    let Scope { cluster, service } = scope.clone();
    let target_group_arn = || place.arn("elasticloadbalancing", &format!("targetgroup/{target_group}/{NOBODYS_GROUP}"));
    let mut trials = Vec::new();
    if let Some(queue_url) = queue_url {
        trials.push(Trial::DeleteMessage { queue_url: queue_url.to_owned() });
        trials.push(Trial::ChangeMessageVisibility { queue_url: queue_url.to_owned() });
    }
    trials.extend([
        Trial::ListTasks { cluster: cluster.clone(), service },
        Trial::DescribeTasks { cluster },
        Trial::DescribeLoadBalancers { name: load_balancer.to_owned() },
        Trial::DescribeTargetGroups,
        Trial::DescribeTargetHealth { target_group_arn: target_group_arn() },
        Trial::DescribeTags { target_group_arn: target_group_arn() },
        Trial::RegisterTargets { target_group_arn: target_group_arn() },
        Trial::DeregisterTargets { target_group_arn: target_group_arn() },
    ]);
    trials
}

pub fn checks(attempts: &[Attempt]) -> Vec<Check> {
    let tried = attempts.iter().map(|Attempt { trial, answer }| {
        let action = trial.action();
        match answer {
            Err(error) if error.is(ErrorKind::AccessDenied) => Check::failed(
                "permission",
                format!("{action} is denied on {}", error.resource),
                format!("Allow the action {action} on it."),
            ),
            Err(error) if is_no_answer(error.kind) => Check::not_checked("permission", error),
            // Whatever else AWS says of what isn't there, it has let the call through.
            Ok(()) | Err(_) => Check::ok("permission", action),
        }
    });
    let untried =
        Check::ok("permission", format!("not tried, since trying would have an effect: {}", UNTRIED.join(", ")));
    tried.chain([untried]).collect()
}

/// Whether a failure says nothing of what is allowed.
fn is_no_answer(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Unauthenticated)
}
