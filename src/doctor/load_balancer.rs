//! The checks of the load balancer, which exists on demand only.

use super::{Check, Evidence};
use crate::aws::AwsError;
use crate::aws::diagnostics::DeletionProtection;
use jvb_watcher_rules::model::{LoadBalancer, LoadBalancerKind, TargetType};
use jvb_watcher_rules::plan::OwnerTag;

const LOAD_BALANCER: &str = "load balancer";
const OWNER_TAG: &str = "owner tag";
const DELETION_PROTECTION: &str = "deletion protection";
const TARGET_GROUPS: &str = "target groups";

pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let name = evidence.load_balancer_name;
    let skip = |load_balancer: Check, reason: &str| {
        let others = [OWNER_TAG, DELETION_PROTECTION, TARGET_GROUPS].map(|check| Check::skipped(check, reason));
        [load_balancer].into_iter().chain(others).collect()
    };
    match &evidence.load_balancer {
        Err(error) => skip(Check::call_failed(LOAD_BALANCER, error), "the load balancer could not be read"),
        Ok(None) => {
            let detail = format!("{name} doesn't exist at present: it exists on demand only");
            skip(Check::ok(LOAD_BALANCER, detail), "there is no load balancer at present")
        }
        Ok(Some(load_balancer)) => vec![
            kind(load_balancer),
            owner_tag(load_balancer, evidence.owner_tag),
            deletion_protection(load_balancer, evidence.deletion_protection.as_ref()),
            target_groups(load_balancer),
        ],
    }
}

fn kind(LoadBalancer { name, kind, .. }: &LoadBalancer) -> Check {
    match kind {
        LoadBalancerKind::Network => Check::ok(LOAD_BALANCER, format!("{name} exists and is a network load balancer")),
        LoadBalancerKind::Other(kind) => Check::failed(
            LOAD_BALANCER,
            format!("{name} is of type {kind}, not network, so the watcher ignores it"),
            "Correct --load-balancer: it must name the network load balancer of the JVB.",
        ),
    }
}

fn owner_tag(load_balancer: &LoadBalancer, OwnerTag { key, value }: &OwnerTag) -> Check {
    let observed = match load_balancer.tags.get(key) {
        Some(tag) if tag == value => {
            let mut groups = load_balancer.target_groups.iter();
            return match groups.find(|group| group.tags.get(key) != Some(value)) {
                None => Check::ok(OWNER_TAG, format!("{key}={value}: the watcher may delete the load balancer")),
                Some(group) => Check::warning(
                    OWNER_TAG,
                    format!("target group {} has no tag {key}={value}, so the watcher doesn't delete it", group.name),
                    "Add the tag to the target group, unless it is to stay.",
                ),
            };
        }
        Some(other) => format!("{key} is {other:?}, not {value:?}"),
        None => format!("there is no tag {key}={value}"),
    };
    Check::failed(
        OWNER_TAG,
        format!("{observed}, so the watcher doesn't delete the load balancer"),
        "Add the tag, or set --owner-tag to a tag of the load balancer.",
    )
}

fn deletion_protection(
    load_balancer: &LoadBalancer,
    protection: Option<&Result<DeletionProtection, AwsError>>,
) -> Check {
    match protection {
        Some(Ok(DeletionProtection::Off)) => Check::ok(DELETION_PROTECTION, "off: the load balancer can be deleted"),
        Some(Ok(DeletionProtection::On)) => Check::failed(
            DELETION_PROTECTION,
            format!("on: {} can't be deleted", load_balancer.name),
            "Set deletion_protection.enabled to false.",
        ),
        Some(Err(error)) => Check::not_checked(DELETION_PROTECTION, error),
        None => Check::skipped(DELETION_PROTECTION, "it was not read"),
    }
}

fn target_groups(load_balancer: &LoadBalancer) -> Check {
    let is_ip = |kind: &TargetType| matches!(kind, TargetType::Ip { .. });
    let advice = "Add listeners with target groups of type ip: Fargate tasks can be registered by address only.";
    if let Some(group) = load_balancer.target_groups.iter().find(|group| !is_ip(&group.target_type)) {
        return Check::failed(TARGET_GROUPS, format!("{} isn't of type ip", group.name), advice);
    }
    match load_balancer.target_groups.len() {
        0 => Check::failed(TARGET_GROUPS, "the load balancer has none", advice),
        count => Check::ok(TARGET_GROUPS, format!("{count}, of type ip")),
    }
}
