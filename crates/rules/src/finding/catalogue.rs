//! The catalogue of findings: the one place that names, explains and classifies each of them.
//!
//! To add a finding, add an entry below; `.ci/write-docs` then writes its rows in docs/.

use std::fmt;

use serde::Serialize;

/// Defines [`FindingName`].
///
/// Each entry has
/// - `meaning`: the condition, in one or two sentences of Markdown;
/// - `advice`: what the operator has to do, as an imperative;
/// - `hinders_registration`: whether serving tasks can't be registered as they should. `reconcile` and `up` then fail.
macro_rules! findings {
    ($($name:ident {
        meaning: $meaning:literal,
        advice: $advice:literal,
        hinders_registration: $hinders_registration:literal $(,)?
    })+) => {
        /// The kinds of findings. Their names, in snake case, are part of the log's interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum FindingName {
            $(#[doc = $meaning] $name,)+
        }

        impl FindingName {
            /// All findings, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the condition that the finding reports, in one or two sentences of Markdown.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)+
                }
            }

            /// Returns what the operator has to do, as an imperative.
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)+
                }
            }

            /// Returns whether the condition prevents the registration of serving tasks.
            pub fn hinders_registration(self) -> bool {
                match self {
                    $(Self::$name => $hinders_registration,)+
                }
            }
        }
    };
}

findings! {
    ServiceMissing {
        meaning: "The service or its cluster doesn't exist, or was deleted. Nothing is registered or torn down, and an existing load balancer keeps costing money.",
        advice: "Check --cluster, --service, --region and the account.",
        hinders_registration: true,
    }
    LoadBalancerMissing {
        meaning: "Tasks serve, and no load balancer of the configured name exists.",
        advice: "Create the load balancer (terraform apply), or check --load-balancer; the tasks are registered as soon as it exists.",
        hinders_registration: true,
    }
    LoadBalancerNotOwned {
        meaning: "The load balancer lacks the owner tag, so the watcher doesn't delete it.",
        advice: "Add the owner tag to let the watcher delete this load balancer, or set --owner-tag to the tag that it has.",
        hinders_registration: false,
    }
    LoadBalancerNotNetwork {
        meaning: "The load balancer of the configured name is not a network load balancer. The watcher leaves it alone.",
        advice: "Check --load-balancer: it must name the network load balancer of the JVB.",
        hinders_registration: true,
    }
    LoadBalancerFailed {
        meaning: "The load balancer's state is `failed`: AWS could not set it up.",
        advice: "Read the load balancer's state reason, then delete and create it again.",
        hinders_registration: false,
    }
    DeletionProtected {
        meaning: "The load balancer is idle, and its deletion protection refuses the deletion.",
        advice: "Set deletion_protection.enabled to false, or delete the load balancer by hand.",
        hinders_registration: false,
    }
    TargetGroupMissing {
        meaning: "Tasks serve, and no target group of type `ip` is behind the load balancer.",
        advice: "Give the load balancer a listener with a target group of type ip.",
        hinders_registration: true,
    }
    TargetGroupUnsupported {
        meaning: "A target group's type is not `ip`, so Fargate tasks can't be registered in it.",
        advice: "Replace the target group by one of target type ip: Fargate tasks have addresses only.",
        hinders_registration: true,
    }
    TargetGroupFull {
        meaning: "A target group has as many targets as its quota allows.",
        advice: "Raise the quota for targets per target group, or run fewer tasks.",
        hinders_registration: true,
    }
    TargetUnused {
        meaning: "A task serves behind an active load balancer, and its target is `unused`: the load balancer has no subnet in the task's Availability Zone, and sends the task no traffic.",
        advice: "Add a subnet in the task's Availability Zone to the load balancer, or limit the service to subnets in the load balancer's zones.",
        hinders_registration: false,
    }
    TargetOfOthers {
        meaning: "A target is healthy, and no task of the service has its address. The target and the load balancer stay.",
        advice: "Check --service and --load-balancer: a task of another service may use this load balancer. Deregister the target if it should not be there; the load balancer stays until then.",
        hinders_registration: false,
    }
    TargetGroupInUse {
        meaning: "A target group of a deleted load balancer can't be deleted, because a listener or rule still refers to it.",
        advice: "Delete the listener or rule that refers to the target group, or remove the target group's idle mark to keep it.",
        hinders_registration: false,
    }
    TaskWithoutAddress {
        meaning: "A task serves without an address of a target group's family.",
        advice: "Give the service's subnets addresses of this family, or the target group the other family.",
        hinders_registration: true,
    }
    TasksNotStarting {
        meaning: "Tasks are desired, and they don't start: ECS has given up the deployment or can't place a task, tasks stop before or within a minute of reaching RUNNING, or fewer than desired have run for ten minutes. The detail has ECS's reason, with that of the service's latest event where the rule sends these.",
        advice: "Read the service's events and the stopped tasks' reasons in ECS, and the tasks' logs; then correct the task definition, its image and secrets, or the network, or raise the account's Fargate quota.",
        hinders_registration: false,
    }
    SeveralBridges {
        meaning: "More than one task serves behind one UDP listener. Jicofo chooses the bridge of a conference, and the load balancer the target of each flow, so media reaches a bridge that doesn't have the conference, and calls fail. Off with `--allow-several-bridges`.",
        advice: "Set the service's desired count to 1, and its deployment's minimum to 0 and maximum to 100 percent. Where each bridge advertises an address of its own, run with --allow-several-bridges.",
        hinders_registration: false,
    }
    AdvertisedAddressMismatched {
        meaning: "The task definition pins addresses for media (`JVB_ADVERTISE_IPS`) that the load balancer doesn't have. Clients send media there, past the load balancer or nowhere.",
        advice: "Set JVB_ADVERTISE_IPS to the load balancer's addresses when the container starts, from its domain name, as terraform/modules/jitsi-service does; or pin the load balancer's Elastic IP addresses.",
        hinders_registration: false,
    }
    TaskNotStopping {
        meaning: "ECS began to stop a task ten minutes ago, and it hasn't stopped. The load balancer stays until it has.",
        advice: "Inspect the task in ECS; the load balancer stays until the task has stopped.",
        hinders_registration: false,
    }
    TeardownOff {
        meaning: "The load balancer is idle, and `--teardown off` keeps it.",
        advice: "Delete the load balancer by hand, or run with --teardown all.",
        hinders_registration: false,
    }
    HoldActive {
        meaning: "A hold keeps the load balancer from being marked and deleted.",
        advice: "No action needed; end the hold early with: jvb-watcher hold --release",
        hinders_registration: false,
    }
    HoldInvalid {
        meaning: "The hold's end is not an RFC 3339 instant, or is more than a day ahead. The hold is ignored.",
        advice: "Set jvb-watcher:hold-until to an RFC 3339 instant at most a day ahead, or remove the tag.",
        hinders_registration: false,
    }
    MarkExpired {
        meaning: "The load balancer is idle, and its grace period ended more than 50 minutes ago. The grace period restarts.",
        advice: "No action needed after a single outage of the watcher. If this finding recurs, reconcile at least every 50 minutes: with longer intervals the load balancer is never deleted.",
        hinders_registration: false,
    }
    UsageUnknown {
        meaning: "For ten minutes CloudWatch has shown no minute of the load balancer's flows, or can't be asked. Unknown counts as in use: `--stop-when-unused` stops nothing, and `down` asks for `--now`.",
        advice: "If the detail has an error, remove its cause: allow the action cloudwatch:GetMetricData if it is denied. If it has none, CloudWatch has a gap or is late: wait until it shows the minutes again, and keep nothing up for that (jvb-watcher down --now). Run with --no-usage if the usage doesn't matter.",
        hinders_registration: false,
    }
    TagInvalid {
        meaning: "A tag `jvb-watcher:…` of a service that `--discover` has found is wrong. The service isn't watched; one that was watched before keeps its last good settings until the watcher restarts.",
        advice: "Correct or remove the tag that the detail names; the watcher reads it again at the resync interval.",
        hinders_registration: true,
    }
    LoadBalancerShared {
        meaning: "Two services that `--discover` has found have the same `jvb-watcher:load-balancer`. Each would delete the other's load balancer, so neither is watched.",
        advice: "Give each service a load balancer of its own, or remove the tag jvb-watcher:load-balancer from all but one.",
        hinders_registration: true,
    }
    QueueMissing {
        meaning: "The queue doesn't exist.",
        advice: "Create the queue and its rule (terraform apply), or check --queue and --region.",
        hinders_registration: false,
    }
    RuleMissing {
        meaning: "No EventBridge rule sends events to the queue.",
        advice: "Create the rule, with the queue as its target (terraform apply); if another source fills the queue, run with --feed-check off.",
        hinders_registration: false,
    }
    RuleDisabled {
        meaning: "The rule that sends events to the queue is disabled.",
        advice: "Enable the rule: aws events enable-rule --name NAME",
        hinders_registration: false,
    }
    RuleMismatched {
        meaning: "The rule's pattern doesn't match the task events of the service.",
        advice: "Give the rule a pattern that matches the ECS Task State Change events of this service (terraform apply).",
        hinders_registration: false,
    }
    QueueClosed {
        meaning: "The queue's access policy doesn't allow the rule to send messages.",
        advice: "Allow events.amazonaws.com to send messages for this rule, in the queue's access policy (terraform apply).",
        hinders_registration: false,
    }
    EventsMissing {
        meaning: "Reconciliations found tasks that had started or stopped without an event. The watcher then finds changes only at the resync interval.",
        advice: "Run jvb-watcher doctor: it checks the way from ECS to the queue.",
        hinders_registration: false,
    }
}

impl FindingName {
    /// Returns whether the finding only informs: an operator has chosen the condition, and the platform is well.
    pub fn is_informational(self) -> bool {
        self == Self::HoldActive
    }
}

impl fmt::Display for FindingName {
    /// Writes the name as it is in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hold_needs_no_action() {
        let informational: Vec<_> = FindingName::ALL.iter().filter(|name| name.is_informational()).collect();
        assert_eq!(informational, [&FindingName::HoldActive]);
    }
}
